"""Fills a small disk, makes room, and goes on; each line it prints is a fact for the test."""

import asyncio
import resource
import sys
from pathlib import Path

from mss.blobs.local import LocalBlobStore
from mss.clock import SystemClock
from mss.errors import StoreFullError

BODY_OCTETS = 100_000
CLOCK = SystemClock()


async def fill(store: LocalBlobStore) -> list[str]:
    """Store bodies until there is no room; fifty would be five megaoctets."""
    refs: list[str] = []
    try:
        for _ in range(50):
            ref = await store.put(CLOCK.new_id(), b"b" * BODY_OCTETS)
            refs.append(ref)
    except StoreFullError:
        print("full", len(refs))  # noqa: T201
    return refs


async def check(store: LocalBlobStore, refs: list[str]) -> None:
    """Say whether exactly these bodies are there, and whole."""
    bodies = [await store.get(ref) for ref in refs]
    listed = {record.ref async for record in store.iter_records()}
    print("whole", bodies == [b"b" * BODY_OCTETS] * len(refs), listed == set(refs))  # noqa: T201


async def on_a_small_file_system(folder: Path) -> None:
    store = LocalBlobStore(folder, clock=CLOCK)
    refs = await fill(store)
    await check(store, refs)
    await store.delete(refs.pop(0))
    await store.delete(refs.pop(0))
    refs.append(await store.put(CLOCK.new_id(), b"b" * BODY_OCTETS))
    await check(store, refs)
    await store.aclose()


async def with_small_files(folder: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (BODY_OCTETS // 2, hard))
    store = LocalBlobStore(folder, clock=CLOCK)
    refs = await fill(store)
    await check(store, refs)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    refs.append(await store.put(CLOCK.new_id(), b"b" * BODY_OCTETS))
    await check(store, refs)
    await store.aclose()


if __name__ == "__main__":
    asyncio.run(
        {"disk": on_a_small_file_system, "files": with_small_files}[sys.argv[1]](Path(sys.argv[2]))
    )
