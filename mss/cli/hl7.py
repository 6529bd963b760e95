"""`mss hl7`: hospital software, and what is on its way to it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import click

from mss.cli.compose import open_desk
from mss.cli.root import Group, answer, root, run, settings_of, tell
from mss.errors import ConflictError
from mss.hl7.client import Caller, UnreachableError, check_destination
from mss.hl7.desk import Desk
from mss.hl7.message import Segment, parse_hl7
from mss.settings import Settings
from mss.store.hl7 import DEAD, DONE, WAITING, Outgoing, Route

T = TypeVar("T")
MANY = 100_000


@root.group("hl7", cls=Group)
def hl7() -> None:
    """Hospital software that speaks HL7 v2."""


@hl7.group("route", cls=Group)
def route() -> None:
    """Which software uses which application mailbox."""


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[Desk]:
    async with open_desk(settings) as desk:
        yield Desk(database=desk.database, clock=desk.clock, chain=desk.accounts.chain)


@route.command("add")
@click.argument("mailbox", metavar="MAILBOX")
@click.option("--application", required=True, help="What it calls itself (MSH-3).")
@click.option("--facility", default="", help="Whose it is (MSH-4).")
@click.option(
    "--to",
    "destination",
    default="",
    help="Where messages for it go: mllp://host:port, mllps://host:port or https://….",
)
@click.option("--certificate", help="Subject of the certificate that it shows, leaf first.")
@click.option("--documents", is_flag=True, help="Send it the documents that arrive in MAILBOX.")
@click.option("--since-ever", is_flag=True, help="Those that lie there already, too.")
@click.pass_context
def add(
    context: click.Context,
    mailbox: str,
    *,
    application: str,
    facility: str,
    destination: str,
    certificate: str | None,
    documents: bool,
    since_ever: bool,
) -> None:
    """Let software send from MAILBOX, and be told what becomes of its letters."""

    async def work() -> Route:
        async with _open(settings_of(context)) as desk:
            return await desk.add_route(
                application=application,
                facility=facility,
                mailbox=mailbox,
                destination=destination,
                certificate=certificate,
                takes_documents=documents,
                since_ever=since_ever,
            )

    added = run(work())
    answer(context, asdict(added), f"Added {_name(added)} for {added.mailbox_key}.")


@route.command("list")
@click.pass_context
def list_routes(context: click.Context) -> None:
    """List the software that is served."""
    found = run(_with(context, lambda desk: desk.list_routes()))
    answer(context, [asdict(one) for one in found], *map(_route_line, found))


@route.command("remove")
@click.option("--application", required=True)
@click.option("--facility", default="")
@click.confirmation_option(prompt="What waits for this software is forgotten. Remove it?")
@click.pass_context
def remove(context: click.Context, application: str, facility: str) -> None:
    """Serve software no more."""
    gone = run(
        _with(context, lambda desk: desk.remove_route(application=application, facility=facility))
    )
    answer(context, asdict(gone), f"Removed {_name(gone)}.")


@hl7.command("list")
@click.option("--state", "states", multiple=True, type=click.Choice([WAITING, DEAD, DONE]))
@click.option("--limit", type=click.IntRange(1, MANY), default=100)
@click.pass_context
def list_(context: click.Context, states: tuple[str, ...], limit: int) -> None:
    """List messages for software, oldest first [default: those that wait or were given up]."""
    wanted = list(states) or [WAITING, DEAD]
    found = run(_with(context, lambda desk: desk.list_outgoing(wanted, limit=limit)))
    answer(context, [asdict(one) for one in found], *map(_line, found))


@hl7.command("retry")
@click.argument("outgoing_id", metavar="ID")
@click.pass_context
def retry(context: click.Context, outgoing_id: str) -> None:
    """Try the message ID now, even if it was given up."""
    one = run(_with(context, lambda desk: desk.retry(outgoing_id)))
    answer(context, asdict(one), f"{one.id} waits for its turn.")


@hl7.command("send")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--to", "destination", help="mllp://host:port, mllps://… [default: our own door].")
@click.pass_context
def send(context: click.Context, file: Path, destination: str | None) -> None:
    """Send FILE as it is, and print the answer; status 0 if it is AA."""
    settings = settings_of(context)
    message = file.read_bytes()
    parse_hl7(message)
    to = check_destination(destination or _own_door(settings))

    async def work() -> bytes:
        try:
            async with Caller(settings=settings).calling(to) as line:
                return await line.ask(message)
        except UnreachableError as error:
            tell(f"mss: {to} did not answer: {error.reason}")
            raise ConflictError(what="hl7-answer") from error

    said = parse_hl7(run(work()))
    verdict = said.first("MSA")
    lines = [said.header.text(9, 2), *(_error_line(one) for one in said.all("ERR"))]
    code = verdict.text(1) if verdict else ""
    facts = {"verdict": code, "errors": [one.text(5) or one.text(3) for one in said.all("ERR")]}
    answer(context, facts, f"{code} {lines[0]}", *lines[1:])
    context.exit(0 if code in {"AA", "CA"} else 1)


def _own_door(settings: Settings) -> str:
    if settings.listen.mllp:
        return f"mllp://{settings.listen.mllp}"
    if settings.listen.mllps:
        return f"mllps://{settings.listen.mllps}"
    raise click.UsageError("no listen.mllp here: say where with --to")


async def _with(context: click.Context, work: Callable[[Desk], Awaitable[T]]) -> T:
    async with _open(settings_of(context)) as desk:
        return await work(desk)


def _error_line(error: Segment) -> str:
    where = ".".join(error.text(2, number) for number in range(1, error.components(2) + 1))
    code = f"{error.text(3)} {error.text(3, 2)}"
    return f"{where:12} {code}: {error.text(5)} {error.text(8)}".rstrip()


def _name(one: Route) -> str:
    return f"{one.application}|{one.facility}"


def _route_line(one: Route) -> str:
    what = "reports and documents" if one.takes_documents else "reports"
    trouble = f" NOT REACHED: {one.trouble}" if one.trouble else ""
    to = f"{what} to {one.destination}" if one.destination else "nothing goes back"
    who = f" with {one.certificate_name}" if one.certificate_name else ""
    return f"{_name(one)} {one.mailbox_key}{who}, {to}{trouble}"


def _line(one: Outgoing) -> str:
    return (
        f"{one.id} {one.kind} {one.state:7} {one.queued_at:%Y-%m-%d %H:%M:%S} "
        f"{one.attempts:>3} attempts {one.verdict or ''} {one.error_code or ''} "
        f"{one.error_text or ''}".rstrip()
    )
