"""`mss db`: bring the schema up to date, check the database."""

import click

from mss.cli.compose import open_desk
from mss.cli.root import Group, answer, root, run, settings_of
from mss.store import audit, deliveries, migrate
from mss.store.engine import Connection


@root.group("db", cls=Group)
def db() -> None:
    """The database of this operator."""


@db.command("upgrade")
@click.pass_context
def upgrade(context: click.Context) -> None:
    """Create or change the tables until they are those of this version."""
    migrate.upgrade(settings_of(context).database_url)
    answer(context, {"schema": "current"}, "The schema is current.")


@db.command("check")
@click.pass_context
def check(context: click.Context) -> None:
    """Check the schema and the journal; status 1 when something is wrong."""

    async def work() -> dict[str, object]:
        async with open_desk(settings_of(context)) as desk:
            return await desk.database.survey(_examine)

    facts = run(work())
    is_good = facts["missing_revision"] is None and not facts["broken_chains"]
    answer(context, facts, *(f"{key:18} {value}" for key, value in facts.items()))
    if not is_good:
        context.exit(1)


def _examine(connection: Connection) -> dict[str, object]:
    missing = migrate.missing_revision(connection)
    if missing is not None:
        return {"missing_revision": missing, "broken_chains": 0}
    rows, broken = audit.check_chains(connection)
    return {
        "missing_revision": None,
        "journal_rows": rows,
        "broken_chains": len(broken),
        "deliveries": deliveries.count_by_state(connection),
    }
