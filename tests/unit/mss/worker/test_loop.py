import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy import Connection, select

from mss.errors import StoreUnavailableError
from mss.model.delivery import Deferred, Delivery, DeliveryState, Outcome, Parcel, Relayed
from mss.settings import QueueSettings
from mss.store import claims, deliveries, tables
from mss.store.claims import Share
from mss.worker.schedule import Job, Schedule
from tests.support.clock import FixedClock
from tests.support.factories import GP, InProcessOperator, Pair, a_letter, a_pair
from tests.support.rows import a_delivery

AWAY = Deferred(code="no-host", detail="nobody answers")
LATER = Deferred(code="peer-deferred", detail="RCPT: 451 later", host="mx:25")
PATIENCE = 10  # seconds that nothing here should take


@asynccontextmanager
async def at_work(operator: InProcessOperator) -> AsyncIterator[None]:
    """Let an operator's worker run while the block lasts."""
    worker = operator.running.worker
    task = asyncio.ensure_future(worker.run())
    try:
        yield
    finally:
        worker.stop()
        async with asyncio.timeout(PATIENCE):
            await task


class SlowRelay:
    """A `Relay` whose peers take their time; knows how many attempts run side by side."""

    def __init__(self, outcome: Outcome = AWAY) -> None:
        self.outcome = outcome
        self.running: list[str] = []
        self.most: dict[str, int] = {}
        self.started = asyncio.Event()
        self.may_end = asyncio.Event()

    async def relay(self, deliveries: Sequence[Delivery], raw: bytes) -> list[Outcome]:
        domain = deliveries[0].domain
        self.running.append(domain)
        self.most[domain] = max(self.most.get(domain, 0), self.running.count(domain))
        self.started.set()
        await self.may_end.wait()
        self.running.remove(domain)
        return [self.outcome] * len(deliveries)

    async def aclose(self) -> None:
        """Nothing is held."""


class InThrees(asyncio.Event):
    """Lets the first attempt go on, and then three once three wait."""

    def __init__(self) -> None:
        super().__init__()
        self._barrier = asyncio.Barrier(3)
        self._waits = 0

    async def wait(self) -> Literal[True]:
        self._waits += 1
        if self._waits > 1:
            with suppress(TimeoutError):  # the last ones may be fewer than three
                async with asyncio.timeout(0.5):
                    await self._barrier.wait()
        return True


def with_relay(operator: InProcessOperator, relay: object) -> None:
    """Give a frozen service another relay."""
    object.__setattr__(operator.services.delivering, "relay", relay)


async def states(operator: InProcessOperator) -> dict[str, int]:
    return await operator.database.read(deliveries.count_by_state)


async def test_a_letter_queued_while_the_worker_sleeps_leaves_at_once(pair: Pair) -> None:
    """Nobody waits for the next look at the queue."""
    relayed = asyncio.Event()
    ward = await pair.hospital.log_in("ward")

    class Noticing(SlowRelay):
        async def relay(self, deliveries: Sequence[Delivery], raw: bytes) -> list[Outcome]:
            relayed.set()
            return [AWAY] * len(deliveries)

    with_relay(pair.hospital, Noticing())
    async with at_work(pair.hospital):
        await asyncio.sleep(0)
        await pair.hospital.submit(ward, a_letter())
        async with asyncio.timeout(PATIENCE):
            await relayed.wait()


async def test_a_domain_gets_its_share_of_connections(homes: Path, clock: FixedClock) -> None:
    """Thirteen letters for one operator: one to see whether it answers, then three at a time."""
    queue = QueueSettings(per_destination=3, concurrency=20)
    async with a_pair(homes, clock, queue=queue) as pair:
        slow = SlowRelay(LATER)
        slow.may_end = InThrees()
        with_relay(pair.hospital, slow)
        ward = await pair.hospital.log_in("ward")
        for n in range(13):
            await pair.hospital.submit(ward, a_letter(text=str(n)))

        async with asyncio.timeout(PATIENCE):
            await pair.hospital.work()

        assert slow.most == {"cabinets-demo.mssante.fr": 3}


