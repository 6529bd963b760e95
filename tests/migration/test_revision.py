"""Which migration is the newest: told without Alembic, and exactly as Alembic tells it."""

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from mss.store import migrate
from mss.store.engine import sync_engine


def test_the_newest_of_the_numbered_files_is_the_head() -> None:
    """Servers look at the names only."""
    config = Config()
    config.set_main_option("script_location", str(migrate.FOLDER))

    assert migrate.newest_revision() == ScriptDirectory.from_config(config).get_current_head()


def test_an_empty_database_lacks_the_newest(tmp_path: Path) -> None:
    """There is no table of revisions in it either."""
    engine = sync_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with engine.connect() as connection:
        assert migrate.missing_revision(connection) == migrate.newest_revision()
    engine.dispose()


def test_a_database_of_another_version_lacks_the_newest(tmp_path: Path) -> None:
    """A server must not run on tables that it does not know."""
    engine = sync_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0000')"))
        assert migrate.missing_revision(connection) == migrate.newest_revision()
    engine.dispose()


def test_a_database_that_was_upgraded_lacks_nothing(tmp_path: Path) -> None:
    """What `upgrade` writes is what `missing_revision` reads."""
    url = f"sqlite:///{tmp_path / 'new.db'}"
    migrate.upgrade(url)
    engine = sync_engine(url)
    with engine.connect() as connection:
        assert migrate.missing_revision(connection) is None
    engine.dispose()
