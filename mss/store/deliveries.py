"""The queue's rows: enqueue, record, look up; one delivery per recipient.

Every change of state goes through `advance`, which follows the table of `mss/model/delivery.py` and
writes the line of the timeline. Who works on what is `mss/store/claims.py`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, exists, func, insert, or_, select, update

from mss.model.delivery import (
    WAITING,
    Delivery,
    DeliveryState,
    Station,
    Tracking,
    TrackingEvent,
    may_become,
)
from mss.store.bulk import BulkInsert
from mss.store.tables import IS_QUEUED, delivery, delivery_event, destination, message

LOCAL = "local"
RELAY = "relay"
_INSERT = BulkInsert(delivery)
_INSERT_EVENTS = BulkInsert(delivery_event)
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
    returns: str | None = None


def insert_delivery(connection: Connection, new: NewDelivery) -> None:
    """Add a delivery and the first line of its timeline."""
    insert_deliveries(connection, [new])


def insert_deliveries(connection: Connection, wanted: Iterable[NewDelivery]) -> None:
    """Add deliveries and the first lines of their timelines."""
    rows, events = [], []
    for new in wanted:
        rows.append(_row(new))
        stations = [Station.ACCEPTED]
        if new.state is DeliveryState.DELIVERED:
            stations.append(Station.DELIVERED)
        events += [
            {"delivery_id": new.id, "at": new.at, "station": station.value} for station in stations
        ]
    _INSERT.run(connection, rows)
    _INSERT_EVENTS.run(connection, events)


def _row(new: NewDelivery) -> dict[str, object]:
    queued = new.state is DeliveryState.QUEUED
    return {
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
        "returns": new.returns,
        "delay_told": False,
    }


def add_event(
    connection: Connection,
    delivery_id: str,
    *,
    at: datetime,
    station: Station,
    code: str | None = None,
    detail: str | None = None,
    host: str | None = None,
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
            "host": host,
        },
    )


def find_delivery(connection: Connection, delivery_id: str) -> Delivery | None:
    """Find one delivery."""
    row = connection.execute(select_deliveries().where(delivery.c.id == delivery_id)).one_or_none()
    return None if row is None else delivery_of(row)


def list_deliveries(
    connection: Connection, *, states: Collection[DeliveryState], limit: int
) -> list[Delivery]:
    """List deliveries in the given states, oldest first."""
    rows = connection.execute(
        select_deliveries()
        .where(delivery.c.state.in_([state.value for state in states]))
        .order_by(delivery.c.queued_at)
        .limit(limit)
    )
    return [delivery_of(row) for row in rows]


def deliveries_of(connection: Connection, message_id: str) -> list[Delivery]:
    """List what became of a message, recipient by recipient."""
    rows = connection.execute(
        select_deliveries().where(delivery.c.message_id == message_id).order_by(delivery.c.id)
    )
    return [delivery_of(row) for row in rows]


def add_report_line(
    connection: Connection, delivery_id: str, *, at: datetime, code: str | None, limit: int
) -> None:
    """Add a line for a report that changed nothing: once for each code, and not without end."""
    told = set(
        connection.execute(
            select(delivery_event.c.code).where(
                delivery_event.c.delivery_id == delivery_id,
                delivery_event.c.code.is_not(None),
            )
        ).scalars()
    )
    if code not in told and len(told) < limit:
        add_event(connection, delivery_id, at=at, station=Station.REPORTED, code=code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a delivery moved or waits: the facts of the last attempt, for timeline and reports.

    Attributes:
        code: Permanent kebab-case name.
        because: What is behind it, when the code only says that the time was over.
        detail: For a person; never any content.
        host: The host that answered, or did not.
        status: Enhanced status code.
    """

    code: str | None = None
    because: str | None = None
    detail: str | None = None
    host: str | None = None
    status: str | None = None


NO_CAUSE = Cause()


def advance(
    connection: Connection,
    delivery_id: str,
    *,
    to: DeliveryState,
    station: Station,
    at: datetime,
    cause: Cause = NO_CAUSE,
) -> bool:
    """Move a delivery along its state machine and tell whether it moved.

    The row is locked first, so that a worker and a report never both move it from the same state.
    A delivery that is held keeps the claim of the worker that is busy with it.
    """
    state = connection.execute(
        select(delivery.c.state).where(delivery.c.id == delivery_id).with_for_update()
    ).scalar()
    if state is None or not may_become(DeliveryState(state), to):
        return False
    values: dict[str, object] = {
        "state": to.value,
        "next_attempt_at": at if to is DeliveryState.QUEUED else None,
        **_last(cause),
    }
    if to is not DeliveryState.HELD:
        values |= {"claimed_by": None, "claimed_until": None}
    connection.execute(update(delivery).where(delivery.c.id == delivery_id).values(values))
    add_event(
        connection,
        delivery_id,
        at=at,
        station=station,
        code=cause.code,
        detail=cause.detail,
        host=cause.host,
    )
    return True


def postpone(
    connection: Connection,
    delivery_id: str,
    *,
    worker: str | None,
    at: datetime,
    next_attempt_at: datetime,
    cause: Cause,
) -> bool:
    """Keep a delivery queued after an attempt that failed for now; tell whether it still was.

    An attempt whose claim ran out and was taken by another worker changes nothing; one whose
    delivery was held meanwhile leaves its line and lets go.
    """
    mine = delivery.c.id == delivery_id
    if worker is not None:
        mine &= delivery.c.claimed_by == worker
    free = {"claimed_by": None, "claimed_until": None, **_last(cause)}
    queued = connection.execute(
        update(delivery).where(mine, IS_QUEUED).values(next_attempt_at=next_attempt_at, **free)
    )
    held = queued.rowcount == 0 and connection.execute(
        update(delivery).where(mine, delivery.c.state == DeliveryState.HELD.value).values(**free)
    )
    if queued.rowcount == 0 and not (held and held.rowcount):
        return False
    add_event(
        connection,
        delivery_id,
        at=at,
        station=Station.DEFERRED,
        code=cause.code,
        detail=cause.detail,
        host=cause.host,
    )
    return queued.rowcount > 0


