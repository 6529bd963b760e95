"""Step 5: carry what is queued to the recipient's operator.

The attempt is counted before the network is touched (`claim`), and its outcome is recorded in one
transaction with the notices that it may owe (`mss/pipeline/outcome.py`). A crash between the peer's
250 and our record sends the same octets again; the other side recognises them (at least once, never
lost).

Sources
    RFC 5321, 4.5.4 (retries) and 6.1 (responsibility); RFC 3461, 5.2.1 (asking for reports).
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from directory.address import MailAddress
from mss.clock import Clock
from mss.errors import MSSError
from mss.model.delivery import Deferred, Delivery, Outcome, Parcel, Refused
from mss.model.envelope import Notify
from mss.pipeline.outcome import OutcomeRecorder
from mss.ports import BlobStore, Relay
from mss.settings import QueueSettings
from mss.store import claims, deliveries, destinations
from mss.store.claims import Share
from mss.store.engine import Connection, Database

# A claim is renewed while its worker lives, so that a letter waits little after a crash.
CLAIM = timedelta(minutes=3)
RENEWAL = timedelta(minutes=1)
LATE_CHECK = timedelta(minutes=1)
LATE_BATCH = 200
# What was encrypted a moment ago needs no second look.
RECHECK_AFTER = timedelta(minutes=5)
Obstacle = Callable[[MailAddress, bytes], Awaitable[str | None]]
# A part of the slots that destinations which have not answered lately can never take up.
UNPROVEN_PART = 0.75


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
    recorder: OutcomeRecorder
    worker: str
    obstacle: Obstacle | None = None

    async def next_due_at(self) -> datetime | None:
        """Tell when something becomes due."""
        return await self.database.read(claims.next_due_at)

    async def claim(
        self, *, slots: int, under_way: Mapping[str, int], proven: Collection[str]
    ) -> list[Parcel]:
        """Take parcels that are due, by the shares that `mss/store/claims.py` explains.

        Args:
            slots: How many more may begin.
            under_way: How many parcels of each domain this worker carries.
            proven: Domains that have answered lately.
        """
        now = self.clock.now()
        unproven = sum(count for domain, count in under_way.items() if domain not in proven)
        most = max(1, int(self.settings.concurrency * UNPROVEN_PART))
        share = Share(
            slots=slots,
            per_domain=self.settings.per_destination,
            under_way=under_way,
            proven=proven,
            unproven_slots=max(0, most - unproven),
        )
        return await self.database.write(
            lambda c: claims.claim_due(
                c, now=now, until=now + CLAIM, worker=self.worker, share=share
            )
        )

    async def renew(self) -> None:
        """Keep what is under way for another while."""
        until = self.clock.now() + CLAIM
        await self.database.write(lambda c: claims.renew(c, self.worker, until=until))

    async def release(self) -> None:
        """Let go of what was claimed and not finished."""
        now = self.clock.now()
        await self.database.write(lambda c: claims.release(c, self.worker, now=now))

    async def deliver(self, parcel: Parcel) -> tuple[Outcome, ...]:
        """Make one attempt and record its outcomes, one for each recipient, in order."""
        outcomes = await self._attempt(parcel)
        now = self.clock.now()
        await self.database.write(
            lambda c: self.recorder.record(c, parcel, outcomes, worker=self.worker, at=now)
        )
        return outcomes

    async def look_after_late(self) -> None:
        """Tell senders of delays, and give up what ran out while its destination is closed."""
        now = self.clock.now()
        before = now - timedelta(seconds=self.settings.delayed_after)
        late = await self.database.survey(
            lambda c: deliveries.list_late(c, queued_before=before, limit=LATE_BATCH)
        )
        stranded = await self.database.survey(
            lambda c: deliveries.list_stranded(c, now=now, limit=LATE_BATCH)
        )
        if late or stranded:
            await self.database.write(lambda c: self._settle_late(c, late, stranded, now))

    def _settle_late(
        self,
        connection: Connection,
        late: Sequence[Delivery],
        stranded: Sequence[Delivery],
        now: datetime,
    ) -> None:
        for one in late:
            self.recorder.tell_delay(connection, one, at=now)
        for one in stranded:
            known = destinations.find_destination(connection, one.domain)
            if known is not None:
                cause = Deferred(code=known.code, detail=known.detail, host=known.host)
                self.recorder.expire(connection, one, cause, at=now)

    async def _attempt(self, parcel: Parcel) -> tuple[Outcome, ...]:
        """Hand over what may still be tried; give an outcome to every recipient."""
        going = [one for one in parcel.deliveries if not one.is_exhausted]
        carried = iter(await self._carry(going)) if going else iter(())
        return tuple(
            _exhausted(one) if one.is_exhausted else next(carried) for one in parcel.deliveries
        )

    async def _carry(self, going: Sequence[Delivery]) -> Sequence[Outcome]:
        ref = going[0].blob_ref
        if ref is None:
            missing = Refused(code="body-missing", detail="no body is kept", status="5.3.0")
            return [missing] * len(going)
        try:
            raw = await self.blobs.get(ref)
        except MSSError as error:
            away = Deferred(code=error.code, detail="the body cannot be read now", status="4.3.0")
            return [away] * len(going)
        barred = [await self._objection(one, raw) for one in going]
        free = [tracked(one) for one, objection in zip(going, barred, strict=True) if not objection]
        carried = iter(await self.relay.relay(free, raw) if free else ())
        return [objection or next(carried) for objection in barred]

    async def _objection(self, delivery: Delivery, raw: bytes) -> Refused | None:
        """Object to a letter that has waited, when its recipient's key no longer holds.

        Its octets stay what they are, so trying again would not help: the sender is told at once,
        and writes it again, for the recipient's new key.
        """
        if self.obstacle is None or self.clock.now() - delivery.queued_at < RECHECK_AFTER:
            return None
        code = await self.obstacle(MailAddress.parse(delivery.recipient), raw)
        if code is None:
            return None
        detail = "the recipient's certificate was revoked while the letter waited; send it again"
        return Refused(code=code, detail=detail, status="5.7.5")


def _exhausted(delivery: Delivery) -> Deferred:
    """Stand for an attempt whose outcome a crash has hidden, when no other one may be made."""
    return Deferred(
        code=delivery.last_code or "interrupted",
        detail=delivery.last_detail or "the last attempt was interrupted",
        host=None,
        status=delivery.last_status or "4.4.2",
    )
