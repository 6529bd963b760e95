"""What every test may ask for: the PKI, a clock, a fresh database of either engine.

No test leaves the loopback interface: a connection to anywhere else fails the test.
"""

import os
import socket
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Connection, Engine

from mss.store.engine import Database, open_database, sync_engine
from tests.support.clock import FixedClock
from tests.support.database import PostgresqlFactory, SqliteFactory, running_postgresql
from tests.support.pki import Pki, the_pki

# A shared machine is sometimes slow; what a test costs is watched elsewhere (`make bench`).
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    """Let no test reach the network."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_loopback(address[0]):
            raise AssertionError(f"a test tried to reach {address[0]}")
        real(self, address)

    with pytest.MonkeyPatch.context() as patch:
        # The only place to watch every library at once is the standard library's own class.
        patch.setattr(socket.socket, "connect", connect)
        yield


@pytest.fixture(scope="session")
def pki() -> Pki:
    """The declared PKI, issued once; read only."""
    return the_pki()


@pytest.fixture
def clock() -> FixedClock:
    """A clock that the test moves."""
    return FixedClock()


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The address of a running PostgreSQL server, `postgresql://…`, with an empty database."""
    with running_postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_factory(postgresql_url: str) -> PostgresqlFactory:
    """Makes databases on that server."""
    return PostgresqlFactory(postgresql_url)


@pytest.fixture(scope="session")
def sqlite_factory(tmp_path_factory: pytest.TempPathFactory) -> SqliteFactory:
    """Makes SQLite files."""
    return SqliteFactory(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture
def sqlite_url(sqlite_factory: SqliteFactory, tmp_path: Path) -> str:
    """The address of a fresh SQLite database with every table."""
    return sqlite_factory.create(tmp_path)


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a fresh database with every table, on each engine."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
        return
    factory: PostgresqlFactory = request.getfixturevalue("postgresql_factory")
    url = factory.create()
    yield url
    factory.drop(url)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """That database, as the server calls it."""
    opened = open_database(database_url, pool_size=5)
    yield opened
    await opened.aclose()


@pytest.fixture(scope="session", params=ENGINES)
def shared_engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """One database of each engine for tests that leave nothing behind."""
    if request.param == "sqlite":
        sqlite: SqliteFactory = request.getfixturevalue("sqlite_factory")
        url = sqlite.create(tmp_path_factory.mktemp("shared"))
    else:
        postgresql: PostgresqlFactory = request.getfixturevalue("postgresql_factory")
        url = postgresql.create()
    engine = sync_engine(url).execution_options(writes=True)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(shared_engine: Engine) -> Iterator[Connection]:
    """A connection to an empty database with every table, in a transaction that is undone."""
    with shared_engine.connect() as opened:
        transaction = opened.begin()
        yield opened
        transaction.rollback()


def _is_loopback(host: object) -> bool:
    text = host.decode() if isinstance(host, bytes) else str(host)
    if text in {"", "localhost"}:
        return True
    try:
        return ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False
