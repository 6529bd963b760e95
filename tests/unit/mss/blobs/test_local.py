import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mss.blobs.appending import Disk, create_segment
from mss.blobs.errors import BlobDamagedError, BlobMissingError
from mss.blobs.local import LocalBlobStore
from mss.blobs.records import HEADER_OCTETS, LocalRef, find_local_ref
from mss.blobs.segments import closed_segment, list_segments, segment_path
from mss.clock import SystemClock
from mss.errors import MSSError, StoreFullError, StoreUnavailableError
from tests.unit.mss.blobs.disks import TroubledDisk, short_writes

CLOCK = SystemClock()
BODY = b"letter " * 100


@pytest.fixture
def disk() -> TroubledDisk:
    return TroubledDisk()


@pytest.fixture
async def store(tmp_path: Path, disk: TroubledDisk) -> AsyncIterator[LocalBlobStore]:
    made = LocalBlobStore(tmp_path, clock=CLOCK, disk=disk.calls())
    yield made
    disk.let_go()
    await made.aclose()


async def put(store: LocalBlobStore, octets: bytes = BODY) -> str:
    return await store.put(CLOCK.new_id(), octets)


async def put_many(store: LocalBlobStore, count: int, octets: bytes = BODY) -> list[str]:
    return await asyncio.gather(*(put(store, octets) for _ in range(count)))


async def listed(store: LocalBlobStore) -> set[str]:
    return {record.ref async for record in store.iter_records()}


def place(ref: str) -> LocalRef:
    found = find_local_ref(ref)
    assert found is not None
    return found


def segment_of(ref: str) -> str:
    return place(ref).segment


async def held_back(store: LocalBlobStore, disk: TroubledDisk) -> "asyncio.Task[str]":
    """Start a put, and return once its sync is under way and held back."""
    disk.hold_back()
    first = asyncio.ensure_future(put(store))
    assert await asyncio.to_thread(disk.is_syncing.wait, 10)
    return first


# Durability


async def test_what_waits_together_is_synced_once(
    store: LocalBlobStore, disk: TroubledDisk
) -> None:
    """Group commit: the disk's slowness is paid once for all who wait."""
    first = await held_back(store, disk)
    others = asyncio.gather(*(put(store) for _ in range(20)))
    await asyncio.sleep(0)
    disk.let_go()
    refs = [await first, *await others]

    assert disk.syncs == 2
    assert len({place(ref).offset for ref in refs}) == 21


async def test_nobody_is_answered_before_the_sync(
    store: LocalBlobStore, disk: TroubledDisk
) -> None:
    """A 250 for a body in the page cache is a lost message after a power cut."""
    first = await held_back(store, disk)
    done, _ = await asyncio.wait([first], timeout=0.05)

    assert not done


async def test_every_answered_body_lies_before_the_last_sync(
    store: LocalBlobStore, disk: TroubledDisk, tmp_path: Path
) -> None:
    """What a power cut may take begins after the last body that anybody was told of."""
    refs = [place(ref) for ref in await put_many(store, 30)]
    (inode,) = {segment_path(tmp_path, ref.segment).stat().st_ino for ref in refs}

    ends = [ref.offset + HEADER_OCTETS + ref.length_octets for ref in refs]
    assert max(ends) <= disk.durable[inode]


async def test_a_power_cut_takes_nothing_that_was_answered(
    store: LocalBlobStore, disk: TroubledDisk, tmp_path: Path
) -> None:
    """The unsynced end of a segment is replaced by rubbish, as a power cut may do."""
    refs = await put_many(store, 10)
    path = segment_path(tmp_path, segment_of(refs[0]))
    durable = disk.durable[path.stat().st_ino]
    unanswered = await held_back(store, disk)
    os.truncate(path, durable)
    os.truncate(path, durable + 500)

    after = LocalBlobStore(tmp_path, clock=CLOCK)
    assert [await after.get(ref) for ref in refs] == [BODY] * 10
    assert await listed(after) == set(refs)
    unanswered.cancel()


