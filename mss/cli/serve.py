"""`mss serve`: run doors and workers until told to stop.

Order of stopping: doors first (messages under way are answered), then the worker, then the store.
"""

import asyncio
import ctypes
import gc
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import click

from mss.cli.compose import Operator, open_operator
from mss.cli.crew import Crew, Link, count_processes, open_listeners
from mss.cli.root import answer, root, settings_of, tell
from mss.errors import SettingsError
from mss.settings import Settings
from mss.smtp.intake import Intake
from mss.smtp.server import open_smtp_doors
from mss.store import migrate
from mss.telemetry.logging import configure_logging
from mss.worker.watch import Watch

PARTS = ("mx", "submission", "api", "worker", "hl7")
DOORS = frozenset({"mx", "submission"})
RESERVED = ("imap",)
HEAPS = 2  # of the C library; by default every thread keeps one, and what it freed in it
_ARENA_MAX = -8  # malloc.h


@root.command("serve")
@click.option("--only", default="", help=f"Parts to run, of {','.join(PARTS)} [default: all].")
@click.option(
    "--processes",
    type=click.IntRange(0, 64),
    help="Processes behind the mail doors; 0: one for each core [default: as the settings say].",
)
@click.pass_context
def serve(context: click.Context, only: str, processes: int | None) -> None:
    """Run doors and workers; prints `ready` when mail can come in.

    SIGTERM drains and stops. SIGHUP takes up renewed certificates, anchors and lists.
    """
    parts = _parts(only)
    configure_logging()
    bound_heaps()
    settings = settings_of(context)
    wanted = settings.listen.processes if processes is None else processes
    count = count_processes(wanted) if parts & DOORS else 1

    def ready(ports: dict[str, int]) -> None:
        line = "ready " + " ".join(f"{name}={port}" for name, port in ports.items())
        answer(context, {"state": "ready", "ports": ports}, line)

    if count == 1:
        run_loop(_serve_alone(settings, parts, ready))
        return
    crew = Crew(open_listeners(settings.listen, parts), count=count, limits=settings.limits)
    link = crew.run(ready)
    if link is None:
        tell("stopping")
    else:
        # The first one has the parts that an operator has once.
        run_loop(_serve_as_member(settings, parts if link.number == 0 else parts & DOORS, link))


def run_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run the event loop of a server process."""
    try:
        import uvloop  # noqa: PLC0415 -- absent where it does not build; asyncio then does
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


async def _serve_alone(
    settings: Settings, parts: frozenset[str], ready: Callable[[dict[str, int]], None]
) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    async with (
        _opened(settings) as operator,
        running(operator, parts, on_watch=_reload_on_hangup) as ports,
    ):
        settle_memory()
        ready(ports)
        await stopping.wait()
        tell("stopping")


async def _serve_as_member(settings: Settings, parts: frozenset[str], link: Link) -> None:
    """Serve the connections that the first process hands over, until it says stop."""
    stopping = asyncio.Event()
    watches: list[Watch] = []
    async with (
        _opened(settings) as operator,
        running(operator, parts, on_watch=watches.append, intake=link.intake) as ports,
    ):
        awake = operator.services.acceptance.committer.awake
        link.listen(stop=stopping.set, reload=watches[0].wake, wake=awake.set)
        settle_memory()
        link.say_ready(ports)
        async with AsyncExitStack() as stack:
            if "worker" not in parts:
                await stack.enter_async_context(_background(_pass_on(awake, link)))
            await stopping.wait()


async def _pass_on(awake: asyncio.Event, link: Link) -> None:
    """Tell the worker, which is in another process, whenever something was queued here."""
    while True:
        await awake.wait()
        awake.clear()
        link.tell(b"w")


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Operator]:
    """Open the operator, if its database is of this version."""
    async with open_operator(settings) as operator:
        missing = await operator.database.read(migrate.missing_revision)
        if missing is not None:
            raise SettingsError(reason=f"schema is not current ({missing}): run `mss db upgrade`")
        yield operator


def settle_memory() -> None:
    """Look for cycles only in what is made from now on."""
    gc.collect()
    gc.freeze()


def bound_heaps() -> None:
    """Have the threads of this process share a few heaps, where the C library can do that."""
    with suppress(OSError, AttributeError):  # another system, or another library
        ctypes.CDLL(None).mallopt(_ARENA_MAX, HEAPS)


@asynccontextmanager
async def running(
    operator: Operator,
    parts: frozenset[str],
    *,
    on_watch: Callable[[Watch], None] | None = None,
    intake: Intake | None = None,
) -> AsyncIterator[dict[str, int]]:
    """Run parts of an operator while the block lasts; gives the ports that are bound.

    Args:
        operator: Whose.
        parts: Of `PARTS`.
        on_watch: Told of the watch over certificates and lists, which can be woken.
        intake: Where mail connections come from if another process listens.
    """
    renewables = list(operator.renewables)
    async with AsyncExitStack() as stack:
        if "worker" in parts:
            await stack.enter_async_context(_working(operator))
        ports: dict[str, int] = {}
        doors = parts & DOORS
        if doors:
            opened = await stack.enter_async_context(
                open_smtp_doors(operator.services, only=doors, intake=intake)
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
        await stack.enter_async_context(_background(watch.run()))
        yield ports


def _reload_on_hangup(watch: Watch) -> None:
    """Look at certificates and lists at once when the process gets SIGHUP."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, watch.wake)


@asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do endless work while the block lasts."""
    task = asyncio.get_running_loop().create_task(work)
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
