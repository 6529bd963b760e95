"""Turn what somebody types into terms, and candidates into a ranked list.

Pure: the database is asked elsewhere, with the terms made here and on the index texts made here.

One box understands a name and first name in either order, a town, a postcode, a speciality or a
profession in everyday words, a structure, an identifier or an address. All terms must be met; each
is the beginning of a word. Accents, case, hyphens and apostrophes do not count, nor do particles
(`DE`, `LE`, `D'`); `SAINT` is `ST`. A word with one mistake is found when nothing else is.

Shapes
    A *subject* is what a result line stands for: a person, or a mailbox of a structure.
    Its *index text* is a list of words between single spaces. `f=martin` is a word of the family
    name; `:s:SM04` is a code, never met by free text. Index words are ASCII: lower-case letters and
    digits.
Errors
    None for a query: whatever is typed has an answer. A cursor raises its own errors.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final

from directory.address import MailAddress
from directory.codes import code_lists, speciality_words
from directory.errors import AddressSyntaxError, CursorSyntaxError
from directory.identifiers import NationalPersonId
from directory.model import Coded, MailboxEntry, MailboxKind, Organization, Practitioner

MAX_TEXT: Final = 200
MAX_TERMS: Final = 8
MAX_WORD: Final = 40
MAX_LIMIT: Final = 100
MAX_ROLES: Final = 40
TYPO_LETTERS: Final = range(4, 21)
"""Lengths of words in which a typing mistake is looked for."""

_SPECIAL: Final = str.maketrans(
    {"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th"}
)
_BEGUN_ADDRESS: Final = re.compile(r"[!-?A-~]+@[!-?A-~]*")
_NOT_WORD: Final = re.compile(r"[^a-z0-9]+")
_SAME_WORD: Final = {"saint": "st", "sainte": "ste"}
_PARTICLES: Final = frozenset({"de", "du", "des", "la", "le", "les", "d", "l", "et", "en"})
_EMPTY_WORDS: Final = _PARTICLES | {"option", "cedex", "arrondissement", "rue", "avenue", "av"}


class Field(StrEnum):
    """Where an index word comes from; the order is that of a result list."""

    FAMILY = "f"
    GIVEN = "g"
    SERVICE = "h"
    IDENTIFIER = "i"
    CITY = "k"
    ORGANIZATION = "o"
    POSTCODE = "p"
    SPECIALITY = "s"
    STREET = "v"


class Facet(StrEnum):
    """A code that filters use."""

    DEPARTMENT = "d"
    MAILBOX_KIND = "m"
    PROFESSION = "p"
    SPECIALITY = "s"

    def word(self, code: str) -> str:
        """Write the index word of a code."""
        return f":{self}:{code}"


class MatchClass(IntEnum):
    """How well a line answers; smaller is better."""

    IDENTIFIER = 0
    EXACT = 1
    PREFIX = 2
    SWAPPED = 3
    APPROXIMATE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """The beginning of a word (or a whole code), perhaps in one field only."""

    word: str
    only: Field | None = None

    @property
    def is_code(self) -> bool:
        """True for a facet, which is met as a whole."""
        return self.word.startswith(":")

    @property
    def like(self) -> str:
        """The pattern for SQL LIKE on an index text; the words hold no wildcard."""
        if self.is_code:
            return f"% {self.word} %"
        return f"% {self.only}={self.word}%" if self.only else f"%={self.word}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One condition: at least one of the alternatives must be met."""

    alternatives: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """What is looked for: one box, and the fields of the search form beside it.

    Attributes:
        text: The one box.
        postcode: Its beginning is enough.
        profession: TRE_G15 code.
        speciality: TRE_R38 code, or the name of a group (`cardiology`).
        department: Code of the département.
        mailbox_kind: Only what has a mailbox of this kind.
        with_mailbox: Only what can be written to.
        limit: Lines on a page, 1 to 100.
        cursor: `next_cursor` of the page before.
    """

    text: str = ""
    family: str = ""
    given: str = ""
    city: str = ""
    postcode: str = ""
    department: str = ""
    organization: str = ""
    street: str = ""
    profession: str = ""
    speciality: str = ""
    mailbox_kind: str = ""
    with_mailbox: bool = False
    limit: int = 20
    cursor: str | None = None

    @property
    def national_id(self) -> NationalPersonId | None:
        """The person that the one box names by number, if it does."""
        digits = "".join(self.text[:MAX_TEXT].split())
        if not (digits.isascii() and digits.isdigit()):
            return None
        if len(digits) == 11:
            return NationalPersonId("8" + digits)
        return NationalPersonId(digits) if len(digits) == 12 and digits[0] == "8" else None

    @property
    def address_prefix(self) -> str | None:
        """The address, whole or begun, that the one box names, if it does."""
        text = self.text[:MAX_TEXT].strip().lower()
        return text if _BEGUN_ADDRESS.fullmatch(text) else None

    @property
    def address(self) -> MailAddress | None:
        """The whole address in the one box, if it is one."""
        try:
            return MailAddress.parse(self.text.strip())
        except AddressSyntaxError:
            return None

    def terms(self, *, swapped: bool = False) -> tuple[Term, ...]:
        """List the conditions, at most a bounded number of them.

        Args:
            swapped: Take the name for the first name and the reverse.
        """
        family, given = (self.given, self.family) if swapped else (self.family, self.given)
        terms = [
            *_word_terms(self.text, only=None),
            *_word_terms(family, only=Field.FAMILY),
            *_word_terms(given, only=Field.GIVEN),
            *_word_terms(self.city, only=Field.CITY),
            *_word_terms(self.postcode, only=Field.POSTCODE),
            *_word_terms(self.organization, only=Field.ORGANIZATION),
            *_word_terms(self.street, only=Field.STREET),
        ]
        return (*terms[:MAX_TERMS], *self._codes())

    @property
    def can_swap(self) -> bool:
        """True if name and first name are in fields of their own, so that they can be mixed up."""
        return bool(self.family.strip() or self.given.strip())

    @property
    def page_size(self) -> int:
        """The number of lines to return."""
        return max(1, min(self.limit, MAX_LIMIT))

    def _codes(self) -> Iterator[Term]:
        group = code_lists().groups.get(self.speciality)
        specialities = sorted(group.codes) if group else [self.speciality.upper()]
        wanted = (
            (Facet.PROFESSION, [self.profession]),
            (Facet.SPECIALITY, specialities),
            (Facet.DEPARTMENT, [self.department.upper()]),
            (Facet.MAILBOX_KIND, [self.mailbox_kind.upper()]),
        )
        for facet, codes in wanted:
            words = [facet.word(code) for code in map(_code, codes) if code]
            if words:
                yield Term(alternatives=tuple(Pattern(word=word) for word in words))


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """One line of a result: a person with the mailbox to prefer, or a mailbox of a structure.

    Attributes:
        practitioner: With roles and skills; `None` for a structure's mailbox.
        organization: Where the person practises first, or the structure.
        mailbox: The one to prefer; `None` for somebody who cannot be written to.
        others: The further mailboxes of the person.
    """

    match: MatchClass
    practitioner: Practitioner | None = None
    organization: Organization | None = None
    mailbox: MailboxEntry | None = None
    others: tuple[MailboxEntry, ...] = ()

    @property
    def display_name(self) -> str:
        """The name to show."""
        if self.practitioner is not None:
            return self.practitioner.display_name
        return self.mailbox.display_name if self.mailbox else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """Some lines of a result.

    Attributes:
        total: Number of lines that match; a lower bound unless *total_is_exact*.
        next_cursor: To hand back for the following page; `None` on the last.
        generation: The directory that answered; 0 when there is none.
    """

    hits: tuple[SearchHit, ...]
    total: int
    total_is_exact: bool = True
    next_cursor: str | None = None
    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A subject that meets all terms, before ranking."""

    subject_id: int
    family_key: str
    given_key: str
    has_mailbox: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedSubject:
    """What the index keeps of a subject.

    Attributes:
        words: The pairs of field and word to be found by; codes stand under field `:`.
    """

    family_key: str
    given_key: str
    has_mailbox: bool
    words: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """The index text, for conditions beyond the first."""
        return " " + " ".join(w if f == ":" else f"{f}={w}" for f, w in self.words) + " "


@lru_cache(maxsize=65_536)  # an import folds the same towns, streets and labels all day
def fold(text: str) -> tuple[str, ...]:
    """Split a text into index words: lower-case ASCII letters and digits."""
    plain = text.lower()
    if not plain.isascii():
        decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_SPECIAL))
        plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    words = _NOT_WORD.sub(" ", plain).split()
    return tuple(_SAME_WORD.get(word, word)[:MAX_WORD] for word in words)


def order_key(text: str) -> str:
    """Bring a name to the form by which it is sorted."""
    return " ".join(fold(text))


def index_practitioner(
    practitioner: Practitioner, mailboxes: Sequence[MailboxEntry]
) -> IndexedSubject:
    """Make the index entry of a person from all that is known; hidden mailboxes do not count."""
    shown = [mailbox for mailbox in mailboxes if not mailbox.liste_rouge]
    places = [role.organization for role in practitioner.roles[:MAX_ROLES] if role.organization]
    places += [mailbox.organization for mailbox in shown if mailbox.organization]
    words = dict.fromkeys(
        [
            *_name_words(Field.FAMILY, practitioner.family),
            *_name_words(Field.GIVEN, practitioner.given),
            *_profession_words(practitioner),
        ]
    )
    for place in places:
        words.update(dict.fromkeys(_place_words(place)))
    words.update(dict.fromkeys(_kind_words(shown)))
    return IndexedSubject(
        family_key=order_key(practitioner.family),
        given_key=order_key(practitioner.given),
        has_mailbox=bool(shown),
        words=tuple(words),
    )


def index_structure_mailbox(mailbox: MailboxEntry) -> IndexedSubject:
    """Make the index entry of a mailbox that no single person holds."""
    label = f"{mailbox.service} {mailbox.description}"
    local = mailbox.address.local
    words = dict.fromkeys(
        (Field.SERVICE.value, word) for word in (*_content(label), *_content(local))
    )
    place = mailbox.organization
    if place is not None:
        words.update(dict.fromkeys(_place_words(place)))
    words.update(dict.fromkeys(_kind_words([mailbox])))
    return IndexedSubject(
        family_key=order_key(place.trade_name or place.name) if place else order_key(label),
        given_key=order_key(label),
        has_mailbox=True,
        words=tuple(words),
    )


def prefer(mailboxes: Iterable[MailboxEntry]) -> list[MailboxEntry]:
    """Order the mailboxes of one holder: ranked first, personal before shared, then as published.

    Hidden ones are left out.
    """
    shown = [mailbox for mailbox in mailboxes if not mailbox.liste_rouge]
    return sorted(shown, key=lambda m: (m.rank or 1_000, m.kind != MailboxKind.PER))


def rank(
    candidates: Iterable[Candidate], terms: Sequence[Term], *, at_best: MatchClass
) -> list[tuple[MatchClass, Candidate]]:
    """Order the candidates: class, closeness, can be written to, name; each once."""
    once = {candidate.subject_id: candidate for candidate in candidates}
    names = [term for term in terms if not term.alternatives[0].is_code]
    scored = []
    for candidate in once.values():
        match, distance = _judge(candidate, names)
        order = (
            max(match, at_best),
            distance,
            not candidate.has_mailbox,
            candidate.family_key,
            candidate.given_key,
            candidate.subject_id,
        )
        scored.append((order, max(match, at_best), candidate))
    scored.sort(key=lambda entry: entry[0])
    return [(match, candidate) for _, match, candidate in scored]


def neighbours(word: str) -> set[str]:
    """List the words one mistake away: a letter missing, added, wrong, or two exchanged."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    splits = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    missing = {a + c + b for a, b in splits for c in letters}
    added = {a + b[1:] for a, b in splits if b}
    wrong = {a + c + b[1:] for a, b in splits if b for c in letters}
    exchanged = {a + b[1] + b[0] + b[2:] for a, b in splits if len(b) > 1}
    return (missing | added | wrong | exchanged) - {word}