async def test_a_new_segment_is_findable_before_its_bodies_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder itself is synced: a durable file without a durable name is lost."""
    synced: list[os.stat_result] = []
    # The folder's sync is no part of `Disk`; watching it needs the real function replaced.
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file)))
    store = LocalBlobStore(tmp_path / "a" / "b", clock=CLOCK)
    await put(store)
    await store.aclose()

    inodes = [one.st_ino for one in synced]
    assert inodes == [path.stat().st_ino for path in (tmp_path, tmp_path / "a", tmp_path / "a/b")]


@pytest.mark.parametrize("most_octets", [1, 7, HEADER_OCTETS, HEADER_OCTETS + 3, 1000])
async def test_a_disk_that_writes_in_small_pieces_is_borne(
    tmp_path: Path, most_octets: int
) -> None:
    """POSIX lets a write stop anywhere."""
    disk = Disk(write=short_writes(most_octets))
    store = LocalBlobStore(tmp_path, clock=CLOCK, disk=disk)
    refs = await put_many(store, 3)

    assert [await store.get(ref) for ref in refs] == [BODY] * 3
    await store.aclose()


# Trouble


@pytest.mark.parametrize(
    "room", [0, 10, HEADER_OCTETS, 900], ids=["none", "part", "header", "short"]
)
async def test_a_full_disk_leaves_nothing_behind(
    store: LocalBlobStore, disk: TroubledDisk, tmp_path: Path, room: int
) -> None:
    """The peer keeps the message; half a body would be litter that looks like one."""
    kept = await put(store)
    end = HEADER_OCTETS + len(BODY)
    disk.room_octets = end + room
    with pytest.raises(StoreFullError):
        await put(store, BODY * 2)

    assert segment_path(tmp_path, segment_of(kept)).stat().st_size == end
    assert await listed(store) == {kept}


async def test_room_that_comes_back_is_used(store: LocalBlobStore, disk: TroubledDisk) -> None:
    """No restart is needed after the administrator has made room."""
    disk.room_octets = 100
    with pytest.raises(StoreFullError):
        await put(store)
    disk.room_octets = None

    assert await store.get(await put(store)) == BODY


async def test_a_body_too_large_for_the_rest_does_not_take_small_ones_down(
    store: LocalBlobStore, disk: TroubledDisk
) -> None:
    """They wait together, but they do not fail together."""
    first = await held_back(store, disk)
    large = asyncio.ensure_future(put(store, b"x" * 100_000))
    small = asyncio.ensure_future(put(store))
    await asyncio.sleep(0)
    disk.room_octets = 10_000
    disk.let_go()
    await first

    assert await store.get(await small) == BODY
    with pytest.raises(StoreFullError):
        await large


async def test_a_file_that_may_not_grow_is_followed_by_another(
    store: LocalBlobStore, disk: TroubledDisk
) -> None:
    """EFBIG is about one file: it must not keep the store closed."""
    first = await put(store)
    disk.room_octets, disk.write_error = 1500, errno.EFBIG
    with pytest.raises(StoreFullError):
        await put_many(store, 1, BODY * 2)

    assert segment_of(await put(store)) != segment_of(first)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (errno.EIO, StoreUnavailableError),
        (errno.ENOSPC, StoreFullError),
        (errno.EDQUOT, StoreFullError),
    ],
)
async def test_a_segment_whose_sync_failed_is_never_written_again(
    store: LocalBlobStore, disk: TroubledDisk, code: int, error: type[MSSError]
) -> None:
    """The kernel may have dropped the pages and would call the next sync good."""
    kept = await put(store)
    disk.sync_error = code
    with pytest.raises(error):
        await put(store)
    disk.sync_error = None
    after = await put(store)

    assert segment_of(after) != segment_of(kept)
    assert await listed(store) == {kept, after}


async def test_a_segment_that_cannot_be_taken_back_is_never_written_again(
    store: LocalBlobStore, disk: TroubledDisk
) -> None:
    """What is left at its end is a torn tail; records after it could be missed."""
    kept = await put(store)
    disk.room_octets, disk.truncate_error = 1000, errno.EIO
    with pytest.raises(StoreFullError):
        await put(store)
    disk.room_octets = None

    assert segment_of(await put(store)) != segment_of(kept)


async def test_a_disk_that_writes_nothing_is_full(tmp_path: Path) -> None:
    """It must not be asked for ever."""
    store = LocalBlobStore(tmp_path, clock=CLOCK, disk=Disk(write=short_writes(0)))
    with pytest.raises(StoreFullError):
        await put(store)
    await store.aclose()


async def test_an_unforeseen_fault_answers_too(tmp_path: Path) -> None:
    """A writer that dies silently would leave every door waiting."""

    def broken(*_: object) -> int:
        raise MemoryError

    store = LocalBlobStore(tmp_path, clock=CLOCK, disk=Disk(write=broken))
    with pytest.raises(StoreUnavailableError):
        await put(store)
    with pytest.raises(StoreUnavailableError):
        await put(store)
    await store.aclose()


async def test_a_segment_removed_under_our_feet_is_noticed(
    store: LocalBlobStore, tmp_path: Path
) -> None:
    """Writes to a file without a name succeed, and are gone with the process."""
    segment_path(tmp_path, segment_of(await put(store))).unlink()
    with pytest.raises(StoreUnavailableError):
        await put(store)

    assert await store.get(await put(store)) == BODY


async def test_a_lost_folder_is_trouble_not_loss(tmp_path: Path) -> None:
    """An unmounted disk must not be answered with 250."""
    store = LocalBlobStore(tmp_path / "blobs", clock=CLOCK)
    (tmp_path / "blobs").rmdir()

    with pytest.raises(StoreUnavailableError):
        await put(store)
    with pytest.raises(StoreUnavailableError):
        await listed(store)
    await store.aclose()


async def test_a_cancelled_put_harms_nobody(store: LocalBlobStore, disk: TroubledDisk) -> None:
    """A peer hangs up while its message waits for the disk."""
    first = await held_back(store, disk)
    gone, stays = (asyncio.ensure_future(put(store, body)) for body in (b"gone", b"stays"))
    await asyncio.sleep(0)
    first.cancel()
    gone.cancel()
    disk.let_go()
    ref = await stays

    assert await store.get(ref) == b"stays"
    # The first was being written and is an orphan for the sweeper; the second never was.
    assert [record.size_octets async for record in store.iter_records()] == [len(BODY), 5]


async def test_who_hangs_up_during_the_sync_spoils_no_other_answer(
    store: LocalBlobStore, disk: TroubledDisk
) -> None:
    """All of a batch are woken together; one of them may have gone."""
    first = await held_back(store, disk)
    gone, stays = (asyncio.ensure_future(put(store)) for _ in range(2))
    await asyncio.sleep(0)
    disk.is_syncing.clear()
    disk.let_go(1)
    await first
    assert await asyncio.to_thread(disk.is_syncing.wait, 10)
    gone.cancel()
    disk.let_go()

    assert await store.get(await asyncio.wait_for(stays, 10)) == BODY


async def test_closing_stores_what_still_waits(store: LocalBlobStore, disk: TroubledDisk) -> None:
    """A graceful stop loses nothing that was handed in."""
    first = await held_back(store, disk)
    others = [asyncio.ensure_future(put(store)) for _ in range(3)]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(store.aclose())
    await asyncio.sleep(0)
    disk.let_go()
    await closing

    assert [await store.get(await one) for one in (first, *others)] == [BODY] * 4


async def test_a_closed_store_takes_nothing(store: LocalBlobStore) -> None:
    """Shutdown closes doors first; whoever comes later is told to try again."""
    await store.aclose()

    with pytest.raises(StoreUnavailableError):
        await put(store)


# Files


async def test_folder_and_files_are_private(tmp_path: Path) -> None:
    """No other account of the machine may read them, whatever the umask."""
    folder = tmp_path / "blobs"
    folder.mkdir(mode=0o755)
    store = LocalBlobStore(folder, clock=CLOCK)
    ref = await put(store)
    await store.aclose()

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(segment_path(folder, segment_of(ref)).stat().st_mode) == 0o600


async def test_a_segment_is_closed_at_its_size(tmp_path: Path) -> None:
    """Small files can be removed when all in them is dead."""
    store = LocalBlobStore(tmp_path, clock=CLOCK, segment_octets=1400)
    refs = [await put(store) for _ in range(5)]
    await store.aclose()

    assert [len({segment_of(ref) for ref in refs[:n]}) for n in range(1, 6)] == [1, 1, 2, 2, 3]


async def test_each_run_begins_a_segment(tmp_path: Path) -> None:
    """A torn tail is never appended to."""
    first, second = (LocalBlobStore(tmp_path, clock=CLOCK) for _ in range(2))
    before = await put(first)
    await first.aclose()
    after = await put(second)
    await second.aclose()

    assert segment_of(before) != segment_of(after)


async def test_a_run_that_stores_nothing_leaves_nothing(
    store: LocalBlobStore, disk: TroubledDisk, tmp_path: Path
) -> None:
    """Neither a reader nor a run on a full disk."""
    disk.room_octets = 0
    with pytest.raises(StoreFullError):
        await put(store)
    await store.aclose()

    assert list_segments(tmp_path) == []


async def test_two_stores_share_a_folder(store: LocalBlobStore, tmp_path: Path) -> None:
    """API and worker are separate processes: each appends to its own, and reads and deletes all."""
    other = LocalBlobStore(tmp_path, clock=CLOCK)
    ours, theirs = await asyncio.gather(put_many(store, 20), put_many(other, 20))

    assert {segment_of(ref) for ref in ours}.isdisjoint(segment_of(ref) for ref in theirs)
    assert await other.get(ours[3]) == await store.get(theirs[3]) == BODY
    await asyncio.gather(other.delete(ours[0]), store.delete(theirs[0]))
    assert await listed(store) == await listed(other) == {*ours[1:], *theirs[1:]}
    await other.aclose()


async def test_the_last_deletion_removes_a_closed_segment(tmp_path: Path) -> None:
    """In whatever order, and by whichever process."""
    store = LocalBlobStore(tmp_path, clock=CLOCK)
    refs = await put_many(store, 3)
    await store.aclose()
    other = LocalBlobStore(tmp_path, clock=CLOCK)
    await store.delete(refs[1])
    await other.delete(refs[2])
    assert list_segments(tmp_path) == [segment_of(refs[0])]
    await store.delete(refs[0])

    assert list_segments(tmp_path) == []


async def test_the_segment_in_use_stays_when_all_in_it_is_dead(
    store: LocalBlobStore, tmp_path: Path
) -> None:
    """The next body goes there."""
    ref = await put(store)
    await store.delete(ref)
    after = await put(store)

    assert segment_of(after) == segment_of(ref)
    assert await store.get(after) == BODY


def test_a_name_that_is_taken_is_passed_over(tmp_path: Path) -> None:
    """Two processes that invent the same name do not write into one file."""
    names = iter(["1" * 32, "1" * 32, "2" * 32])
    first = create_segment(tmp_path, lambda: next(names), Disk())
    second = create_segment(tmp_path, lambda: next(names), Disk())

    assert (first.name, second.name) == ("1" * 32, "2" * 32)
    first.close()
    second.close()


def test_names_that_are_all_taken_end_the_search(tmp_path: Path) -> None:
    """A clock gone mad must not hang the writer."""
    segment_path(tmp_path, "1" * 32).touch()

    with pytest.raises(FileExistsError):
        create_segment(tmp_path, lambda: "1" * 32, Disk())


def test_a_segment_whose_name_is_not_durable_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bodies in it would be lost with the folder's entry."""

    def broken(file: int) -> None:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "fsync", broken)  # The folder's sync is no part of `Disk`.
    with pytest.raises(OSError, match="no"):
        create_segment(tmp_path, CLOCK.new_id, Disk())

    assert list_segments(tmp_path) == []


