"""Say what somebody may ask the directory, and what a result is.

Values only. One box understands a name and first name in any order, a town, a postcode, a
département, a profession or speciality in everyday words, a structure, an identifier or an address;
the fields of the search form stand beside it. How they are understood is told in
`directory.search_index`, where the rows come from in `directory.index_sql`.

Errors
    None for a query: whatever is typed has an answer. A cursor raises `CursorSyntaxError`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, Self

from directory.errors import CursorSyntaxError
from directory.model import MailboxEntry, MailboxKind, Organization, Position, Practitioner

MAX_TEXT: Final = 200
MAX_TERMS: Final = 8
MAX_LIMIT: Final = 100


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