def may_be_mistyped(term: Term) -> bool:
    """Say whether the term is a word in which one looks for a mistake."""
    word = term.alternatives[0].word
    return word.isalpha() and len(word) in TYPO_LETTERS


def build_cursor(generation: int, offset: int) -> str:
    """Write the place where the next page begins."""
    return f"{generation}.{offset}"


def parse_cursor(cursor: str) -> tuple[int, int]:
    """Read a place written by `build_cursor`: generation and offset.

    Raises:
        CursorSyntaxError: It was not.
    """
    found = re.fullmatch(r"([0-9]{1,15})\.([0-9]{1,9})", cursor)
    if found is None:
        raise CursorSyntaxError
    return int(found[1]), int(found[2])


def _word_terms(text: str, *, only: Field | None) -> Iterator[Term]:
    words = fold(text[:MAX_TEXT])
    content = [word for word in words if word not in _EMPTY_WORDS]
    if only in (Field.CITY, Field.STREET):  # numbers of houses and of cedex are not indexed
        content = [word for word in content if len(word) > 1 and not word.isdigit()]
    content = content or list(words)
    before: dict[str, str] = {}
    for first, second in pairwise(words):
        if first in _PARTICLES:
            before[second] = first + second  # `le goff` is also `LEGOFF`
    for word in dict.fromkeys(content):
        joined = [before[word]] if word in before else []
        patterns = tuple(Pattern(word=w, only=only) for w in (word, *joined))
        yield Term(alternatives=patterns)


