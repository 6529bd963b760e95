"""Which octets of a connection are one message? Minimal Lower Layer Protocol (MLLP).

A message stands between VT (0x0B) and FS CR (0x1C 0x0D). What lies between messages is only white
space; an end without its CR is taken, since no character of a message is FS.

Errors
    `FrameError`: something else stands there, or it is too large, too slow or cut off.
Sources
    HL7, Transport Specification: MLLP, release 1 (2003).
"""

import asyncio
from dataclasses import dataclass
from typing import Final

START: Final = b"\x0b"
END: Final = b"\x1c"
_BLANK: Final = b"\r\n\t \x00"
CHUNK: Final = 64 * 1024


@dataclass(eq=False)
class FrameError(Exception):
    """A connection is of no more use.

    Attributes:
        reason: `noise`, `too-large`, `cut-off`.
        beginning: The first octets of the frame, to answer it if its header is there.
    """

    reason: str
    beginning: bytes = b""


def build_frame(message: bytes) -> bytes:
    """Put a message into its frame."""
    return START + message + END + b"\r"


@dataclass(slots=True)
class FrameReader:
    """Reads message after message from a stream, never more than *limit_octets* of each."""

    stream: asyncio.StreamReader
    limit_octets: int
    _rest: bytes = b""

    async def wait(self) -> bool:
        """Wait for the beginning of a message; tell whether one comes."""
        while True:
            self._rest = self._rest.lstrip(_BLANK)
            if self._rest:
                if self._rest[:1] != START:
                    raise FrameError("noise")
                return True
            self._rest = await self.stream.read(CHUNK)
            if not self._rest:
                return False

    async def read(self) -> bytes:
        """Read the message that begins here."""
        chunks = [self._rest[1:]]
        size = len(chunks[0])
        while True:
            chunk, end, rest = chunks[-1].partition(END)
            if end:
                chunks[-1], self._rest = chunk, rest
                return b"".join(chunks)
            if size > self.limit_octets:
                raise FrameError("too-large", beginning=b"".join(chunks)[:CHUNK])
            more = await self.stream.read(CHUNK)
            if not more:
                raise FrameError("cut-off")
            size += len(more)
            chunks.append(more)
