"""A virus scanner that speaks clamd's INSTREAM, and finds the EICAR test text and nothing else.

Shapes
    `fault` makes it misbehave: `hang` never answers, `garbage` answers nonsense, `endless` answers
    without an end, `cut` hangs up in the middle of the stream; empty for none.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

# In two pieces, so that scanners of other people leave this file alone.
EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-" + "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
NAME = "Eicar-Test-Signature"


@dataclass(slots=True)
class Clamd:
    """The daemon.

    Attributes:
        scanned: What it was sent, in order.
        limit: Its `StreamMaxLength`.
    """

    address: str = ""
    fault: str = ""
    limit: int = 10_000_000
    scanned: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hold one connection."""
        try:
            command = await reader.readuntil(b"\0")
            assert command == b"zINSTREAM\0", command
            writer.write(await self._answer(reader))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        octets = bytearray()
        while size := int.from_bytes(await reader.readexactly(4), "big"):
            octets += await reader.readexactly(size)
            if self.fault == "cut":
                raise ConnectionResetError
            if len(octets) > self.limit:
                return b"INSTREAM size limit exceeded. ERROR\0"
        self.scanned.append(bytes(octets))
        match self.fault:
            case "hang":
                await reader.read()  # until the client has lost its patience
                raise ConnectionResetError
            case "garbage":
                return b"stream: PERHAPS\0"
            case "endless":
                return b"stream: " + b"x" * 100_000
            case _:
                found = EICAR.encode() in octets
                return f"stream: {f'{NAME} FOUND' if found else 'OK'}\0".encode()


@asynccontextmanager
async def running_clamd(unix_path: str = "") -> AsyncIterator[Clamd]:
    """Run a scanner while the block lasts, on loopback or on a UNIX socket."""
    daemon = Clamd()
    if unix_path:
        server = await asyncio.start_unix_server(daemon.serve, unix_path)
        daemon.address = f"unix:{unix_path}"
    else:
        server = await asyncio.start_server(daemon.serve, "127.0.0.1", 0)
        daemon.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield daemon
    finally:
        server.close()
        await server.wait_closed()
