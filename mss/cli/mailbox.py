"""`mss mailbox`: open, close, show, delegate, set quotas."""

from dataclasses import asdict

import click

from directory.address import MailAddress
from directory.model import MailboxKind
from mss.cli.compose import open_desk
from mss.cli.root import Group, answer, root, run, settings_of
from mss.model.mailbox import Mailbox
from mss.model.principal import Right

KINDS = click.Choice([kind.value for kind in MailboxKind], case_sensitive=False)


@root.group("mailbox", cls=Group)
def mailbox() -> None:
    """Mailboxes of this operator."""


@mailbox.command("open")
@click.argument("address")
@click.option("--kind", type=KINDS, required=True, help="PER, ORG, APP or CAB.")
@click.option("--name", default="", help="Name shown beside the address.")
@click.option("--rpps", help="RPPS of the holder (PER, CAB).")
@click.option("--finess", help="FINESS of the structure (ORG, APP).")
@click.pass_context
def open_(
    context: click.Context, address: str, kind: str, name: str, rpps: str | None, finess: str | None
) -> None:
    """Open a mailbox at ADDRESS."""

    async def work() -> Mailbox:
        async with open_desk(settings_of(context)) as desk:
            return await desk.mailboxes.open(
                MailAddress.parse(address),
                kind=MailboxKind(kind.upper()),
                display_name=name,
                rpps=rpps,
                finess=finess,
            )

    box = run(work())
    answer(context, asdict(box), f"Opened {box.address} ({box.kind}).")


@mailbox.command("close")
@click.argument("address")
@click.pass_context
def close(context: click.Context, address: str) -> None:
    """Close the mailbox at ADDRESS; the address is never given again."""

    async def work() -> None:
        async with open_desk(settings_of(context)) as desk:
            await desk.mailboxes.close(MailAddress.parse(address))

    run(work())
    answer(context, {"address": address, "state": "closed"}, f"Closed {address}.")


@mailbox.command("list")
@click.pass_context
def list_(context: click.Context) -> None:
    """List every mailbox."""

    async def work() -> list[Mailbox]:
        async with open_desk(settings_of(context)) as desk:
            return await desk.mailboxes.list()

    boxes = run(work())
    answer(context, [asdict(one) for one in boxes], *map(_line, boxes))


@mailbox.command("show")
@click.argument("address")
@click.pass_context
def show(context: click.Context, address: str) -> None:
    """Show one mailbox."""

    async def work() -> Mailbox:
        async with open_desk(settings_of(context)) as desk:
            return await desk.mailboxes.get(MailAddress.parse(address))

    box = run(work())
    answer(context, asdict(box), *(f"{key:14} {value}" for key, value in asdict(box).items()))


@mailbox.command("delegate")
@click.argument("address")
@click.argument("account")
@click.option(
    "--right",
    "rights",
    multiple=True,
    type=click.Choice([right.value for right in Right]),
    help="A right to give; none takes all away.",
)
@click.pass_context
def delegate(context: click.Context, address: str, account: str, rights: tuple[str, ...]) -> None:
    """Give ACCOUNT exactly these rights on the mailbox at ADDRESS."""

    async def work() -> None:
        async with open_desk(settings_of(context)) as desk:
            await desk.mailboxes.delegate(
                MailAddress.parse(address), account, frozenset(map(Right, rights))
            )

    run(work())
    given = ", ".join(rights) or "nothing"
    answer(
        context,
        {"address": address, "account": account, "rights": list(rights)},
        f"{account} may now do with {address}: {given}.",
    )


@mailbox.command("quota")
@click.argument("address")
@click.argument("octets", type=click.IntRange(min=1))
@click.pass_context
def quota(context: click.Context, address: str, octets: int) -> None:
    """Let the mailbox at ADDRESS hold OCTETS."""

    async def work() -> None:
        async with open_desk(settings_of(context)) as desk:
            await desk.mailboxes.set_quota(MailAddress.parse(address), octets)

    run(work())
    answer(context, {"address": address, "quota_octets": octets}, f"{address}: {octets} octets.")


def _line(box: Mailbox) -> str:
    state = "open" if box.is_open else "closed"
    return f"{box.address:50} {box.kind:4} {state:7} {box.used_octets:>12} octets"
