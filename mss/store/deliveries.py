"""The queue: enqueue, claim, record, report; one delivery per recipient.

A worker *claims* what is due for a bounded time and records the attempt before the network is
touched; if it dies, the claim runs out and another worker takes over. Only here do the two engines
differ (`SKIP LOCKED` on PostgreSQL; SQLite has one writer and needs none).
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from mss.model.delivery import (
    Delivery,
    DeliveryState,
    Station,
    Tracking,
    TrackingEvent,
    may_become,
)
from mss.store.tables import delivery, delivery_event, message

LOCAL = "local"
RELAY = "relay"
_INSERT = insert(delivery)
_INSERT_EVENT = insert(delivery_event)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """A delivery about to be enqueued, or one that is done because the mailbox is ours."""

    id: str
    message_id: str
    recipient: str
    recipient_key: str
    domain: str
    route: str
    state: DeliveryState
    at: datetime
    expires_at: datetime | None
    blob_ref: str | None
    notify: frozenset[str]
    original_recipient: str | None


def insert_delivery(connection: Connection, new: NewDelivery) -> None:
    """Add a delivery and the first line of its timeline."""
    queued = new.state is DeliveryState.QUEUED
    connection.execute(
        _INSERT,
        {
            "id": new.id,
            "message_id": new.message_id,
            "recipient": new.recipient,
            "recipient_key": new.recipient_key,
            "domain": new.domain,
            "route": new.route,
            "state": new.state.value,
            "attempts": 0,
            "queued_at": new.at,
            "next_attempt_at": new.at if queued else None,
            "expires_at": new.expires_at,
            "blob_ref": new.blob_ref,
            "notify": ",".join(sorted(new.notify)),
            "original_recipient": new.original_recipient,
            "delay_told": False,
        },
    )
    add_event(connection, new.id, at=new.at, station=Station.ACCEPTED)
    if new.state is DeliveryState.DELIVERED:
        add_event(connection, new.id, at=new.at, station=Station.DELIVERED)


def add_event(
    connection: Connection,
    delivery_id: str,
    *,
    at: datetime,
    station: Station,
    code: str | None = None,
    detail: str | None = None,
) -> None:
    """Add a line to a delivery's timeline."""
    connection.execute(
        _INSERT_EVENT,
        {
            "delivery_id": delivery_id,
            "at": at,
            "station": station.value,
            "code": code,
            "detail": detail,
        },
    )


