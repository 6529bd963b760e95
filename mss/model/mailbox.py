"""A mailbox (boîte aux lettres, BAL) that this operator hosts, and what is deposited in it.

Sources
    NOS TRE_R257-TypeBAL (PER, ORG, APP, CAB); RFC 6154 (roles of folders).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from directory.model import MailboxKind
from mss.model.principal import Right


class Folder(StrEnum):
    """Folders by role; French names belong to the doors that show them."""

    INBOX = "inbox"
    SENT = "sent"
    RECEIPTS = "receipts"
    ARCHIVE = "archive"
    TRASH = "trash"


class Flag(StrEnum):
    """Marks on a deposit, named as in IMAP (RFC 9051, 2.3.2)."""

    SEEN = "seen"
    ANSWERED = "answered"
    FLAGGED = "flagged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One of our mailboxes.

    Attributes:
        client_certificate: In PEM, if only its client has the key: what it holds cannot be read
            by this server.
    """

    id: str
    address: str
    kind: MailboxKind
    display_name: str
    rpps: str | None
    finess: str | None
    opened_at: datetime
    closed_at: datetime | None
    quota_octets: int
    used_octets: int
    client_certificate: str | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether mail may be deposited in it."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxView:
    """A mailbox as one account sees it."""

    mailbox: Mailbox
    rights: frozenset[Right]
    messages: int
    unread: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnBody:
    """What one mailbox holds of a message in place of what the others hold.

    Attributes:
        blob_ref: Where its octets are.
        summary: Sealed, as that of the message itself.
    """

    blob_ref: str
    summary: bytes
    size_octets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """One message in one mailbox.

    Attributes:
        own_body: For a mailbox whose key only its client has.
    """

    mailbox_id: str
    mailbox_address: str
    message_id: str
    folder: Folder
    flags: frozenset[Flag]
    deposited_at: datetime
    uid: int
    own_body: OwnBody | None = None
