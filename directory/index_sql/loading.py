"""Build a generation in SQL beside the one in force: only what changed is written.

Every batch is one transaction, so that on SQLite others can write between two batches, and what a
crash leaves is a generation in state `building`: the next import throws it away. The first load
drops the indexes of the content and builds them at the end.

Errors
    `ImportRunningError` when another import is under way. What the driver raises passes through.
Sources
    docs/adr/0028 for the measurements.
"""

import dataclasses
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from directory.index_sql import tables
from directory.index_sql.bulk import (
    Values,
    analyze,
    build_indexes,
    drop_indexes,
    end_versions,
    erase_rows,
    insert_rows,
    prepare_connection,
    select_in,
)
from directory.index_sql.declared import lay_over
from directory.index_sql.finding import find_live_generation, find_live_number
from directory.index_sql.indexing import build_search_index
from directory.index_sql.locking import import_lock
from directory.index_sql.placing import ACTIVITY, MAILBOX, Places
from directory.index_sql.reading import PeopleRows, read_people
from directory.index_sql.versions import Labels, Version, mailbox_row
from directory.model import MailboxEntry, Organization
from directory.numbers import organization_number
from directory.sources import Source, find_sources
from directory.survey import EDITION, Progress, Survey
from directory.sync import Changes, Counts, Generation, ImportReport, apply_snapshot

STUB_DAYS: Final = 30
"""How long it can be asked what vanished."""


