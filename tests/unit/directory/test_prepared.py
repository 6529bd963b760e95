"""A statement that goes straight to the driver behaves as one that SQLAlchemy runs."""

import sqlite3
from collections.abc import Iterator

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from directory.index_sql.prepared import MAX_LIST, Prepared, PreparedList, run_on_driver

THING = Table(
    "thing",
    MetaData(),
    Column("key", String, primary_key=True),
    Column("is_open", Boolean),
    Column("octets", LargeBinary),
)
FIND = Prepared(select(THING).where(THING.c.key == bindparam("key")).limit(1))
FIND_ALL = PreparedList(lambda keys: select(THING.c.key).where(THING.c.key.in_(keys)))
OPEN = Prepared(
    update(THING)
    .where(THING.c.key == bindparam("which"))
    .values(is_open=bindparam("flag"))
    .returning(THING.c.key, THING.c.is_open)
)


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://")
    THING.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as connection:
        rows = [{"key": f"k{n}", "is_open": n % 2 == 0, "octets": b"\0"} for n in range(600)]
        connection.execute(insert(THING), rows)
        yield connection


def test_rows_have_the_types_of_the_columns(connection: Connection) -> None:
    """A driver knows numbers where the table says booleans."""
    (found,) = FIND.run(connection, {"key": "k1"})

    assert (found.key, found.is_open, found.octets) == ("k1", False, b"\0")
    assert found.is_open is False


def test_what_is_not_there_gives_no_row(connection: Connection) -> None:
    """The caller sees an empty list."""
    assert FIND.run(connection, {"key": "another"}) == []


def test_a_change_gives_what_it_returns(connection: Connection) -> None:
    """Values are turned into the driver's on the way in as well."""
    (found,) = OPEN.run(connection, {"which": "k1", "flag": True})

    assert found == ("k1", True)
    assert connection.execute(select(THING.c.is_open).where(THING.c.key == "k1")).scalar_one()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 255, 256, 257, MAX_LIST * 2 + 1])
def test_lists_of_any_length_are_asked_about(connection: Connection, count: int) -> None:
    """Filling a list up to a length that was prepared neither adds rows nor loses any."""
    wanted = [f"k{n}" for n in range(count)]

    assert sorted(row.key for row in FIND_ALL.run(connection, wanted)) == sorted(wanted)


def test_a_change_is_part_of_the_transaction(engine: Engine) -> None:
    """What is undone around it is undone with it, although SQLAlchemy did not see it begin."""
    with engine.connect() as connection:
        run_on_driver(connection, "INSERT INTO thing (key) VALUES (?)", ["new"])
        assert connection.in_transaction()
        connection.rollback()

        assert FIND.run(connection, {"key": "new"}) == []


def test_an_error_is_of_the_kind_that_sqlalchemy_raises(connection: Connection) -> None:
    """Whoever catches errors of statements catches these; and a value may name a patient."""
    text = "INSERT INTO thing (key, octets) VALUES (?, ?)"

    with pytest.raises(IntegrityError) as caught:
        run_on_driver(connection, text, ["k1", "DUPONT"])

    assert isinstance(caught.value.orig, sqlite3.IntegrityError)
    assert "DUPONT" not in str(caught.value)
