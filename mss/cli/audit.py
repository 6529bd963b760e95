"""`mss audit`: read the journal, check that nobody changed it."""

from dataclasses import asdict

import click

from mss.cli.compose import open_desk
from mss.cli.root import Group, answer, root, run, settings_of
from mss.store import audit as rows


@root.group("audit", cls=Group)
def audit() -> None:
    """The journal of this operator."""


@audit.command("list")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, help="Newest lines.")
@click.pass_context
def list_(context: click.Context, limit: int) -> None:
    """List the newest lines, oldest first."""

    async def work() -> list[rows.AuditRow]:
        async with open_desk(settings_of(context)) as desk:
            return await desk.database.survey(lambda c: list(rows.iter_rows(c, limit=limit)))

    found = run(work())
    answer(context, [asdict(one) for one in found], *map(_line, found))


@audit.command("verify")
@click.pass_context
def verify(context: click.Context) -> None:
    """Recompute every chain of digests; status 1 if one is broken."""

    async def work() -> tuple[int, list[rows.BrokenLink]]:
        async with open_desk(settings_of(context)) as desk:
            return await desk.database.survey(rows.check_chains)

    checked, broken = run(work())
    lines = [f"{one.chain} row {one.position}: {one.reason}" for one in broken]
    answer(
        context,
        {"rows": checked, "broken": [asdict(one) for one in broken]},
        f"{checked} rows hold, {len(broken)} chains are broken.",
        *lines,
    )
    if broken:
        context.exit(1)


def _line(row: rows.AuditRow) -> str:
    facts = " ".join(f"{key}={value}" for key, value in row.facts.items())
    return f"{row.at:%Y-%m-%d %H:%M:%S} {row.name:22} {row.actor} {facts}"
