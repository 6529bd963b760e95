"""The queue under any sequence of events: crashes, peers, administrators, reports, time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine

from mss.model.delivery import (
    WAITING,
    Deferred,
    Delivery,
    DeliveryState,
    Outcome,
    Parcel,
    Refused,
    Relayed,
    Station,
    may_become,
)
from mss.pipeline.outcome import OutcomeRecorder
from mss.settings import QueueSettings
from mss.store import claims, deliveries, tables
from mss.store.claims import Share
from tests.support.clock import FixedClock
from tests.support.pki import NOW
from tests.support.rows import a_delivery

DOMAINS = ("a.mssante.fr", "b.mssante.fr")
LETTERS = 4
LIFE = timedelta(days=2)  # as `a_delivery` writes them
SETTINGS = QueueSettings(delays=(600, 3600), spread=0.1)
OUTCOMES: dict[str, Outcome] = {
    "taken": Relayed(reply="250 ok", host="mx:25", reports=True),
    "later": Deferred(code="peer-deferred", detail="451", host="mx:25"),
    "lost": Deferred(code="reply-lost", detail="no reply", host="mx:25"),
    "down": Deferred(code="host-unreachable", detail="", host="mx:25", is_general=True),
    "no": Refused(code="peer-refused", detail="550", host="mx:25"),
}
ARRIVED = frozenset(DeliveryState) - WAITING - {DeliveryState.FAILED, DeliveryState.DROPPED}


@dataclass
class Play:
    """A queue on its way, and everything that was seen of it."""

    connection: Connection
    clock: FixedClock = field(default_factory=FixedClock)
    held: dict[str, list[Parcel]] = field(default_factory=dict)
    seen: dict[str, DeliveryState] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    recorder: OutcomeRecorder = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = OutcomeRecorder(clock=self.clock, settings=SETTINGS, chain="c")
        for n in range(LETTERS):
            a_delivery(self.connection, f"d{n}", message_id=f"m{n // 2}", domain=DOMAINS[n % 2])

    def all(self) -> list[Delivery]:
        found = deliveries.list_deliveries(self.connection, states=list(DeliveryState), limit=99)
        return sorted(found, key=lambda one: one.id)

    def claim(self, worker: str) -> None:
        now = self.clock.now()
        before = {one.id: one.attempts for one in self.all()}
        parcels = claims.claim_due(
            self.connection,
            now=now,
            until=now + timedelta(minutes=3),
            worker=worker,
            share=Share(slots=9, unproven_slots=9),
        )
        after = {one.id: one.attempts for one in self.all()}
        for parcel in parcels:
            for one in parcel.deliveries:
                assert after[one.id] == before[one.id] + 1 == one.attempts
        self.held.setdefault(worker, []).extend(parcels)

    def end(self, worker: str, name: str) -> None:
        """Let a worker's oldest attempt end; one whose peer took the letter has given it away."""
        if not self.held.get(worker):
            return
        parcel = self.held[worker].pop(0)
        outcome = OUTCOMES[name]
        if name in {"taken", "lost"}:
            self.taken |= {one.id for one in parcel.deliveries}
        outcomes = [outcome] * len(parcel.deliveries)
        now = self.clock.now()
        self.recorder.record(self.connection, parcel, outcomes, worker=worker, at=now)

    def crash(self, worker: str) -> None:
        """Forget what a worker was doing."""
        self.held.pop(worker, None)

    def move(self, number: int, to: DeliveryState) -> None:
        """Let an administrator or a report move a delivery."""
        deliveries.advance(
            self.connection, f"d{number}", to=to, station=Station.REPORTED, at=self.clock.now()
        )

    def look_after_late(self) -> None:
        now = self.clock.now()
        for one in deliveries.list_stranded(self.connection, now=now, limit=99):
            cause = Deferred(code="host-unreachable", detail="")
            self.recorder.expire(self.connection, one, cause, at=now)

    def check(self) -> None:
        """See that no delivery went where the table does not lead."""
        for one in self.all():
            old = self.seen.get(one.id, DeliveryState.QUEUED)
            assert old is one.state or _leads(old, one.state)
            self.seen[one.id] = one.state

    def drain(self) -> None:
        """Release what is held, and let time pass until everything is settled."""
        for one in self.all():
            if one.state is DeliveryState.HELD:
                self.move(int(one.id[1:]), DeliveryState.QUEUED)
        for _ in range(20):
            if not any(one.state in WAITING for one in self.all()):
                return
            self.clock.advance(hours=13)
            self.look_after_late()
            self.claim("last")
            while self.held.get("last"):
                self.end("last", "later")
            self.check()


