"""Step 5: carry a queued delivery to the recipient's operator, and record what came of it.

The attempt is counted before the network is touched (`claim`), and the outcome is recorded in one
transaction with the notice that it may owe. A crash between the peer's 250 and our record sends the
same octets again; the other side recognises them (at least once, never lost).

Sources
    RFC 5321, 4.5.4 (retries) and 6.1 (responsibility); RFC 3461, 6.2 (reports by a relay).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from mss.clock import Clock
from mss.errors import MSSError
from mss.model.audit import AuditEvent, AuditName
from mss.model.delivery import (
    Deferred,
    Delivery,
    DeliveryState,
    Outcome,
    Refused,
    Relayed,
    Station,
)
from mss.model.envelope import Notify
from mss.policy.retry import GiveUp, TryAgain, next_step
from mss.ports import BlobStore, Relay
from mss.settings import QueueSettings
from mss.store import audit, deliveries, notices
from mss.store.engine import Connection, Database
from mss.store.notices import NoticeKind

# A claim is renewed while its worker lives, so that a letter waits little after a crash.
CLAIM = timedelta(minutes=3)
RENEWAL = timedelta(minutes=1)


def tracked(delivery: Delivery) -> Delivery:
    """Ask the peer for a report of success too, so that the sender's timeline is complete.

    The report comes back to the sender's mailbox and is filed with the receipts. Reports themselves
    and letters that ask for no notification are never reported on.
    """
    if delivery.sender is None or Notify.NEVER in delivery.notify:
        return replace(delivery, notify=frozenset({Notify.NEVER.value}))
    return replace(
        delivery,
        notify=delivery.notify | {Notify.SUCCESS.value},
        original_recipient=delivery.original_recipient or f"rfc822;{delivery.recipient}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivering:
    """Carries what is queued; one value per worker process."""

    database: Database
    blobs: BlobStore
    relay: Relay
    clock: Clock
    settings: QueueSettings
    chain: str
    worker: str

    async def claim(self, *, limit: int, under_way: Mapping[str, int]) -> list[Delivery]:
        """Take deliveries that are due, never more of one domain than the settings allow."""
        now = self.clock.now()
        return await self.database.write(
            lambda c: deliveries.claim_due(
                c,
                now=now,
                until=now + CLAIM,
                worker=self.worker,
                limit=limit,
                per_domain=self.settings.per_destination,
                under_way=under_way,
            )
        )

    async def next_due_at(self) -> datetime | None:
        """Tell when something becomes due."""
        return await self.database.read(deliveries.next_due_at)

    async def renew(self) -> None:
        """Keep what is under way for another while."""
        until = self.clock.now() + CLAIM
        await self.database.write(lambda c: deliveries.renew_claims(c, self.worker, until=until))

    async def release(self) -> None:
        """Let go of what was claimed and not finished."""
        await self.database.write(lambda c: deliveries.release_claims(c, self.worker))

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Make one attempt and record its outcome."""
        outcome = await self._attempt(delivery)
        now = self.clock.now()
        await self.database.write(lambda c: self._record(c, delivery, outcome, now))
        return outcome

    async def _attempt(self, delivery: Delivery) -> Outcome:
        if delivery.blob_ref is None:
            return Refused(code="body-missing", detail="no body is kept", status="5.3.0")
        try:
            raw = await self.blobs.get(delivery.blob_ref)
        except MSSError as error:
            return Deferred(code=error.code, detail="the body cannot be read now")
        return await self.relay.relay(tracked(delivery), raw)

    def _record(
        self, connection: Connection, delivery: Delivery, outcome: Outcome, now: datetime
    ) -> None:
        match outcome:
            case Relayed():
                self._relayed(connection, delivery, outcome, now)
            case Deferred():
                self._deferred(connection, delivery, outcome, now)
            case Refused():
                self._failed(
                    connection, delivery, code=outcome.code, detail=outcome.detail, now=now
                )
            case _:
                assert_never(outcome)

    def _relayed(
        self, connection: Connection, delivery: Delivery, outcome: Relayed, now: datetime
    ) -> None:
        has_moved = deliveries.advance(
            connection,
            delivery.id,
            to=DeliveryState.RELAYED,
            station=Station.RELAYED,
            at=now,
            detail=outcome.reply,
        )
        if not has_moved:
            return
        self._note(connection, AuditName.DELIVERY_RELAYED, delivery, now, host=outcome.host)
        if Notify.SUCCESS in delivery.notify and not outcome.reports:
            self._owe(connection, NoticeKind.RELAYED, delivery, now)

    def _deferred(
        self, connection: Connection, delivery: Delivery, outcome: Deferred, now: datetime
    ) -> None:
        step = next_step(
            attempts=delivery.attempts,
            now=now,
            expires_at=delivery.expires_at,
            delays=self.settings.delays,
        )
        match step:
            case GiveUp():
                self._failed(connection, delivery, code="expired", detail=outcome.detail, now=now)
            case TryAgain():
                is_waiting = deliveries.postpone(
                    connection,
                    delivery.id,
                    at=now,
                    next_attempt_at=step.at,
                    code=outcome.code,
                    detail=outcome.detail,
                )
                if is_waiting:
                    self._tell_delay(connection, delivery, now)
            case _:
                assert_never(step)

    def _tell_delay(self, connection: Connection, delivery: Delivery, now: datetime) -> None:
        """Tell the sender once that a letter is late, if they want to know."""
        age = now - delivery.queued_at
        is_late = age >= timedelta(seconds=self.settings.delayed_after)
        is_wanted = is_late and Notify.DELAY in delivery.notify
        if is_wanted and deliveries.tell_delay(connection, delivery.id):
            self._owe(connection, NoticeKind.DELAYED, delivery, now)

    def _failed(
        self, connection: Connection, delivery: Delivery, *, code: str, detail: str, now: datetime
    ) -> None:
        has_moved = deliveries.advance(
            connection,
            delivery.id,
            to=DeliveryState.FAILED,
            station=Station.FAILED,
            at=now,
            code=code,
            detail=detail,
        )
        if not has_moved:
            return
        self._note(connection, AuditName.DELIVERY_FAILED, delivery, now, code=code)
        if Notify.NEVER not in delivery.notify and Notify.FAILURE in delivery.notify:
            self._owe(connection, NoticeKind.FAILED, delivery, now)

    def _owe(
        self, connection: Connection, kind: NoticeKind, delivery: Delivery, now: datetime
    ) -> None:
        """Owe the sender a notice; a message with the null sender never causes one."""
        if delivery.sender is not None:
            notices.owe(
                connection,
                notice_id=self.clock.new_id(),
                kind=kind,
                message_id=delivery.message_id,
                delivery_id=delivery.id,
                at=now,
            )

    def _note(
        self,
        connection: Connection,
        name: AuditName,
        delivery: Delivery,
        now: datetime,
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
        audit.append(connection, event, chain=self.chain, at=now)
