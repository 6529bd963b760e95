"""A process that is killed between any two steps loses no letter and doubles none.

One of the two operators runs in a process of its own and kills itself at a step; it is started
again, and everybody else does what the protocols ask of them: clients and peers try again with the
same octets. Then the ledger is read: every delivery has come to its end, the letter lies in the
mailbox exactly once, the sender knows what became of it, and nothing is half-stored.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from sqlalchemy import func, select

from mss.blobs.sweep import sweep
from mss.cli.compose import open_operator
from mss.pipeline.deliver import CLAIM
from mss.store import audit, messages, tables
from mss.store.engine import Connection, Database, open_database
from tests.crash.verdict import count_open
from tests.support.crashing import AheadClock, Fate, MortalOperator
from tests.support.database import PostgresqlFactory
from tests.support.operators import (
    HOSPITAL,
    PATIENCE_SECONDS,
    PRACTICES,
    AddressBook,
    Ground,
    Home,
    Software,
    accepted_id,
    note,
    operating,
)

T = TypeVar("T")
# The places whose durable states differ, for one letter: sent, delivered, reported and read. What a
# death before a step leaves behind is what the step before it left; `inside` is named where rows
# were written and must be gone.
AT_THE_SENDER = [
    "body 1 before",
    "body 1 after",  # the copy for the Sent folder
    "body 2 after",  # what leaves, signed and encrypted
    "commit 1 inside",
    "commit 1 after",
    "claim 1 after",
    "relay 1 after",
    "record 1 after",
    "body 3 after",  # the report of delivery comes
    "commit 2 inside",
    "commit 2 after",
    "body 4 after",  # the read receipt comes
    "commit 3 after",
]
AT_THE_RECEIVER = [
    "body 1 before",
    "body 1 after",  # the letter comes
    "commit 1 inside",
    "commit 1 after",
    "claim-notice 1 after",  # the report of delivery is owed
    "body 2 after",
    "commit 2 inside",
    "commit 2 after",
    "claim 1 after",
    "relay 1 after",
    "record 1 after",
    "mark 1 inside",  # the letter is read
    "mark 1 after",
    "claim-notice 2 after",  # the read receipt is owed
    "body 3 after",
    "commit 3 after",
    "claim 2 after",
    "relay 2 after",
    "record 2 after",
]
# Where a database could behave otherwise than SQLite.
FOR_POSTGRESQL = ["commit 1 inside", "commit 1 after", "relay 1 after", "record 1 inside"]
LOST = (OSError, EOFError, ssl.SSLError, httpx.TransportError)


class NotYetError(Exception):
    """It has not come so far."""


@dataclass(slots=True, kw_only=True)
class Play:
    """Two operators, one of which may die, and the software on both sides, which insists.

    Attributes:
        clock: The clock of the one that lives; moved on at each death, so that what the dead
            process had claimed has run out.
    """

    mortal: MortalOperator
    clock: AheadClock
    writer: Software
    reader: Software
    databases: dict[str, Database]

    async def asked(self, home: Home, question: Callable[[Connection], T]) -> T:
        """Ask the database of a home, from beside."""
        return await self.databases[home.cast.domain].read(question)

    async def insist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do *work*; as long as nobody answers, bring the dead back and try again."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await work()
            except (*LOST, NotYetError) as error:
                if time.monotonic() > deadline:
                    raise AssertionError(f"it did not come: {error!r}") from error
            await self.revive()
            await asyncio.sleep(0.02)

    async def revive(self) -> None:
        """Start the mortal operator again, if it has died."""
        if not await asyncio.to_thread(self.mortal.has_died):
            return
        self.clock.ahead += CLAIM + timedelta(minutes=1)
        await asyncio.to_thread(self.mortal.come_back, ahead=self.clock.ahead)
        for software in (self.writer, self.reader):
            if software.home is self.mortal.home:
                await software.moved(self.mortal.ports)

    async def tell(self, raw: bytes) -> str:
        """Tell the whole story of one letter; gives its identifier at the sender."""
        to = self.reader.mailbox
        reply = await self.insist(lambda: self.writer.submit(raw, to))
        sent = accepted_id(reply)
        arrived = await self.insist(self._arrived)
        await self.insist(self._is_calm)
        await self.insist(lambda: self.reader.mark_read(arrived))
        await self.insist(lambda: self._has_been_read(sent))
        await self.insist(self._is_quiet)
        return sent

    async def _arrived(self) -> str:
        items = await self.reader.listed()
        if not items:
            raise NotYetError("the letter in the inbox")
        return str(items[0]["id"])

    async def _has_been_read(self, message_id: str) -> None:
        if "read" not in await self.writer.stations(message_id):
            raise NotYetError("the read receipt")

    async def _is_quiet(self) -> None:
        """Both have nothing left to do, and the one that was to die has died."""
        if self.mortal.fate.dies_at:
            raise NotYetError(f"death at {self.mortal.fate.dies_at}")
        await self._is_calm()

    async def _is_calm(self) -> None:
        """Both have nothing left to do: what comes next is a step of its own."""
        for home in (self.writer.home, self.reader.home):
            if await self.asked(home, count_open):
                raise NotYetError(f"quiet at {home.cast.domain}")


@asynccontextmanager
async def play(
    mortal: Home, other: Home, ledger: Path, *, dies_at: str = ""
) -> AsyncIterator[Play]:
    """Open both operators; *mortal* in a process of its own."""
    book, clock = AddressBook(), AheadClock()
    operator = MortalOperator(home=mortal, book=book, fate=Fate(ledger=ledger, dies_at=dies_at))
    async with AsyncExitStack() as stack:
        alive = await stack.enter_async_context(operating(other, book=book, clock=clock))
        await asyncio.to_thread(operator.start)
        stack.callback(operator.kill)
        stack.push_async_callback(_end, operator)
        ports = {mortal.cast.domain: operator.ports, other.cast.domain: alive.ports}
        by_role = {one.cast.domain: one for one in (mortal, other)}
        writer, reader = [
            await stack.enter_async_context(Software(by_role[domain], ports[domain]))
            for domain in (HOSPITAL.domain, PRACTICES.domain)
        ]
        databases = {}
        for one in (mortal, other):
            opened = open_database(one.settings().database_url, pool_size=1)
            stack.push_async_callback(opened.aclose)
            databases[one.cast.domain] = opened
        yield Play(mortal=operator, clock=clock, writer=writer, reader=reader, databases=databases)


async def _end(operator: MortalOperator) -> None:
    """Ask it to stop; it must do so in order."""
    assert await asyncio.to_thread(operator.stop) == 0


def messages_by_kind(connection: Connection) -> dict[str, int]:
    """Count messages by what they are: `letter`, `delivery` or `disposition`."""
    kind = func.coalesce(tables.message.c.report, "letter")
    rows = connection.execute(
        select(kind, func.count()).where(tables.message.c.origin != "system").group_by(kind)
    )
    return {str(row[0]): int(row[1]) for row in rows}


async def assert_in_order(home: Home) -> None:
    """The books balance: journal unbroken, every body readable, and no body too many for long."""
    async with open_operator(home.settings()) as operator:
        _, broken = await operator.database.read(audit.check_chains)
        assert broken == []

        def wanted(connection: Connection) -> set[str]:
            refs = connection.execute(select(tables.message.c.blob_ref)).scalars().all()
            leaving = select(tables.delivery.c.blob_ref).where(
                tables.delivery.c.blob_ref.is_not(None)
            )
            return {*refs, *connection.execute(leaving).scalars()} - {messages.RELEASED}

        refs = await operator.database.read(wanted)
        for ref in sorted(refs):
            assert await operator.blobs.get(ref)

        async def is_referenced(some: Sequence[str]) -> set[str]:
            return await operator.database.read(lambda c: messages.referenced_blobs(c, some))

        now = operator.services.clock.now() + timedelta(days=1)
        await sweep(operator.blobs, is_referenced, now=now, minimum_age=timedelta(0))
        assert {record.ref async for record in operator.blobs.iter_records()} == refs


async def assert_exactly_once(told: Play, sent: str) -> None:
    """One letter, one report, one receipt; the timeline tells each station once, in order."""
    assert await told.asked(told.writer.home, messages_by_kind) == {
        "letter": 1,
        "delivery": 1,
        "disposition": 1,
    }
    assert await told.asked(told.reader.home, messages_by_kind) == {"letter": 1}
    assert len(await told.reader.listed()) == 1
    assert [one["id"] for one in await told.writer.listed("sent")] == [sent]
    assert len(await told.writer.listed("receipts")) == 2
    stations = [one for one in await told.writer.stations(sent) if one != "deferred"]
    # The report may overtake our record of the hand-over, which then says nothing new.
    assert stations in (
        ["accepted", "relayed", "delivered", "read"],
        ["accepted", "delivered", "read"],
    )


async def tell_and_die(mortal: Home, other: Home, ledger: Path, place: str) -> None:
    """Tell the story with a death in it, and read the books of both afterwards."""
    async with play(mortal, other, ledger, dies_at=place) as told:
        sent = await told.tell(note(HOSPITAL.mailbox, PRACTICES.mailbox, receipt=True))
        assert told.mortal.deaths == 1
        await assert_exactly_once(told, sent)
    await assert_in_order(mortal)
    await assert_in_order(other)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The file in which the steps are written down."""
    return tmp_path / "ledger"


