"""The blob store on this machine: appended segment files, durable before anybody is answered.

Several processes may share the folder: each appends to its own segments and reads all. The folder
is private (0700), and so are its files (0600).

Errors
    As promised by `BlobStore`; `delete`, `iter_records` and `compact` may also raise
    `StoreUnavailableError`.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from mss.blobs.appending import DISK, Disk, GroupCommit, sync_folder
from mss.blobs.compaction import Move
from mss.blobs.errors import BlobDamagedError, BlobMissingError
from mss.blobs.offload import run_by_size
from mss.blobs.records import HEADER_OCTETS, LocalRef, build_header, find_local_ref, require_name
from mss.blobs.segments import (
    closed_segment,
    delete_record,
    list_live,
    list_segments,
    read_body,
    remove_if_dead,
    segment_path,
    translated,
)
from mss.clock import Clock
from mss.ports import BlobRecord

SEGMENT_OCTETS = 64 * 1024 * 1024
# Up to here the event loop may wait: for a disk that is read, for a checksum (0.1 ms).
_INLINE_READ_OCTETS = 64 * 1024
_INLINE_CHECKSUM_OCTETS = 256 * 1024


class LocalBlobStore:
    """Bodies in segment files of one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        segment_octets: int = SEGMENT_OCTETS,
        disk: Disk = DISK,
    ) -> None:
        with translated():
            _make_private(folder)
        self._folder = folder
        self._clock = clock
        self._writer = GroupCommit(
            folder, new_id=clock.new_id, segment_octets=segment_octets, disk=disk
        )
        # Segment to an offset before which all is dead: deleting looks at each record once.
        self._dead_before: dict[str, int] = {}

    async def put(self, name: str, octets: bytes) -> str:
        """Store *octets*, return the reference to find them by; durable when it returns."""
        require_name(name)
        # Here rather than in the writer: the checksum is made while the disk syncs.
        header = await run_by_size(
            partial(build_header, name, octets, self._clock.now()),
            len(octets),
            inline_octets=_INLINE_CHECKSUM_OCTETS,
        )
        return await self._writer.append(name, header, octets)

    async def get(self, ref: str) -> bytes:
        """Fetch what is behind *ref*."""
        local = find_local_ref(ref)
        if local is None:
            raise BlobMissingError(ref=ref)
        return await run_by_size(
            partial(read_body, self._folder, local),
            local.length_octets,
            inline_octets=_INLINE_READ_OCTETS,
        )

    async def delete(self, ref: str) -> None:
        """Remove what is behind *ref*, and its segment when nothing else lives there."""
        local = find_local_ref(ref)
        if local is not None:
            await asyncio.to_thread(self._delete, local)

    async def iter_records(self) -> AsyncIterator[BlobRecord]:
        """Stream every stored body, in no particular order."""
        with translated():
            for segment in await asyncio.to_thread(list_segments, self._folder):
                for ref, header in await asyncio.to_thread(list_live, self._folder, segment):
                    yield BlobRecord(
                        ref=str(ref), stored_at=header.stored_at, size_octets=header.length_octets
                    )

    async def compact(self, move: Move) -> int:
        """Copy the last bodies out of closed segments that are mostly dead; remove the dead ones.

        The old copies stay until the sweeper finds that no row refers to them: who has just read
        an old reference from a row can still follow it, and so can a row that is being written.

        Returns:
            How many bodies were moved.
        """
        with translated():
            segments = await asyncio.to_thread(list_segments, self._folder)
        return sum([await self._compact_segment(segment, move) for segment in segments])

    async def aclose(self) -> None:
        """Store what is under way and let go of the files."""
        await self._writer.aclose()

    def _delete(self, ref: LocalRef) -> None:
        with translated():
            delete_record(self._folder, ref)
            start = self._dead_before.get(ref.segment, 0)
            first = remove_if_dead(self._folder, ref.segment, start)
        if first is None:
            self._dead_before.pop(ref.segment, None)
        else:
            self._dead_before[ref.segment] = first

    async def _compact_segment(self, segment: str, move: Move) -> int:
        with ExitStack() as held:
            with translated():
                file = held.enter_context(closed_segment(self._folder, segment))
                if file is None:
                    return 0
                live = await asyncio.to_thread(list_live, self._folder, segment)
                if not live:
                    segment_path(self._folder, segment).unlink()
                    return 0
                size_octets = os.fstat(file).st_size
            live_octets = sum(HEADER_OCTETS + ref.length_octets for ref, _ in live)
            if 2 * live_octets > size_octets:
                return 0
            return sum([await self._move_body(ref, move) for ref, _ in live])

    async def _move_body(self, old: LocalRef, move: Move) -> bool:
        # What cannot be read is left where it is, for whoever mends it.
        with suppress(BlobMissingError, BlobDamagedError):
            new = await self.put(old.name, await self.get(str(old)))
            if await move(str(old), new):
                return True
            await self.delete(new)
        return False


def _make_private(folder: Path) -> None:
    """Make the folder, durably, and close it to others."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        with suppress(FileExistsError):
            one.mkdir(mode=0o700)
        sync_folder(one.parent)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)
