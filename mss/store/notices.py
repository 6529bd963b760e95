"""Notifications that are owed: told in the transaction of what they tell about, sent afterwards.

A crash between an event and its notification loses nothing: the row says that it is owed. The
transaction that accepts the notification as a message removes the row, so it is sent once.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from mss.store.tables import notice

BUNDLE = 200  # recipients that one report tells of


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
    due_at: datetime | None = None,
    delivery_id: str | None = None,
    mailbox_id: str | None = None,
) -> None:
    """Write down that a notification is owed, now or when others may be told with it."""
    connection.execute(
        insert(notice).values(
            id=notice_id,
            kind=kind.value,
            message_id=message_id,
            delivery_id=delivery_id,
            mailbox_id=mailbox_id,
            created_at=at,
            due_at=due_at or at,
            attempts=0,
        )
    )


def next_due_at(connection: Connection) -> datetime | None:
    """Tell when the next notice becomes due, if any is owed."""
    return connection.execute(select(func.min(notice.c.due_at))).scalar()


def claim_notices(
    connection: Connection, *, now: datetime, until: datetime, limit: int
) -> list[tuple[Notice, ...]]:
    """Take notices that are due; they become due again at *until*.

    Returns:
        At most *limit* bundles: what is to be told in one report, the recipients of one message
        that the same thing happened to.
    """
    heads = connection.execute(
        select(notice.c.message_id)
        .where(notice.c.due_at <= now)
        .order_by(notice.c.due_at)
        .limit(limit)
    ).scalars()
    rows = connection.execute(
        select(notice)
        .where(notice.c.due_at <= now, notice.c.message_id.in_(list(dict.fromkeys(heads))))
        .order_by(notice.c.due_at, notice.c.id)
        .limit(limit * BUNDLE)
        .with_for_update(skip_locked=True)
    )
    bundles: dict[tuple[str, ...], list[Notice]] = {}
    for row in rows:
        bundles.setdefault((row.message_id, row.kind, row.mailbox_id or ""), []).append(
            replace(_notice(row), attempts=row.attempts + 1)
        )
    taken = [tuple(bundle[:BUNDLE]) for bundle in list(bundles.values())[:limit]]
    connection.execute(
        update(notice)
        .where(notice.c.id.in_([one.id for bundle in taken for one in bundle]))
        .values(due_at=until, attempts=notice.c.attempts + 1)
    )
    return taken


def settle(connection: Connection, notice_ids: Collection[str]) -> bool:
    """Remove notices that are being sent; tell whether all of them were still owed."""
    gone = connection.execute(delete(notice).where(notice.c.id.in_(notice_ids)))
    return gone.rowcount == len(notice_ids)


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