class BlackHole(SlowRelay):
    """A `Relay` for which every operator but one is silent."""

    def __init__(self, alive: str) -> None:
        super().__init__()
        self.alive = alive
        self.relayed: list[str] = []
        self.reached = asyncio.Event()

    async def relay(self, deliveries: Sequence[Delivery], raw: bytes) -> list[Outcome]:
        if deliveries[0].domain != self.alive:
            return await super().relay(deliveries, raw)
        self.relayed += [one.recipient for one in deliveries]
        if len(self.relayed) == LETTERS:
            self.reached.set()
        return [Relayed(reply="250 ok", host="mx:25", reports=True)] * len(deliveries)


LETTERS = 12


async def test_a_silent_operator_never_slows_the_others(pair: Pair) -> None:
    """It swallows connections; every letter to the others leaves meanwhile."""
    relay = BlackHole("alive.mssante.fr")
    with_relay(pair.hospital, relay)

    def queue_letters(connection: Connection) -> None:
        at = pair.hospital.clock.now()
        for n in range(50):
            domain = f"silent{n}.mssante.fr"
            a_delivery(connection, f"s{n}", message_id=f"s{n}", domain=domain, at=at)
            a_delivery(connection, f"t{n}", message_id=f"t{n}", domain=domain, at=at)
        for n in range(LETTERS):
            a_delivery(connection, f"a{n}", message_id=f"a{n}", domain=relay.alive, at=at)

    await pair.hospital.database.write(queue_letters)
    refs = await pair.hospital.database.read(
        lambda c: list(c.execute(select(tables.delivery.c.blob_ref)).scalars())
    )
    body = await pair.hospital.blobs.put("0" * 32, b"A: b\r\n\r\n")
    pair.hospital.blobs.bodies |= dict.fromkeys(refs, pair.hospital.blobs.bodies[body])

    async with at_work(pair.hospital):
        async with asyncio.timeout(PATIENCE):
            await relay.reached.wait()
        silent = [one for one in relay.running if one != relay.alive]
        assert len(silent) == len(set(silent)) == 15  # three quarters of twenty, one for each
        relay.may_end.set()


async def test_a_destination_that_fails_is_probed_by_one_letter(
    homes: Path, clock: FixedClock
) -> None:
    """Ten letters wait for a peer that is down: one attempt a turn, then all at once."""
    queue = QueueSettings(delays=(60, 300), spread=0)
    down = Deferred(code="host-unreachable", detail="", host="mx:25", is_general=True)
    async with a_pair(homes, clock, queue=queue) as pair:
        ward = await pair.hospital.log_in("ward")
        for n in range(10):
            await pair.hospital.submit(ward, a_letter(text=str(n)))
        pair.hospital.relay.answers += [down] * 3
        tried = []
        for _ in range(8):
            await pair.hospital.work()
            tried.append(len(pair.hospital.relay.carried))
            clock.advance(minutes=1)

    assert tried == [1, 2, 2, 2, 2, 2, 3, 3]


async def test_when_a_destination_answers_everything_leaves(pair: Pair) -> None:
    """Nobody waits for a schedule of their own."""
    ward = await pair.hospital.log_in("ward")
    for n in range(10):
        await pair.hospital.submit(ward, a_letter(text=str(n)))
    pair.hospital.relay.answers.append(
        Deferred(code="host-unreachable", detail="", host="mx:25", is_general=True)
    )
    await pair.hospital.work()
    assert await states(pair.hospital) == {"queued": 10}

    pair.hospital.clock.advance(minutes=2)
    await pair.hospital.work()

    assert await states(pair.hospital) == {"relayed": 10}


