"""Read the national extraction files, line by line, and say what was wrong with each line left out.

The files are separated by `|`, have a header line and no quoting: a double quote is a character
like another. Columns are found by their name, never by their place, since the files have grown.

Shapes
    A source is read twice: `inspect_source` tells digest, encoding and lines in one quick pass;
    `read_…` then yields one value per line. Nothing is held in memory.
    The encoding is UTF-8 for the whole file or, when one octet says otherwise, Windows-1252 for
    the whole file, with a finding.
Errors
    `ExtractionSyntaxError` when the file cannot be used at all: not an extraction, a column is
    missing, an archive with several candidates, an absurd size. Anything wrong with one line is a
    `Reject`: the line is left out and the file goes on.
Sources
    Headers of the files PS_LibreAcces_Personne_activite, PS_LibreAcces_SavoirFaire and
    Extraction_Correspondance_MSSante as published in 2026 by the Annuaire Santé.
"""

import codecs
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Final, TypeVar, cast

from directory.address import MailAddress
from directory.errors import AddressSyntaxError, ExtractionSyntaxError, IdentifierSyntaxError
from directory.findings import Finding, Severity
from directory.identifiers import FINESS, SIREN, SIRET, NationalPersonId
from directory.model import (
    Coded,
    MailboxEntry,
    MailboxKind,
    Organization,
    PostalAddress,
    PracticeRole,
    Practitioner,
    Skill,
)

MAX_FILE_OCTETS: Final = 8 * 1024**3
MAX_LINE_OCTETS: Final = 64 * 1024
MAX_REJECTS_KEPT: Final = 1_000
_CHUNK: Final = 1024 * 1024
_STAMP: Final = re.compile(r"_([0-9]{12})(?=\.)")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class ExtractionKind(StrEnum):
    """The files that are read, by the beginning of their national names."""

    ACTIVITY = "PS_LibreAcces_Personne_activite"
    SKILL = "PS_LibreAcces_SavoirFaire"
    MAILBOX = "Extraction_Correspondance_MSSante"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One extraction file, alone or inside an archive.

    Attributes:
        member: Name inside the archive at *path*; `None` when *path* is the file itself.
        stamp: Generation of the file, AAAAMMJJhhmm; empty when the name has none.
    """

    kind: ExtractionKind
    path: Path
    member: str | None = None
    stamp: str = ""

    @property
    def file_name(self) -> str:
        """The name without folders, as published."""
        return self.path.name if self.member is None else Path(self.member).name


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What one pass over a source tells.

    Attributes:
        sha256: Digest of the text itself, unzipped.
        lines: Lines after the header.
    """

    sha256: str
    size_octets: int
    lines: int
    encoding: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """A line that was left out. It holds no content: the line number leads back to the file."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One row of the activity file: the person, and the role unless the row names no place."""

    practitioner: Practitioner
    role: PracticeRole | None


