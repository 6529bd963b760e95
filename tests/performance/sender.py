"""Who sends during a benchmark? A client light enough not to be what is measured.

One process, one protocol object a connection: commands are pipelined, a letter is one write, and
only its Message-ID differs from the one before. It costs the servers' machine far less than they
cost themselves, and the same for each of them.

Shapes
    `Load` says what to send; `Sent` what came of it. Waits are seconds from the end of the data to
    the reply.
"""

import asyncio
import base64
import os
import ssl
import time
from collections import deque
from dataclasses import dataclass, field

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is sent, and how.

    Attributes:
        tls: Offered by STARTTLS when there is one.
        credentials: Name and password for AUTH PLAIN; none for no login.
        recipients: Each letter goes to one of them, in turn.
    """

    port: int
    sender: str
    recipients: tuple[str, ...]
    octets: int
    letters: int
    connections: int
    tls: ssl.SSLContext | None = None
    credentials: tuple[str, str] | None = None


@dataclass(slots=True, kw_only=True)
class Sent:
    """How it went.

    Attributes:
        seconds: From the first letter to the last reply; connecting is not counted.
    """

    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)

    def percentile_ms(self, part: float) -> float:
        """Give the wait that so large a part of the letters stayed within."""
        ordered = sorted(self.waits)
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000, 1)


def send(load: Load) -> Sent:
    """Send everything, from all connections at once."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(_send(load))
    return uvloop.run(_send(load))


async def _send(load: Load) -> Sent:
    sent = Sent()
    letters = deque(_letters(load))
    clients = [_Client(load, letters, sent) for _ in range(load.connections)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        for client in clients:
            await client.connect()
        started = time.perf_counter()
        for client in clients:
            client.send_next()
        await asyncio.gather(*[client.done for client in clients])
        sent.seconds = time.perf_counter() - started
    for client in clients:
        client.close()
    return sent


def _letters(load: Load) -> list[tuple[bytes, bytes]]:
    """Prepare every envelope and header; the body is one for all."""
    run = os.urandom(8).hex()
    made = []
    for number in range(load.letters):
        recipient = load.recipients[number % len(load.recipients)]
        envelope = f"MAIL FROM:<{load.sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n"
        header = (
            f"From: <{load.sender}>\r\nTo: <{recipient}>\r\nSubject: essai\r\n"
            f"Message-ID: <{run}.{number}@{load.sender.partition('@')[2]}>\r\n"
            "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n"
            "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        )
        made.append((envelope.encode(), header.encode()))
    return made


def body_of(octets: int) -> bytes:
    """Make a body of about so many octets that no dot needs stuffing in, with the end of data."""
    text = base64.encodebytes(os.urandom(octets * 73 // 100)).replace(b"\n", b"\r\n")
    return text + b".\r\n"


class _Client(asyncio.Protocol):
    """One connection, which sends letters until none are left."""

    def __init__(self, load: Load, letters: deque[tuple[bytes, bytes]], sent: Sent) -> None:
        self.load, self.letters, self.sent = load, letters, sent
        loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = loop.create_future()
        self._body = body_of(load.octets)
        self._expected: deque[bytes] = deque()
        self._lines: asyncio.Queue[bytes] = asyncio.Queue()
        self._is_sending = False
        self._buffer = b""
        self._header = b""
        self._ended_at = 0.0

    async def connect(self) -> None:
        """Greet, begin TLS and log in, as the load asks."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", self.load.port)
        self.transport: asyncio.Transport = transport
        await self._ask(b"", b"220")
        await self._ask(b"EHLO banc.test\r\n", b"250")
        if self.load.tls is not None:
            await self._ask(b"STARTTLS\r\n", b"220")
            upgraded = await loop.start_tls(
                self.transport, self, self.load.tls, server_hostname="localhost"
            )
            assert upgraded is not None, "a server that closes fails the handshake"
            self.transport = upgraded
            await self._ask(b"EHLO banc.test\r\n", b"250")
        if self.load.credentials is not None:
            secret = base64.b64encode("\0".join(["", *self.load.credentials]).encode())
            await self._ask(b"AUTH PLAIN " + secret + b"\r\n", b"235")
        self._is_sending = True

    async def _ask(self, command: bytes, code: bytes) -> None:
        if command:
            self.transport.write(command)
        while True:
            line = await self._lines.get()
            if line[3:4] != b"-":
                break
        if not line.startswith(code):
            raise ConnectionError(line.decode(errors="replace"))

    def send_next(self) -> None:
        """Write the envelope of the next letter, or finish."""
        if not self.letters:
            if not self.done.done():
                self.done.set_result(None)
            return
        envelope, self._header = self.letters.popleft()
        self._expected.extend((b"250", b"250", b"354", b"250"))
        self.transport.write(envelope)

    def data_received(self, data: bytes) -> None:
        """Take replies line by line."""
        *lines, self._buffer = (self._buffer + data).split(b"\r\n")
        for line in lines:
            if self._is_sending:
                self._take_reply(line)
            else:
                self._lines.put_nowait(line)

    def _take_reply(self, line: bytes) -> None:
        if line[3:4] == b"-":
            return
        code = self._expected.popleft() if self._expected else b"none"
        if not line.startswith(code):
            self.connection_lost(ConnectionError(line.decode(errors="replace")))
        elif code == b"354":
            self.transport.write(self._header)
            self.transport.write(self._body)
            self._ended_at = time.perf_counter()
        elif not self._expected:
            self.sent.waits.append(time.perf_counter() - self._ended_at)
            self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so to whoever waits for the end."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed"))

    def close(self) -> None:
        """End without ceremony; everything was answered."""
        self.transport.abort()
