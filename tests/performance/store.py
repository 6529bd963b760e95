"""How SQLite is called: what docs/adr/0003 decided, measured.

Reads: one mailbox, and a list of 50 messages, asked by 32 tasks at once, in the event loop; in one
thread hop; and in one thread hop a statement, as an asynchronous driver does it. Writes: one row
each for 32 waiting tasks, committed in groups or one by one.
"""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from mss.model.mailbox import Folder
from mss.store import mailboxes, messages, migrate
from mss.store.engine import Database, open_database, sync_engine
from tests.performance.compare import compare
from tests.support.rows import a_deposit, a_mailbox, a_row

AT_ONCE = 32
MESSAGES = 2000
WRITES = 960

BARE_MAILBOX = "SELECT * FROM mailbox WHERE address_key = 'anne@cabinets-demo.mssante.fr'"
BARE_LIST = """
SELECT * FROM deposit JOIN message ON message.id = deposit.message_id
JOIN mailbox ON mailbox.id = deposit.mailbox_id
WHERE mailbox.address_key = 'anne@cabinets-demo.mssante.fr' AND deposit.folder = 'inbox'
ORDER BY deposit.uid DESC LIMIT 50
"""
Question = Callable[[Connection], object]
Way = Callable[[str, Question, int], Coroutine[None, None, float]]


def run() -> None:
    """Measure reading and writing."""
    with tempfile.TemporaryDirectory(prefix="mss-bench-") as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'mss.db'}"
        migrate.upgrade(url)
        box = _fill(url)
        _compare_reads(url, "one mailbox by its address", _one, times=3200)
        _compare_reads(url, "list of 50 of 2,000 messages", partial(_fifty, box), times=320)
        compare(
            "store",
            "one durable row, 32 waiting",
            {
                "group commit": lambda: asyncio.run(_write_in_groups(url)),
                "commit each": lambda: asyncio.run(_write_one_by_one(url)),
            },
        )


def _compare_reads(url: str, case: str, question: Question, *, times: int) -> None:
    compare(
        "store",
        f"{case}, {AT_ONCE} at once",
        {
            name: partial(_run, way, url, question, times)
            for name, way in (
                ("inline", _read_inline),
                ("thread a question", _read_by_thread),
                ("thread a statement", _read_by_statement),
                ("bare sqlite3, no values made", _read_bare),
            )
        },
    )


def _run(way: Way, url: str, question: Question, times: int) -> float:
    return asyncio.run(way(url, question, times))


def _fill(url: str) -> str:
    """Put messages into one mailbox."""
    engine = sync_engine(url)
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        box = a_mailbox(connection, quota_octets=10**9)
        for number in range(MESSAGES):
            a_deposit(connection, box, f"m{number}")
    engine.dispose()
    return box


def _one(connection: Connection) -> object:
    found = mailboxes.find_mailbox(connection, "anne@cabinets-demo.mssante.fr")
    assert found is not None
    return found


def _fifty(box: str, connection: Connection) -> object:
    found = mailboxes.list_deposits(
        connection, box, folder=Folder.INBOX, unread_only=False, before_uid=None, limit=50
    )
    assert len(found) == 50
    return found


async def _read_inline(url: str, question: Question, times: int) -> float:
    database = open_database(url)
    try:
        return await _rate(lambda: database.read(question), times=times)
    finally:
        await database.aclose()


async def _read_by_thread(url: str, question: Question, times: int) -> float:
    database = open_database(url)
    try:
        return await _rate(lambda: database.survey(question), times=times)
    finally:
        await database.aclose()


async def _read_by_statement(url: str, question: Question, times: int) -> float:
    """Begin, ask and end in a thread hop each: one connection, one thread, as a driver has it."""
    engine = sync_engine(url)
    loop, lock = asyncio.get_running_loop(), asyncio.Lock()
    with ThreadPoolExecutor(1) as thread, engine.connect() as connection:

        async def ask() -> None:
            async with lock:
                transaction = await loop.run_in_executor(thread, connection.begin)
                await loop.run_in_executor(thread, question, connection)
                await loop.run_in_executor(thread, transaction.rollback)

        found = await _rate(ask, times=times)
    engine.dispose()
    return found


async def _read_bare(url: str, question: Question, times: int) -> float:
    """Ask in place with the driver alone and make nothing of the rows: the floor."""
    sql = BARE_LIST if isinstance(question, partial) else BARE_MAILBOX
    connection = sqlite3.connect(make_url(url).database or "")

    async def ask() -> None:
        connection.execute(sql).fetchall()

    found = await _rate(ask, times=times)
    connection.close()
    return found


async def _write_in_groups(url: str) -> float:
    database = open_database(url)
    try:
        return await _rate(lambda: _insert_in_group(database), times=WRITES)
    finally:
        await database.aclose()


async def _insert_in_group(database: Database) -> None:
    await database.write(lambda c: messages.insert_message(c, a_row(uuid4().hex)))


async def _write_one_by_one(url: str) -> float:
    """One writer thread as ours, but a commit for each row."""
    engine = sync_engine(url)
    loop = asyncio.get_running_loop()
    with (
        ThreadPoolExecutor(1) as thread,
        engine.connect().execution_options(writes=True) as connection,
    ):

        def insert() -> None:
            with connection.begin():
                messages.insert_message(connection, a_row(uuid4().hex))

        found = await _rate(lambda: loop.run_in_executor(thread, insert), times=WRITES)
    engine.dispose()
    return found


async def _rate(work: Callable[[], Awaitable[object]], *, times: int) -> float:
    """Let tasks do *work* one after the other, and give how much was done in a second."""

    async def worker() -> None:
        for _ in range(times // AT_ONCE):
            await work()

    await work()  # connections are opened before the clock runs
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())
    return times / (time.perf_counter() - started)