class Tally:
    """Counts what a reader does while it runs.

    Attributes:
        rows: Lines that became a value.
        rejected: Lines left out, of which the first thousand are in *rejects*.
        odd: Lines kept although an identifier in them fails its check.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.rejected = 0
        self.odd = 0
        self.rejects: list[Reject] = []

    def reject(self, line: int, reason: str) -> None:
        """Count a line left out."""
        self.rejected += 1
        if len(self.rejects) < MAX_REJECTS_KEPT:
            self.rejects.append(Reject(line=line, reason=reason))


def find_sources(path: Path) -> list[Source]:
    """Find the extractions in a file, an archive or a folder; of each kind the youngest.

    Raises:
        ExtractionSyntaxError: There is none, or an archive holds two of a kind.
    """
    if path.is_dir():
        entries = sorted(entry for entry in path.iterdir() if entry.is_file())
        found = [
            s for entry in entries if _kind_of(entry.name, "PS_LibreAcces") for s in _in(entry)
        ]
    else:
        found = _in(path)
    if not found:
        raise ExtractionSyntaxError("no-extraction", path.name)
    youngest = {source.kind: source for source in sorted(found, key=lambda s: s.stamp)}
    return sorted(youngest.values(), key=lambda source: list(ExtractionKind).index(source.kind))


def inspect_source(source: Source) -> Inspection:
    """Read the whole source once for its digest, size, lines and encoding.

    Raises:
        ExtractionSyntaxError: It cannot be read, lacks a column, or is absurdly large.
    """
    digest = hashlib.sha256()
    decoder: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
    size = lines = 0
    last = b""
    with open_source(source) as stream:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > MAX_FILE_OCTETS:
                raise ExtractionSyntaxError("too-large", source.file_name)
            digest.update(chunk)
            lines += chunk.count(b"\n")
            last = chunk[-1:]
            decoder = _still_utf_8(decoder, chunk)
    decoder = _still_utf_8(decoder, b"", final=True)
    encoding = "cp1252" if decoder is None else "utf-8"
    with open_source(source) as stream:
        _header(stream, encoding, _NEEDS[source.kind], source)
    lines += last not in (b"\n", b"")
    return Inspection(
        sha256=digest.hexdigest(),
        size_octets=size,
        lines=max(0, lines - 1),
        encoding=encoding,
        findings=() if decoder is not None else (_not_utf_8(source),),
    )


@contextmanager
def open_source(source: Source) -> Iterator[IO[bytes]]:
    """Open the octets of a source, unzipped."""
    try:
        if source.member is None:
            with source.path.open("rb") as stream:
                yield stream
        else:
            with zipfile.ZipFile(source.path) as archive, archive.open(source.member) as member:
                # The archive's own reader is slow line by line.
                yield io.BufferedReader(cast("io.RawIOBase", member), _CHUNK)
    except (
        OSError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        KeyError,
    ) as error:
        raise ExtractionSyntaxError("unreadable", source.file_name) from error
    except RuntimeError as error:  # what zipfile raises for an archive with a password
        raise ExtractionSyntaxError("unreadable", source.file_name) from error


def read_activities(source: Source, encoding: str, tally: Tally) -> Iterator[Activity]:
    """Read Personne_activite: one value for each person, exercise, place and skill.

    Raises:
        ExtractionSyntaxError: The file lacks a column that is needed.
    """
    return _read(source, encoding, tally, _ACTIVITY_NEEDS, _activity)


def read_skills(source: Source, encoding: str, tally: Tally) -> Iterator[Practitioner]:
    """Read SavoirFaire: a person with one profession and one skill for each line.

    Raises:
        ExtractionSyntaxError: The file lacks a column that is needed.
    """
    return _read(source, encoding, tally, _SKILL_NEEDS, _skilled)


def read_mailboxes(source: Source, encoding: str, tally: Tally) -> Iterator[MailboxEntry]:
    """Read Correspondance_MSSante: one mailbox for each line; an address can come again.

    Raises:
        ExtractionSyntaxError: The file lacks a column that is needed.
    """
    return _read(source, encoding, tally, _MAILBOX_NEEDS, _mailbox)


def structure_id(kind: str, text: str) -> FINESS | SIREN | SIRET | None:
    """Recognise a structure's number by its shape; the published type codes are ambiguous.

    The prefix of the national identifier (`1` FINESS, `3` SIRET) may be there or not.
    """
    text = text.strip()
    bare = {10: ("1", "2"), 15: ("3",)}.get(len(text))
    if bare and text[0] in bare:
        kind, text = text[0], text[1:]
    try:
        if len(text) == 14:
            return SIRET(text)
        return SIREN(text) if kind in ("2", "4") else FINESS(text)
    except IdentifierSyntaxError:
        return None


# Below, a row is a mapping from column name to text; a column that is absent reads as empty.
Row = Callable[[str], str]
Value = TypeVar("Value")


class _LineRejectedError(Exception):
    """Leaves a line out, for the reason given."""


_ACTIVITY_NEEDS: Final = (
    "Identification nationale PP",
    "Nom d'exercice",
    "Prénom d'exercice",
    "Code profession",
    "Code savoir-faire",
    "Numéro FINESS site",
    "Identifiant technique de la structure",
    "Raison sociale site",
    "Code postal (coord. structure)",
)
_SKILL_NEEDS: Final = ("Identification nationale PP", "Code savoir-faire", "Libellé savoir-faire")
_MAILBOX_NEEDS: Final = (
    "Type de BAL",
    "Adresse BAL",
    "Identification nationale PP",
    "Identification Structure",
)
_NEEDS: Final = {
    ExtractionKind.ACTIVITY: _ACTIVITY_NEEDS,
    ExtractionKind.SKILL: _SKILL_NEEDS,
    ExtractionKind.MAILBOX: _MAILBOX_NEEDS,
}


def _read(
    source: Source,
    encoding: str,
    tally: Tally,
    needs: Sequence[str],
    build: Callable[[Row, Tally], Value],
) -> Iterator[Value]:
    """Yield a value for each line that has one, and count the others."""
    with open_source(source) as stream:
        columns = _header(stream, encoding, needs, source)
        width = max(columns.values()) + 1
        for number, octets in enumerate(_lines(stream), start=2):
            try:
                value = build(_row(columns, _fields(octets, encoding, width)), tally)
            except _LineRejectedError as error:
                tally.reject(number, str(error))
            else:
                tally.rows += 1
                yield value


def _row(columns: dict[str, int], fields: list[str]) -> Row:
    def text(name: str) -> str:
        place = columns.get(name)
        return "" if place is None else fields[place]

    return text


def _header(
    stream: IO[bytes], encoding: str, needs: Sequence[str], source: Source
) -> dict[str, int]:
    octets = stream.readline(MAX_LINE_OCTETS).removeprefix(codecs.BOM_UTF8)
    names = octets.decode(encoding, "replace").rstrip("\r\n").split("|")
    columns: dict[str, int] = {}
    for place, name in enumerate(names):
        plain = " ".join(name.replace("\u2019", "'").split())
        if plain:
            columns.setdefault(plain, place)
    missing = [name for name in needs if name not in columns]
    if missing:
        raise ExtractionSyntaxError("missing-column: " + ", ".join(missing), source.file_name)
    return columns


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines; one that is too long comes as its beginning, which is then refused."""
    while octets := stream.readline(MAX_LINE_OCTETS + 1):
        rest = octets
        while len(rest) > MAX_LINE_OCTETS and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE_OCTETS + 1)
        yield octets