def _last(cause: Cause) -> dict[str, str | None]:
    """Write a cause as the columns that keep it; moving without one forgets nothing."""
    if cause is NO_CAUSE:
        return {}
    return {
        "last_code": cause.because or cause.code,
        "last_detail": cause.detail,
        "last_host": cause.host,
        "last_status": cause.status,
    }


def tell_delay(connection: Connection, delivery_id: str) -> bool:
    """Take the right to tell the sender of a delay; it is given once per delivery."""
    changed = connection.execute(
        update(delivery)
        .where(delivery.c.id == delivery_id, ~delivery.c.delay_told)
        .values(delay_told=True)
    )
    return changed.rowcount > 0


def retry_now(connection: Connection, delivery_id: str, *, now: datetime) -> bool:
    """Make a queued delivery due at once, unless somebody is busy with it."""
    changed = connection.execute(
        update(delivery)
        .where(
            delivery.c.id == delivery_id,
            IS_QUEUED,
            or_(delivery.c.claimed_until.is_(None), delivery.c.claimed_until <= now),
        )
        .values(next_attempt_at=now, claimed_by=None, claimed_until=None)
    )
    return changed.rowcount > 0


def list_late(connection: Connection, *, queued_before: datetime, limit: int) -> list[Delivery]:
    """List queued deliveries whose senders want to hear of a delay and have not."""
    rows = connection.execute(
        select_deliveries()
        .where(
            IS_QUEUED,
            delivery.c.queued_at <= queued_before,
            ~delivery.c.delay_told,
            delivery.c.notify.contains("DELAY"),
            message.c.sender.is_not(None),
        )
        .order_by(delivery.c.queued_at)
        .limit(limit)
    )
    return [delivery_of(row) for row in rows]


def list_stranded(connection: Connection, *, now: datetime, limit: int) -> list[Delivery]:
    """List queued deliveries whose time is over and whose destination may not be tried now."""
    is_closed = exists().where(
        destination.c.domain == delivery.c.domain,
        or_(destination.c.retry_at > now, destination.c.probed_until > now),
    )
    rows = connection.execute(
        select_deliveries()
        .where(
            IS_QUEUED,
            delivery.c.expires_at <= now,
            or_(delivery.c.claimed_until.is_(None), delivery.c.claimed_until <= now),
            is_closed,
        )
        .order_by(delivery.c.expires_at)
        .limit(limit)
    )
    return [delivery_of(row) for row in rows]


def list_unsettled(
    connection: Connection,
    *,
    senders: Collection[str],
    recipient_key: str,
    since: datetime,
    limit: int,
) -> list[Delivery]:
    """List letters to a recipient, sent lately by *senders*, that may still come back."""
    open_states = [DeliveryState.QUEUED.value, DeliveryState.RELAYED.value]
    rows = connection.execute(
        select_deliveries()
        .where(
            message.c.sender_key.in_(senders),
            message.c.accepted_at >= since,
            delivery.c.recipient_key == recipient_key,
            delivery.c.state.in_(open_states),
        )
        .limit(limit)
    )
    return [delivery_of(row) for row in rows]


def count_waiting(connection: Connection, message_id: str) -> int:
    """Count the recipients of a message that nothing final is known of yet."""
    waiting = [state.value for state in WAITING]
    return connection.execute(
        select(func.count()).where(
            delivery.c.message_id == message_id, delivery.c.state.in_(waiting)
        )
    ).scalar_one()


def trackings_of(connection: Connection, message_id: str) -> list[Tracking]:
    """Tell the timeline of a message, recipient by recipient."""
    return [
        Tracking(
            recipient=one.recipient, state=one.state, events=tuple(events_of(connection, one.id))
        )
        for one in deliveries_of(connection, message_id)
    ]


def count_by_state(connection: Connection) -> dict[str, int]:
    """Count deliveries by state."""
    rows = connection.execute(select(delivery.c.state, func.count()).group_by(delivery.c.state))
    return {row[0]: int(row[1]) for row in rows}


def events_of(connection: Connection, delivery_id: str) -> Sequence[TrackingEvent]:
    """List the lines of a delivery's timeline, in order."""
    rows = connection.execute(
        select(delivery_event)
        .where(delivery_event.c.delivery_id == delivery_id)
        .order_by(delivery_event.c.id)
    )
    return [
        TrackingEvent(
            at=row.at,
            station=Station(row.station),
            code=row.code,
            detail=row.detail,
            host=row.host,
        )
        for row in rows
    ]


def select_deliveries() -> Any:  # noqa: ANN401 -- a Select of many columns has no shorter name
    """Ask for deliveries with what they need of their message."""
    return select(
        delivery, message.c.sender.label("sender"), message.c.envelope_id.label("envelope_id")
    ).join(message, message.c.id == delivery.c.message_id)


def delivery_of(row: Row[Any]) -> Delivery:
    """Read a delivery out of a row of `select_deliveries`."""
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
        returns=row.returns,
        claimed_by=row.claimed_by,
        claimed_until=row.claimed_until,
        last_attempt_at=row.last_attempt_at,
        last_code=row.last_code,
        last_detail=row.last_detail,
        last_host=row.last_host,
        last_status=row.last_status,
    )
