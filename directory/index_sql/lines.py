"""Fetch what the lines of a result show: people with their mailboxes, mailboxes of structures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, select

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
    """All the rows that the lines of a page need."""

    def __init__(
        self,
        *,
        people: Sequence[Any],
        skills: Sequence[Any],
        roles: Sequence[Any],
        mailboxes: Sequence[Any],
        places: Sequence[Any],
        labels: Labels,
    ) -> None:
        self._labels = labels
        self._people = {row.id: row for row in people}
        self._places = {row.key: build_organization(row, labels) for row in places}
        self._skills = _grouped(skills)
        self._roles = _grouped(roles)
        self._held = _grouped(row for row in mailboxes if row.practitioner_id is not None)
        self._shared = {row.id: row for row in mailboxes if row.practitioner_id is None}

    def person(self, number: int) -> Practitioner | None:
        """Put a person together."""
        row = self._people.get(number)
        if row is None:
            return None
        roles = sorted(self._roles.get(number, ()), key=lambda r: r.activity != STANDARD_ACTIVITY)
        return build_practitioner(
            row,
            self._labels,
            skills=[build_skill(skill, self._labels) for skill in self._skills.get(number, ())],
            roles=[
                build_role(role, self._labels, self._places.get(role.organization_key))
                for role in roles
            ],
        )

    def mailboxes_of(self, number: int, holder: Practitioner) -> list[MailboxEntry]:
        """Put the mailboxes of a person together, the one to prefer first."""
        plain = replace(holder, skills=(), roles=())
        rows = sorted(self._held.get(number, ()), key=lambda row: int(row.id))
        return prefer(self._build(row, plain) for row in rows)

    def mailbox(self, number: int) -> MailboxEntry | None:
        """Put the mailbox of a structure together."""
        row = self._shared.get(number)
        return None if row is None else self._build(row, None)

    def _build(self, row: Any, holder: Practitioner | None) -> MailboxEntry:  # noqa: ANN401 - a row
        place = self._places.get(row.organization_key)
        return build_mailbox(row, practitioner=holder, organization=place)


@lru_cache(maxsize=64)
def _statement(name: str, generation: int) -> PreparedList:
    """Prepare the statement that fetches rows of one table in one generation."""
    table: Any = getattr(tables, name.partition(" ")[0])
    column = table.c[name.partition(" ")[2]]
    shown = select(table).where(tables.in_force(table, generation))
    if table is tables.mailbox:
        shown = shown.where(table.c.liste_rouge.is_(False))
    return PreparedList(lambda items: shown.where(column.in_(items)))


def _fetch(connection: Connection, generation: int, lines: Sequence[Line]) -> _Rows:
    people = [line.subject for line in lines if line.subject > 0]
    numbers = [-line.subject for line in lines if line.subject < 0]

    def run(name: str, items: Sequence[Any]) -> list[Any]:
        return _statement(name, generation).run(connection, items) if items else []

    persons = run("practitioner id", people)
    skills = run("skill practitioner_id", people)
    roles = run("role practitioner_id", people)
    mailboxes = run("mailbox practitioner_id", people) + run("mailbox id", numbers)
    keys = dict.fromkeys(row.organization_key for row in (*roles, *mailboxes))
    places = run("organization key", [key for key in keys if key])
    codes = codes_in(persons, skills, roles, places)
    return _Rows(
        people=persons,
        skills=skills,
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


def _grouped(rows: Iterable[Any]) -> dict[int, list[Any]]:
    groups: dict[int, list[Any]] = {}
    for row in rows:
        groups.setdefault(row.practitioner_id, []).append(row)
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
