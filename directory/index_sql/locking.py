"""Let one import run at a time, across processes and machines.

On PostgreSQL the server keeps an advisory lock for the session; on SQLite, a file beside the
database is locked. Both are let go of by whoever dies.

Errors
    `ImportRunningError` when somebody else holds the lock.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from directory.errors import ImportRunningError

_KEY: Final = 0x6D73735F646972  # "mss_dir"


@contextmanager
def import_lock(connection: Connection) -> Iterator[None]:
    """Hold the lock of the import.

    Raises:
        ImportRunningError: Another import is under way.
    """
    if connection.dialect.name == "postgresql":
        with _advisory_lock(connection):
            yield
        return
    database = connection.engine.url.database
    if not database or database == ":memory:":
        yield  # of this process alone
        return
    with _file_lock(Path(f"{database}.import-lock")):
        yield


@contextmanager
def _advisory_lock(connection: Connection) -> Iterator[None]:
    query = text("SELECT pg_try_advisory_lock(:key)")
    is_ours = connection.execute(query, {"key": _KEY}).scalar_one()
    connection.commit()
    if not is_ours:
        raise ImportRunningError
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _KEY})
        connection.commit()


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ImportRunningError from None
        yield
