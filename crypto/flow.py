"""Octets that are too many to hold at once: read in pieces, as often as needed.

Shapes
    A `Flow` gives the same pieces each time that it is read. A `Span` is a view of a part of an
    open file that reads like a file; closing it is left to whoever opened the file.
Errors
    `FlowChangedError` when a second reading gives another number of octets than the first.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from crypto.canonical import canonical, is_canonical
from crypto.errors import CryptoError

PIECE_OCTETS: Final = 128 * 1024


class ReadableFile(Protocol):
    """A file, open for reading octets, in which one can go back."""

    def read(self, size: int, /) -> bytes:
        """Return up to *size* octets; none at the end."""

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to an offset."""


class WritableFile(Protocol):
    """Where octets go."""

    def write(self, octets: bytes, /) -> object:
        """Take all of *octets*."""


@dataclass(eq=False)
class FlowChangedError(CryptoError):
    """What is being signed or encrypted changed between two readings."""

    code: ClassVar[str] = "source-changed"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "The message changed while it was being protected."


@dataclass(frozen=True, slots=True)
class Flow:
    """Octets that can be read again.

    Attributes:
        pieces: Begins a reading, from the first octet.
    """

    pieces: Callable[[], Iterator[bytes]]

    def write_to(self, sink: WritableFile) -> int:
        """Write everything to *sink*; return how many octets that was."""
        written = 0
        for piece in self.pieces():
            sink.write(piece)
            written += len(piece)
        return written


class Span:
    """A part of an open file, as a file of its own with its own position."""

    __slots__ = ("_at", "_file", "end", "start")

    def __init__(self, file: ReadableFile, start: int = 0, end: int | None = None) -> None:
        if isinstance(file, Span):  # a view of a view is a view, and leaves its position alone
            file, start, end = file._part(start, end)  # noqa: SLF001 -- its own class
        self._file = file
        self.start = start
        self.end = file.seek(0, os.SEEK_END) if end is None else end
        self._at = start

    def __len__(self) -> int:
        return self.end - self.start

    def read(self, size: int = -1, /) -> bytes:
        """Return up to *size* octets; none at the end."""
        left = self.end - self._at
        wanted = left if size < 0 else min(size, left)
        if wanted <= 0:
            return b""
        self._file.seek(self._at)
        octets = self._file.read(wanted)
        self._at += len(octets)
        return octets

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to an offset, counted within the part."""
        origin = {os.SEEK_SET: self.start, os.SEEK_CUR: self._at, os.SEEK_END: self.end}[whence]
        self._at = max(self.start, origin + offset)
        return self._at - self.start

    def tell(self) -> int:
        """Return the position within the part."""
        return self._at - self.start

    def part(self, start: int, end: int | None = None) -> "Span":
        """Return a part of this part; offsets are counted within it."""
        return Span(self, start, end)

    def _part(self, start: int, end: int | None) -> tuple[ReadableFile, int, int]:
        last = self.end if end is None else min(self.start + end, self.end)
        return self._file, min(self.start + start, last), last


def of_octets(octets: bytes) -> Flow:
    """Return a flow of octets that are at hand."""
    return Flow(lambda: iter((octets,)))


def of_file(file: ReadableFile) -> Flow:
    """Return a flow of a whole file, from its first octet."""

    def pieces() -> Iterator[bytes]:
        span = Span(file)
        while piece := span.read(PIECE_OCTETS):
            yield piece

    return Flow(pieces)


def joined(flows: Sequence[Flow]) -> Flow:
    """Return the octets of several flows, one after the other."""

    def pieces() -> Iterator[bytes]:
        for flow in flows:
            yield from flow.pieces()

    return Flow(pieces)


def canonical_flow(flow: Flow) -> Flow:
    """Return *flow* with every line ended by CRLF, as `crypto.canonical.canonical` does."""

    def pieces() -> Iterator[bytes]:
        held = b""  # a CR whose LF may be in the next piece
        for piece in flow.pieces():
            octets = held + piece if held else piece
            held = b""
            if octets.endswith(b"\r"):
                held, octets = b"\r", octets[:-1]
            yield octets if is_canonical(octets) else canonical(octets)
        if held:
            yield b"\r\n"

    return Flow(pieces)


def measured(pieces: Iterator[bytes], expected_octets: int) -> Iterator[bytes]:
    """Pass pieces on, and refuse more or fewer octets than were promised in a header."""
    left = expected_octets
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left:
        raise FlowChangedError
