"""Turn the queue's values into wire models."""

from dataclasses import asdict
from datetime import datetime

from api.schemas import queue, sending
from mss.mailboxes.queue import QueuedDelivery
from mss.model.delivery import Delivery
from mss.store.destinations import Destination

_SAME = (
    "id",
    "message_id",
    "recipient",
    "domain",
    "state",
    "attempts",
    "queued_at",
    "next_attempt_at",
    "expires_at",
    "last_code",
    "last_status",
    "last_host",
    "last_detail",
)


def queued_out(one: Delivery, *, now: datetime) -> queue.QueuedOut:
    """Show a delivery."""
    return queue.QueuedOut(**_fields(one, now=now))


def details_out(found: QueuedDelivery, *, now: datetime) -> queue.QueuedDetailsOut:
    """Show a delivery with what happened to it."""
    return queue.QueuedDetailsOut(
        **_fields(found.delivery, now=now),
        events=[sending.TrackingEventOut(**asdict(one)) for one in found.events],
        destination=found.destination and destination_out(found.destination),
    )


def destination_out(one: Destination) -> queue.DestinationOut:
    """Show a destination that fails."""
    return queue.DestinationOut(**asdict(one))


def _fields(one: Delivery, *, now: datetime) -> dict[str, object]:
    fields: dict[str, object] = {name: getattr(one, name) for name in _SAME}
    return fields | {"is_under_way": one.is_under_way(now)}
