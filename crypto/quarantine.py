"""Keep plaintext aside in a file that nobody else can find or read.

The file has no name from its first moment (where the system offers that), so a killed process
leaves nothing behind. What is on the disk is encrypted with a key that lives in this object only
and is gone with it, so neither a copy of the disk nor a swapped file system shows a letter. There
is no authentication: whoever can write into the files of this process has won already.

Units
    Offsets in octets of plaintext; the file on disk has the same size.
Errors
    What the file system raises; `ValueError` for a write that does not append.
Sources
    NIST SP 800-38A, 6.5 (counter mode).
"""

import os
import tempfile
from os import urandom
from pathlib import Path
from typing import IO, Final

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

_BLOCK: Final = 16
_KEY_OCTETS: Final = 32


class SealedTemporaryFile:
    """A file that is written once from beginning to end, and read anywhere.

    The same key stream would protect what is written a second time at the same place: therefore
    writing appends, and `truncate` changes the key.
    """

    __slots__ = ("_at", "_file", "_key", "_size", "_writer")

    def __init__(self, directory: Path) -> None:
        # Pieces are large, so a buffer of its own would only hold plaintext once more.
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115 -- closed by `close`
        self._renew()

    def _renew(self) -> None:
        self._at = self._size = 0
        self._key = urandom(_KEY_OCTETS)
        self._writer = self._context(0)

    def write(self, octets: bytes, /) -> int:
        """Append all of *octets*."""
        if self._at != self._size:
            raise ValueError("writes append")
        left = memoryview(self._writer.update(octets))
        self._file.seek(self._size)
        while left:  # an unbuffered file may take a part
            left = left[self._file.write(left) :]
        self._size += len(octets)
        self._at = self._size
        return len(octets)

    def read(self, size: int = -1, /) -> bytes:
        """Return up to *size* octets; none at the end."""
        left = max(self._size - self._at, 0)
        wanted = left if size < 0 else min(size, left)
        pieces = []
        context = self._context(self._at)
        self._file.seek(self._at)
        while wanted and (piece := self._file.read(wanted)):
            pieces.append(context.update(piece))
            wanted -= len(piece)
            self._at += len(piece)
        return b"".join(pieces)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to an offset."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def tell(self) -> int:
        """Return the offset."""
        return self._at

    def truncate(self, size: int = 0, /) -> int:
        """Forget everything; another *size* than zero is refused."""
        if size:
            raise ValueError("only to nothing")
        self._file.truncate(0)
        self._renew()
        return 0

    def close(self) -> None:
        """Close the file, which is the end of it, and forget the key."""
        self._key = b""
        self._file.close()

    def _context(self, offset: int) -> CipherContext:
        counter = (offset // _BLOCK).to_bytes(_BLOCK, "big")
        context = Cipher(AES(self._key), modes.CTR(counter)).encryptor()
        context.update(bytes(offset % _BLOCK))
        return context
