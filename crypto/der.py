"""Read BER within bounds, write DER quickly: the few rules of X.690 that CMS needs.

Reading tolerates what mail software sends (indefinite lengths, long lengths, strings in pieces)
and nothing else: one pass, no recursion beyond `MAX_DEPTH`, no more than `MAX_ELEMENTS` elements
for a whole message. Elements are opened when asked, so a certificate inside a message costs one
element and not a hundred.

Writing returns octets. Lengths are always definite and minimal.

Errors
    `DerSyntaxError` for any octets that are not understood.
Sources
    ITU-T X.690 (02/2021), 8.1 (structure of an encoding) and 11.6 (order of a SET OF).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import ClassVar, Final, NamedTuple

from crypto.errors import CryptoError

MAX_DEPTH: Final = 20  # the issuer name in a signing-certificate-v2 attribute is at 17
MAX_ELEMENTS: Final = 262_144
MAX_STRING_DEPTH: Final = 4  # strings in pieces that are in pieces themselves; nobody needs two

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_IDENTIFIER: Final = 0x06
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31
CONSTRUCTED: Final = 0x20

_NULL_OCTETS: Final = b"\x05\x00"


def context(number: int, *, constructed: bool = True) -> int:
    """Return the identifier octet of the context tag *number*."""
    return 0x80 | number | (CONSTRUCTED if constructed else 0)


@dataclass(eq=False)
class DerSyntaxError(CryptoError):
    """The octets do not follow the encoding, or exceed its limits."""

    code: ClassVar[str] = "der-syntax"

    reason: str


# --- Reading ---------------------------------------------------------------------------------


class _Source:
    """The octets of one message and what is left of its element budget."""

    __slots__ = ("octets", "remaining")

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.remaining = MAX_ELEMENTS


class Element(NamedTuple):
    """One encoded value, by its position in the octets received.

    A tuple and not a dataclass: a message has hundreds, and they are made four times faster.

    Attributes:
        tag: Identifier octet, with the constructed bit.
        start: Offset of the identifier octet.
        body: Offset of the first content octet.
        end: Offset after the last content octet.
        after: Offset after the whole element, end-of-contents included.
    """

    source: _Source
    tag: int
    start: int
    body: int
    end: int
    after: int
    depth: int
    inner: "tuple[Element, ...] | None"  # known at once when the length was indefinite

    @property
    def raw(self) -> bytes:
        """The octets of the whole element, as received."""
        return self.source.octets[self.start : self.after]

    @property
    def content(self) -> bytes:
        """The content octets, as received."""
        return self.source.octets[self.body : self.end]

    def children(self) -> "tuple[Element, ...]":
        """Return the elements inside a constructed one."""
        if not self.tag & CONSTRUCTED:
            raise DerSyntaxError("not-constructed")
        if self.inner is not None:
            return self.inner
        found = []
        source, at, end = self.source, self.body, self.end
        depth = self.depth + 1
        while at < end:
            child = _read(source, at, end, depth)
            found.append(child)
            at = child.after
        return tuple(found)


def parse(octets: bytes) -> Element:
    """Read exactly one element that covers all *octets*."""
    element = parse_prefix(octets)
    if element.after != len(octets):
        raise DerSyntaxError("trailing-octets")
    return element


def parse_prefix(octets: bytes) -> Element:
    """Read the one element with which *octets* begin."""
    return _read(_Source(octets), 0, len(octets), 0)


def _read(source: _Source, at: int, limit: int, depth: int) -> Element:
    source.remaining -= 1
    if source.remaining < 0:
        raise DerSyntaxError("too-many-elements")
    if depth > MAX_DEPTH:
        raise DerSyntaxError("too-deep")
    body = at + 2
    if body > limit:
        raise DerSyntaxError("truncated")
    tag, length = source.octets[at], source.octets[at + 1]
    if tag & 0x1F == 0x1F:
        raise DerSyntaxError("high-tag-number")
    if length == 0x80:
        return _read_indefinite(source, tag, at, limit, depth)
    if length > 0x80:
        body, length = _long_length(source.octets, at, limit, length & 0x7F)
    end = body + length
    if end > limit:
        raise DerSyntaxError("truncated")
    return Element(source, tag, at, body, end, end, depth, None)


class ElementHeader(NamedTuple):
    """Where an element begins; `length` is None if it is indefinite, `body` is an offset."""

    tag: int
    length: int | None
    body: int


def parse_header(octets: bytes, at: int) -> ElementHeader:
    """Read identifier and length at *at*; the content need not be there."""
    body = at + 2
    if body > len(octets):
        raise DerSyntaxError("truncated")
    tag, length = octets[at], octets[at + 1]
    if tag & 0x1F == 0x1F:
        raise DerSyntaxError("high-tag-number")
    if length == 0x80:
        if not tag & CONSTRUCTED:
            raise DerSyntaxError("indefinite-primitive")
        return ElementHeader(tag, None, body)
    if length > 0x80:
        body, length = _long_length(octets, at, len(octets), length & 0x7F)
    return ElementHeader(tag, length, body)


def _long_length(octets: bytes, at: int, limit: int, size: int) -> tuple[int, int]:
    body = at + 2 + size
    if size > 8 or body > limit:
        raise DerSyntaxError("length")
    return body, int.from_bytes(octets[at + 2 : body], "big")


def _read_indefinite(source: _Source, tag: int, at: int, limit: int, depth: int) -> Element:
    if not tag & CONSTRUCTED:
        raise DerSyntaxError("indefinite-primitive")
    found = []
    body = cursor = at + 2
    while True:
        if cursor + 2 > limit:
            raise DerSyntaxError("truncated")
        if source.octets[cursor] == 0:
            if source.octets[cursor + 1] != 0:
                raise DerSyntaxError("end-of-contents")
            break
        child = _read(source, cursor, limit, depth + 1)
        found.append(child)
        cursor = child.after
    return Element(source, tag, at, body, cursor, cursor + 2, depth, tuple(found))


def expect(element: Element, tag: int) -> Element:
    """Return *element* if it has *tag*, else refuse."""
    if element.tag != tag:
        raise DerSyntaxError("unexpected-tag")
    return element


class Fields:
    """The members of a SEQUENCE, taken in order."""

    __slots__ = ("_at", "_members")

    def __init__(self, element: Element, *, tag: int = SEQUENCE) -> None:
        self._members = expect(element, tag).children()
        self._at = 0

    def take(self, tag: int | None = None) -> Element:
        """Return the next member, which must exist and have *tag*."""
        if self._at >= len(self._members):
            raise DerSyntaxError("missing-field")
        element = self._members[self._at]
        if tag is not None:
            expect(element, tag)
        self._at += 1
        return element

    def find(self, *tags: int) -> Element | None:
        """Return the next member if it has one of *tags*, else leave it and return None."""
        if self._at < len(self._members) and self._members[self._at].tag in tags:
            self._at += 1
            return self._members[self._at - 1]
        return None

    def finish(self) -> None:
        """Refuse members that nobody took."""
        if self._at != len(self._members):
            raise DerSyntaxError("unexpected-field")


def read_integer(element: Element) -> int:
    """Return the value of an INTEGER of reasonable size."""
    content = expect(element, INTEGER).content
    if not 1 <= len(content) <= 64:
        raise DerSyntaxError("integer")
    if len(content) > 1 and content[0] in {0, 0xFF} and content[0] >> 7 == content[1] >> 7:
        raise DerSyntaxError("integer")  # X.690, 8.3.2: the shortest form, in BER too
    return int.from_bytes(content, "big", signed=True)


def read_oid(element: Element) -> str:
    """Return the dotted form of an OBJECT IDENTIFIER."""
    return _dotted(expect(element, OBJECT_IDENTIFIER).content)


@lru_cache(maxsize=512)
def _dotted(content: bytes) -> str:
    if not 1 <= len(content) <= 64 or content[-1] & 0x80:
        raise DerSyntaxError("object-identifier")
    arcs: list[int] = []
    value = 0
    for octet in content:
        if value == 0 and octet == 0x80:
            raise DerSyntaxError("object-identifier")
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def read_octets(element: Element, *, tag: int = OCTET_STRING) -> bytes:
    """Return an OCTET STRING, whole or in pieces; *tag* is its primitive identifier."""
    if element.tag == tag:
        return element.content
    return b"".join(_pieces(element, tag, 1))


def _pieces(element: Element, tag: int, depth: int) -> Iterator[bytes]:
    if element.tag != tag | CONSTRUCTED:
        raise DerSyntaxError("unexpected-tag")
    if depth > MAX_STRING_DEPTH:
        raise DerSyntaxError("too-deep")
    for piece in element.children():
        if piece.tag == OCTET_STRING:
            yield piece.content
        else:
            yield from _pieces(piece, OCTET_STRING, depth + 1)


def read_bits(element: Element) -> bytes:
    """Return a BIT STRING that has a whole number of octets."""
    content = expect(element, BIT_STRING).content
    if not content or content[0] != 0:
        raise DerSyntaxError("bit-string")
    return content[1:]


def read_time(element: Element) -> datetime:
    """Return the instant of a UTCTime or GeneralizedTime in the form that RFC 5652 allows."""
    try:
        text = element.content.decode("ascii")
        if element.tag == UTC_TIME:
            # RFC 5652, 11.3: two-digit years from 50 are of the last century.
            text = ("19" if text >= "50" else "20") + text
        elif element.tag != GENERALIZED_TIME:
            raise DerSyntaxError("unexpected-tag")
        if len(text) != 15 or not text[:14].isdigit():
            raise DerSyntaxError("time")
        return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:  # covers UnicodeDecodeError
        raise DerSyntaxError("time") from error


def normalised(element: Element) -> bytes:
    """Return the DER form of *element*: definite minimal lengths, whole strings, sorted sets."""
    if element.tag == OCTET_STRING | CONSTRUCTED:
        return octet_string(read_octets(element))
    if not element.tag & CONSTRUCTED:
        is_short = element.end - element.start < 0x80 and element.body - element.start == 2
        return element.raw if is_short else encode(element.tag, element.content)
    members = [normalised(child) for child in element.children()]
    if element.tag == SET:
        members.sort()
    return encode(element.tag, *members)


# --- Writing ---------------------------------------------------------------------------------


def encode(tag: int, *parts: bytes) -> bytes:
    """Return the element *tag* whose content is *parts* in order."""
    content = parts[0] if len(parts) == 1 else b"".join(parts)
    length = len(content)
    if length < 0x80:  # most elements: no call for two octets
        return bytes((tag, length)) + content
    return header(tag, length) + content


def header(tag: int, length: int) -> bytes:
    """Return identifier and length octets."""
    if length < 0x80:
        return bytes((tag, length))
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big")


def sequence(*parts: bytes) -> bytes:
    """Return a SEQUENCE."""
    return encode(SEQUENCE, *parts)


def set_of(parts: Iterable[bytes], *, tag: int = SET) -> bytes:
    """Return a SET OF, members sorted as DER asks."""
    return encode(tag, *sorted(parts))


def octet_string(octets: bytes) -> bytes:
    """Return an OCTET STRING."""
    return encode(OCTET_STRING, octets)


def bit_string(octets: bytes) -> bytes:
    """Return a BIT STRING of whole octets."""
    return encode(BIT_STRING, b"\x00", octets)


def null() -> bytes:
    """Return NULL."""
    return _NULL_OCTETS


@lru_cache(maxsize=64)
def integer(value: int) -> bytes:
    """Return an INTEGER."""
    # The magnitude below zero reaches one further: -128 fits into one octet, as 127 does.
    size = (value + (value < 0)).bit_length() // 8 + 1
    return encode(INTEGER, value.to_bytes(size, "big", signed=True))


@lru_cache(maxsize=512)
def oid(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER."""
    first, second, *rest = map(int, dotted.split("."))
    content = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        content.extend(reversed(groups))
    return encode(OBJECT_IDENTIFIER, bytes(content))


def time(instant: datetime) -> bytes:
    """Return an instant as RFC 5652, 11.3 asks: UTCTime until 2049, GeneralizedTime after."""
    utc = instant.astimezone(UTC)
    if 1950 <= utc.year < 2050:
        return encode(UTC_TIME, utc.strftime("%y%m%d%H%M%SZ").encode("ascii"))
    return encode(GENERALIZED_TIME, utc.strftime("%Y%m%d%H%M%SZ").encode("ascii"))
