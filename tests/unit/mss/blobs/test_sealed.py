from pathlib import Path

import pytest

from crypto.sealing import Sealer
from mss.blobs.errors import BlobDamagedError
from mss.blobs.local import LocalBlobStore
from mss.blobs.sealed import SealedBlobStore
from mss.clock import SystemClock
from tests.support.fakes import MemoryBlobStore

CLOCK = SystemClock()
BODY = b"Compte rendu d'hospitalisation"
FIRST, SECOND = bytes(range(32)), bytes(range(1, 33))


def sealed(inner: MemoryBlobStore, keys: dict[int, bytes] | None = None) -> SealedBlobStore:
    keys = keys or {1: FIRST}
    return SealedBlobStore(inner, Sealer(keys, current=max(keys)))


@pytest.fixture
def inner() -> MemoryBlobStore:
    return MemoryBlobStore()


@pytest.mark.parametrize("size_factor", [1, 20_000], ids=["small", "in-a-thread"])
async def test_the_store_beneath_sees_no_clear_text(
    inner: MemoryBlobStore, size_factor: int
) -> None:
    """A stolen disk or bucket is worth nothing."""
    ref = await sealed(inner).put(CLOCK.new_id(), BODY * size_factor)

    assert b"hospital" not in await inner.get(ref)
    assert await sealed(inner).get(ref) == BODY * size_factor


async def test_a_body_in_the_place_of_another_does_not_open(inner: MemoryBlobStore) -> None:
    """Whoever can write to the disk cannot give a patient somebody else's letter."""
    store = sealed(inner)
    one, other = [await store.put(CLOCK.new_id(), body) for body in (BODY, b"another")]
    inner.bodies[one], inner.bodies[other] = inner.bodies[other], inner.bodies[one]

    with pytest.raises(BlobDamagedError):
        await store.get(one)


@pytest.mark.parametrize("octets", [b"", BODY, bytes(200)], ids=["empty", "clear", "zeros"])
async def test_what_was_never_sealed_does_not_open(inner: MemoryBlobStore, octets: bytes) -> None:
    """Clear text under a sealed store is a forgery, not a convenience."""
    ref = await inner.put(CLOCK.new_id(), octets)

    with pytest.raises(BlobDamagedError):
        await sealed(inner).get(ref)


async def test_something_else_sealed_with_the_same_key_is_no_body(inner: MemoryBlobStore) -> None:
    """The key also seals rows; their octets must not pass for a message."""
    name = CLOCK.new_id()
    ref = await inner.put(name, Sealer({1: FIRST}, current=1).seal(BODY, context=name.encode()))

    with pytest.raises(BlobDamagedError):
        await sealed(inner).get(ref)


async def test_a_body_sealed_with_an_older_key_opens(inner: MemoryBlobStore) -> None:
    """Keys are rotated; bodies are not sealed again."""
    ref = await sealed(inner, {1: FIRST}).put(CLOCK.new_id(), BODY)

    assert await sealed(inner, {1: FIRST, 2: SECOND}).get(ref) == BODY


async def test_a_body_whose_key_is_gone_says_why(inner: MemoryBlobStore) -> None:
    """The administrator must see that a key is missing, not that a disk is bad."""
    ref = await sealed(inner, {1: FIRST}).put(CLOCK.new_id(), BODY)

    with pytest.raises(BlobDamagedError, match="key-version"):
        await sealed(inner, {2: SECOND}).get(ref)


async def test_a_moved_body_still_opens(tmp_path: Path) -> None:
    """Compaction copies sealed octets, and the name goes with them."""
    before = SealedBlobStore(LocalBlobStore(tmp_path, clock=CLOCK), Sealer({1: FIRST}, current=1))
    refs = [await before.put(CLOCK.new_id(), BODY) for _ in range(4)]
    await before.aclose()
    store = SealedBlobStore(LocalBlobStore(tmp_path, clock=CLOCK), Sealer({1: FIRST}, current=1))
    for ref in refs[1:]:
        await store.delete(ref)
    moved: list[str] = []

    async def move(old: str, new: str) -> bool:
        moved.append(new)
        return True

    assert await store.compact(move) == 1
    assert await store.get(moved[0]) == BODY
    await store.aclose()


async def test_a_store_that_needs_no_compaction_is_left_alone(inner: MemoryBlobStore) -> None:
    """The periodic job asks every store."""

    async def move(old: str, new: str) -> bool:
        raise AssertionError("nothing to move")

    assert await sealed(inner).compact(move) == 0
