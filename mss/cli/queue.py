"""`mss queue`: what waits to be carried to other operators."""

from collections.abc import Callable
from dataclasses import asdict

import click

from mss.cli.compose import Desk, open_desk
from mss.cli.root import Group, answer, root, run, settings_of
from mss.errors import ConflictError, NotFoundError
from mss.model.audit import AuditEvent, AuditName
from mss.model.delivery import Delivery, DeliveryState, Station
from mss.store import audit, deliveries
from mss.store.engine import Connection


@root.group("queue", cls=Group)
def queue() -> None:
    """Deliveries to other operators."""


@queue.command("list")
@click.option(
    "--state", "states", multiple=True, type=click.Choice([one.value for one in DeliveryState])
)
@click.option("--limit", type=click.IntRange(1, 100_000), default=100)
@click.pass_context
def list_(context: click.Context, states: tuple[str, ...], limit: int) -> None:
    """List deliveries, oldest first [default: those that are queued or held]."""
    wanted = [DeliveryState(one) for one in states] or [DeliveryState.QUEUED, DeliveryState.HELD]

    async def work() -> list[Delivery]:
        async with open_desk(settings_of(context)) as desk:
            return await desk.database.read(
                lambda c: deliveries.list_deliveries(c, states=wanted, limit=limit)
            )

    found = run(work())
    answer(context, [_facts(one) for one in found], *map(_line, found))


@queue.command("show")
@click.argument("delivery_id", metavar="ID")
@click.pass_context
def show(context: click.Context, delivery_id: str) -> None:
    """Show one delivery."""

    async def work() -> Delivery | None:
        async with open_desk(settings_of(context)) as desk:
            return await desk.database.read(lambda c: deliveries.find_delivery(c, delivery_id))

    found = run(work())
    if found is None:
        raise NotFoundError(what="delivery")
    answer(context, _facts(found), *(f"{key:18} {value}" for key, value in _facts(found).items()))


@queue.command("retry")
@click.argument("delivery_id", metavar="ID")
@click.pass_context
def retry(context: click.Context, delivery_id: str) -> None:
    """Try the delivery ID now; a held one is released."""

    def change(connection: Connection, desk: Desk) -> bool:
        now = desk.clock.now()
        _note(connection, desk, AuditName.DELIVERY_RETRIED, delivery_id)
        return deliveries.advance(
            connection,
            delivery_id,
            to=DeliveryState.QUEUED,
            station=Station.RELEASED,
            at=now,
        ) or deliveries.retry_now(connection, delivery_id, now=now)

    _apply(context, delivery_id, change)
    answer(context, {"id": delivery_id, "state": "queued"}, f"{delivery_id} is due now.")


@queue.command("hold")
@click.argument("delivery_id", metavar="ID")
@click.pass_context
def hold(context: click.Context, delivery_id: str) -> None:
    """Keep the delivery ID until it is released with `retry`."""
    _move(context, delivery_id, DeliveryState.HELD, Station.HELD, AuditName.DELIVERY_HELD)


@queue.command("drop")
@click.argument("delivery_id", metavar="ID")
@click.confirmation_option(prompt="The letter will never be delivered. Drop it?")
@click.pass_context
def drop(context: click.Context, delivery_id: str) -> None:
    """Never deliver ID; its sender sees it in the timeline."""
    _move(context, delivery_id, DeliveryState.DROPPED, Station.DROPPED, AuditName.DELIVERY_DROPPED)


def _move(
    context: click.Context, delivery_id: str, to: DeliveryState, station: Station, name: AuditName
) -> None:
    def change(connection: Connection, desk: Desk) -> bool:
        _note(connection, desk, name, delivery_id)
        return deliveries.advance(
            connection, delivery_id, to=to, station=station, at=desk.clock.now()
        )

    _apply(context, delivery_id, change)
    answer(context, {"id": delivery_id, "state": to.value}, f"{delivery_id} is now {to.value}.")


def _apply(
    context: click.Context, delivery_id: str, change: Callable[[Connection, Desk], bool]
) -> None:
    """Make a change that must concern a delivery in a state that allows it."""

    async def work() -> None:
        async with open_desk(settings_of(context)) as desk:

            def attempt(connection: Connection) -> None:
                if deliveries.find_delivery(connection, delivery_id) is None:
                    raise NotFoundError(what="delivery")
                if not change(connection, desk):
                    raise ConflictError(what="its state does not allow this")

            await desk.database.write(attempt)

    run(work())


def _note(connection: Connection, desk: Desk, name: AuditName, delivery_id: str) -> None:
    event = AuditEvent(name=name, actor="administrator", facts=(("delivery", delivery_id),))
    audit.append(connection, event, chain=desk.accounts.chain, at=desk.clock.now())


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
