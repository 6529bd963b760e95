import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, insert, select, text
from sqlalchemy.exc import IntegrityError

from mss.errors import StoreFullError, StoreUnavailableError
from mss.store.engine import Database, PostgresDatabase, SqliteDatabase, open_database
from mss.store.tables import account
from tests.support.database import PostgresqlFactory
from tests.support.pki import NOW

Change = Callable[[Connection], None]


class RefusedError(Exception):
    """What a change may raise on purpose."""


def adding(name: str, *, note: str = "") -> Change:
    """A change that adds an account."""

    def change(connection: Connection) -> None:
        connection.execute(
            insert(account).values(id=name, name=name, password_hash=note, created_at=NOW)
        )

    return change


def names(connection: Connection) -> list[str]:
    return list(connection.execute(select(account.c.name).order_by(account.c.name)).scalars())


async def test_what_was_written_is_read_back(database: Database) -> None:
    """A write has happened when it returns, for every way of asking."""
    await database.write(adding("anne"))

    assert await database.read(names) == ["anne"]
    assert await database.survey(names) == ["anne"]


async def test_a_write_gives_what_the_change_returned(database: Database) -> None:
    """The caller learns what happened inside the transaction."""
    assert await database.write(lambda c: c.execute(text("select 41 + 1")).scalar()) == 42


async def test_a_failing_change_leaves_nothing(database: Database) -> None:
    """What was done before the failure is undone."""

    def change(connection: Connection) -> None:
        adding("half")(connection)
        raise RefusedError

    with pytest.raises(RefusedError):
        await database.write(change)

    assert await database.read(names) == []


async def test_a_failing_change_undoes_only_itself(database: Database) -> None:
    """Changes share a commit, never a fate."""

    def failing(connection: Connection) -> None:
        adding("half")(connection)
        raise RefusedError

    await database.write(adding("a"))
    outcomes = await asyncio.gather(
        database.write(adding("b")),
        database.write(failing),
        database.write(adding("a")),
        database.write(adding("c")),
        return_exceptions=True,
    )

    kinds = [type(one) for one in outcomes]
    assert kinds == [type(None), RefusedError, IntegrityError, type(None)]
    assert await database.read(names) == ["a", "b", "c"]


async def test_a_failing_question_does_not_spoil_the_next(database: Database) -> None:
    """The connection that reads is used again and must be clean."""

    def failing(connection: Connection) -> None:
        connection.execute(select(account)).all()
        raise RefusedError

    with pytest.raises(RefusedError):
        await database.read(failing)

    assert await database.read(names) == []


async def test_a_read_sees_what_others_committed_meanwhile(database: Database) -> None:
    """No reader stays in the past because it keeps its connection."""
    assert await database.read(names) == []
    await database.write(adding("later"))

    assert await database.read(names) == ["later"]


async def test_closing_finishes_the_writes_under_way(database_url: str) -> None:
    """A graceful stop loses nothing that somebody waits for."""
    database = open_database(database_url, pool_size=5)
    waiting = [asyncio.ensure_future(database.write(adding(f"{n:02}"))) for n in range(20)]
    await asyncio.sleep(0)

    await database.aclose()
    await asyncio.gather(*waiting)

    again = open_database(database_url)
    assert len(await again.read(names)) == 20
    await again.aclose()


async def test_closing_twice_is_harmless(database_url: str) -> None:
    """Shutdown paths cross."""
    database = open_database(database_url)

    await database.aclose()
    await database.aclose()


async def test_a_cancelled_write_disturbs_nobody(database: Database) -> None:
    """A client that goes away takes nothing with it; the write may happen, and does once."""
    gone = asyncio.ensure_future(database.write(adding("gone")))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone

    await database.write(adding("here"))

    assert await database.read(names) in (["here"], ["gone", "here"])


# SQLite: one writer, commits in groups


@pytest.fixture
async def sqlite(sqlite_url: str) -> AsyncIterator[SqliteDatabase]:
    opened = open_database(sqlite_url)
    assert isinstance(opened, SqliteDatabase)
    yield opened
    await opened.aclose()