def claim_due(
    connection: Connection,
    *,
    now: datetime,
    until: datetime,
    worker: str,
    limit: int,
    per_domain: int | None = None,
    under_way: Mapping[str, int] = MappingProxyType({}),
) -> list[Delivery]:
    """Take up to *limit* deliveries that are due, and count the attempt that begins now.

    Args:
        connection: In a transaction that is committed before the network is touched.
        now: Instant of the attempt.
        until: When the claim runs out.
        worker: Who claims.
        limit: How many to take at the most.
        per_domain: How many of one domain may be under way; the rest stays due.
        under_way: How many of each domain are under way already.
    """
    full = [one for one, n in under_way.items() if per_domain is not None and n >= per_domain]
    due = (
        select(delivery.c.id, delivery.c.domain)
        .where(
            delivery.c.state == DeliveryState.QUEUED.value,
            delivery.c.next_attempt_at <= now,
            or_(delivery.c.claimed_until.is_(None), delivery.c.claimed_until < now),
        )
        .order_by(delivery.c.next_attempt_at, delivery.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if full:
        due = due.where(delivery.c.domain.not_in(sorted(full)))
    taken = Counter(under_way)
    ids = []
    for row in connection.execute(due):
        if per_domain is None or taken[row.domain] < per_domain:
            taken[row.domain] += 1
            ids.append(row.id)
    if not ids:
        return []
    connection.execute(
        update(delivery)
        .where(delivery.c.id.in_(ids))
        .values(claimed_by=worker, claimed_until=until, attempts=delivery.c.attempts + 1)
    )
    rows = connection.execute(_deliveries().where(delivery.c.id.in_(ids)).order_by(delivery.c.id))
    return [_delivery(row) for row in rows]


def next_due_at(connection: Connection) -> datetime | None:
    """Tell when the next delivery becomes due, if any waits."""
    return connection.execute(
        select(func.min(delivery.c.next_attempt_at)).where(
            delivery.c.state == DeliveryState.QUEUED.value
        )
    ).scalar()


def find_delivery(connection: Connection, delivery_id: str) -> Delivery | None:
    """Find one delivery."""
    row = connection.execute(_deliveries().where(delivery.c.id == delivery_id)).one_or_none()
    return None if row is None else _delivery(row)


def list_deliveries(
    connection: Connection, *, states: Collection[DeliveryState], limit: int
) -> list[Delivery]:
    """List deliveries in the given states, oldest first."""
    rows = connection.execute(
        _deliveries()
        .where(delivery.c.state.in_([state.value for state in states]))
        .order_by(delivery.c.queued_at)
        .limit(limit)
    )
    return [_delivery(row) for row in rows]


def deliveries_of(connection: Connection, message_id: str) -> list[Delivery]:
    """List what became of a message, recipient by recipient."""
    rows = connection.execute(
        _deliveries().where(delivery.c.message_id == message_id).order_by(delivery.c.id)
    )
    return [_delivery(row) for row in rows]


def advance(
    connection: Connection,
    delivery_id: str,
    *,
    to: DeliveryState,
    station: Station,
    at: datetime,
    code: str | None = None,
    detail: str | None = None,
) -> bool:
    """Move a delivery along its state machine and tell whether it moved.

    The row is locked first, so that a worker and a report never both move it from the same state.
    """
    state = connection.execute(
        select(delivery.c.state).where(delivery.c.id == delivery_id).with_for_update()
    ).scalar()
    if state is None or not may_become(DeliveryState(state), to):
        return False
    connection.execute(
        update(delivery)
        .where(delivery.c.id == delivery_id)
        .values(
            state=to.value,
            next_attempt_at=at if to is DeliveryState.QUEUED else None,
            claimed_by=None,
            claimed_until=None,
            last_code=code,
            last_detail=detail,
        )
    )
    add_event(connection, delivery_id, at=at, station=station, code=code, detail=detail)
    return True


def postpone(
    connection: Connection,
    delivery_id: str,
    *,
    at: datetime,
    next_attempt_at: datetime,
    code: str,
    detail: str,
) -> bool:
    """Keep a delivery queued after an attempt that failed for now; tell whether it still was."""
    changed = connection.execute(
        update(delivery)
        .where(delivery.c.id == delivery_id, delivery.c.state == DeliveryState.QUEUED.value)
        .values(
            next_attempt_at=next_attempt_at,
            claimed_by=None,
            claimed_until=None,
            last_code=code,
            last_detail=detail,
        )
    )
    if changed.rowcount == 0:
        return False
    add_event(connection, delivery_id, at=at, station=Station.DEFERRED, code=code, detail=detail)
    return True


def tell_delay(connection: Connection, delivery_id: str) -> bool:
    """Take the right to tell the sender of a delay; it is given once per delivery."""
    changed = connection.execute(
        update(delivery)
        .where(delivery.c.id == delivery_id, ~delivery.c.delay_told)
        .values(delay_told=True)
    )
    return changed.rowcount > 0


def retry_now(connection: Connection, delivery_id: str, *, now: datetime) -> bool:
    """Make a queued delivery due at once."""
    changed = connection.execute(
        update(delivery)
        .where(delivery.c.id == delivery_id, delivery.c.state == DeliveryState.QUEUED.value)
        .values(next_attempt_at=now, claimed_by=None, claimed_until=None)
    )
    return changed.rowcount > 0


def renew_claims(connection: Connection, worker: str, *, until: datetime) -> None:
    """Keep everything that a worker holds for another while."""
    connection.execute(
        update(delivery).where(delivery.c.claimed_by == worker).values(claimed_until=until)
    )


def release_claims(connection: Connection, worker: str) -> None:
    """Let go of everything a worker still holds, when it stops."""
    connection.execute(
        update(delivery)
        .where(delivery.c.claimed_by == worker)
        .values(claimed_by=None, claimed_until=None)
    )


def trackings_of(connection: Connection, message_id: str) -> list[Tracking]:
    """Tell the timeline of a message, recipient by recipient."""
    return [
        Tracking(
            recipient=one.recipient, state=one.state, events=tuple(_events(connection, one.id))
        )
        for one in deliveries_of(connection, message_id)
    ]


def count_by_state(connection: Connection) -> dict[str, int]:
    """Count deliveries by state."""
    rows = connection.execute(select(delivery.c.state, func.count()).group_by(delivery.c.state))
    return {row[0]: int(row[1]) for row in rows}


def _events(connection: Connection, delivery_id: str) -> Sequence[TrackingEvent]:
    rows = connection.execute(
        select(delivery_event)
        .where(delivery_event.c.delivery_id == delivery_id)
        .order_by(delivery_event.c.id)
    )
    return [
        TrackingEvent(at=row.at, station=Station(row.station), code=row.code, detail=row.detail)
        for row in rows
    ]


def _deliveries() -> Any:  # noqa: ANN401 -- a Select of many columns has no shorter name
    return select(
        delivery, message.c.sender.label("sender"), message.c.envelope_id.label("envelope_id")
    ).join(message, message.c.id == delivery.c.message_id)


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        message_id=row.message_id,
        recipient=row.recipient,
        domain=row.domain,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        queued_at=row.queued_at,
        next_attempt_at=row.next_attempt_at,
        expires_at=row.expires_at,
        blob_ref=row.blob_ref,
        sender=row.sender,
        envelope_id=row.envelope_id or row.message_id,
        notify=frozenset(filter(None, row.notify.split(","))),
        original_recipient=row.original_recipient,
        last_code=row.last_code,
        last_detail=row.last_detail,
    )
