import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

import mss
from mss.blobs.local import LocalBlobStore
from mss.blobs.records import find_local_ref
from mss.blobs.segments import list_segments
from mss.clock import SystemClock

ROOT = Path(mss.__file__).parents[1]
WRITER = Path(__file__).with_name("crash_writer.py")


def killed_after(folder: Path, acknowledged: int) -> list[str]:
    """Let a process store bodies, kill it after so many, and return every reference it told."""
    with subprocess.Popen(
        [sys.executable, WRITER, folder],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = list(islice(process.stdout, acknowledged))
        process.kill()
        lines += process.stdout
    return [line.strip() for line in lines if line.endswith("\n")]


@pytest.mark.slow
async def test_every_acknowledged_body_survives_being_killed(tmp_path: Path) -> None:
    """`kill -9` at any moment, again and again: nothing that was answered is lost."""
    refs = [ref for count in (1, 2, 5, 30, 77) for ref in killed_after(tmp_path, count)]
    store = LocalBlobStore(tmp_path, clock=SystemClock())
    names = [local.name for ref in refs if (local := find_local_ref(ref))]

    assert len(refs) == len(set(refs)) >= 115
    assert [await store.get(ref) for ref in refs] == [name.encode() * 500 for name in names]
    listed = {record.ref async for record in store.iter_records()}
    assert set(refs) <= listed
    # Four were in the making at each death; what became durable of them is for the sweeper.
    assert len(listed) <= len(refs) + 5 * 4


@pytest.mark.slow
async def test_a_torn_segment_is_removed_with_its_last_body(tmp_path: Path) -> None:
    """What a crash leaves does not stay for ever."""
    killed_after(tmp_path, 20)
    store = LocalBlobStore(tmp_path, clock=SystemClock())
    listed = [record.ref async for record in store.iter_records()]
    assert len(listed) >= 20

    async def move(old: str, new: str) -> bool:
        raise AssertionError("all is dead")

    for ref in listed:
        await store.delete(ref)
    await store.compact(move)
    assert list_segments(tmp_path) == []
