"""Stores bodies until it is killed, and tells each reference that it was given."""

import asyncio
import sys
from pathlib import Path

from mss.blobs.local import LocalBlobStore
from mss.clock import SystemClock


async def main(folder: Path) -> None:
    clock = SystemClock()
    store = LocalBlobStore(folder, clock=clock, segment_octets=200_000)

    async def produce() -> None:
        while True:
            name = clock.new_id()
            print(await store.put(name, name.encode() * 500), flush=True)  # noqa: T201

    await asyncio.gather(*(produce() for _ in range(4)))


asyncio.run(main(Path(sys.argv[1])))
