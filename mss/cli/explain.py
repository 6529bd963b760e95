"""`mss explain`: find out why, one question at a time."""

from dataclasses import asdict
from pathlib import Path

import click

from directory.address import MailAddress
from mss.cli.compose import open_operator
from mss.cli.root import Group, answer, root, run, settings_of
from mss.mailboxes.documents import DocumentSet, explain_file
from mss.model.principal import SystemPrincipal
from mss.pipeline.submission import LocalRoute, RefusedRoute, RelayRoute, Route


@root.group("explain", cls=Group)
def explain() -> None:
    """Say what the server would do, and why."""


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


@explain.command("document")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_context
def document(context: click.Context, path: Path) -> None:
    """Say what the IHE_XDM.ZIP or CDA file at PATH holds, and what is wrong with it."""
    found = explain_file(path.name, path.read_bytes())
    answer(context, _facts(found), *_lines(found))
    if any(one.severity == "error" for one in found.findings):
        context.exit(1)


def _facts(found: DocumentSet) -> dict[str, object]:
    documents = []
    for one in found.documents:
        facts = asdict(one)
        facts["size"] = facts.pop("size_octets")
        facts["authors"] = [author.name for author in one.authors]
        documents.append(facts)
    return {"documents": documents, "findings": [asdict(one) for one in found.findings]}


def _lines(found: DocumentSet) -> list[str]:
    lines = [
        f"{one.file}: {one.type_code} {one.type_label or ''}, {one.body}, {one.action}, "
        f"{one.size_octets} octets"
        for one in found.documents
    ]
    return lines + [
        f"  {one.severity}: {one.code} {one.where}: {one.text}" for one in found.findings
    ]
