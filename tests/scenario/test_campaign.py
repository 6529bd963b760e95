"""A short campaign of deaths (`make crash` runs long ones), and how sharp its judge's eye is."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from mss.store import tables
from mss.store.engine import sync_engine
from tests.crash.campaign import Plan, make_home, prepared, run
from tests.crash.verdict import Verdict
from tests.support.database import PostgresqlFactory
from tests.support.operators import Ground

SEED = 20261123


async def judged(ground: Ground, plan: Plan, spoil: Callable[[Connection], object]) -> Verdict:
    """Run a campaign, spoil the books of the operator, and judge."""
    async with prepared(ground, plan) as campaign:
        await campaign.run(lambda _: None)
        engine = sync_engine(plan.home.settings().database_url)
        with engine.begin() as connection:
            spoil(connection)
        engine.dispose()
        return await campaign.judge()


@pytest.mark.slow
async def test_nothing_is_lost_or_doubled_over_many_deaths(ground: Ground, tmp_path: Path) -> None:
    """Whatever it is doing when it is killed, each letter ends in one state per recipient."""
    plan = Plan(kills=8, seed=SEED, home=make_home(ground, tmp_path))

    outcome = await run(ground, plan, step=lambda _: None)

    assert outcome.verdict is not None
    assert outcome.verdict.problems == []
    assert outcome.places.total() == 8
    assert outcome.letters["accepted"] > 8


@pytest.fixture
def on_postgresql(ground: Ground, tmp_path: Path, postgresql_factory: PostgresqlFactory) -> Plan:
    """A plan for an operator whose database is PostgreSQL."""
    home = make_home(ground, tmp_path, database_url=postgresql_factory.create())
    return Plan(kills=4, seed=SEED, home=home)


@pytest.mark.slow
@pytest.mark.postgresql
async def test_the_other_engine_keeps_the_same_promises(
    ground: Ground, on_postgresql: Plan
) -> None:
    """Nor is anything lost or doubled on PostgreSQL."""
    outcome = await run(ground, on_postgresql, step=lambda _: None)

    assert outcome.verdict is not None
    assert outcome.verdict.problems == []


def lose_a_deposit(connection: Connection) -> None:
    deposit = tables.deposit
    some = connection.execute(select(deposit).where(deposit.c.role != "sent").limit(1)).one()
    connection.execute(
        delete(deposit).where(
            deposit.c.message_id == some.message_id, deposit.c.mailbox_id == some.mailbox_id
        )
    )


def invent_a_hand_over(connection: Connection) -> None:
    delivery = tables.delivery
    some = connection.execute(
        select(delivery.c.id).where(delivery.c.state == "delivered").limit(1)
    ).scalar_one()
    connection.execute(update(delivery).where(delivery.c.id == some).values(state="relayed"))


def double_a_delivery(connection: Connection) -> None:
    some = connection.execute(select(tables.delivery).limit(1)).one()
    connection.execute(insert(tables.delivery).values(**{**some._mapping, "id": "0" * 32}))


def forge_the_journal(connection: Connection) -> None:
    connection.execute(update(tables.audit).where(tables.audit.c.position == 3).values(facts="{}"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lose_a_deposit, "deposited in"),
        (invent_a_hand_over, "is relayed"),
        (double_a_delivery, "deliveries"),
        (forge_the_journal, "journal"),
    ],
)
async def test_the_judge_sees_what_is_wrong(
    ground: Ground, tmp_path: Path, spoil: Callable[[Connection], None], complaint: str
) -> None:
    """A campaign that cannot fail would prove nothing."""
    plan = Plan(kills=0, seed=SEED, home=make_home(ground, tmp_path))

    verdict = await judged(ground, plan, spoil)

    assert [one for one in verdict.problems if complaint in one]
