"""Listen for hospital software over MLLP, in clear and over TLS.

A connection carries message after message, answered in order, until either side closes it or it is
idle too long. Nothing that comes in can take more memory or time than the settings allow.

Errors
    `SettingsError` when an address cannot be listened on or a certificate cannot be used.
Sources
    HL7, Transport Specification: MLLP, release 1 (2003).
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from crypto import tls
from crypto.certificates import Certificate
from crypto.errors import CryptoError
from mss.accounts.errors import CredentialsRefusedError
from mss.accounts.software import judge_software
from mss.clock import Clock
from mss.errors import SettingsError
from mss.hl7.framing import CHUNK, FrameError, FrameReader, build_frame
from mss.hl7.gateway import Caller, Gateway
from mss.pipeline.key_files import KeyFiles
from mss.settings import HL7Settings, Settings
from mss.trust_space import TrustSpace

_log = logging.getLogger("mss.hl7")
GRACE_SECONDS: Final = 30.0


class ListenerTls:
    """The context of the TLS door, which its listener holds; `reload` renews what is in it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.context = self._made()

    def reload(self) -> None:
        """Read certificate, key and anchors; raises `SettingsError`, and keeps the old ones."""
        self._made()  # a pair that does not fit must not be half taken
        settings, key = self._settings, self._key
        password = self._password()
        self.context.load_cert_chain(
            settings.path(settings.tls.certificate), key, password=password or ""
        )
        if settings.hl7.client_certificates != "none":
            self.context.load_verify_locations(cadata=read_anchors(settings))

    def _made(self) -> ssl.SSLContext:
        settings = self._settings
        certificate = settings.path(settings.tls.certificate)
        wanted = settings.hl7.client_certificates
        try:
            return tls.server_context(
                certificate,
                self._key,
                client_anchors_pem=None if wanted == "none" else read_anchors(settings),
                require_client=wanted == "require",
                ciphers=settings.tls.ciphers or tls.CIPHERS,
                password=self._password(),
            )
        except (OSError, ValueError, CryptoError) as error:
            raise SettingsError(reason=f"{certificate}: {error}") from error

    @property
    def _key(self) -> Path:
        return self._settings.path(self._settings.tls.key)

    def _password(self) -> bytes | None:
        settings = self._settings
        return KeyFiles(home=settings.home, settings=settings.keys).password_of(self._key)


def read_anchors(settings: Settings) -> str:
    """Read what a certificate may lead to: the anchors, and the issuers that are known."""
    anchors = settings.path(settings.trust.anchors).read_text(encoding="ascii")
    intermediates = settings.path(settings.trust.intermediates)
    return anchors + (intermediates.read_text(encoding="ascii") if intermediates.exists() else "")


@dataclass(slots=True, kw_only=True)
class Listener:
    """Serves connections; one value for all addresses of a process."""

    gateway: Gateway
    trust: TrustSpace
    settings: HL7Settings
    clock: Clock
    _open: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _busy: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _stopping: bool = field(default=False, init=False)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        task = asyncio.current_task()
        assert task is not None, "a server runs this in a task"
        if len(self._open) >= self.settings.connections or self._stopping:
            writer.close()
            return
        self._open.add(task)
        try:
            caller = await self._caller(writer)
            if caller is not None:
                await self._converse(
                    FrameReader(reader, self.settings.frame_octets), writer, caller
                )
        except (TimeoutError, ConnectionError, ssl.SSLError) as error:
            _log.info("a connection ended: %s", type(error).__name__)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        finally:
            self._open.discard(task)
            self._busy.discard(task)
            writer.close()
            with suppress(OSError, ssl.SSLError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()

    async def _converse(
        self, frames: FrameReader, writer: asyncio.StreamWriter, caller: Caller
    ) -> None:
        task = asyncio.current_task()
        assert task is not None, "a server runs this in a task"
        while not self._stopping:
            async with asyncio.timeout(self.settings.idle_seconds):
                if not await frames.wait():
                    return
            self._busy.add(task)
            try:
                async with asyncio.timeout(self.settings.frame_seconds):
                    octets = await frames.read()
                answer = await self.gateway.answer(octets, caller)
            except FrameError as error:
                _log.info("a connection is of no more use: %s", error.reason)
                if error.reason == "too-large":
                    refusal = self.gateway.refuse_octets(error.beginning, error.reason)
                    await self._send(writer, refusal)
                return
            await self._send(writer, answer)
            self._busy.discard(task)

    async def _send(self, writer: asyncio.StreamWriter, message: bytes) -> None:
        async with asyncio.timeout(self.settings.frame_seconds):
            writer.write(build_frame(message))
            await writer.drain()

    async def _caller(self, writer: asyncio.StreamWriter) -> Caller | None:
        """Say who is on the other side; `None` for somebody whose certificate does not hold."""
        peer = writer.get_extra_info("peername") or ("",)
        endpoint = writer.get_extra_info("ssl_object")
        host = str(peer[0])
        if endpoint is None:
            return Caller(host=host, protocol="MLLP")
        certificate = _shown(endpoint)
        if certificate is None:
            return Caller(host=host, protocol="MLLPS")
        try:
            name = await asyncio.to_thread(
                judge_software, certificate, space=self.trust, at=self.clock.now()
            )
        except CredentialsRefusedError as error:
            _log.warning("the certificate of %s does not hold: %s", host, error.reason)
            return None
        return Caller(host=host, protocol="MLLPS", certificate_name=name)

    async def stop(self, *, grace_seconds: float = GRACE_SECONDS) -> None:
        """Let messages under way be answered, then close every connection."""
        self._stopping = True
        for task in self._open - self._busy:
            task.cancel()
        if self._open:
            await asyncio.wait(set(self._open), timeout=grace_seconds)
        for task in set(self._open):
            task.cancel()
        if self._open:
            await asyncio.wait(set(self._open), timeout=1)


def _shown(endpoint: tls.TlsEndpoint) -> Certificate | None:
    try:
        return tls.peer_certificate(endpoint)
    except CryptoError:
        return None


@asynccontextmanager
async def open_listeners(
    settings: Settings, listener: Listener, *, context: ListenerTls | None
) -> AsyncIterator[dict[str, int]]:
    """Listen until the block ends; gives the ports by the name of the door."""
    ports: dict[str, int] = {}
    async with AsyncExitStack() as stack:
        if settings.listen.mllp:
            ports["mllp"] = await stack.enter_async_context(
                _listening(listener, "mllp", settings.listen.mllp, None)
            )
        if settings.listen.mllps and context is not None:
            ports["mllps"] = await stack.enter_async_context(
                _listening(listener, "mllps", settings.listen.mllps, context.context)
            )
        yield ports


@asynccontextmanager
async def _listening(
    listener: Listener, name: str, address: str, context: ssl.SSLContext | None
) -> AsyncIterator[int]:
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise SettingsError(reason=f"listen.{name}: {address!r} is not host:port")
    try:
        server = await asyncio.start_server(
            listener.serve,
            host.removeprefix("[").removesuffix("]") or None,
            int(port),
            limit=CHUNK,
            ssl=context,
            ssl_handshake_timeout=None if context is None else listener.settings.connect_seconds,
        )
    except OSError as error:
        raise SettingsError(reason=f"listen.{name}: {error}") from error
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await listener.stop()
        await server.wait_closed()
