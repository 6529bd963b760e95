"""Many at once, on each engine: nothing is lost, doubled, or left waiting for something else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from mss.model.delivery import DeliveryState
from mss.store import audit, deliveries, tables
from tests.conftest import ENGINES
from tests.support.clock import FixedClock
from tests.support.database import PostgresqlFactory
from tests.support.factories import (
    BOTH,
    GP,
    LAB,
    OTHER_GP,
    WARD,
    Pair,
    a_letter,
    a_pair,
    make_homes,
)
from tests.support.pki import Pki

pytestmark = pytest.mark.slow
LETTERS = 12


@pytest.fixture(params=ENGINES)
async def both(
    request: pytest.FixtureRequest, tmp_path: Path, pki: Pki, clock: FixedClock
) -> AsyncIterator[Pair]:
    """Both operators, each on a database of its own."""
    urls = {}
    if request.param == "postgresql":
        factory: PostgresqlFactory = request.getfixturevalue("postgresql_factory")
        urls = {one.domain: factory.create() for one in BOTH}
    await make_homes(tmp_path, pki.authority, urls=urls)
    async with a_pair(tmp_path, clock) as opened:
        yield opened  # the databases end with their server


async def test_letters_and_reports_cross(both: Pair) -> None:
    """Writing, receiving and reporting for the same mailboxes at the same time: all arrive."""
    ward, lab = await both.hospital.log_in("ward"), await both.hospital.log_in("lab")
    accepted = await asyncio.gather(
        *(
            both.hospital.submit(ward, a_letter(text=str(n)), GP, OTHER_GP, LAB)
            for n in range(LETTERS)
        ),
        *(
            both.hospital.submit(
                lab, a_letter(author=LAB, text=str(n)), WARD, OTHER_GP, GP, sender=LAB
            )
            for n in range(LETTERS)
        ),
    )
    for _ in range(3):
        await asyncio.gather(both.hospital.work(), both.practices.work())

    states = await both.hospital.database.read(deliveries.count_by_state)
    received = await both.practices.letters("anne", GP)

    assert len({one.message_id for one in accepted}) == 2 * LETTERS
    assert len(received) == 2 * LETTERS
    assert len({one.deposits[0].uid for one in received}) == 2 * LETTERS
    assert states == {DeliveryState.DELIVERED: 3 * 2 * LETTERS + 2 * 2 * LETTERS}
    assert (await both.hospital.database.read(audit.check_chains))[1] == []
    assert (await both.practices.database.read(audit.check_chains))[1] == []


async def test_the_same_letter_at_the_same_moment_is_one_letter(both: Pair) -> None:
    """A client that gave up waiting tries on another connection while the first still runs."""
    ward = await both.hospital.log_in("ward")
    submit = both.hospital.submit

    accepted = await asyncio.gather(*(submit(ward, a_letter(), GP, LAB) for _ in range(6)))

    rows = await both.hospital.database.read(
        lambda c: c.execute(select(func.count()).select_from(tables.message)).scalar()
    )
    assert len({one.message_id for one in accepted}) == 1
    assert [one.is_repeat for one in accepted].count(False) == 1
    assert rows == 1
    assert await both.hospital.blobs.count() == 2


async def test_overlapping_envelopes_serve_each_recipient_once(both: Pair) -> None:
    """The same letter to different selections, in different orders, at the same moment."""
    ward = await both.hospital.log_in("ward")
    submit = both.hospital.submit
    everybody = [GP, OTHER_GP, LAB]
    selections = [everybody, everybody[::-1], everybody[:2], everybody[1:], [LAB, GP]]

    await asyncio.gather(*(submit(ward, a_letter(), *one) for one in selections * 2))

    served = await both.hospital.database.read(
        lambda c: sorted(c.execute(select(tables.delivery.c.recipient)).scalars())
    )
    assert served == sorted(everybody)
