"""Hand a message to hospital software and wait for its answer.

`mllp://host:port`, `mllps://host:port` (TLS, our certificate shown, host name compared) or
`https://host/path` (the message in the body of a POST). One message at a time: the next one goes
when the one before was answered, so their order is kept.

Errors
    `UnreachableError`: there was no answer that belongs to the message; it may be sent again, with
    the same control id.
Sources
    HL7, Transport Specification: MLLP, release 1 (2003); HL7 v2.6, 2.9.2 and 2.9.3.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

import httpx

from crypto import tls
from crypto.errors import CryptoError
from mss.errors import InvalidRequestError, SettingsError
from mss.hl7.errors import HL7SyntaxError
from mss.hl7.framing import CHUNK, FrameError, FrameReader, build_frame
from mss.hl7.listener import read_anchors
from mss.hl7.message import HL7Message, parse_hl7
from mss.pipeline.key_files import KeyFiles
from mss.settings import HL7Settings, Settings

SCHEMES: Final = frozenset({"mllp", "mllps", "https"})
MEDIA_TYPE: Final = "application/hl7-v2"
ANSWER_OCTETS: Final = 1024 * 1024
_COMMITTED: Final = "CA"  # enhanced mode: it was stored there, the answer itself follows
_VERDICTS: Final = {"AA": "AA", "CA": "AA", "AE": "AE", "CE": "AE", "AR": "AR", "CR": "AR"}
_RESULT_FIELDS: Final = 5


@dataclass(eq=False)
class UnreachableError(Exception):
    """Nobody took the message.

    Attributes:
        reason: Kebab-case, for the administrator.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What software said.

    Attributes:
        verdict: `AA`, `AE` or `AR`.
        code: Of the application (ERR-5) if it gave one, else of HL7 (ERR-3); empty if neither.
        label: What goes with it.
        is_application: True if the code is one of the application's own table.
    """

    verdict: str
    code: str = ""
    label: str = ""
    is_application: bool = False


class Line(Protocol):
    """An open connection to software."""

    async def ask(self, message: bytes) -> bytes:
        """Hand a message over and give what came back.

        Raises:
            UnreachableError: Nothing did.
        """
        ...

    async def wait(self) -> bytes:
        """Give what comes next on its own.

        Raises:
            UnreachableError: Nothing does.
        """
        ...


def check_destination(destination: str) -> str:
    """Let pass an address that messages can be sent to.

    Raises:
        InvalidRequestError: It is none.
    """
    try:
        parts = urlsplit(destination)
        is_good = parts.scheme in SCHEMES and bool(parts.hostname)
        is_good = is_good and (parts.scheme == "https" or bool(parts.port))
        is_good = is_good and parts.username is None
    except ValueError:
        is_good = False
    if not is_good:
        raise InvalidRequestError(
            field="destination", reason="mllp://host:port, mllps://host:port or https://…"
        )
    return destination


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Calls hospital software."""

    settings: Settings

    @property
    def _hl7(self) -> HL7Settings:
        return self.settings.hl7

    @asynccontextmanager
    async def calling(self, destination: str) -> AsyncIterator[Line]:
        """Keep a line open while the block lasts.

        Raises:
            UnreachableError: Nobody is there.
        """
        parts = urlsplit(destination)
        async with AsyncExitStack() as stack:
            if parts.scheme == "https":
                client = await stack.enter_async_context(self._client())
                yield _Web(client=client, url=destination)
                return
            context = self._context() if parts.scheme == "mllps" else None
            yield await stack.enter_async_context(
                self._connected(parts.hostname or "", parts.port or 0, context)
            )

    def _context(self) -> ssl.SSLContext:
        settings = self.settings
        key = settings.path(settings.tls.key)
        try:
            return tls.client_context(
                settings.path(settings.tls.certificate),
                key,
                anchors_pem=read_anchors(settings),
                check_host=True,
                ciphers=settings.tls.ciphers or tls.CIPHERS,
                password=KeyFiles(home=settings.home, settings=settings.keys).password_of(key),
            )
        except (OSError, ValueError, CryptoError) as error:
            raise SettingsError(reason=f"{key}: {error}") from error

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=self._context(),
            timeout=httpx.Timeout(self._hl7.answer_seconds, connect=self._hl7.connect_seconds),
            trust_env=False,
            follow_redirects=False,
        )

    @asynccontextmanager
    async def _connected(
        self, host: str, port: int, context: ssl.SSLContext | None
    ) -> AsyncIterator[Line]:
        try:
            async with asyncio.timeout(self._hl7.connect_seconds):
                reader, writer = await asyncio.open_connection(host, port, limit=CHUNK, ssl=context)
        except TimeoutError as error:
            raise UnreachableError("connect-timeout") from error
        except ssl.SSLError as error:
            raise UnreachableError("tls-" + tls.handshake_fault(error).value) from error
        except OSError as error:
            raise UnreachableError("host-unreachable") from error
        try:
            frames = FrameReader(reader, ANSWER_OCTETS)
            yield _Wire(frames=frames, writer=writer, seconds=self._hl7.answer_seconds)
        finally:
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()


