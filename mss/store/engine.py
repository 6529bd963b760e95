"""Where a question or a change to the database runs, on either engine.

`Database.read` answers a question; `Database.write` makes a change and returns when it is durable.
Both take a plain function of one `Connection`.

SQLite (the embedded default; WAL, `synchronous=FULL`, foreign keys on): reads run in place, in
the event loop, which costs much less than a thread per statement. Changes go to one writer thread
that takes whatever has arrived, runs each inside a savepoint of ONE transaction, and answers them
all after ONE commit: the cost of a sync is shared by everybody who waits for it, and a change that
fails undoes only itself.

PostgreSQL: the function runs in one of a few threads; the server groups commits by itself. When
two transactions wait for each other, the server fails one; that one is run again, so a function
touches nothing but its connection.

Errors
    `StoreFullError` when there is no room, `StoreUnavailableError` when the database does not
    answer; what the function itself raises passes through.
Sources
    docs/adr/0003 for the measurements; https://www.sqlite.org/wal.html.
"""

import asyncio
import queue
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection as Connection  # noqa: PLC0414 -- the layers above name it
from sqlalchemy import Engine as Engine  # noqa: PLC0414
from sqlalchemy import create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool, QueuePool

from mss.errors import StoreFullError, StoreUnavailableError

T = TypeVar("T")
BATCH = 256  # changes in one transaction at the most, so that nobody waits for ever
RUNS = 5  # of one transaction that the server fails because others were in its way
FULL = {"SQLITE_FULL", "53100"}  # https://www.sqlite.org/rescode.html; PostgreSQL, appendix A
QUARREL = {"40001", "40P01"}  # serialization failure, deadlock
DAMAGED = {"SQLITE_CORRUPT", "SQLITE_NOTADB", "XX001", "XX002"}


class Database(ABC):
    """One database, asked from the event loop."""

    @abstractmethod
    async def read(self, question: Callable[[Connection], T]) -> T:
        """Answer *question* from one consistent state."""

    @abstractmethod
    async def survey(self, question: Callable[[Connection], T]) -> T:
        """Answer a *question* that may take long, beside the event loop."""

    @abstractmethod
    async def write(self, change: Callable[[Connection], T]) -> T:
        """Make *change* in a transaction and return what it returned, once it is durable."""

    @abstractmethod
    async def aclose(self) -> None:
        """Finish the changes under way and let go."""


def open_database(url: str, *, pool_size: int = 10) -> Database:
    """Open the database behind *url*.

    Args:
        url: `sqlite+aiosqlite:///path` (any SQLite driver name means the same here) or
            `postgresql+psycopg://…`.
        pool_size: Connections to keep to PostgreSQL.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return SqliteDatabase(parsed.database or ":memory:")
    engine = create_engine(parsed, pool_size=pool_size, max_overflow=0, pool_pre_ping=True)
    return PostgresDatabase(engine, threads=pool_size)


def sync_engine(url: str) -> Engine:
    """Build an engine for what runs outside the event loop: migrations, backups, commands."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(parsed.database or ":memory:", threads=True)
    return create_engine(parsed, poolclass=NullPool)


@contextmanager
def store_errors() -> Iterator[None]:
    """Name the trouble of a database in our own words.

    It is known by its code, since a server words its messages in the language of its host.
    """
    try:
        yield
    except DBAPIError as error:
        name, code = type(error.orig).__name__, _code(error)
        if code in FULL:
            raise StoreFullError(where="database") from error
        if code in QUARREL:
            raise _QuarrelError(reason=name) from error
        is_away = error.connection_invalidated or isinstance(error, OperationalError)
        if is_away or code in DAMAGED:
            raise StoreUnavailableError(reason=name) from error
        raise


class _QuarrelError(StoreUnavailableError):
    """Another transaction was in the way; the same one may succeed at once."""


def _code(error: DBAPIError) -> str | None:
    """Tell the driver's code for what happened."""
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorname", None)
    return getattr(error.orig, "sqlstate", None)


def _sqlite_engine(path: str, *, threads: bool) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool if threads else None,
        connect_args={"check_same_thread": False, "timeout": 30},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: object) -> None:  # noqa: ANN401 -- the driver's own
        del record
        connection.isolation_level = None  # transactions are begun below, never by the driver
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=30000",
            "cache_size=-16000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@dataclass(slots=True)
