"""Two operators for each test: homes made once, copied for everybody, opened without doors."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mss.model.principal import AccountPrincipal
from tests.support.clock import FixedClock
from tests.support.factories import Pair, a_pair, make_homes
from tests.support.pki import Pki


@pytest.fixture(scope="session")
def homes_template(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Path:
    """The homes of both operators, ready to run, on SQLite."""
    folder = tmp_path_factory.mktemp("homes")
    asyncio.run(make_homes(folder, pki.authority, urls={}))
    return folder


@pytest.fixture
def homes(homes_template: Path, tmp_path: Path) -> Path:
    """Copies that the test may change."""
    return Path(shutil.copytree(homes_template, tmp_path / "homes"))


@pytest.fixture
async def pair(homes: Path, clock: FixedClock) -> AsyncIterator[Pair]:
    """Both operators, open."""
    async with a_pair(homes, clock) as opened:
        yield opened


@pytest.fixture
async def ward(pair: Pair) -> AccountPrincipal:
    """The hospital's software, logged in."""
    return await pair.hospital.log_in("ward")


@pytest.fixture
async def gp(pair: Pair) -> AccountPrincipal:
    """The general practitioner's software, logged in."""
    return await pair.practices.log_in("anne")