def _judge(candidate: Candidate, terms: Sequence[Term]) -> tuple[MatchClass, int]:
    """Return the class of a candidate and how far it is from the terms."""
    distance = sum(min(_distance(p, candidate.text) for p in t.alternatives) for t in terms)
    match = MatchClass.EXACT if distance == 0 else MatchClass.PREFIX
    asked = {pattern.word for term in terms for pattern in term.alternatives}
    unasked = sum(word not in asked for word in candidate.family_key.split())
    return match, distance + unasked


def _distance(pattern: Pattern, text: str) -> int:
    """How near an index text comes: a whole word, one begun in a name, or begun elsewhere."""
    word = pattern.word
    if pattern.only is not None:
        begun = f" {pattern.only}={word}"
        return 0 if f"{begun} " in text else 3 if begun in text else 9
    if f"={word} " in text:
        return 0
    if f" {Field.FAMILY}={word}" in text or f" {Field.GIVEN}={word}" in text:
        return 3
    return 4 if f"={word}" in text else 9


def _content(text: str) -> list[str]:
    return [word for word in fold(text) if word not in _EMPTY_WORDS and len(word) > 1]


def _name_words(where: Field, name: str) -> Iterator[tuple[str, str]]:
    """Yield the parts of a name and, when it has several, the whole written together."""
    words = fold(name)
    for word in words:
        yield where, word
    if len(words) > 1:
        yield where, "".join(words)[:MAX_WORD]