@pytest.mark.slow
@pytest.mark.parametrize("place", AT_THE_SENDER)
async def test_a_letter_survives_the_death_of_its_sender(
    hospital_home: Home, practices_home: Home, ledger: Path, place: str
) -> None:
    """Wherever the sending operator is killed, the letter arrives exactly once."""
    await tell_and_die(hospital_home, practices_home, ledger, place)


@pytest.mark.slow
@pytest.mark.parametrize("place", AT_THE_RECEIVER)
async def test_a_letter_survives_the_death_of_its_receiver(
    hospital_home: Home, practices_home: Home, ledger: Path, place: str
) -> None:
    """Wherever the receiving operator is killed, the letter arrives exactly once."""
    await tell_and_die(practices_home, hospital_home, ledger, place)


@pytest.fixture
def postgresql_homes(
    ground: Ground, tmp_path: Path, postgresql_factory: PostgresqlFactory
) -> Iterator[tuple[Home, Home]]:
    """Both homes on PostgreSQL."""
    urls = postgresql_factory.create(), postgresql_factory.create()
    yield (
        ground.copy(HOSPITAL, tmp_path, database_url=urls[0]),
        ground.copy(PRACTICES, tmp_path, database_url=urls[1]),
    )
    for url in urls:
        postgresql_factory.drop(url)


