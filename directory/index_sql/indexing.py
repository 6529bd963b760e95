"""Make the search index of a generation from its rows.

An index is a folder, made once for each generation and never changed: by the import before it puts
the generation in force, or by a machine that finds a generation in force for which it has none. The
index of a following generation begins as a copy of the one before, and takes up what changed.

What our own operator declares is not in it, nor what it masks is left out: that changes all day
long, and is laid over the index in memory (`overlay.py`).

Errors
    `OSError` when the folder cannot be written.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, or_, select, union

from directory.identifiers import NationalPersonId
from directory.index_sql import tables
from directory.index_sql.rows import STANDARD_ACTIVITY
from directory.search_index.folder import IndexBuilder, IndexFolder
from directory.search_index.subject import Place, Subject

BATCH: Final = 10_000
MAX_LIST: Final = 500
Progress = Callable[[str, int, int], None]
Range = Callable[[ColumnElement[Any]], ColumnElement[bool]]


def build_search_index(
    connection: Connection,
    generation: int,
    folder: Path,
    *,
    progress: Progress | None = None,
    before: int | None = None,
) -> IndexFolder:
    """Make the index of a generation, or find it made.

    Ends the transaction of the connection after each batch: between two of them others can write.

    Args:
        connection: To read from.
        generation: Whose rows to index; they must all be there.
        folder: Where indexes are kept, each in a folder of its own.
        progress: Told `index`, how many people are done, and 0 for of how many.
        before: The generation before; its index, if it is in the folder, is the beginning.

    Returns:
        The folder of the index, to be opened.
    """
    made = IndexFolder(folder, generation)
    if made.is_complete:
        return made
    tell = progress or (lambda _stage, _done, _total: None)
    old = None if before is None else IndexFolder(folder, before)
    with IndexBuilder(made, copy_of=old if old and old.is_complete else None) as builder:
        if builder.is_copy:
            _index_changes(connection, generation, builder)
        else:
            for number, subjects in _all_subjects(connection, generation):
                builder.add(subjects)
                tell("index", number, 0)
    return made


def load_subjects(
    connection: Connection,
    generation: int,
    ids: Sequence[int],
    *,
    is_declared: bool = False,
) -> Iterator[Subject]:
    """Load subjects by number; those that are not in the generation are left out.

    Args:
        connection: To read from.
        generation: To read in.
        ids: Numbers of people; minus the numbers of mailboxes.
        is_declared: See the declared mailboxes, and not what they mask.
    """
    reader = _Reader(connection, generation, is_declared=is_declared)
    people = sorted(number for number in ids if number > 0)
    mailboxes = sorted(-number for number in ids if number < 0)
    for start in range(0, len(people), MAX_LIST):
        yield from reader.people(_listed(people[start : start + MAX_LIST]))
    for start in range(0, len(mailboxes), MAX_LIST):
        yield from reader.mailboxes(_listed(mailboxes[start : start + MAX_LIST]))


def _all_subjects(
    connection: Connection, generation: int
) -> Iterator[tuple[int, Iterable[Subject]]]:
    """Yield all subjects in batches, with the number of people so far."""
    reader = _Reader(connection, generation)
    people, mailboxes = tables.practitioner, tables.mailbox
    done = 0
    last = -1
    while (end := reader.last_of_batch(people, people.c.id, last)) is not None:
        found = list(reader.people(_between(last, end)))
        connection.commit()
        done += len(found)
        last = end
        yield done, found
    last = -1
    while (end := reader.last_of_batch(mailboxes, mailboxes.c.id, last)) is not None:
        batch = list(reader.mailboxes(_between(last, end)))
        connection.commit()
        last = end
        yield done, batch


def _index_changes(connection: Connection, generation: int, builder: IndexBuilder) -> None:
    """Take up what a generation changed: the subjects whose rows came, went or changed."""
    changed = _changed_ids(connection, generation)
    for start in range(0, len(changed), BATCH):
        batch = changed[start : start + BATCH]
        builder.remove(batch)
        builder.add(load_subjects(connection, generation, batch))
        connection.commit()


def _changed_ids(connection: Connection, generation: int) -> list[int]:
    def touched(table: Any) -> ColumnElement[bool]:  # noqa: ANN401 - any table of ours
        return or_(table.c.born == generation, table.c.gone == generation)

    person, skill, role = tables.practitioner, tables.skill, tables.role
    mailbox, place = tables.mailbox, tables.organization
    places = select(place.c.key).where(touched(place))
    people = union(
        select(person.c.id).where(touched(person)),
        select(skill.c.practitioner_id).where(touched(skill)),
        select(role.c.practitioner_id).where(
            or_(touched(role), role.c.organization_key.in_(places))
        ),
        select(mailbox.c.practitioner_id).where(
            mailbox.c.practitioner_id.is_not(None),
            or_(touched(mailbox), mailbox.c.organization_key.in_(places)),
        ),
    )
    shared = select(mailbox.c.id).where(
        or_(touched(mailbox), mailbox.c.organization_key.in_(places))
    )
    found = [int(number) for number in connection.execute(people).scalars()]
    found += [-int(number) for number in connection.execute(shared.distinct()).scalars()]
    connection.commit()
    return found


def _listed(numbers: Sequence[int]) -> Range:
    return lambda column: column.in_(numbers)


def _between(after: int, end: int) -> Range:
    return lambda column: and_(column > after, column <= end)


_PLACE = (
    "name",
    "trade_name",
    "finess",
    "siret",
    "street",
    "postcode",
    "city",
    "department",
    "latitude",
    "longitude",
)


class _Reader:
    """Reads subjects of one generation."""

    def __init__(
        self, connection: Connection, generation: int, *, is_declared: bool = False
    ) -> None:
        self.connection = connection
        self.generation = generation
        self.is_declared = is_declared
        table = tables.code
        rows = connection.execute(
            select(table.c.list, table.c.code, table.c.label).where(
                table.c.list.in_(["profession", "skill"])
            )
        )
        self.labels: Mapping[tuple[str, str], str] = {(r.list, r.code): r.label for r in rows}

    def last_of_batch(
        self,
        table: Any,  # noqa: ANN401 - any table of ours
        column: ColumnElement[int],
        after: int,
    ) -> int | None:
        """Return the last number of the batch after a number; `None` at the end."""
        query = select(column).where(column > after).order_by(column)
        last = self.connection.execute(query.offset(BATCH - 1).limit(1)).scalar()
        if last is None:
            last = self.connection.execute(
                select(column)
                .select_from(table)
                .where(column > after)
                .order_by(column.desc())
                .limit(1)
            ).scalar()
        return None if last is None else int(last)

    def people(self, which: Range) -> Iterator[Subject]:
        """Yield the people of a range."""
        table = tables.practitioner
        people = self.connection.execute(
            select(
                table.c.id, table.c.national_id, table.c.family, table.c.given, table.c.profession
            ).where(self._shown(table), which(table.c.id))
        ).all()
        skills = self._grouped(self._skills(which))
        roles = self._grouped(self._roles(which))
        mailboxes = self._grouped(self._mailboxes(tables.mailbox.c.practitioner_id, which))
        for number, national_id, family, given, profession in people:
            held = mailboxes.get(number, ())
            worked = roles.get(number, ())
            places = [Place(r[3], r[4], r[5:7], *r[7:]) for r in worked if r[3] is not None]
            places += [Place(r[6], r[7], r[8:10], *r[10:]) for r in held if r[6] is not None]
            codes = dict.fromkeys([profession, *(role[1] for role in worked)])
            yield Subject(
                id=number,
                family=family,
                given=given,
                numbers=_person_numbers(national_id),
                professions=tuple((c, self.labels.get(("profession", c), "")) for c in codes if c),
                specialities=tuple(
                    (row[1], self.labels.get(("skill", row[1]), ""))
                    for row in skills.get(number, ())
                ),
                places=tuple(dict.fromkeys(places)),
                mailboxes=tuple((row[2], row[3]) for row in held),
                is_standard=any(role[2] == STANDARD_ACTIVITY for role in worked),
            )

    def mailboxes(self, which: Range) -> Iterator[Subject]:
        """Yield the mailboxes of a range that no single person holds."""
        column = tables.mailbox.c.id
        query = self._mailboxes(column, which).where(tables.mailbox.c.practitioner_id.is_(None))
        for row in self.connection.execute(query):
            place = () if row[6] is None else (Place(row[6], row[7], row[8:10], *row[10:]),)
            yield Subject(
                id=-row[0],
                places=place,
                label=f"{row[4]} {row[5]} {row[3].partition('@')[0]}",
                mailboxes=((row[2], row[3]),),
                is_standard=True,
            )

    def _skills(self, which: Range) -> Any:  # noqa: ANN401 - a select of any columns
        table = tables.skill
        return select(table.c.practitioner_id, table.c.code).where(
            self._shown(table), which(table.c.practitioner_id)
        )

    def _roles(self, which: Range) -> Any:  # noqa: ANN401
        role, place = tables.role, tables.organization
        joined = and_(place.c.key == role.c.organization_key, self._shown(place))
        return (
            select(
                role.c.practitioner_id,
                role.c.profession,
                role.c.activity,
                *(place.c[name] for name in _PLACE),
            )
            .select_from(role.outerjoin(place, joined))
            .where(self._shown(role), which(role.c.practitioner_id))
        )

    def _mailboxes(self, column: ColumnElement[Any], which: Range) -> Any:  # noqa: ANN401
        """Select published mailboxes: number, a constant, kind, address, and where they hang."""
        mailbox, place = tables.mailbox, tables.organization
        joined = and_(place.c.key == mailbox.c.organization_key, self._shown(place))
        return (
            select(
                column,
                mailbox.c.id,
                mailbox.c.kind,
                mailbox.c.address,
                mailbox.c.service,
                mailbox.c.description,
                *(place.c[name] for name in _PLACE),
            )
            .select_from(mailbox.outerjoin(place, joined))
            .where(self._shown(mailbox), mailbox.c.liste_rouge.is_(False), which(column))
        )

    def _shown(self, table: Any) -> ColumnElement[bool]:  # noqa: ANN401 - any table of ours
        if self.is_declared or table is not tables.mailbox:
            return tables.in_force(table, self.generation)
        born = table.c.born
        return and_(born <= self.generation, born > tables.DECLARED, table.c.gone > self.generation)

    def _grouped(self, query: Any) -> dict[int, list[Any]]:  # noqa: ANN401 - a select of any columns
        rows = sorted(map(tuple, self.connection.execute(query)), key=itemgetter(0))
        return {number: list(group) for number, group in groupby(rows, key=itemgetter(0))}


def _person_numbers(national_id: str) -> tuple[str, ...]:
    rpps = NationalPersonId(national_id).rpps
    return (national_id.lower(), *((str(rpps),) if rpps else ()))
