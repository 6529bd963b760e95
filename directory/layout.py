"""Find out where each column of a national file is, and split its lines.

Columns are found by their name, without regard to case, accents and punctuation, never by their
place: the files have grown, and may change their order. Two files are known by place alone, if
their first line does not help: the old table CAT18 (41 columns) and the restricted edition of the
activities (50 columns).

Shapes
    A line has as many fields as the header names, or one more that is empty.
Errors
    `ExtractionSyntaxError` when a column that is needed is missing; `LineRejectedError`, which
    never leaves the readers, when one line cannot be split.
Sources
    docs/directory.md lists the quirks that were met.
"""

import codecs
import csv
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import IO, Final

from directory import columns
from directory.errors import ExtractionSyntaxError
from directory.sources import ExtractionKind, Source

MAX_LINE_OCTETS: Final = 64 * 1024
_CHUNK: Final = 1024 * 1024
_CONTROL: Final = bytes(n for n in (*range(32), 127) if n not in b"\t\n")
_NOT_PLAIN: Final = re.compile(r"[^a-z0-9]+")


class Row:
    """A line as a mapping from column name to text; a column that is absent reads as empty."""

    __slots__ = ("_places", "fields")

    def __init__(self, places: Mapping[str, int], fields: list[str]) -> None:
        self._places = places
        self.fields = fields

    def __call__(self, name: str) -> str:
        """Return the text of a column, without spaces around it."""
        place = self._places.get(name)
        return "" if place is None else self.fields[place].strip()


class LineRejectedError(Exception):
    """Leaves a line out, for the reason given."""


