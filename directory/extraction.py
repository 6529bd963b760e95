"""Read the lines of the national files about people and mailboxes.

Shapes
    A file is read several times: `inspect_source` tells digest, encoding and number of lines in
    one quick pass; `read_…` then yields one value per line. Nothing is held in memory.
    The encoding is UTF-8 for the whole file or, when one octet says otherwise, Windows-1252 for
    the whole file, with a finding.
Errors
    `ExtractionSyntaxError` when the file cannot be used at all: not one of ours, a column is
    missing, an absurd size. Anything wrong with one line is a `Reject`: the line is left out and
    the file goes on.
Sources
    The files PS_LibreAcces_Personne_activite, PS_LibreAcces_SavoirFaire and
    Extraction_Correspondance_MSSante as published in 2026 by the Annuaire Santé, and the older and
    restricted editions named in `directory/sources.py`.
"""

import codecs
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar

from directory.address import MailAddress
from directory.codes import label_of
from directory.columns import ACTIVITY as ACTIVITY_COLUMNS
from directory.errors import AddressSyntaxError, ExtractionSyntaxError, IdentifierSyntaxError
from directory.findings import Finding, Severity
from directory.identifiers import FINESS, SIREN, SIRET, NationalPersonId
from directory.layout import Layout, LineRejectedError, Row, iter_lines, read_layout
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
from directory.places import arrondissement, city_of_line
from directory.sources import ExtractionKind, Source, find_sources, open_source

__all__ = [
    "Activity",
    "ExtractionKind",
    "Inspection",
    "LineReader",
    "Reject",
    "Source",
    "Tally",
    "find_sources",
    "inspect_source",
    "open_source",
    "read_activities",
    "read_mailboxes",
    "read_skills",
    "structure_id",
]

MAX_FILE_OCTETS: Final = 8 * 1024**3
MAX_REJECTS_KEPT: Final = 100_000
_MAX_REMEMBERED: Final = 20_000
_CHUNK: Final = 1024 * 1024

Value = TypeVar("Value")


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
        header = 0
        if source.kind is not ExtractionKind.FINESS:
            header = not read_layout(stream, source, encoding).first
    lines += last not in (b"\n", b"")
    return Inspection(
        sha256=digest.hexdigest(),
        size_octets=size,
        lines=max(0, lines - header),
        encoding=encoding,
        findings=() if decoder is not None else (_not_utf_8(source),),
    )


def read_activities(source: Source, encoding: str, tally: Tally) -> Iterator[Activity]:
    """Read Personne_activite: one value for each person, exercise, place and skill.

    Raises:
        ExtractionSyntaxError: The file lacks a column that is needed.
    """
    return _read(source, encoding, tally, LineReader.activity)


def read_skills(source: Source, encoding: str, tally: Tally) -> Iterator[Practitioner]:
    """Read SavoirFaire: a person with one profession and one skill for each line.

    Raises:
        ExtractionSyntaxError: The file lacks a column that is needed.
    """
    return _read(source, encoding, tally, LineReader.skilled)


def read_mailboxes(source: Source, encoding: str, tally: Tally) -> Iterator[MailboxEntry]:
    """Read Correspondance_MSSante: one mailbox for each line; an address can come again.

    Raises:
        ExtractionSyntaxError: The file lacks a column that is needed.
    """
    return _read(source, encoding, tally, LineReader.mailbox)


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


def _read(
    source: Source,
    encoding: str,
    tally: Tally,
    read: Callable[["LineReader", Row], Value],
) -> Iterator[Value]:
    """Yield a value for each line that has one, and count the others."""
    with open_source(source) as stream:
        layout = read_layout(stream, source, encoding)
        reader = LineReader(layout)
        for number, octets in enumerate(
            iter_lines(stream, layout.first), start=1 if layout.first else 2
        ):
            try:
                row = layout.row(layout.split(octets))
                value = read(reader, row)
                tally.odd += not reader.is_person_checked(row)
            except LineRejectedError as error:
                tally.reject(number, str(error))
            else:
                tally.rows += 1
                yield value


@dataclass(frozen=True, slots=True, kw_only=True)
class _RoleCodes:
    """What a line says of a situation, but for the place."""

    profession: Coded | None
    category: Coded | None
    mode: Coded | None
    activity: Coded | None
    function: Coded | None
    section: Coded | None


