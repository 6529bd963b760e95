"""What every blob store promises (`mss/ports.py`, `BlobStore`)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from crypto.sealing import Sealer
from mss.blobs.errors import BlobDamagedError, BlobMissingError
from mss.blobs.local import LocalBlobStore
from mss.blobs.records import HEADER_OCTETS, find_local_ref
from mss.blobs.s3 import S3BlobStore
from mss.blobs.sealed import SealedBlobStore
from mss.clock import SystemClock
from mss.ports import BlobStore
from tests.support.fakes import FullBlobStore, MemoryBlobStore
from tests.support.s3 import BUCKET, running_s3

CLOCK = SystemClock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A store under test, and a way to spoil what it holds."""

    store: BlobStore
    damage: Callable[[str], None]


def _memory(folder: Path, opened: AsyncExitStack) -> Subject:
    store = MemoryBlobStore()
    return Subject(store=store, damage=store.damage)


def _full_with_room(folder: Path, opened: AsyncExitStack) -> Subject:
    store = FullBlobStore(is_full=False)
    return Subject(store=store, damage=store.damage)


def _local(folder: Path, opened: AsyncExitStack) -> Subject:
    def damage(ref: str) -> None:
        local = find_local_ref(ref)
        assert local is not None
        segment = folder / f"{local.segment}.segment"
        _flip(segment, local.offset + HEADER_OCTETS + local.length_octets // 2)

    return Subject(store=LocalBlobStore(folder, clock=CLOCK, segment_octets=4096), damage=damage)


def _sealed(folder: Path, opened: AsyncExitStack) -> Subject:
    inner = _local(folder, opened)
    return Subject(
        store=SealedBlobStore(inner.store, Sealer({1: bytes(range(32))}, current=1)),
        damage=inner.damage,
    )


def _s3(folder: Path, opened: AsyncExitStack) -> Subject:
    service = opened.enter_context(running_s3(folder))
    store = S3BlobStore(bucket=BUCKET, prefix="a/b", settings=service.settings(), clock=CLOCK)

    def damage(ref: str) -> None:
        (object_path,) = service.folder.rglob(ref.removeprefix("s3:"))
        _flip(object_path, HEADER_OCTETS)

    return Subject(store=store, damage=damage)


def _flip(path: Path, offset: int) -> None:
    """Change one octet of a file in place."""
    with path.open("r+b") as file:
        file.seek(offset)
        (octet,) = file.read(1)
        file.seek(offset)
        file.write(bytes((octet ^ 0xFF,)))


@pytest.fixture(
    params=[
        pytest.param(_memory, id="memory"),
        pytest.param(_full_with_room, id="full-with-room"),
        pytest.param(_local, id="local"),
        pytest.param(_sealed, id="sealed-over-local"),
        pytest.param(_s3, id="s3", marks=pytest.mark.slow),
    ]
)
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    async with AsyncExitStack() as opened:
        made = request.param(tmp_path, opened)
        opened.push_async_callback(made.store.aclose)
        yield made


@pytest.mark.parametrize(
    "octets",
    [b"", b"\0", b"MSSB" * 100, bytes(range(256)) * 40, b"m" * 1_000_000],
    ids=["empty", "one", "magic", "binary", "large"],
)
async def test_what_was_put_is_got(subject: Subject, octets: bytes) -> None:
    """A message that is not returned octet for octet loses its signature."""
    ref = await subject.store.put(CLOCK.new_id(), octets)

    assert await subject.store.get(ref) == octets


async def test_bodies_put_at_the_same_time_do_not_mix(subject: Subject) -> None:
    """Doors accept many messages at once; each row must find its own body."""
    bodies = {CLOCK.new_id(): bytes((number,)) * number * 50 for number in range(40)}
    refs = await asyncio.gather(*(subject.store.put(*item) for item in bodies.items()))
    got = await asyncio.gather(*(subject.store.get(ref) for ref in refs))

    assert got == list(bodies.values())
    assert len(set(refs)) == len(bodies)


async def test_a_reference_ends_with_the_name(subject: Subject) -> None:
    """Sealing binds the name, and finds it again in the reference."""
    name = CLOCK.new_id()

    assert (await subject.store.put(name, b"body")).endswith(f":{name}")


async def test_a_deleted_body_is_missing(subject: Subject) -> None:
    """A retention period ends with nothing left to read."""
    kept = await subject.store.put(CLOCK.new_id(), b"kept")
    ref = await subject.store.put(CLOCK.new_id(), b"body")
    await subject.store.delete(ref)

    with pytest.raises(BlobMissingError):
        await subject.store.get(ref)
    assert await subject.store.get(kept) == b"kept"


async def test_deleting_twice_is_no_error(subject: Subject) -> None:
    """A purge that was interrupted starts again from its list."""
    ref = await subject.store.put(CLOCK.new_id(), b"body")
    await subject.store.delete(ref)
    await subject.store.delete(ref)

    assert [record async for record in subject.store.iter_records()] == []


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "nothing",
        "s3:../../../../etc/passwd",
        "local:../../etc/passwd:0:1:00000000000000000000000000000000",
        f"local:{'0' * 32}:0:1:{'0' * 32}",
        f"local:{'0' * 32}:0:{'9' * 18}:{'0' * 32}",
        f"s3:{'0' * 32}",
        f"s3:{'0' * 32}\n",
    ],
)
async def test_a_reference_to_nothing_is_missing(subject: Subject, ref: str) -> None:
    """A reference comes from a row; rows are restored from backups, and edited by hand."""
    await subject.store.delete(ref)

    with pytest.raises(BlobMissingError):
        await subject.store.get(ref)


async def test_a_damaged_body_is_not_handed_out(subject: Subject) -> None:
    """Wrong octets in a letter are worse than none."""
    ref = await subject.store.put(CLOCK.new_id(), b"body of a letter")
    subject.damage(ref)

    with pytest.raises(BlobDamagedError):
        await subject.store.get(ref)


async def test_a_damaged_body_can_be_deleted(subject: Subject) -> None:
    """What is broken must not stay for ever."""
    ref = await subject.store.put(CLOCK.new_id(), b"body of a letter")
    subject.damage(ref)
    await subject.store.delete(ref)

    with pytest.raises(BlobMissingError):
        await subject.store.get(ref)


async def test_every_living_body_is_listed_once(subject: Subject) -> None:
    """The sweeper must see all that is there, and nothing that is gone."""
    refs = [await subject.store.put(CLOCK.new_id(), b"x" * 2000) for _ in range(5)]
    await subject.store.delete(refs[1])
    listed = sorted([record.ref async for record in subject.store.iter_records()])

    assert listed == sorted(refs[:1] + refs[2:])


async def test_a_listed_body_says_when_it_was_stored(subject: Subject) -> None:
    """The sweeper spares what is young."""
    before = CLOCK.now().replace(microsecond=0)
    await subject.store.put(CLOCK.new_id(), b"x" * 2000)
    (record,) = [record async for record in subject.store.iter_records()]

    assert before <= record.stored_at <= CLOCK.now()
    assert record.size_octets >= 2000


@pytest.mark.parametrize("name", ["", "0" * 31, "0" * 33, "G" * 32, "A" * 32, "../" * 11, "é" * 32])
async def test_a_name_of_another_form_is_a_mistake(subject: Subject, name: str) -> None:
    """Names become file names and object keys."""
    with pytest.raises(ValueError, match="32"):
        await subject.store.put(name, b"body")


async def test_closing_twice_is_no_error(subject: Subject) -> None:
    """Shutdown may be asked for by several."""
    await subject.store.aclose()
    await subject.store.aclose()
