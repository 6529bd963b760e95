"""Where a message waits while it arrives: few octets in memory, many in a private file.

A letter of 25 MB takes its time on the line, and a hundred of them may be on their way at once.
What exceeds `MEMORY_OCTETS` goes to a file that has no name, so that nothing is left behind
whatever ends the process, and whose contents are encrypted with a key that only this process ever
knew (docs/adr/0019).

Errors
    `StoreFullError` and `StoreUnavailableError` for the disk; nothing is lost but the message that
    is arriving, which its sender still has.
"""

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from crypto.quarantine import SealedTemporaryFile
from mss.blobs.segments import translated

MEMORY_OCTETS: Final = 256 * 1024
_PIECE_OCTETS: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Spool:
    """Opens files for what arrives.

    Attributes:
        folder: Where they are, though nobody sees them there; made when it is needed, mode 0700.
            Without one, the system's folder for temporary files.
    """

    folder: Path | None = None

    def open(self) -> "SpooledOctets":
        """Begin with nothing."""
        return SpooledOctets(self)

    def open_file(self) -> SealedTemporaryFile:
        """Open a file without a name.

        Raises:
            OSError: The disk is full or broken.
        """
        folder = self.folder or Path(tempfile.gettempdir())
        if self.folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return SealedTemporaryFile(folder)


class SpooledOctets:
    """Octets that arrive block by block; close them after use.

    Attributes:
        size_octets: How many there are.
    """

    __slots__ = ("_blocks", "_file", "_spool", "size_octets")

    def __init__(self, spool: Spool) -> None:
        self.size_octets = 0
        self._spool = spool
        self._blocks: list[bytes] = []
        self._file: SealedTemporaryFile | None = None

    @property
    def is_on_disk(self) -> bool:
        """Tell whether there were too many for the memory."""
        return self._file is not None

    def write(self, block: bytes) -> None:
        """Take one more block.

        Raises:
            StoreFullError: There is no room for it.
            StoreUnavailableError: The disk does not answer.
        """
        self.size_octets += len(block)
        if self._file is None and self.size_octets <= MEMORY_OCTETS:
            self._blocks.append(block)
            return
        with translated():
            if self._file is None:
                self._file = self._spool.open_file()
                for earlier in self._blocks:
                    self._file.write(earlier)
                self._blocks.clear()
            self._file.write(block)

    def read(self) -> bytes:
        """Give all of them at once.

        Raises:
            StoreUnavailableError: The disk does not answer, or not with what was written.
        """
        if self._file is None:
            return b"".join(self._blocks)
        with translated():
            self._file.seek(0)
            # Piece by piece, so that whoever waits for the interpreter gets it in between.
            octets = b"".join(iter(partial(self._file.read, _PIECE_OCTETS), b""))
            if len(octets) != self.size_octets:
                raise OSError("the spool is shorter than what was written")
        return octets

    def close(self) -> None:
        """Forget everything."""
        self._blocks.clear()
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
