"""What becomes of one message for one recipient: states, transitions, outcomes of an attempt.

A delivery begins `queued` (another operator's recipient) or `delivered` (one of our mailboxes,
deposited in the very transaction that accepted the message). It never leaves a final state, except
that a report may raise it further along `relayed → delivered → integrated → read`.

What a peer did is a fact, whatever we had decided meanwhile: a delivery that was held while an
attempt was under way becomes `relayed` all the same when the peer has taken the letter.

Sources
    RFC 5321, 4.5.4.1 (queueing); RFC 3464, 2.3.3 (actions); RFC 8098, 3.2.6 (dispositions); ANS,
    Transmission au LPS d'un document CDA (integration results).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DeliveryState(StrEnum):
    """Where one delivery stands."""

    QUEUED = "queued"
    HELD = "held"
    RELAYED = "relayed"
    DELIVERED = "delivered"
    NOT_INTEGRATED = "not-integrated"
    INTEGRATED = "integrated"
    READ = "read"
    FAILED = "failed"
    DROPPED = "dropped"


_AT_THE_READER = frozenset(
    {DeliveryState.NOT_INTEGRATED, DeliveryState.INTEGRATED, DeliveryState.READ}
)
_WITH_THE_PEER = _AT_THE_READER | {DeliveryState.DELIVERED}
_BY_THE_PEER = _WITH_THE_PEER | {DeliveryState.RELAYED, DeliveryState.FAILED}

TRANSITIONS: dict[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.QUEUED: _BY_THE_PEER | {DeliveryState.HELD, DeliveryState.DROPPED},
    DeliveryState.HELD: _BY_THE_PEER | {DeliveryState.QUEUED, DeliveryState.DROPPED},
    DeliveryState.RELAYED: _WITH_THE_PEER | {DeliveryState.FAILED},
    DeliveryState.DELIVERED: _AT_THE_READER,
    DeliveryState.NOT_INTEGRATED: frozenset({DeliveryState.INTEGRATED, DeliveryState.READ}),
    DeliveryState.INTEGRATED: frozenset({DeliveryState.READ}),
    DeliveryState.READ: frozenset(),
    DeliveryState.FAILED: frozenset(),
    DeliveryState.DROPPED: frozenset(),
}
WAITING = frozenset({DeliveryState.QUEUED, DeliveryState.HELD})


def may_become(old: DeliveryState, new: DeliveryState) -> bool:
    """Tell whether a delivery may go from *old* to *new*."""
    return new in TRANSITIONS[old]


class Station(StrEnum):
    """A line of the timeline that a sender sees."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    RELAYED = "relayed"
    DELIVERED = "delivered"
    INTEGRATED = "integrated"
    NOT_INTEGRATED = "not-integrated"
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
    """Nobody took responsibility, and a later attempt may succeed.

    Attributes:
        status: Enhanced status code, the peer's own or the one that fits.
        is_general: True if the destination cannot be reached by any letter now; False if it was
            this letter or this recipient that had to wait.
    """

    code: str
    detail: str
    host: str | None = None
    status: str = "4.0.0"
    is_general: bool = False


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
    """One message for one recipient, as the queue knows it.

    Attributes:
        attempts: Begun so far, the one under way included.
        next_attempt_at: When it is due; while an attempt is under way, when its claim runs out.
        returns: RET, what the sender wants back with a report of failure: `FULL` or `HDRS`.
        claimed_by: The worker that holds it; `None` when nobody does.
        last_attempt_at: When the attempt before the one under way began.
        last_code: What came of the last attempt; so are the other *last* ones.
    """

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
    returns: str | None = None
    claimed_by: str | None = None
    claimed_until: datetime | None = None
    last_attempt_at: datetime | None = None
    last_code: str | None = None
    last_detail: str | None = None
    last_host: str | None = None
    last_status: str | None = None

    def is_under_way(self, now: datetime) -> bool:
        """Tell whether a worker is busy with it."""
        return self.claimed_until is not None and self.claimed_until > now

    @property
    def is_exhausted(self) -> bool:
        """Tell whether its last attempt was made already: at its time limit, or after it."""
        return (
            self.last_attempt_at is not None
            and self.expires_at is not None
            and self.last_attempt_at >= self.expires_at
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What travels in one transaction: the same octets for recipients of the same domain."""

    deliveries: tuple[Delivery, ...]

    @property
    def domain(self) -> str:
        """Where it goes."""
        return self.deliveries[0].domain

    @property
    def blob_ref(self) -> str | None:
        """The octets that it carries."""
        return self.deliveries[0].blob_ref


def parcels_of(deliveries: Iterable[Delivery], *, recipients: int) -> list[Parcel]:
    """Put together what may travel together, at most so many *recipients* in each parcel."""
    groups: dict[tuple[str, str, str | None], list[Delivery]] = {}
    for one in deliveries:
        groups.setdefault((one.message_id, one.domain, one.blob_ref), []).append(one)
    return [
        Parcel(deliveries=tuple(group[start : start + recipients]))
        for group in groups.values()
        for start in range(0, len(group), recipients)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingEvent:
    """One line of a delivery's timeline."""

    at: datetime
    station: Station
    code: str | None
    detail: str | None
    host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """What became of one message for one recipient, for its sender."""

    recipient: str
    state: DeliveryState
    events: tuple[TrackingEvent, ...]
