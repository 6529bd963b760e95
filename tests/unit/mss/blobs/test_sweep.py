from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mss.blobs.local import LocalBlobStore
from mss.blobs.sweep import BATCH, SweepResult, sweep
from mss.clock import build_id
from mss.ports import BlobStore
from tests.support.fakes import MemoryBlobStore

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class HandClock:
    """A clock that stands where it is put."""

    at: datetime = NOW - 2 * HOUR
    ids: int = 0

    def now(self) -> datetime:
        return self.at

    def new_id(self) -> str:
        self.ids += 1
        return build_id(self.at, self.ids.to_bytes(10, "big"))


@dataclass(slots=True)
class Rows:
    """The references that rows hold, and how often somebody asked."""

    refs: set[str] = field(default_factory=set)
    asked: list[int] = field(default_factory=list)

    async def hold(self, refs: Sequence[str]) -> set[str]:
        self.asked.append(len(refs))
        return self.refs & set(refs)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=["memory", "local"])
async def blobs(
    request: pytest.FixtureRequest, clock: HandClock, tmp_path: Path
) -> AsyncIterator[BlobStore]:
    stores: dict[str, BlobStore] = {
        "memory": MemoryBlobStore(clock=clock),
        "local": LocalBlobStore(tmp_path, clock=clock, segment_octets=4096),
    }
    store = stores[request.param]
    yield store
    await store.aclose()


async def listed(blobs: BlobStore) -> set[str]:
    return {record.ref async for record in blobs.iter_records()}


async def test_an_old_body_without_a_row_is_removed(blobs: BlobStore, clock: HandClock) -> None:
    """A crash between body and row leaves an orphan; it holds health data, so it must go."""
    kept, orphan = [await blobs.put(clock.new_id(), b"octets") for _ in range(2)]
    result = await sweep(blobs, Rows({kept}).hold, now=NOW, minimum_age=HOUR)

    assert result == SweepResult(examined=2, removed=1, removed_octets=6)
    assert await listed(blobs) == {kept}
    assert orphan != kept


@pytest.mark.parametrize(
    ("age", "removed"),
    [(HOUR - SECOND, 0), (HOUR, 1), (HOUR + SECOND, 1), (timedelta(0), 0), (-HOUR, 0)],
    ids=["younger", "exact", "older", "new", "from-the-future"],
)
async def test_a_young_body_is_spared(
    blobs: BlobStore, clock: HandClock, age: timedelta, removed: int
) -> None:
    """Its row may be on the way."""
    clock.at = NOW - age
    await blobs.put(clock.new_id(), b"octets")
    result = await sweep(blobs, Rows().hold, now=NOW, minimum_age=HOUR)

    assert result.removed == removed


async def test_rows_are_asked_in_bounded_batches(clock: HandClock) -> None:
    """A million bodies must not become one query."""
    blobs, rows = MemoryBlobStore(clock=clock), Rows()
    for _ in range(2 * BATCH + 1):
        await blobs.put(clock.new_id(), b"")
    result = await sweep(blobs, rows.hold, now=NOW, minimum_age=HOUR)

    assert rows.asked == [BATCH, BATCH, 1]
    assert result.removed == 2 * BATCH + 1


async def test_an_empty_store_asks_nothing(blobs: BlobStore) -> None:
    """The database is left in peace."""
    rows = Rows()

    assert (await sweep(blobs, rows.hold, now=NOW, minimum_age=HOUR)).examined == 0
    assert rows.asked == []


async def test_rows_that_cannot_be_asked_keep_everything(
    blobs: BlobStore, clock: HandClock
) -> None:
    """No answer is not the answer that nothing is held."""
    ref = await blobs.put(clock.new_id(), b"octets")

    async def unknown(refs: Sequence[str]) -> set[str]:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await sweep(blobs, unknown, now=NOW, minimum_age=HOUR)
    assert await listed(blobs) == {ref}
