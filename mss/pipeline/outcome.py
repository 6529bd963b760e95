"""What came of an attempt, and what follows from it: states, timeline, journal, notices.

Everything that one attempt leads to is recorded in the caller's one transaction, recipient by
recipient. That a destination cannot be reached is recorded once for all that waits for it.

Sources
    RFC 5321, 4.5.4 (retries); RFC 3461, 5.2.2 and 5.2.3 (reports of a relay).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from mss.clock import Clock
from mss.model.audit import AuditEvent, AuditName
from mss.model.delivery import (
    Deferred,
    Delivery,
    DeliveryState,
    Outcome,
    Parcel,
    Refused,
    Relayed,
    Station,
)
from mss.model.envelope import Notify
from mss.policy.retry import GiveUp, RetryPlan, TryAgain, next_step
from mss.settings import QueueSettings
from mss.store import audit, deliveries, destinations, notices
from mss.store.deliveries import Cause
from mss.store.engine import Connection
from mss.store.notices import NoticeKind

# Letters to several operators fail one after the other: their sender gets one report, not many.
GATHERING = timedelta(seconds=5)
TIME_OVER = "5.4.7"  # delivery time expired, RFC 3463


def is_reached(outcomes: Sequence[Outcome]) -> bool:
    """Tell whether a peer said something about the letter: the destination answers."""
    return any(
        one.host is not None and not (isinstance(one, Deferred) and one.is_general)
        for one in outcomes
    )


def is_closed(outcomes: Sequence[Outcome]) -> bool:
    """Tell whether no letter would have got through."""
    return any(isinstance(one, Deferred) and one.is_general for one in outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRecorder:
    """Writes outcomes down; one value per process.

    Attributes:
        chain: Name of this process's chain in the journal.
    """

    clock: Clock
    settings: QueueSettings
    chain: str

    @property
    def plan(self) -> RetryPlan:
        """The schedule of the settings."""
        return RetryPlan(delays=self.settings.delays, spread=self.settings.spread)

    def record(
        self,
        connection: Connection,
        parcel: Parcel,
        outcomes: Sequence[Outcome],
        *,
        worker: str,
        at: datetime,
    ) -> None:
        """Record what came of an attempt for each recipient of a parcel, in order."""
        reopens_at = self._judge_destination(connection, parcel.domain, outcomes, at=at)
        for delivery, outcome in zip(parcel.deliveries, outcomes, strict=True):
            match outcome:
                case Relayed():
                    self._relayed(connection, delivery, outcome, at)
                case Deferred():
                    pause = (
                        reopens_at - at
                        if outcome.is_general and reopens_at is not None
                        else self.plan.after(delivery.attempts, name=delivery.id)
                    )
                    self._deferred(connection, delivery, outcome, at, pause=pause, worker=worker)
                case Refused():
                    cause = _cause(outcome)
                    self.fail(connection, delivery, cause, at=at)
                case _:
                    assert_never(outcome)

    def fail(
        self, connection: Connection, delivery: Delivery, cause: Cause, *, at: datetime
    ) -> bool:
        """Give a delivery up for good, and owe its sender a report; tell whether it moved."""
        has_moved = deliveries.advance(
            connection,
            delivery.id,
            to=DeliveryState.FAILED,
            station=Station.FAILED,
            at=at,
            cause=cause,
        )
        if has_moved:
            self._note(
                connection, AuditName.DELIVERY_FAILED, delivery, at, code=cause.code or "failed"
            )
            self.owe_failure(connection, delivery, at=at)
        return has_moved

    def expire(
        self, connection: Connection, delivery: Delivery, last: Deferred, *, at: datetime
    ) -> None:
        """Give up a delivery whose time is over; the report names what kept it."""
        cause = Cause(
            code="expired", because=last.code, detail=last.detail, host=last.host, status=TIME_OVER
        )
        self.fail(connection, delivery, cause, at=at)

    def tell_delay(self, connection: Connection, delivery: Delivery, *, at: datetime) -> None:
        """Tell the sender once that a letter is late."""
        if deliveries.tell_delay(connection, delivery.id):
            self._owe(connection, NoticeKind.DELAYED, delivery, at)

    def owe_failure(self, connection: Connection, delivery: Delivery, *, at: datetime) -> None:
        """Owe the sender the report that a recipient will not get the letter, if it is wanted."""
        if Notify.NEVER in delivery.notify or Notify.FAILURE not in delivery.notify:
            return
        waits = deliveries.count_waiting(connection, delivery.message_id) > 0
        due_at = at + GATHERING if waits else at
        self._owe(connection, NoticeKind.FAILED, delivery, at, due_at=due_at)

    def _judge_destination(
        self, connection: Connection, domain: str, outcomes: Sequence[Outcome], *, at: datetime
    ) -> datetime | None:
        """Open or close a destination; tell when it may be tried again, if it is closed."""
        if is_reached(outcomes):
            destinations.recover(connection, domain)
            return None
        general = [one for one in outcomes if isinstance(one, Deferred) and one.is_general]
        if not general:
            return None
        known = destinations.find_destination(connection, domain)
        if known is not None and known.retry_at > at:
            return known.retry_at  # another letter that was under way has said so already
        failures = known.failures + 1 if known else 1
        reopens_at = at + self.plan.after(failures, name=domain)
        destinations.fail(
            connection,
            domain,
            now=at,
            retry_at=reopens_at,
            code=general[0].code,
            detail=general[0].detail,
            host=general[0].host,
        )
        return reopens_at

    def _relayed(
        self, connection: Connection, delivery: Delivery, outcome: Relayed, at: datetime
    ) -> None:
        has_moved = deliveries.advance(
            connection,
            delivery.id,
            to=DeliveryState.RELAYED,
            station=Station.RELAYED,
            at=at,
            cause=Cause(detail=outcome.reply, host=outcome.host),
        )
        if not has_moved:
            return
        self._note(connection, AuditName.DELIVERY_RELAYED, delivery, at, host=outcome.host)
        if Notify.SUCCESS in delivery.notify and not outcome.reports:
            self._owe(connection, NoticeKind.RELAYED, delivery, at)

    def _deferred(
        self,
        connection: Connection,
        delivery: Delivery,
        outcome: Deferred,
        at: datetime,
        *,
        pause: timedelta,
        worker: str,
    ) -> None:
        step = next_step(pause=pause, now=at, expires_at=delivery.expires_at)
        match step:
            case GiveUp():
                self.expire(connection, delivery, outcome, at=at)
            case TryAgain():
                deliveries.postpone(
                    connection,
                    delivery.id,
                    worker=worker,
                    at=at,
                    next_attempt_at=step.at,
                    cause=_cause(outcome),
                )
            case _:
                assert_never(step)

    def _owe(
        self,
        connection: Connection,
        kind: NoticeKind,
        delivery: Delivery,
        at: datetime,
        *,
        due_at: datetime | None = None,
    ) -> None:
        """Owe the sender a notice; a message with the null sender never causes one."""
        if delivery.sender is not None:
            notices.owe(
                connection,
                notice_id=self.clock.new_id(),
                kind=kind,
                message_id=delivery.message_id,
                delivery_id=delivery.id,
                at=at,
                due_at=due_at,
            )

    def _note(
        self,
        connection: Connection,
        name: AuditName,
        delivery: Delivery,
        at: datetime,
        **facts: str,
    ) -> None:
        event = AuditEvent(
            name=name,
            actor="system",
            facts=(
                ("delivery", delivery.id),
                ("message", delivery.message_id),
                ("domain", delivery.domain),
                ("attempts", str(delivery.attempts)),
                *facts.items(),
            ),
        )
        audit.append(connection, event, chain=self.chain, at=at)


def _cause(outcome: Deferred | Refused) -> Cause:
    return Cause(code=outcome.code, detail=outcome.detail, host=outcome.host, status=outcome.status)
