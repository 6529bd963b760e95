"""What ends is told at 60, 30 and 7 days, and when it has ended; each once."""

import logging
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from mss.model.audit import AuditName
from mss.policy.endings import threshold_passed
from mss.store import tables
from mss.worker.endings import Endings
from tests.support.clock import FixedClock
from tests.support.factories import Pair
from tests.support.pki import NOW

DAYS = (60, 30, 7)


@pytest.fixture
def ending(pair: Pair) -> Endings:
    """The look of the hospital."""
    operator = pair.hospital
    return Endings(
        trust=operator.services.trust,
        keys=operator.running.keys,
        database=operator.database,
        settings=operator.services.settings,
        clock=operator.clock,
    )


async def told(pair: Pair) -> list[str]:
    """Read the journal: the facts of every warning."""
    wanted = select(tables.audit.c.facts).where(
        tables.audit.c.name == AuditName.CERTIFICATE_ENDING.value
    )
    return list(await pair.hospital.database.read(lambda c: c.execute(wanted).scalars().all()))


def end_of(pair: Pair) -> datetime:
    """When the signing certificate ends."""
    return pair.hospital.running.keys.current.signing.certificates[0].not_after_at


def set_clock(clock: FixedClock, at: datetime) -> None:
    """Move the clock to an instant."""
    clock.advance(seconds=(at - clock.now()).total_seconds())


async def test_nothing_is_told_while_there_is_time(pair: Pair, ending: Endings) -> None:
    """Warnings that are always there are read by nobody."""
    await ending.run()

    assert await told(pair) == []
    assert await ending.check() == "ok"


@pytest.mark.parametrize("days", DAYS)
async def test_each_threshold_is_told(
    pair: Pair, ending: Endings, days: int, caplog: pytest.LogCaptureFixture
) -> None:
    """In the journal, in the log and in the readiness of the server."""
    set_clock(pair.hospital.clock, end_of(pair) - timedelta(days=days, minutes=-1))

    with caplog.at_level(logging.WARNING, logger="mss.worker"):
        await ending.run()

    lines = await told(pair)
    assert {"tls", "signing", "reading"} <= {one.split('"use":"')[1].split('"')[0] for one in lines}
    signing = [one for one in lines if '"use":"signing"' in one]
    assert len(signing) == 1
    assert f'"threshold":"{days}"' in signing[0]
    assert f"signing ends in {days - 1} days" in caplog.text
    assert "signing ends" in await ending.check()


async def test_a_threshold_is_told_once(pair: Pair, ending: Endings) -> None:
    """Nor again by another process, or after a restart."""
    set_clock(pair.hospital.clock, end_of(pair) - timedelta(days=59))
    await ending.run()
    before = await told(pair)

    await ending.run()

    assert await told(pair) == before


async def test_what_has_ended_is_told_as_such(pair: Pair, ending: Endings) -> None:
    """Even if nobody was told before."""
    set_clock(pair.hospital.clock, end_of(pair) + timedelta(days=1))

    await ending.run()

    assert "signing has ended" in await ending.check()
    assert any('"threshold":"0"' in one for one in await told(pair))


async def test_readiness_is_not_looked_up_at_every_question(pair: Pair, ending: Endings) -> None:
    """A balancer asks every second."""
    assert await ending.check() == "ok"
    pair.hospital.clock.advance(minutes=30)
    looked = ending._looked_at

    await ending.check()

    assert ending._looked_at is looked


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (timedelta(days=61), None),
        (timedelta(days=60), None),
        (timedelta(days=60) - timedelta(seconds=1), 60),
        (timedelta(days=29), 30),
        (timedelta(days=6), 7),
        (timedelta(0), 0),
        (timedelta(days=-400), 0),
    ],
)
def test_the_smallest_threshold_that_was_passed_counts(
    left: timedelta, expected: int | None
) -> None:
    """After a pause in which several were passed, one warning is enough."""
    assert threshold_passed(NOW + left, NOW, DAYS) == expected
