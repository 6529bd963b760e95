"""An operator in a process of its own, which kills itself at a step of our choice.

What the operator writes to and sends by is wrapped and handed in from outside; the server itself
knows nothing of it. Each step is written down before it is passed, so that a test can show that it
has killed at every one. Death is SIGKILL: nothing is flushed, nothing is answered.

Shapes
    A step is `<name> <number> <when>`: `commit 1 inside` is the first acceptance of a message,
    its rows written and not committed; `relay 2 after` is the second hand-over, answered by the
    peer and not recorded. Numbers count from the start of the process.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TypeVar

import uvloop

from mss.blobs.opening import open_blob_store
from mss.cli import compose
from mss.cli import home as homes
from mss.cli.compose import open_operator
from mss.cli.serve import running
from mss.clock import SystemClock
from mss.model.delivery import Delivery, Outcome
from mss.pipeline import deliver, notify
from mss.ports import BlobRecord, BlobStore, Relay
from mss.store.engine import Connection, Database, Together, open_database
from mss.telemetry.logging import configure_logging
from tests.support.operators import EVERYTHING, PATIENCE_SECONDS, AddressBook, Home

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 -- an item
# Transactions that are steps, by the code that makes them. What writes only the journal is none.
WRITES = {
    "Recorder.record": "commit",
    "Delivering.claim": "claim",
    "Delivering.deliver": "record",
    "Notifier.claim": "claim-notice",
    "Reading.mark": "mark",
}
# A child of this server shares every module that is imported here, and starts in no time.
_PROCESSES = get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.support.crashing", "pytest"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What a process is to do besides its work.

    Attributes:
        ledger: The file that each step is written to.
        dies_at: The step at which it kills itself; none, if empty.
        ahead: How far its clock goes ahead of the machine's.
        claim: How long it holds what it carries; as always, if none is given.
    """

    ledger: Path
    dies_at: str = ""
    ahead: timedelta = timedelta(0)
    claim: timedelta | None = None


@dataclass(slots=True)
class AheadClock:
    """The machine's clock, a while ahead; what is ahead may change."""

    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        """Tell the instant that it will be."""
        return SystemClock().now() + self.ahead

    def new_id(self) -> str:
        """Invent an identifier as always."""
        return SystemClock().new_id()


