"""Turn what somebody asks into questions to the index.

The *strict* one finds what was written: each word of the query is a word, or the beginning of one.
The *forgiving* ones find what may have been meant, and reach as far as they have to: `Reach.NAMES`
takes a letter wrong in a name and a name spelled as it sounds, `Reach.WORDS` also a letter wrong in
another word and one word for two, `Reach.FAR` also two letters wrong. Everything else that was
asked (codes, numbers, town, distance) must be met as it stands in all of them.

Shapes
    Each way to meet a word is worth points, more for the better way; the best way counts, and the
    points of all words are added up. `directory.search_index.ranking` refines the forgiven ones.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Final

from tantivy import Occur, Query

from directory.codes import code_lists
from directory.departments import DEPARTMENTS
from directory.folding import MAX_WORD, PARTICLES, fold, has_content
from directory.model import Position
from directory.phonetics import sound_key
from directory.search import MAX_TERMS, MAX_TEXT, SearchQuery
from directory.search_index.cells import cells_around
from directory.search_index.fields import CodeKind, Field, schema

_TOKEN: Final = re.compile(r"\S+")
_DOMAIN: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[0-9][0-9AB][0-9]{5,12}", re.IGNORECASE)
_NAMES: Final = (Field.FAMILY, Field.GIVEN)
_SOUNDS: Final = {Field.FAMILY: Field.FAMILY_SOUND, Field.GIVEN: Field.GIVEN_SOUND}
_ONE_EDIT: Final = range(4, MAX_WORD + 1)
_TWO_EDITS: Final = range(5, MAX_WORD + 1)
_MIN_SOUND: Final = 3
_BEGINNING: Final = 3
_MAX_RUN: Final = 4
"""Words that may be one name: `de la tour maubourg`."""


class Points:
    """What a way to meet a word is worth."""

    EXACT: Final = 100.0
    TOWN: Final = 90.0
    WORD: Final = 80.0
    BEGUN: Final = 60.0
    BEGUN_WORD: Final = 50.0
    ONE_EDIT: Final = 40.0
    SOUND: Final = 32.0
    TWO_EDITS: Final = 25.0
    WHOLE: Final = 12.0
    LONGER: Final = 10.0
    """Added for each further word of a whole name: `DE LA TOUR` is more than TOUR."""
    KNOWN: Final = 90.0
    LESS: Final = 2.0
    """Subtracted for a first name: who types one word means a name."""


class Reach(IntEnum):
    """How much a question forgives; each takes what the ones before take."""

    NAMES = 1
    WORDS = 2
    FAR = 3


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of the query.

    Attributes:
        joined: What it makes with the word before or after it, written together.
        is_last: It may be half typed.
        fields: The name fields in which to look; none for a word that is no name.
        others: The other fields in which to look.
    """

    text: str
    joined: tuple[str, ...] = ()
    is_last: bool = False
    fields: tuple[Field, ...] = _NAMES
    others: tuple[Field, ...] = (Field.WORDS,)