def _leads(old: DeliveryState, new: DeliveryState) -> bool:
    """Tell whether the table leads from one state to another, in any number of steps."""
    reached = {old}
    for _ in DeliveryState:
        reached |= {to for one in reached for to in DeliveryState if may_become(one, to)}
    return new in reached


@cache
def _engine() -> Engine:
    """Make the tables once: they cost more than a play."""
    engine = create_engine("sqlite://")
    tables.metadata.create_all(engine)
    return engine


@contextmanager
def an_empty_queue() -> Iterator[Connection]:
    """Give a queue that forgets everything at the end."""
    with _engine().connect() as connection:
        play = connection.begin()
        yield connection
        play.rollback()


WORKERS = st.sampled_from(["w1", "w2"])
EVENTS = st.one_of(
    st.tuples(st.just("claim"), WORKERS),
    st.tuples(st.just("end"), WORKERS, st.sampled_from(sorted(OUTCOMES))),
    st.tuples(st.just("crash"), WORKERS),
    st.tuples(st.just("move"), st.integers(0, LETTERS - 1), st.sampled_from(sorted(DeliveryState))),
    st.tuples(st.just("wait"), st.integers(1, 3000)),
    st.tuples(st.just("late")),
)


def _play(play: Play, event: tuple[object, ...]) -> None:
    match event:
        case ("claim", str(worker)):
            play.claim(worker)
        case ("end", str(worker), str(name)):
            play.end(worker, name)
        case ("crash", str(worker)):
            play.crash(worker)
        case ("move", int(number), str(state)):
            play.move(number, DeliveryState(state))
        case ("wait", int(minutes)):
            play.clock.advance(minutes=minutes)
        case _:
            play.look_after_late()


@pytest.mark.slow
@given(events=st.lists(EVENTS, max_size=20))
@settings(max_examples=30, deadline=None)
def test_every_letter_ends_in_one_final_state(events: list[tuple[object, ...]]) -> None:
    """Whatever happens, in whatever order: nothing is stuck, and nothing ends twice."""
    with an_empty_queue() as connection:
        play = Play(connection)
        for event in events:
            _play(play, event)
            play.check()
        play.held.clear()  # every process dies
        play.drain()

        assert not [one for one in play.all() if one.state in WAITING]
        for one in play.all():
            events_of = deliveries.events_of(connection, one.id)
            ends = [e for e in events_of if e.station in {Station.FAILED, Station.DROPPED}]
            assert len(ends) <= 1
            assert not (ends and one.state in ARRIVED)


@pytest.mark.slow
@given(crashes=st.integers(1, 6))
@settings(max_examples=3, deadline=None)
def test_crashes_alone_lose_no_letter(crashes: int) -> None:
    """A worker that dies at every attempt hands over to the next, until one lives."""
    with an_empty_queue() as connection:
        play = Play(connection)
        for _ in range(crashes):
            play.claim("w1")
            play.crash("w1")
            play.clock.advance(minutes=3)
        for _ in range(LETTERS):
            play.claim("w2")
            while play.held["w2"]:
                play.end("w2", "taken")

        assert {one.state for one in play.all()} == {DeliveryState.RELAYED}
        assert play.clock.now() - NOW < LIFE