async def test_an_idle_worker_writes_nothing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at an empty queue costs a read; a disk may sleep."""
    await pair.hospital.work()  # the jobs of the start
    writes = []
    database = pair.hospital.database

    async def write(change: object) -> None:
        writes.append(change)

    # Only this database is watched, whatever it is made of.
    monkeypatch.setattr(type(database), "write", lambda self, change: write(change))
    await pair.hospital.work()

    assert writes == []


async def test_stopping_finishes_what_is_under_way(pair: Pair) -> None:
    """A transfer that has begun is brought to its end and recorded."""
    slow = SlowRelay()
    with_relay(pair.hospital, slow)
    await pair.hospital.submit(await pair.hospital.log_in("ward"), a_letter())

    async with at_work(pair.hospital):
        async with asyncio.timeout(PATIENCE):
            await slow.started.wait()
        pair.hospital.running.worker.stop()
        slow.may_end.set()

    (delivery,) = await pair.hospital.database.read(
        lambda c: deliveries.list_deliveries(c, states=[DeliveryState.QUEUED], limit=9)
    )
    assert delivery.last_code == "no-host"


async def test_a_worker_that_is_cancelled_lets_go_of_its_claims(pair: Pair) -> None:
    """Another process takes over without waiting for the lease."""
    slow = SlowRelay()
    with_relay(pair.hospital, slow)
    await pair.hospital.submit(await pair.hospital.log_in("ward"), a_letter())
    task = asyncio.ensure_future(pair.hospital.running.worker.run())
    async with asyncio.timeout(PATIENCE):
        await slow.started.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    now = pair.hospital.clock.now()
    (again,) = await pair.hospital.database.write(
        lambda c: claims.claim_due(
            c,
            now=now,
            until=now + timedelta(minutes=1),
            worker="other",
            share=Share(slots=9, unproven_slots=9),
        )
    )
    assert [one.attempts for one in again.deliveries] == [2]


class Broken:
    """A `Relay` with a bug."""

    async def relay(self, deliveries: Sequence[Delivery], raw: bytes) -> list[Outcome]:
        raise ValueError("Mme CANARI")

    async def aclose(self) -> None:
        """Nothing is held."""


async def test_a_bug_in_one_delivery_stops_no_other(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and its claim runs out."""
    with_relay(pair.hospital, Broken())
    await pair.hospital.submit(await pair.hospital.log_in("ward"), a_letter(), GP)

    with caplog.at_level(logging.ERROR, logger="mss.worker"):
        await pair.hospital.work()

    assert await states(pair.hospital) == {"queued": 1}
    assert [one.message for one in caplog.records] == ["delivery failed unexpectedly"]


@pytest.mark.parametrize(
    "error", [StoreUnavailableError(reason="away"), ValueError("a bug")], ids=["away", "bug"]
)
async def test_trouble_with_the_queue_does_not_end_the_worker(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The database is away for a moment: the worker looks again."""
    looks = []
    relayed = asyncio.Event()
    real = type(pair.hospital.services.delivering).claim

    async def claim(self: object, **arguments: object) -> list[Parcel]:
        looks.append(1)
        if len(looks) == 1:
            raise error
        relayed.set()
        return await real(self, **arguments)  # type: ignore[arg-type]

    await pair.hospital.submit(await pair.hospital.log_in("ward"), a_letter())
    # The fault is in the middle of a real service; a fake of all of it would prove less.
    monkeypatch.setattr(type(pair.hospital.services.delivering), "claim", claim)
    async with at_work(pair.hospital):
        async with asyncio.timeout(PATIENCE):
            while not relayed.is_set():
                pair.hospital.running.worker.awake.set()
                await asyncio.sleep(0)


# The clock


def a_job(name: str, minutes: float) -> Job:
    async def run() -> None:
        """Do nothing."""

    return Job(name=name, every=timedelta(minutes=minutes), run=run)


def test_a_job_is_due_at_the_start_and_then_every_so_often() -> None:
    """A restart does what may have been missed."""
    clock = FixedClock()
    schedule = Schedule(clock=clock, jobs=(a_job("often", 1), a_job("rarely", 60)))

    def due() -> list[str]:
        return [one.name for one in schedule.take_due()]

    assert due() == ["often", "rarely"]
    assert due() == []
    clock.advance(minutes=1)
    assert due() == ["often"]
    clock.advance(minutes=59)
    assert due() == ["often", "rarely"]


def test_a_job_that_was_missed_for_long_runs_once() -> None:
    """A machine that slept does not make up for every turn."""
    clock = FixedClock()
    schedule = Schedule(clock=clock, jobs=(a_job("often", 1),))
    schedule.take_due()
    clock.advance(hours=5)

    assert len(schedule.take_due()) == 1
    assert schedule.take_due() == []
