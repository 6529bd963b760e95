"""`mss mailbox`: open, close, show, delegate, set quotas."""

from dataclasses import asdict
from pathlib import Path

import click

from directory.address import MailAddress
from directory.model import MailboxKind
from mss.cli.compose import open_desk
from mss.cli.root import Group, answer, root, run, settings_of
from mss.model.mailbox import Mailbox
from mss.model.principal import Right

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
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
@click.option("--certificate", type=FILE, help="To encrypt with, if its client holds the key.")
@click.option(
    "--key-held-by",
    type=click.Choice(["server", "client"]),
    default="server",
    show_default=True,
    help="`client`: this server stores what only the mailbox's software can read.",
)
@click.option(
    "--liste-rouge", is_flag=True, help="Do not show it in the directory; mail to it is delivered."
)
@click.pass_context
def open_(
    context: click.Context,
    *,
    address: str,
    kind: str,
    name: str,
    rpps: str | None,
    finess: str | None,
    certificate: Path | None,
    key_held_by: str,
    liste_rouge: bool,
) -> None:
    """Open a mailbox at ADDRESS."""
    if (certificate is not None) != (key_held_by == "client"):
        raise click.UsageError("--certificate and --key-held-by client go together")
    octets = None if certificate is None else certificate.read_bytes()

    async def work() -> Mailbox:
        async with open_desk(settings_of(context)) as desk:
            return await desk.mailboxes.open(
                MailAddress.parse(address),
                kind=MailboxKind(kind.upper()),
                display_name=name,
                rpps=rpps,
                finess=finess,
                client_certificate=octets,
                liste_rouge=liste_rouge,
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


@mailbox.command("certificate")
@click.argument("address")
@click.argument("file", type=FILE)
@click.pass_context
def certificate(context: click.Context, address: str, file: Path) -> None:
    """Encrypt for the certificate in FILE what reaches ADDRESS from now on.

    Only for a mailbox whose key its client holds; what lies in it stays as it is.
    """
    octets = file.read_bytes()

    async def work() -> Mailbox:
        async with open_desk(settings_of(context)) as desk:
            return await desk.mailboxes.set_client_certificate(MailAddress.parse(address), octets)

    box = run(work())
    answer(context, asdict(box), f"{address}: the new certificate is in use.")


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
