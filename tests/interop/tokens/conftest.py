"""Two operators without doors, as in the unit tests."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.clock import FixedClock
from tests.support.factories import Pair, a_pair, make_homes
from tests.support.pki import Pki


@pytest.fixture
def homes(tmp_path: Path, pki: Pki) -> Path:
    """The homes of both operators, ready to run, on SQLite."""
    folder = tmp_path / "homes"
    folder.mkdir()
    asyncio.run(make_homes(folder, pki.authority, urls={}))
    return folder


@pytest.fixture
async def pair(homes: Path, clock: FixedClock) -> AsyncIterator[Pair]:
    """Both operators, open."""
    async with a_pair(homes, clock) as opened:
        yield opened
