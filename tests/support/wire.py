"""Raw SMTP octets, for what no client library would send."""

import asyncio
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Self

PATIENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WireReply:
    """One reply as it came."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """All lines, without the codes."""
        return "\n".join(self.lines)

    @property
    def status(self) -> str:
        """The enhanced status code, or the first word that stands in its place."""
        return self.lines[-1].split(" ", 1)[0]


class Wire:
    """A client that says exactly what it is told to say."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(
        cls, port: int, *, tls: ssl.SSLContext | None = None, greet: bool = True
    ) -> Self:
        """Connect; with *tls*, TLS begins with the first octet."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None, limit=2**20
        )
        wire = cls(reader, writer)
        if greet:
            try:
                assert (await wire.reply()).code == 220
            except BaseException:
                await wire.close()
                raise
        return wire

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close without a word."""
        self.writer.transport.abort()

    async def send(self, octets: bytes) -> None:
        """Put octets on the wire, nothing added."""
        self.writer.write(octets)
        await self.writer.drain()

    async def reply(self) -> WireReply:
        """Read one reply."""
        lines: list[str] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                line = await self.reader.readuntil(b"\r\n")
                lines.append(line[4:-2].decode("ascii"))
                if line[3:4] != b"-":
                    return WireReply(code=int(line[:3]), lines=tuple(lines))

    async def ask(self, command: str) -> WireReply:
        """Send a command and read its reply."""
        await self.send(command.encode("latin-1") + b"\r\n")
        return await self.reply()

    async def begin_tls(self, context: ssl.SSLContext) -> None:
        """Do the handshake, after the 220 of STARTTLS."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.writer.start_tls(context, server_hostname="localhost")

    async def starttls(self, context: ssl.SSLContext, *, name: str = "client.example.org") -> None:
        """EHLO, STARTTLS, handshake, EHLO."""
        assert (await self.ask(f"EHLO {name}")).code == 250
        assert (await self.ask("STARTTLS")).code == 220
        await self.begin_tls(context)
        assert (await self.ask(f"EHLO {name}")).code == 250

    async def is_closed(self) -> bool:
        """Wait for the other side to close; anything that it still says is an error."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self.reader.read(1) == b""
        except (ConnectionError, ssl.SSLError):
            return True
