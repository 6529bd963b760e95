"""Forget what became of letters that were settled long ago.

A message goes with its deliveries, timeline and all else that hangs on it, once nobody needs any of
it: its body was let go (it lies in no mailbox and waits for nobody), and the time is over for which
a sender may ask. The journal keeps its own lines.
"""

from datetime import datetime

from sqlalchemy import Connection, Table, delete, exists, select

from mss.model.delivery import WAITING
from mss.store.messages import RELEASED
from mss.store.tables import (
    acceptance,
    delivery,
    delivery_event,
    deposit,
    document_key,
    document_record,
    idempotency,
    message,
    metadata,
    notice,
)

# Rows that live and die with their message.
_OWN = (acceptance, idempotency, document_key, document_record, delivery)


def forget_settled(connection: Connection, *, before: datetime, limit: int) -> int:
    """Forget messages accepted before an instant; tell how many, at most *limit*."""
    ids = list(
        connection.execute(
            select(message.c.id)
            .where(
                message.c.accepted_at < before,
                message.c.blob_ref == RELEASED,
                ~exists().where(deposit.c.message_id == message.c.id),
                ~exists().where(notice.c.message_id == message.c.id),
                ~exists().where(
                    delivery.c.message_id == message.c.id,
                    delivery.c.state.in_([one.value for one in WAITING]),
                ),
                *(
                    ~exists().where(table.c.message_id == message.c.id)
                    for table in _others_with_messages()
                ),
            )
            .order_by(message.c.id)
            .limit(limit)
        ).scalars()
    )
    if not ids:
        return 0
    lines = select(delivery.c.id).where(delivery.c.message_id.in_(ids))
    connection.execute(delete(delivery_event).where(delivery_event.c.delivery_id.in_(lines)))
    for table in _OWN:
        connection.execute(delete(table).where(table.c.message_id.in_(ids)))
    connection.execute(delete(message).where(message.c.id.in_(ids)))
    return len(ids)


def _others_with_messages() -> list[Table]:
    """List the tables whose rows keep a message for reasons of their own."""
    known = {one.name for one in (*_OWN, deposit, notice)}
    return [
        table
        for table in metadata.sorted_tables
        if table.name not in known
        and any(key.column.table is message for key in table.foreign_keys)
    ]