def _fields(octets: bytes, encoding: str, width: int) -> list[str]:
    """Split a line; one extra separator at its end is usual."""
    if len(octets) > MAX_LINE_OCTETS:
        raise _LineRejectedError("line-too-long")
    try:
        text = octets.decode(encoding).rstrip("\r\n")
    except UnicodeDecodeError:
        raise _LineRejectedError("undecodable") from None
    if _CONTROL.search(text):
        raise _LineRejectedError("control-character")
    fields = text.split("|")
    if len(fields) == width + 1 and not fields[-1]:
        fields.pop()
    if len(fields) != width:
        raise _LineRejectedError(f"field-count: {len(fields)} instead of {width}")
    return [field.strip() for field in fields]


def _activity(row: Row, tally: Tally) -> Activity:
    person = _practitioner(row, tally)
    place = _site(row)
    if place is None and not row("Code mode exercice"):
        return Activity(practitioner=person, role=None)
    role = PracticeRole(
        profession=person.profession,
        category=person.category,
        mode=Coded.of(row("Code mode exercice"), row("Libellé mode exercice")),
        activity=Coded.of(row("Code genre activité"), row("Libellé genre activité")),
        function=Coded.of(row("Code rôle"), row("Libellé rôle")),
        organization=place,
    )
    return Activity(practitioner=person, role=role)


