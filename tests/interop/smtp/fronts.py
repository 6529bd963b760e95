"""TLS in front of Postfix's test programs, which know none: one for each direction.

A front speaks the first words itself (greeting, EHLO, STARTTLS, and the handshake with both
certificates), then carries octets both ways without a look at them.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from tests.support.wire import Wire

CHUNK = 64 * 1024
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def before_sink(port: int, tls: ssl.SSLContext) -> AsyncIterator[int]:
    """Stand in front of a server on *port*; gives the port to connect to."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 front ESMTP\r\n")
        await reader.readline()
        writer.write(b"250-front\r\n250 STARTTLS\r\n")
        await reader.readline()
        writer.write(b"220 2.0.0 go\r\n")
        await writer.start_tls(tls)
        inner = await asyncio.open_connection("127.0.0.1", port)
        try:
            if await inner[0].readline():  # its greeting was given already
                await _carry((reader, writer), inner)
        finally:
            inner[1].transport.abort()

    async with _listening(serve) as own:
        yield own


@asynccontextmanager
async def before_door(port: int, tls: ssl.SSLContext) -> AsyncIterator[int]:
    """Stand in front of our door on *port*, as a client with a certificate."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with await Wire.open(port) as wire:
            await wire.starttls(tls)
            writer.write(b"220 front ESMTP\r\n")
            await _carry((reader, writer), (wire.reader, wire.writer))

    async with _listening(serve) as own:
        yield own


@asynccontextmanager
async def _listening(serve: Serve) -> AsyncIterator[int]:
    conversations: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations[task] = writer
        try:
            with suppress(OSError, EOFError):
                await serve(reader, writer)
        finally:
            writer.transport.abort()
            del conversations[task]

    server = await asyncio.start_server(welcome, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in conversations.values():
            writer.transport.abort()
        await asyncio.gather(*conversations, return_exceptions=True)


async def _carry(one: Streams, other: Streams) -> None:
    """Carry both ways until either side ends."""
    await asyncio.gather(_pump(one[0], other[1]), _pump(other[0], one[1]))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
    finally:
        writer.close()
