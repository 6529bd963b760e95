"""`mss account`: people and software that log in with credentials of ours."""

import sys
from datetime import timedelta

import click

from mss.cli.compose import open_desk
from mss.cli.root import Group, answer, root, run, settings_of
from mss.store.accounts import Account


@root.group("account", cls=Group)
def account() -> None:
    """Accounts of this operator."""


@account.command("add")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--no-password", is_flag=True, help="Tokens only.")
@click.option(
    "--identity",
    help="National identifier (8 and the RPPS number) of the person whom the identity provider "
    "vouches for; no password then.",
)
@click.option(
    "--certificate",
    "certificate_name",
    help="Subject of the software's client certificate, leaf first; no password then.",
)
@click.pass_context
def add(
    context: click.Context,
    name: str,
    *,
    password_stdin: bool,
    no_password: bool,
    identity: str | None,
    certificate_name: str | None,
) -> None:
    """Add an account called NAME; asks for its password."""
    is_known_otherwise = no_password or identity is not None or certificate_name is not None
    wants_password = password_stdin or not is_known_otherwise
    password = _password(is_piped=password_stdin) if wants_password else None

    async def work() -> Account:
        async with open_desk(settings_of(context)) as desk:
            return await desk.accounts.add(
                name, password=password, identity=identity, certificate_name=certificate_name
            )

    added = run(work())
    answer(context, {"id": added.id, "name": added.name}, f"Added {added.name}.")


@account.command("list")
@click.pass_context
def list_all(context: click.Context) -> None:
    """List every account."""

    async def work() -> list[Account]:
        async with open_desk(settings_of(context)) as desk:
            return await desk.accounts.list_accounts()

    found = run(work())
    answer(
        context,
        [
            {
                "id": one.id,
                "name": one.name,
                "identity": one.identity,
                "certificate": one.certificate_name,
                "closed_at": one.closed_at,
            }
            for one in found
        ],
        *(f"{one.name:40} {'closed' if one.closed_at else 'open'}" for one in found),
    )


@account.command("token")
@click.argument("name")
@click.option("--days", type=click.IntRange(min=1), help="Days until it is over [default: never].")
@click.pass_context
def token(context: click.Context, name: str, days: int | None) -> None:
    """Print a new bearer token of the account NAME; it is shown once."""

    async def work() -> str:
        async with open_desk(settings_of(context)) as desk:
            valid_for = timedelta(days=days) if days else None
            return await desk.accounts.issue_token(name, valid_for=valid_for)

    secret = run(work())
    answer(context, {"name": name, "token": secret}, secret)


def _password(*, is_piped: bool) -> str:
    if is_piped:
        text = sys.stdin.readline().rstrip("\r\n")
    else:
        text = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if not text:
        raise click.UsageError("the password is empty")
    return str(text)
