"""The FHIR door over a small directory in a real database, and clients with and without keys."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from directory import index_sql
from directory.address import MailAddress
from directory.index_sql.declared import DeclaredMailbox, declare_mailbox
from directory.index_sql.keys import organization_number, role_number
from directory.model import MailboxKind
from mss.mailboxes.fhir import CallRate, FhirDesk
from mss.mailboxes.fhir_export import ExportDesk
from mss.mailboxes.lookup import DirectoryLookup
from mss.model.principal import AccountPrincipal, Right
from mss.services import Services
from mss.settings import DirectorySettings, Settings
from mss.store.engine import Database, open_database, sync_engine
from tests.support.api_fakes import FakeAccounts, fake_services
from tests.support.clock import FixedClock
from tests.support.database import SqliteFactory
from tests.unit.directory.conftest import (
    ANNE,
    AT,
    HOSPITAL,
    write_snapshot,
)

KEY = "mss_cHVibGlzaGVy"
OTHER_KEY = "mss_YW5vdGhlcg"
OURS = "ch-demo.mssante.fr"
HIDDEN = "hidden.ward@ch-demo.mssante.fr"
FOREIGN_HIDDEN = "secret@ailleurs-demo.mssante.fr"
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
BASE = "https://directory.test/fhir"

ANNE_ID = "99000000010"
HELENE_ID = "99000000028"
PAUL_ID = "99000000036"
HOSPITAL_ID = str(organization_number(HOSPITAL.key))
ANNE_ROLE_ID = str(role_number(int(ANNE_ID), ANNE.roles[0]))


@dataclass(slots=True, kw_only=True)
class DirectoryServices:
    """As much of the services as the FHIR door uses."""

    settings: Settings
    clock: FixedClock
    accounts: FakeAccounts
    directory: DirectoryLookup
    fhir: FhirDesk
    fhir_exports: ExportDesk
    database: Database


def _account(name: str, *managed: str) -> AccountPrincipal:
    rights = {address: frozenset({Right.MANAGE}) for address in managed}
    return AccountPrincipal(account_id=f"account-{name}", name=name, rights=rights, means="token")


@pytest.fixture(scope="package")
def directory_file(sqlite_factory: SqliteFactory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Import the small directory once; mailboxes of the liste rouge are in it too."""
    folder = tmp_path_factory.mktemp("fhir")
    url = sqlite_factory.create(folder)
    write_snapshot(folder, others=12)
    engine = sync_engine(url)
    with engine.connect() as connection:
        index_sql.import_snapshot(connection, folder, at=AT)
    with engine.execution_options(writes=True).begin() as connection:
        for address in (HIDDEN, FOREIGN_HIDDEN):
            declare_mailbox(
                connection,
                DeclaredMailbox(
                    address=MailAddress.parse(address),
                    kind=MailboxKind.ORG,
                    changed_at=AT,
                    organization_key=HOSPITAL.key,
                    liste_rouge=True,
                ),
            )
    engine.dispose()
    return folder / "mss.db"


@pytest.fixture(scope="package")
def services(directory_file: Path) -> Iterator[DirectoryServices]:
    """The operator of tests that change nothing."""
    opened = open_services(directory_file.parent)
    yield opened
    asyncio.run(opened.database.aclose())


@pytest.fixture
async def own(
    app: FastAPI, directory_file: Path, tmp_path: Path
) -> AsyncIterator[DirectoryServices]:
    """An operator of its own, for a test that changes something."""
    shutil.copyfile(directory_file, tmp_path / "mss.db")
    opened = open_services(tmp_path)
    app.state.services = opened
    yield opened
    await opened.database.aclose()


def open_services(home: Path) -> DirectoryServices:
    """Open the operator whose database is in a folder."""
    database = open_database(f"sqlite+aiosqlite:///{home / 'mss.db'}")
    clock = FixedClock(at=NOW)
    settings = Settings(
        home=home,
        domains=(OURS, "cabinets-demo.mssante.fr"),
        directory=DirectorySettings(
            publishers={"publisher": (OURS, "cabinets-demo.mssante.fr")}, fhir_calls_per_second=0
        ),
    )
    return DirectoryServices(
        settings=settings,
        clock=clock,
        accounts=FakeAccounts({KEY: _account("publisher"), OTHER_KEY: _account("other")}),
        directory=DirectoryLookup(database=database, index=index_sql.SearchDesk(home / "search")),
        fhir=FhirDesk(
            database=database,
            clock=clock,
            settings=settings.directory,
            domains=frozenset(settings.domains),
            chain="chain",
            secret=b"secret",
            rate=CallRate(per_second=0),
        ),
        fhir_exports=ExportDesk(
            database=database,
            clock=clock,
            chain="chain",
            folder=home / "exports",
            keep=timedelta(hours=24),
        ),
        database=database,
    )


@pytest.fixture(scope="package")
def fhir_app() -> FastAPI:
    """Build the routes once."""
    return create_app(fake_services().as_services())


@pytest.fixture
def app(fhir_app: FastAPI, services: DirectoryServices) -> FastAPI:
    fhir_app.state.services = cast("Services", services)
    return fhir_app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with a key that manages nothing."""
    async with connected(app, OTHER_KEY) as opened:
        yield opened


@pytest.fixture
async def publisher(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A caller who publishes for our domains."""
    async with connected(app, KEY) as opened:
        yield opened


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A caller without a key."""
    async with connected(app, None) as opened:
        yield opened


@asynccontextmanager
async def connected(app: FastAPI, key: str | None) -> AsyncIterator[httpx.AsyncClient]:
    """Connect to an application without a socket."""
    headers = {"ESANTE-API-KEY": key} if key else {}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(
        transport=transport, base_url="https://directory.test", headers=headers
    ) as opened:
        yield opened