class Gate:
    """A change that holds the writer thread until it is let go."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._open = threading.Event()

    def change(self, connection: Connection) -> None:
        del connection
        self._entered.set()
        assert self._open.wait(10)

    async def entered(self) -> None:
        assert await asyncio.to_thread(self._entered.wait, 10)

    def open(self) -> None:
        self._open.set()


async def test_many_writes_at_once_cost_few_commits(sqlite: SqliteDatabase) -> None:
    """A sync is shared by all who wait for it: that is what makes one file fast enough."""
    commits: list[object] = []
    event.listen(sqlite._engine, "commit", commits.append)
    gate = Gate()
    first = asyncio.ensure_future(sqlite.write(gate.change))
    await gate.entered()
    others = [asyncio.ensure_future(sqlite.write(adding(f"{n:03}"))) for n in range(200)]
    await asyncio.sleep(0)
    gate.open()

    await asyncio.gather(first, *others)

    assert len(await sqlite.read(names)) == 200
    assert len(commits) == 2  # the gate's, and the two hundred together


async def test_nobody_is_answered_before_the_commit(sqlite: SqliteDatabase) -> None:
    """A 250 that the disk has not seen would be a lie."""
    order: list[str] = []
    event.listen(sqlite._engine, "commit", lambda _: order.append("committed"))

    await sqlite.write(adding("anne"))
    order.append("answered")

    assert order == ["committed", "answered"]


async def test_a_failed_commit_fails_everybody_in_it(sqlite: SqliteDatabase) -> None:
    """Nobody is told yes when the disk said no."""
    gate = Gate()
    first = asyncio.ensure_future(sqlite.write(gate.change))
    await gate.entered()
    others = [asyncio.ensure_future(sqlite.write(adding(f"{n}"))) for n in range(3)]
    await asyncio.sleep(0)

    def fail(connection: Connection) -> None:
        raise StoreUnavailableError(reason="commit")

    event.listen(sqlite._engine, "commit", fail)
    gate.open()
    outcomes = await asyncio.gather(first, *others, return_exceptions=True)
    event.remove(sqlite._engine, "commit", fail)

    assert [type(one) for one in outcomes] == [StoreUnavailableError] * 4
    assert await sqlite.read(names) == []


async def test_a_full_database_is_said_to_be_full_and_recovers(sqlite: SqliteDatabase) -> None:
    """The administrator frees room, and the server goes on without a restart."""
    pages = await sqlite.read(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one())
    await _allow_pages(sqlite, pages + 2)

    with pytest.raises(StoreFullError):
        await sqlite.write(adding("large", note="x" * 1_000_000))
    assert await sqlite.read(names) == []

    await _allow_pages(sqlite, 1_000_000)
    await sqlite.write(adding("large", note="x" * 1_000_000))
    assert await sqlite.read(names) == ["large"]


async def test_a_full_database_lies_to_nobody_in_the_group(sqlite: SqliteDatabase) -> None:
    """SQLite may roll the whole transaction back: every answer agrees with the rows."""
    pages = await sqlite.read(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one())
    await _allow_pages(sqlite, pages + 2)
    outcomes = await asyncio.gather(
        sqlite.write(adding("before")),
        sqlite.write(adding("large", note="x" * 1_000_000)),
        sqlite.write(adding("after")),
        return_exceptions=True,
    )

    wanted = [
        name
        for name, outcome in zip(("before", "large", "after"), outcomes, strict=True)
        if outcome is None
    ]
    assert await sqlite.read(names) == sorted(wanted)
    assert isinstance(outcomes[1], StoreFullError)


@pytest.mark.parametrize("name", ["absent/mss.db", "damaged.db"])
async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path, name: str) -> None:
    """A damaged file is the server's trouble, in the server's words."""
    (tmp_path / "damaged.db").write_bytes(b"damaged " * 512)
    database = open_database(f"sqlite:///{tmp_path / name}")

    with pytest.raises(StoreUnavailableError):
        await database.read(names)
    with pytest.raises(StoreUnavailableError):
        await database.write(adding("anne"))
    await database.aclose()


async def test_writing_after_closing_is_refused(sqlite_url: str) -> None:
    """A door that has not noticed the shutdown gets an answer, not a wait for ever."""
    database = open_database(sqlite_url)
    await database.aclose()

    with pytest.raises(StoreUnavailableError):
        await database.write(adding("late"))


async def test_every_connection_is_durable_and_keeps_references(sqlite: SqliteDatabase) -> None:
    """WAL with full synchronisation is what a 250 stands on; rows must not dangle."""

    def pragmas(connection: Connection) -> list[object]:
        wanted = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.exec_driver_sql(f"PRAGMA {one}").scalar() for one in wanted]

    assert await sqlite.read(pragmas) == ["wal", 2, 1]
    assert await sqlite.survey(pragmas) == ["wal", 2, 1]
    assert await sqlite.write(pragmas) == ["wal", 2, 1]


async def _allow_pages(sqlite: SqliteDatabase, pages: int) -> None:
    """Bound the file as a full disk does; the bound belongs to the writer's connection."""
    await sqlite.write(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count={pages}").scalar())


# PostgreSQL: a server that may be away, or quarrel with itself


@pytest.mark.postgresql
async def test_a_server_that_is_away_is_unavailable() -> None:
    """Nobody listens there: temporary, and in our own words."""
    database = open_database("postgresql+psycopg://postgres@127.0.0.1:1/none")

    with pytest.raises(StoreUnavailableError):
        await database.read(names)
    await database.aclose()


@pytest.mark.postgresql
async def test_a_lost_connection_is_unavailable_and_the_next_one_works(
    postgresql_factory: PostgresqlFactory,
) -> None:
    """A restart of the database server costs the transactions of that moment only."""
    url = postgresql_factory.create()
    database = open_database(url)

    with pytest.raises(StoreUnavailableError):
        await database.write(
            lambda c: c.execute(text("select pg_terminate_backend(pg_backend_pid())"))
        )
    await database.write(adding("anne"))

    assert await database.read(names) == ["anne"]
    await database.aclose()
    postgresql_factory.drop(url)


@pytest.mark.postgresql
@pytest.mark.slow
async def test_changes_that_wait_for_each_other_both_happen(
    postgresql_factory: PostgresqlFactory,
) -> None:
    """The server breaks a deadlock by failing one side; that side is simply run again."""
    url = postgresql_factory.create()
    database = open_database(url, pool_size=4)
    assert isinstance(database, PostgresDatabase)
    await database.write(adding("a"))
    await database.write(adding("b"))
    meeting = threading.Barrier(2, timeout=10)

    def touching(first: str, second: str) -> Change:
        runs = iter(range(10))

        def change(connection: Connection) -> None:
            _note(connection, first, by=first)
            if next(runs) == 0:
                meeting.wait()
            _note(connection, second, by=first)

        return change

    await asyncio.gather(database.write(touching("a", "b")), database.write(touching("b", "a")))

    notes = await database.read(lambda c: set(c.execute(select(account.c.password_hash)).scalars()))
    assert notes in ({"ab"}, {"ba"}, {"ab", "ba"})
    await database.aclose()
    postgresql_factory.drop(url)


def _note(connection: Connection, name: str, *, by: str) -> None:
    connection.execute(
        account.update()
        .where(account.c.name == name)
        .values(password_hash=account.c.password_hash + by)
    )


@pytest.mark.postgresql
async def test_a_full_server_is_full_in_every_language(
    postgresql_factory: PostgresqlFactory,
) -> None:
    """A server may speak French; the code of the condition does not change."""
    url = postgresql_factory.create()
    database = open_database(url)

    with pytest.raises(StoreFullError):
        await database.write(
            lambda c: c.execute(
                text(
                    "do $$ begin raise exception 'plus de place sur le disque' "
                    "using errcode = '53100'; end $$"
                )
            )
        )
    await database.aclose()
    postgresql_factory.drop(url)
