"""Two operators for each test, with homes of its own."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.operators import (
    HOSPITAL,
    PRACTICES,
    Ground,
    Home,
    Pair,
    both_operating,
    the_ground,
)


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    """Authority, trust list, directory and filled homes: made once per process."""
    made = the_ground()
    yield made
    shutil.rmtree(made.folder, ignore_errors=True)


@pytest.fixture
def hospital_home(ground: Ground, tmp_path: Path) -> Home:
    """A hospital's home of this test's own."""
    return ground.copy(HOSPITAL, tmp_path)


@pytest.fixture
def practices_home(ground: Ground, tmp_path: Path) -> Home:
    """A practices' home of this test's own."""
    return ground.copy(PRACTICES, tmp_path)


@pytest.fixture
async def pair(hospital_home: Home, practices_home: Home) -> AsyncIterator[Pair]:
    """Both operators, open, on SQLite and local bodies."""
    async with both_operating(hospital_home, practices_home) as opened:
        yield opened
