"""`mss explain route`: where mail for somebody would go, and why."""

import click

from directory.address import MailAddress
from mss.cli.compose import open_operator
from mss.cli.explain import explain
from mss.cli.root import answer, run, settings_of
from mss.model.principal import SystemPrincipal
from mss.pipeline.submission import LocalRoute, RefusedRoute, RelayRoute, Route


@explain.command("route")
@click.argument("address")
@click.pass_context
def route(context: click.Context, address: str) -> None:
    """Say where mail for ADDRESS would go; status 1 when nowhere."""

    async def work() -> tuple[Route, str]:
        async with open_operator(settings_of(context)) as operator:
            acceptance = operator.services.acceptance
            recipient = MailAddress.parse(address)
            found = await acceptance.route(SystemPrincipal(reason="explain"), recipient)
            if not isinstance(found, RelayRoute):
                return found, "internal"
            return found, await acceptance.protection.foresee(recipient)

    found, protection = run(work())
    match found:
        case LocalRoute():
            answer(
                context,
                {"address": address, "way": "local", "mailbox": found.mailbox_id},
                f"{address} is one of our mailboxes.",
            )
        case RelayRoute():
            known = "the directory lists it" if found.is_listed else "the directory is silent"
            answer(
                context,
                {
                    "address": address,
                    "way": "relay",
                    "domain": found.domain,
                    "listed": found.is_listed,
                    "protection": protection,
                },
                f"{address} goes to the operator of {found.domain} ({known}), {protection}.",
            )
        case RefusedRoute():
            answer(
                context,
                {"address": address, "way": "refused", "code": found.error.code},
                f"{address} is refused: {found.error.public_text} [{found.error.code}]",
                found.error.next_step,
            )
            context.exit(1)
