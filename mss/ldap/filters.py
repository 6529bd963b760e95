"""Read and write the filters of LDAP searches, as octets and as text.

Errors
    `LdapSyntaxError` for any octets and any text; nothing else.
Sources
    RFC 4511, 4.5.1.7 (filters); RFC 4515 (their text); RFC 4526 (`(&)` and `(|)`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from crypto import der
from crypto.der import Element

MAX_DEPTH: Final = 12
MAX_TERMS: Final = 128
_ATTRIBUTE: Final = re.compile(r"[A-Za-z0-9.][A-Za-z0-9.;-]{0,126}")


@dataclass(eq=False)
class LdapSyntaxError(Exception):
    """The octets, or the text, are not LDAP."""

    reason: str

    def __str__(self) -> str:
        """Say what is wrong with them."""
        return self.reason


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    members: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """Any of them."""

    members: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    member: "Filter"


@dataclass(frozen=True, slots=True)
class Present:
    """The attribute has a value."""

    attribute: str


@dataclass(frozen=True, slots=True)
class Equal:
    """The attribute has this value, or one that is alike."""

    attribute: str
    value: str
    is_approximate: bool = False


@dataclass(frozen=True, slots=True)
class Substrings:
    """A value begins, goes on and ends so; an end that is open is empty."""

    attribute: str
    initial: str = ""
    middle: tuple[str, ...] = ()
    final: str = ""


@dataclass(frozen=True, slots=True)
class Undefined:
    """What this server does not evaluate: order, extensible matches."""


Filter = And | Or | Not | Present | Equal | Substrings | Undefined

_AND: Final = 0xA0
_OR: Final = 0xA1
_NOT: Final = 0xA2
_EQUAL: Final = 0xA3
_SUBSTRINGS: Final = 0xA4
_GREATER: Final = 0xA5
_LESS: Final = 0xA6
_PRESENT: Final = 0x87
_APPROXIMATE: Final = 0xA8
_EXTENSIBLE: Final = 0xA9
_INITIAL: Final = 0x80
_MIDDLE: Final = 0x81
_FINAL: Final = 0x82


class _Budget:
    """Counts the terms of one filter."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_TERMS

    def take(self, depth: int) -> None:
        self.left -= 1
        if self.left < 0 or depth > MAX_DEPTH:
            raise LdapSyntaxError("filter-too-large")


def read_text(element: Element) -> str:
    """Return an LDAPString, or the value of an assertion; what is not text matches nothing."""
    if element.tag & der.CONSTRUCTED:
        raise LdapSyntaxError("text")
    text = element.content.decode("utf-8", "replace")
    if "\x00" in text:
        raise LdapSyntaxError("text")
    return text


def parse_filter(element: Element) -> Filter:
    """Read a filter from its element."""
    return _parse(element, _Budget(), 1)


def _parse(element: Element, budget: _Budget, depth: int) -> Filter:
    budget.take(depth)
    tag = element.tag
    if tag in (_AND, _OR):
        members = tuple(_parse(one, budget, depth + 1) for one in element.children())
        return And(members) if tag == _AND else Or(members)
    if tag == _NOT:
        (member,) = _exactly(element, 1)
        return Not(_parse(member, budget, depth + 1))
    if tag == _PRESENT:
        return Present(_attribute(read_text(element)))
    if tag in (_EQUAL, _APPROXIMATE):
        name, value = _exactly(element, 2)
        text = read_text(der.expect(value, der.OCTET_STRING))
        return Equal(_attribute(read_text(name)), text, is_approximate=tag == _APPROXIMATE)
    if tag == _SUBSTRINGS:
        return _parse_substrings(element)
    if tag in (_GREATER, _LESS, _EXTENSIBLE):
        return Undefined()
    raise LdapSyntaxError("filter")


def _exactly(element: Element, count: int) -> tuple[Element, ...]:
    children = element.children()
    if len(children) != count:
        raise LdapSyntaxError("filter")
    return children


def _parse_substrings(element: Element) -> Substrings:
    name, pieces = _exactly(element, 2)
    initial, middle, final = "", [], ""
    children = der.expect(pieces, der.SEQUENCE).children()
    for place, piece in enumerate(children):
        text = read_text(piece)
        if piece.tag == _INITIAL and place == 0:
            initial = text
        elif piece.tag == _FINAL and place == len(children) - 1:
            final = text
        elif piece.tag == _MIDDLE:
            middle.append(text)
        else:
            raise LdapSyntaxError("substrings")
    if not children:
        raise LdapSyntaxError("substrings")
    return Substrings(_attribute(read_text(name)), initial, tuple(middle), final)


