"""Write and end many rows at once, in the way that each engine does fastest.

SQLite takes prepared statements, PostgreSQL takes `COPY`. Rows are tuples in the order of the
columns of their table, with instants counted already (`tables.to_microseconds`).

Errors
    `sqlalchemy.exc.DBAPIError`, or the driver's own; in both cases the transaction is lost.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from sqlalchemy import Column, Connection, Index, Table, select

from directory.index_sql import tables

Values = tuple[object, ...]
ERASE_BATCH: Final = 20_000
_LIST: Final = 500
_SQLITE_CACHE: Final = "PRAGMA cache_size=-131072"  # 128 MiB: indexes are written all over


def insert_rows(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Insert rows whose keys are new."""
    if not rows:
        return
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    if connection.dialect.name == "postgresql":
        _begin(connection)
        driver: Any = connection.connection.driver_connection
        with (
            driver.cursor() as cursor,
            cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row(row)
        return
    marks = ",".join("?" * len(table.columns))
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608 - our own names
    connection.exec_driver_sql(statement, list(rows))


def end_versions(
    connection: Connection, table: Table, column: Column[Any], keys: Iterable[Any], number: int
) -> None:
    """Let the versions in force of these keys end with the generation before *number*."""
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    statement = (
        f"UPDATE {table.name} SET gone = {int(number)} WHERE {column.name} = {mark}"  # noqa: S608 - our own names
        f" AND gone = {tables.FOREVER} AND born > {tables.DECLARED} AND born < {int(number)}"
    )
    rows = [(key,) for key in keys]
    if rows:
        connection.exec_driver_sql(statement, rows)


def select_in(
    connection: Connection, columns: Sequence[Column[Any]], column: Column[Any], keys: Iterable[Any]
) -> Iterator[Any]:
    """Yield the rows in force whose *column* is one of *keys*."""
    waiting = iter(keys)
    table: Any = column.table
    while some := list(islice(waiting, _LIST)):
        yield from connection.execute(
            select(*columns).where(
                column.in_(some), table.c.gone == tables.FOREVER, table.c.born > tables.DECLARED
            )
        )


def erase_rows(connection: Connection, table: Table, condition: str) -> int:
    """Erase the rows that meet a condition, in short transactions; return how many."""
    keys = ", ".join(column.name for column in table.primary_key.columns)
    statement = (
        f"DELETE FROM {table.name} WHERE ({keys}) IN"  # noqa: S608 - our own names and numbers
        f" (SELECT {keys} FROM {table.name} WHERE {condition} LIMIT {ERASE_BATCH})"
    )
    erased = 0
    while True:
        some = connection.exec_driver_sql(statement).rowcount
        connection.commit()
        erased += some
        if some < ERASE_BATCH:
            return erased


def drop_indexes(connection: Connection, kept: Iterable[Index] = ()) -> None:
    """Drop the indexes of the content, to be built again at the end of a first load."""
    keep = set(kept)
    for index in _indexes():
        if index not in keep:
            index.drop(connection, checkfirst=True)
            connection.commit()


def build_indexes(connection: Connection) -> Iterator[str]:
    """Build the indexes that are missing, each in a transaction of its own; yield their names."""
    for index in _indexes():
        index.create(connection, checkfirst=True)
        connection.commit()
        yield str(index.name)


def prepare_connection(connection: Connection) -> None:
    """Give the connection the memory that a load needs."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_SQLITE_CACHE)
        connection.commit()


def analyze(connection: Connection) -> None:
    """Tell the planner what was loaded; it would guess otherwise."""
    names = [table.name for table in tables.metadata.sorted_tables]
    if connection.dialect.name == "postgresql":
        for name in names:
            connection.exec_driver_sql(f"ANALYZE {name}")
    connection.commit()


def _indexes() -> list[Index]:
    found = [index for table in tables.VERSIONED for index in table.indexes]
    return sorted(found, key=lambda index: str(index.name))


def _begin(connection: Connection) -> None:
    if not connection.in_transaction():
        connection.begin()
