"""What an administrator does with the queue: look, hold, retry, drop.

Every change is one transaction with its line in the journal, which names who made it, and with the
report that the sender is owed. What a worker is busy with cannot be dropped: its letter may be on
the other side already. It can be held, which takes effect when the attempt is over.

Errors
    `NotFoundError` for a delivery that does not exist; `ConflictError` when its state does not
    allow the change.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from mss.clock import Clock
from mss.errors import ConflictError, NotFoundError
from mss.model.audit import AuditEvent, AuditName
from mss.model.delivery import Delivery, DeliveryState, Station, TrackingEvent
from mss.pipeline.outcome import OutcomeRecorder
from mss.store import audit, deliveries, destinations
from mss.store.deliveries import Cause
from mss.store.destinations import Destination
from mss.store.engine import Connection, Database

_Change = Callable[[Connection, Delivery, datetime], bool]
DROPPED = Cause(code="dropped", detail="an administrator gave it up", status="5.7.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedDelivery:
    """One delivery, as an administrator looks at it.

    Attributes:
        destination: What is wrong with its destination, if that fails.
    """

    delivery: Delivery
    events: tuple[TrackingEvent, ...]
    destination: Destination | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDesk:
    """The administrator's view of the queue."""

    database: Database
    clock: Clock
    recorder: OutcomeRecorder

    async def list_deliveries(
        self, states: Collection[DeliveryState], *, limit: int
    ) -> list[Delivery]:
        """List deliveries in the given states, oldest first."""
        return await self.database.survey(
            lambda c: deliveries.list_deliveries(c, states=states, limit=limit)
        )

    async def list_destinations(self, *, limit: int) -> list[Destination]:
        """List the destinations that cannot be reached, the longest failing first."""
        return await self.database.survey(lambda c: destinations.list_destinations(c, limit=limit))

    async def get_delivery(self, delivery_id: str) -> QueuedDelivery:
        """Show one delivery with its timeline."""

        def ask(connection: Connection) -> QueuedDelivery:
            found = _require(connection, delivery_id)
            return QueuedDelivery(
                delivery=found,
                events=tuple(deliveries.events_of(connection, delivery_id)),
                destination=destinations.find_destination(connection, found.domain),
            )

        return await self.database.read(ask)

    async def retry(self, delivery_id: str, *, actor: str) -> Delivery:
        """Let a delivery be tried now; a held one is released, and its destination is asked."""

        def change(connection: Connection, found: Delivery, now: datetime) -> bool:
            destinations.retry_now(connection, found.domain, now=now)
            return deliveries.advance(
                connection,
                found.id,
                to=DeliveryState.QUEUED,
                station=Station.RELEASED,
                at=now,
            ) or deliveries.retry_now(connection, found.id, now=now)

        return await self._apply(delivery_id, AuditName.DELIVERY_RETRIED, actor, change)

    async def hold(self, delivery_id: str, *, actor: str) -> Delivery:
        """Keep a delivery until it is released with `retry`."""

        def change(connection: Connection, found: Delivery, now: datetime) -> bool:
            return deliveries.advance(
                connection, found.id, to=DeliveryState.HELD, station=Station.HELD, at=now
            )

        return await self._apply(delivery_id, AuditName.DELIVERY_HELD, actor, change)

    async def drop(self, delivery_id: str, *, actor: str) -> Delivery:
        """Never deliver it, and tell its sender."""

        def change(connection: Connection, found: Delivery, now: datetime) -> bool:
            has_moved = deliveries.advance(
                connection,
                found.id,
                to=DeliveryState.DROPPED,
                station=Station.DROPPED,
                at=now,
                cause=DROPPED,
            )
            if has_moved:
                self.recorder.owe_failure(connection, found, at=now)
            return has_moved

        return await self._apply(
            delivery_id, AuditName.DELIVERY_DROPPED, actor, change, needs_rest=True
        )

    async def _apply(
        self,
        delivery_id: str,
        name: AuditName,
        actor: str,
        change: _Change,
        *,
        needs_rest: bool = False,
    ) -> Delivery:
        """Make a change that must concern a delivery in a state that allows it."""
        now = self.clock.now()

        def attempt(connection: Connection) -> Delivery:
            found = _require(connection, delivery_id)
            if needs_rest and found.is_under_way(now):
                raise ConflictError(what="an attempt is under way: hold it, then drop it")
            if not change(connection, found, now):
                raise ConflictError(what="its state does not allow this")
            facts = (
                ("delivery", found.id),
                ("message", found.message_id),
                ("domain", found.domain),
            )
            event = AuditEvent(name=name, actor=actor, facts=facts)
            audit.append(connection, event, chain=self.recorder.chain, at=now)
            return _require(connection, delivery_id)

        return await self.database.write(attempt)


def _require(connection: Connection, delivery_id: str) -> Delivery:
    found = deliveries.find_delivery(connection, delivery_id)
    if found is None:
        raise NotFoundError(what="delivery")
    return found
