"""Message rows: insert one with everything that hangs on it, find, recognise a repeat."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    bindparam,
    delete,
    exists,
    select,
    union_all,
    update,
)

from directory.index_sql.prepared import Prepared, PreparedList
from mss.model.message import Origin
from mss.store.bulk import BulkInsert
from mss.store.tables import (
    acceptance,
    delivery,
    deposit,
    document_key,
    document_record,
    idempotency,
    message,
    notice,
    quarantine,
    upload_piece,
)

RELEASED = ""  # in place of the reference of a body that was let go
_INSERT = BulkInsert(message)
_FIND = Prepared(select(message).where(message.c.id == bindparam("id")))
_CLAIM = BulkInsert(acceptance, ending=" ON CONFLICT (key) DO NOTHING RETURNING key")
_REMEMBER = BulkInsert(
    idempotency, ending=" ON CONFLICT (account_id, key) DO NOTHING RETURNING key"
)
_FIND_ACCEPTED = PreparedList(
    lambda keys: select(acceptance.c.key, acceptance.c.message_id).where(acceptance.c.key.in_(keys))
)
_COLUMNS = tuple(column.name for column in message.c)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRow:
    """A message row, its summary still sealed."""

    id: str
    origin: Origin
    accepted_at: datetime
    actor: str
    sender: str | None
    sender_key: str | None
    internet_message_id: str
    envelope_id: str | None
    size_octets: int
    blob_ref: str
    verdict: str
    report: str | None
    summary: bytes
    software: str | None = None


def acceptance_key(*, sender: str | None, body_digest: bytes, recipient_key: str) -> str:
    """Name one (message, recipient) by what a repeated transfer has in common with the first.

    A peer whose connection broke before our final reply sends the same octets again
    (RFC 5321, 4.5.4.1); a change of any octet is another message.

    Args:
        sender: Normalised envelope sender.
        body_digest: SHA-256 of all the octets, computed once for all recipients.
        recipient_key: Normalised address of the recipient.
    """
    digest = hashlib.sha256()
    for part in (sender or "", recipient_key):
        digest.update(part.encode() + b"\0")
    digest.update(body_digest)
    return digest.hexdigest()


def insert_message(connection: Connection, row: MessageRow) -> None:
    """Add the row of an accepted message."""
    insert_messages(connection, [row])


def insert_messages(connection: Connection, rows: Iterable[MessageRow]) -> None:
    """Add the rows of accepted messages."""
    _INSERT.run(
        connection,
        [
            {name: getattr(row, name) for name in _COLUMNS} | {"origin": row.origin.value}
            for row in rows
        ],
    )


def claim_acceptance_keys(
    connection: Connection, claims: Mapping[str, str], *, at: datetime
) -> set[str]:
    """Take the keys that nobody took before; the message rows must exist already.

    Args:
        connection: To change, inside the caller's transaction.
        claims: Key to the message that claims it.
        at: Instant of the acceptance.

    Returns:
        The keys that are new. The others belong to a message accepted earlier.
    """
    rows = [
        {"key": key, "message_id": message_id, "accepted_at": at}
        for key, message_id in claims.items()
    ]
    return {key for (key,) in _CLAIM.run(connection, rows)}


def find_accepted(connection: Connection, keys: Sequence[str]) -> dict[str, str]:
    """Map those of *keys* that were accepted before to the message they belong to."""
    rows = _FIND_ACCEPTED.run(connection, keys)
    return {row.key: row.message_id for row in rows}


def find_message(connection: Connection, message_id: str) -> MessageRow | None:
    """Find a message by our identifier."""
    found = _FIND.run(connection, {"id": message_id})
    return message_of(found[0]) if found else None


def find_by_internet_id(connection: Connection, internet_message_id: str) -> list[MessageRow]:
    """Find the messages that carry a Message-ID (anybody may write any, so there may be some)."""
    rows = connection.execute(
        select(message)
        .where(message.c.internet_message_id == internet_message_id)
        .order_by(message.c.accepted_at.desc())
        .limit(16)
    )
    return [message_of(row) for row in rows]


def find_by_envelope_id(connection: Connection, envelope_id: str) -> list[MessageRow]:
    """Find the messages submitted with an ENVID of the submitter's own."""
    rows = connection.execute(
        select(message)
        .where(message.c.envelope_id == envelope_id)
        .order_by(message.c.accepted_at.desc())
        .limit(16)
    )
    return [message_of(row) for row in rows]


