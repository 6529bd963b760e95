"""Fetch what the lines of a result show: people with their mailboxes, mailboxes of structures."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from directory.folding import fold
from directory.identifiers import NationalPersonId
from directory.index_sql import tables
from directory.index_sql.finding import find_live_number, find_organization, list_mailboxes_of
from directory.index_sql.keys import practitioner_number
from directory.index_sql.rows import AnyRow, Which, load_mailboxes, load_practitioners
from directory.model import MailboxEntry, Organization, Practitioner
from directory.phonetics import sound_key
from directory.search import MatchClass, OrganizationSheet, SearchHit, SearchQuery, prefer
from directory.search_index.answering import Line


def load_lines(
    connection: Connection, generation: int, lines: Sequence[Line], query: SearchQuery
) -> tuple[SearchHit, ...]:
    """Fetch lines in their order; whoever has gone since is left out."""
    numbers = [line.subject for line in lines if line.subject > 0]
    table = tables.practitioner
    people: dict[int, Practitioner] = {}
    if numbers:
        rows = connection.execute(
            select(table).where(tables.in_force(table, generation), table.c.id.in_(numbers))
        ).all()
        people = load_practitioners(connection, generation, rows, which=Which(numbers))
    mailbox_rows = _mailbox_rows(
        connection, generation, numbers, [-line.subject for line in lines if line.subject < 0]
    )
    held: dict[int, list[MailboxEntry]] = {}
    shared: dict[int, MailboxEntry] = {}
    loaded = load_mailboxes(connection, generation, mailbox_rows)
    for row, mailbox in zip(mailbox_rows, loaded, strict=True):
        if row.practitioner_id is not None:
            held.setdefault(row.practitioner_id, []).append(mailbox)
        else:
            shared[row.id] = mailbox
    hits = []
    for line in lines:
        if line.subject in people:
            person = people[line.subject]
            hits.append(_person_line(line, person, held.get(line.subject, []), query))
        elif -line.subject in shared:
            mailbox = shared[-line.subject]
            hits.append(
                SearchHit(
                    match=MatchClass.APPROXIMATE if line.is_forgiven else MatchClass.EXACT,
                    organization=mailbox.organization,
                    mailbox=mailbox,
                    distance_km=line.distance_km,
                )
            )
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


def _mailbox_rows(
    connection: Connection, generation: int, people: list[int], numbers: list[int]
) -> list[AnyRow]:
    table = tables.mailbox
    shown = select(table).where(tables.in_force(table, generation), table.c.liste_rouge.is_(False))
    rows: list[AnyRow] = []
    for column, wanted in ((table.c.practitioner_id, people), (table.c.id, numbers)):
        if wanted:
            rows += connection.execute(shown.where(column.in_(wanted))).all()
    # Sorted here: asked to sort, SQLite walks the whole generation instead of the index.
    return sorted(rows, key=lambda row: int(row.id))


def _person_line(
    line: Line, person: Practitioner, mailboxes: list[MailboxEntry], query: SearchQuery
) -> SearchHit:
    asked = _asked(query)
    ordered = prefer(mailboxes)
    places: list[Organization] = [r.organization for r in person.roles if r.organization]
    places += [mailbox.organization for mailbox in ordered if mailbox.organization]
    return SearchHit(
        match=_match(line, person, asked, query),
        practitioner=person,
        organization=_best_place(places, asked),
        mailbox=ordered[0] if ordered else None,
        others=tuple(ordered[1:]),
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