@dataclass(frozen=True, slots=True)
class Question:
    """A query as it was understood.

    Attributes:
        fixed: What must be met as it stands.
        bonus: What puts an answer forward without being a condition.
    """

    words: tuple[_Word, ...]
    fixed: tuple[Query, ...]
    bonus: tuple[Query, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The words, as ranking compares them."""
        return tuple(word.text for word in self.words)

    def strict(self) -> Query:
        """Ask for what was written."""
        return _all_of([*map(_strict, self.words), *self.fixed], self.bonus)

    @property
    def may_be_mistaken(self) -> bool:
        """True if there is a word to forgive something in."""
        return any(map(_may_be_mistaken, self.words))

    def forgiving(self, reach: Reach, *, may_swap: bool = False) -> Query:
        """Ask for what may have been meant.

        Args:
            reach: How much to forgive.
            may_swap: Look for a name that is in a field of its own in the other one too.
        """
        words = [
            _any_of(list(_forgiving_ways(place, self.words, reach, may_swap=may_swap)))
            for place in range(len(self.words))
        ]
        return _all_of([*words, *self.fixed], self.bonus)


def ask(query: SearchQuery) -> Question | None:
    """Understand a query; `None` if it asks for nothing, or for everybody."""
    words = tuple(_words(query))[:MAX_TERMS]
    fixed = [*_box_tokens(query.text), *_numbers(query)]
    if query.near is not None:
        fixed.append(_within(query.near, query.radius_km))
    if not words and not fixed and not _names_a_code(query):
        return None  # nobody is shown everybody
    return Question(words, (*fixed, *_codes(query)), tuple(_bonus(query)))


def points(question: Query, value: float) -> Query:
    """Let whatever meets a question be worth the same."""
    return Query.const_score_query(question, value)


def term(field: Field, word: str) -> Query:
    """Ask for a whole word of a field."""
    return Query.term_query(schema(), field, word)


def beginning(field: Field, word: str) -> Query:
    """Ask for the beginning of a word of a field."""
    return Query.fuzzy_term_query(schema(), field, word, 0, True, True)


def _edits(field: Field, word: str, distance: int, *, begun: bool = False) -> Query:
    return Query.fuzzy_term_query(schema(), field, word, distance, True, begun)


def _any_of(alternatives: Sequence[Query]) -> Query:
    return alternatives[0] if len(alternatives) == 1 else Query.disjunction_max_query(alternatives)


def _all_of(musts: Iterable[Query], bonus: Iterable[Query]) -> Query:
    clauses = [(Occur.Must, must) for must in musts]
    clauses += [(Occur.Should, one) for one in bonus]
    return Query.boolean_query(clauses)


# -- words -------------------------------------------------------------------------------------


def _words(query: SearchQuery) -> Iterator[_Word]:
    box = query.text[:MAX_TEXT]
    tokens = [] if _spaced_number(box) else _TOKEN.findall(box)
    plain = " ".join(token for token in tokens if not _is_token(token))
    is_typing = not box.endswith(" ")
    yield from _field_words(plain, fields=_NAMES, others=(Field.WORDS,), is_typing=is_typing)
    for text, fields, others in (
        (query.family, (Field.FAMILY,), ()),
        (query.given, (Field.GIVEN,), ()),
        (query.city, (), (Field.CITY,)),
        (query.organization, (), (Field.STRUCTURE,)),
        (query.street, (), (Field.STREET,)),
        (query.job, (), (Field.JOB,)),
    ):
        yield from _field_words(text, fields=fields, others=others, is_typing=True)
    for word in fold(query.postcode[:MAX_TEXT]):
        yield _Word(word, is_last=True, fields=(), others=(Field.POSTCODE,))


def _field_words(
    text: str, *, fields: tuple[Field, ...], others: tuple[Field, ...], is_typing: bool
) -> Iterator[_Word]:
    words = fold(text[:MAX_TEXT])
    content = [word for word in words if has_content(word)] or list(words)
    if not fields and others != (Field.JOB,):  # numbers of houses and of cedex are not indexed
        content = [word for word in content if len(word) > 1 and not word.isdigit()] or content
    together: dict[str, list[str]] = {}
    for first, second in pairwise(words):
        if first in PARTICLES:
            together.setdefault(second, []).append((first + second)[:MAX_WORD])
    last = content[-1] if content and is_typing else None
    for word in dict.fromkeys(content):
        joined = tuple(together.get(word, ())) if fields else ()
        yield _Word(word, joined, is_last=word == last, fields=fields, others=others)


def _strict(word: _Word) -> Query:
    """Ask for a word, or the beginning of one."""
    ways = [*_exact_ways(word), *_begun_ways(word)]
    for joined in word.joined:
        for field in word.fields:
            ways.append(points(term(field, joined), Points.EXACT))
            ways.append(points(beginning(field, joined), Points.BEGUN))
    return _any_of(ways)


def _exact_ways(word: _Word) -> Iterator[Query]:
    for field in word.fields:
        yield points(term(field, word.text), Points.EXACT - _less(field))
    for field in word.others:
        yield points(term(field, word.text), Points.WORD)
    if word.others != (Field.WORDS,):
        return
    yield points(term(Field.CITY, word.text), Points.TOWN)
    if word.text.upper() in DEPARTMENTS:
        department = CodeKind.DEPARTMENT.word(word.text)
        yield points(term(Field.CODE, department), Points.WORD + Points.WHOLE)


def _begun_ways(word: _Word) -> Iterator[Query]:
    """Ask for beginnings; the shortest ones, which very many words have, are words of the index."""
    size = len(word.text)
    if size > _BEGINNING:
        for field in word.fields:
            yield points(beginning(field, word.text), Points.BEGUN - _less(field))
        for field in word.others:
            yield points(beginning(field, word.text), Points.BEGUN_WORD)
        return
    if word.fields == _NAMES:
        yield points(term(Field.BEGINNING, word.text), Points.BEGUN)
    else:
        for field in word.fields:
            yield points(beginning(field, word.text), Points.BEGUN)
    for field in word.others:
        if field != Field.WORDS:
            yield points(beginning(field, word.text), Points.BEGUN_WORD)
        elif size == _BEGINNING:
            yield points(term(Field.BEGINNING, "~" + word.text), Points.BEGUN_WORD)


def _may_be_mistaken(word: _Word) -> bool:
    return len(word.text) >= _MIN_SOUND and word.text.isalpha()


def _forgiving_ways(
    place: int, words: Sequence[_Word], reach: Reach, *, may_swap: bool
) -> Iterator[Query]:
    """Ask for what may have been meant by a word."""
    word = words[place]
    yield _strict(word)
    if not _may_be_mistaken(word):
        return
    for field in word.fields:
        yield from _mistaken_ways(word, field, reach)
    if may_swap:
        for field in _NAMES if word.fields else ():
            if field not in word.fields:
                yield points(term(field, word.text), Points.ONE_EDIT)
    if reach == Reach.NAMES and word.fields:
        return
    for field in word.others:
        if len(word.text) in _ONE_EDIT:
            edits = _edits(field, word.text, 1, begun=word.is_last)
            yield points(edits, Points.ONE_EDIT - Points.LESS)
    for pair in _pairs(word, place, words):
        yield _strict(pair)


def _mistaken_ways(word: _Word, field: Field, reach: Reach) -> Iterator[Query]:
    text, less = word.text, _less(field)
    if len(text) in _ONE_EDIT:
        yield points(_edits(field, text, 1), Points.ONE_EDIT - less)
        if word.is_last and reach > Reach.NAMES:
            yield points(_edits(field, text, 1, begun=True), Points.TWO_EDITS - less)
    if reach == Reach.FAR and len(text) in _TWO_EDITS:
        yield points(_edits(field, text, 2), Points.TWO_EDITS - less)
    key = sound_key(text)
    if len(key) > 1:
        yield points(term(_SOUNDS[field], key), Points.SOUND - less)


def _pairs(word: _Word, position: int, words: Sequence[_Word]) -> Iterator[_Word]:
    """Yield what a word makes with its neighbours: `mac donald` may be MACDONALD."""
    if not word.fields:
        return
    for first in (position - 1, position):
        if 0 <= first < len(words) - 1 and words[first].fields == words[first + 1].fields:
            text = (words[first].text + words[first + 1].text)[:MAX_WORD]
            yield _Word(text, fields=word.fields, others=word.others)


def _less(field: Field) -> float:
    return Points.LESS if field == Field.GIVEN else 0.0


# -- what is no word -----------------------------------------------------------------------------


def _is_token(token: str) -> bool:
    """Say whether a part of the box is an address, a domain or a number rather than words."""
    return "@" in token or bool(_DOMAIN.fullmatch(token)) or bool(_NUMBER.fullmatch(token))


def _spaced_number(text: str) -> str:
    """Return the number that a text is, as people write numbers: `990 0000 0010`."""
    whole = "".join(text.split())
    return whole.lower() if _NUMBER.fullmatch(whole) else ""


def _box_tokens(text: str) -> Iterator[Query]:
    short = text[:MAX_TEXT]
    spaced = _spaced_number(short)
    if spaced:
        yield _number(spaced)
        return
    for token in [t for t in _TOKEN.findall(short) if _is_token(t)][:MAX_TERMS]:
        plain = token.lower()
        if "@" in plain:
            yield _address(plain)
        elif _NUMBER.fullmatch(plain):
            yield _number(plain)
        else:
            yield _any_of([_address("@" + plain), *_dotted(plain)])


def _dotted(token: str) -> Iterator[Query]:
    """Yield what words with dots between them are, if they are no domain: `j.martin`."""
    words = fold(token)
    if words:
        yield _all_of([_strict(_Word(word)) for word in words[:MAX_TERMS]], [])


def _address(address: str) -> Query:
    if address.startswith("@") and len(address) <= _BEGINNING:
        return Query.empty_query()  # nobody is shown everybody
    return _any_of(
        [
            points(term(Field.ADDRESS, address), Points.EXACT),
            points(beginning(Field.ADDRESS, address), Points.BEGUN),
        ]
    )


def _number(number: str) -> Query:
    return _any_of(
        [
            points(term(Field.NUMBER, number), Points.EXACT),
            points(beginning(Field.NUMBER, number), Points.BEGUN),
        ]
    )


def _numbers(query: SearchQuery) -> Iterator[Query]:
    for number in (query.identifier, query.structure_identifier):
        plain = "".join(number[:MAX_TEXT].lower().split())
        if plain:
            yield _number(plain)
    address = query.mailbox_address[:MAX_TEXT].strip().lower()
    if address:
        yield _address(address if "@" in address else "@" + address)


def _codes(query: SearchQuery) -> Iterator[Query]:
    wanted: Sequence[tuple[CodeKind, Sequence[str]]] = (
        (CodeKind.PROFESSION, [query.profession]),
        (CodeKind.SPECIALITY, _specialities(query.speciality)),
        (CodeKind.DEPARTMENT, [query.department]),
        (CodeKind.MAILBOX_KIND, [query.mailbox_kind]),
    )
    for kind, codes in wanted:
        words = [kind.word(code) for code in codes if code.strip()]
        if words:
            yield points(_any_of([term(Field.CODE, word) for word in words]), Points.LESS)
    if query.with_mailbox:
        yield points(term(Field.CODE, CodeKind.HAS_MAILBOX.word()), Points.LESS)


def _names_a_code(query: SearchQuery) -> bool:
    """Say whether a code is asked for that few enough have to be worth a list."""
    return any(code.strip() for code in (query.profession, query.speciality, query.department))


def _specialities(asked: str) -> Sequence[str]:
    group = code_lists().groups.get(asked)
    return sorted(group.codes) if group else [asked]


def _within(near: Position, radius_km: float) -> Query:
    cells = cells_around(near.latitude, near.longitude, radius_km)
    return points(Query.term_set_query(schema(), Field.CELL, cells), Points.LESS)


def _bonus(query: SearchQuery) -> Iterator[Query]:
    """Yield what puts an answer forward without being a condition."""
    for letter, text in (("f", query.family), ("g", query.given), ("c", query.city)):
        whole = "".join(fold(text[:MAX_TEXT]))[:MAX_WORD]
        if whole:
            yield points(term(Field.WHOLE, f"{letter}:{whole}"), Points.WHOLE)
    words = fold(query.text[:MAX_TEXT])[:MAX_TERMS]
    runs = {
        "".join(words[start : start + size])[:MAX_WORD]: size
        for size in range(1, min(_MAX_RUN, len(words)) + 1)
        for start in range(len(words) - size + 1)
    }
    for run, size in runs.items():
        worth = Points.WHOLE + Points.LONGER * (size - 1)
        for letter in "fgc":
            yield points(term(Field.WHOLE, f"{letter}:{run}"), worth)
    if query.correspondents:
        known = sorted(query.correspondents)
        yield points(Query.term_set_query(schema(), Field.ID, known), Points.KNOWN)


def without(question: Query, ids: Iterable[int]) -> Query:
    """Leave subjects out of an answer."""
    hidden = sorted(ids)
    if not hidden:
        return question
    return Query.boolean_query(
        [
            (Occur.Must, question),
            (Occur.MustNot, Query.term_set_query(schema(), Field.ID, hidden)),
        ]
    )
