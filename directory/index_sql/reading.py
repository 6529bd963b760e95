"""Read people as rows, and when there are many, in a process of their own beside the writing.

Reading lines and writing rows take about as long; on two processors they go on at the same time.
The process is a Python of ours that is given the survey on its standard input and answers with
batches on its standard output; the pipe holds it back when the writing is slower.

Shapes
    Both sides speak pickles of our own classes, over pipes that nobody else has.
Errors
    `ExtractionSyntaxError`, from either side; also if the process ended before it was done.
"""

import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

from directory.dossiers import Dossier, iter_dossiers
from directory.errors import ExtractionSyntaxError
from directory.index_sql.bulk import Values
from directory.index_sql.placing import ACTIVITY, MAILBOX
from directory.index_sql.versions import (
    Labels,
    Version,
    mailbox_rows,
    practitioner_row,
    role_rows,
    skill_rows,
)
from directory.model import Organization
from directory.survey import Progress, Survey

BATCH: Final = 5_000
MANY: Final = 100_000
"""People from which on a process beside is worth its start."""

_RUN: Final = "from directory.index_sql.reading import serve; serve()"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleRows:
    """Some people as rows, and what their rows refer to.

    Attributes:
        numbers: Of the people.
        worked_at: Structures that activities name, as far as they were not named before.
        written_to: The same of mailboxes.
        labels: List, code and label of what came for the first time.
        orphans: How many of the people are known from mailboxes only.
    """

    numbers: list[int]
    people: list[Values]
    roles: list[Values]
    skills: list[Values]
    mailboxes: list[Values]
    worked_at: list[Organization]
    written_to: list[Organization]
    labels: list[tuple[str, str, str]]
    orphans: int


def read_people(
    survey: Survey,
    *,
    wanted: set[int] | None,
    version: Version,
    progress: Progress,
    many: int = MANY,
) -> Iterator[PeopleRows]:
    """Yield the people who are wanted, everybody if `None`, some thousands at a time.

    The digests of the survey may be gone afterwards: they are only needed once.

    Raises:
        ExtractionSyntaxError: A file cannot be read any more.
    """
    number = len(survey.digests) if wanted is None else len(wanted)
    if number >= many:
        return _read_beside(survey, wanted, version, progress)
    return _read_here(survey, wanted, version, progress)


def _read_here(
    survey: Survey, wanted: Container[int] | None, version: Version, progress: Progress
) -> Iterator[PeopleRows]:
    maker = _RowMaker(version)
    dossiers = iter_dossiers(survey, wanted=wanted, progress=progress)
    while batch := list(islice(dossiers, BATCH)):
        yield maker.make(batch)


def _read_beside(
    survey: Survey, wanted: set[int] | None, version: Version, progress: Progress
) -> Iterator[PeopleRows]:
    """Read in another process; it is ended with this generator, whatever ends it."""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    with subprocess.Popen(  # noqa: S603 -- ourselves
        [sys.executable, "-c", _RUN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            _hand_over(process.stdin, (survey, wanted, version))
            survey.digests.clear()  # of a nation, as much memory as all else here
            yield from _answers(process.stdout, progress)
        finally:
            process.kill()


def _hand_over(pipe: IO[bytes], task: object) -> None:
    try:
        pickle.dump(task, pipe, pickle.HIGHEST_PROTOCOL)
        pipe.flush()
    except BrokenPipeError:
        with suppress(BrokenPipeError):
            pipe.close()  # it would say so again
        raise ExtractionSyntaxError("reader-ended", "") from None


def _answers(pipe: IO[bytes], progress: Progress) -> Iterator[PeopleRows]:
    """Yield what the other process sends, until it says that this is all."""
    while True:
        try:
            answer: Any = pickle.load(pipe)  # noqa: S301 -- a process of ours wrote it
        except (EOFError, pickle.UnpicklingError):
            raise ExtractionSyntaxError("reader-ended", "") from None
        match answer:
            case PeopleRows():
                yield answer
            case (str(), int(), int()):
                progress(*answer)
            case ExtractionSyntaxError():
                raise answer
            case _:
                return


def serve() -> None:
    """Be the other process: read the task, and answer until all is said."""
    # Whatever prints by mistake must not stand between the answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    gc.disable()  # a process that only makes values, and ends soon, has no cycles to look for
    try:
        _serve(sys.stdin.buffer, out)
        out.close()
    except (BrokenPipeError, EOFError):
        os._exit(1)  # nobody listens any more; there is nothing to tidy up


def _serve(task: IO[bytes], out: IO[bytes]) -> None:
    survey, wanted, version = pickle.load(task)  # noqa: S301 -- the process that started us wrote it

    def tell(answer: object) -> None:
        pickle.dump(answer, out, pickle.HIGHEST_PROTOCOL)
        out.flush()

    try:
        for rows in _read_here(survey, wanted, version, lambda *facts: tell(facts)):
            tell(rows)
    except ExtractionSyntaxError as error:
        tell(error)
    else:
        tell(None)


class _RowMaker:
    """Makes rows of people; a structure and a label are handed on once."""

    def __init__(self, version: Version) -> None:
        self._version = version
        self._labels = Labels()
        self._named: dict[str, str] = {}

    def make(self, batch: Sequence[Dossier]) -> PeopleRows:
        """Make the rows of some people."""
        version, labels = self._version, self._labels
        return PeopleRows(
            numbers=[dossier.number for dossier in batch],
            people=[practitioner_row(dossier, version, labels) for dossier in batch],
            roles=[row for dossier in batch for row in role_rows(dossier, version, labels)],
            skills=[row for dossier in batch for row in skill_rows(dossier, version, labels)],
            mailboxes=[row for dossier in batch for row in mailbox_rows(dossier, version)],
            worked_at=self._news(
                (role.organization for d in batch for role in d.practitioner.roles), ACTIVITY
            ),
            written_to=self._news(
                (box.organization for d in batch for box in d.mailboxes), MAILBOX
            ),
            labels=labels.take_new(),
            orphans=sum(dossier.is_orphan for dossier in batch),
        )

    def _news(self, places: Iterable[Organization | None], mention: str) -> list[Organization]:
        """Return the structures that nothing has named yet that tells as much."""
        new = []
        for place in places:
            if place is None:
                continue
            known = self._named.get(place.key)
            if known is None or (known == MAILBOX and mention == ACTIVITY):
                self._named[place.key] = mention
                new.append(place)
        return new
