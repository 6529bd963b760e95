"""How bodies become durable: what docs/adr/0004 decided, measured.

Bodies of 100 kB. Ours: appended to a segment, one sync for all that waits. The other way: a file
each, written, synced, renamed, and its folder synced.
"""

import asyncio
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

from crypto.sealing import Sealer, new_key
from mss.blobs.local import LocalBlobStore
from mss.blobs.sealed import SealedBlobStore
from mss.clock import SystemClock
from mss.ports import BlobStore
from tests.performance.compare import compare

BODY = os.urandom(100_000)
BODIES = 400
PRODUCERS = (1, 8, 32)


def run() -> None:
    """Measure with one, some and many producers."""
    with tempfile.TemporaryDirectory(prefix="mss-bench-", dir=os.environ.get("TMPDIR")) as folder:
        for producers in PRODUCERS:
            _compare(Path(folder), producers)


def _compare(folder: Path, producers: int) -> None:
    compare(
        "blobs",
        f"durable bodies of 100 kB, {producers} at once",
        {
            "segment, group commit, sealed": lambda: asyncio.run(
                _append(folder, producers, is_sealed=True)
            ),
            "segment, group commit": lambda: asyncio.run(
                _append(folder, producers, is_sealed=False)
            ),
            "file + fsync + folder sync": lambda: _write_files(folder, producers),
        },
    )


async def _append(folder: Path, producers: int, *, is_sealed: bool) -> float:
    local = LocalBlobStore(folder / uuid4().hex, clock=SystemClock(), segment_octets=64 << 20)
    store: BlobStore = SealedBlobStore(local, Sealer({1: new_key()}, 1)) if is_sealed else local

    async def produce() -> None:
        for _ in range(BODIES // producers):
            await store.put(uuid4().hex, BODY)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(producers):
            group.create_task(produce())
    took = time.perf_counter() - started
    await store.aclose()
    return BODIES // producers * producers / took


def _write_files(folder: Path, producers: int) -> float:
    place = folder / uuid4().hex
    place.mkdir()
    started = time.perf_counter()
    with ThreadPoolExecutor(producers) as threads:
        list(threads.map(lambda _: _write_file(place), range(BODIES)))
    return BODIES / (time.perf_counter() - started)


def _write_file(folder: Path) -> None:
    draft = folder / f".{uuid4().hex}"
    with draft.open("wb") as stream:
        stream.write(BODY)
        stream.flush()
        os.fsync(stream.fileno())
    draft.rename(folder / draft.name[1:])
    opened = os.open(folder, os.O_RDONLY)
    os.fsync(opened)
    os.close(opened)