class _Change(Generic[T]):
    """A change on its way to the writer thread, and who waits for it."""

    run: Callable[[Connection], T]
    answer: "asyncio.Future[T]"
    loop: asyncio.AbstractEventLoop
    result: T | None = None
    error: BaseException | None = None

    def reply(self) -> None:
        """Hand the outcome to whoever waits, in its own loop."""
        with suppress(RuntimeError):  # the loop has gone: nobody waits any more
            self.loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        if self.answer.done():
            return
        if self.error is not None:
            self.answer.set_exception(self.error)
        else:
            self.answer.set_result(self.result)  # type: ignore[arg-type]  # T includes None


class SqliteDatabase(Database):
    """SQLite in this process: reads in place, one writer thread that commits in groups."""

    def __init__(self, path: str) -> None:
        self._engine = _sqlite_engine(path, threads=True)
        self._reader: Connection | None = None
        self._changes: queue.SimpleQueue[_Change[Any] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_all, name="mss-writer", daemon=True)
        self._closed = False
        self._writer.start()

    async def read(self, question: Callable[[Connection], T]) -> T:
        """Answer *question* in place."""
        with store_errors():
            if self._reader is None:
                self._reader = self._engine.connect()
            with self._reader.begin():
                return question(self._reader)

    async def survey(self, question: Callable[[Connection], T]) -> T:
        """Answer *question* in a thread, on a connection of its own."""

        def ask() -> T:
            with store_errors(), self._engine.connect() as connection, connection.begin():
                return question(connection)

        return await asyncio.to_thread(ask)

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Queue *change* for the next group and wait for its commit."""
        if self._closed:
            raise StoreUnavailableError(reason="closed")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._changes.put(_Change(run=change, answer=answer, loop=loop))
        return await answer

    async def aclose(self) -> None:
        """Commit what is queued, end the writer, close the file."""
        if not self._closed:
            self._closed = True
            self._changes.put(None)
            await asyncio.to_thread(self._writer.join)
            if self._reader is not None:
                self._reader.close()
            self._engine.dispose()

    def _write_all(self) -> None:
        """Take groups of changes until told to stop; the writer thread's whole life."""
        go_on = True
        while go_on:
            group, go_on = self._next_group()
            if group:
                self._commit(group)
                for change in group:
                    change.reply()

    def _next_group(self) -> tuple[list[_Change[Any]], bool]:
        """Wait for one change, then take whatever else has arrived."""
        group: list[_Change[Any]] = []
        first = self._changes.get()
        if first is None:
            return group, False
        group.append(first)
        while len(group) < BATCH:
            try:
                following = self._changes.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return group, False
            group.append(following)
        return group, True

    def _commit(self, group: list[_Change[Any]]) -> None:
        """Run a group in one transaction; when the commit fails, every change of it failed."""
        try:
            with store_errors(), self._engine.connect() as plain:
                connection = plain.execution_options(writes=True)
                with connection.begin():
                    for change in group:
                        self._run(change, connection)
        except BaseException as error:  # noqa: BLE001 -- handed to those who wait, who raise it
            for change in group:
                change.error = change.error or error

    @staticmethod
    def _run(change: _Change[Any], connection: Connection) -> None:
        """Run one change inside a savepoint, so that its failure undoes only itself."""
        savepoint = connection.begin_nested()
        try:
            with store_errors():
                change.result = change.run(connection)
            savepoint.commit()
        except StoreFullError:
            raise  # SQLite may have rolled everything back: the group fails as one
        except Exception as error:  # noqa: BLE001 -- handed to who waits for it
            change.error = error
            savepoint.rollback()


class PostgresDatabase(Database):
    """PostgreSQL over psycopg: every call is one transaction, in one of a few threads."""

    def __init__(self, engine: Engine, *, threads: int) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="mss-postgresql")

    async def read(self, question: Callable[[Connection], T]) -> T:
        """Answer *question* in a transaction."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._transact, question
        )

    async def survey(self, question: Callable[[Connection], T]) -> T:
        """Answer *question*; the server does the long work."""
        return await self.read(question)

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Make *change* and commit it."""
        return await self.read(change)

    async def aclose(self) -> None:
        """Finish what runs and close every connection."""
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()

    def _transact(self, work: Callable[[Connection], T]) -> T:
        for _ in range(RUNS - 1):
            with suppress(_QuarrelError):
                return self._run(work)
        return self._run(work)

    def _run(self, work: Callable[[Connection], T]) -> T:
        with store_errors(), self._engine.begin() as connection:
            return work(connection)
