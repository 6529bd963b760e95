"""How stored records are read, listed and erased in segment files.

A segment is a file of records one after the other. Its writer holds a lock on it for as long as it
appends (`appending.py`); afterwards nothing is ever added. Any process may read any segment, and
may delete records in it: that flags the header, erases the body and moves nothing.

A crash may leave octets at the end of a segment that are no record. Nobody was told of them: they
are passed over, and so is any stretch that can no longer be read.

Errors
    `BlobMissingError` and `BlobDamagedError` for one record, `StoreUnavailableError` and
    `StoreFullError` for the disk.
"""

import ctypes
import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mss.blobs.errors import BlobDamagedError, BlobMissingError
from mss.blobs.records import (
    DEAD,
    HEADER_OCTETS,
    MAGIC,
    STATE_OFFSET,
    LocalRef,
    RecordHeader,
    RecordSyntaxError,
    is_name,
    parse_body,
    parse_header,
)
from mss.errors import StoreFullError, StoreUnavailableError

SUFFIX = ".segment"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CANNOT_PUNCH = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EINTR})
_CHUNK_OCTETS = 1024 * 1024
# Linux, fallocate(2): give the blocks back and leave the size as it is.
_PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01


def store_error(error: OSError) -> StoreFullError | StoreUnavailableError:
    """Say what an error of the operating system means for who wanted to store something."""
    if error.errno in _FULL:
        return StoreFullError(where="blobs")
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return StoreUnavailableError(reason=f"blobs: {name}")


@contextmanager
def translated() -> Iterator[None]:
    """Turn errors of the operating system into ours."""
    try:
        yield
    except OSError as error:
        raise store_error(error) from error


def segment_path(folder: Path, segment: str) -> Path:
    """Say where a segment is."""
    return folder / f"{segment}{SUFFIX}"


def list_segments(folder: Path) -> list[str]:
    """List the segments of a folder, oldest first; other files are none of our business."""
    stems = (path.stem for path in folder.iterdir() if path.suffix == SUFFIX)
    return sorted(stem for stem in stems if is_name(stem))


def read_body(folder: Path, ref: LocalRef) -> bytes:
    """Read what *ref* points to, and make sure that it is what was stored.

    Raises:
        BlobMissingError: It was deleted.
        BlobDamagedError: It is something else.
        StoreUnavailableError: The disk does not answer.
    """
    try:
        with _opened(segment_path(folder, ref.segment), os.O_RDONLY) as file:
            return _read_body(file, ref)
    except FileNotFoundError:
        raise BlobMissingError(ref=str(ref)) from None
    except RecordSyntaxError as error:
        raise BlobDamagedError(ref=str(ref), reason=str(error)) from error
    except OSError as error:
        raise store_error(error) from error


def delete_record(folder: Path, ref: LocalRef) -> None:
    """Flag a record as dead, then erase its body; anything else than that record is left alone.

    Not synced: if a crash undoes it, no row refers to the record and the sweeper finds it again.
    """
    with (
        suppress(FileNotFoundError, RecordSyntaxError),
        _opened(segment_path(folder, ref.segment), os.O_RDWR) as file,
    ):
        header = _header_at(file, ref.offset)
        if (header.name, header.length_octets) == (ref.name, ref.length_octets):
            # In this order: whoever reads an erased body can still see from the flag why.
            os.pwrite(file, bytes((DEAD,)), ref.offset + STATE_OFFSET)
            _erase(file, ref.offset + HEADER_OCTETS, ref.length_octets)


def iter_headers(file: int, start: int = 0) -> Iterator[tuple[int, RecordHeader]]:
    """Stream the records that begin at *start* or later, with their offsets."""
    size = os.fstat(file).st_size
    offset = start
    while (found := _next_header(file, offset, size)) is not None:
        offset, header = found
        yield offset, header
        offset += HEADER_OCTETS + header.length_octets