@dataclass(slots=True)
class Steps:
    """Counts steps, writes them down, and dies when it is time."""

    fate: Fate
    _counts: Counter[str] = field(default_factory=Counter)

    def begin(self, name: str) -> str:
        """Number a step that begins."""
        self._counts[name] += 1
        return f"{name} {self._counts[name]}"

    def reach(self, step: str, when: str) -> None:
        """Write down a place; end here if it is the one."""
        place = f"{step} {when}"
        file = os.open(self.fate.ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(file, f"{place}\n".encode())
        os.close(file)
        if place == self.fate.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()  # another thread must not get any further


@dataclass(slots=True)
class WatchedBlobs:
    """A blob store whose stored bodies are steps."""

    inner: BlobStore
    steps: Steps

    async def put(self, name: str, octets: bytes) -> str:
        """Store a body: dies before anything of it exists, or when it is durable."""
        step = self.steps.begin("body")
        self.steps.reach(step, "before")
        ref = await self.inner.put(name, octets)
        self.steps.reach(step, "after")
        return ref

    async def get(self, ref: str) -> bytes:
        """Fetch a body."""
        return await self.inner.get(ref)

    async def delete(self, ref: str) -> None:
        """Remove a body."""
        await self.inner.delete(ref)

    def iter_records(self) -> AsyncIterator[BlobRecord]:
        """Stream what is stored."""
        return self.inner.iter_records()

    async def aclose(self) -> None:
        """Close the store."""
        await self.inner.aclose()


@dataclass(slots=True)
class WatchedDatabase(Database):
    """A database whose important transactions are steps."""

    inner: Database
    steps: Steps

    async def read(self, question: Callable[[Connection], T]) -> T:
        """Answer a question."""
        return await self.inner.read(question)

    async def survey(self, question: Callable[[Connection], T]) -> T:
        """Answer a question that may take long."""
        return await self.inner.survey(question)

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Make a change: dies with its rows written and not committed, or when it is durable."""
        name = _step_of(change)
        if name is None:
            return await self.inner.write(change)
        begun: list[str] = []

        def watched(connection: Connection) -> T:
            result = change(connection)
            if result or not name.startswith("claim"):  # a claim of nothing is no step
                begun.append(self.steps.begin(name))
                self.steps.reach(begun[-1], "inside")
            return result

        result = await self.inner.write(watched)
        if begun:
            self.steps.reach(begun[-1], "after")
        return result

    async def write_together(self, change: Together[I, T], item: I) -> T:
        """Make a change for one item; it is a step like any other."""

        def alone(connection: Connection) -> T:
            return change(connection, [item])[0]

        alone.__qualname__ = change.__qualname__
        return await self.write(alone)

    async def aclose(self) -> None:
        """Close the database."""
        await self.inner.aclose()


@dataclass(slots=True)
class WatchedRelay:
    """A relay whose hand-overs are steps."""

    inner: Relay
    steps: Steps

    async def relay(self, deliveries: Sequence[Delivery], raw: bytes) -> Sequence[Outcome]:
        """Hand over: dies before the network is touched, or when the peer has answered."""
        step = self.steps.begin("relay")
        self.steps.reach(step, "before")
        outcomes = await self.inner.relay(deliveries, raw)
        self.steps.reach(step, "after")
        return outcomes

    async def aclose(self) -> None:
        """Close the relay."""
        await self.inner.aclose()


@dataclass(slots=True, kw_only=True)
class MortalOperator:
    """An operator that runs in a process of its own, and may die and come back.

    Attributes:
        book: Where the others are; this operator's own entry is kept up to date.
        deaths: How often the process has ended without being asked to.
    """

    home: Home
    book: AddressBook
    fate: Fate
    ports: dict[str, int] = field(default_factory=dict)
    deaths: int = 0
    _process: ForkServerProcess | None = None

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    @property
    def log(self) -> Path:
        """What it writes to standard error."""
        return self.home.path / "serve.log"

    def start(self) -> None:
        """Start it, and wait until its doors are open."""
        ours, theirs = _PROCESSES.Pipe()
        process = _PROCESSES.Process(
            target=_live, args=(self.home, dict(self.book.ports), self.fate, self.log, theirs)
        )
        process.start()
        theirs.close()
        self._process = process
        with ours:
            try:
                assert ours.poll(PATIENCE_SECONDS), "it did not open its doors"
                self.ports = ours.recv()
            except (EOFError, AssertionError) as error:
                self.kill()
                raise AssertionError(self.log.read_text(encoding="utf-8")) from error
        self.book.ports[self.home.cast.domain] = self.ports["mx"]

    def has_died(self) -> bool:
        """Tell whether the process has ended by itself, by SIGKILL."""
        assert self._process is not None
        if self._process.is_alive():
            return False
        assert self._process.exitcode == -signal.SIGKILL, self.log.read_text(encoding="utf-8")
        return True

    def come_back(self, *, ahead: timedelta = timedelta(0)) -> None:
        """Start again after a death, with nothing to die of, the clock so far *ahead*."""
        self.deaths += 1
        self.fate = replace(self.fate, dies_at="", ahead=ahead)
        self.start()

    def kill(self) -> None:
        """End the process now, as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.join(PATIENCE_SECONDS)

    def stop(self) -> int | None:
        """Ask the process to end and wait for it; gives its exit status."""
        assert self._process is not None
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(PATIENCE_SECONDS)
        status = self._process.exitcode
        if status is None:
            self.kill()
        return status

    def ledger(self) -> list[str]:
        """Every step that any of its processes has reached, in order."""
        with suppress(FileNotFoundError):
            return self.fate.ledger.read_text(encoding="utf-8").splitlines()
        return []


def _step_of(change: Callable[[Connection], object]) -> str | None:
    name = getattr(change, "__qualname__", "")
    return next((step for begin, step in WRITES.items() if name.startswith(begin)), None)


def _live(home: Home, ports: Mapping[str, int], fate: Fate, log: Path, pipe: Pipe) -> None:
    """Be the operator: the whole life of the process."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 2)
    configure_logging()
    uvloop.run(_serve(home, AddressBook(dict(ports)), Steps(fate), pipe))


async def _serve(home: Home, book: AddressBook, steps: Steps, pipe: Pipe) -> None:
    """Serve as `mss serve` does, with everything watched, until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    settings, clock = home.settings(), AheadClock(steps.fate.ahead)
    if steps.fate.claim is not None:
        deliver.CLAIM = steps.fate.claim
        compose.RENEWAL = steps.fate.claim / 3  # type: ignore[attr-defined]
        notify.AGAIN = steps.fate.claim
    database = WatchedDatabase(open_database(settings.database_url), steps)
    sealer = homes.load_sealer(settings.home)
    async with (
        open_blob_store(settings, clock=clock, sealer=sealer) as blobs,
        open_operator(
            settings,
            clock=clock,
            database=database,
            blobs=WatchedBlobs(blobs, steps),
            hosts=book,
        ) as operator,
    ):
        delivering = operator.worker.delivering
        operator.worker.delivering = replace(
            delivering, relay=WatchedRelay(delivering.relay, steps)
        )
        async with running(operator, EVERYTHING) as bound:
            pipe.send(bound)
            pipe.close()
            await stopping.wait()
