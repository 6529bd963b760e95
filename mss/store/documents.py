"""What was found of the health documents of a message, kept from its receipt on.

The record is sealed like the summary (docs/adr/0006), bound to its message. To find the versions
and the copies of a document without opening every record, its identifiers are kept beside it as
keyed digests: whoever has the database alone can neither read them nor guess whose they are, only
see that two are equal.

Shapes
    A key is 64 hexadecimal digits: HMAC-SHA-256 of kind and identifier, under a secret derived
    from the current sealing key; look-ups try those of all keys that are there.
"""

import hmac
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

import orjson
from pydantic import TypeAdapter
from sqlalchemy import Connection, delete, select

from crypto.sealing import Sealer
from mss.clinical.listing import DocumentSet
from mss.store.bulk import BulkInsert
from mss.store.tables import deposit, document_key, document_record

MAX_RELATED = 200
"""Messages of one mailbox that are looked at for the versions of one document."""

MAX_IDENTIFIERS = 1000
"""Identifiers of one message that are kept, and looked for; a real one has a handful."""

_CONTEXT = b"mss documents"
_SETS = TypeAdapter(DocumentSet)
_INSERT_RECORD = BulkInsert(document_record)
_INSERT_KEYS = BulkInsert(document_key)


class KeyKind(StrEnum):
    """What an identifier names."""

    DOCUMENT = "document"
    SET = "set"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRecord:
    """The rows of one message."""

    message_id: str
    sealed: bytes
    keys: frozenset[tuple[KeyKind, str]]


def make_record(sealer: Sealer, *, message_id: str, found: DocumentSet) -> DocumentRecord:
    """Seal what was found, and digest the identifiers."""
    secret = sealer.secrets(_CONTEXT)[0]
    return DocumentRecord(
        message_id=message_id,
        sealed=sealer.seal(orjson.dumps(found), context=_context(message_id)),
        keys=frozenset(
            (kind, _digest(secret, kind, identifier))
            for kind, identifier in islice(identifiers_of(found), MAX_IDENTIFIERS)
        ),
    )


def identifiers_of(found: DocumentSet) -> Iterator[tuple[KeyKind, str]]:
    """List the identifiers that documents are found by."""
    for one in found.documents:
        if one.unique_id:
            yield KeyKind.DOCUMENT, one.unique_id
        if one.set_id:
            yield KeyKind.SET, one.set_id
        for replaced in one.replaces:
            yield KeyKind.REPLACED, replaced


def insert_records(connection: Connection, records: Iterable[DocumentRecord]) -> None:
    """Keep records; their messages must be there already."""
    records = list(records)
    _INSERT_RECORD.run(
        connection, [{"message_id": one.message_id, "sealed": one.sealed} for one in records]
    )
    _INSERT_KEYS.run(
        connection,
        [
            {"message_id": one.message_id, "kind": kind.value, "key": key}
            for one in records
            for kind, key in sorted(one.keys)
        ],
    )


def find_record(connection: Connection, sealer: Sealer, message_id: str) -> DocumentSet | None:
    """Open the record of a message.

    Raises:
        SealError: It was altered, or belongs to another message or key.
    """
    sealed = connection.execute(
        select(document_record.c.sealed).where(document_record.c.message_id == message_id)
    ).scalar_one_or_none()
    return None if sealed is None else _open(sealer, message_id, sealed)


def find_related(
    connection: Connection,
    sealer: Sealer,
    identifiers: Collection[tuple[KeyKind, str]],
    *,
    mailbox_ids: Collection[str],
) -> list[tuple[str, DocumentSet]]:
    """Find the messages in these mailboxes that name one of the identifiers, oldest first."""
    secrets = sealer.secrets(_CONTEXT)
    wanted = {
        _digest(secret, kind, name)
        for kind, name in sorted(identifiers)[:MAX_IDENTIFIERS]
        for secret in secrets
    }
    if not wanted or not mailbox_ids:
        return []
    named = select(document_key.c.message_id).where(document_key.c.key.in_(wanted))
    rows = connection.execute(
        select(document_record.c.message_id, document_record.c.sealed)
        .join(deposit, deposit.c.message_id == document_record.c.message_id)
        .where(deposit.c.mailbox_id.in_(mailbox_ids), document_record.c.message_id.in_(named))
        .order_by(deposit.c.deposited_at.desc(), deposit.c.uid.desc())
        .limit(MAX_RELATED)
    )
    sealed = {row.message_id: row.sealed for row in rows}
    return [(key, _open(sealer, key, value)) for key, value in reversed(sealed.items())]


def forget_records(connection: Connection, message_ids: Collection[str]) -> None:
    """Remove what is kept of the documents of messages."""
    for table in (document_key, document_record):
        connection.execute(delete(table).where(table.c.message_id.in_(message_ids)))


def _open(sealer: Sealer, message_id: str, sealed: bytes) -> DocumentSet:
    return _SETS.validate_json(sealer.open(sealed, context=_context(message_id)))


def _context(message_id: str) -> bytes:
    return b"documents:" + message_id.encode()


def _digest(secret: bytes, kind: KeyKind, identifier: str) -> str:
    return hmac.digest(secret, f"{kind}\0{identifier}".encode(), "sha256").hex()
