"""`mss quarantine`: messages that were put aside; look, let out, throw away."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from mss.cli.compose import open_operator
from mss.cli.root import Group, answer, root, run, settings_of
from mss.pipeline.accept import Acceptance
from mss.pipeline.quarantine import Quarantine
from mss.pipeline.submission import Submission
from mss.store.quarantine import PutAside

T = TypeVar("T")
Work = Callable[[Quarantine, Acceptance], Awaitable[T]]


@root.group("quarantine", cls=Group)
def quarantine() -> None:
    """Messages that were put aside."""


@quarantine.command("list")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100)
@click.pass_context
def list_(context: click.Context, limit: int) -> None:
    """List messages that were put aside, oldest first; never who wrote to whom."""
    found = _run(context, lambda desk, _: desk.list(limit=limit))
    answer(context, [_facts(one) for one in found], *map(_line, found))


@quarantine.command("show")
@click.argument("quarantine_id", metavar="ID")
@click.pass_context
def show(context: click.Context, quarantine_id: str) -> None:
    """Show one message that was put aside: why, from whom, for whom."""
    one, submission = _run(context, lambda desk, _: desk.show(quarantine_id))
    facts = _facts(one) | _people(submission)
    answer(context, facts, *(f"{name:14} {value}" for name, value in facts.items()))


@quarantine.command("release")
@click.argument("quarantine_id", metavar="ID")
@click.confirmation_option(prompt="The message goes to its recipients unscanned. Let it out?")
@click.pass_context
def release(context: click.Context, quarantine_id: str) -> None:
    """Let the message ID out: it goes where it was meant to go."""
    accepted = _run(context, lambda desk, way_in: desk.release(quarantine_id, way_in=way_in.accept))
    answer(
        context,
        {"id": quarantine_id, "state": "released", "message": accepted.message_id},
        f"{quarantine_id} is on its way as {accepted.message_id}.",
    )


@quarantine.command("drop")
@click.argument("quarantine_id", metavar="ID")
@click.confirmation_option(prompt="The message will never be delivered. Throw it away?")
@click.pass_context
def drop(context: click.Context, quarantine_id: str) -> None:
    """Throw the message ID away; its sender is told."""
    _run(context, lambda desk, way_in: desk.drop(quarantine_id, way_in=way_in.accept))
    answer(context, {"id": quarantine_id, "state": "dropped"}, f"{quarantine_id} is gone.")


def _run(context: click.Context, work: Work[T]) -> T:
    async def inside() -> T:
        async with open_operator(settings_of(context)) as operator:
            acceptance = operator.services.acceptance
            return await work(acceptance.hygiene.quarantine, acceptance)

    return run(inside())


def _facts(one: PutAside) -> dict[str, object]:
    return {
        "id": one.id,
        "put_aside_at": one.put_aside_at,
        "cause": one.cause,
        "detail": one.detail,
        "origin": one.origin,
        "sender_domain": one.sender_domain,
        "recipients": one.recipients,
        "size_octets": one.size_octets,
    }


def _people(submission: Submission) -> dict[str, object]:
    envelope = submission.envelope
    return {
        "sender": str(envelope.sender or "<>"),
        "to": [str(one.address) for one in envelope.recipients],
    }


def _line(one: PutAside) -> str:
    return (
        f"{one.id} {one.put_aside_at:%Y-%m-%d %H:%M:%S} {one.size_octets:>10} "
        f"{one.sender_domain or '<>'} {one.cause} {one.detail}".rstrip()
    )
