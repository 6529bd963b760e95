"""Replace the directory in force by a new snapshot, or refuse to.

A snapshot is loaded as a new *generation* beside the live one. Only when it is complete and
plausible does it take the live one's place, in one step; readers see the old directory until then.
Whoever is not in the new generation is gone.

A snapshot is refused when it is older than what is in force, lacks a file that the live directory
has, holds more than 5 % fewer people, structures' roles or mailboxes, changes or lacks more than
5 % of the people, or lost more than 5 % of its lines. `force=True` is the one override; the
reasons it went over are kept in the report and with the generation.

Errors
    `ExtractionSyntaxError`, `SnapshotRefusedError`. In both cases, and in any other, what was
    loaded so far is thrown away and the directory in force stays.
Sources
    The same guard, at the same 5 %, stands in the loader that ANS publishes (psc-rass-loader).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, Protocol, TypeVar

from directory.dossiers import iter_structure_mailboxes
from directory.errors import SnapshotRefusedError
from directory.extraction import Reject
from directory.findings import Finding, Severity, has_errors
from directory.finess import read_finess
from directory.model import MailboxEntry, Organization
from directory.sources import PEOPLE, ExtractionKind, Source
from directory.survey import EDITION, Progress, Survey, Surveyed, survey_sources

MAX_SHRINK: Final = 0.05
MAX_REJECTED: Final = 0.05
MAX_CHANGED: Final = 0.05
MIN_JUDGED: Final = 100
"""Of fewer people, some changes are many per cent."""
BATCH: Final = 5_000

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much a generation holds.

    Attributes:
        orphans: People known from their mailbox only.
        transferred: Mailboxes that have another holder than in the generation before.
        changed: People who are otherwise than in the generation before, or new.
        vanished: People who are no more.
        edition: Of our way to read the files.
    """

    practitioners: int = 0
    roles: int = 0
    organizations: int = 0
    mailboxes: int = 0
    domains: int = 0
    orphans: int = 0
    transferred: int = 0
    changed: int = 0
    vanished: int = 0
    edition: int = 0


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
    findings: tuple[Finding, ...] = ()

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Whom the files describe otherwise than the directory in force does.

    Attributes:
        wanted: Numbers of the people to be read; everybody if `None`.
        changed: How many of those in force are among them.
        vanished: How many of those in force are in no file.
        before: How many are in force.
    """

    wanted: set[int] | None
    changed: int
    vanished: int
    before: int


class GenerationStore(Protocol):
    """Where generations are built: what `apply_snapshot` needs of a database."""

    def live(self) -> Generation | None:
        """Return the generation in force."""

    def begin(self, at: datetime) -> int:
        """Open a new generation, and throw away what a crashed import left."""

    def plan(self, survey: Survey) -> Changes:
        """Compare the people with those in force, and let those end who vanished."""

    def add_places(self, batch: Sequence[Organization]) -> None:
        """Add structures that FINESS describes."""

    def end_places(self) -> None:
        """Let the structures end that FINESS no longer describes."""

    def add_people(self, survey: Survey, wanted: set[int] | None, progress: Progress) -> None:
        """Add the people who are wanted, everybody if `None`, with everything about them.

        What is as it was before stays.
        """

    def add_structure_mailboxes(self, boxes: Sequence[MailboxEntry]) -> None:
        """Add mailboxes that nobody holds; what is as it was before stays."""

    def end_structure_mailboxes(self) -> None:
        """Let those of the mailboxes that nobody holds end that were not added again."""

    def finish(self, progress: Progress) -> Counts:
        """Complete what follows from the rows, make it searchable, and count it."""

    def activate(self, generation: Generation) -> None:
        """Put the new generation in force, in one step."""

    def discard(self) -> None:
        """Throw the new generation away."""

    def erase_retired(self, at: datetime) -> int:
        """Erase what only generations show that are not in force and were kept long enough."""


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
    live = store.live()
    findings = check_sources(live, sources)
    _refuse(findings, force=force)
    survey = survey_sources(sources, tell)
    findings += check_survey(survey)
    if not survey.digests and not any(each.tally.rows for each in survey.files):
        findings.append(_error("snapshot-empty", "The files hold nobody and no mailbox."))
    _refuse(findings, force=force)
    number = store.begin(at)
    try:
        changes, counts = _load(store, survey, live, findings, force=force, progress=tell)
        findings += check_counts(live, counts)
        _refuse(findings, force=force)
    except BaseException:
        store.discard()
        raise
    generation = Generation(
        number=number,
        loaded_at=at,
        duration=timedelta(seconds=elapsed() - started),
        counts=replace(counts, changed=_changed(changes, counts), vanished=changes.vanished),
        sources=tuple(_record(each) for each in survey.files),
        findings=tuple(findings),
    )
    store.activate(generation)
    store.erase_retired(at)
    return ImportReport(
        generation=generation,
        replaced=live,
        findings=tuple(findings),
        rejects={each.source.file_name: tuple(each.tally.rejects) for each in survey.files},
    )


def check_sources(live: Generation | None, sources: Sequence[Source]) -> list[Finding]:
    """Compare the files with those of the directory in force, before anything is loaded."""
    findings = []
    kinds = {source.kind for source in sources}
    if len(kinds) != len(sources):
        findings.append(_error("snapshot-two-of-a-kind", "Two files are of the same kind."))
    if sum(kind in PEOPLE for kind in kinds) > 1:
        text = "Two files name the whole population."
        findings.append(_error("snapshot-two-of-a-kind", text))
    for old in live.sources if live else ():
        is_replaced = old.kind in PEOPLE and any(kind in PEOPLE for kind in kinds)
        is_needed = old.kind is not ExtractionKind.DIPLOMA
        if old.kind not in kinds and is_needed and not is_replaced:
            text = f"There is no {old.kind} file, and the directory in force has one."
            findings.append(_error("snapshot-file-missing", text))
        for new in sources:
            if new.kind == old.kind and "" < new.stamp < old.stamp:
                text = f"{new.file_name} is older than the one in force ({old.stamp})."
                findings.append(_error("snapshot-older", text))
    return findings


def check_counts(live: Generation | None, new: Counts) -> list[Finding]:
    """Judge what was loaded against the directory in force."""
    findings = []
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


def check_survey(survey: Survey) -> list[Finding]:
    """Judge the files by themselves, before anything is loaded."""
    findings = [finding for each in survey.files for finding in each.inspection.findings]
    odd = survey.count_odd()
    if odd:
        text = f"The RPPS numbers of {odd} people fail their check; they were kept."
        findings.append(_warning("identifier-check", text))
    for each in survey.files:
        lines = each.tally.rows + each.tally.rejected
        if each.tally.rejected > lines * MAX_REJECTED:
            text = (
                f"{each.tally.rejected} of {lines} lines of {each.source.file_name} are unreadable."
            )
            findings.append(_error("snapshot-rejects", text))
            continue
        if each.repeated:
            text = f"{each.repeated} lines of {each.source.file_name} are repetitions."
            findings.append(_warning("lines-repeated", text))
        if each.tally.rejected:
            text = f"{each.tally.rejected} lines of {each.source.file_name} were left out."
            findings.append(_warning("lines-rejected", text))
    return findings


def check_changes(live: Generation | None, changes: Changes) -> list[Finding]:
    """Judge how many people are otherwise than in the directory in force."""
    # When we read the same lines otherwise, everybody seems to have changed.
    if live is None or live.counts.edition != EDITION or changes.before < MIN_JUDGED:
        return []
    findings = []
    for number, code, verb in (
        (changes.vanished, "snapshot-shrinks", "would vanish"),
        (changes.changed, "snapshot-changes", "would change"),
    ):
        if number > changes.before * MAX_CHANGED:
            text = f"{number} of {changes.before} people {verb}: more than {MAX_CHANGED:.0%}."
            findings.append(_error(code, text))
    return findings


def _load(
    store: GenerationStore,
    survey: Survey,
    live: Generation | None,
    findings: list[Finding],
    *,
    force: bool,
    progress: Progress,
) -> tuple[Changes, Counts]:
    """Write the new generation."""
    changes = store.plan(survey)
    findings += check_changes(live, changes)
    _refuse(findings, force=force)
    finess = survey.find(ExtractionKind.FINESS)
    if finess is not None and not _is_in_force(live, finess):
        _load_finess(store, finess, progress)
    store.add_people(survey, changes.wanted, progress)
    for boxes in _batches(iter_structure_mailboxes(survey)):
        store.add_structure_mailboxes(boxes)
    store.end_structure_mailboxes()
    survey.digests.clear()
    survey.scattered.clear()
    return changes, store.finish(progress)


def _is_in_force(live: Generation | None, each: Surveyed) -> bool:
    """Tell whether a file is, to the octet, the one that the directory in force was made of.

    Then its structures are as they should be; what was counted of it still holds.
    """
    record = live.source(each.source.kind) if live is not None else None
    if live is None or record is None or live.counts.edition != EDITION:
        return False
    if (record.sha256, record.encoding) != (each.inspection.sha256, each.inspection.encoding):
        return False
    each.tally.rows, each.tally.rejected = record.rows, record.rejected
    return True


def _load_finess(store: GenerationStore, each: Surveyed, progress: Progress) -> None:
    tell = f"read {each.source.file_name}"
    done = 0
    for batch in _batches(read_finess(each.source, each.inspection.encoding, each.tally)):
        store.add_places(batch)
        done += len(batch)
        progress(tell, done, 0)
    store.end_places()


def _changed(changes: Changes, counts: Counts) -> int:
    return counts.practitioners if changes.wanted is None else len(changes.wanted)


def _record(each: Surveyed) -> SourceRecord:
    source, facts = each.source, each.inspection
    return SourceRecord(
        kind=source.kind,
        file_name=source.file_name,
        stamp=source.stamp,
        sha256=facts.sha256,
        size_octets=facts.size_octets,
        encoding=facts.encoding,
        rows=each.tally.rows,
        rejected=each.tally.rejected,
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


def _warning(code: str, text: str) -> Finding:
    return Finding(code=code, severity=Severity.WARNING, text=text)


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Report to nobody."""
