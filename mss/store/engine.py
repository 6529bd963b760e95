"""Where a question or a change to the database runs, on either engine.

`Database.read` answers a question; `Database.write` makes a change and returns when it is durable.
Both take a plain function of one `Connection`. `Database.write_together` is for the change that is
made all day long: its function takes many items at once, so that whatever waits shares statements
as well as the commit.

SQLite (the embedded default; WAL, `synchronous=FULL`, foreign keys on): reads run in place, in
the event loop, which costs much less than a thread per statement. Changes go to one writer thread
that takes whatever has arrived, runs each inside a savepoint of ONE transaction (what is one change
needs none), and answers them all after ONE commit: the cost of a sync is shared by everybody who
waits for it, and a change that fails undoes only itself.

PostgreSQL: the function runs in one of a few threads; the server groups commits by itself. When
two transactions wait for each other, the server fails one; that one is run again, so a function
touches nothing but its connection.

Items of `write_together` are handed to the writer when a turn of the event loop brings no more, so
that those which are ready together are written together (docs/adr/0031). Other processes may write
the same file; whoever finds it taken asks again.

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
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
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
I = TypeVar("I")  # noqa: E741 -- an item
Together = Callable[[Connection, Sequence[I]], Sequence[T]]
BATCH = 256  # changes in one transaction at the most, so that nobody waits for ever
PATIENCE_SECONDS = 30.0  # with another process that writes
TURN_SECONDS = 0.0005
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

    async def write_together(self, change: Together[I, T], item: I) -> T:
        """Make *change* for *item*, perhaps in one go with the items of others who wait.

        Args:
            change: Takes items, gives a result for each in their order. It may be run again, with
                fewer items, after it failed.
            item: What this caller wants done.
        """
        return (await self.write(lambda connection: change(connection, [item])))[0]

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
    except sqlite3.Error as error:
        raise StoreUnavailableError(reason=type(error).__name__) from error


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
        options = connection.get_execution_options()
        if not options.get("begun_below", False):
            writes = options.get("writes", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@dataclass(slots=True)
class _Change(Generic[T]):
    """A change on its way to the writer thread, and who waits for it.

    Attributes:
        run: The change for this caller alone.
        together: The change for many callers, and what this one wants of it.
    """

    run: Callable[[Connection], T]
    answer: "asyncio.Future[T]"
    loop: asyncio.AbstractEventLoop
    together: tuple[Together[Any, T], Any] | None = None
    result: T | None = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Hand the outcome to whoever waits; called in their loop."""
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
        self._driver: object = None
        self._write_connection: Connection | None = None
        self._gathered: list[_Change[Any]] = []
        self._changes: queue.SimpleQueue[list[_Change[Any]] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_all, name="mss-writer", daemon=True)
        self._closed = False
        self._writer.start()

    async def read(self, question: Callable[[Connection], T]) -> T:
        """Answer *question* in place.

        The transaction is begun and ended on the driver's own connection: SQLAlchemy's way there
        costs more than the question.
        """
        with store_errors():
            connection, driver = self._reading()
            driver.execute("BEGIN")
            try:
                return question(connection)
            except DBAPIError:
                self._leave_reader()
                raise
            finally:
                if self._reader is connection and driver.in_transaction:
                    driver.execute("ROLLBACK")

    def _reading(self) -> tuple[Connection, sqlite3.Connection]:
        """Give the connection that questions are asked on, and the driver's below it."""
        if self._reader is None:
            plain = self._engine.connect()
            self._reader = plain.execution_options(begun_below=True)
            self._driver = plain.connection.driver_connection
        assert isinstance(self._driver, sqlite3.Connection)
        return self._reader, self._driver

    def _leave_reader(self) -> None:
        """Let go of the connection for questions; the next one opens another."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.invalidate()
            reader.close()

    async def survey(self, question: Callable[[Connection], T]) -> T:
        """Answer *question* in a thread, on a connection of its own."""

        def ask() -> T:
            with store_errors(), self._engine.connect() as connection, connection.begin():
                return question(connection)

        return await asyncio.to_thread(ask)

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Queue *change* for the next group and wait for its commit."""
        queued = self._queued(change, None)
        self._changes.put([queued])
        return await queued.answer

    async def write_together(self, change: Together[I, T], item: I) -> T:
        """Gather *item* with those that come at the same moment; they are written in one go."""
        queued = self._queued(lambda c: change(c, [item])[0], (change, item))
        self._gathered.append(queued)
        if len(self._gathered) == 1:
            queued.loop.call_soon(self._hand_over, queued.loop, 0)
        return await queued.answer

    def _queued(
        self, run: Callable[[Connection], T], together: tuple[Together[I, T], I] | None
    ) -> "_Change[T]":
        if self._closed:
            raise StoreUnavailableError(reason="closed")
        loop = asyncio.get_running_loop()
        return _Change(run=run, answer=loop.create_future(), loop=loop, together=together)

    def _hand_over(self, loop: asyncio.AbstractEventLoop, known: int) -> None:
        """Give what was gathered to the writer as soon as nothing more comes with it."""
        count = len(self._gathered)
        if count > known and not self._closed:
            loop.call_soon(self._hand_over, loop, count)
            return
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._changes.put(gathered)

    async def aclose(self) -> None:
        """Commit what is queued, end the writer, close the file."""
        if not self._closed:
            self._closed = True
            gathered, self._gathered = self._gathered, []
            self._changes.put(gathered)
            self._changes.put(None)
            await asyncio.to_thread(self._writer.join)
            for connection in (self._reader, self._write_connection):
                if connection is not None:
                    connection.close()
            self._engine.dispose()

    def _write_all(self) -> None:
        """Take groups of changes until told to stop; the writer thread's whole life."""
        go_on = True
        while go_on:
            group, go_on = self._next_group()
            if group:
                self._commit(group)
                _reply(group)

    def _next_group(self) -> tuple[list[_Change[Any]], bool]:
        """Wait for changes, then take whatever else has arrived."""
        first = self._changes.get()
        if first is None:
            return [], False
        group = list(first)
        while len(group) < BATCH:
            try:
                following = self._changes.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return group, False
            group += following
        return group, True

    def _commit(self, group: list[_Change[Any]]) -> None:
        """Run a group in one transaction; when the commit fails, every change of it failed."""
        try:
            with store_errors(), self._writing() as connection:
                if _is_one(group) and self._commit_as_one(group, connection):
                    return
                _begin(connection)
                with connection.begin():
                    for change in self._run_together(group, connection):
                        self._run(change, connection)
        except BaseException as error:  # noqa: BLE001 -- handed to those who wait, who raise it
            for change in group:
                change.error = change.error or error

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Give the connection that changes are made on; after a failure there will be another."""
        if self._write_connection is None:
            plain = self._engine.connect()
            # Whoever waits for another process does so in `_begin`.
            _driver_of(plain).execute("PRAGMA busy_timeout=0")
            self._write_connection = plain.execution_options(begun_below=True)
        try:
            yield self._write_connection
        except BaseException:
            connection, self._write_connection = self._write_connection, None
            connection.invalidate()
            connection.close()
            raise

    @staticmethod
    def _commit_as_one(group: list[_Change[Any]], connection: Connection) -> bool:
        """Commit a group that needs no savepoints; tell whether that is settled.

        It is not when one item spoiled it for the others: nothing is written then.
        """
        first = group[0]
        _begin(connection)
        with connection.begin() as transaction:
            try:
                with store_errors():
                    if first.together is None or len(group) == 1:
                        results: Sequence[Any] = [first.run(connection)]
                    else:
                        items = [one.together[1] for one in group if one.together]
                        results = first.together[0](connection, items)
            except StoreFullError:
                raise
            except Exception as error:  # noqa: BLE001 -- handed to who waits for it
                transaction.rollback()
                if len(group) > 1:
                    return False
                first.error = error
                return True
        for change, result in zip(group, results, strict=True):
            change.result = result
        return True

    @staticmethod
    def _run_together(group: list[_Change[Any]], connection: Connection) -> Iterator[_Change[Any]]:
        """Make the changes that can be made together; give those that must be made alone.

        When one item spoils it for the others, everybody is tried alone.
        """
        kinds: dict[Any, list[_Change[Any]]] = {}
        for change in group:
            kinds.setdefault(change.together and change.together[0], []).append(change)
        for together, members in kinds.items():
            if together is None or len(members) == 1:
                yield from members
                continue
            savepoint = connection.begin_nested()
            try:
                with store_errors():
                    results = together(connection, [one.together[1] for one in members])  # type: ignore[index]  # they have one
                savepoint.commit()
            except StoreFullError:
                raise
            except Exception:  # noqa: BLE001 -- whose fault it was, shows when each is alone
                savepoint.rollback()
                yield from members
            else:
                for change, result in zip(members, results, strict=True):
                    change.result = result

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


def _driver_of(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _begin(connection: Connection) -> None:
    """Begin to write when no other process does.

    SQLite's own waiting sleeps longer each time, and who has just come is before who has waited.
    """
    driver = _driver_of(connection)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > deadline:
                raise
            time.sleep(TURN_SECONDS)
        else:
            return


def _is_one(group: list[_Change[Any]]) -> bool:
    """Tell whether a group is one change: a single one, or the same for all."""
    together = group[0].together
    return len(group) == 1 or (
        together is not None
        and all(one.together is not None and one.together[0] == together[0] for one in group)
    )


def _reply(group: list[_Change[Any]]) -> None:
    """Wake each event loop once, with all of its answers."""
    loops: dict[asyncio.AbstractEventLoop, list[_Change[Any]]] = {}
    for change in group:
        loops.setdefault(change.loop, []).append(change)
    for loop, changes in loops.items():
        with suppress(RuntimeError):  # the loop has gone: nobody waits any more
            loop.call_soon_threadsafe(_settle, changes)


def _settle(changes: list[_Change[Any]]) -> None:
    for change in changes:
        change.settle()


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