def _skilled(row: Row, tally: Tally) -> Practitioner:
    person = _practitioner(row, tally)
    if not person.skills:
        raise _LineRejectedError("no-skill")
    return person


def _practitioner(row: Row, tally: Tally) -> Practitioner:
    try:
        national_id = NationalPersonId(row("Identification nationale PP"))
    except IdentifierSyntaxError:
        raise _LineRejectedError("person-identifier") from None
    tally.odd += not national_id.is_checked
    category = row("Code catégorie professionnelle") or row("Catégorie profession")
    category_label = row("Libellé catégorie professionnelle") or row(
        "Libellé de catégorie profession"
    )
    return Practitioner(
        national_id=national_id,
        family=row("Nom d'exercice"),
        given=row("Prénom d'exercice"),
        civility=row("Code civilité"),
        title=row("Code civilité d'exercice") or row("Civilité d'exercice"),
        profession=Coded.of(
            row("Code profession") or row("Code Profession"),
            row("Libellé profession") or row("Libellé Profession"),
        ),
        category=Coded.of(category, category_label),
        skills=() if (skill := _skill(row)) is None else (skill,),
    )


def _skill(row: Row) -> Skill | None:
    code = row("Code savoir-faire")
    if not code:
        return None
    kind = Coded(code=row("Code type savoir-faire"), label=row("Libellé type savoir-faire"))
    return Skill(kind=kind, code=code, label=row("Libellé savoir-faire"))


def _site(row: Row) -> Organization | None:
    """Read the structure of an activity; a row without one is usual."""
    finess = _number(FINESS, row("Numéro FINESS site"))
    siret = _number(SIRET, row("Numéro SIRET site"))
    technical_id = row("Identifiant technique de la structure")
    name = row("Raison sociale site")
    key = _organization_key(finess or siret, technical_id)
    if key is None:
        return None
    return Organization(
        key=key,
        name=name,
        trade_name=row("Enseigne commerciale site"),
        finess=finess,
        finess_legal=_number(FINESS, row("Numéro FINESS établissement juridique")),
        siret=siret,
        siren=_number(SIREN, row("Numéro SIREN site")),
        technical_id=technical_id,
        sector=Coded.of(row("Code secteur d'activité"), row("Libellé secteur d'activité")),
        phone=row("Téléphone (coord. structure)"),
        address=_site_address(row),
    )


def _site_address(row: Row) -> PostalAddress:
    def part(name: str) -> str:
        return row(f"{name} (coord. structure)")

    street = (
        part("Numéro Voie"),
        part("Indice répétition voie"),
        part("Libellé type de voie"),
        part("Libellé Voie"),
    )
    complement = (
        part("Complément destinataire"),
        part("Complément point géographique"),
        part("Mention distribution"),
    )
    return PostalAddress(
        street=_join(street),
        complement=_join(complement),
        postcode=part("Code postal"),
        city=part("Libellé commune") or _city_of(part("Bureau cedex")),
        commune=part("Code commune"),
        department=row("Code Département (structure)"),
        country=part("Libellé pays"),
    )


def _mailbox(row: Row, tally: Tally) -> MailboxEntry:
    try:
        address = MailAddress.parse(row("Adresse BAL"))
    except AddressSyntaxError as error:
        raise _LineRejectedError(f"address: {error.reason}") from None
    kind = row("Type de BAL")
    if not kind:
        raise _LineRejectedError("no-mailbox-kind")
    holder = None
    if row("Identification nationale PP"):
        holder = _practitioner(row, tally)
    return MailboxEntry(
        address=address,
        kind=MailboxKind.of(kind),
        practitioner=holder,
        organization=_mailbox_place(row),
        service=row("Service de rattachement"),
        description=row("Description"),
        responsible=row("Responsable"),
        paperless=row("Dématérialisation"),
        # Restricted editions carry it; the open file holds no such mailbox at all.
        liste_rouge=row("Liste rouge").upper() in ("O", "OUI", "1", "TRUE"),
    )