class LineReader:
    """Makes values of the lines of one file.

    Neighbouring lines repeat places and codes; the last ones are remembered, so that they are read
    once.
    """

    def __init__(self, layout: Layout) -> None:
        self._pick_place = layout.pick(_PLACE_COLUMNS)
        self._pick_codes = layout.pick(_ROLE_COLUMNS)
        self._pick_skill = layout.pick(_SKILL_COLUMNS)
        self._places: dict[object, Organization | None] = {}
        self._codes: dict[object, _RoleCodes] = {}
        self._skills: dict[object, Skill | None] = {}

    def activity(self, row: Row) -> Activity:
        """Read a person, and what the line says about where and how they work."""
        return Activity(practitioner=self.practitioner(row), role=self.role(row))

    def role(self, row: Row) -> PracticeRole | None:
        """Read the situation; a line that names no place and no mode has none."""
        place = self.place(row)
        text = self._pick_codes(row.fields)
        codes = self._codes.get(text)
        if codes is None:
            codes = _remember(self._codes, text, _role_codes(row))
        if place is None and codes.mode is None:
            return None
        return PracticeRole(
            profession=codes.profession,
            category=codes.category,
            mode=codes.mode,
            activity=codes.activity,
            function=codes.function,
            section=codes.section,
            organization=place,
        )

    def skilled(self, row: Row) -> Practitioner:
        """Read a line that is there for its skill."""
        person = self.practitioner(row)
        if not person.skills:
            raise LineRejectedError("no-skill")
        return person

    def practitioner(self, row: Row) -> Practitioner:
        """Read a person; the skill of the line with it."""
        return Practitioner(
            national_id=person_id(row),
            family=row("Nom d'exercice") or row("Nom de famille"),
            given=row("Prénom d'exercice") or _given_names(row("Prénoms")),
            civility=row("Code civilité"),
            title=row("Code civilité d'exercice") or row("Civilité d'exercice"),
            profession=_coded("profession", row("Code profession"), row("Libellé profession")),
            category=_category(row),
            skills=() if (skill := self.skill(row)) is None else (skill,),
        )

    def skill(self, row: Row) -> Skill | None:
        """Read the savoir-faire of a line, if it has one."""
        text = self._pick_skill(row.fields)
        if text not in self._skills:
            return _remember(self._skills, text, _skill(row))
        return self._skills[text]

    def place(self, row: Row) -> Organization | None:
        """Read the structure of an activity; a line without one is usual."""
        text = self._pick_place(row.fields)
        if text not in self._places:
            return _remember(self._places, text, _site(row))
        return self._places[text]

    def mailbox(self, row: Row, *, is_holder_known: bool = False) -> MailboxEntry:
        """Read a mailbox with its structure, and its holder unless they are known."""
        address = mailbox_address(row)
        is_held = bool(row("Identification nationale PP"))
        holder = self.practitioner(row) if is_held and not is_holder_known else None
        kind = row("Type de BAL") or ("PER" if is_held else "")
        if not kind:
            raise LineRejectedError("no-mailbox-kind")
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

    @staticmethod
    def is_person_checked(row: Row) -> bool:
        """Tell whether the number of the person passes its check; true of a line without one."""
        text = row("Identification nationale PP")
        return not text or NationalPersonId(text).is_checked


def person_id(row: Row) -> NationalPersonId:
    """Read whom a line is about.

    Raises:
        LineRejectedError: It is about nobody.
    """
    try:
        return NationalPersonId(row("Identification nationale PP"))
    except IdentifierSyntaxError:
        raise LineRejectedError("person-identifier") from None


def mailbox_address(row: Row) -> MailAddress:
    """Read the address of a line.

    Raises:
        LineRejectedError: It has none that can be read.
    """
    try:
        return MailAddress.parse(row("Adresse BAL"))
    except AddressSyntaxError as error:
        raise LineRejectedError(f"address: {error.reason}") from None


_PLACE_COLUMNS: Final = tuple(
    name
    for name in ACTIVITY_COLUMNS
    if "structure" in name or " site" in name or "secteur" in name or "juridique" in name
)


_SKILL_COLUMNS: Final = tuple(name for name in ACTIVITY_COLUMNS if "savoir-faire" in name)
_ROLE_COLUMNS: Final = tuple(
    name
    for name in (*ACTIVITY_COLUMNS, "Catégorie profession", "Libellé de catégorie profession")
    if name.startswith(("Code ", "Libellé ", "Catégorie "))
    and "structure" not in name
    and "civilité" not in name
    and "savoir-faire" not in name
)


