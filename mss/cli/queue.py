"""`mss queue`: what waits to be carried to other operators."""

import getpass
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict

import click

from mss.cli.compose import open_desk, queue_desk
from mss.cli.root import Group, answer, root, run, settings_of
from mss.mailboxes.queue import QueuedDelivery, QueueDesk
from mss.model.delivery import Delivery, DeliveryState
from mss.settings import Settings
from mss.store.destinations import Destination

MANY = 100_000


@root.group("queue", cls=Group)
def queue() -> None:
    """Deliveries to other operators."""


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[QueueDesk]:
    async with open_desk(settings) as desk:
        yield queue_desk(desk)


@queue.command("list")
@click.option(
    "--state", "states", multiple=True, type=click.Choice([one.value for one in DeliveryState])
)
@click.option("--limit", type=click.IntRange(1, MANY), default=100)
@click.pass_context
def list_(context: click.Context, states: tuple[str, ...], limit: int) -> None:
    """List deliveries, oldest first [default: those that are queued or held]."""
    wanted = [DeliveryState(one) for one in states] or [DeliveryState.QUEUED, DeliveryState.HELD]

    async def work() -> list[Delivery]:
        async with _open(settings_of(context)) as desk:
            return await desk.list_deliveries(wanted, limit=limit)

    found = run(work())
    answer(context, [_facts(one) for one in found], *map(_line, found))


@queue.command("destinations")
@click.option("--limit", type=click.IntRange(1, MANY), default=100)
@click.pass_context
def destinations(context: click.Context, limit: int) -> None:
    """List the domains that cannot be reached, the longest failing first."""

    async def work() -> list[Destination]:
        async with _open(settings_of(context)) as desk:
            return await desk.list_destinations(limit=limit)

    found = run(work())
    answer(context, [asdict(one) for one in found], *map(_destination_line, found))


@queue.command("show")
@click.argument("delivery_id", metavar="ID")
@click.pass_context
def show(context: click.Context, delivery_id: str) -> None:
    """Show one delivery and what happened to it."""

    async def work() -> QueuedDelivery:
        async with _open(settings_of(context)) as desk:
            return await desk.get_delivery(delivery_id)

    found = run(work())
    facts = _facts(found.delivery)
    lines = [f"{key:18} {value}" for key, value in facts.items()]
    lines += [
        f"{one.at:%Y-%m-%d %H:%M:%S} {one.station.value:14} "
        f"{one.code or ''} {one.host or ''} {one.detail or ''}".rstrip()
        for one in found.events
    ]
    if found.destination is not None:
        lines.append(_destination_line(found.destination))
    facts["events"] = [asdict(one) for one in found.events]
    facts["destination"] = asdict(found.destination) if found.destination else None
    answer(context, facts, *lines)


@queue.command("retry")
@click.argument("delivery_id", metavar="ID")
@click.pass_context
def retry(context: click.Context, delivery_id: str) -> None:
    """Try the delivery ID now; a held one is released."""
    _change(context, lambda desk: desk.retry(delivery_id, actor=_actor()))


@queue.command("hold")
@click.argument("delivery_id", metavar="ID")
@click.pass_context
def hold(context: click.Context, delivery_id: str) -> None:
    """Keep the delivery ID until it is released with `retry`."""
    _change(context, lambda desk: desk.hold(delivery_id, actor=_actor()))


@queue.command("drop")
@click.argument("delivery_id", metavar="ID")
@click.confirmation_option(prompt="The letter will never be delivered. Drop it?")
@click.pass_context
def drop(context: click.Context, delivery_id: str) -> None:
    """Never deliver ID; its sender is told."""
    _change(context, lambda desk: desk.drop(delivery_id, actor=_actor()))


def _change(context: click.Context, change: Callable[[QueueDesk], Awaitable[Delivery]]) -> None:
    async def work() -> Delivery:
        async with _open(settings_of(context)) as desk:
            return await change(desk)

    changed = run(work())
    state = changed.state.value
    answer(context, {"id": changed.id, "state": state}, f"{changed.id} is now {state}.")


def _actor() -> str:
    """Name the person at the keyboard, for the journal."""
    try:
        return f"administrator:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user may have no name
        return "administrator"


def _facts(one: Delivery) -> dict[str, object]:
    facts = asdict(one)
    facts["notify"] = sorted(one.notify)
    return facts


def _line(one: Delivery) -> str:
    due = f"{one.next_attempt_at:%Y-%m-%d %H:%M:%S}" if one.next_attempt_at else "-" * 19
    return (
        f"{one.id} {one.state.value:9} {due} {one.attempts:>3} attempts "
        f"{one.recipient} {one.last_code or ''} {one.last_detail or ''}".rstrip()
    )


def _destination_line(one: Destination) -> str:
    return (
        f"{one.domain} failing since {one.failing_since:%Y-%m-%d %H:%M:%S}, {one.failures} times, "
        f"tried again at {one.retry_at:%Y-%m-%d %H:%M:%S}: {one.code} {one.detail}".rstrip()
    )
