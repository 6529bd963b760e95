"""Find the national files in what an administrator hands over, and open them.

A file comes alone, compressed (`.gz`) or in an archive (`.zip`), under its national name or under
any other: then its first line says what it is.

Shapes
    A stamp is AAAAMMJJhhmm, from the name of the file or of its archive; empty if neither has one.
Errors
    `ExtractionSyntaxError` when there is nothing that can be used: no file of ours, an archive
    with several of a kind, or one that cannot be opened.
Sources
    Names of the files as published by the Annuaire Santé and on data.gouv.fr in 2026.
"""

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Final, cast

from directory.errors import ExtractionSyntaxError

MAX_MEMBERS: Final = 1_000
_CHUNK: Final = 1024 * 1024
_SNIFF: Final = 64 * 1024
_STAMP: Final = re.compile(r"[_-]([0-9]{12}|[0-9]{8}|[0-9]{6})(?=\.|-|$)")
_BROKEN: Final = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    KeyError,
    RuntimeError,  # what zipfile raises for an archive with a password
)


class ExtractionKind(StrEnum):
    """The files that are read, by the beginning of their national names."""

    ACTIVITY = "PS_LibreAcces_Personne_activite"
    SKILL = "PS_LibreAcces_SavoirFaire"
    DIPLOMA = "PS_LibreAcces_Dipl_AutExerc"
    """Accepted, since it comes in the same archive, and not read: nobody is found by a diploma."""
    MAILBOX = "Extraction_Correspondance_MSSante"
    CONNECT = "Extraction_ProSanteConnect_Personne_activite"
    """The restricted edition of the activities: codes without labels."""
    MONO = "ExtractionMonoTable_CAT18_ToutePopulation"
    """One table of people, places and mailboxes, as published until 2018."""
    FINESS = "finess-structures"
    """FINESS+ in JSON, or its older tables."""


PEOPLE: Final = (ExtractionKind.ACTIVITY, ExtractionKind.CONNECT, ExtractionKind.MONO)
"""The files that each name the whole population: one of them is enough."""