def _attribute(name: str) -> str:
    if not _ATTRIBUTE.fullmatch(name):
        raise LdapSyntaxError("attribute")
    return name


# --- Writing ---------------------------------------------------------------------------------


def build_filter(wanted: Filter) -> bytes:
    """Write a filter as octets."""
    match wanted:
        case And(members):
            return der.encode(_AND, *map(build_filter, members))
        case Or(members):
            return der.encode(_OR, *map(build_filter, members))
        case Not(member):
            return der.encode(_NOT, build_filter(member))
        case Present(attribute):
            return der.encode(_PRESENT, attribute.encode())
        case Equal(attribute, value, is_approximate):
            tag = _APPROXIMATE if is_approximate else _EQUAL
            return der.encode(tag, _string(attribute), _string(value))
        case Substrings():
            return der.encode(
                _SUBSTRINGS, _string(wanted.attribute), der.sequence(*_pieces(wanted))
            )
        case Undefined():
            raise LdapSyntaxError("undefined")


def _pieces(wanted: Substrings) -> Iterator[bytes]:
    if wanted.initial:
        yield der.encode(_INITIAL, wanted.initial.encode())
    for piece in wanted.middle:
        yield der.encode(_MIDDLE, piece.encode())
    if wanted.final:
        yield der.encode(_FINAL, wanted.final.encode())


def _string(text: str) -> bytes:
    return der.octet_string(text.encode())


# --- Text ------------------------------------------------------------------------------------

_TERM: Final = re.compile(r"\(([A-Za-z0-9.][A-Za-z0-9.;-]{0,126})(=|~=)([^()\x00]*)\)")
_ESCAPED: Final = re.compile(r"\\([0-9A-Fa-f]{2})")
_SPECIAL: Final = re.compile(r"[\\*()\x00]")


def escape(value: str) -> str:
    """Write a value so that nothing in it is taken for syntax."""
    return _SPECIAL.sub(lambda found: f"\\{ord(found[0]):02x}", value)


def parse_filter_text(text: str) -> Filter:
    """Read the text of a filter: `&`, `|`, `!`, `=` with or without stars, `~=`.

    Raises:
        LdapSyntaxError: It is none, or uses other comparisons.
    """
    found, at = _parse_text(text, 0, _Budget(), 1)
    if at != len(text):
        raise LdapSyntaxError("trailing-text")
    return found


def _parse_text(text: str, at: int, budget: _Budget, depth: int) -> tuple[Filter, int]:
    budget.take(depth)
    head = text[at : at + 2]
    if head in ("(&", "(|", "(!"):
        members = []
        at += 2
        while text[at : at + 1] == "(":
            member, at = _parse_text(text, at, budget, depth + 1)
            members.append(member)
        if text[at : at + 1] != ")" or (head == "(!" and len(members) != 1):
            raise LdapSyntaxError("filter")
        combined: Filter
        match head:
            case "(&":
                combined = And(tuple(members))
            case "(|":
                combined = Or(tuple(members))
            case _:
                combined = Not(members[0])
        return combined, at + 1
    term = _TERM.match(text, at)
    if term is None:
        raise LdapSyntaxError("filter")
    return _term(term[1], term[2], term[3]), term.end()


def _term(attribute: str, comparison: str, value: str) -> Filter:
    if comparison == "~=":
        return Equal(attribute, _unescape(value), is_approximate=True)
    if value == "*":
        return Present(attribute)
    if "*" not in value:
        return Equal(attribute, _unescape(value))
    initial, *middle, final = map(_unescape, value.split("*"))
    return Substrings(attribute, initial, tuple(filter(None, middle)), final)


def _unescape(value: str) -> str:
    if value.count("\\") != len(_ESCAPED.findall(value)):
        raise LdapSyntaxError("escape")
    octets = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), _as_latin(value))
    try:
        return octets.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        raise LdapSyntaxError("escape") from None


def _as_latin(value: str) -> str:
    """Write text as its octets in UTF-8, one character each, beside octets that are escaped."""
    try:
        return value.encode("utf-8").decode("latin-1")
    except UnicodeEncodeError:
        raise LdapSyntaxError("text") from None
