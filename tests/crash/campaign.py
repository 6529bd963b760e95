"""Does every accepted letter end in exactly one state per recipient, however often we are killed?

One operator runs in a process of its own, while two clients and a peer hand letters to it and a
peer takes what it relays. Again and again it is killed by SIGKILL: at a moment chosen at random, or
at a durable step of its own (docs/adr/0004); on PostgreSQL the database server crashes now and then
too. It is started again, and everybody goes on. At the end nobody dies any more, the queue runs
dry, and `verdict.judge` compares what the operator holds with the ledger of those outside.

Everything random comes from one seed; the operator's own timing does not, so that a seed repeats
the letters, the faults and the kinds of death, not the interleaving.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from mss.cli import home as homes
from mss.store.engine import Database, open_database
from tests.crash.letters import Ledger
from tests.crash.receiver import Receiver
from tests.crash.senders import UNKNOWN_THERE, Doors, Sender, the_senders
from tests.crash.tls import client_context, peer_context, server_context
from tests.crash.verdict import Verdict, count_open, judge
from tests.support.crashing import Fate, MortalOperator
from tests.support.database import PostgresqlServer
from tests.support.operators import HOSPITAL, PRACTICES, AddressBook, Ground, Home, Sections, until

# Places whose durable states differ; which occurrence after the start is chosen at random.
STEPS = (
    "body {} before",
    "body {} after",
    "commit {} inside",
    "commit {} after",
    "claim {} inside",
    "claim {} after",
    "relay {} before",
    "relay {} after",
    "record {} inside",
    "record {} after",
)
CLAIM = timedelta(seconds=6)  # a dead worker's letters wait so long, here
STEP_PATIENCE_SECONDS = 2.5
LIFE_SECONDS = (0.05, 1.2)
DRAIN_SECONDS = 180.0
DATABASE_CRASHES_EVERY = 12
DATABASE = "the database server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a campaign is to do."""

    kills: int
    seed: int
    home: Home
    database: PostgresqlServer | None = None


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a campaign has done and found.

    Attributes:
        places: How often it was killed where.
        ready_seconds: How long each start took.
    """

    plan: Plan
    places: Counter[str] = field(default_factory=Counter)
    killed_at: list[float] = field(default_factory=list)
    ready_seconds: list[float] = field(default_factory=list)
    seconds: float = 0.0
    letters: dict[str, int] = field(default_factory=dict)
    verdict: Verdict | None = None


SETTINGS: Sections = {
    "directory": {"ask_peer": False},
    "queue": {"delays": [0.2, 0.4, 1], "poll_seconds": 0.1, "per_destination": 4},
    "limits": {"mailbox_octets": 2**40},
}


@dataclass(slots=True, kw_only=True)
class Campaign:
    """The operator that dies, those who talk to it, and what has happened so far."""

    plan: Plan
    operator: MortalOperator
    doors: Doors
    senders: list[Sender]
    receiver: Receiver
    ledger: Ledger
    outcome: Outcome
    chance: random.Random
    database_dies: bool = False

    async def run(self, step: Callable[[int], None]) -> None:
        """Live and die as often as planned; then live until nothing is left to do."""
        try:
            self.receiver.is_kind = not self.plan.kills
            await self._start(self._place(0) if self.plan.kills else "")
            async with asyncio.TaskGroup() as sending:
                for sender in self.senders:
                    sending.create_task(sender.run())
                for number in range(1, self.plan.kills + 1):
                    await self._await_death()
                    step(number)
                    is_last = number == self.plan.kills
                    self.receiver.is_kind = is_last
                    await self._start("" if is_last else self._place(number))
                for sender in self.senders:
                    sender.is_stopping = True
            await self._drain()
            status = await asyncio.to_thread(self.operator.stop)
            assert status == 0, f"asked to stop, it ended with {status}"
        finally:
            self.operator.kill()

    async def judge(self) -> Verdict:
        """Compare what the stopped operator holds with what those outside know."""
        return await judge(
            self.plan.home, self.ledger, self.receiver, killed_at=self.outcome.killed_at
        )

    def _place(self, number: int) -> str:
        """Choose what it dies of next: a step, a moment, or its database."""
        if self.plan.database is not None and number % DATABASE_CRASHES_EVERY == 0:
            return DATABASE
        if self.chance.random() < 0.5:
            return ""
        return self.chance.choice(STEPS).format(self.chance.randint(1, 15))

    async def _start(self, place: str) -> None:
        """Begin a life that ends at *place*."""
        is_step = place not in {"", DATABASE}
        self.operator.fate = replace(self.operator.fate, dies_at=place if is_step else "")
        self.database_dies = place == DATABASE
        started = time.monotonic()
        try:
            await asyncio.to_thread(self.operator.start)
        except AssertionError:
            if not is_step or self.operator.ledger()[-1:] != [place]:
                raise
            # Its worker reached the step before its doors were open: a death like any other.
            self._note_death(f"{place} while starting")
            await self._start("")
            return
        self.outcome.ready_seconds.append(time.monotonic() - started)
        self.doors.ports = self.operator.ports

    async def _await_death(self) -> None:
        """Let it live until it kills itself, or kill it at a moment of our choice."""
        place = self.operator.fate.dies_at
        if place:
            if not await self._has_died_within(STEP_PATIENCE_SECONDS):
                place = ""
        else:
            await asyncio.sleep(self.chance.uniform(*LIFE_SECONDS))
        if self.database_dies and self.plan.database is not None:
            await asyncio.to_thread(self.plan.database.crash)
            await asyncio.sleep(self.chance.uniform(0, 0.3))
            place = DATABASE
        await asyncio.to_thread(self.operator.kill)
        self._note_death(place)
        if place == DATABASE and self.plan.database is not None:
            await asyncio.to_thread(self.plan.database.start)

    def _note_death(self, place: str) -> None:
        self.outcome.killed_at.append(time.monotonic())
        self.outcome.places[_kind_of(place)] += 1

    async def _has_died_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if await asyncio.to_thread(self.operator.has_died):
                return True
            await asyncio.sleep(0.02)
        return False

    async def _drain(self) -> None:
        """Wait until no delivery and no notice is left to do."""
        database = open_database(self.plan.home.settings().database_url, pool_size=1)
        try:
            await until(lambda: _is_dry(database), "an empty queue", patience=DRAIN_SECONDS)
        finally:
            await database.aclose()


def make_home(ground: Ground, folder: Path, *, database_url: str = "") -> Home:
    """Make the operator that is going to die; on PostgreSQL if a database is given."""
    return ground.copy(HOSPITAL, folder, SETTINGS, database_url=database_url)


async def run(ground: Ground, plan: Plan, *, step: Callable[[int], None]) -> Outcome:
    """Run a campaign, and judge it.

    Args:
        ground: What both operators have in common.
        plan: What to do.
        step: Told after each death, with its number.
    """
    started = time.monotonic()
    async with prepared(ground, plan) as campaign:
        await campaign.run(step)
        outcome = campaign.outcome
        outcome.letters = campaign.ledger.count()
        outcome.verdict = await campaign.judge()
        outcome.seconds = time.monotonic() - started
        return outcome


@asynccontextmanager
async def prepared(ground: Ground, plan: Plan) -> AsyncIterator[Campaign]:
    """Make everything that a campaign needs."""
    peer = ground.homes[PRACTICES.domain]
    receiver = Receiver(
        tls=server_context(peer),
        keys=homes.load_reading(peer.path),
        seed=plan.seed,
        refused=frozenset({UNKNOWN_THERE}),
    )
    async with receiver.listening():
        ledger = Ledger(plan.seed)
        doors = Doors(home=plan.home, client_tls=client_context(peer), peer_tls=peer_context(peer))
        yield Campaign(
            plan=plan,
            operator=MortalOperator(
                home=plan.home,
                book=AddressBook({PRACTICES.domain: receiver.port}),
                fate=Fate(ledger=plan.home.path / "steps", claim=CLAIM),
            ),
            doors=doors,
            senders=the_senders(ledger, doors),
            receiver=receiver,
            ledger=ledger,
            outcome=Outcome(plan=plan),
            chance=random.Random(plan.seed),
        )


async def _is_dry(database: Database) -> bool:
    return await database.read(count_open) == 0


def _kind_of(place: str) -> str:
    """Name a place without its number: `body after`, `at any moment`."""
    if not place:
        return "at any moment"
    return " ".join(word for word in place.split() if not word.isdigit())
