"""`mss directory export` and `outbox`: what the national directory is told of our mailboxes."""

from pathlib import Path

import click

from directory.index_sql.publications import OutboxEntry, list_outbox, retry_publications
from mss.cli.compose import open_desk
from mss.cli.root import answer, run, settings_of
from mss.worker.publication import write_extraction


@click.command("export")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The file to write.",
)
@click.pass_context
def export(context: click.Context, out: Path) -> None:
    """Write our published mailboxes in the format of the national extraction.

    The liste rouge and closed mailboxes are not in it.
    """
    settings = settings_of(context)

    async def work() -> int:
        async with open_desk(settings) as desk:
            return await desk.database.survey(
                lambda c: write_extraction(c, out, frozenset(settings.domains))
            )

    lines = run(work())
    answer(context, {"file": str(out), "mailboxes": lines}, f"{out}: {lines} mailboxes.")


@click.command("outbox")
@click.option("--retry", is_flag=True, help="Try what waits or was refused again, at once.")
@click.pass_context
def outbox(context: click.Context, *, retry: bool) -> None:
    """List the mailboxes of which the national directory was not told, and why."""

    async def work() -> list[OutboxEntry]:
        async with open_desk(settings_of(context)) as desk:
            if retry:
                now = desk.clock.now()
                await desk.database.write(lambda c: retry_publications(c, at=now))
            return await desk.database.survey(list_outbox)

    entries = run(work())
    answer(context, [_facts(one) for one in entries], *map(_line, entries))


def _facts(entry: OutboxEntry) -> dict[str, object]:
    return {
        "address": str(entry.mailbox.address),
        "change": "closed" if entry.mailbox.is_closed else "declared",
        "changed_at": entry.mailbox.changed_at,
        "state": entry.state,
        "attempts": entry.attempts,
        "next_at": entry.next_at if entry.state == "waiting" else None,
        "reason": entry.reason,
    }


def _line(entry: OutboxEntry) -> str:
    change = "closed" if entry.mailbox.is_closed else "declared"
    again = f", again {entry.next_at:%Y-%m-%d %H:%M} UTC" if entry.state == "waiting" else ""
    why = f": {entry.reason}" if entry.reason else ""
    return f"{entry.mailbox.address} {change} {entry.state}{why}{again}"