def test_a_new_segment_is_locked_at_once(tmp_path: Path) -> None:
    """An empty file looks like a dead segment to another process."""
    segment = create_segment(tmp_path, lambda: "1" * 32, Disk())
    with closed_segment(tmp_path, segment.name) as file:
        assert file is None

    segment.close()


# Compaction


async def closed_with(folder: Path, *, living: int, dead: int) -> tuple[LocalBlobStore, list[str]]:
    """Leave a closed segment, and open a store over it."""
    before = LocalBlobStore(folder, clock=CLOCK)
    refs = await put_many(before, living + dead)
    await before.aclose()
    for ref in refs[living:]:
        await before.delete(ref)
    return LocalBlobStore(folder, clock=CLOCK), refs[:living]


async def test_compaction_moves_the_last_bodies_of_a_segment(tmp_path: Path) -> None:
    """And the old copies stay for those who have just read the old reference."""
    store, (old,) = await closed_with(tmp_path, living=1, dead=3)
    moves: dict[str, str] = {}

    async def move(old: str, new: str) -> bool:
        moves[old] = new
        return True

    assert await store.compact(move) == 1
    assert [await store.get(ref) for ref in (old, moves[old])] == [BODY, BODY]
    assert place(moves[old]).name == place(old).name
    await store.delete(old)
    assert list_segments(tmp_path) == [segment_of(moves[old])]
    await store.aclose()


