"""Build a generation in SQL: in bulk, in short transactions, without holding a file in memory.

Every batch is one transaction, so that on SQLite others can write between two batches, and what a
crash leaves is a generation in state `building`, which the next import throws away. One import at a
time: whoever schedules imports sees to that.

Rows already there win over later ones of the same key (`ON CONFLICT DO NOTHING`): the first file
that names a person or a structure is the richest one.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from directory.extraction import Activity, Source, find_sources
from directory.index_sql import tables
from directory.index_sql.declared import lay_over
from directory.index_sql.finding import find_live_generation, find_live_number
from directory.index_sql.keys import (
    mailbox_number,
    organization_number,
    practitioner_number,
    role_number,
)
from directory.index_sql.rows import AnyRow, Which, load_mailboxes, load_practitioners
from directory.model import Coded, MailboxEntry, Organization, PracticeRole, Practitioner
from directory.search import (
    Facet,
    IndexedSubject,
    index_practitioner,
    index_structure_mailbox,
    order_key,
)
from directory.sync import Counts, Generation, ImportReport, Progress, apply_snapshot

INDEX_BATCH: Final = 2_000
ERASE_BATCH: Final = 20_000

Values = tuple[object, ...]


def import_snapshot(
    connection: Connection,
    paths: Path | Sequence[Source],
    *,
    at: datetime,
    force: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Replace the directory by the national files at a path (file, archive or folder).

    Commits as it goes: the connection must be its own, outside `begin()`.

    Args:
        connection: To write to.
        paths: Where the files are, or the files themselves. Together they are the whole directory.
        at: Instant of the import.
        force: Accept what would be refused as implausible.
        progress: Told how far the work is.

    Raises:
        ExtractionSyntaxError: A file cannot be read; the directory in force stays.
        SnapshotRefusedError: The snapshot is implausible; the directory in force stays.
    """
    sources = find_sources(paths) if isinstance(paths, Path) else paths
    store = SqlGenerationStore(connection)
    return apply_snapshot(sources, store, at=at, force=force, progress=progress)


