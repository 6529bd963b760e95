"""Rows that go together: the same rows, and the same objections, as one statement for each."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from mss.store import migrate
from mss.store.bulk import BulkInsert, NewRow
from mss.store.engine import Database, open_database
from mss.store.tables import account
from tests.support.pki import NOW

ACCOUNTS = BulkInsert(account)


def rows(count: int, *, first: int = 0) -> list[NewRow]:
    """Accounts in the order of their names, with a text that only a parameter may carry."""
    return [
        {
            "id": f"{number:04}",
            "name": f"n{number:04}",
            "password_hash": "%s ? :x '); --" if number % 2 else None,
            "created_at": NOW,
        }
        for number in range(first, first + count)
    ]


def stored(connection: Connection) -> list[tuple[object, ...]]:
    """What a plain query gives, through the types of the columns."""
    query = select(account.c.id, account.c.name, account.c.password_hash, account.c.created_at)
    return [tuple(row) for row in connection.execute(query.order_by(account.c.id))]


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 15, 16, 31, 128, 249, 300])
def test_every_number_of_rows_is_stored_as_it_is(connection: Connection, count: int) -> None:
    """Around each length that a statement may have, and beyond the most parameters of one."""
    given = rows(count)

    ACCOUNTS.run(connection, given)

    assert stored(connection) == [tuple(row.values()) for row in given]


def test_what_the_ending_returns_comes_from_every_statement(connection: Connection) -> None:
    """In more statements than one, all the answers are given."""
    returning = BulkInsert(account, ending=" RETURNING id")

    returned = returning.run(connection, rows(300))

    assert sorted(one for (one,) in returned) == [row["id"] for row in rows(300)]


def test_rows_that_are_there_may_be_passed_over(connection: Connection) -> None:
    """The ending says what happens; what it returns are the new ones."""
    careful = BulkInsert(account, ending=" ON CONFLICT DO NOTHING RETURNING id")
    careful.run(connection, rows(5))

    returned = careful.run(connection, rows(9))

    assert sorted(one for (one,) in returned) == ["0005", "0006", "0007", "0008"]
    assert len(stored(connection)) == 9


async def test_one_bad_row_stores_none(database: Database) -> None:
    """The objection is that of the database, and the transaction is over."""
    twice = [*rows(20), *rows(1)]

    with pytest.raises(IntegrityError):
        await database.write(lambda c: ACCOUNTS.run(c, twice))

    assert await database.read(stored) == []


class Ledger:
    """A change for `write_together` that remembers how it was called."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []

    def add(self, connection: Connection, names: Sequence[str]) -> list[str]:
        """Add accounts; one of them cannot be."""
        self.groups.append(list(names))
        for name in names:
            connection.execute(insert(account).values(id=name, name=name, created_at=NOW))
        if "spoiler" in names:
            raise ValueError("spoiler")
        return [name.upper() for name in names]


async def together(database: Database, ledger: Ledger, *names: str) -> list[str | BaseException]:
    """Queue names while the writer is busy, so that they wait for each other."""
    is_busy, may_go_on = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        is_busy.set()
        may_go_on.wait(10)

    holding = asyncio.ensure_future(database.write(hold))
    await asyncio.to_thread(is_busy.wait, 10)
    waiting = [asyncio.ensure_future(database.write_together(ledger.add, name)) for name in names]
    await asyncio.sleep(0)  # each takes its place in the queue
    may_go_on.set()
    await holding
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_each_caller_gets_the_result_of_its_own_item(database: Database) -> None:
    """Results are handed out in the order of the items, in whatever groups they were made."""
    ledger = Ledger()

    assert await together(database, ledger, "anne", "bruno", "clara") == ["ANNE", "BRUNO", "CLARA"]
    assert sorted(name for group in ledger.groups for name in group) == ["anne", "bruno", "clara"]
    assert [row[1] for row in await database.read(stored)] == ["anne", "bruno", "clara"]


async def test_who_spoils_a_group_spoils_nobody_else(database: Database) -> None:
    """The others are written again without it, once each."""
    answers = await together(database, Ledger(), "anne", "spoiler", "clara")

    assert (answers[0], answers[2]) == ("ANNE", "CLARA")
    assert isinstance(answers[1], ValueError)
    assert [row[1] for row in await database.read(stored)] == ["anne", "clara"]


async def test_sqlite_makes_one_change_of_all_that_wait(tmp_path: Path) -> None:
    """That is what it is for: one statement, whatever the number of letters."""
    url, ledger = f"sqlite:///{tmp_path / 'one.db'}", Ledger()
    migrate.upgrade(url)
    async with aclosing(open_database(url)) as database:
        await together(database, ledger, "anne", "bruno", "clara")

    assert ledger.groups == [["anne", "bruno", "clara"]]
