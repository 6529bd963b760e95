"""`mss serve`: run doors and workers until told to stop.

Order of stopping: doors first (messages under way are answered), then the worker, then the store.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import click

from mss.cli.compose import Operator, open_operator
from mss.cli.root import answer, root, settings_of, tell
from mss.errors import SettingsError
from mss.settings import Settings
from mss.smtp.server import open_smtp_doors
from mss.store import migrate
from mss.telemetry.logging import configure_logging
from mss.worker.watch import Watch

PARTS = ("mx", "submission", "api", "worker", "hl7")
RESERVED = ("imap",)


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
            from mss.cli.serve_http import open_http_doors  # noqa: PLC0415 -- 15 MB of FastAPI

            ports |= await stack.enter_async_context(open_http_doors(operator.services, renewables))
        if "hl7" in parts:
            from mss.cli.serve_hl7 import open_hl7  # noqa: PLC0415 -- for hospitals only

            ports |= await stack.enter_async_context(open_hl7(operator, renewables))
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


def _parts(only: str) -> frozenset[str]:
    wanted = [one.strip() for one in only.split(",") if one.strip()]
    for one in wanted:
        if one in RESERVED:
            raise click.UsageError(f"the {one} door is not built yet")
        if one not in PARTS:
            raise click.UsageError(f"{one!r} is none of {', '.join(PARTS)}")
    return frozenset(wanted or PARTS)
