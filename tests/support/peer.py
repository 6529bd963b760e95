"""A scripted remote operator on a loopback socket, polite or hostile.

A *place* is a moment of the conversation: `greeting`, a verb, `EHLO-TLS` (the EHLO inside TLS),
`354` (in the middle of the message) or `message` (after its end). At each place the peer answers
from `answers`, or politely; it may hang up (`drops_at`) or say nothing (`sleeps_at`).
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

POLITE = {
    "greeting": b"220 peer ESMTP\r\n",
    "STARTTLS": b"220 2.0.0 go\r\n",
    "MAIL": b"250 2.1.0 ok\r\n",
    "RCPT": b"250 2.1.5 ok\r\n",
    "RSET": b"250 2.0.0 ok\r\n",
    "DATA": b"354 go\r\n",
    "message": b"250 2.0.0 p1 accepted\r\n",
    "QUIT": b"221 2.0.0 bye\r\n",
}
EXTENSIONS = ("SIZE 100000000", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES", "DSN")


class _HangUpError(Exception):
    """The peer closes the connection."""


@dataclass(kw_only=True)
class Peer:
    """What the peer does, and what it has seen.

    Attributes:
        recipients: Answers to one RCPT after the other, before those of `answers`.
        chatter: Sent in clear together with the answer to STARTTLS.
        commands: Every command line, in order; `*` before those inside TLS.
        arrived: Set when a whole message came.
        messages: What came after DATA, as it travelled, end included.
    """

    tls: ssl.SSLContext
    extensions: tuple[str, ...] = EXTENSIONS
    offers_tls: bool = True
    answers: dict[str, bytes] = field(default_factory=dict)
    recipients: list[bytes] = field(default_factory=list)
    drops_at: str | None = None
    sleeps_at: str | None = None
    chatter: bytes = b""
    commands: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    connections: int = 0
    port: int = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Peer"]:
        """Listen until the block ends, then cut every connection."""
        conversations: set[asyncio.Task[None]] = set()

        async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            conversations.add(task)
            try:
                await self._converse(reader, writer)
            except (_HangUpError, EOFError, OSError):
                pass
            finally:
                writer.transport.abort()
                conversations.discard(task)

        server = await asyncio.start_server(welcome, "127.0.0.1", 0, limit=2**20)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in conversations:
                task.cancel()
            await asyncio.gather(*conversations, return_exceptions=True)
            await server.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        is_tls = False
        await self._answer("greeting", writer)
        while True:
            line = (await reader.readuntil(b"\r\n")).decode("ascii").rstrip("\r\n")
            verb = line[:4].upper()
            self.commands.append(("*" if is_tls else "") + line)
            if verb == "EHLO":
                await self._ehlo(writer, is_tls=is_tls)
            elif verb == "STAR":
                await self._answer("STARTTLS", writer, extra=self.chatter)
                await writer.start_tls(self.tls)
                is_tls = True
            elif verb == "DATA":
                await self._data(reader, writer)
            else:
                await self._answer(verb, writer)
                if verb == "QUIT":
                    return

    async def _ehlo(self, writer: asyncio.StreamWriter, *, is_tls: bool) -> None:
        offered = (
            self.extensions if is_tls or not self.offers_tls else (*self.extensions, "STARTTLS")
        )
        lines = ["peer", *offered]
        text = "".join(f"250-{line}\r\n" for line in lines[:-1]) + f"250 {lines[-1]}\r\n"
        await self._answer("EHLO-TLS" if is_tls else "EHLO", writer, default=text.encode("ascii"))

    async def _data(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._answer("DATA", writer)
        if not self.answers.get("DATA", b"354").startswith(b"354"):
            return
        if "354" in {self.drops_at, self.sleeps_at} or "354" in self.answers:
            await reader.read(1)
            await self._answer("354", writer)
        octets = b""
        while not (octets.endswith(b"\r\n.\r\n") or octets == b".\r\n"):
            chunk = await reader.read(2**20)
            if not chunk:
                raise _HangUpError
            octets += chunk
        self.messages.append(octets)
        self.arrived.set()
        await self._answer("message", writer)

    async def _answer(
        self, place: str, writer: asyncio.StreamWriter, *, default: bytes = b"", extra: bytes = b""
    ) -> None:
        if self.drops_at == place:
            raise _HangUpError
        if self.sleeps_at == place:
            await asyncio.Event().wait()
        if place == "RCPT" and self.recipients:
            default = self.recipients.pop(0)
        known = default or POLITE.get(place, b"500 5.5.1 what\r\n")
        writer.write(self.answers.get(place, known) + extra)
        await writer.drain()
