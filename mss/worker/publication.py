"""Tell the national directory of the mailboxes that are opened, changed and closed here.

What is to be told is read off the declarations themselves (`directory/index_sql/publications.py`),
so nothing is lost by a crash. An exporter makes the other side the same as here, however often it
is asked; what it refuses stays in the outbox until the mailbox changes or somebody says to try
again.

Units
    Delays are `timedelta`, instants aware UTC.
Errors
    None out of the job.
Sources
    docs/adr/0032.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final, assert_never

from directory.address import Domain
from directory.index_sql.exporting import iter_extraction
from directory.index_sql.publications import (
    DONE,
    REFUSED,
    WAITING,
    OutboxEntry,
    list_publications_due,
    note_publication,
)
from mss.clock import Clock
from mss.model.publication import (
    ExportDelayed,
    Exported,
    ExportOutcome,
    ExportRefused,
    MailboxChange,
)
from mss.ports import MailboxExporter
from mss.store.engine import Connection, Database

EVERY: Final = timedelta(minutes=1)
DELAYS: Final = tuple(timedelta(minutes=m) for m in (1, 5, 30, 120, 360, 1440))
BATCH: Final = 100
_log = logging.getLogger("mss.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """The job: takes what is due, lets the exporter tell it, and notes what came of it."""

    database: Database
    exporter: MailboxExporter
    clock: Clock

    async def run(self) -> None:
        """Tell everything that is due, until nothing is or the other side is in trouble."""
        while True:
            now = self.clock.now()
            due = await self.database.read(partial(list_publications_due, at=now, limit=BATCH))
            if not due:
                return
            outcomes = await self.exporter.export(
                [MailboxChange(mailbox=one.mailbox, is_there=one.is_there) for one in due]
            )
            told = list(zip(due, outcomes, strict=False))
            await self.database.write(partial(self._note, told=told))
            if len(told) < BATCH:
                return

    def _note(
        self, connection: Connection, told: Sequence[tuple[OutboxEntry, ExportOutcome]]
    ) -> None:
        now = self.clock.now()
        for entry, outcome in told:
            state, reason, next_at, is_there = DONE, "", now, entry.is_there
            match outcome:
                case Exported():
                    is_there = not entry.mailbox.is_closed
                case ExportRefused(reason=reason):
                    state = REFUSED
                    _log.warning("the national directory refused a mailbox: %s", reason)
                case ExportDelayed(reason=reason, after=after):
                    state = WAITING
                    pause = DELAYS[min(entry.attempts, len(DELAYS) - 1)]
                    next_at = now + max(pause, after or timedelta())
                case _:
                    assert_never(outcome)
            note_publication(
                connection,
                entry,
                state=state,
                next_at=next_at,
                reason=reason,
                is_there=is_there,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileExporter:
    """Writes all published mailboxes anew, in the format of the national extraction."""

    database: Database
    path: Path
    domains: frozenset[str]

    async def export(self, changes: Sequence[MailboxChange]) -> Sequence[ExportOutcome]:
        """Write the file; that is one outcome for all."""
        try:
            await self.database.survey(lambda c: write_extraction(c, self.path, self.domains))
        except OSError as error:
            _log.warning("%s cannot be written: %s", self.path, error.strerror)
            return [ExportDelayed(reason="file-not-written")] * len(changes)
        return [Exported()] * len(changes)


def write_extraction(connection: Connection, path: Path, domains: frozenset[str]) -> int:
    """Write the extraction of some domains, whole or not at all; return how many lines it has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    lines = -1  # the header is none
    with part.open("w", encoding="utf-8", newline="") as file:
        for line in iter_extraction(connection, domains=[Domain(one) for one in domains]):
            file.write(line)
            lines += 1
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return lines
