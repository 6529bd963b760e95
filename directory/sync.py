"""Replace the directory in force by a new snapshot, or refuse to.

A snapshot is loaded as a new *generation* beside the live one. Only when it is complete and
plausible does it take the live one's place, in one step; readers see the old directory until then.
Whoever is not in the new generation is gone: the old one is erased after the swap.

A snapshot is refused when it is older than what is in force, lacks a file that the live directory
has, holds more than 5 % fewer people, structures' roles or mailboxes, or lost more than 5 % of its
lines. `force=True` is the one override; the reasons it went over are kept in the report.

Errors
    `ExtractionSyntaxError`, `SnapshotRefusedError`. In both cases, and in any other, what was
    loaded so far is thrown away and the directory in force stays.
Sources
    The same guard, at the same 5 %, stands in the loader that ANS publishes (psc-rass-loader).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, Protocol, TypeVar

from directory.errors import SnapshotRefusedError
from directory.extraction import (
    Activity,
    ExtractionKind,
    Inspection,
    Reject,
    Source,
    Tally,
    inspect_source,
    read_activities,
    read_mailboxes,
    read_skills,
)
from directory.findings import Finding, Severity, has_errors
from directory.model import MailboxEntry, Practitioner

MAX_SHRINK: Final = 0.05
MAX_REJECTED: Final = 0.05
BATCH: Final = 5_000

Item = TypeVar("Item")
Progress = Callable[[str, int, int], None]
"""Told the file or stage, how much is done, and of how much (0 when unknown)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much a generation holds.

    Attributes:
        orphans: People known from their mailbox only.
        transferred: Mailboxes that have another holder than in the generation before.
    """

    practitioners: int = 0
    roles: int = 0
    organizations: int = 0
    mailboxes: int = 0
    domains: int = 0
    orphans: int = 0
    transferred: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """Where a part of a generation came from."""

    kind: ExtractionKind
    file_name: str
    stamp: str
    sha256: str
    size_octets: int
    encoding: str
    rows: int
    rejected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One edition of the directory.

    Attributes:
        number: Grows with each import, whether it was accepted or not.
    """

    number: int
    loaded_at: datetime
    duration: timedelta
    counts: Counts
    sources: tuple[SourceRecord, ...] = ()

    def source(self, kind: ExtractionKind) -> SourceRecord | None:
        """Return the record of one file, if the generation has it."""
        return next((source for source in self.sources if source.kind == kind), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an accepted import did.

    Attributes:
        replaced: The generation that was in force before.
        findings: Remarks; with `force`, also the reasons that would have refused it.
        rejects: Lines left out, by file name; the first thousand of each.
    """

    generation: Generation
    replaced: Generation | None
    findings: tuple[Finding, ...] = ()
    rejects: dict[str, tuple[Reject, ...]] = field(default_factory=dict)


class GenerationStore(Protocol):
    """Where generations are built: what `apply_snapshot` needs of a database."""

    def live(self) -> Generation | None:
        """Return the generation in force."""

    def begin(self, at: datetime) -> int:
        """Open a new generation, and throw away what a crashed import left."""

    def add_activities(self, batch: Sequence[Activity]) -> None:
        """Add people, roles and structures; what is already there stays."""

    def add_skills(self, batch: Sequence[Practitioner]) -> None:
        """Add skills of people."""

    def add_mailboxes(self, batch: Sequence[MailboxEntry]) -> None:
        """Add mailboxes, and the people and structures known from them only."""

    def index(self, progress: Progress) -> Counts:
        """Make what was added searchable, and count it."""

    def activate(self, generation: Generation) -> None:
        """Put the new generation in force, in one step."""

    def discard(self) -> None:
        """Throw the new generation away."""

    def erase_retired(self) -> None:
        """Erase the people of all the generations that are not in force."""


def apply_snapshot(
    sources: Sequence[Source],
    store: GenerationStore,
    *,
    at: datetime,
    force: bool = False,
    progress: Progress | None = None,
    elapsed: Callable[[], float] = time.monotonic,
) -> ImportReport:
    """Load the files as a new generation and put it in force.

    Args:
        sources: All the files of the snapshot; what is not in them vanishes.
        store: Where the generation is built.
        at: Instant of the import.
        force: Accept what would be refused as implausible.
        progress: Told how far the work is.
        elapsed: Seconds on any scale; used for the duration only.

    Raises:
        ExtractionSyntaxError: A file cannot be read.
        SnapshotRefusedError: The snapshot is implausible.
    """
    tell = progress or _silent
    started = elapsed()
    inspected = [(source, inspect_source(source)) for source in sources]
    live = store.live()
    findings = [finding for _, inspection in inspected for finding in inspection.findings]
    findings += check_sources(live, sources)
    _refuse(findings, force=force)
    number = store.begin(at)
    try:
        tallies = [_load(store, source, facts, tell) for source, facts in inspected]
        records = tuple(
            _record(source, facts, tally)
            for (source, facts), tally in zip(inspected, tallies, strict=True)
        )
        counts = store.index(tell)
        findings += check_counts(live, counts, records)
        _refuse(findings, force=force)
    except BaseException:
        store.discard()
        raise
    generation = Generation(
        number=number,
        loaded_at=at,
        duration=timedelta(seconds=elapsed() - started),
        counts=counts,
        sources=records,
    )
    store.activate(generation)
    store.erase_retired()
    return ImportReport(
        generation=generation,
        replaced=live,
        findings=tuple(findings),
        rejects={
            record.file_name: tuple(tally.rejects)
            for record, tally in zip(records, tallies, strict=True)
        },
    )


def check_sources(live: Generation | None, sources: Sequence[Source]) -> list[Finding]:
    """Compare the files with those of the directory in force, before anything is loaded."""
    findings = []
    kinds = {source.kind for source in sources}
    if len(kinds) != len(sources):
        findings.append(_error("snapshot-two-of-a-kind", "Two files are of the same kind."))
    for old in live.sources if live else ():
        if old.kind not in kinds:
            text = f"There is no {old.kind} file, and the directory in force has one."
            findings.append(_error("snapshot-file-missing", text))
        for new in sources:
            if new.kind == old.kind and new.stamp < old.stamp:
                text = f"{new.file_name} is older than the one in force ({old.stamp})."
                findings.append(_error("snapshot-older", text))
    return findings


def check_counts(
    live: Generation | None, new: Counts, sources: Sequence[SourceRecord]
) -> list[Finding]:
    """Judge what was loaded against the directory in force and against its own files."""
    findings = []
    if not new.practitioners and not new.mailboxes:
        findings.append(_error("snapshot-empty", "The files hold nobody and no mailbox."))
    for source in sources:
        lines = source.rows + source.rejected
        if source.rejected > lines * MAX_REJECTED:
            text = f"{source.rejected} of {lines} lines of {source.file_name} are unreadable."
            findings.append(_error("snapshot-rejects", text))
    old = live.counts if live else Counts()
    for name, before, after in (
        ("people", old.practitioners, new.practitioners),
        ("roles", old.roles, new.roles),
        ("mailboxes", old.mailboxes, new.mailboxes),
    ):
        if after < before * (1 - MAX_SHRINK):
            text = f"{after} {name} instead of {before}: more than {MAX_SHRINK:.0%} would vanish."
            findings.append(_error("snapshot-shrinks", text))
    if new.transferred:
        text = f"{new.transferred} mailboxes have another holder than before."
        findings.append(Finding(code="mailboxes-transferred", severity=Severity.WARNING, text=text))
    return findings


def _load(store: GenerationStore, source: Source, facts: Inspection, progress: Progress) -> Tally:
    """Read one file into the new generation."""
    tally = Tally()
    match source.kind:
        case ExtractionKind.ACTIVITY:
            for batch in _batches(read_activities(source, facts.encoding, tally)):
                store.add_activities(batch)
                progress(source.file_name, tally.rows + tally.rejected, facts.lines)
        case ExtractionKind.SKILL:
            for people in _batches(read_skills(source, facts.encoding, tally)):
                store.add_skills(people)
                progress(source.file_name, tally.rows + tally.rejected, facts.lines)
        case ExtractionKind.MAILBOX:
            for mailboxes in _batches(read_mailboxes(source, facts.encoding, tally)):
                store.add_mailboxes(mailboxes)
                progress(source.file_name, tally.rows + tally.rejected, facts.lines)
    return tally


def _record(source: Source, facts: Inspection, tally: Tally) -> SourceRecord:
    return SourceRecord(
        kind=source.kind,
        file_name=source.file_name,
        stamp=source.stamp,
        sha256=facts.sha256,
        size_octets=facts.size_octets,
        encoding=facts.encoding,
        rows=tally.rows,
        rejected=tally.rejected,
    )


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _refuse(findings: list[Finding], *, force: bool) -> None:
    if has_errors(findings) and not force:
        raise SnapshotRefusedError(tuple(findings))


def _error(code: str, text: str) -> Finding:
    return Finding(code=code, severity=Severity.ERROR, text=text)


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Report to nobody."""
