"""Run a FHIR search: one page of matches and what comes along with them.

A page is read from the generation that its search began in, after the sort values of the last match
before: nothing is lost or doubled when another generation comes into force meanwhile. Conditions
that few rows meet are computed as sets, the others asked of each row in the order of the answer
until the page is full; a bounded count of each decides.

Errors
    `SnapshotGoneError`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    false,
    func,
    literal,
    or_,
    select,
)

from directory.fhir import vocabulary
from directory.fhir.criteria import (
    Condition,
    Criterion,
    FhirSearch,
    SortKey,
    TimeMatch,
    Token,
    TokenMatch,
    Total,
)
from directory.fhir.errors import ResourceAbsentError, SeveralMatchesError, SnapshotGoneError
from directory.fhir.parameters import INCLUDES
from directory.fhir.records import GoneRecord, Record
from directory.fhir.resources import person_identifiers, role_identifiers
from directory.index_sql import tables
from directory.index_sql.fhir_conditions import (
    LINKS,
    STRANGER,
    Reader,
    Scope,
    Source,
    Test,
    aliased,
    as_set,
    as_test,
    innermost,
    national_ids,
    parse_id,
    squared_distance,
    within,
)
from directory.index_sql.fhir_records import load_records
from directory.index_sql.finding import find_live_number

FEW: Final = 2000
"""Rows up to which a condition is computed as a set, and matches are counted unasked."""

MANY: Final = 50_000
"""Rows from which on a condition is taken to be met by about everything."""

NATION: Final = 1_000_000
"""Rows of a table at national size, in order of magnitude."""

DETOUR: Final = 3
"""How much dearer a member of a set is, which must be sorted, than a row that is met in order."""

MAX_INCLUDED: Final = 1000
KINDS: Final = {
    "Organization": "organization",
    "Practitioner": "practitioner",
    "PractitionerRole": "role",
}

SortValues = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One match: where it stands in the order, and whether it is only a stub."""

    id: int
    values: SortValues
    is_gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirPage:
    """One page of a search.

    Attributes:
        generation: The state of the directory that it was read from; 0 before the first import.
        total: How many match; `None` if that was not counted.
        after: The sort values of the last match, if more follow.
        is_cut: True if not everything that should come along did.
    """

    matches: tuple[Record, ...]
    included: tuple[Record, ...] = ()
    generation: int = 0
    total: int | None = None
    after: SortValues | None = None
    is_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a page begins: in which generation, after which sort values, with which total."""

    generation: int
    after: SortValues = ()
    total: int | None = None


def search(
    connection: Connection,
    query: FhirSearch,
    *,
    position: Position | None = None,
    reader: Reader = STRANGER,
) -> FhirPage:
    """Answer one page of a search.

    Args:
        connection: To read from.
        query: What is looked for.
        position: Where the page begins; `None` for the first one.
        reader: Who sees which mailboxes of the liste rouge.

    Raises:
        SnapshotGoneError: The generation of the position is not kept any more.
    """
    number = find_live_number(connection) if position is None else position.generation
    if position is not None:
        check_kept(connection, position.generation)
    if number is None:
        return FhirPage(matches=(), total=None if query.total is Total.NONE else 0)
    run = _Run(
        connection=connection,
        query=query,
        scope=Scope(
            number=number,
            reader=reader,
            is_sqlite=connection.dialect.name == "sqlite",
            ordered_by=_order_columns(query),
        ),
        position=position,
    )
    return run.page()


def check_kept(connection: Connection, number: int) -> None:
    """Raise `SnapshotGoneError` for a generation whose rows may have been erased."""
    table = tables.generation
    state = connection.execute(select(table.c.state).where(table.c.number == number)).scalar()
    if state not in {"live", "retired"}:
        raise SnapshotGoneError


def read(
    connection: Connection,
    resource: str,
    text: str,
    *,
    reader: Reader = STRANGER,
) -> Record:
    """Read one resource by its identifier, or the stub of what vanished.

    Raises:
        ResourceAbsentError: There is none.
    """
    number, wanted = find_live_number(connection), parse_id(text)
    if number is None or wanted is None:
        raise ResourceAbsentError
    scope = Scope(number=number, reader=reader)
    found = load_records(connection, resource, [wanted], scope)
    found = found or _load_gone(connection, resource, [wanted], scope)
    if not found:
        raise ResourceAbsentError
    return found[wanted]


def find_one(connection: Connection, query: FhirSearch, *, reader: Reader = STRANGER) -> int:
    """Return the number of the one resource that a conditional request names.

    Raises:
        ResourceAbsentError: There is none.
        SeveralMatchesError: There are several.
    """
    page = search(connection, replace(query, count=2, sort=(), total=Total.NONE), reader=reader)
    alive = [one for one in page.matches if not isinstance(one, GoneRecord)]
    if not alive:
        raise ResourceAbsentError
    if len(alive) > 1:
        raise SeveralMatchesError
    return int(alive[0].id)


def _order_columns(query: FhirSearch) -> frozenset[str]:
    columns = {"family": "family_key", "_lastUpdated": "changed_at", "name": "name_key"}
    return frozenset(columns[key.name] for key in query.sort[:1] if key.name in columns)


@dataclass(slots=True, kw_only=True)
class _Run:
    connection: Connection
    query: FhirSearch
    scope: Scope
    position: Position | None
    table: Source = field(init=False)
    tests: list[Test] = field(init=False)
    is_few: bool = field(init=False, default=False)
    is_none: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.table = aliased(self.query.resource)
        sizes = [self._size_of(condition) for condition in self.query.conditions]
        limit = _set_limit(sizes, self.query.count)
        self.is_few = any(size <= FEW for size in sizes)
        self.is_none = 0 in sizes
        self.tests = [
            (as_set if size <= limit else as_test)(condition, self.table, self.scope)
            for condition, size in zip(self.query.conditions, sizes, strict=True)
        ]

    def page(self) -> FhirPage:
        """Find, count, load."""
        total = self.position.total if self.position is not None else self._count()
        if self.query.is_count_only:
            return FhirPage(matches=(), generation=self.scope.number, total=total)
        found = sorted([*self._alive(), *self._gone()], key=_Order.of(self.query))
        page, has_more = found[: self.query.count], len(found) > self.query.count
        matches = self._load(page)
        included, is_cut = self._included([one.id for one in page if not one.is_gone])
        return FhirPage(
            matches=matches,
            included=included,
            generation=self.scope.number,
            total=total,
            after=(*page[-1].values, page[-1].id) if has_more else None,
            is_cut=is_cut,
        )

    # Matches

    def _size_of(self, condition: Condition) -> int:
        """Count the rows that the end of a condition selects, up to about everything."""
        limited = innermost(condition, self.scope).limit(MANY).subquery()
        return self.connection.execute(select(func.count()).select_from(limited)).scalar_one()

    def _alive(self) -> list[Found]:
        if self.is_none:
            return []
        keys = self._keys(self.table)
        query = (
            select(self.table.c.id, *(column for column, _ in keys))
            .where(self.scope.rows(self.table), *self.tests, *self._after(keys, self.table.c.id))
            .order_by(*_order(keys, self.table.c.id))
            .limit(self.query.count + 1)
        )
        rows = self.connection.execute(query).all()
        return [Found(id=row[0], values=tuple(map(_plain, row[1:]))) for row in rows]

    def _gone(self) -> list[Found]:
        table, tests = tables.gone, self._gone_tests()
        if tests is None:
            return []
        columns: dict[str, ColumnElement[Any]] = {
            "_id": table.c.id,
            "_lastUpdated": table.c.gone_at,
        }
        nothing = literal("", String)
        keys = [(columns.get(key.name, nothing), key.descending) for key in self.query.sort]
        query = (
            select(table.c.id, *(column for column, _ in keys))
            .where(*tests, *self._after(keys, table.c.id))
            .order_by(*_order(keys, table.c.id))
            .limit(self.query.count + 1)
        )
        rows = self.connection.execute(query).all()
        return [Found(id=row[0], values=tuple(map(_plain, row[1:])), is_gone=True) for row in rows]

    def _gone_tests(self) -> list[Test] | None:
        """Return the conditions on stubs; `None` if no stub can match."""
        table = tables.gone
        tests: list[Test] = [
            table.c.kind == KINDS[self.query.resource],
            tables.in_force(table, self.scope.number),
        ]
        for condition in self.query.conditions:
            test = gone_test(condition, table)
            if test is None:
                return None
            tests.append(test)
        return tests

    def _keys(self, table: Source) -> list[tuple[ColumnElement[Any], bool]]:
        """Return the columns that the answer is ordered by, and whether downwards."""
        return [(self._key(table, key), key.descending) for key in self.query.sort]

    def _key(self, table: Source, key: SortKey) -> ColumnElement[Any]:
        match key.name:
            case "_id":
                return table.c.id
            case "_lastUpdated":
                return table.c.changed_at
            case "family":
                return table.c.family_key
            case "name":
                return table.c.name_key
            case _:
                origin = self.query.origin
                assert origin is not None  # checked when the search was read
                return squared_distance(table, origin)

    def _after(
        self, keys: Sequence[tuple[ColumnElement[Any], bool]], number: ColumnElement[int]
    ) -> list[Test]:
        """Return the condition that a row stands after the last match of the page before."""
        if self.position is None or not self.position.after:
            return []
        columns = [*keys, (number, _is_downwards(keys))]
        values = [
            literal(value, column.type)
            if not isinstance(value, int)
            else literal(value, BigInteger)
            for (column, _), value in zip(columns, self._typed(), strict=True)
        ]
        beyond: list[Test] = []
        for place, (column, is_descending) in enumerate(columns):
            equal = [columns[before][0] == values[before] for before in range(place)]
            further = column < values[place] if is_descending else column > values[place]
            beyond.append(and_(*equal, further))
        first, downwards = columns[0]
        bound = first <= values[0] if downwards else first >= values[0]
        return [bound, or_(*beyond)]  # the first condition is what an index is entered by

    def _typed(self) -> list[Any]:
        assert self.position is not None
        names = [key.name for key in self.query.sort]
        return [
            datetime.fromisoformat(value) if name == "_lastUpdated" else value
            for name, value in zip([*names, "_id"], self.position.after, strict=True)
        ]

    # Counting

    def _count(self) -> int | None:
        if self.query.total is Total.NONE:
            return None
        queries: list[Select[Any]] = []
        if not self.is_none:
            rows = select(literal(1)).select_from(self.table)
            queries.append(rows.where(self.scope.rows(self.table), *self.tests))
        tests = self._gone_tests()
        if tests is not None:
            queries.append(select(literal(1)).select_from(tables.gone).where(*tests))
        if self.query.total is Total.ACCURATE:
            return sum(self._size(query) for query in queries)
        if not (self.is_few or self.is_none) and self.query.conditions:
            return None
        bounded = [self._size(query.limit(FEW + 1)) for query in queries]
        return sum(bounded) if max(bounded, default=0) <= FEW else None

    def _size(self, query: Select[Any]) -> int:
        rows = select(func.count()).select_from(query.subquery())
        return self.connection.execute(rows).scalar_one()

    # Loading

    def _load(self, page: Iterable[Found]) -> tuple[Record, ...]:
        listed = list(page)
        resource = self.query.resource
        alive = load_records(
            self.connection, resource, [one.id for one in listed if not one.is_gone], self.scope
        )
        gone = _load_gone(
            self.connection, resource, [one.id for one in listed if one.is_gone], self.scope
        )
        sources = ((one, gone if one.is_gone else alive) for one in listed)
        return tuple(source[one.id] for one, source in sources)

    def _included(self, ids: Sequence[int]) -> tuple[tuple[Record, ...], bool]:
        """Load what comes along, each resource once, none that is on the page already."""
        wanted: dict[str, set[int]] = {}
        is_cut = False
        for reference in sorted(self.query.includes) if ids else ():
            target = INCLUDES[self.query.resource][reference]
            wanted.setdefault(target, set()).update(self._targets(reference, target, ids))
        for source, reference in sorted(self.query.revincludes) if ids else ():
            numbers = self._sources(source, reference, ids)
            is_cut = is_cut or len(numbers) > MAX_INCLUDED
            wanted.setdefault(source, set()).update(numbers[:MAX_INCLUDED])
        if self.query.resource in wanted:
            wanted[self.query.resource] -= set(ids)
        found: list[Record] = []
        for resource in sorted(wanted):
            records = load_records(self.connection, resource, wanted[resource], self.scope)
            found += [records[number] for number in sorted(records)]
        return tuple(found), is_cut

    def _targets(self, reference: str, target: str, ids: Sequence[int]) -> Iterable[int]:
        local, remote = LINKS[self.query.resource, reference]
        own, other = aliased(self.query.resource), aliased(target, 1)
        query = (
            select(other.c.id)
            .select_from(own.join(other, own.c[local] == other.c[remote]))
            .where(own.c.id.in_(ids), self.scope.rows(own), self.scope.rows(other))
        )
        return self.connection.execute(query).scalars()

    def _sources(self, source: str, reference: str, ids: Sequence[int]) -> Sequence[int]:
        local, remote = LINKS[source, reference]
        own, other = aliased(self.query.resource), aliased(source, 1)
        keys: Any = ids
        if remote != "id":
            keys = self.connection.execute(
                select(own.c[remote]).where(own.c.id.in_(ids), self.scope.rows(own))
            ).scalars()
        query = (
            select(other.c.id)
            .where(other.c[local].in_(list(keys)), self.scope.rows(other))
            .limit(MAX_INCLUDED + 1)
        )
        return self.connection.execute(query).scalars().all()


class _Order:
    """Compares matches of two sources as the engine ordered each."""

    def __init__(self, parts: Sequence[tuple[Any, bool]], number: int) -> None:
        self.parts = parts
        self.number = number

    @classmethod
    def of(cls, query: FhirSearch) -> Any:  # noqa: ANN401 -- a key function
        """Make the key function of a search."""
        downwards = [key.descending for key in query.sort]
        return lambda found: cls(list(zip(found.values, downwards, strict=True)), found.id)

    def __lt__(self, other: "_Order") -> bool:
        for (mine, is_descending), (theirs, _) in zip(self.parts, other.parts, strict=True):
            if mine != theirs:
                return bool(mine > theirs) if is_descending else bool(mine < theirs)
        is_downwards = bool(self.parts) and self.parts[-1][1]
        return self.number > other.number if is_downwards else self.number < other.number


def _order(
    keys: Sequence[tuple[ColumnElement[Any], bool]], number: ColumnElement[int]
) -> list[ColumnElement[Any]]:
    columns = [column.desc() if is_descending else column.asc() for column, is_descending in keys]
    # Equals follow the last key's direction, so that one index gives the whole order.
    return [*columns, number.desc() if _is_downwards(keys) else number.asc()]


def _is_downwards(keys: Sequence[tuple[ColumnElement[Any], bool]]) -> bool:
    return bool(keys) and keys[-1][1]


def _set_limit(sizes: Sequence[int], count: int) -> int:
    """Decide up to which size conditions are computed as sets.

    With two conditions that many rows meet and few meet both, going through everything in order
    would meet a whole table before the page is full; then the smaller one is a set as well.
    """
    if not sizes:
        return FEW
    share = math.prod(1.0 if size >= MANY else max(size, 1) / NATION for size in sizes)
    smallest = min(sizes)
    met_in_order = min((count + 1) / share, NATION)
    if FEW < smallest < MANY and smallest * DETOUR < met_in_order:
        return smallest
    return FEW


def _plain(value: object) -> object:
    """Turn a sort value into what a link can carry."""
    return value.isoformat() if isinstance(value, datetime) else value


# What vanished


def gone_test(condition: Condition, table: Source) -> Test | None:
    """Return a condition on stubs; `None` if a stub cannot meet it, for it says next to nothing."""
    if not isinstance(condition, Criterion):
        return None
    match = condition.match
    if condition.parameter == "_lastUpdated" and isinstance(match, TimeMatch):
        return or_(*(within(table.c.gone_at, interval) for interval in match.intervals))
    if not isinstance(match, TokenMatch):
        return None
    match condition.parameter:
        case "_id":
            numbers = [parse_id(token.code) for token in match.tokens]
            test: Test = table.c.id.in_([number for number in numbers if number is not None])
        case "active":
            is_met = any(token.code == "false" for token in match.tokens) != match.negated
            return and_(literal(value=True)) if is_met else None
        case "identifier":
            test = or_(*(_gone_identifier(condition.resource, t, table) for t in match.tokens))
        case _:
            return None
    return ~test if match.negated else test


def _gone_identifier(resource: str, token: Token, table: Source) -> Test:
    if resource == "Practitioner":
        return table.c.identifier.in_([str(one) for one in national_ids(token)])
    if resource == "PractitionerRole":
        number = parse_id(token.code)
        return false() if number is None else table.c.id == number
    code = token.code
    return table.c.identifier.in_([code, "1" + code, "3" + code])


def _load_gone(
    connection: Connection, resource: str, ids: Sequence[int], scope: Scope
) -> dict[int, Record]:
    if not ids:
        return {}
    table = tables.gone
    query = select(table).where(
        table.c.kind == KINDS[resource], table.c.id.in_(ids), tables.in_force(table, scope.number)
    )
    return {
        row.id: GoneRecord(
            resource_type=resource,
            id=str(row.id),
            changed_at=row.gone_at,
            identifiers=_gone_identifiers(resource, row),
        )
        for row in connection.execute(query)
    }


def _gone_identifiers(resource: str, row: Any) -> tuple[tuple[str, str, str], ...]:  # noqa: ANN401 -- a row
    if resource == "PractitionerRole":
        return role_identifiers(str(row.id))
    if not row.identifier:
        return ()
    if resource == "Practitioner":
        return person_identifiers(row.identifier)
    system, kind = vocabulary.structure_key(row.identifier)
    return ((system, kind, row.identifier),)