async def test_a_copy_that_no_row_wanted_is_deleted(tmp_path: Path) -> None:
    """The row is not written yet, or is gone: the body stays where it is."""
    store, (old,) = await closed_with(tmp_path, living=1, dead=3)

    async def move(old: str, new: str) -> bool:
        return False

    assert await store.compact(move) == 0
    assert await listed(store) == {old}
    await store.aclose()


async def no_move(old: str, new: str) -> bool:
    raise AssertionError("nothing was to be moved")


async def test_compaction_leaves_a_segment_that_is_mostly_alive(tmp_path: Path) -> None:
    """Copying costs more than it gives back."""
    store, refs = await closed_with(tmp_path, living=3, dead=1)

    assert await store.compact(no_move) == 0
    assert await listed(store) == set(refs)
    await store.aclose()


async def test_compaction_leaves_the_segment_in_use(store: LocalBlobStore) -> None:
    """Its writer may be another process."""
    refs = await put_many(store, 4)
    for ref in refs[1:]:
        await store.delete(ref)

    assert await store.compact(no_move) == 0
    assert await store.get(refs[0]) == BODY


async def test_compaction_removes_what_a_crash_left_empty(tmp_path: Path) -> None:
    """A process killed before its first sync leaves a file with nothing whole in it."""
    segment_path(tmp_path, "0" * 32).write_bytes(b"MSSB\1L")
    store = LocalBlobStore(tmp_path, clock=CLOCK)

    assert await store.compact(no_move) == 0
    assert list_segments(tmp_path) == []


async def test_compaction_passes_over_a_damaged_body(tmp_path: Path) -> None:
    """It stays where it is, for whoever can mend it."""
    store, (old,) = await closed_with(tmp_path, living=1, dead=3)
    with segment_path(tmp_path, segment_of(old)).open("r+b") as file:
        file.seek(place(old).offset + HEADER_OCTETS)
        file.write(b"L")

    assert await store.compact(no_move) == 0
    with pytest.raises(BlobDamagedError):
        await store.get(old)


async def test_a_reference_beyond_a_segment_is_not_followed(store: LocalBlobStore) -> None:
    """Nor is memory reserved for the length that it claims."""
    ref = place(await put(store))

    with pytest.raises(BlobDamagedError):
        await store.get(str(replace(ref, length_octets=10**17)))
    with pytest.raises(BlobMissingError):
        await store.get(str(replace(ref, segment="f" * 32)))
