"""Fetch what the lines of a result show: people with their mailboxes, mailboxes of structures."""

from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, and_, select

from directory.folding import fold
from directory.identifiers import NationalPersonId
from directory.index_sql import tables
from directory.index_sql.finding import find_live_number, find_organization, list_mailboxes_of
from directory.index_sql.keys import practitioner_number
from directory.index_sql.prepared import PreparedList
from directory.index_sql.rows import (
    STANDARD_ACTIVITY,
    Labels,
    build_mailbox,
    build_organization,
    build_practitioner,
    build_role,
    build_skill,
    codes_in,
    find_labels,
)
from directory.model import MailboxEntry, Organization, Practitioner
from directory.phonetics import sound_key
from directory.search import MatchClass, OrganizationSheet, SearchHit, SearchQuery, prefer
from directory.search_index.answering import Line


def load_lines(
    connection: Connection, generation: int, lines: Sequence[Line], query: SearchQuery
) -> tuple[SearchHit, ...]:
    """Fetch lines in their order; whoever has gone since is left out."""
    rows = _fetch(connection, generation, lines)
    asked = _asked(query)
    hits = []
    for line in lines:
        if line.subject > 0:
            person = rows.person(line.subject)
            if person is not None:
                mailboxes = rows.mailboxes_of(line.subject, person)
                hits.append(_person_line(line, person, mailboxes, asked, query))
        else:
            mailbox = rows.mailbox(-line.subject)
            if mailbox is not None:
                hits.append(_mailbox_line(line, mailbox))
    return tuple(hits)


def find_line(connection: Connection, person: NationalPersonId) -> SearchHit | None:
    """Show one person, as a search for the number would."""
    generation = find_live_number(connection)
    if generation is None:
        return None
    line = Line(practitioner_number(person))
    hits = load_lines(connection, generation, [line], SearchQuery(identifier=person.rpps or person))
    return hits[0] if hits else None


def find_sheet(connection: Connection, identifier: str) -> OrganizationSheet | None:
    """Show one structure, by FINESS, SIRET or its key, with the mailboxes that are no person's."""
    for key in (identifier, f"1{identifier}", f"3{identifier}"):
        place = find_organization(connection, key)
        if place is not None:
            mailboxes = list_mailboxes_of(connection, key)
            shared = tuple(mailbox for mailbox in mailboxes if mailbox.practitioner is None)
            return OrganizationSheet(organization=place, mailboxes=shared)
    return None


class _Rows:
    """All the rows that the lines of a page need.

    Args:
        people: One for each person and skill.
        roles: Each with its place.
        mailboxes: Each with its place.
        labels: Of all codes in them.
    """

    def __init__(
        self,
        *,
        people: Sequence[Any],
        roles: Sequence[Any],
        mailboxes: Sequence[Any],
        places: Mapping[str, Any],
        labels: Labels,
    ) -> None:
        self._labels = labels
        self._people = _grouped(people, "id")
        self._places = {key: build_organization(row, labels) for key, row in places.items()}
        self._roles = _grouped(roles, "practitioner_id")
        self._held = _grouped(mailboxes, "practitioner_id")
        self._shared = {row.id: row for row in mailboxes if row.practitioner_id is None}

    def person(self, number: int) -> Practitioner | None:
        """Put a person together."""
        rows = self._people.get(number)
        if rows is None:
            return None
        roles = sorted(self._roles.get(number, ()), key=_order_of_roles)
        skills = sorted((row.code, row.kind) for row in rows if row.code is not None)
        return build_practitioner(
            rows[0],
            self._labels,
            skills=[build_skill(kind, code, self._labels) for code, kind in skills],
            roles=[
                build_role(role, self._labels, self._places.get(role.organization_key))
                for role in roles
            ],
        )

    def mailboxes_of(self, number: int, holder: Practitioner) -> list[MailboxEntry]:
        """Put the mailboxes of a person together, the one to prefer first."""
        rows = self._held.get(number)
        if rows is None:
            return []
        plain = replace(holder, skills=(), roles=())
        return prefer(self._build(row, plain) for row in sorted(rows, key=_number))

    def mailbox(self, number: int) -> MailboxEntry | None:
        """Put the mailbox of a structure together."""
        row = self._shared.get(number)
        return None if row is None else self._build(row, None)

    def _build(self, row: Any, holder: Practitioner | None) -> MailboxEntry:  # noqa: ANN401 - a row
        place = self._places.get(row.organization_key)
        return build_mailbox(row, practitioner=holder, organization=place)


_number: Final = attrgetter("id")


def _order_of_roles(row: Any) -> tuple[bool, int]:  # noqa: ANN401 - a row
    return row.activity != STANDARD_ACTIVITY, row.id


def _shown(table: Any) -> list[Any]:  # noqa: ANN401 - a table
    """List the columns that a line needs."""
    return [column for column in table.c if column.name not in _INTERNAL]


_INTERNAL: Final = {
    *("born", "gone", "changed_at", "digest", "mention", "masked"),
    *("name_key", "trade_name_key", "city_key", "family_key", "given_key", "address_key"),
}
_PLACE_COLUMNS: Final = _shown(tables.organization)
_Place: Any = namedtuple("_Place", [column.name for column in _PLACE_COLUMNS])  # type: ignore[misc]  # noqa: PYI024 -- its fields are those of the table


