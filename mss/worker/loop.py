"""Claim what is due, deliver it, record it; stop gracefully.

Deliveries run side by side, at most so many at once and shared out so that a dead peer never holds
up the others (`mss/store/claims.py`). The loop sleeps until something is due, somebody wakes it (a
message was accepted in this process), or a short pause is over (another process may have queued
something). Looking costs a read; only when something is due does it write.
The worker may be killed at any line: what it claimed runs out and is claimed again.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mss.clock import Clock
from mss.errors import MSSError
from mss.model.delivery import Parcel
from mss.pipeline.deliver import Delivering
from mss.pipeline.notify import Notifier
from mss.pipeline.outcome import is_closed, is_reached
from mss.settings import QueueSettings
from mss.worker.schedule import Schedule

DRAIN = timedelta(seconds=20)  # how long deliveries under way may finish when the worker stops
PROVEN_FOR = timedelta(minutes=10)  # how long an answer says that a destination is alive
_log = logging.getLogger("mss.worker")


@dataclass(slots=True)
class Proofs:
    """Remembers which destinations have answered lately."""

    _seen_at: dict[str, datetime] = field(default_factory=dict)

    def add(self, domain: str, *, at: datetime) -> None:
        """Remember that a destination answered."""
        self._seen_at[domain] = at

    def drop(self, domain: str) -> None:
        """Forget a destination that could not be reached."""
        self._seen_at.pop(domain, None)

    def fresh(self, now: datetime) -> frozenset[str]:
        """List those that answered lately."""
        oldest = now - PROVEN_FOR
        self._seen_at = {one: at for one, at in self._seen_at.items() if at >= oldest}
        return frozenset(self._seen_at)


@dataclass(slots=True, kw_only=True)
class Worker:
    """Runs until cancelled or told to stop.

    Attributes:
        awake: Set by whoever queues something in this process.
    """

    delivering: Delivering
    notifier: Notifier
    schedule: Schedule
    settings: QueueSettings
    clock: Clock
    awake: asyncio.Event
    _under_way: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _domains: Counter[str] = field(default_factory=Counter, init=False)
    _proofs: Proofs = field(default_factory=Proofs, init=False)
    _next_at: datetime | None = field(default=None, init=False)
    _stopping: bool = field(default=False, init=False)

    def stop(self) -> None:
        """Finish what is under way and return from `run`."""
        self._stopping = True
        self.awake.set()

    async def run(self) -> None:
        """Work until stopped."""
        try:
            async with asyncio.TaskGroup() as group:
                while not self._stopping:
                    self.awake.clear()
                    busy = await self._turn(group)
                    if not busy and not self._stopping:
                        await self._rest()
                await self._drain()
        finally:
            await self._let_go()

    async def run_until_idle(self) -> None:
        """Work until nothing is due now; for commands and tests that wait for an outcome."""
        async with asyncio.TaskGroup() as group:
            while await self._turn(group) or self._under_way:
                if self._under_way:
                    await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)

    async def _turn(self, group: asyncio.TaskGroup) -> bool:
        """Start everything that is due; tell whether anything was."""
        self._next_at = None
        try:
            for job in self.schedule.take_due():
                self._start(group, job.run(), f"job {job.name}")
            started = await self._start_notices(group)
            return await self._start_deliveries(group) or started
        except MSSError as error:
            _log.warning("the store does not answer: %s", error.code)
        except Exception:  # noqa: BLE001 -- a server without a worker would take mail and keep it
            _log.exception("a look at the queue failed unexpectedly")
        return False

    async def _start_deliveries(self, group: asyncio.TaskGroup) -> bool:
        room = self.settings.concurrency - len(self._under_way)
        if room <= 0 or not self._is_due(await self.delivering.next_due_at()):
            return False
        claimed = await self.delivering.claim(
            slots=room,
            under_way=self._domains,
            proven=self._proofs.fresh(self.clock.now()),
        )
        for parcel in claimed:
            self._domains[parcel.domain] += 1
            self._start(group, self._deliver(parcel), "delivery")
        return bool(claimed)

    async def _start_notices(self, group: asyncio.TaskGroup) -> bool:
        room = self.settings.concurrency - len(self._under_way)
        if room <= 0 or not self._is_due(await self.notifier.next_due_at()):
            return False
        owed = await self.notifier.claim(limit=room)
        for bundle in owed:
            self._start(group, self.notifier.send(bundle), "notice")
        return bool(owed)

    def _is_due(self, due_at: datetime | None) -> bool:
        """Tell whether there is something to claim, and remember when there will be."""
        if due_at is None:
            return False
        if due_at <= self.clock.now():
            return True
        self._next_at = due_at if self._next_at is None else min(due_at, self._next_at)
        return False

    def _start(self, group: asyncio.TaskGroup, work: Awaitable[None], what: str) -> None:
        task = group.create_task(_guarded(work, what))
        self._under_way.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self.awake.set()

    async def _deliver(self, parcel: Parcel) -> None:
        domain = parcel.domain
        try:
            outcomes = await self.delivering.deliver(parcel)
            if is_reached(outcomes):
                self._proofs.add(domain, at=self.clock.now())
            elif is_closed(outcomes):
                self._proofs.drop(domain)
        finally:
            self._domains[domain] -= 1
            if not self._domains[domain]:
                del self._domains[domain]

    async def _rest(self) -> None:
        """Sleep until woken or something is due, at most for the pause of the settings."""
        seconds = self.settings.poll_seconds
        if self._next_at is not None:
            ahead = (self._next_at - self.clock.now()).total_seconds()
            seconds = min(seconds, max(ahead, 0.0))
        try:
            async with asyncio.timeout(seconds):
                await self.awake.wait()
        except TimeoutError:
            return

    async def _drain(self) -> None:
        """Let deliveries under way finish, for a bounded time."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=DRAIN.total_seconds())
            for task in late:
                task.cancel()

    async def _let_go(self) -> None:
        try:
            await self.delivering.release()
        except MSSError as error:
            _log.warning("claims not released, they will run out: %s", error.code)


async def _guarded(work: Awaitable[None], what: str) -> None:
    """Keep one failure from stopping the worker: the claim runs out and it is tried again."""
    try:
        await work
    except MSSError as error:
        _log.warning("%s failed: %s", what, error.code)
    except Exception:  # noqa: BLE001 -- whatever it is, other deliveries must go on
        _log.exception("%s failed unexpectedly", what)
