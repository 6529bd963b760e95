"""How much did somebody send lately? Counted from the rows of messages themselves.

So the limit holds over every process and survives restarts, and a message costs no further write.
"""

from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select

from mss.store.tables import delivery, message

_RECENT = select(message.c.id).where(
    message.c.actor == bindparam("actor"), message.c.accepted_at > bindparam("since")
)
_MESSAGES = select(func.count()).select_from(_RECENT.subquery())
_RECIPIENTS = select(func.count()).where(delivery.c.message_id.in_(_RECENT))


def count_recent(connection: Connection, *, actor: str, since: datetime) -> tuple[int, int]:
    """Count (messages, recipients) that *actor* handed over after *since*."""
    values = {"actor": actor, "since": since}
    return (
        int(connection.execute(_MESSAGES, values).scalar_one()),
        int(connection.execute(_RECIPIENTS, values).scalar_one()),
    )