@lru_cache(maxsize=16)
def _people(generation: int) -> PreparedList:
    """Prepare the statement that fetches people, with a row for each skill."""
    person, skill = tables.practitioner, tables.skill
    skilled = and_(skill.c.practitioner_id == person.c.id, tables.in_force(skill, generation))
    query = (
        select(*_shown(person), skill.c.kind, skill.c.code)
        .select_from(person.outerjoin(skill, skilled))
        .where(tables.in_force(person, generation))
    )
    return PreparedList(lambda items: query.where(person.c.id.in_(items)))


@lru_cache(maxsize=64)
def _placed(name: str, by: str, generation: int) -> PreparedList:
    """Prepare the statement that fetches situations or mailboxes, each with its place."""
    table: Any = getattr(tables, name)
    place = tables.organization
    joined = and_(place.c.key == table.c.organization_key, tables.in_force(place, generation))
    query = (
        select(*_shown(table), *(column.label(f"of_{column.name}") for column in _PLACE_COLUMNS))
        .select_from(table.outerjoin(place, joined))
        .where(tables.in_force(table, generation))
    )
    if table is tables.mailbox:
        query = query.where(table.c.liste_rouge.is_(False))
    return PreparedList(lambda items: query.where(table.c[by].in_(items)))


def _fetch(connection: Connection, generation: int, lines: Sequence[Line]) -> _Rows:
    numbers = [line.subject for line in lines if line.subject > 0]
    shared = [-line.subject for line in lines if line.subject < 0]
    people = _people(generation).run(connection, numbers)
    roles = _placed("role", "practitioner_id", generation).run(connection, numbers)
    mailboxes = [
        *_placed("mailbox", "practitioner_id", generation).run(connection, numbers),
        *_placed("mailbox", "id", generation).run(connection, shared),
    ]
    places = {
        row.of_key: _Place._make(row[-len(_PLACE_COLUMNS) :])
        for row in (*roles, *mailboxes)
        if row.of_key is not None
    }
    codes = codes_in(people, (row for row in people if row.code), roles, places.values())
    return _Rows(
        people=people,
        roles=roles,
        mailboxes=mailboxes,
        places=places,
        labels=_labels(connection, generation, codes),
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """Labels that were fetched before, and the codes that were asked for."""

    generation: int
    codes: frozenset[str]
    labels: Labels


_known_labels: WeakKeyDictionary[Engine, _Known] = WeakKeyDictionary()


def _labels(connection: Connection, generation: int, codes: set[str]) -> Labels:
    """Return labels from memory; those that are new to this process are fetched first."""
    known = _known_labels.get(connection.engine)
    if known is None or known.generation != generation:
        known = _Known(generation, frozenset(), {})
    if not codes <= known.codes:
        every = known.codes | codes
        known = _Known(generation, every, find_labels(connection, every))
        _known_labels[connection.engine] = known
    return known.labels


def _grouped(rows: Iterable[Any], by: str) -> dict[int, list[Any]]:
    groups: dict[int, list[Any]] = {}
    key = attrgetter(by)
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _mailbox_line(line: Line, mailbox: MailboxEntry) -> SearchHit:
    return SearchHit(
        match=MatchClass.APPROXIMATE if line.is_forgiven else MatchClass.EXACT,
        organization=mailbox.organization,
        mailbox=mailbox,
        distance_km=line.distance_km,
    )


def _person_line(
    line: Line,
    person: Practitioner,
    mailboxes: Sequence[MailboxEntry],
    asked: frozenset[str],
    query: SearchQuery,
) -> SearchHit:
    places: list[Organization] = [r.organization for r in person.roles if r.organization]
    places += [mailbox.organization for mailbox in mailboxes if mailbox.organization]
    return SearchHit(
        match=_match(line, person, asked, query),
        practitioner=person,
        organization=_best_place(places, asked),
        mailbox=mailboxes[0] if mailboxes else None,
        others=tuple(mailboxes[1:]),
        distance_km=line.distance_km,
    )


def _best_place(places: Sequence[Organization], asked: frozenset[str]) -> Organization | None:
    """Choose the place that the query speaks of, else the first one."""
    for place in places:
        if place.address.postcode in asked or not asked.isdisjoint(fold(place.address.city)):
            return place
    return places[0] if places else None


def _match(
    line: Line, person: Practitioner, asked: frozenset[str], query: SearchQuery
) -> MatchClass:
    """Say how well the name of a person answers."""
    if person.national_id in asked or (person.rpps is not None and person.rpps in asked):
        return MatchClass.IDENTIFIER
    words = {*fold(person.family), *fold(person.given)}
    if line.is_forgiven:
        given = {*fold(query.family)}
        if given and given <= {*fold(person.given)}:
            return MatchClass.SWAPPED
        sounds = {sound_key(word) for word in words}
        if any(sound_key(word) in sounds for word in asked - words):
            return MatchClass.SOUND
        return MatchClass.APPROXIMATE
    if not asked or not asked.isdisjoint(words):
        return MatchClass.EXACT
    return MatchClass.PREFIX


def _asked(query: SearchQuery) -> frozenset[str]:
    texts = (query.text, query.family, query.given, query.city, query.postcode, query.identifier)
    return frozenset(word for text in texts for word in fold(text))
