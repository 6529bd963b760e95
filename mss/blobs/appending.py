"""How bodies get onto the disk: one writer, one sync for all that waits.

A thread takes whatever has arrived, appends it to the segment of this process, syncs once, and
answers everybody (group commit; performance depends little on how slow the disk syncs). Bodies are
handed to it when a turn of the event loop brings no more, so that those which are ready together
are written together (docs/adr/0031). A segment is begun when the first body arrives: what an
earlier run left behind is never appended to.

Errors
    Nothing is half stored. Without room the batch is taken back; a segment whose sync failed is
    never written again, because the kernel may have dropped what it could not write.
"""

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from mss.blobs.records import LocalRef
from mss.blobs.segments import lock, segment_path, store_error
from mss.errors import StoreFullError, StoreUnavailableError

# Two buffers a record, and POSIX systems take 1024 in one call.
_BATCH_RECORDS = 500
_BATCH_OCTETS = 16 * 1024 * 1024
_NAMING_ATTEMPTS = 16
# Contents and length, but not the times; not every system has it.
_SYNC: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The system calls on which durability rests, handed in so that tests can let them fail."""

    write: Callable[[int, Sequence[memoryview], int], int] = os.pwritev
    sync: Callable[[int], None] = _SYNC
    truncate: Callable[[int, int], None] = os.ftruncate


DISK = Disk()


class OpenSegment:
    """The segment that this process appends to, and nobody else.

    Attributes:
        name: What references call it.
        size_octets: Where the next record goes; all before is durable.
        is_sound: False once nothing more may be written to it.
    """

    def __init__(self, folder: Path, name: str, file: int, disk: Disk) -> None:
        self.name = name
        self.size_octets = 0
        self.is_sound = True
        self._path = segment_path(folder, name)
        self._file = file
        self._disk = disk

    def append(self, buffers: Sequence[bytes]) -> None:
        """Append all of *buffers*, durably, or nothing.

        Raises:
            OSError: The disk is full or broken.
        """
        if os.fstat(self._file).st_nlink == 0:
            self.is_sound = False
            raise OSError(errno.ESTALE, "the segment was removed under our feet")
        try:
            end = self._write(buffers)
        except OSError as error:
            # EFBIG speaks of this file: the next one has room again.
            self.is_sound = error.errno != errno.EFBIG
            self._take_back()
            raise
        try:
            self._disk.sync(self._file)
        except OSError:
            self.is_sound = False
            self._take_back()
            raise
        self.size_octets = end

    def close(self) -> None:
        """Let go of the file; if nothing was stored, let it go altogether."""
        if not self.size_octets:
            with suppress(OSError):
                self._path.unlink()
        os.close(self._file)

    def _write(self, buffers: Sequence[bytes]) -> int:
        end = self.size_octets
        views = [memoryview(buffer) for buffer in buffers if buffer]
        while views:
            written = self._disk.write(self._file, views, end)
            if written <= 0:
                raise OSError(errno.ENOSPC, "nothing was written")
            end += written
            views = _after(views, written)
        return end

    def _take_back(self) -> None:
        try:
            self._disk.truncate(self._file, self.size_octets)
        except OSError:
            self.is_sound = False


def create_segment(folder: Path, new_id: Callable[[], str], disk: Disk) -> OpenSegment:
    """Begin a segment: ours alone, and findable after a power cut.

    Raises:
        OSError: The disk is full or broken.
    """
    for _ in range(_NAMING_ATTEMPTS):
        name = new_id()
        path = segment_path(folder, name)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        try:
            if _is_ours(file):
                sync_folder(folder)
                return OpenSegment(folder, name, file, disk)
        except OSError:
            with suppress(OSError):
                path.unlink()
            os.close(file)
            raise
        os.close(file)
    raise OSError(errno.EEXIST, "no free name for a segment")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """A record, and who waits for its reference."""

    name: str
    header: bytes
    octets: bytes
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[str]"


class GroupCommit:
    """Appends what arrives in batches; starts with the first body, ends with `aclose`."""

    def __init__(
        self, folder: Path, *, new_id: Callable[[], str], segment_octets: int, disk: Disk
    ) -> None:
        self._folder = folder
        self._new_id = new_id
        self._segment_octets = segment_octets
        self._disk = disk
        self._segment: OpenSegment | None = None
        self._queue: SimpleQueue[list[_Waiting] | None] = SimpleQueue()
        self._gathered: list[_Waiting] = []
        self._door = threading.Lock()  # between "is it closed?" and taking a place in the queue
        self._thread: threading.Thread | None = None
        self._is_closed = False

    async def append(self, name: str, header: bytes, octets: bytes) -> str:
        """Append one record, and return its reference once it is durable.

        A caller that stops waiting leaves at most a body that no row refers to.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(
            name=name, header=header, octets=octets, loop=loop, future=loop.create_future()
        )
        with self._door:
            if self._is_closed:
                raise StoreUnavailableError(reason="blobs: closed")
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="mss-blobs", daemon=True)
                thread.start()
                self._thread = thread
            self._gathered.append(waiting)
            if len(self._gathered) == 1:
                loop.call_soon(self._hand_over, loop, 0)
        return await waiting.future

    def _hand_over(self, loop: asyncio.AbstractEventLoop, known: int) -> None:
        """Give what was gathered to the writer as soon as nothing more comes with it."""
        with self._door:
            if self._is_closed:
                return
            count = len(self._gathered)
            if count > known:
                loop.call_soon(self._hand_over, loop, count)
                return
            gathered, self._gathered = self._gathered, []
            self._queue.put(gathered)

    async def aclose(self) -> None:
        """Store what still waits, then end the writer."""
        with self._door:
            if not self._is_closed:
                self._is_closed = True
                gathered, self._gathered = self._gathered, []
                self._queue.put(gathered)
                self._queue.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while self._commit_next():
            pass
        self._leave_segment()

    def _commit_next(self) -> bool:
        """Store the next batch; False after the last one. Its octets are not kept any longer."""
        batch, is_last = self._take_batch()
        # Whoever has gone meanwhile is not written for.
        wanted = [waiting for waiting in batch if not waiting.future.cancelled()]
        if wanted:
            self._commit(wanted)
        return not is_last

    def _take_batch(self) -> tuple[list[_Waiting], bool]:
        """Wait for one body and take along what else is there; True with the last batch."""
        batch: list[_Waiting] = []
        size = 0
        arrived = self._queue.get()
        while arrived is not None:
            batch += arrived
            size += sum(len(one.octets) for one in arrived)
            if len(batch) >= _BATCH_RECORDS or size >= _BATCH_OCTETS:
                return batch, False
            try:
                arrived = self._queue.get_nowait()
            except Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: list[_Waiting]) -> None:
        """Store a batch and answer everybody in it."""
        try:
            answers: list[str | Exception] = [str(ref) for ref in self._store(batch)]
        except OSError as error:
            answers = [store_error(error) for _ in batch]
            if len(batch) > 1 and isinstance(answers[0], StoreFullError):
                # A large body that finds no room must not take small ones down with it.
                for waiting in batch:
                    self._commit([waiting])
                return
        except Exception as error:  # noqa: BLE001 -- nobody may wait for ever, whatever happened
            answers = [
                StoreUnavailableError(reason=f"blobs: {type(error).__name__}") for _ in batch
            ]
        _answer(batch, answers)

    def _store(self, batch: list[_Waiting]) -> list[LocalRef]:
        segment = self._current_segment()
        offset = segment.size_octets
        buffers: list[bytes] = []
        refs: list[LocalRef] = []
        for one in batch:
            buffers += (one.header, one.octets)
            length = len(one.octets)
            refs.append(
                LocalRef(segment=segment.name, offset=offset, length_octets=length, name=one.name)
            )
            offset += len(one.header) + length
        segment.append(buffers)
        return refs

    def _current_segment(self) -> OpenSegment:
        """Return the segment to write to: a new one if there is none, or it is long enough."""
        segment = self._segment
        if segment is not None and segment.is_sound and segment.size_octets < self._segment_octets:
            return segment
        self._leave_segment()
        self._segment = create_segment(self._folder, self._new_id, self._disk)
        return self._segment

    def _leave_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()


def _is_ours(file: int) -> bool:
    """Lock a new segment; False if somebody took it for a dead one, and removes it."""
    return lock(file) and os.fstat(file).st_nlink > 0


def _after(views: list[memoryview], written: int) -> list[memoryview]:
    """Drop what was written from the front of *views*."""
    for index, view in enumerate(views):
        if written < len(view):
            return [view[written:], *views[index + 1 :]]
        written -= len(view)
    return []


def _answer(batch: list[_Waiting], answers: Sequence[str | Exception]) -> None:
    """Wake each event loop once, with all of its answers."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Waiting, str | Exception]]] = {}
    for waiting, answer in zip(batch, answers, strict=True):
        by_loop.setdefault(waiting.loop, []).append((waiting, answer))
    for loop, settled in by_loop.items():
        with suppress(RuntimeError):  # The loop has closed: nobody waits any more.
            loop.call_soon_threadsafe(_settle, settled)


def _settle(answers: list[tuple[_Waiting, str | Exception]]) -> None:
    for waiting, answer in answers:
        if waiting.future.done():
            continue
        if isinstance(answer, str):
            waiting.future.set_result(answer)
        else:
            waiting.future.set_exception(answer)
