"""The HTTP doors of a process: the REST API over TLS, and the administration beside it.

Loaded only by processes that open them: the frameworks behind them take memory that a mail door
does not need.

Errors
    `SettingsError` for a certificate that cannot be taken up.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from api.app import create_admin_app, create_app
from api.http_protocol import BoundedProtocol
from crypto import tls
from crypto.errors import CryptoError
from mss.errors import SettingsError
from mss.services import Services
from mss.settings import Settings
from mss.smtp.contexts import key_password
from mss.smtp.server import split_address
from mss.worker.watch import Renewable

HTTP_LINGER = 1.0  # seconds that an idle HTTP client has to say goodbye when the server stops


@asynccontextmanager
async def open_http_doors(
    services: Services, renewables: list[Renewable]
) -> AsyncIterator[dict[str, int]]:
    """Serve the REST API over TLS, and the administration pages on their own listener."""
    settings = services.settings
    ports: dict[str, int] = {}
    async with AsyncExitStack() as stack:
        if settings.listen.api:
            app = create_app(services)
            certificate = settings.path(settings.tls.certificate)
            key = settings.path(settings.tls.key)
            password = key_password(settings)
            config = _config(
                app,
                settings.listen.api,
                connections=settings.limits.connections,
                certificate=certificate,
                key=key,
                password=None if password is None else password.decode("utf-8"),
            )
            ports["api"] = await stack.enter_async_context(_http(config))
            renewables.append(_ApiTls(settings, config))
        if settings.listen.admin:
            config = _config(
                create_admin_app(services),
                settings.listen.admin,
                connections=settings.limits.connections,
            )
            ports["admin"] = await stack.enter_async_context(_http(config))
        yield ports


def _config(
    app: object,
    address: str,
    *,
    connections: int,
    certificate: Path | None = None,
    key: Path | None = None,
    password: str | None = None,
) -> uvicorn.Config:
    host, port = split_address(address)
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an ASGI application, whose type uvicorn keeps to itself
        host=host,
        port=port,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        ssl_keyfile_password=password,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        proxy_headers=False,
        limit_concurrency=connections,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=20,
    )


@dataclass(frozen=True, slots=True)
class _ApiTls:
    """The certificate of the REST door, renewed in the context that its listener holds."""

    settings: Settings
    config: uvicorn.Config

    def reload(self) -> None:
        """Read the files again; raises `SettingsError` and keeps what was in force."""
        settings = self.settings
        certificate = settings.path(settings.tls.certificate)
        key = settings.path(settings.tls.key)
        try:
            password = key_password(settings)
            # A pair that does not fit must not be half taken.
            tls.server_context(certificate, key, password=password)
        except (OSError, CryptoError) as error:
            raise SettingsError(reason=f"{certificate}: {error}") from error
        if self.config.ssl is not None:
            self.config.ssl.load_cert_chain(certificate, key, password=password or "")


class _QuietServer(uvicorn.Server):
    """An HTTP server that leaves signals to the process, which stops its doors in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def _http(config: uvicorn.Config) -> AsyncIterator[int]:
    """Run one HTTP listener."""
    server = _QuietServer(config)
    sockets = [config.bind_socket()]
    port = int(sockets[0].getsockname()[1])
    task = asyncio.get_running_loop().create_task(server.serve(sockets=sockets))
    try:
        while not (server.started or task.done()):
            await asyncio.wait({task}, timeout=0.01)
        yield port
    finally:
        server.should_exit = True
        await asyncio.wait({task}, timeout=HTTP_LINGER)
        while not task.done():
            _drop_idle(server)
            await asyncio.wait({task}, timeout=0.1)
        await task


def _drop_idle(server: uvicorn.Server) -> None:
    """Cut connections on which no answer is under way.

    A client that keeps a connection for later does not read our end of TLS before its next request,
    and would hold up the stop for as long as answers under way may take.
    """
    for connection in list(server.server_state.connections):
        assert isinstance(connection, BoundedProtocol), "no other is configured"
        is_answered = connection.cycle is None or connection.cycle.response_complete
        if is_answered and connection.transport.get_write_buffer_size() == 0:
            connection.transport.abort()