def _profession_words(practitioner: Practitioner) -> Iterator[tuple[str, str]]:
    """Yield the words and codes of what a person does, labels and everyday words alike."""
    professions = [practitioner.profession, *(role.profession for role in practitioner.roles)]
    texts: list[str] = []
    codes: list[str] = []
    for profession in professions:
        if profession is not None:
            texts += _profession_texts(profession)
            codes.append(Facet.PROFESSION.word(_code(profession.code)))
    for skill in practitioner.skills:
        texts += [skill.label, *speciality_words(skill.code)]
        codes.append(Facet.SPECIALITY.word(_code(skill.code)))
    for word in _content(" ".join(dict.fromkeys(texts))):
        yield Field.SPECIALITY, word
    for code in codes:
        yield ":", code


def _profession_texts(profession: Coded) -> list[str]:
    words = code_lists().profession_words.get(profession.code, ())
    return [profession.label or code_lists().professions.get(profession.code, ""), *words]


def _place_words(place: Organization) -> Iterator[tuple[str, str]]:
    address = place.address
    for identifier in (place.finess, place.siret):
        if identifier:
            yield Field.IDENTIFIER, identifier.lower()
    for word in _content(address.city):
        if not word.isdigit():
            yield Field.CITY, word
    for word in _content(f"{place.name} {place.trade_name}"):
        yield Field.ORGANIZATION, word
    for word in fold(address.postcode):
        yield Field.POSTCODE, word
    for word in _content(address.street):
        if not word.isdigit():
            yield Field.STREET, word
    if address.department:
        yield ":", Facet.DEPARTMENT.word(_code(address.department.upper()))


def _kind_words(mailboxes: Iterable[MailboxEntry]) -> Iterator[tuple[str, str]]:
    for mailbox in mailboxes:
        yield ":", Facet.MAILBOX_KIND.word(_code(str(mailbox.kind).upper()))


def _code(text: str) -> str:
    """Keep what a code can hold, so that it is one index word without wildcards."""
    return re.sub(r"[^0-9A-Za-z]", "", text)[:MAX_WORD]
