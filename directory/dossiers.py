"""Bring together all that the national files say about one person.

The file of the population is read in passing: the lines of a person stand together in it. The
lines of the other files, and of people who are scattered, are held until their person comes by; if
they are too many for the memory, the files are read in several parts, each for a share of the
people.

Errors
    None for a line: what cannot be understood was counted by the survey, and is left out here.
"""

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from directory.extraction import LineReader
from directory.layout import Layout, LineRejectedError, Row, iter_lines, read_layout
from directory.model import MailboxEntry, PracticeRole, Practitioner, Skill
from directory.numbers import role_number
from directory.sources import PEOPLE, ExtractionKind, open_source
from directory.survey import PROGRESS_LINES, Progress, Survey, Surveyed, person_key

Keyed = tuple[int, bytes]
_BESIDE: Final = (ExtractionKind.SKILL, ExtractionKind.MAILBOX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """One person, whole.

    Attributes:
        digest: Tells this state of the person from another.
        role_numbers: Of the roles, in their order.
        mailboxes: Each with its structure, and without its holder: that is *practitioner*.
        is_orphan: True if the person is known from mailboxes only.
    """

    number: int
    digest: int
    practitioner: Practitioner
    role_numbers: tuple[int, ...] = ()
    mailboxes: tuple[MailboxEntry, ...] = ()
    is_orphan: bool = False


class Everybody:
    """Contains every number."""

    def __contains__(self, number: object) -> bool:
        return True


def iter_dossiers(
    survey: Survey, *, wanted: Container[int] | None = None, progress: Progress
) -> Iterator[Dossier]:
    """Yield the people who are wanted, everybody if `None`, each once.

    Raises:
        ExtractionSyntaxError: A file cannot be read any more.
    """
    wanted = Everybody() if wanted is None else wanted
    for part in range(survey.parts):
        yield from _iter_part(survey, wanted, part, progress)


def iter_structure_mailboxes(survey: Survey) -> Iterator[MailboxEntry]:
    """Yield the mailboxes that nobody holds.

    Raises:
        ExtractionSyntaxError: The file cannot be read any more.
    """
    each = survey.find(ExtractionKind.MAILBOX)
    if each is None:
        return
    with open_source(each.source) as stream:
        layout = read_layout(stream, each.source, each.inspection.encoding)
        reader = LineReader(layout)
        for number, octets in _keyed(layout, iter_lines(stream, layout.first)):
            if number:
                continue
            try:
                yield reader.mailbox(layout.row(layout.split(octets)))
            except LineRejectedError:
                continue


def _iter_part(
    survey: Survey, wanted: Container[int], part: int, progress: Progress
) -> Iterator[Dossier]:
    parts = survey.parts
    held: dict[int, list[tuple[_File, bytes]]] = {}
    for kind in _BESIDE:
        each = survey.find(kind)
        if each is not None:
            _hold(held, each, lambda n: n % parts == part and n in wanted)
    population = survey.find(*PEOPLE)
    if population is not None:
        if survey.scattered:
            scattered = survey.scattered
            _hold(held, population, lambda n: n % parts == part and n in scattered and n in wanted)
        title = population.source.file_name + (f" {part + 1}/{parts}" if parts > 1 else "")
        for number, lines in _passing(survey, population, wanted, part, title, progress):
            yield from _dossier(survey, number, [*lines, *held.pop(number, ())])
    for number, lines in held.items():
        yield from _dossier(survey, number, lines)


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is open for reading: how its lines are split and understood."""

    layout: Layout
    reader: LineReader


def _hold(
    held: dict[int, list[tuple[_File, bytes]]], each: Surveyed, is_wanted: Callable[[int], bool]
) -> None:
    with open_source(each.source) as stream:
        layout = read_layout(stream, each.source, each.inspection.encoding)
        file = _File(layout, LineReader(layout))
        for number, octets in _keyed(layout, iter_lines(stream, layout.first)):
            if number and is_wanted(number):
                held.setdefault(number, []).append((file, octets))


def _passing(
    survey: Survey,
    each: Surveyed,
    wanted: Container[int],
    part: int,
    title: str,
    progress: Progress,
) -> Iterator[tuple[int, list[tuple[_File, bytes]]]]:
    """Yield the lines of each wanted person who is not scattered."""
    parts, scattered = survey.parts, survey.scattered
    last, lines = 0, []  # type: int, list[tuple[_File, bytes]]
    with open_source(each.source) as stream:
        layout = read_layout(stream, each.source, each.inspection.encoding)
        file = _File(layout, LineReader(layout))
        for place, (number, octets) in enumerate(_keyed(layout, iter_lines(stream, layout.first))):
            if place % PROGRESS_LINES == 0:
                progress(title, place, each.inspection.lines)
            if number != last:
                if lines:
                    yield last, lines
                last, lines = number, []
            if number % parts == part and number in wanted and number not in scattered:
                lines.append((file, octets))
        if lines:
            yield last, lines
    progress(title, each.inspection.lines, each.inspection.lines)


def _keyed(layout: Layout, lines: Iterable[bytes]) -> Iterator[Keyed]:
    """Put the number of its person before each line that can be read."""
    key = person_key(layout)
    for line in lines:
        octets = line.removesuffix(b"\r")
        try:
            yield key(octets), octets
        except LineRejectedError:
            continue


def _dossier(survey: Survey, number: int, lines: list[tuple[_File, bytes]]) -> Iterator[Dossier]:
    """Make one person of all the lines; nobody if none of them can be read."""
    if number == 0:
        return
    building = _Building(number)
    for file, octets in lines:
        try:
            building.add(file, file.layout.row(file.layout.split(octets)))
        except LineRejectedError:
            continue
    if building.practitioner is None:
        return
    yield Dossier(
        number=number,
        digest=survey.digest_of(number),
        practitioner=replace(
            building.practitioner,
            skills=tuple(building.skills.values()),
            roles=tuple(building.roles.values()),
        ),
        role_numbers=tuple(building.roles),
        mailboxes=tuple(building.mailboxes),
        is_orphan=building.is_orphan,
    )


class _Building:
    """A dossier in the making."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.practitioner: Practitioner | None = None
        self.skills: dict[str, Skill] = {}
        self.roles: dict[int, PracticeRole] = {}
        self.mailboxes: list[MailboxEntry] = []
        self.is_orphan = True

    def add(self, file: _File, row: Row) -> None:
        """Add what a line says."""
        kind, reader = file.layout.kind, file.reader
        if kind is ExtractionKind.MAILBOX:
            mailbox = reader.mailbox(row, is_holder_known=not self.is_orphan)
            if mailbox.practitioner is not None:
                self._meet(mailbox.practitioner)
                mailbox = replace(mailbox, practitioner=None)
            self.mailboxes.append(mailbox)
            return
        self.is_orphan = False
        if self.practitioner is None:
            self.practitioner = reader.practitioner(row)
        skill = reader.skill(row)
        if skill is not None:
            self.skills.setdefault(skill.code, skill)
        if kind in PEOPLE:
            role = reader.role(row)
            if role is not None:
                self.roles.setdefault(role_number(self._number, role), role)
        if kind is ExtractionKind.MONO and row("Adresse BAL"):
            self.mailboxes.append(reader.mailbox(row, is_holder_known=True))

    def _meet(self, holder: Practitioner) -> None:
        """Take the person from a mailbox, as long as no other file names them."""
        if self.practitioner is None:
            self.practitioner = replace(holder, skills=())
        for skill in holder.skills:
            self.skills.setdefault(skill.code, skill)
