"""Two operators for each test, with homes of its own."""

from collections.abc import AsyncIterator
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
def ground() -> Ground:
    """Authority, trust list, directory and filled homes: made once per process."""
    return the_ground()


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