def list_live(folder: Path, segment: str) -> list[tuple[LocalRef, RecordHeader]]:
    """List the live records of a segment; none if it is gone."""
    with (
        suppress(FileNotFoundError),
        _opened(segment_path(folder, segment), os.O_RDONLY) as file,
    ):
        return [
            (
                LocalRef(
                    segment=segment,
                    offset=offset,
                    length_octets=header.length_octets,
                    name=header.name,
                ),
                header,
            )
            for offset, header in iter_headers(file)
            if header.is_live
        ]
    return []


@contextmanager
def closed_segment(folder: Path, segment: str) -> Iterator[int | None]:
    """Hold a segment that nobody appends to; `None` if somebody does, or it is gone."""
    try:
        file = os.open(segment_path(folder, segment), os.O_RDWR)
    except FileNotFoundError:
        yield None
        return
    try:
        yield file if lock(file) else None
    finally:
        os.close(file)


def lock(file: int) -> bool:
    """Lock a segment until it is closed, or say that somebody else holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def remove_if_dead(folder: Path, segment: str, start: int) -> int | None:
    """Remove a closed segment in which nothing is alive from *start* on.

    Returns:
        The offset of the first live record; `None` if there is none, and the file is gone.
    """
    with closed_segment(folder, segment) as file:
        if file is None:
            return start
        first = next((offset for offset, one in iter_headers(file, start) if one.is_live), None)
        if first is None:
            segment_path(folder, segment).unlink(missing_ok=True)
        return first


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags)
    try:
        yield file
    finally:
        os.close(file)


def _header_at(file: int, offset: int) -> RecordHeader:
    return parse_header(os.pread(file, HEADER_OCTETS, offset))


def _read_body(file: int, ref: LocalRef) -> bytes:
    if ref.offset + HEADER_OCTETS + ref.length_octets > os.fstat(file).st_size:
        raise RecordSyntaxError("cut short")
    body = os.pread(file, ref.length_octets, ref.offset + HEADER_OCTETS)
    # After the body, because a deletion flags the header before it erases the body.
    header = _header_at(file, ref.offset)
    if not header.is_live:
        raise BlobMissingError(ref=str(ref))
    return parse_body(header, ref.name, body)


def _next_header(file: int, offset: int, size: int) -> tuple[int, RecordHeader] | None:
    """Find the first whole record at *offset* or later."""
    header = _fitting(os.pread(file, HEADER_OCTETS, offset), offset, size)
    if header is not None:
        return offset, header
    while size - offset >= HEADER_OCTETS and (chunk := os.pread(file, _CHUNK_OCTETS, offset)):
        at = chunk.find(MAGIC)
        while at >= 0:
            candidate = os.pread(file, HEADER_OCTETS, offset + at)
            header = _fitting(candidate, offset + at, size)
            if header is not None:
                return offset + at, header
            at = chunk.find(MAGIC, at + 1)
        # The last octets again: a magic may straddle two chunks.
        offset += max(len(chunk) - len(MAGIC) + 1, 1)
    return None


def _fitting(octets: bytes, offset: int, size: int) -> RecordHeader | None:
    """Read a header whose body ends within the file."""
    try:
        header = parse_header(octets)
    except RecordSyntaxError:
        return None
    return header if offset + HEADER_OCTETS + header.length_octets <= size else None


def _erase(file: int, offset: int, length: int) -> None:
    """Make octets unreadable, and give their room back where the file system can do that."""
    if length and not _punched(file, offset, length):
        for start in range(offset, offset + length, _CHUNK_OCTETS):
            os.pwrite(file, bytes(min(_CHUNK_OCTETS, offset + length - start)), start)


def _punched(file: int, offset: int, length: int) -> bool:
    """Punch a hole; `False` where that is not known."""
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return False
    library = ctypes.CDLL(None, use_errno=True)
    arguments = (ctypes.c_int64(offset), ctypes.c_int64(length))
    if library.fallocate(file, _PUNCH_HOLE_KEEP_SIZE, *arguments) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT_PUNCH:
        return False
    raise OSError(code, os.strerror(code))