_NAMES: Final = {
    **{kind.value.casefold(): kind for kind in ExtractionKind},
    "etalab-cs1100502": ExtractionKind.FINESS,
    "etalab-cs1100507": ExtractionKind.FINESS,
    "etalab_cs1100502": ExtractionKind.FINESS,
    "etalab_cs1100507": ExtractionKind.FINESS,
    "etalab_stock_et": ExtractionKind.FINESS,
}
_SIGNS: Final = (  # what only the first line of this kind has; folded, looked for in this order
    ("adressebal", ExtractionKind.MAILBOX),
    ("codetypediplome", ExtractionKind.DIPLOMA),
    ("numerofinesssite", ExtractionKind.ACTIVITY),
    ("codesavoirfaire", ExtractionKind.SKILL),
    ("finess;etalab;", ExtractionKind.FINESS),
    ('{"schemaversion"', ExtractionKind.FINESS),
    ('"pmej"', ExtractionKind.FINESS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One national file, alone or inside an archive.

    Attributes:
        member: Name inside the archive at *path*; `None` when *path* is the file itself.
        stamp: Generation of the file, AAAAMMJJhhmm; empty when nothing says it.
    """

    kind: ExtractionKind
    path: Path
    member: str | None = None
    stamp: str = ""

    @property
    def file_name(self) -> str:
        """The name without folders, as published."""
        return self.path.name if self.member is None else Path(self.member).name

    @property
    def size_octets(self) -> int:
        """What is to be read: exact in an archive and of a plain file, compressed otherwise."""
        try:
            if self.member is None:
                return self.path.stat().st_size
            with zipfile.ZipFile(self.path) as archive:
                return archive.getinfo(self.member).file_size
        except _BROKEN:
            return 0


def find_sources(path: Path) -> list[Source]:
    """Find the national files in a file, an archive or a folder; of each kind the youngest.

    Raises:
        ExtractionSyntaxError: There is none, or an archive holds two of a kind.
    """
    if not path.is_dir():
        found = _in(path)
        if not found:
            raise ExtractionSyntaxError("no-extraction", path.name)
        return merge_sources(found)
    entries = sorted(entry for entry in path.iterdir() if entry.is_file())
    found = [
        source
        for entry in entries
        if _kind_of_name(entry.name) or entry.suffix in (".zip", ".txt", ".csv", ".gz", ".json")
        for source in _in(entry)
    ]
    if not found:
        raise ExtractionSyntaxError("no-extraction", path.name)
    return merge_sources(found)


def merge_sources(found: Iterable[Source]) -> list[Source]:
    """Keep the youngest of each kind, in the order in which they are read."""
    youngest = {source.kind: source for source in sorted(found, key=lambda s: s.stamp)}
    order = list(ExtractionKind)
    return sorted(youngest.values(), key=lambda source: order.index(source.kind))


@contextmanager
def open_source(source: Source) -> Iterator[IO[bytes]]:
    """Open the octets of a source, decompressed."""
    try:
        if source.member is None:
            with source.path.open("rb") as stream:
                yield _decompressed(stream)
        else:
            with zipfile.ZipFile(source.path) as archive, archive.open(source.member) as member:
                # The archive's own reader is slow line by line.
                plain = io.BufferedReader(cast("io.RawIOBase", member), _CHUNK)
                yield _decompressed(plain)
    except _BROKEN as error:
        raise ExtractionSyntaxError("unreadable", source.file_name) from error


def _decompressed(stream: IO[bytes]) -> IO[bytes]:
    start = cast("io.BufferedReader", stream).peek(2)[:2]
    if start != b"\x1f\x8b":
        return stream
    inner = gzip.GzipFile(fileobj=stream)
    return cast("IO[bytes]", io.BufferedReader(cast("io.RawIOBase", inner), _CHUNK))


def _in(path: Path) -> list[Source]:
    """List the national files that a file is or holds."""
    if not path.is_file():
        raise ExtractionSyntaxError("no-such-file", path.name)
    if not zipfile.is_zipfile(path):
        return _recognised(path, None)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
    except (zipfile.BadZipFile, OSError, UnicodeDecodeError) as error:
        raise ExtractionSyntaxError("unreadable", path.name) from error
    if len(names) > MAX_MEMBERS:
        raise ExtractionSyntaxError("too-many-members", path.name)
    found = [source for name in names for source in _recognised(path, name)]
    if len({source.kind for source in found}) != len(found):
        raise ExtractionSyntaxError("several-of-a-kind", path.name)
    return found


def _recognised(path: Path, member: str | None) -> list[Source]:
    name = path.name if member is None else Path(member).name
    kind = _kind_of_name(name)
    if kind is None:
        kind = _kind_of_content(Source(kind=ExtractionKind.ACTIVITY, path=path, member=member))
    if kind is None:
        return []
    return [Source(kind=kind, path=path, member=member, stamp=stamp_of(name, path.name))]


def stamp_of(*names: str) -> str:
    """Read the generation of a file from its name, or the next name; empty if none has it."""
    for name in names:
        found = _STAMP.findall(name)
        if found:
            return str(found[-1]).ljust(12, "0")
    return ""


def _kind_of_name(name: str) -> ExtractionKind | None:
    plain = name.casefold()
    return next((kind for start, kind in _NAMES.items() if plain.startswith(start)), None)


def _kind_of_content(source: Source) -> ExtractionKind | None:
    with open_source(source) as stream:
        start = stream.read(_SNIFF)
    # A table is known by its header, FINESS+ by the members at its beginning.
    is_table = not start.lstrip().startswith(b"{")
    line = start.split(b"\n", 1)[0] if is_table else start
    text = re.sub(r"[\s']", "", line.decode("latin-1").casefold())
    text = text.replace("_", "").replace("ã©", "e").replace("é", "e").replace("\xa0", "")
    if text.startswith('"') and ";" in text and "mss" in text:
        return ExtractionKind.MONO
    plain = text.replace("-", "")
    return next((kind for sign, kind in _SIGNS if sign in plain), None)
