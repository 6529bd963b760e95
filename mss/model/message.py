"""A message that was accepted: where it came from, and the summary that its readers see.

The summary repeats what the header fields say (a subject names a patient, so it is health data):
it is kept sealed in the database and opened for whoever may read the mailbox.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mss.model.security import Security

# Parts that carry a signature and nothing for a reader.
SIGNATURE_TYPES = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})


class Origin(StrEnum):
    """Through which kind of door a message came in."""

    SUBMISSION = "submission"
    PEER = "peer"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A name and an address from a header field."""

    address: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSummary:
    """One leaf of the MIME tree.

    Attributes:
        path: Position, as in IMAP: `1`, `2.1`.
        size_octets: Decoded size, estimated from the encoded one.
    """

    path: str
    content_type: str
    filename: str | None
    disposition: str | None
    size_octets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSummary:
    """One health document that a message carries: what it is, and what to do with it."""

    type_code: str | None
    type_label: str | None
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a list of messages shows, taken from the (protected) header fields."""

    subject: str
    author: Participant
    to: tuple[Participant, ...]
    cc: tuple[Participant, ...]
    reply_to: tuple[Participant, ...]
    sent_at: datetime | None
    internet_message_id: str
    in_reply_to: str | None
    references: tuple[str, ...]
    receipt_to: str | None  # Disposition-Notification-To
    parts: tuple[PartSummary, ...]
    headers: tuple[tuple[str, str], ...]  # X-MSS-* as they came
    documents: tuple[DocumentSummary, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message as the store keeps it; octets are behind `blob_ref`."""

    id: str
    origin: Origin
    accepted_at: datetime
    sender: str | None
    size_octets: int
    blob_ref: str
    summary: Summary
    security: Security
    report: str | None  # `dsn`, `mdn` or None
