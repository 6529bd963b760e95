"""Run a search: find candidates by the rarest term, rank them, fill one page.

The rarest term is found from the counts in `directory_vocabulary`; its words are one range of
`directory_token` each, and the other terms are conditions on the index text of the same subject.
At most `MAX_CANDIDATES` are ranked; a query that meets more is answered with the nearest words
first, and its total is a lower bound.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from directory.errors import CursorExpiredError
from directory.index_sql import tables
from directory.index_sql.finding import find_live_number
from directory.index_sql.keys import practitioner_number
from directory.index_sql.rows import AnyRow, Which, load_mailboxes, load_practitioners
from directory.model import MailboxEntry, Organization, Practitioner
from directory.search import (
    Candidate,
    Facet,
    MatchClass,
    Pattern,
    SearchHit,
    SearchPage,
    SearchQuery,
    Term,
    build_cursor,
    may_be_mistyped,
    neighbours,
    parse_cursor,
    prefer,
    rank,
)

MAX_CANDIDATES: Final = 500
MAX_CORRECTIONS: Final = 12
"""Known words that one mistyped word is replaced by, the most frequent ones."""

Ranked = list[tuple[MatchClass, int]]
_NEVER_FIRST: Final = f":{Facet.MAILBOX_KIND}:"


def search(connection: Connection, query: SearchQuery) -> SearchPage:
    """Answer a search. The liste rouge is invisible, even to its exact address.

    Raises:
        CursorSyntaxError: The cursor is not one of ours.
        CursorExpiredError: The directory was replaced since the page before.
    """
    generation = find_live_number(connection)
    offset = 0
    if query.cursor is not None:
        expected, offset = parse_cursor(query.cursor)
        if expected != generation:
            raise CursorExpiredError
    if generation is None:
        return SearchPage(hits=(), total=0)
    ranked, is_exact = _Search(connection, generation, query).run()
    end = offset + query.page_size
    return SearchPage(
        hits=_fill(connection, generation, ranked[offset:end]),
        total=len(ranked),
        total_is_exact=is_exact,
        next_cursor=build_cursor(generation, end) if end < len(ranked) else None,
        generation=generation,
    )


class _Search:
    """One search in one generation."""

    def __init__(self, connection: Connection, generation: int, query: SearchQuery) -> None:
        self.connection = connection
        self.generation = generation
        self.query = query

    def run(self) -> tuple[Ranked, bool]:
        """Return the subjects in order, and whether they are all there are."""
        if self.query.national_id is not None:
            return self._by_number(practitioner_number(self.query.national_id))
        if self.query.address_prefix is not None:
            return self._by_address(self.query.address_prefix)
        terms = self.query.terms()
        ranked, is_exact = self._by_terms(terms, MatchClass.EXACT)
        if not ranked and self.query.can_swap:
            swapped = self.query.terms(swapped=True)
            ranked, is_exact = self._by_terms(swapped, MatchClass.SWAPPED)
        if not ranked:
            ranked, is_exact = self._by_corrected(terms)
        return ranked, is_exact

    def _by_number(self, number: int) -> tuple[Ranked, bool]:
        table = tables.subject
        query = select(table.c.id, table.c.has_mailbox).where(
            table.c.generation == self.generation, table.c.id == number
        )
        row = self.connection.execute(query).first()
        if row is None or (self.query.with_mailbox and not row.has_mailbox):
            return [], True
        return [(MatchClass.IDENTIFIER, number)], True

    def _by_address(self, begun: str) -> tuple[Ranked, bool]:
        table = tables.mailbox
        query = (
            select(table.c.id, table.c.address_key, table.c.practitioner_id)
            .where(
                tables.in_force(table, self.generation),
                _begins(table.c.address_key, begun),
                table.c.liste_rouge.is_(False),
            )
            .order_by(table.c.address_key, table.c.id)
            .limit(MAX_CANDIDATES + 1)
        )
        found: dict[int, MatchClass] = {}
        rows = self.connection.execute(query).all()
        for row in rows[:MAX_CANDIDATES]:
            subject_id = row.practitioner_id if row.practitioner_id is not None else -row.id
            is_whole = row.address_key == begun
            found.setdefault(subject_id, MatchClass.IDENTIFIER if is_whole else MatchClass.PREFIX)
        return [(match, number) for number, match in found.items()], len(rows) <= MAX_CANDIDATES

    def _by_terms(self, terms: Sequence[Term], at_best: MatchClass) -> tuple[Ranked, bool]:
        if not all(term.alternatives for term in terms):
            return [], True  # a mistyped word that is near to nothing known
        candidates, is_exact = self._candidates(terms)
        ranked = rank(candidates, terms, at_best=at_best)
        return [(match, candidate.subject_id) for match, candidate in ranked], is_exact

    def _by_corrected(self, terms: Sequence[Term]) -> tuple[Ranked, bool]:
        """Look for one mistake: in the unknown words if there are some, else in any word."""
        unknown = [term for term in terms if not self._size(term)]
        if unknown:
            if not all(may_be_mistyped(term) for term in unknown):
                return [], True
            corrected = [self._corrected(t, keep=False) if t in unknown else t for t in terms]
            return self._by_terms(corrected, MatchClass.APPROXIMATE)
        best: Ranked = []
        for place, term in enumerate(terms):
            if may_be_mistyped(term):
                attempt = [*terms[:place], self._corrected(term, keep=True), *terms[place + 1 :]]
                ranked, _ = self._by_terms(attempt, MatchClass.APPROXIMATE)
                seen = {number for _, number in best}
                best += [entry for entry in ranked if entry[1] not in seen]
        return best, True

    def _corrected(self, term: Term, *, keep: bool) -> Term:
        """Replace a word by the known words that are one mistake away."""
        first = term.alternatives[0]
        table = tables.vocabulary
        query = (
            select(table.c.token)
            .where(
                table.c.generation == self.generation,
                table.c.token.in_(sorted(neighbours(first.word))),
            )
            .order_by(table.c.subjects.desc(), table.c.token)
            .limit(MAX_CORRECTIONS)
        )
        words = self.connection.execute(query).scalars()
        patterns = tuple(Pattern(word=word, only=first.only) for word in words)
        kept = term.alternatives if keep else ()
        return replace(term, alternatives=(*kept, *patterns))

    def _candidates(self, terms: Sequence[Term]) -> tuple[list[Candidate], bool]:
        drivers = [term for term in terms if not _is_kind(term)]
        if not drivers:
            return [], True
        if len(drivers) > 1:
            sizes = [self._size(term) for term in drivers]
            if not all(sizes):
                return [], True
            driver = drivers[sizes.index(min(sizes))]
        else:
            driver = drivers[0]
        conditions = [_meets(term) for term in terms if term is not driver]
        found: list[Candidate] = []
        is_exact = True
        for pattern in driver.alternatives:
            some = self._matching(pattern, conditions)
            is_exact = is_exact and len(some) <= MAX_CANDIDATES
            found += some[:MAX_CANDIDATES]
        return found, is_exact

    def _size(self, term: Term) -> int:
        """Estimate how many subjects meet a term: the sum over its words."""
        table = tables.vocabulary
        query = select(func.sum(table.c.subjects)).where(
            table.c.generation == self.generation,
            or_(*(_word(table.c.token, pattern) for pattern in term.alternatives)),
        )
        return self.connection.execute(query).scalar() or 0

    def _matching(
        self, pattern: Pattern, conditions: Iterable[ColumnElement[bool]]
    ) -> list[Candidate]:
        token, subject = tables.token, tables.subject
        query = (
            select(
                subject.c.id,
                subject.c.family_key,
                subject.c.given_key,
                subject.c.has_mailbox,
                subject.c.text,
            )
            .select_from(token)
            .join(
                subject,
                and_(
                    subject.c.generation == token.c.generation,
                    subject.c.id == token.c.subject_id,
                ),
            )
            .where(
                token.c.generation == self.generation, _word(token.c.token, pattern), *conditions
            )
            .order_by(token.c.token, token.c.field, token.c.rank, token.c.subject_id)
            .limit(MAX_CANDIDATES + 1)
        )
        if pattern.only is not None:
            query = query.where(token.c.field == str(pattern.only))
        if self.query.with_mailbox:
            query = query.where(subject.c.has_mailbox.is_(True))
        return [
            Candidate(
                subject_id=row.id,
                family_key=row.family_key,
                given_key=row.given_key,
                has_mailbox=row.has_mailbox,
                text=row.text,
            )
            for row in self.connection.execute(query)
        ]


def _fill(connection: Connection, generation: int, ranked: Ranked) -> tuple[SearchHit, ...]:
    """Fetch what the lines of one page show."""
    people_wanted = [number for _, number in ranked if number > 0]
    mailboxes_wanted = [-number for _, number in ranked if number < 0]
    table = tables.practitioner
    people: dict[int, Practitioner] = {}
    if people_wanted:
        rows = connection.execute(
            select(table).where(tables.in_force(table, generation), table.c.id.in_(people_wanted))
        ).all()
        people = load_practitioners(connection, generation, rows, which=Which(people_wanted))
    mailbox_rows = _mailbox_rows(connection, generation, people_wanted, mailboxes_wanted)
    mailboxes = load_mailboxes(connection, generation, mailbox_rows)
    of_person: dict[int, list[MailboxEntry]] = {}
    of_structure: dict[int, MailboxEntry] = {}
    for row, mailbox in zip(mailbox_rows, mailboxes, strict=True):
        if row.practitioner_id is not None:
            of_person.setdefault(row.practitioner_id, []).append(mailbox)
        else:
            of_structure[row.id] = mailbox
    return tuple(
        _person_hit(match, people[number], of_person.get(number, []))
        if number > 0
        else SearchHit(
            match=match,
            organization=of_structure[-number].organization,
            mailbox=of_structure[-number],
        )
        for match, number in ranked
    )


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


def _person_hit(
    match: MatchClass, person: Practitioner, mailboxes: list[MailboxEntry]
) -> SearchHit:
    ordered = prefer(mailboxes)
    places: list[Organization] = [r.organization for r in person.roles if r.organization]
    places += [mailbox.organization for mailbox in ordered if mailbox.organization]
    return SearchHit(
        match=match,
        practitioner=person,
        organization=places[0] if places else None,
        mailbox=ordered[0] if ordered else None,
        others=tuple(ordered[1:]),
    )


def _is_kind(term: Term) -> bool:
    """True for the kind of mailbox, which is on too many subjects to begin with."""
    return term.alternatives[0].word.startswith(_NEVER_FIRST)


def _meets(term: Term) -> ColumnElement[bool]:
    text = tables.subject.c.text
    return or_(*(text.like(pattern.like) for pattern in term.alternatives))


def _word(column: ColumnElement[str], pattern: Pattern) -> ColumnElement[bool]:
    return column == pattern.word if pattern.is_code else _begins(column, pattern.word)


def _begins(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Select a range rather than LIKE, so that every index serves on both engines."""
    after = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return and_(column >= prefix, column < after)
