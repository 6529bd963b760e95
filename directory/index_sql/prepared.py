"""Ask the question that is asked for every letter, without building anything for it.

SQLAlchemy compiles a statement, lays out its parameters and wraps its rows each time; for a look
at one row that costs ten times the look. Here a statement is compiled once for each engine, and
from then on its text goes straight to the driver, in the transaction of the connection. It reads
and behaves as `connection.execute` does otherwise: the same types, the same errors.

Shapes
    Rows are named tuples with the columns of the statement.
Errors
    `sqlalchemy.exc.DBAPIError` as for any statement, without the values in its text.
Sources
    docs/adr/0023 for the measurements.
"""

from collections import namedtuple
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, Dialect, Float, Select, bindparam
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import ReturningUpdate

Processor = Callable[[Any], Any]
Statement = Select[Any] | ReturningUpdate[Any]
MAX_LIST: Final = 256


def run_on_driver(connection: Connection, text: str, values: Any) -> list[Any]:  # noqa: ANN401 -- as the driver wants them
    """Run a text on the driver's own connection, in the transaction of *connection*."""
    if not connection.in_transaction():
        connection.begin()
    driver: Any = connection.connection.driver_connection
    dialect = connection.dialect
    try:
        cursor = driver.execute(text, values)
        return cursor.fetchall() if cursor.description else []
    except dialect.loaded_dbapi.Error as error:
        is_gone = dialect.is_disconnect(error, driver, None)
        if is_gone:
            connection.invalidate(error)
        raise DBAPIError.instance(
            text,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=is_gone,
            dialect=dialect,
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    """A statement for one engine.

    Attributes:
        parameters: For each place, or each name: the name, and what makes the driver's value of it.
        fixed: Values that the statement brings itself.
        results: For columns whose values are not the driver's: which one, and what makes it.
    """

    text: str
    is_positional: bool
    parameters: tuple[tuple[str, Processor | None], ...]
    fixed: Mapping[str, Any]
    results: tuple[tuple[int, Processor], ...]


class Prepared:
    """One statement of the hot path."""

    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        columns = list(statement.exported_columns)
        self._types = [column.type for column in columns]
        self._row: Any = namedtuple("Found", [str(column.key) for column in columns])  # type: ignore[misc]  # noqa: PYI024 -- its fields are known at run time
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """Run it with *values*; give its rows."""
        compiled = self._compiled.get(connection.dialect.name) or self._compile(connection.dialect)
        given = {**compiled.fixed, **values}
        laid_out = [
            (name, given[name] if process is None else process(given[name]))
            for name, process in compiled.parameters
        ]
        rows = run_on_driver(
            connection,
            compiled.text,
            [value for _, value in laid_out] if compiled.is_positional else dict(laid_out),
        )
        make = self._row._make
        if not compiled.results:
            return [make(row) for row in rows]
        return [make(_processed(row, compiled.results)) for row in rows]

    def _compile(self, dialect: Dialect) -> _Compiled:
        built = self._statement.compile(dialect=dialect)
        assert isinstance(built, SQLCompiler)
        binds = {name: bind for bind, name in built.bind_names.items()}
        compiled = _Compiled(
            text=str(built),
            is_positional=built.positional,
            parameters=tuple(
                (name, binds[name].type.dialect_impl(dialect).bind_processor(dialect))
                for name in (built.positiontup or binds)
            ),
            fixed={name: one.value for name, one in binds.items() if not one.required},
            results=tuple(
                (place, process)
                for place, type_ in enumerate(self._types)
                if not isinstance(type_, Float)  # drivers give floats; ours would need their codes
                and (process := type_.dialect_impl(dialect).result_processor(dialect, None))
            ),
        )
        self._compiled[dialect.name] = compiled
        return compiled


class PreparedList:
    """One statement of the hot path about any number of things.

    Args:
        build: Gives the statement for so many parameters. A list is filled up to the next power of
            two by repeating its last item, so that few texts serve every length.
    """

    def __init__(self, build: Callable[[Sequence[BindParameter[Any]]], Statement]) -> None:
        self._build = build
        self._prepared: dict[int, Prepared] = {}

    def run(self, connection: Connection, items: Collection[Any]) -> list[Any]:
        """Run it for *items*; give all rows."""
        wanted = list(items)
        rows: list[Any] = []
        for start in range(0, len(wanted), MAX_LIST):
            rows += self._run(connection, wanted[start : start + MAX_LIST])
        return rows

    def _run(self, connection: Connection, items: list[Any]) -> list[Any]:
        length = 1 << (len(items) - 1).bit_length()
        prepared = self._prepared.get(length)
        if prepared is None:
            built = self._build([bindparam(f"item_{n}") for n in range(length)])
            prepared = self._prepared[length] = Prepared(built)
        items += [items[-1]] * (length - len(items))
        return prepared.run(connection, {f"item_{n}": item for n, item in enumerate(items)})


def _processed(row: Sequence[Any], results: Sequence[tuple[int, Processor]]) -> list[Any]:
    values = list(row)
    for place, process in results:
        values[place] = process(values[place])
    return values
