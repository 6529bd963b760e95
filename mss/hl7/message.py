"""What does a message of HL7 v2 say, field by field?

The text is split by the library `hl7`; what stands here is what the library leaves to its callers:
bounds before it, the character set, damaged line ends, and one error.

Shapes
    `Segment.text(5, component=4)` is the first repetition's fourth component, first sub-component,
    unescaped and stripped; a field that is not there is the empty text. Fields count as in the
    standard: MSH-9 is field 9 of `MSH`.
Errors
    `HL7SyntaxError` on any octets, in time and memory that the bounds limit.
Sources
    HL7 v2.6, chapter 2 (2.6 encoding rules, 2.7 escapes, table 0211 character sets).
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import hl7  # type: ignore[import-untyped]

from mss.hl7.errors import HL7SyntaxError

MAX_SEPARATORS: Final = 20_000  # the largest official example has 600
MAX_SEGMENTS: Final = 1_000
UTF_8: Final = "UNICODE UTF-8"
_CHARSETS: Final = {
    "": "utf-8",
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "UTF-8": "utf-8",
    "8859/1": "iso-8859-1",
    "8859/15": "iso-8859-15",
    "ISO 8859-1": "iso-8859-1",
    "ISO 8859-15": "iso-8859-15",
}
_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_HEADINGS: Final = {"MSH", "BHS", "FHS"}
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=\t ]*")
_NAMED_ESCAPES: Final = {".br": "\n", "H": "", "N": ""}


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: a name and fields, which are split already.

    Attributes:
        number: Which of its name it is in the message, from 1.
    """

    name: str
    number: int
    _fields: Any
    _separators: str

    def text(self, field: int, component: int = 1, sub: int = 1, *, repetition: int = 1) -> str:
        """Read a value, unescaped, without the blanks around it."""
        return self.raw(field, component, sub, repetition=repetition).strip()

    def raw(self, field: int, component: int = 1, sub: int = 1, *, repetition: int = 1) -> str:
        """Read a value, unescaped, with its blanks."""
        found = self._fields
        for index in (field, repetition - 1, component - 1, sub - 1):
            if isinstance(found, str):
                # The library stops splitting where there is nothing to split.
                found = found if index == 0 else ""
            elif index < len(found):
                found = found[index]
            else:
                return ""
        return unescape(str(found), self._separators)

    def repetitions(self, field: int) -> int:
        """Count how often a field is given."""
        if field >= len(self._fields):
            return 0
        found = self._fields[field]
        return 1 if isinstance(found, str) else len(found)

    def components(self, field: int) -> int:
        """Count the components of the first repetition of a field."""
        if not self.repetitions(field):
            return 0
        first = self._fields[field]
        first = first if isinstance(first, str) else first[0]
        return 1 if isinstance(first, str) else len(first)

    def where(self, field: int | None = None) -> str:
        """Say where it is, as ERR-2 wants it."""
        return f"{self.name}^{self.number}" + (f"^{field}" if field else "")


@dataclass(frozen=True, slots=True)
class HL7Message:
    """A message as read.

    Attributes:
        charset: The name in MSH-18, as given.
        body: All segments but MSH, normalised: what makes a repeated request the same one.
    """

    segments: tuple[Segment, ...]
    charset: str
    body: str

    @property
    def header(self) -> Segment:
        """MSH."""
        return self.segments[0]

    def all(self, name: str) -> Iterator[Segment]:
        """Give every segment of a name, in order."""
        return (one for one in self.segments if one.name == name)

    def first(self, name: str) -> Segment | None:
        """Give the first segment of a name."""
        return next(self.all(name), None)


