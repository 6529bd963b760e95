"""`mss serve`: run doors and workers until told to stop.

Order of stopping: doors first (messages under way are answered), then the worker, then the store.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click
import uvicorn

from api.app import create_admin_app, create_app
from api.http_protocol import BoundedProtocol
from crypto import tls
from crypto.errors import CryptoError
from mss.cli.compose import Operator, open_operator
from mss.cli.root import answer, root, settings_of, tell
from mss.errors import SettingsError
from mss.settings import Settings
from mss.smtp.contexts import key_password
from mss.smtp.server import open_smtp_doors, split_address
from mss.store import migrate
from mss.telemetry.logging import configure_logging
from mss.worker.watch import Renewable, Watch

PARTS = ("mx", "submission", "api", "worker")
RESERVED = ("imap",)
HTTP_LINGER = 1.0  # seconds that an idle HTTP client has to say goodbye when the server stops


@root.command("serve")
@click.option("--only", default="", help=f"Parts to run, of {','.join(PARTS)} [default: all].")
@click.pass_context
def serve(context: click.Context, only: str) -> None:
    """Run doors and workers; prints `ready` when mail can come in.

    SIGTERM drains and stops. SIGHUP takes up renewed certificates, anchors and lists.
    """
    parts = _parts(only)
    configure_logging()
    try:
        import uvloop  # noqa: PLC0415 -- absent where it does not build; asyncio then does

        uvloop.run(_serve(settings_of(context), parts, context))
    except ImportError:
        asyncio.run(_serve(settings_of(context), parts, context))


async def _serve(settings: Settings, parts: frozenset[str], context: click.Context) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    async with open_operator(settings) as operator:
        missing = await operator.database.read(migrate.missing_revision)
        if missing is not None:
            raise SettingsError(reason=f"schema is not current ({missing}): run `mss db upgrade`")
        async with running(operator, parts, on_watch=_reload_on_hangup) as ports:
            answer(
                context,
                {"state": "ready", "ports": ports},
                "ready " + " ".join(f"{name}={port}" for name, port in ports.items()),
            )
            await stopping.wait()
            tell("stopping")


@asynccontextmanager
async def running(
    operator: Operator,
    parts: frozenset[str],
    *,
    on_watch: Callable[[Watch], None] | None = None,
) -> AsyncIterator[dict[str, int]]:
    """Run parts of an operator while the block lasts; gives the ports that are bound.

    Args:
        operator: Whose.
        parts: Of `PARTS`.
        on_watch: Told of the watch over certificates and lists, which can be woken.
    """
    renewables = list(operator.renewables)
    async with AsyncExitStack() as stack:
        if "worker" in parts:
            await stack.enter_async_context(_working(operator))
        ports: dict[str, int] = {}
        doors = parts & {"mx", "submission"}
        if doors:
            opened = await stack.enter_async_context(
                open_smtp_doors(operator.services, only=frozenset(doors))
            )
            ports |= opened.ports
            renewables.append(opened.tls)
        if "api" in parts:
            ports |= await stack.enter_async_context(_api(operator, renewables))
        watch = Watch(
            trust=operator.services.trust,
            news=operator.news,
            settings=operator.services.settings,
            renewables=renewables,
            keys=operator.keys,
        )
        if on_watch is not None:
            on_watch(watch)
        await stack.enter_async_context(_watching(watch))
        yield ports


def _reload_on_hangup(watch: Watch) -> None:
    """Look at certificates and lists at once when the process gets SIGHUP."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, watch.wake)


@asynccontextmanager
async def _watching(watch: Watch) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(watch.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def _working(operator: Operator) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(operator.worker.run())
    try:
        yield
    finally:
        operator.worker.stop()
        await task


@asynccontextmanager
async def _api(operator: Operator, renewables: list[Renewable]) -> AsyncIterator[dict[str, int]]:
    """Serve the REST API over TLS, and the administration pages on their own listener."""
    settings = operator.services.settings
    ports: dict[str, int] = {}
    async with AsyncExitStack() as stack:
        if settings.listen.api:
            app = create_app(operator.services)
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
                create_admin_app(operator.services),
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


def _parts(only: str) -> frozenset[str]:
    wanted = [one.strip() for one in only.split(",") if one.strip()]
    for one in wanted:
        if one in RESERVED:
            raise click.UsageError(f"the {one} door is not built yet")
        if one not in PARTS:
            raise click.UsageError(f"{one!r} is none of {', '.join(PARTS)}")
    return frozenset(wanted or PARTS)
