"""Every table of the server; the directory's own stand beside them, prefixed `directory_`.

Units
    Instants are kept as whole microseconds since 1970 (`Instant`), alike on both engines.
    Sizes in octets. Addresses are kept as written and, for look-ups, as their normalised key.
What is sealed
    `message.summary` holds the subject, names and the security facts: health data, sealed by the
    application (docs/adr/0006), as is `document_record.sealed`. Bodies are outside the database.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
)
from sqlalchemy.types import TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant as whole microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    @staticmethod
    def number(value: datetime | None) -> int | None:
        """Turn an instant into its number."""
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Turn an instant into its number."""
        del dialect
        return self.number(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Turn a number back into its instant."""
        del dialect
        return None if value is None else EPOCH + value * MICROSECOND


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _index_where_set(name: str, column: Column[Any]) -> None:
    """Index a column that is mostly empty: what has nothing in it costs the index nothing."""
    is_set = column.is_not(None)
    Index(name, column, sqlite_where=is_set, postgresql_where=is_set)


# Without SQLite's hidden row number where rows are small: one tree less to write for each row.
account = Table(
    "account",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(254), nullable=False, unique=True),
    Column("password_hash", Text),
    Column("identity", String(64), unique=True),  # national identifier, vouched for elsewhere
    Column("certificate_name", Text, unique=True),  # normalised subject, for software
    Column("created_at", Instant, nullable=False),
    Column("closed_at", Instant),
)

account_token = Table(
    "account_token",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
)

mailbox = Table(
    "mailbox",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("address", String(254), nullable=False),
    Column("address_key", String(254), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("display_name", Text, nullable=False),
    Column("rpps", String(11), index=True),
    Column("finess", String(9)),
    Column("opened_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("quota_octets", BigInteger, nullable=False),
    Column("used_octets", BigInteger, nullable=False, default=0),
    Column("next_uid", BigInteger, nullable=False, default=1),
    Column("client_certificate", Text),  # PEM; set if only the mailbox's client has the key
)

mailbox_right = Table(
    "mailbox_right",
    metadata,
    Column("mailbox_id", ForeignKey("mailbox.id"), primary_key=True),
    Column("account_id", ForeignKey("account.id"), primary_key=True, index=True),
    Column("name", String(16), primary_key=True),
)

message = Table(
    "message",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("origin", String(16), nullable=False),
    Column("accepted_at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("sender", String(254)),
    Column("sender_key", String(254), index=True),
    Column("internet_message_id", Text, nullable=False, index=True),
    Column("envelope_id", Text),
    Column("size_octets", BigInteger, nullable=False),
    Column("blob_ref", Text, nullable=False, index=True),
    Column("verdict", String(16), nullable=False),
    Column("report", String(16)),
    Column("software", String(64)),  # X-MSS-NIL: which product wrote it, for the statistics
    Column("summary", LargeBinary, nullable=False),
    Index("ix_message_actor_accepted_at", "actor", "accepted_at"),  # rates of the last hour
)
_index_where_set("ix_message_envelope_id", message.c.envelope_id)

acceptance = Table(
    "acceptance",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("message_id", ForeignKey("message.id"), nullable=False, index=True),
    Column("accepted_at", Instant, nullable=False, index=True),
    sqlite_with_rowid=False,
)

deposit = Table(
    "deposit",
    metadata,
    Column("mailbox_id", ForeignKey("mailbox.id"), primary_key=True),
    Column("uid", BigInteger, primary_key=True),
    Column("message_id", ForeignKey("message.id"), nullable=False, index=True),
    Column("role", String(8), nullable=False),
    Column("folder", String(64), nullable=False),
    Column("seen", Boolean, nullable=False, default=False),
    Column("answered", Boolean, nullable=False, default=False),
    Column("flagged", Boolean, nullable=False, default=False),
    Column("deposited_at", Instant, nullable=False),
    Column("receipt_sent_at", Instant),
    # What this mailbox holds in place of the message's own body (docs/adr/0022); all or none.
    Column("blob_ref", Text),
    Column("summary", LargeBinary),
    Column("size_octets", BigInteger),
    UniqueConstraint("mailbox_id", "message_id", "role"),
    Index("ix_deposit_listing", "mailbox_id", "folder", "uid"),
    sqlite_with_rowid=False,
)
_index_where_set("ix_deposit_blob_ref", deposit.c.blob_ref)

delivery = Table(
    "delivery",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("message_id", ForeignKey("message.id"), nullable=False, index=True),
    Column("recipient", String(254), nullable=False),
    Column("recipient_key", String(254), nullable=False),
    Column("domain", String(254), nullable=False),
    Column("route", String(8), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("queued_at", Instant, nullable=False),
    Column("next_attempt_at", Instant),
    Column("claimed_by", String(32)),
    Column("claimed_until", Instant),
    Column("expires_at", Instant),
    Column("blob_ref", Text),
    Column("notify", String(64), nullable=False),
    Column("original_recipient", Text),
    Column("returns", String(4)),
    Column("delay_told", Boolean, nullable=False, default=False),
    Column("last_attempt_at", Instant),
    Column("last_code", String(64)),
    Column("last_detail", Text),
    Column("last_host", String(254)),
    Column("last_status", String(16)),
)
# What is done costs these nothing, and the queue is found without looking at what is done.
IS_QUEUED = delivery.c.state == literal_column("'queued'")
Index(
    "ix_delivery_due",
    delivery.c.next_attempt_at,
    sqlite_where=IS_QUEUED,
    postgresql_where=IS_QUEUED,
)
Index(
    "ix_delivery_destination",
    delivery.c.domain,
    delivery.c.next_attempt_at,
    sqlite_where=IS_QUEUED,
    postgresql_where=IS_QUEUED,
)

_index_where_set("ix_delivery_blob_ref", delivery.c.blob_ref)

destination = Table(
    "destination",
    metadata,
    Column("domain", String(254), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("failing_since", Instant, nullable=False),
    Column("retry_at", Instant, nullable=False),
    Column("probed_until", Instant),
    Column("code", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("host", String(254)),
)

delivery_event = Table(
    "delivery_event",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("delivery_id", ForeignKey("delivery.id"), nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("station", String(16), nullable=False),
    Column("code", String(64)),
    Column("detail", Text),
    Column("host", String(254)),
)

notice = Table(
    "notice",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("message_id", ForeignKey("message.id"), nullable=False, index=True),
    Column("delivery_id", ForeignKey("delivery.id")),
    Column("mailbox_id", ForeignKey("mailbox.id")),
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False, index=True),
    Column("attempts", Integer, nullable=False, default=0),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("account_id", ForeignKey("account.id"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request_digest", String(64), nullable=False),
    Column("message_id", ForeignKey("message.id"), nullable=False),
    Column("created_at", Instant, nullable=False, index=True),
)

# A file on its way to a message that is still to be written (docs/adr/0033).
upload = Table(
    "upload",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("draft_id", ForeignKey("draft.id"), index=True),  # the draft that it is attached to
    Column("size_octets", BigInteger, nullable=False),
    Column("offset_octets", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),  # its name and type
)

upload_piece = Table(
    "upload_piece",
    metadata,
    Column("upload_id", ForeignKey("upload.id"), primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("length_octets", BigInteger, nullable=False),
    Column("blob_ref", Text, nullable=False, index=True),
)

# A message that somebody is still writing, or that waits for its hour.
draft = Table(
    "draft",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("mailbox_id", ForeignKey("mailbox.id"), nullable=False),
    Column("account_id", ForeignKey("account.id"), nullable=False),  # who changed it last
    Column("version", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("send_at", Instant),
    Column("code", String(64)),  # why it could not be sent at its hour
    Column("message_id", ForeignKey("message.id"), index=True),  # what it became
    Column("sealed", LargeBinary, nullable=False),
    Index("ix_draft_listing", "mailbox_id", "id"),
    Index("ix_draft_due", "state", "send_at"),
)

ending_warning = Table(
    "ending_warning",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("threshold", Integer, nullable=False),  # days; the smallest that was told
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("put_aside_at", Instant, nullable=False, index=True),
    Column("cause", String(32), nullable=False),
    Column("detail", String(254), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("sender_domain", String(254), nullable=False),
    Column("recipients", Integer, nullable=False),
    Column("size_octets", BigInteger, nullable=False),
    Column("blob_ref", Text, nullable=False, index=True),
    Column("submission", LargeBinary, nullable=False),  # sealed: envelope and who handed it over
)

patient_letter = Table(
    "patient_letter",
    metadata,
    Column("message_id", ForeignKey("message.id"), primary_key=True),
    Column("mailbox_key", String(254), primary_key=True),  # who may be answered
    Column("patient_key", String(254), primary_key=True),
    Column("internet_message_id", Text, nullable=False),
    Column("may_be_answered", Boolean, nullable=False),
    Index("ix_patient_letter_pair", "mailbox_key", "patient_key"),
)

# What was found of the documents of a message; sealed.
document_record = Table(
    "document_record",
    metadata,
    Column("message_id", ForeignKey("message.id"), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

# Identifiers of documents as keyed digests, to find versions and copies.
document_key = Table(
    "document_key",
    metadata,
    Column("message_id", ForeignKey("message.id"), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("key", String(64), primary_key=True, index=True),
)

correspondent = Table(
    "correspondent",
    metadata,
    Column("address_key", String(254), primary_key=True),
    Column("signer_fingerprint", String(64), nullable=False),
    Column("signer_subject", Text, nullable=False),
    Column("capabilities", Text, nullable=False),
    Column("signed_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
)

trust_list = Table(
    "trust_list",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("generated_at", Instant, nullable=False),
    Column("loaded_at", Instant, nullable=False),
    Column("source", Text, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("is_current", Boolean, nullable=False),
    Column("xml", LargeBinary, nullable=False),
)

# Where the list is polled from, and what the last poll brought.
trust_source = Table(
    "trust_source",
    metadata,
    Column("url", Text, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("etag", Text, nullable=False),
    Column("last_modified", Text, nullable=False),
    Column("checked_at", Instant, nullable=False),
    Column("failure", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("chain", String(32), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("at", Instant, nullable=False, index=True),
    Column("name", String(64), nullable=False, index=True),
    Column("actor", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    sqlite_with_rowid=False,
)

revocation_source = Table(
    "revocation_source",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("url", Text, nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    Column("issuer", LargeBinary),
    Column("wanted_at", Instant, nullable=False, index=True),
    Column("next_try_at", Instant, nullable=False, index=True),
    Column("failures", Integer, nullable=False, default=0),
    Column("last_reason", String(64)),
    Column("fetched_at", Instant),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("sha256", ForeignKey("revocation_object.sha256"), index=True),
)

revocation_object = Table(
    "revocation_object",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("kept_at", Instant, nullable=False, index=True),
    Column("octets", LargeBinary, nullable=False),
)

# Hospital software that speaks HL7 v2 (docs/adr/0026). Messages are named without a foreign key:
# what is known here never keeps a letter longer than its sender may ask about it.
hl7_route = Table(
    "hl7_route",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("application", String(227), nullable=False),  # MSH-3 of its messages
    Column("facility", String(227), nullable=False),  # MSH-4
    Column("mailbox_key", String(254), nullable=False),
    Column("destination", Text, nullable=False),  # where messages for it go; empty: nowhere
    Column("certificate_name", Text),  # normalised subject of the certificate it shows
    Column("takes_documents", Boolean, nullable=False),  # those of the mailbox are sent to it
    Column("last_uid", BigInteger, nullable=False),  # of the mailbox; what is above is looked at
    Column("created_at", Instant, nullable=False),
    Column("failures", Integer, nullable=False, default=0),
    Column("retry_at", Instant),
    Column("trouble", Text),
    Column("claimed_by", String(32)),
    Column("claimed_until", Instant),
    UniqueConstraint("application", "facility"),
)

hl7_request = Table(
    "hl7_request",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),  # of route, control id and content
    Column("route_id", ForeignKey("hl7_route.id"), nullable=False, index=True),
    Column("control_id", String(199), nullable=False),
    Column("own_application", String(227), nullable=False),  # MSH-5: what it calls us
    Column("own_facility", String(227), nullable=False),
    Column("charset", String(16), nullable=False),
    Column("wants_reception", Boolean, nullable=False),
    Column("wants_reading", Boolean, nullable=False),
    Column("received_at", Instant, nullable=False, index=True),
    Column("answer", LargeBinary),  # once every letter of it was accepted
)

hl7_letter = Table(
    "hl7_letter",
    metadata,
    Column("request_id", ForeignKey("hl7_request.id"), primary_key=True),
    Column("audience", String(16), primary_key=True),
    Column("message_id", String(32), nullable=False, index=True),
)

hl7_recipient = Table(
    "hl7_recipient",
    metadata,
    Column("request_id", ForeignKey("hl7_request.id"), primary_key=True),
    Column("recipient_key", String(254), primary_key=True),
    Column("identifier", String(64), nullable=False),
)

hl7_outgoing = Table(
    "hl7_outgoing",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("route_id", ForeignKey("hl7_route.id"), nullable=False),
    Column("subject", String(160), nullable=False, unique=True),  # what it tells of; told once
    Column("kind", String(8), nullable=False),
    Column("request_id", ForeignKey("hl7_request.id"), index=True),
    Column("delivery_id", String(32)),
    Column("message_id", String(32)),
    Column("number", Integer, nullable=False, default=0),  # of the document in its letter
    Column("failure", Text),  # JSON: code, label, table
    Column("control_id", String(20), nullable=False),
    Column("state", String(8), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("queued_at", Instant, nullable=False),
    Column("settled_at", Instant),
    Column("verdict", String(2)),  # MSA-1 of its answer
    Column("error_code", String(64)),
    Column("error_text", Text),
    Index("ix_hl7_outgoing_waiting", "state", "route_id", "id"),
)

hl7_intake = Table(
    "hl7_intake",
    metadata,
    Column("route_id", ForeignKey("hl7_route.id"), primary_key=True),
    Column("message_id", String(32), primary_key=True),
    Column("documents", Integer, nullable=False),
    Column("is_answered", Boolean, nullable=False, index=True),
    Column("taken_at", Instant, nullable=False, index=True),
)