class SqlGenerationStore:
    """The `GenerationStore` of `directory.sync`, on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._number = 0
        self._changed_at = 0
        self._people_before_mailboxes: int | None = None
        self._labels: dict[tuple[str, str], str] = {}

    def live(self) -> Generation | None:
        """Return the generation in force."""
        generation = find_live_generation(self._connection)
        self._release()
        return generation

    def begin(self, at: datetime) -> int:
        """Open a new generation, and throw away what a crashed import left."""
        table = tables.generation
        self.erase_retired()
        last = self._connection.execute(select(func.max(table.c.number))).scalar()
        self._release()
        self._number = (last or 0) + 1
        empty = {
            "counts": dataclasses.asdict(Counts()),
            "sources": [],
            "findings": [],
            "duration_ms": 0,
        }
        self._changed_at = tables.to_microseconds(at)
        row = {"number": self._number, "state": "building", "loaded_at": at, **empty}
        self._connection.execute(insert(table).values(row))
        self._connection.commit()
        return self._number

    def add_activities(self, batch: Sequence[Activity]) -> None:
        """Add people, roles and structures."""
        people = [activity.practitioner for activity in batch]
        roles = [(a.practitioner, a.role) for a in batch if a.role is not None]
        places = (role.organization for _, role in roles if role.organization is not None)
        rows = (self._role_row(person, role) for person, role in roles)
        self._add_people(people)
        self._add_places(places)
        self._insert(tables.role, rows)
        self._connection.commit()

    def add_skills(self, batch: Sequence[Practitioner]) -> None:
        """Add skills, and people who have no activity."""
        self._add_people(batch)
        self._connection.commit()

    def add_mailboxes(self, batch: Sequence[MailboxEntry]) -> None:
        """Add mailboxes, and the people and structures known from them only."""
        if self._people_before_mailboxes is None:
            self._people_before_mailboxes = self._count(tables.practitioner)
            self._release()
        self._add_people([m.practitioner for m in batch if m.practitioner is not None])
        self._add_places(m.organization for m in batch if m.organization is not None)
        self._insert(tables.mailbox, [self._mailbox_row(mailbox) for mailbox in batch])
        self._connection.commit()

    def index(self, progress: Progress) -> Counts:
        """Make what was added searchable, and count it."""
        people = self._count(tables.practitioner)
        done = 0
        for number in self._index_people():
            done += number
            progress("index", done, people)
        self._index_structure_mailboxes()
        self._connection.execute(self._count_words())
        self._connection.commit()
        self._analyze()
        orphans = people - (
            people if self._people_before_mailboxes is None else self._people_before_mailboxes
        )
        return Counts(
            practitioners=people,
            roles=self._count(tables.role),
            organizations=self._count(tables.organization),
            mailboxes=self._count(tables.mailbox),
            domains=self._count_domains(),
            orphans=orphans,
            transferred=self._count_transferred(),
        )

    def activate(self, generation: Generation) -> None:
        """Put the new generation in force, in one step."""
        table = tables.generation
        sources = [dataclasses.asdict(source) for source in generation.sources]
        retire = update(table).where(table.c.state == "live").values(state="retired")
        self._connection.rollback()
        self._connection.execute(retire)
        for content in tables.VERSIONED:
            self._connection.execute(
                update(content)
                .where(
                    content.c.born.between(1, generation.number - 1),
                    content.c.gone == tables.FOREVER,
                )
                .values(gone=generation.number)
            )
        lay_over(self._connection, generation=generation.number)
        self._connection.execute(
            update(table)
            .where(table.c.number == generation.number)
            .values(
                state="live",
                duration_ms=int(generation.duration.total_seconds() * 1000),
                counts=dataclasses.asdict(generation.counts),
                sources=sources,
            )
        )
        self._connection.commit()

    def discard(self) -> None:
        """Throw the new generation away."""
        self._connection.rollback()
        self._erase(self._number)
        self._set_state(self._number, "discarded")

    def erase_retired(self) -> None:
        """Erase the people of all the generations that are not in force."""
        table = tables.generation
        query = select(table.c.number, table.c.state).where(
            table.c.state.in_(["retired", "building"])
        )
        rows = self._connection.execute(query).all()
        self._release()
        for row in rows:
            self._erase(row.number)
            self._set_state(row.number, "erased" if row.state == "retired" else "discarded")

    # -- rows ----------------------------------------------------------------------------------

    def _add_people(self, people: Iterable[Practitioner]) -> None:
        rows = []
        skills = []
        for person in people:
            number = practitioner_number(person.national_id)
            rows.append(
                (
                    number,
                    *self._version,
                    0,
                    str(person.national_id),
                    person.family,
                    person.given,
                    order_key(person.family),
                    order_key(person.given),
                    person.civility,
                    person.title,
                    self._code("profession", person.profession),
                    self._code("category", person.category),
                )
            )
            for skill in person.skills:
                kind = self._code("skill-kind", skill.kind)
                code = self._code("skill", Coded(code=skill.code, label=skill.label))
                skills.append((number, code, self._number, tables.FOREVER, kind))
        self._insert(tables.practitioner, rows)
        self._insert(tables.skill, skills)

    def _add_places(self, places: Iterable[Organization]) -> None:
        once = {place.key: place for place in places}
        self._insert(tables.organization, [self._place_row(place) for place in once.values()])

    def _place_row(self, place: Organization) -> Values:
        address, position = place.address, place.position
        return (
            place.key,
            *self._version,
            organization_number(place.key),
            0,
            place.kind or "",
            place.is_active,
            place.in_finess,
            place.name,
            place.trade_name,
            order_key(place.name),
            order_key(place.trade_name),
            str(place.finess or ""),
            str(place.finess_legal or ""),
            str(place.siret or ""),
            str(place.siren or ""),
            place.technical_id,
            place.old_id,
            place.parent_key,
            self._code("sector", place.sector),
            self._code("structure-category", place.category),
            self._code("legal-status", place.legal_status),
            place.ape,
            place.phone,
            place.phone2,
            place.fax,
            place.email,
            address.street,
            address.complement,
            address.postcode,
            address.city,
            order_key(address.city),
            address.commune,
            address.department,
            address.country,
            position.latitude if position else None,
            position.longitude if position else None,
        )

    @property
    def _version(self) -> tuple[int, int, int]:
        """Return born, gone and changed_at of what is written now."""
        return (self._number, tables.FOREVER, self._changed_at)

    def _role_row(self, person: Practitioner, role: PracticeRole) -> Values:
        number = practitioner_number(person.national_id)
        return (
            number,
            role_number(number, role),
            *self._version,
            role.organization.key if role.organization is not None else "",
            self._code("profession", role.profession),
            self._code("category", role.category),
            self._code("mode", role.mode),
            self._code("activity", role.activity),
            self._code("function", role.function),
            self._code("section", role.section),
        )

    def _mailbox_row(self, mailbox: MailboxEntry) -> Values:
        holder, place = mailbox.practitioner, mailbox.organization
        person = None if holder is None else practitioner_number(holder.national_id)
        key = None if place is None else place.key
        return (
            mailbox_number(mailbox.address.key, person, key),
            *self._version,
            0,
            mailbox.address.key,
            str(mailbox.address),
            str(mailbox.address.domain),
            str(mailbox.kind),
            person,
            None,
            key,
            mailbox.service,
            mailbox.description,
            mailbox.responsible,
            mailbox.paperless,
            mailbox.liste_rouge,
            mailbox.rank,
            False,
        )

    def _code(self, name: str, coded: Coded | None) -> str:
        """Return a code, and remember its label to be stored once."""
        if coded is None or not coded.code:
            return ""
        key = (name, coded.code)
        if key not in self._labels:
            self._labels[key] = coded.label
            self._insert(tables.code, [(name, coded.code, coded.label)])
        return coded.code

    # -- index ---------------------------------------------------------------------------------

    def _index_people(self) -> Iterator[int]:
        """Index people in the order of their numbers, a batch at a time."""
        table = tables.practitioner
        last = -1
        while True:
            people = self._connection.execute(
                select(table)
                .where(table.c.born == self._number, table.c.id > last)
                .order_by(table.c.id)
                .limit(INDEX_BATCH)
            ).all()
            if not people:
                return
            last = people[-1].id
            self._index_batch(people)
            self._connection.commit()
            yield len(people)

    def _index_batch(self, people: Sequence[AnyRow]) -> None:
        which = Which([people[0].id, people[-1].id], as_range=True)
        loaded = load_practitioners(
            self._connection, self._number, people, which=which, labels=self._labels
        )
        # Sorted here: asked to sort, SQLite walks the whole generation instead of the index.
        found = self._connection.execute(which.select(tables.mailbox, self._number)).all()
        mailbox_rows = sorted(found, key=lambda row: int(row.id))
        mailboxes = load_mailboxes(
            self._connection, self._number, mailbox_rows, labels=self._labels
        )
        held: dict[int, list[MailboxEntry]] = {}
        for row, mailbox in zip(mailbox_rows, mailboxes, strict=True):
            held.setdefault(row.practitioner_id, []).append(mailbox)
        self._release()
        self._index(
            [
                (number, index_practitioner(person, held.get(number, ())))
                for number, person in loaded.items()
            ]
        )

    def _index_structure_mailboxes(self) -> None:
        table = tables.mailbox
        last = 0
        while True:
            rows = self._connection.execute(
                select(table)
                .where(
                    table.c.born == self._number,
                    table.c.id > last,
                    table.c.practitioner_id.is_(None),
                    table.c.liste_rouge.is_(False),
                )
                .order_by(table.c.id)
                .limit(INDEX_BATCH)
            ).all()
            if not rows:
                return
            last = rows[-1].id
            mailboxes = load_mailboxes(self._connection, self._number, rows, labels=self._labels)
            self._release()
            pairs = zip(rows, mailboxes, strict=True)
            self._index([(-row.id, index_structure_mailbox(mailbox)) for row, mailbox in pairs])
            self._connection.commit()

    def _index(self, subjects: Sequence[tuple[int, IndexedSubject]]) -> None:
        kind = f":{Facet.MAILBOX_KIND}:"
        self._insert(
            tables.subject,
            [
                (self._number, number, s.family_key, s.given_key, s.has_mailbox, s.text)
                for number, s in subjects
            ],
        )
        words = [
            (self._number, word, field, 0 if s.has_mailbox else 1, number)
            for number, s in subjects
            for field, word in s.words
            if not word.startswith(kind)
        ]
        words.sort()  # neighbours in the tree are written together
        self._insert(tables.token, words)

    def _count_words(self) -> Any:  # noqa: ANN401 - an insert from a select has no common type
        token, vocabulary = tables.token, tables.vocabulary
        counted = (
            select(token.c.generation, token.c.token, func.count())
            .where(token.c.generation == self._number)
            .group_by(token.c.generation, token.c.token)
        )
        return insert(vocabulary).from_select(["generation", "token", "subjects"], counted)

    # -- counts --------------------------------------------------------------------------------

    def _count(self, table: Table) -> int:
        query = select(func.count()).select_from(table).where(table.c.born == self._number)
        return self._connection.execute(query).scalar_one()

    def _count_domains(self) -> int:
        table = tables.mailbox
        query = select(func.count(table.c.domain.distinct()))
        return self._connection.execute(query.where(table.c.born == self._number)).scalar_one()

    def _count_transferred(self) -> int:
        """Count the mailboxes that now belong to somebody who did not hold them before."""
        live = find_live_number(self._connection)
        if live is None:
            return 0
        old, new = tables.mailbox.alias(), tables.mailbox.alias()
        known = select(old.c.id).where(
            tables.in_force(old, live), old.c.address_key == new.c.address_key
        )
        same = known.where(old.c.practitioner_id == new.c.practitioner_id)
        query = select(func.count(new.c.address_key.distinct())).where(
            new.c.born == self._number,
            new.c.practitioner_id.is_not(None),
            known.exists(),
            ~same.exists(),
        )
        return self._connection.execute(query).scalar_one()

    # -- engine --------------------------------------------------------------------------------

    def _insert(self, table: Table, rows: Iterable[Values]) -> None:
        """Insert rows given in the order of the columns; rows already there stay."""
        batch = list(rows)
        if not batch:
            return
        if self._connection.dialect.name == "postgresql":
            _insert_arrays(self._connection, table, batch)
        else:
            marks = ",".join("?" * len(table.columns))
            statement = f"INSERT OR IGNORE INTO {table.name} VALUES ({marks})"  # noqa: S608 - our own table names
            self._connection.exec_driver_sql(statement, batch)

    def _release(self) -> None:
        """End what was read, so that no write grows out of an old view (SQLite would refuse it)."""
        self._connection.commit()

    def _analyze(self) -> None:
        """Tell PostgreSQL what was loaded; its planner would otherwise guess until the night."""
        if self._connection.dialect.name == "postgresql":
            for table in tables.metadata.sorted_tables:
                self._connection.exec_driver_sql(f"ANALYZE {table.name}")
            self._connection.commit()

    def _erase(self, number: int) -> None:
        for table, column in tables.INDEXED:
            while self._erase_some(table, column, number):
                self._connection.commit()
        for content in tables.VERSIONED:
            is_over = or_(content.c.gone == number + 1, content.c.born == number)
            live = find_live_number(self._connection) or 0
            is_over = and_(is_over, or_(content.c.gone <= live, content.c.born > live))
            self._release()
            self._connection.execute(delete(content).where(is_over))
        self._connection.commit()

    def _erase_some(self, table: Table, column: ColumnElement[Any], number: int) -> bool:
        """Erase the first rows of a generation; say whether some are left."""
        mine = table.c.generation == number
        bound = self._connection.execute(
            select(column).where(mine).order_by(column).offset(ERASE_BATCH).limit(1)
        ).scalar()
        self._release()
        if bound is None:
            self._connection.execute(delete(table).where(mine))
            return False
        self._connection.execute(delete(table).where(mine, column <= bound))
        return True

    def _set_state(self, number: int, state: str) -> None:
        table = tables.generation
        self._connection.execute(update(table).where(table.c.number == number).values(state=state))
        self._connection.commit()


def _insert_arrays(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Send a batch to PostgreSQL as one array for each column: one round trip for all rows."""
    columns = list(table.columns)
    arrays = [
        func.unnest(bindparam(column.name, type_=postgresql.ARRAY(_plain(column.type))))
        for column in columns
    ]
    statement = (
        postgresql.insert(table)
        .from_select([column.name for column in columns], select(*arrays))
        .on_conflict_do_nothing()
    )
    values = zip(*rows, strict=True)
    parameters = {c.name: list(value) for c, value in zip(columns, values, strict=True)}
    connection.execute(statement, parameters)


def _plain(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type of the values that rows in bulk carry: instants are counted already."""
    return BigInteger() if isinstance(type_, tables.Instant) else type_