_NEEDS: Final[Mapping[ExtractionKind, tuple[str, ...]]] = {
    ExtractionKind.ACTIVITY: (
        "Identification nationale PP",
        "Nom d'exercice",
        "Prénom d'exercice",
        "Code profession",
        "Code savoir-faire",
        "Numéro FINESS site",
        "Identifiant technique de la structure",
        "Raison sociale site",
        "Code postal (coord. structure)",
    ),
    ExtractionKind.SKILL: (
        "Identification nationale PP",
        "Code savoir-faire",
        "Libellé savoir-faire",
    ),
    ExtractionKind.DIPLOMA: ("Identification nationale PP",),
    ExtractionKind.MAILBOX: (
        "Type de BAL",
        "Adresse BAL",
        "Identification nationale PP",
        "Identification Structure",
    ),
    ExtractionKind.CONNECT: ("Identification nationale PP", "Code profession"),
    ExtractionKind.MONO: ("Identification nationale PP", "Nom d'exercice", "Adresse BAL"),
}
_BY_PLACE: Final = {
    ExtractionKind.CONNECT: columns.CONNECT,
    ExtractionKind.MONO: columns.MONO,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the lines of one file are read.

    Attributes:
        places: Index of each column, by the folded name.
        width: Number of fields.
        first: The first line, if it is a line like the others and no header.
    """

    kind: ExtractionKind
    places: Mapping[str, int]
    width: int
    encoding: str
    separator: str = "|"
    is_quoted: bool = False
    first: bytes = b""

    def split(self, octets: bytes) -> list[str]:
        """Split a line into its fields; one extra separator at its end is usual.

        Raises:
            LineRejectedError: It is not a line of this file.
        """
        if len(octets) > MAX_LINE_OCTETS:
            raise LineRejectedError("line-too-long")
        octets = octets.rstrip(b"\r\n")
        if has_control(octets):
            raise LineRejectedError("control-character")
        try:
            text = octets.decode(self.encoding)
        except UnicodeDecodeError:
            raise LineRejectedError("undecodable") from None
        fields = _unquoted(text) if self.is_quoted else text.split(self.separator)
        width = self.width
        if len(fields) == width + 1 and not fields[-1]:
            fields.pop()
        if len(fields) != width:
            raise LineRejectedError(f"field-count: {len(fields)} instead of {width}")
        return fields

    def row(self, fields: list[str]) -> Row:
        """Give access to the fields by the names of their columns."""
        return Row(self.places, fields)

    def pick(self, names: Sequence[str]) -> Callable[[list[str]], object]:
        """Return what takes some columns out of the fields of a line, to tell lines apart."""
        places = [self.places[name] for name in names if name in self.places]
        return itemgetter(*places) if places else lambda _fields: ()


def read_layout(stream: IO[bytes], source: Source, encoding: str) -> Layout:
    """Read the header of a file.

    Raises:
        ExtractionSyntaxError: A column that is needed is missing.
    """
    line = stream.readline(MAX_LINE_OCTETS).removeprefix(codecs.BOM_UTF8)
    text = line.decode(encoding, "replace").rstrip("\r\n")
    is_quoted = source.kind is ExtractionKind.MONO
    separator = ";" if is_quoted else "|"
    names = _unquoted(text) if is_quoted else text.split(separator)
    places = _places(names)
    missing = [name for name in _NEEDS[source.kind] if name not in places]
    first = b""
    by_place = _BY_PLACE.get(source.kind)
    if missing and by_place and len(names) - len(by_place) in (-1, 0, 1):
        places = {name: place for place, name in enumerate(by_place[: len(names)]) if name}
        first = line.rstrip(b"\n") if names[0].strip().isdigit() else b""
        missing = []
    if missing:
        raise ExtractionSyntaxError("missing-column: " + ", ".join(missing), source.file_name)
    return Layout(
        kind=source.kind,
        places=places,
        width=max(_width(names), max(places.values()) + 1),
        encoding=encoding,
        separator=separator,
        is_quoted=is_quoted,
        first=first,
    )


def has_control(octets: bytes) -> bool:
    """Say whether a control character stands in a line; ten times faster than a pattern would."""
    return len(octets.translate(None, _CONTROL)) != len(octets)


def iter_lines(stream: IO[bytes], first: bytes = b"") -> Iterator[bytes]:
    """Yield the lines; one that is too long comes as its beginning, which is then refused.

    Args:
        stream: What is left to read.
        first: A line that was read already.
    """
    if first:
        yield first
    pending = b""
    while chunk := stream.read(_CHUNK):
        lines = (pending + chunk if pending else chunk).split(b"\n")
        pending = lines.pop()
        yield from lines
        if len(pending) > MAX_LINE_OCTETS:
            yield pending[: MAX_LINE_OCTETS + 1]
            pending = _skip_line(stream)
    if pending:
        yield pending


def _skip_line(stream: IO[bytes]) -> bytes:
    """Read on to the end of a line that is too long; return what comes after it."""
    while chunk := stream.read(_CHUNK):
        _, end, rest = chunk.partition(b"\n")
        if end:
            return rest
    return b""


def _places(names: list[str]) -> dict[str, int]:
    """Find the columns that we know by their folded names."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        known = _KNOWN.get(fold_name(name))
        if known is not None:
            places.setdefault(known, place)
    return places


def _width(names: list[str]) -> int:
    """Count the columns: a separator at the end of the header makes no column."""
    return len(names) - (1 if len(names) > 1 and not names[-1].strip() else 0)


def fold_name(name: str) -> str:
    """Bring the name of a column to letters and digits."""
    plain = unicodedata.normalize("NFKD", name.casefold().replace("œ", "oe"))
    return _NOT_PLAIN.sub("", plain)


def _unquoted(text: str) -> list[str]:
    """Split a line whose fields are in quotes."""
    try:
        return next(csv.reader([text], delimiter=";", strict=False), [""])
    except csv.Error:
        raise LineRejectedError("quotes") from None


_KNOWN: Final = {
    fold_name(name): name
    for name in (
        *columns.OTHER_SPELLINGS.values(),
        *columns.MONO,
        *columns.CONNECT,
        *columns.SKILL,
        *columns.DIPLOMA,
        *columns.MAILBOX,
        *columns.ACTIVITY,
    )
    if name
} | {fold_name(other): name for other, name in columns.OTHER_SPELLINGS.items()}