@lru_cache(maxsize=8_192)
def _coded(name: str, code: str, label: str) -> Coded | None:
    """Pair a code and its label, which the restricted edition leaves out."""
    return Coded(code=code, label=label or label_of(name, code)) if code else None


def _skill(row: Row) -> Skill | None:
    code = row("Code savoir-faire")
    if not code:
        return None
    kind, kind_label = row("Code type savoir-faire"), row("Libellé type savoir-faire")
    return Skill(
        kind=Coded(code=kind, label=kind_label or label_of("skill-kind", kind)),
        code=code,
        label=row("Libellé savoir-faire") or label_of("skill", code),
    )


def _role_codes(row: Row) -> _RoleCodes:
    section = "section tableau pharmaciens"
    return _RoleCodes(
        profession=_coded("profession", row("Code profession"), row("Libellé profession")),
        category=_category(row),
        mode=_coded("mode", row("Code mode exercice"), row("Libellé mode exercice")),
        activity=_coded("activity", row("Code genre activité"), row("Libellé genre activité")),
        function=_coded("function", row("Code rôle"), row("Libellé rôle")),
        section=_coded("section", row(f"Code {section}"), row(f"Libellé {section}")),
    )


def _remember(known: dict[object, Value], text: object, value: Value) -> Value:
    """Keep a value for the next lines, within bounds."""
    if len(known) >= _MAX_REMEMBERED:
        known.clear()
    known[text] = value
    return value


def _category(row: Row) -> Coded | None:
    code = row("Code catégorie professionnelle") or row("Catégorie profession")
    label = row("Libellé catégorie professionnelle") or row("Libellé de catégorie profession")
    return _coded("category", code, label)


def _given_names(text: str) -> str:
    """Return the first of three names joined by apostrophes (`ANNE'MARIE'`)."""
    return text.split("'", 1)[0]


def _site(row: Row) -> Organization | None:
    finess = _number(FINESS, row("Numéro FINESS site"))
    siret = _number(SIRET, row("Numéro SIRET site"))
    legal = _number(FINESS, row("Numéro FINESS établissement juridique"))
    technical_id = row("Identifiant technique de la structure")
    key = _organization_key(finess or siret, technical_id)
    if key is None:
        return None
    return Organization(
        key=key,
        name=row("Raison sociale site"),
        trade_name=row("Enseigne commerciale site"),
        finess=finess,
        finess_legal=legal,
        siret=siret,
        siren=_number(SIREN, row("Numéro SIREN site")),
        technical_id=technical_id,
        old_id=row("Ancien identifiant de la structure"),
        parent_key="1" + legal if legal is not None and legal != finess else "",
        sector=_coded("sector", row("Code secteur d'activité"), row("Libellé secteur d'activité")),
        phone=row("Téléphone (coord. structure)"),
        phone2=row("Téléphone 2 (coord. structure)"),
        fax=row("Télécopie (coord. structure)"),
        email=row("Adresse e-mail (coord. structure)"),
        address=_site_address(row),
    )


def _site_address(row: Row) -> PostalAddress:
    def part(name: str) -> str:
        return row(f"{name} (coord. structure)")

    street = (
        part("Numéro Voie"),
        part("Indice répétition voie"),
        part("Libellé type de voie") or part("Code type de voie"),
        part("Libellé Voie"),
    )
    complement = (
        part("Complément destinataire"),
        part("Complément point géographique"),
        part("Mention distribution"),
    )
    return arrondissement(
        PostalAddress(
            street=_join(street),
            complement=_join(complement),
            postcode=part("Code postal"),
            city=part("Libellé commune") or city_of_line(part("Bureau cedex")),
            commune=part("Code commune"),
            department=row("Code Département (structure)"),
            country=part("Libellé pays"),
        )
    )


def _mailbox_place(row: Row) -> Organization | None:
    identifier = row("Identification Structure")
    if not identifier:
        # The old single table describes the place as an activity does.
        return _site(row) if row("Raison sociale site") else None
    number = structure_id(row("Type identifiant structure"), identifier)
    key = _organization_key(number, identifier)
    if key is None:
        return None

    def part(name: str) -> str:
        return row(f"{name} structure BAL")

    street = (
        part("L4NUMEROVOIE"),
        part("L4COMPLEMENTNUMEROVOIE"),
        part("NL4TYPEVOIE"),
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
            city=city_of_line(part("L6LIGNEACHEMINEMENT")),
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
