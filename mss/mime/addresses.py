"""Read and write lists of mail addresses: the only parser of them, for routing, keys and audit.

Two readers that disagree on who a message is for are a way in, so what could be read in two ways is
refused: groups with members, comments or spaces inside an address, quoted local parts, an unquoted
`@` in a name, empty places between commas. Encoded words are decoded only after the structure is
known, so a decoded comma or angle bracket never separates anything.

Errors
    Readers raise `MessageSyntaxError`; builders raise `HeaderValueError`.
Sources
    RFC 5322, 3.4; CVE-2023-27043 and CVE-2025-1795 (what two parsers can do).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from directory.address import MailAddress
from directory.errors import AddressSyntaxError
from mss.mime.charsets import decode_octets, visible
from mss.mime.errors import MessageLimitError, MessageSyntaxError
from mss.mime.headers import (
    build_folded,
    decode_words,
    encode_words,
    require_printable,
    unfold,
)
from mss.mime.limits import DEFAULT_LIMITS, MimeLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedAddress:
    """An address and the name shown with it, decoded; the name may be empty."""

    address: MailAddress
    display_name: str = ""


# "undisclosed-recipients:;" names nobody and is the usual To of a message with blind copies.
_EMPTY_GROUP = re.compile(r'[^<>@,:;"()]*:\s*;')
_TOKEN = re.compile(
    r"""[ \t]*+(?:
        ([^ \t()<>\[\]:;\\,"]++)            # word
        | <([^<>\s()",:;\\]*+)>              # address in angle brackets
        | "((?:[^"\\]++|\\.)*+)"             # quoted words
        | (,)
        | (\()                               # beginning of a comment
        | \Z
    )""",
    re.VERBOSE,
)
_REMEMBERED_OCTETS = 512
_WORD, _ANGLE, _QUOTED, _COMMA, _COMMENT = range(1, 6)
_QUOTED_PAIR = re.compile(r"\\(.)")
_COMMENT_MARK = re.compile(r"[()]|\\.")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?: [A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*")


def parse_addresses(value: bytes, limits: MimeLimits = DEFAULT_LIMITS) -> tuple[NamedAddress, ...]:
    """Read an address list; an empty group reads as no address.

    Raises:
        MessageSyntaxError: The list can be read in two ways or not at all.
        MessageLimitError: It has more addresses than *limits* allow.
    """
    return (_parse if len(value) <= _REMEMBERED_OCTETS else _parse.__wrapped__)(value, limits)


@lru_cache(maxsize=1024)
def _parse(value: bytes, limits: MimeLimits) -> tuple[NamedAddress, ...]:
    """Read a list; the same people write to one another every day."""
    text = decode_octets(unfold(value))
    if _EMPTY_GROUP.fullmatch(text):
        return ()
    found: list[NamedAddress] = []
    element = _Element()
    at = 0
    while True:
        token = _TOKEN.match(text, at)
        if token is None:
            raise MessageSyntaxError(reason="address-list")
        at = token.end()
        kind = token.lastindex
        if kind is None or kind == _COMMA:
            if len(found) >= limits.addresses:
                raise MessageLimitError(reason="addresses", ceiling=limits.addresses)
            found.append(element.finish())
            if kind is None:
                return tuple(found)
            element = _Element()
        elif kind == _COMMENT:
            at = _comment_end(text, at - 1)
        else:
            element.take(kind, token[kind])


def parse_address(value: bytes) -> NamedAddress:
    """Read a value that must hold exactly one address."""
    found = parse_addresses(value)
    if len(found) != 1:
        raise MessageSyntaxError(reason="one-address")
    return found[0]


class _Element:
    """One place of the list while it is being read."""

    __slots__ = ("_angle", "_bare", "_words")

    def __init__(self) -> None:
        self._words: list[str] = []
        self._bare: str | None = None
        self._angle: str | None = None

    def take(self, kind: int, content: str) -> None:
        """Take a word, quoted words or an address in angle brackets."""
        if self._angle is not None:
            raise MessageSyntaxError(reason="address-list")
        if kind == _ANGLE:
            self._angle = content
        elif kind == _QUOTED:
            self._words.append(_QUOTED_PAIR.sub(r"\1", content))
        elif "@" not in content:
            self._words.append(content)
        elif self._bare is None:
            self._bare = content
        else:
            raise MessageSyntaxError(reason="address-list")

    def finish(self) -> NamedAddress:
        """Say whose place it was."""
        if (self._angle is None) == (self._bare is None) or (self._bare and self._words):
            raise MessageSyntaxError(reason="address-list")
        try:
            address = MailAddress.parse(self._angle or self._bare or "")
        except AddressSyntaxError:
            raise MessageSyntaxError(reason="address") from None
        name = visible(decode_words(" ".join(self._words))) if self._words else ""
        return NamedAddress(address=address, display_name=name)


def _comment_end(text: str, at: int) -> int:
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, at):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if depth == 0:
            return mark.end()
    raise MessageSyntaxError(reason="address-list")


def build_addresses(name: str, addresses: Sequence[NamedAddress]) -> bytes:
    """Write the field *name* with an address list, folded between addresses and words.

    Raises:
        HeaderValueError: A display name has a line break or another control character.
    """
    tokens: list[str] = []
    for number, item in enumerate(addresses):
        comma = "," if number < len(addresses) - 1 else ""
        if item.display_name:
            taken = 0 if tokens else len(name) + 2
            tokens += _phrase(require_printable(name, item.display_name), taken=taken)
            tokens.append(f"<{item.address}>{comma}")
        else:
            tokens.append(f"{item.address}{comma}")
    return build_folded(name, tokens)


def _phrase(text: str, *, taken: int) -> list[str]:
    if not text.isascii() or "=?" in text or len(text) > 60 - taken or text != text.strip(" "):
        return encode_words(text, taken=taken)
    if _ATOMS.fullmatch(text):
        return [text]
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{escaped}"']