def referenced_blobs(connection: Connection, refs: Iterable[str]) -> set[str]:
    """Tell which of *refs* some row still refers to."""
    wanted = list(refs)
    found = union_all(
        select(message.c.blob_ref).where(message.c.blob_ref.in_(wanted)),
        select(delivery.c.blob_ref).where(delivery.c.blob_ref.in_(wanted)),
        select(quarantine.c.blob_ref).where(quarantine.c.blob_ref.in_(wanted)),
        select(deposit.c.blob_ref).where(deposit.c.blob_ref.in_(wanted)),
        select(upload_piece.c.blob_ref).where(upload_piece.c.blob_ref.in_(wanted)),
    )
    return set(connection.execute(found).scalars())


def move_blob(connection: Connection, old_ref: str, new_ref: str) -> bool:
    """Make every row that refers to a body refer to its new place; tell whether any did."""
    return (
        sum(
            connection.execute(
                update(table).where(table.c.blob_ref == old_ref).values(blob_ref=new_ref)
            ).rowcount
            for table in (message, delivery, quarantine, deposit, upload_piece)
        )
        > 0
    )


def release_bodies(connection: Connection, *, before: datetime, limit: int) -> set[str]:
    """Let go of bodies that nobody needs any more; return those that no row refers to now.

    The protected body of a delivery is needed until its last attempt. What is kept of a message is
    needed while it lies in a mailbox, waits to be carried, or a notice is still owed about it; then
    its summary and what was found of its documents go too. The row stays: a sender may ask for
    years what became of a letter.

    Args:
        connection: To change, inside the caller's transaction.
        before: Leave messages alone that were accepted after this.
        limit: Rows of each kind to look at in one transaction.
    """
    waits = delivery.c.state.in_(["queued", "held"])
    done = list(
        connection.execute(
            select(delivery.c.id, delivery.c.blob_ref)
            .where(~waits, delivery.c.blob_ref.is_not(None), delivery.c.queued_at < before)
            .limit(limit)
        )
    )
    idle = list(
        connection.execute(
            select(message.c.id, message.c.blob_ref)
            .where(
                message.c.blob_ref != RELEASED,
                message.c.accepted_at < before,
                ~exists().where(deposit.c.message_id == message.c.id),
                ~exists().where(notice.c.message_id == message.c.id),
                ~exists().where(delivery.c.message_id == message.c.id, waits),
            )
            .limit(limit)
        )
    )
    connection.execute(
        update(delivery).where(delivery.c.id.in_([row.id for row in done])).values(blob_ref=None)
    )
    connection.execute(
        update(message)
        .where(message.c.id.in_([row.id for row in idle]))
        .values(blob_ref=RELEASED, summary=b"")
    )
    for table in (document_key, document_record):
        connection.execute(delete(table).where(table.c.message_id.in_([row.id for row in idle])))
    released = {row.blob_ref for row in (*done, *idle)}
    return released - referenced_blobs(connection, released)


def find_idempotent(connection: Connection, account_id: str, key: str) -> tuple[str, str] | None:
    """Find what an Idempotency-Key was used for: (digest of the request, message)."""
    row = connection.execute(
        select(idempotency.c.request_digest, idempotency.c.message_id).where(
            idempotency.c.account_id == account_id, idempotency.c.key == key
        )
    ).one_or_none()
    return None if row is None else (row.request_digest, row.message_id)


def remember_idempotent(
    connection: Connection,
    *,
    account_id: str,
    key: str,
    request_digest: str,
    message_id: str,
    at: datetime,
) -> bool:
    """Remember what a request with an Idempotency-Key led to; tell whether the key was free.

    Who asks at the same moment waits for the other's transaction, and is told no.
    """
    won = _REMEMBER.run(
        connection,
        [
            {
                "account_id": account_id,
                "key": key,
                "request_digest": request_digest,
                "message_id": message_id,
                "created_at": at,
            }
        ],
    )
    return bool(won)


def forget_old(connection: Connection, *, duplicates: datetime, idempotent: datetime) -> None:
    """Forget repeats accepted before *duplicates* and keys used before *idempotent*."""
    connection.execute(delete(acceptance).where(acceptance.c.accepted_at < duplicates))
    connection.execute(delete(idempotency).where(idempotency.c.created_at < idempotent))


def message_of(row: Row[Any], *, prefix: str = "") -> MessageRow:
    """Read a message out of a result row whose message columns carry *prefix*."""
    values = {name: getattr(row, prefix + name) for name in _COLUMNS}
    return MessageRow(**{**values, "origin": Origin(values["origin"])})
