"""Bring a database to the schema of this version, and tell whether it is there.

Migrations are numbered files in `migrations/versions`, each `pre_` (may run before the new code) or
`post_` (after the old code is gone). The directory's tables belong to the same history. What only
looks, as every server does when it starts, does without Alembic and its 11 MB.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, MetaData, inspect, text

from directory.index_sql import metadata as directory_metadata
from mss.store.engine import store_errors, sync_engine
from mss.store.tables import metadata

FOLDER: Final = Path(__file__).parent / "migrations"
METADATA: list[MetaData] = [metadata, directory_metadata]


def upgrade(url: str) -> None:
    """Create or change the tables until they are those of this version."""
    from alembic import command  # noqa: PLC0415 -- not for processes that only look
    from alembic.config import Config  # noqa: PLC0415 -- likewise

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    engine = sync_engine(url)
    try:
        with store_errors(), engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def missing_revision(connection: Connection) -> str | None:
    """Name the newest migration if the database does not have it; `None` when all is done."""
    newest = newest_revision()
    if not inspect(connection).has_table("alembic_version"):
        return newest
    present = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if present == newest else newest


def newest_revision() -> str:
    """Name the last of the numbered files."""
    names = (path.stem for path in (FOLDER / "versions").glob("p*_[0-9]*.py"))
    return max(name.split("_")[1] for name in names)
