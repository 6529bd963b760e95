"""An operator that dies while it carries out a request: nothing is lost, and nothing doubled.

A request for professionals and for the patient is two letters, accepted one after the other.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from mss.clock import SystemClock
from mss.hl7.desk import Desk
from mss.hl7.message import parse_hl7
from mss.store import tables
from mss.store.engine import Connection, Database, open_database
from tests.support.crashing import Fate, MortalOperator
from tests.support.hospital import MATRICULE, Line, a_request
from tests.support.operators import HOSPITAL, PRACTICES, AddressBook, Ground, until

pytestmark = pytest.mark.slow
PATIENT = f"{MATRICULE}@{PRACTICES.domain}"
SECTIONS = {
    "listen": {"mllp": "127.0.0.1:0"},
    "patients": {"domain": PRACTICES.domain},  # the other operator plays the patients'
}
REQUEST = a_request(to=[HOSPITAL.other], flags={"DESTMSSANTEPAT": "Y"})


@pytest.fixture
async def mortal(ground: Ground, tmp_path: Path) -> AsyncIterator[tuple[MortalOperator, Database]]:
    """The hospital's operator in a process of its own, and its database from beside."""
    home = ground.copy(HOSPITAL, tmp_path, SECTIONS)
    operator = MortalOperator(home=home, book=AddressBook(), fate=Fate(ledger=tmp_path / "ledger"))
    database = open_database(home.settings().database_url)
    try:
        await Desk(database=database, clock=SystemClock(), chain="essais").add_route(
            application="RIS-Y",
            facility="Organisation-Y",
            mailbox=HOSPITAL.mailbox,
            destination="mllp://127.0.0.1:1",
        )
        yield operator, database
        assert operator.stop() == 0
    finally:
        await database.aclose()


def recipients(connection: Connection) -> list[str]:
    """To whom a delivery was written down, each as often as it was."""
    return sorted(connection.execute(select(tables.delivery.c.recipient)).scalars())


@pytest.mark.parametrize("death", ["commit 1 after", "commit 2 inside", "commit 2 after"])
async def test_a_request_that_was_cut_off_between_its_letters_is_two_letters(
    mortal: tuple[MortalOperator, Database], death: str
) -> None:
    """Software that got no answer asks again; each letter exists once, and the answer is AA."""
    operator, database = mortal

    async def has_died() -> bool:
        return operator.has_died()

    operator.fate = Fate(ledger=operator.fate.ledger, dies_at=death)
    await asyncio.to_thread(operator.start)
    async with Line.open(operator.ports["mllp"]) as line:
        with pytest.raises((AssertionError, ConnectionError)):
            await line.ask_raw(REQUEST)
    await until(has_died, "the death")
    before = await database.read(recipients)
    await asyncio.to_thread(operator.come_back)
    async with Line.open(operator.ports["mllp"]) as line:
        first, second = await line.ask_raw(REQUEST), await line.ask_raw(REQUEST)

    assert before == [PATIENT, HOSPITAL.other][1 if death != "commit 2 after" else 0 :]
    assert first == second
    assert next(parse_hl7(first).all("MSA")).text(1) == "AA"
    assert await database.read(recipients) == [PATIENT, HOSPITAL.other]
