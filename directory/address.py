"""Read a mail address in exactly one way, or refuse it.

Routing, encryption and the audit log all use this one parser, so two parts of the server can never
see two different recipients in the same text. What RFC 5321 allows but readers disagree on is
refused: quoted local parts, comments, several `@`, source routes, address literals, white space,
control and non-ASCII characters, a final dot.

Shapes
    `Domain` is a `str`, always lower case. Internationalised names are accepted in their ASCII form
    (`xn--…`) only, so that look-alike letters cannot enter a comparison.
    `MailAddress` keeps the local part as written and compares by `key`, all lower case: RFC 5321
    lets a host distinguish case, no operator of health mail does, and a directory that did would
    hold the same mailbox twice.
Errors
    `AddressSyntaxError`, for any text whatever.
Sources
    RFC 5321, 4.1.2 and 4.5.3.1 (grammar and sizes); RFC 5891, 4.2.3.1 (labels).
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Self, TypeVar

from directory.errors import AddressSyntaxError

MAX_LOCAL: Final = 64
MAX_ADDRESS: Final = 254
MAX_DOMAIN: Final = 253

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
# The atext of RFC 5322 without `!` and `%`, which old relays read as routes to another host.
_ATOM: Final = r"[A-Za-z0-9#$&'*+/=?^_`{|}~-]+"
_LOCAL: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")


T = TypeVar("T", bound="MailAddress")


class Domain(str):
    """A mail domain: lower-case ASCII, two labels at least.

    It is a `str`, so it can be a key, a parameter or a part of a text; but it cannot hold anything
    other than a valid domain, in its only spelling.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check and lower the text; raises `AddressSyntaxError`."""
        if len(text) > MAX_DOMAIN:
            raise AddressSyntaxError("domain-too-long")
        # ASCII first: lower() would turn the Kelvin sign into a k.
        if not text.isascii():
            raise AddressSyntaxError("domain-not-ascii")
        name = text.lower()
        if not _DOMAIN.fullmatch(name):
            raise AddressSyntaxError("domain-shape")
        if name.rpartition(".")[2].isdigit():
            raise AddressSyntaxError("domain-is-a-number")
        return super().__new__(cls, name)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a domain name.

        Raises:
            AddressSyntaxError: It is not one, or not written in plain ASCII.
        """
        return cls(text)


PATIENT_DOMAIN: Final = Domain("patient.mssante.fr")
"""Domain of the patients' mailboxes (Mon espace santé); the local part is a national identifier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAddress:
    """The address of a mailbox. Two addresses that differ by case only are equal.

    Attributes:
        local: What stands before the `@`, as it was written.
        domain: What stands after it.
        key: The lower-case spelling of the whole; the only thing to compare, index or hash.
    """

    local: str = field(compare=False)
    domain: Domain = field(compare=False)
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.local) > MAX_LOCAL:
            raise AddressSyntaxError("local-part-too-long")
        if not self.local.isascii():
            raise AddressSyntaxError("local-part-not-ascii")
        if not _LOCAL.fullmatch(self.local):
            raise AddressSyntaxError("local-part-shape")
        if len(self.local) + 1 + len(self.domain) > MAX_ADDRESS:
            raise AddressSyntaxError("address-too-long")
        object.__setattr__(self, "key", f"{self.local.lower()}@{self.domain}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one bare address, as in `MAIL FROM`; no display name, no angle brackets.

        Raises:
            AddressSyntaxError: It is not an address, or it could be read in two ways.
        """
        # Checked first, so that no later step works on a long text.
        if len(text) > MAX_ADDRESS:
            raise AddressSyntaxError("address-too-long")
        parsed: Self = _parsed(cls, text)  # type: ignore[arg-type]  # a class is hashable
        return parsed

    @property
    def is_patient(self) -> bool:
        """True for a mailbox of Mon espace santé, whose address is itself an identity."""
        return self.domain == PATIENT_DOMAIN

    @property
    def masked(self) -> str:
        """What a log may show: the domain, and no more than one letter of the local part."""
        shown = "" if self.is_patient else self.local[0]
        return f"{shown}…@{self.domain}"

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


@lru_cache(maxsize=4096)
def _parsed(kind: type[T], text: str) -> T:
    """Read an address: each one comes several times in a letter, and in many letters."""
    local, at, domain = text.partition("@")
    if not at:
        raise AddressSyntaxError("no-at-sign")
    if "@" in domain:
        raise AddressSyntaxError("several-at-signs")
    return kind(local=local, domain=Domain(domain))
