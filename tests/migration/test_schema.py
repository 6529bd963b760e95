import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from mss.store import migrate
from mss.store.engine import sync_engine
from tests.support.database import PostgresqlFactory


def test_migrations_make_exactly_the_tables_of_the_code(connection: Connection) -> None:
    """A column that code uses and no migration adds is found here, not in production."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})

    # Alembic takes several metadata, and says so in its documentation but not in its types.
    assert compare_metadata(context, migrate.METADATA) == []  # type: ignore[arg-type]


def test_upgrading_twice_is_harmless(database_url: str) -> None:
    """An administrator who is not sure runs it again."""
    migrate.upgrade(database_url)

    with sync_engine(database_url).connect() as connection:
        assert migrate.missing_revision(connection) is None


def test_a_database_without_tables_names_what_it_lacks(tmp_path: object) -> None:
    """`mss db check` says which migration is missing instead of failing on a table."""
    engine = sync_engine(f"sqlite:///{tmp_path}/empty.db")
    with engine.connect() as connection:
        assert migrate.missing_revision(connection) is not None
    engine.dispose()


@pytest.mark.postgresql
def test_an_empty_postgresql_database_is_migrated_at_once(
    postgresql_factory: PostgresqlFactory,
) -> None:
    """The template that the other tests copy is no special case."""
    url = postgresql_factory.create_empty()

    migrate.upgrade(url)

    with sync_engine(url).connect() as connection:
        assert "message" in inspect(connection).get_table_names()
        assert connection.execute(text("select count(*) from message")).scalar() == 0
    postgresql_factory.drop(url)