def _mailbox_place(row: Row) -> Organization | None:
    identifier = row("Identification Structure")
    if not identifier:
        return None
    number = structure_id(row("Type identifiant structure"), identifier)
    key = _organization_key(number, identifier)
    if key is None:
        return None

    def part(name: str) -> str:
        return row(f"{name} structure BAL")

    street = (
        part("L4NUMEROVOIE"),
        part("L4COMPLEMENTNUMEROVOIE"),
        part("NL4TYPEVOIE") or part("L4TYPEVOIE"),
        part("L4LIBELLEVOIE"),
    )
    complement = (
        part("L2COMPLEMENTLOCALISATION"),
        part("L3COMPLEMENTDISTRIBUTION"),
        part("L5LIEUDITMENTION"),
    )
    return Organization(
        key=key,
        name=part("Raison Sociale"),
        trade_name=part("Enseigne commerciale"),
        finess=number if isinstance(number, FINESS) else None,
        siret=number if isinstance(number, SIRET) else None,
        siren=number if isinstance(number, SIREN) else None,
        technical_id="" if number else identifier,
        address=PostalAddress(
            street=_join(street),
            complement=_join(complement),
            postcode=part("Code postal"),
            city=_city_of(part("L6LIGNEACHEMINEMENT")),
            department=part("Département"),
            country=part("Pays"),
        ),
    )


def _organization_key(number: FINESS | SIREN | SIRET | None, technical_id: str) -> str | None:
    """Name a structure the same way in every file, so that the same one meets itself."""
    match number:
        case FINESS():
            return "1" + number
        case SIRET():
            return "3" + number
        case SIREN():
            return "2" + number
        case None:
            return technical_id[:64] or None


NumberT = TypeVar("NumberT", FINESS, SIREN, SIRET)


def _number(kind: type[NumberT], text: str) -> NumberT | None:
    try:
        return kind(text) if text else None
    except IdentifierSyntaxError:
        return None


def _city_of(line: str) -> str:
    """Return the town of a delivery line such as `69003 LYON CEDEX 03`."""
    return re.sub(r"^[0-9]{5} +", "", line)


def _join(parts: Sequence[str]) -> str:
    return " ".join(part for part in parts if part)


def _still_utf_8(
    decoder: codecs.IncrementalDecoder | None, chunk: bytes, *, final: bool = False
) -> codecs.IncrementalDecoder | None:
    """Return the decoder as long as all it saw is UTF-8."""
    try:
        if decoder is not None:
            decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return None
    return decoder


def _not_utf_8(source: Source) -> Finding:
    return Finding(
        code="extraction-encoding",
        severity=Severity.WARNING,
        text=f"{source.file_name} is not UTF-8; it was read as Windows-1252.",
    )


def _kind_of(name: str, *also: str) -> bool:
    return name.startswith((*ExtractionKind, *also))


def _in(path: Path) -> list[Source]:
    """List the extractions that a file is or holds."""
    if not path.is_file():
        raise ExtractionSyntaxError("no-such-file", path.name)
    if not zipfile.is_zipfile(path):
        return _named(path, None, path.name)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
    except (zipfile.BadZipFile, OSError, UnicodeDecodeError) as error:
        raise ExtractionSyntaxError("unreadable", path.name) from error
    found = [s for name in names for s in _named(path, name, Path(name).name)]
    if len({source.kind for source in found}) != len(found):
        raise ExtractionSyntaxError("several-of-a-kind", path.name)
    return found


def _named(path: Path, member: str | None, name: str) -> list[Source]:
    stamp = _STAMP.search(name) or _STAMP.search(path.name)
    return [
        Source(kind=kind, path=path, member=member, stamp=stamp[1] if stamp else "")
        for kind in ExtractionKind
        if name.startswith(kind)
    ]