@dataclass(slots=True, kw_only=True)
class _Wire:
    """A line over MLLP."""

    frames: FrameReader
    writer: asyncio.StreamWriter
    seconds: float

    async def ask(self, message: bytes) -> bytes:
        return await self._within(lambda: self._ask(message))

    async def wait(self) -> bytes:
        return await self._within(self._next)

    async def _ask(self, message: bytes) -> bytes:
        self.writer.write(build_frame(message))
        await self.writer.drain()
        return await self._next()

    async def _next(self) -> bytes:
        if not await self.frames.wait():
            raise UnreachableError("connection-lost")
        return await self.frames.read()

    async def _within(self, work: Callable[[], Awaitable[bytes]]) -> bytes:
        try:
            async with asyncio.timeout(self.seconds):
                return await work()
        except TimeoutError as error:
            raise UnreachableError("answer-timeout") from error
        except FrameError as error:
            raise UnreachableError("no-frame") from error
        except OSError as error:
            raise UnreachableError("connection-lost") from error


@dataclass(slots=True, kw_only=True)
class _Web:
    """A line over HTTPS: each message is a request of its own."""

    client: httpx.AsyncClient
    url: str

    async def ask(self, message: bytes) -> bytes:
        headers = {"Content-Type": f"{MEDIA_TYPE}; charset=utf-8", "Accept": MEDIA_TYPE}
        try:
            async with self.client.stream(
                "POST", self.url, content=message, headers=headers
            ) as response:
                octets = b""
                async for chunk in response.aiter_bytes(CHUNK):
                    octets += chunk
                    if len(octets) > ANSWER_OCTETS:
                        raise UnreachableError("answer-too-large")
        except httpx.HTTPError as error:
            raise UnreachableError("host-unreachable") from error
        if not octets.lstrip().startswith(b"MSH"):
            raise UnreachableError(f"http-{response.status_code}")
        return octets

    async def wait(self) -> bytes:
        raise UnreachableError("answer-missing")


async def send_message(line: Line, message: bytes, *, control_id: str) -> Answer:
    """Hand a message over and read its answer.

    Raises:
        UnreachableError: No answer came, or one to another message.
    """
    octets = await line.ask(message)
    while True:
        try:
            found = parse_hl7(octets)
        except HL7SyntaxError as error:
            raise UnreachableError("answer-unreadable") from error
        answer = read_answer(found, control_id=control_id)
        # A commit is only a promise; what the application says comes as a message of its own.
        said = found.first("MSA")
        if said is None or said.text(1).upper() != _COMMITTED:
            return answer
        octets = await line.wait()


def read_answer(message: HL7Message, *, control_id: str) -> Answer:
    """Read an acknowledgement.

    Raises:
        UnreachableError: It is none, or it answers another message.
    """
    said = message.first("MSA")
    verdict = _VERDICTS.get(said.text(1).upper(), "") if said else ""
    if said is None or not verdict:
        raise UnreachableError("answer-unreadable")
    if said.text(2) != control_id:
        raise UnreachableError("answer-to-another")
    if verdict == "AA":
        return Answer(verdict=verdict)
    error = message.first("ERR")
    if error is None:
        return Answer(verdict=verdict, label=said.text(3))
    if error.text(_RESULT_FIELDS):
        return Answer(
            verdict=verdict,
            code=error.text(5, 1),
            label=error.text(5, 2) or error.text(8) or error.text(7),
            is_application=True,
        )
    label = error.text(8) or error.text(7) or error.text(3, 2)
    return Answer(verdict=verdict, code=error.text(3, 1), label=label)
