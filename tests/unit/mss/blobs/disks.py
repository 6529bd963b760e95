"""Disks that fail when told to, for tests of the local store."""

import errno
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mss.blobs.appending import Disk


@dataclass(slots=True, kw_only=True)
class TroubledDisk:
    """Counts what is asked of it, and refuses what it is told to refuse.

    Attributes:
        room_octets: How long a file may become; the write that crosses this stops short there.
        write_error: What is answered at the end of the room.
        sync_error: What a sync answers, if anything.
        truncate_error: What taking back answers, if anything.
        syncs: How many syncs were asked for.
        is_syncing: Set once a sync has begun.
        durable: Length at the last good sync, by inode.
    """

    room_octets: int | None = None
    write_error: int = errno.ENOSPC
    sync_error: int | None = None
    truncate_error: int | None = None
    is_syncing: threading.Event = field(default_factory=threading.Event)
    syncs: int = 0
    durable: dict[int, int] = field(default_factory=dict)
    _turns: threading.Semaphore | None = None

    def hold_back(self) -> None:
        """Let syncs wait from now on."""
        self.is_syncing.clear()
        self._turns = threading.Semaphore(0)

    def let_go(self, syncs: int = 1000) -> None:
        """Let so many syncs happen."""
        if self._turns is not None:
            self._turns.release(syncs)

    def calls(self) -> Disk:
        """Hand out the system calls."""
        return Disk(write=self._write, sync=self._sync, truncate=self._truncate)

    def _write(self, file: int, buffers: Sequence[memoryview], offset: int) -> int:
        octets = b"".join(buffers)
        if self.room_octets is None:
            return os.pwrite(file, octets, offset)
        fitting = octets[: max(self.room_octets - offset, 0)]
        _fail_if(not fitting, self.write_error)
        return os.pwrite(file, fitting, offset)

    def _sync(self, file: int) -> None:
        self.syncs += 1
        self.is_syncing.set()
        assert self._turns is None or self._turns.acquire(timeout=10)
        _fail_if(self.sync_error is not None, self.sync_error)
        os.fdatasync(file)
        status = os.fstat(file)
        self.durable[status.st_ino] = status.st_size

    def _truncate(self, file: int, length: int) -> None:
        _fail_if(self.truncate_error is not None, self.truncate_error)
        os.ftruncate(file, length)


def short_writes(most_octets: int) -> Callable[[int, Sequence[memoryview], int], int]:
    """Write no more than so many octets in a call, as a disk may."""

    def write(file: int, buffers: Sequence[memoryview], offset: int) -> int:
        return os.pwrite(file, b"".join(buffers)[:most_octets], offset)

    return write


def _fail_if(condition: bool, code: int | None) -> None:  # noqa: FBT001 -- reads as a sentence
    if condition and code is not None:
        raise OSError(code, os.strerror(code))