def import_snapshot(
    connection: Connection,
    paths: Path | Sequence[Source],
    *,
    at: datetime,
    force: bool = False,
    keep: timedelta = timedelta(0),
    search_folder: Path | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Replace the directory by the national files at a path (file, archive or folder).

    Commits as it goes: the connection must be its own, outside `begin()`.

    Args:
        connection: To write to.
        paths: Where the files are, or the files themselves. Together they are the whole directory.
        at: Instant of the import.
        force: Accept what would be refused as implausible.
        keep: How long the generation before stays readable for those who page through it.
        search_folder: Where this machine keeps its search indexes. The one of the new directory is
            made before the swap; without a folder, by whoever searches first.
        progress: Told how far the work is.

    Raises:
        ExtractionSyntaxError: A file cannot be read; the directory in force stays.
        SnapshotRefusedError: The snapshot is implausible; the directory in force stays.
        ImportRunningError: Another import is under way.
    """
    sources = find_sources(paths) if isinstance(paths, Path) else paths
    with import_lock(connection):
        store = SqlGenerationStore(connection, keep=keep, search_folder=search_folder)
        return apply_snapshot(sources, store, at=at, force=force, progress=progress)


def forget_gone(connection: Connection, *, at: datetime, keep: timedelta) -> int:
    """Erase what no kept generation shows, and the stubs of what vanished long ago.

    Commits as it goes. Returns how many rows were erased; nothing if an import is under way.
    """
    with import_lock(connection):
        return SqlGenerationStore(connection, keep=keep).erase_retired(at)


class SqlGenerationStore:
    """The `GenerationStore` of `directory.sync`, on one connection."""

    def __init__(
        self,
        connection: Connection,
        *,
        keep: timedelta = timedelta(0),
        search_folder: Path | None = None,
    ) -> None:
        self._connection = connection
        self._keep = keep
        self._search_folder = search_folder
        self._number = 0
        self._version: Version = (0, tables.FOREVER, 0)
        self._live: int | None = None
        self._labels = Labels()
        self._places: Places | None = None
        self._orphans = 0
        self._touched: set[str] = set()
        self._written: set[int] = set()
        self._unseen: dict[int, tuple[int, str]] | None = None

    # -- begin and end -------------------------------------------------------------------------

    def live(self) -> Generation | None:
        """Return the generation in force."""
        generation = find_live_generation(self._connection)
        self._release()
        return generation

    def begin(self, at: datetime) -> int:
        """Open a new generation, and throw away what a crashed import left."""
        table = tables.generation
        prepare_connection(self._connection)
        self._discard_crashed()
        self.erase_retired(at)
        last = self._connection.execute(select(func.max(table.c.number))).scalar()
        self._live = find_live_number(self._connection)
        self._release()
        self._number = (last or 0) + 1
        self._version = (self._number, tables.FOREVER, tables.to_microseconds(at))
        self._places = Places(
            self._connection, self._version, self._labels, is_first=self._live is None
        )
        row: dict[str, object] = {
            "number": self._number,
            "state": "building",
            "loaded_at": at,
            "duration_ms": 0,
            "counts": dataclasses.asdict(Counts()),
            "sources": [],
            "findings": [],
        }
        self._connection.execute(insert(table).values(row))
        self._connection.commit()
        if self._live is None:
            self._drop_indexes()
        return self._number

    def activate(self, generation: Generation) -> None:
        """Put the new generation in force, in one step."""
        table = tables.generation
        self._connection.rollback()
        self._connection.execute(
            update(table)
            .where(table.c.state == "live")
            .values(state="retired", retired_at=generation.loaded_at)
        )
        lay_over(self._connection, generation=generation.number)
        self._connection.execute(
            update(table)
            .where(table.c.number == generation.number)
            .values(
                state="live",
                duration_ms=int(generation.duration.total_seconds() * 1000),
                counts=dataclasses.asdict(generation.counts),
                sources=[dataclasses.asdict(source) for source in generation.sources],
                findings=[dataclasses.asdict(finding) for finding in generation.findings],
            )
        )
        self._connection.commit()

    def discard(self) -> None:
        """Throw the new generation away."""
        with suppress(DBAPIError):
            self._connection.rollback()
        self._throw_away(self._number)

    def erase_retired(self, at: datetime) -> int:
        """Erase what only generations show that are not in force and were kept long enough."""
        table = tables.generation
        rows = self._connection.execute(
            select(table.c.number, table.c.state, table.c.retired_at)
            .where(table.c.state.in_(["live", "retired"]))
            .order_by(table.c.number)
        ).all()
        self._release()
        over = [
            row.number
            for row in rows
            if row.state == "retired" and (row.retired_at or at) <= at - self._keep
        ]
        erased = 0
        if over:
            kept = min((row.number for row in rows if row.number not in over), default=None)
            limit = max(over) + 1 if kept is None else kept
            erased = self._erase_until(limit)
            for number in over:
                self._set_state(number, "erased")
        return erased + self._erase_stubs(at)

    # -- what is in the files ------------------------------------------------------------------

    def plan(self, survey: Survey) -> Changes:
        """Compare the people with those in force, and let those end who vanished."""
        if self._live is None:
            return Changes(wanted=None, changed=0, vanished=0, before=0)
        table = tables.practitioner
        query = select(table.c.id, table.c.digest).where(self._ours(table))
        wanted = dict.fromkeys(survey.digests)
        vanished: list[int] = []
        changed = before = 0
        rows = self._connection.execute(query, execution_options={"yield_per": 10_000})
        for number, digest in rows:
            before += 1
            if number not in wanted:
                vanished.append(number)
            elif digest == survey.digest_of(number):
                del wanted[number]
            else:
                changed += 1
        self._release()
        self._end_people(vanished)
        return Changes(wanted=set(wanted), changed=changed, vanished=len(vanished), before=before)

    def add_places(self, batch: Sequence[Organization]) -> None:
        """Add structures that FINESS describes."""
        assert self._places is not None
        self._places.add_finess(batch)
        self._commit()

    def end_places(self) -> None:
        """Let the structures end that FINESS no longer describes."""
        assert self._places is not None
        table = tables.organization
        if self._live is None:
            return
        query = select(table.c.key).where(
            table.c.gone == tables.FOREVER, table.c.in_finess.is_(True)
        )
        gone = [key for key in self._connection.scalars(query) if key not in self._places.finess]
        self._release()
        self._touched.update(gone)
        for start in range(0, len(gone), 500):
            some = gone[start : start + 500]
            self._connection.execute(
                update(table)
                .where(table.c.gone == tables.FOREVER, table.c.key.in_(some))
                .values(in_finess=False)
            )
        self._connection.commit()

    def add_people(self, survey: Survey, wanted: set[int] | None, progress: Progress) -> None:
        """Add people with everything about them; what is as it was before stays."""
        for rows in read_people(survey, wanted=wanted, version=self._version, progress=progress):
            self._add_rows(rows)

    def _add_rows(self, rows: PeopleRows) -> None:
        assert self._places is not None
        self._orphans += rows.orphans
        self._places.add_mentions(rows.worked_at, ACTIVITY)
        self._places.add_mentions(rows.written_to, MAILBOX)
        self._labels.add(rows.labels)
        roles, skills, mailboxes = rows.roles, rows.skills, rows.mailboxes
        if self._live is not None:
            self._end_versions(tables.practitioner, "id", rows.numbers)
            self._come_back("practitioner", rows.numbers)
            roles = self._merge_roles(rows.numbers, roles)
            skills = self._merge_skills(rows.numbers, skills)
            mailboxes = self._merge_mailboxes(rows.numbers, mailboxes)
        insert_rows(self._connection, tables.practitioner, rows.people)
        insert_rows(self._connection, tables.role, roles)
        insert_rows(self._connection, tables.skill, skills)
        insert_rows(self._connection, tables.mailbox, mailboxes)
        self._commit()

    def add_structure_mailboxes(self, boxes: Sequence[MailboxEntry]) -> None:
        """Add mailboxes that nobody holds; what is as it was before stays."""
        assert self._places is not None
        before = self._structure_mailboxes()
        places = [box.organization for box in boxes if box.organization is not None]
        self._places.add_mentions(places, MAILBOX)
        new: list[Values] = []
        over: list[int] = []
        for row in (mailbox_row(box, self._version) for box in boxes):
            number = int(str(row[0]))
            known = before.pop(number, None)
            if number not in self._written and (known is None or known[0] != row[4]):
                new.append(row)
                over += [number] if known is not None else []
            self._written.add(number)
        self._end_versions(tables.mailbox, "id", over)
        insert_rows(self._connection, tables.mailbox, new)
        self._commit()

    def end_structure_mailboxes(self) -> None:
        """Let those of the mailboxes that nobody holds end that were not added again."""
        over = self._structure_mailboxes()
        self._touched.update(key for _, key in over.values() if key)
        self._end_versions(tables.mailbox, "id", list(over))
        self._connection.commit()

    def _structure_mailboxes(self) -> dict[int, tuple[int, str]]:
        """Return the digests and structures of those in force that were not added yet."""
        if self._unseen is None:
            table = tables.mailbox
            query = select(table.c.id, table.c.digest, table.c.organization_key).where(
                table.c.practitioner_id.is_(None), self._ours(table), table.c.born < self._number
            )
            rows = self._connection.execute(query) if self._live is not None else ()
            self._unseen = {number: (digest, key or "") for number, digest, key in rows}
        return self._unseen

    def finish(self, progress: Progress) -> Counts:
        """Complete what follows from the rows, make it searchable, and count it."""
        if self._live is None:
            for name in build_indexes(self._connection):
                progress(f"index {name}", 1, 1)
        self._join_mailboxes()
        self._end_unmentioned()
        self._connection.commit()
        analyze(self._connection)
        if self._search_folder is not None:
            build_search_index(
                self._connection,
                self._number,
                self._search_folder,
                progress=progress,
                before=self._live,
            )
        return Counts(
            practitioners=self._count(tables.practitioner),
            roles=self._count(tables.role),
            organizations=self._count(tables.organization),
            mailboxes=self._count(tables.mailbox),
            domains=self._count_domains(),
            orphans=self._orphans,
            transferred=self._count_transferred(),
            edition=EDITION,
        )

    # -- merging -------------------------------------------------------------------------------

    def _merge_roles(self, numbers: Sequence[int], rows: list[Values]) -> list[Values]:
        """End the situations that are over; return those that are new."""
        table = tables.role
        columns = [table.c.practitioner_id, table.c.id, table.c.organization_key]
        old = {
            row.id: row
            for row in select_in(self._connection, columns, table.c.practitioner_id, numbers)
        }
        kept = {int(str(row[1])) for row in rows}
        over = [number for number in old if number not in kept]
        self._touched.update(old[number].organization_key for number in over)
        self._end_versions(table, "id", over)
        self._leave_stubs("role", [(number, str(number)) for number in over])
        new = [row for row in rows if row[1] not in old]
        self._come_back("role", [int(str(row[1])) for row in new])
        return new

    def _merge_skills(self, numbers: Sequence[int], rows: list[Values]) -> list[Values]:
        table = tables.skill
        columns = [table.c.practitioner_id, table.c.code, table.c.kind]
        old = {
            tuple(row)
            for row in select_in(self._connection, columns, table.c.practitioner_id, numbers)
        }
        new = {(row[0], row[1], row[4]): row for row in rows}
        over = [(number, code) for number, code, kind in old if (number, code, kind) not in new]
        for number, code in over:
            self._connection.execute(
                update(table)
                .where(
                    table.c.practitioner_id == number,
                    table.c.code == code,
                    table.c.gone == tables.FOREVER,
                )
                .values(gone=self._number)
            )
        return [row for key, row in new.items() if key not in old]

    def _merge_mailboxes(self, numbers: Sequence[int], rows: list[Values]) -> list[Values]:
        table = tables.mailbox
        columns = [table.c.id, table.c.digest, table.c.organization_key]
        old = list(select_in(self._connection, columns, table.c.practitioner_id, numbers))
        return list(self._differing({int(str(row[0])): row for row in rows}, old).values())

    def _differing(self, rows: dict[int, Values], old: Sequence[Any]) -> dict[int, Values]:
        """End the mailboxes that are over or otherwise; return those to be written."""
        before = {row.id: row for row in old}
        same = {n for n, row in rows.items() if n in before and before[n].digest == row[4]}
        over = [row for row in old if row.id not in same]
        self._touched.update(row.organization_key for row in over if row.organization_key)
        self._end_versions(tables.mailbox, "id", [row.id for row in over])
        return {number: row for number, row in rows.items() if number not in same}

    def _end_people(self, numbers: Sequence[int]) -> None:
        """Let people end with all that hangs on them, and leave a stub of each."""
        for start in range(0, len(numbers), 2_000):
            some = numbers[start : start + 2_000]
            people = tables.practitioner
            columns = [people.c.id, people.c.national_id]
            found = list(select_in(self._connection, columns, people.c.id, some))
            self._leave_stubs("practitioner", [(row.id, row.national_id) for row in found])
            self._merge_roles(some, [])
            self._merge_skills(some, [])
            self._merge_mailboxes(some, [])
            self._end_versions(people, "id", some)
            self._connection.commit()

    def _end_versions(self, table: Table, column: str, keys: Sequence[Any]) -> None:
        end_versions(self._connection, table, table.c[column], keys, self._number)

    def _leave_stubs(self, kind: str, things: Sequence[tuple[int, str]]) -> None:
        number, forever, at = self._version
        rows = [(kind, one, number, forever, name, at) for one, name in things]
        insert_rows(self._connection, tables.gone, rows)

    def _come_back(self, kind: str, numbers: Sequence[int]) -> None:
        table = tables.gone
        for start in range(0, len(numbers), 500):
            self._connection.execute(
                update(table)
                .where(
                    table.c.kind == kind,
                    table.c.id.in_(numbers[start : start + 500]),
                    table.c.gone == tables.FOREVER,
                )
                .values(gone=self._number)
            )

    # -- what follows --------------------------------------------------------------------------

    def _join_mailboxes(self) -> None:
        """Hang mailboxes on the structure that others name by another number of the same."""
        box, place = tables.mailbox, tables.organization
        for prefix, column in (("3", place.c.siret), ("4", place.c.old_id)):
            number = func.substr(box.c.organization_key, 2) if prefix == "3" else None
            same = column == (box.c.organization_key if number is None else number)
            found = (
                select(func.min(place.c.key))
                .where(same, place.c.gone == tables.FOREVER, place.c.key != box.c.organization_key)
                .where(place.c.key.not_like("3%") if prefix == "3" else place.c.mention == ACTIVITY)
                .scalar_subquery()
            )
            rows = self._connection.execute(
                select(box.c.id, box.c.organization_key, found.label("other")).where(
                    box.c.born == self._number, box.c.organization_key.like(f"{prefix}%")
                )
            ).all()
            for row in rows:
                if row.other is not None:
                    self._touched.add(row.organization_key)
                    self._connection.execute(
                        update(box)
                        .where(box.c.id == row.id, box.c.born == self._number)
                        .values(organization_key=row.other)
                    )
        self._connection.commit()

    def _end_unmentioned(self) -> None:
        """Let the structures end that nobody is at and FINESS does not describe."""
        place = tables.organization
        touched = sorted(key for key in self._touched if key)
        for start in range(0, len(touched), 500):
            some = touched[start : start + 500]
            mentioned: set[str] = set()
            for table in (tables.role, tables.mailbox):
                columns = [table.c.organization_key]
                rows = select_in(self._connection, columns, table.c.organization_key, some)
                mentioned.update(row.organization_key for row in rows)
            columns = [place.c.key, place.c.in_finess]
            found = list(select_in(self._connection, columns, place.c.key, some))
            over = [row.key for row in found if not row.in_finess and row.key not in mentioned]
            self._connection.execute(
                place.delete().where(place.c.key.in_(over), place.c.born == self._number)
            )
            self._end_versions(place, "key", over)
            stubs = [(organization_number(key), key) for key in over]
            self._leave_stubs("organization", stubs)
            self._connection.commit()

    def _count(self, table: Table) -> int:
        query = select(func.count()).select_from(table)
        return self._connection.execute(query.where(self._ours(table))).scalar_one()

    def _count_domains(self) -> int:
        table = tables.mailbox
        query = select(func.count(table.c.domain.distinct())).where(self._ours(table))
        return self._connection.execute(query).scalar_one()

    def _ours(self, table: Table) -> Any:  # noqa: ANN401 - a condition
        return (table.c.gone == tables.FOREVER) & (table.c.born > tables.DECLARED)

    def _count_transferred(self) -> int:
        """Count the mailboxes that now belong to somebody who did not hold them before."""
        if self._live is None:
            return 0
        old, new = tables.mailbox.alias(), tables.mailbox.alias()
        known = select(old.c.id).where(
            old.c.born <= self._live,
            old.c.born > tables.DECLARED,
            old.c.gone > self._live,
            old.c.address_key == new.c.address_key,
        )
        same = known.where(old.c.practitioner_id == new.c.practitioner_id)
        query = select(func.count(new.c.address_key.distinct())).where(
            new.c.born == self._number,
            new.c.practitioner_id.is_not(None),
            known.exists(),
            ~same.exists(),
        )
        return self._connection.execute(query).scalar_one()

    # -- erasing -------------------------------------------------------------------------------

    def _discard_crashed(self) -> None:
        table = tables.generation
        query = select(table.c.number).where(table.c.state == "building")
        crashed = self._connection.execute(query).scalars().all()
        self._release()
        for number in crashed:
            self._throw_away(number)

    def _throw_away(self, number: int) -> None:
        """Undo what was written for a generation that never was in force."""
        for table in (*tables.VERSIONED, tables.gone):
            erase_rows(self._connection, table, f"born = {int(number)}")
            self._connection.execute(
                update(table).where(table.c.gone == number).values(gone=tables.FOREVER)
            )
            self._connection.commit()
        for _ in build_indexes(self._connection):
            pass
        self._set_state(number, "discarded")

    def _erase_until(self, number: int) -> int:
        """Erase the versions that ended before a generation."""
        ended = f"gone <= {int(number)} AND gone < {tables.FOREVER}"
        return sum(erase_rows(self._connection, table, ended) for table in tables.VERSIONED)

    def _erase_stubs(self, at: datetime) -> int:
        limit = tables.to_microseconds(at - timedelta(days=STUB_DAYS))
        return erase_rows(self._connection, tables.gone, f"gone_at < {limit}")

    def _drop_indexes(self) -> None:
        declared = select(func.count()).select_from(tables.declared_mailbox)
        has_declared = self._connection.execute(declared).scalar_one()
        self._release()
        # Mailboxes declared here are looked up by their address while the rest is loaded.
        kept = [i for i in tables.mailbox.indexes if i.name == "directory_mailbox_address"]
        drop_indexes(self._connection, kept if has_declared else ())

    # -- small ---------------------------------------------------------------------------------

    def _commit(self) -> None:
        """Write the labels that came with the rows, and commit."""
        table = tables.code
        for name, code, label in self._labels.take_new():
            mine = (table.c.list == name) & (table.c.code == code)
            self._connection.execute(table.delete().where(mine))
            self._connection.execute(insert(table).values(list=name, code=code, label=label))
        self._connection.commit()

    def _release(self) -> None:
        """End what was read, so that no write grows out of an old view (SQLite would refuse it)."""
        self._connection.commit()

    def _set_state(self, number: int, state: str) -> None:
        table = tables.generation
        self._connection.execute(update(table).where(table.c.number == number).values(state=state))
        self._connection.commit()
