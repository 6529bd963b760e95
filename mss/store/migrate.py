"""Bring a database to the schema of this version, and tell whether it is there.

Migrations are numbered files in `migrations/versions`, each `pre_` (may run before the new code) or
`post_` (after the old code is gone). The directory's tables belong to the same history.
"""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData

from directory.index_sql import metadata as directory_metadata
from mss.store.engine import store_errors, sync_engine
from mss.store.tables import metadata

METADATA: list[MetaData] = [metadata, directory_metadata]


def upgrade(url: str) -> None:
    """Create or change the tables until they are those of this version."""
    engine = sync_engine(url)
    try:
        with store_errors(), engine.begin() as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def missing_revision(connection: Connection) -> str | None:
    """Name the newest migration if the database does not have it; `None` when all is done."""
    present = MigrationContext.configure(connection).get_current_revision()
    newest = _newest()
    return None if present == newest else newest


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


@cache
def _newest() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()