def parse_hl7(octets: bytes) -> HL7Message:
    """Read one message.

    Segments may end with CR, LF or CRLF; base64 that was wrapped over several lines is put together
    again.

    Raises:
        HL7SyntaxError: It is none.
    """
    octets = octets.removeprefix(codecs.BOM_UTF8).strip(b"\r\n\t \x00")
    separators = _separators(octets)
    if sum(octets.count(one) for one in separators.encode("ascii")) > MAX_SEPARATORS:
        raise HL7SyntaxError(reason="too-many-fields")
    charset = _declared_charset(octets, separators[:1])
    lines = _lines(_decoded(octets, charset), separators)
    try:
        parsed = hl7.parse("\r".join(lines))
    except Exception as error:  # the library raises whatever its indexing raises
        raise HL7SyntaxError(reason="structure") from error
    counts: dict[str, int] = {}
    segments = []
    for line, fields in zip(lines, parsed, strict=True):
        name = line[:3]
        counts[name] = counts.get(name, 0) + 1
        segments.append(Segment(name, counts[name], fields, separators))
    return HL7Message(tuple(segments), charset, "\r".join(lines[1:]))


def unescape(text: str, separators: str = "|^~\\&") -> str:
    """Undo the escapes of a value; an unknown one stays as it is."""
    escape = separators[3]
    if escape not in text:
        return text
    plain = dict(zip("FSRET", separators, strict=True))

    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code.startswith("X"):
            return _named_octets(bytes.fromhex(code[1:]))
        return plain.get(code, _NAMED_ESCAPES.get(code, ""))

    return _escapes(escape).sub(one, text)


def _named_octets(octets: bytes) -> str:
    """Read octets that a value names by their numbers; in which charset, nobody says."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("iso-8859-15")


@cache
def _escapes(escape: str) -> re.Pattern[str]:
    mark = re.escape(escape)
    return re.compile(rf"{mark}([FSTRE]|X(?:[0-9A-Fa-f]{{2}})+|\.br|[HN]){mark}")


def _separators(octets: bytes) -> str:
    """Read the five separators of MSH-1 and MSH-2, which must differ."""
    if octets[:3] != b"MSH" or len(octets) < 8:
        raise HL7SyntaxError(reason="no-header")
    found = octets[3:8]
    if len(set(found)) < len(found) or not all(0x20 < one < 0x7F for one in found):
        raise HL7SyntaxError(reason="separators")
    if any(chr(one).isalnum() for one in found) or octets[8:9] not in (found[:1], b"#"):
        raise HL7SyntaxError(reason="separators")
    return found.decode("ascii")


def _declared_charset(octets: bytes, field: str) -> str:
    first = re.split(rb"[\r\n]", octets, maxsplit=1)[0].split(field.encode("ascii"))
    return first[17].split(b"~")[0].decode("ascii", "replace").strip() if len(first) > 17 else ""


def _decoded(octets: bytes, charset: str) -> str:
    codec = _CHARSETS.get(charset.upper())
    if codec is None:
        raise HL7SyntaxError(reason="charset")
    try:
        return octets.decode(codec)
    except UnicodeDecodeError:
        if charset:
            raise HL7SyntaxError(reason="octets") from None
        return octets.decode("iso-8859-15")  # nothing was declared, and it is not UTF-8


def _lines(text: str, separators: str) -> list[str]:
    """Part the segments, and put together what was wrapped."""
    field, component = separators[0], separators[1]
    lines: list[list[str]] = []
    is_open = False  # the last line ends inside of base64
    for line in _LINE_END.split(text):
        if not line.strip():
            continue
        if _SEGMENT.match(line) and line[3:4] in (field, ""):
            lines.append([line])
            before, _, tail = line.rpartition(component)
            is_open = before[-7:].lower() == f"{component}base64" and _is_base64(tail)
        elif is_open and _is_base64(line.partition(field)[0]):
            lines[-1].append(line.strip())
            is_open = field not in line
        else:
            raise HL7SyntaxError(reason="segment")
    if len(lines) > MAX_SEGMENTS:
        raise HL7SyntaxError(reason="too-many-segments")
    if any(pieces[0][:3] in _HEADINGS for pieces in lines[1:]):
        # Read as one, the recipients of the first would get the documents of the second.
        raise HL7SyntaxError(reason="several-messages")
    return ["".join(pieces) for pieces in lines]


def _is_base64(text: str) -> bool:
    return _BASE64.fullmatch(text) is not None
