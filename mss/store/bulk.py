"""Insert many rows of one table in one statement.

A statement costs the same whether it brings one row or twenty: the way to the driver, and on SQLite
the interpreter's lock, which the writer thread gives away for each and must win back from a busy
event loop. So what belongs together goes together. Above eight, lengths are powers of two, so that
a handful of texts serves every number of rows and the driver keeps them prepared.

Shapes
    A row maps names of columns to values; all rows of one call name the same columns, in the same
    order. What is returned are tuples.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Table

from directory.index_sql.prepared import run_on_driver
from mss.store.tables import Instant

# SQLite takes 32766 parameters in a statement since 3.32 and took 999 before.
_MAX_PARAMETERS: Final = 999
_EXACT: Final = 8  # rows: a group of letters is rarely larger
_MARKS: Final = {"sqlite": "?", "postgresql": "%s"}  # where a parameter goes, for the driver

NewRow = Mapping[str, Any]


class BulkInsert:
    """An INSERT for any number of rows.

    Args:
        table: Where to.
        ending: SQL after the values, the same for both engines.
    """

    def __init__(self, table: Table, *, ending: str = "") -> None:
        self._table = table
        self._instants = frozenset(one.name for one in table.c if isinstance(one.type, Instant))
        self._ending = ending
        self._texts: dict[tuple[str, int, tuple[str, ...]], str] = {}

    def run(self, connection: Connection, rows: Sequence[NewRow]) -> list[Any]:
        """Insert *rows*; give what the ending returns, if it does."""
        returned: list[Any] = []
        if not rows:
            return returned
        names = tuple(rows[0])
        for chunk in _chunks(rows, most=_power_below(_MAX_PARAMETERS // len(names))):
            text = self._text(connection.dialect.name, len(chunk), names)
            values: list[Any] = []
            for row in chunk:
                values += row.values()
            for place in self._instant_places(names):
                values[place :: len(names)] = map(Instant.number, values[place :: len(names)])
            returned += run_on_driver(connection, text, values)
        return returned

    def _instant_places(self, names: tuple[str, ...]) -> list[int]:
        return [place for place, name in enumerate(names) if name in self._instants]

    def _text(self, dialect: str, count: int, names: tuple[str, ...]) -> str:
        text = self._texts.get((dialect, count, names))
        if text is None:
            columns = ", ".join(self._table.c[name].name for name in names)
            one = f"({', '.join([_MARKS[dialect]] * len(names))})"
            values = ", ".join([one] * count)
            # Names of our own tables and columns, and marks; values never.
            text = f"INSERT INTO {self._table.name} ({columns}) VALUES {values}{self._ending}"  # noqa: S608
            self._texts[dialect, count, names] = text
        return text


def _chunks(rows: Sequence[NewRow], *, most: int) -> Iterator[Sequence[NewRow]]:
    """Cut *rows* into runs of few different lengths, *most* at the most."""
    at = 0
    while at < len(rows):
        left = len(rows) - at
        length = min(left if left <= _EXACT else _power_below(left), most)
        yield rows[at : at + length]
        at += length


def _power_below(number: int) -> int:
    """Give the largest power of two that is not above *number*."""
    return 1 << (number.bit_length() - 1)
