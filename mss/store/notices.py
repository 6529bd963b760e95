"""Notifications that are owed: told in the transaction of what they tell about, sent afterwards.

A crash between an event and its notification loses nothing: the row says that it is owed. The
transaction that accepts the notification as a message removes the row, so it is sent once.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from mss.store.tables import notice


class NoticeKind(StrEnum):
    """What somebody is to be told."""

    DELIVERED = "delivered"
    DELAYED = "delayed"
    FAILED = "failed"
    RELAYED = "relayed"
    READ = "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notification that is owed."""

    id: str
    kind: NoticeKind
    message_id: str
    delivery_id: str | None
    mailbox_id: str | None
    created_at: datetime
    attempts: int


def owe(
    connection: Connection,
    *,
    notice_id: str,
    kind: NoticeKind,
    message_id: str,
    at: datetime,
    delivery_id: str | None = None,
    mailbox_id: str | None = None,
) -> None:
    """Write down that a notification is owed."""
    connection.execute(
        insert(notice).values(
            id=notice_id,
            kind=kind.value,
            message_id=message_id,
            delivery_id=delivery_id,
            mailbox_id=mailbox_id,
            created_at=at,
            due_at=at,
            attempts=0,
        )
    )


def claim_notices(
    connection: Connection, *, now: datetime, until: datetime, limit: int
) -> list[Notice]:
    """Take up to *limit* notices that are due; they become due again at *until*."""
    ids = list(
        connection.execute(
            select(notice.c.id)
            .where(notice.c.due_at <= now)
            .order_by(notice.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).scalars()
    )
    if not ids:
        return []
    connection.execute(
        update(notice)
        .where(notice.c.id.in_(ids))
        .values(due_at=until, attempts=notice.c.attempts + 1)
    )
    rows = connection.execute(select(notice).where(notice.c.id.in_(ids)))
    return [_notice(row) for row in rows]


def settle(connection: Connection, notice_id: str) -> bool:
    """Remove a notice that is being sent; tell whether it was still owed."""
    return connection.execute(delete(notice).where(notice.c.id == notice_id)).rowcount > 0


def _notice(row: Row[Any]) -> Notice:
    return Notice(
        id=row.id,
        kind=NoticeKind(row.kind),
        message_id=row.message_id,
        delivery_id=row.delivery_id,
        mailbox_id=row.mailbox_id,
        created_at=row.created_at,
        attempts=row.attempts,
    )