@pytest.mark.slow
@pytest.mark.postgresql
@pytest.mark.parametrize("place", FOR_POSTGRESQL)
async def test_a_letter_survives_a_death_on_postgresql(
    postgresql_homes: tuple[Home, Home], ledger: Path, place: str
) -> None:
    """The other engine keeps the same promises."""
    await tell_and_die(*postgresql_homes, ledger, place)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dying", "listed"), [("hospital", AT_THE_SENDER), ("practices", AT_THE_RECEIVER)]
)
async def test_no_step_is_left_out(
    hospital_home: Home, practices_home: Home, ledger: Path, dying: str, listed: list[str]
) -> None:
    """The lists of this file name every step there is, so that a new one must be added to them."""
    homes = (hospital_home, practices_home)
    mortal, other = homes if dying == "hospital" else reversed(homes)
    async with play(mortal, other, ledger) as told:
        await told.tell(note(HOSPITAL.mailbox, PRACTICES.mailbox, receipt=True))

        reached = told.mortal.ledger()
        assert {one for one in reached if one.endswith(" after")} <= set(listed) <= set(reached)


@pytest.mark.slow
async def test_what_was_answered_250_survives_a_power_cut(
    hospital_home: Home, practices_home: Home, ledger: Path
) -> None:
    """The client has its answer and forgets the letter: from now on it is ours."""
    async with play(hospital_home, practices_home, ledger) as told:
        raw = note(HOSPITAL.mailbox, PRACTICES.mailbox)

        accepted_id(await told.writer.submit(raw, PRACTICES.mailbox))
        await asyncio.to_thread(told.mortal.kill)

        await told.insist(told._arrived)
        assert await told.asked(told.reader.home, messages_by_kind) == {"letter": 1}


@pytest.mark.slow
@pytest.mark.parametrize("place", ["body 1 after", "commit 1 inside", "commit 1 after"])
async def test_a_draft_that_is_posted_again_is_one_letter(
    hospital_home: Home, practices_home: Home, ledger: Path, place: str
) -> None:
    """The server writes the octets of a draft, so that its repetition is known by the key alone."""
    draft: dict[str, Any] = {"to": [PRACTICES.mailbox], "subject": "Essai", "text": "Bonjour."}
    async with play(hospital_home, practices_home, ledger, dies_at=place) as told:

        async def post() -> httpx.Response:
            return await told.writer.http.post(
                f"/v1/mailboxes/{HOSPITAL.mailbox}/messages",
                json=draft,
                headers={"Idempotency-Key": "one-and-the-same"},
            )

        response = await told.insist(post)
        assert response.status_code == 202
        await told.insist(told._arrived)
        await told.insist(told._is_quiet)

        assert told.mortal.deaths == 1
        assert [one["id"] for one in await told.writer.listed("sent")] == [response.json()["id"]]
        assert len(await told.reader.listed()) == 1
    await assert_in_order(hospital_home)
