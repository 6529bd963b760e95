"""The operator that our letters are relayed to: it takes mail over mutual TLS, and misbehaves.

Each letter meets one of the ways in which a real peer lets us down, chosen at random: refusal for
now, a hang-up in the middle, and above all the worst one, an answer of 250 that never arrives.
Everything that it took is kept, with the instant, so that each copy can be accounted for.
"""

import asyncio
import random
import ssl
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from crypto import smime
from crypto.errors import CryptoError
from crypto.ports import KeyHolder
from tests.crash.letters import digest_of

LINE_OCTETS = 4096
LINGER_SECONDS = 0.2
# What may happen to a letter, and how often in a hundred.
FATES = {"taken": 84, "later": 4, "hang-up": 4, "answer-lost": 6, "later-at-end": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One copy of a letter for some recipients.

    Attributes:
        octets: Digest of the whole, as it travelled.
        body: Digest of the body of what was encrypted.
        taken_at: When the copy was complete, on this process's steady clock.
        is_answered: Whether the 250 was sent.
    """

    octets: str
    body: str
    recipients: tuple[str, ...]
    taken_at: float
    is_answered: bool


class _HangUpError(Exception):
    """The peer closes the connection."""


@dataclass(slots=True, kw_only=True)
class Receiver:
    """A peer's mail host.

    Attributes:
        refused: Recipients that it does not have.
        is_kind: Whether it has stopped misbehaving, so that the queue can run dry.
        copies: What it took, by Message-ID.
    """

    tls: ssl.SSLContext
    keys: KeyHolder
    seed: int
    refused: frozenset[str]
    is_kind: bool = False
    copies: dict[str, list[Copy]] = field(default_factory=lambda: defaultdict(list))
    port: int = 0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Receiver"]:
        """Take mail until the block ends."""
        tasks: set[asyncio.Task[None]] = set()

        async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await self._converse(reader, writer)
            except (_HangUpError, EOFError, OSError, asyncio.LimitOverrunError):
                pass
            finally:
                tasks.discard(task)
                writer.transport.abort()

        server = await asyncio.start_server(welcome, "127.0.0.1", 0, limit=2**22)
        self.port = int(server.sockets[0].getsockname()[1])
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 peer ESMTP\r\n")
        recipients: list[str] = []
        fate = "taken"
        while True:
            line = (await reader.readuntil(b"\r\n")).decode("ascii").rstrip()
            match line[:4].upper():
                case "EHLO":
                    writer.write(b"250-peer\r\n250-SIZE 100000000\r\n250-8BITMIME\r\n")
                    secure = writer.get_extra_info("ssl_object") is not None
                    writer.write(b"250 PIPELINING\r\n" if secure else b"250 STARTTLS\r\n")
                case "STAR":
                    writer.write(b"220 go\r\n")
                    await writer.start_tls(self.tls)
                case "MAIL":
                    recipients, fate = [], self._fate()
                    writer.write(b"250 ok\r\n")
                case "RCPT":
                    writer.write(self._answer_recipient(line, recipients, fate))
                case "DATA":
                    await self._take(reader, writer, tuple(recipients), fate)
                    recipients = []
                case "QUIT":
                    writer.write(b"221 bye\r\n")
                    with suppress(OSError):
                        await writer.drain()
                    return
                case _:
                    writer.write(b"250 ok\r\n")
            await writer.drain()

    def _fate(self) -> str:
        if self.is_kind:
            return "taken"
        return self._random.choices(tuple(FATES), weights=tuple(FATES.values()))[0]

    def _answer_recipient(self, line: str, recipients: list[str], fate: str) -> bytes:
        address = line.partition("<")[2].partition(">")[0]
        if address in self.refused:
            return b"550 5.1.1 nobody\r\n"
        if fate == "later":
            return b"451 4.3.0 later\r\n"
        recipients.append(address)
        return b"250 ok\r\n"

    async def _take(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        recipients: tuple[str, ...],
        fate: str,
    ) -> None:
        if not recipients:
            writer.write(b"503 5.5.1 no recipient\r\n")
            return
        writer.write(b"354 go\r\n")
        if fate == "hang-up":
            await reader.read(100)
            raise _HangUpError
        raw = b""
        while not raw.endswith(b"\r\n.\r\n"):
            chunk = await reader.read(2**18)
            if not chunk:
                raise _HangUpError
            raw += chunk
        if fate == "later-at-end":
            writer.write(b"451 4.3.0 later\r\n")
            return
        raw = raw[:-3].replace(b"\r\n..", b"\r\n.")
        copy = Copy(
            octets=digest_of(raw),
            body=digest_of(inner_body(raw, self.keys)),
            recipients=recipients,
            taken_at=time.monotonic(),
            is_answered=fate == "taken",
        )
        self.copies[message_id_of(raw)].append(copy)
        if fate == "answer-lost":
            await asyncio.sleep(LINGER_SECONDS)
            raise _HangUpError
        writer.write(b"250 2.0.0 taken\r\n")


def message_id_of(raw: bytes) -> str:
    """Read the Message-ID of a letter; the outer header always has it."""
    header = raw.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ").decode("latin-1")
    for line in header.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "message-id":
            return value.strip()
    return ""


def inner_body(raw: bytes, keys: KeyHolder) -> bytes:
    """Open a letter and give the body of what was signed; of a plain one, its own."""
    try:
        entity = smime.decrypt(raw, keys=keys).entity
    except CryptoError:
        entity = raw
    header, _, body = entity.partition(b"\r\n\r\n")
    boundary = header.partition(b'boundary="')[2].partition(b'"')[0]
    if not boundary:
        return body
    first = body.split(b"--" + boundary + b"\r\n", 1)[1].split(b"\r\n--" + boundary, 1)[0]
    return first.partition(b"\r\n\r\n")[2]
