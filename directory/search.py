"""Say what somebody may ask the directory, and what a result is.

Values only. One box understands a name and first name in any order, a town, a postcode, a
département, a profession or speciality in everyday words, a structure, an identifier or an address;
the fields of the search form stand beside it. How they are understood is told in
`directory.search_index`, where the rows come from in `directory.index_sql`.

Errors
    None for a query: whatever is typed has an answer. A cursor raises `CursorSyntaxError`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, Self

from directory.codes import code_lists, speciality_words
from directory.errors import CursorSyntaxError
from directory.folding import fold, order_key
from directory.model import Coded, MailboxEntry, MailboxKind, Organization, Position, Practitioner

MAX_TEXT: Final = 200
MAX_TERMS: Final = 8
MAX_WORD: Final = 40
MAX_LIMIT: Final = 100
MAX_ROLES: Final = 40
_EMPTY_WORDS: Final = frozenset(
    "de du des la le les d l et en option cedex arrondissement rue avenue av".split()
)


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
    SOUND = 4
    APPROXIMATE = 5


class SortBy(StrEnum):
    """What orders the lines of a result."""

    RANK = "rank"
    DISTANCE = "distance"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """What is looked for: one box, and the fields of the search form beside it.

    All that is given must be met.

    Attributes:
        text: The one box.
        identifier: Of a person: RPPS number or national identifier.
        structure_identifier: FINESS, SIRET or SIREN.
        mailbox_address: The address of a mailbox, or its beginning, or a domain.
        postcode: Its beginning is enough.
        job: Words for a profession or a speciality.
        profession: TRE_G15 code.
        speciality: TRE_R38 code, or the name of a group (`cardiology`).
        department: Code of the département.
        mailbox_kind: Only what has a mailbox of this kind.
        with_mailbox: Only what can be written to.
        near: Only what is within *radius_km* of this point.
        near_postcode: The same, around the places of this postcode.
        correspondents: Numbers of subjects whom the asker knows; they come first.
        limit: Lines on a page, 1 to 100.
        cursor: `next_cursor` of the page before.
    """

    text: str = ""
    identifier: str = ""
    family: str = ""
    given: str = ""
    city: str = ""
    postcode: str = ""
    department: str = ""
    organization: str = ""
    structure_identifier: str = ""
    street: str = ""
    job: str = ""
    profession: str = ""
    speciality: str = ""
    mailbox_address: str = ""
    mailbox_kind: str = ""
    with_mailbox: bool = False
    near: Position | None = None
    near_postcode: str = ""
    radius_km: float = 20.0
    sort: SortBy = SortBy.RANK
    correspondents: frozenset[int] = frozenset()
    limit: int = 20
    cursor: str | None = None

    @property
    def page_size(self) -> int:
        """The number of lines to return."""
        return max(1, min(self.limit, MAX_LIMIT))


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """One line of a result: a person with the mailbox to prefer, or a mailbox of a structure.

    Attributes:
        practitioner: With roles and skills; `None` for a structure's mailbox.
        organization: Where the person practises first, or the structure.
        mailbox: The one to prefer; `None` for somebody who cannot be written to.
        others: The further mailboxes of the person.
        distance_km: How far the nearest place is from the point that was asked for.
    """

    match: MatchClass
    practitioner: Practitioner | None = None
    organization: Organization | None = None
    mailbox: MailboxEntry | None = None
    others: tuple[MailboxEntry, ...] = ()
    distance_km: float | None = None

    @property
    def display_name(self) -> str:
        """The name to show."""
        if self.practitioner is not None:
            return self.practitioner.display_name
        return self.mailbox.display_name if self.mailbox else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationSheet:
    """A structure, and the mailboxes by which its services are reached."""

    organization: Organization
    mailboxes: tuple[MailboxEntry, ...] = ()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The place where the next page begins.

    Attributes:
        generation: The directory that was asked.
        revision: What our operator had declared when it was asked.
        offset: Lines before the place.
    """

    generation: int
    revision: str
    offset: int

    def __str__(self) -> str:
        """Write it for whoever asks for the next page."""
        return f"{self.generation}.{self.revision}.{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what was written.

        Raises:
            CursorSyntaxError: It was not written here.
        """
        found = re.fullmatch(r"([0-9]{1,9})\.([0-9]{1,9}-[0-9]{1,18})\.([0-9]{1,6})", text)
        if found is None or not text.isascii():
            raise CursorSyntaxError
        return cls(generation=int(found[1]), revision=found[2], offset=int(found[3]))


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
