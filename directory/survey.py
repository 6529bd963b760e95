"""Read the national files once, fast, to tell who is in them and whose lines differ.

A daily file is a full file: of two million lines some thousands differ. Each line is reduced to a
digest and the digests of all lines about one person are added up, in whatever order they come; a
person whose sum is the one that was kept has not changed, and the lines need not be read.

Shapes
    People are named by `person_number`, an integer.
    The sum depends on the octets, and on `EDITION`: raise it when lines come to be understood
    otherwise, and everybody is read anew.
Errors
    None beyond those of `directory/extraction.py`: a line that is wrong is counted as rejected
    here, and silently left out when the same line is read again.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from directory.errors import IdentifierSyntaxError
from directory.extraction import Inspection, Tally, inspect_source, mailbox_address
from directory.identifiers import NationalPersonId, is_luhn
from directory.layout import (
    MAX_LINE_OCTETS,
    Layout,
    LineRejectedError,
    has_control,
    iter_lines,
    read_layout,
)
from directory.numbers import practitioner_number
from directory.sources import PEOPLE, ExtractionKind, Source, open_source

EDITION: Final = 1
PROGRESS_LINES: Final = 50_000
MAX_HELD_OCTETS: Final = 192 * 1024 * 1024
_MASK: Final = (1 << 63) - 1
_RPPS_END: Final = 10**11
_LINE_COST: Final = 120

Progress = Callable[[str, int, int], None]
"""Told the file or stage, how much is done, and of how much (0 when unknown)."""


@dataclass(slots=True, kw_only=True)
class Surveyed:
    """One file after the survey.

    Attributes:
        repeated: Lines that stand in the file before, octet by octet.
    """

    source: Source
    inspection: Inspection
    tally: Tally = field(default_factory=Tally)
    repeated: int = 0


@dataclass(slots=True, kw_only=True)
class Survey:
    """What is in all the files.

    Attributes:
        digests: Sum of the lines by person.
        scattered: People whose lines do not stand together in the file of the population.
        held_octets: About how much memory the lines take that cannot be read in passing.
    """

    files: list[Surveyed] = field(default_factory=list)
    digests: dict[int, int] = field(default_factory=dict)
    scattered: set[int] = field(default_factory=set)
    held_octets: int = 0

    def find(self, *kinds: ExtractionKind) -> Surveyed | None:
        """Return the first file of one of these kinds."""
        return next((each for each in self.files if each.source.kind in kinds), None)

    @property
    def parts(self) -> int:
        """In how many parts the people are to be read so that memory suffices."""
        return 1 + self.held_octets // MAX_HELD_OCTETS

    def digest_of(self, number: int) -> int:
        """Return what tells this state of a person from another."""
        return (self.digests.get(number, 0) + EDITION) & _MASK

    def count_odd(self) -> int:
        """Count the people whose RPPS number fails its check."""
        return sum(n < _RPPS_END and not is_luhn(f"{n:011d}") for n in self.digests)


def survey_sources(sources: Sequence[Source], progress: Progress) -> Survey:
    """Read all files for what they hold.

    Raises:
        ExtractionSyntaxError: One cannot be read.
    """
    survey = Survey()
    for source in sources:
        survey.files.append(Surveyed(source=source, inspection=inspect_source(source)))
    # The population first: whoever comes again in it is scattered, wherever else they stand.
    for each in sorted(survey.files, key=lambda one: one.source.kind not in PEOPLE):
        if each.source.kind not in (ExtractionKind.FINESS, ExtractionKind.DIPLOMA):
            _survey_file(survey, each, progress)
    return survey


def person_key(layout: Layout) -> Callable[[bytes], int]:
    """Return what tells the number of the person of a line, 0 if it is about nobody.

    It raises `LineRejectedError` for a line that is not one of the file.
    """
    place = layout.places["Identification nationale PP"]
    separator = layout.separator.encode()
    width = layout.width
    is_simple = not layout.is_quoted and layout.encoding == "utf-8"

    def key(octets: bytes) -> int:
        count = octets.count(separator)
        if (
            is_simple
            and (count == width - 1 or (count == width and octets.endswith(separator)))
            and len(octets) <= MAX_LINE_OCTETS
            and not has_control(octets)
        ):
            cell = octets.split(separator, place + 1)[place]
            if len(cell) == 12 and cell.startswith(b"8") and cell.isdigit():
                return int(cell[1:])
            text = cell.decode("utf-8").strip()
        else:
            text = layout.split(octets)[place].strip()
        try:
            return practitioner_number(NationalPersonId(text)) if text else 0
        except IdentifierSyntaxError:
            raise LineRejectedError("person-identifier") from None

    return key


def check_line(layout: Layout, octets: bytes) -> None:
    """Look into a line as deep as a reader will.

    Raises:
        LineRejectedError: The reader would leave it out.
    """
    row = layout.row(layout.split(octets))
    match layout.kind:
        case ExtractionKind.SKILL:
            if not row("Code savoir-faire"):
                raise LineRejectedError("no-skill")
        case ExtractionKind.MAILBOX:
            mailbox_address(row)
            if not row("Type de BAL") and not row("Identification nationale PP"):
                raise LineRejectedError("no-mailbox-kind")
        case _:
            pass


def _survey_file(survey: Survey, each: Surveyed, progress: Progress) -> None:
    """Add what one file holds."""
    source, tally = each.source, each.tally
    add = _add_population if source.kind in PEOPLE else _add_beside
    total = each.inspection.lines
    with open_source(source) as stream:
        layout = read_layout(stream, source, each.inspection.encoding)
        count = add(survey, each)
        judge = _judge(layout)
        for place, line in enumerate(
            iter_lines(stream, layout.first), start=1 if layout.first else 2
        ):
            octets = line.removesuffix(b"\r")
            try:
                number = judge(octets)
            except LineRejectedError as error:
                tally.reject(place, str(error))
                continue
            tally.rows += 1
            count(number, octets)
            if place % PROGRESS_LINES == 0:
                progress(f"survey {source.file_name}", place, total)
    if survey.scattered and source.kind in PEOPLE:
        share = len(survey.scattered) / len(survey.digests)
        survey.held_octets += int(share * each.inspection.size_octets)
    progress(f"survey {source.file_name}", total, total)


def _judge(layout: Layout) -> Callable[[bytes], int]:
    """Return what tells the person of a line, and refuses a line that no reader understands."""
    key = person_key(layout)
    is_checked = layout.kind in (ExtractionKind.SKILL, ExtractionKind.MAILBOX)
    may_be_nobody = layout.kind is ExtractionKind.MAILBOX

    def judge(octets: bytes) -> int:
        number = key(octets)
        if not number and not may_be_nobody:
            raise LineRejectedError("person-identifier")
        if is_checked:
            check_line(layout, octets)
        return number

    return judge


def _add_population(survey: Survey, each: Surveyed) -> Callable[[int, bytes], None]:  # noqa: ARG001 - as the other
    """Return what adds a line of the file that names everybody."""
    digests, scattered = survey.digests, survey.scattered
    last = 0

    def add(number: int, octets: bytes) -> None:
        nonlocal last
        known = digests.get(number)
        if number != last:
            if known is not None:
                scattered.add(number)
            last = number
        digests[number] = (known or 0) + _digest(octets) & _MASK

    return add


def _add_beside(survey: Survey, each: Surveyed) -> Callable[[int, bytes], None]:
    """Return what adds a line of a file that stands beside."""
    digests = survey.digests
    seen: set[int] = set()

    def add(number: int, octets: bytes) -> None:
        digest = _digest(octets)
        each.repeated += digest in seen
        seen.add(digest)
        if number:
            digests[number] = digests.get(number, 0) + digest & _MASK
            survey.held_octets += len(octets) + _LINE_COST

    return add


def _digest(octets: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(octets, digest_size=8).digest())
