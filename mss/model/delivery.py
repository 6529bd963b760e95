"""What becomes of one message for one recipient: states, transitions, outcomes of an attempt.

A delivery begins `queued` (another operator's recipient) or `delivered` (one of our mailboxes,
deposited in the very transaction that accepted the message). It never leaves a final state, except
that a report may raise it further along `relayed → delivered → read`.

Sources
    RFC 5321, 4.5.4.1 (queueing); RFC 3464, 2.3.3 (actions); RFC 8098, 3.2.6 (dispositions).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DeliveryState(StrEnum):
    """Where one delivery stands."""

    QUEUED = "queued"
    HELD = "held"
    RELAYED = "relayed"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    DROPPED = "dropped"


TRANSITIONS: dict[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.QUEUED: frozenset(
        {
            DeliveryState.HELD,
            DeliveryState.RELAYED,
            DeliveryState.DELIVERED,
            DeliveryState.READ,
            DeliveryState.FAILED,
            DeliveryState.DROPPED,
        }
    ),
    DeliveryState.HELD: frozenset({DeliveryState.QUEUED, DeliveryState.DROPPED}),
    DeliveryState.RELAYED: frozenset(
        {DeliveryState.DELIVERED, DeliveryState.READ, DeliveryState.FAILED}
    ),
    DeliveryState.DELIVERED: frozenset({DeliveryState.READ}),
    DeliveryState.READ: frozenset(),
    DeliveryState.FAILED: frozenset(),
    DeliveryState.DROPPED: frozenset(),
}


def may_become(old: DeliveryState, new: DeliveryState) -> bool:
    """Tell whether a delivery may go from *old* to *new*."""
    return new in TRANSITIONS[old]


class Station(StrEnum):
    """A line of the timeline that a sender sees."""

    ACCEPTED = "accepted"
    RELAYED = "relayed"
    DELIVERED = "delivered"
    READ = "read"
    DEFERRED = "deferred"
    FAILED = "failed"
    DROPPED = "dropped"
    HELD = "held"
    RELEASED = "released"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """The peer took responsibility for the recipient: it answered 250 after the data.

    Attributes:
        reply: The peer's final reply, shortened, without content.
        host: The host that answered.
        reports: True if the peer announced DSN, so that it will report further itself.
    """

    reply: str
    host: str
    reports: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """Nobody took responsibility, and a later attempt may succeed."""

    code: str
    detail: str
    host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The peer will never take it: a permanent reply, or a rule of ours."""

    code: str
    detail: str
    host: str | None = None
    status: str = "5.0.0"


Outcome = Relayed | Deferred | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message for one recipient, as the queue knows it."""

    id: str
    message_id: str
    recipient: str
    domain: str
    state: DeliveryState
    attempts: int
    queued_at: datetime
    next_attempt_at: datetime | None
    expires_at: datetime | None
    blob_ref: str | None
    sender: str | None
    envelope_id: str
    notify: frozenset[str]
    original_recipient: str | None
    last_code: str | None
    last_detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingEvent:
    """One line of a delivery's timeline."""

    at: datetime
    station: Station
    code: str | None
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """What became of one message for one recipient, for its sender."""

    recipient: str
    state: DeliveryState
    events: tuple[TrackingEvent, ...]
