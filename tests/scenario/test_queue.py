"""What waits survives: a peer that is down, our own restart, addresses nobody can vouch for."""

from datetime import timedelta

import pytest

from tests.support.crashing import AheadClock
from tests.support.operators import (
    HOSPITAL,
    PRACTICES,
    AddressBook,
    Home,
    Pair,
    Software,
    accepted_id,
    note,
    operating,
    until,
)

UNKNOWN = f"inconnu@{PRACTICES.domain}"
FOR_A_WHILE = timedelta(hours=5)  # longer than a sender is left in the dark
FOR_EVER = timedelta(days=3)  # longer than a letter is tried


@pytest.mark.slow
async def test_a_queue_survives_a_restart(hospital_home: Home, practices_home: Home) -> None:
    """The peer is down, we are restarted, the peer comes back: the letter arrives once."""
    book = AddressBook()
    async with (
        operating(hospital_home, book=book) as hospital,
        Software(hospital_home, hospital.ports) as writer,
    ):
        raw = note(HOSPITAL.mailbox, PRACTICES.mailbox)
        sent = accepted_id(await writer.submit(raw, PRACTICES.mailbox))
        await writer.await_station(sent, "deferred")

    async with (
        operating(hospital_home, book=book) as hospital,
        Software(hospital_home, hospital.ports) as writer,
    ):
        # The same client does not know whether its letter was taken, and sends it again.
        repeated = accepted_id(await writer.submit(raw, PRACTICES.mailbox))
        async with (
            operating(practices_home, book=book) as practices,
            Software(practices_home, practices.ports) as reader,
        ):
            await writer.await_station(sent, "delivered")

            assert repeated == sent
            assert len(await reader.await_inbox()) == 1
            stations = await writer.stations(sent)
            assert [one for one in stations if one != "deferred"] == [
                "accepted",
                "relayed",
                "delivered",
            ]


@pytest.mark.slow
async def test_an_address_that_its_operator_does_not_know_is_refused_at_once(pair: Pair) -> None:
    """The directory knows nothing, so its operator is asked while the author is still there."""
    before = await pair.hospital.count()

    reply = await pair.writer.submit(note(pair.writer.mailbox, UNKNOWN), UNKNOWN)
    response = await pair.writer.post(note(pair.writer.mailbox, UNKNOWN))

    assert (reply.code, reply.status, "recipient-unknown" in reply.text) == (550, "5.1.1", True)
    assert response.json()["code"] == "recipient-unknown"
    assert await pair.hospital.count() == before
    assert (await pair.practices.count())["message"] == 0


@pytest.mark.slow
async def test_a_mailbox_on_the_red_list_can_be_written_to(pair: Pair) -> None:
    """The directory does not show it; its operator vouches for it."""
    raw = note(pair.writer.mailbox, PRACTICES.red_list)

    sent = accepted_id(await pair.writer.submit(raw, PRACTICES.red_list))

    await pair.writer.await_station(sent, "delivered")
    assert len(await pair.reader.listed(mailbox=PRACTICES.red_list)) == 1


@pytest.mark.slow
async def test_when_nobody_can_vouch_the_letter_waits_and_its_author_hears(
    hospital_home: Home, practices_home: Home
) -> None:
    """An operator that is down must not stop its users' mail; a wrong address is reported later."""
    book = AddressBook()
    async with (
        operating(hospital_home, book=book) as hospital,
        Software(hospital_home, hospital.ports) as writer,
    ):
        sent = accepted_id(await writer.submit(note(HOSPITAL.mailbox, UNKNOWN), UNKNOWN))
        await writer.await_station(sent, "deferred")
        async with operating(practices_home, book=book) as practices:
            assert (await writer.await_station(sent, "failed"))[-1] == "failed"
            (report,) = await writer.await_inbox()

            assert report["report"] == "delivery"
            told = (await writer.octets(f"/v1/messages/{report['id']}/raw")).decode()
            assert f"Final-Recipient: rfc822;{UNKNOWN}" in told.replace("; ", ";")
            assert "Status: 5." in told
            assert (await practices.count())["message"] == 0


@pytest.mark.slow
async def test_a_late_letter_is_announced_once_and_still_delivered(
    hospital_home: Home, practices_home: Home
) -> None:
    """The author may telephone meanwhile; nothing is sent twice."""
    book, clock = AddressBook(), AheadClock()
    async with (
        operating(hospital_home, book=book, clock=clock) as hospital,
        Software(hospital_home, hospital.ports) as writer,
    ):
        raw = note(HOSPITAL.mailbox, PRACTICES.mailbox)
        sent = accepted_id(await writer.submit(raw, PRACTICES.mailbox))
        await writer.await_station(sent, "deferred")
        assert await writer.listed() == []
        clock.ahead += FOR_A_WHILE
        (report,) = await writer.await_inbox()
        attempts = len(await writer.stations(sent))

        async def has_tried_again() -> bool:
            return len(await writer.stations(sent)) > attempts + 2

        await until(has_tried_again, "more attempts")
        assert len(await writer.listed()) == 1
        assert b"Action: delayed" in await writer.octets(f"/v1/messages/{report['id']}/raw")
        async with operating(practices_home, book=book, clock=clock):
            await writer.await_station(sent, "delivered")


@pytest.mark.slow
async def test_a_report_that_cannot_be_delivered_causes_no_other(
    hospital_home: Home, practices_home: Home
) -> None:
    """The hospital goes away before the report of delivery comes back: the report is given up."""
    book, clock = AddressBook(), AheadClock()
    async with (
        operating(practices_home, book=book, clock=clock) as practices,
        operating(hospital_home, book=book) as hospital,
        Software(hospital_home, hospital.ports) as writer,
    ):
        book.ports[HOSPITAL.domain] = 1
        accepted_id(
            await writer.submit(note(HOSPITAL.mailbox, PRACTICES.mailbox), PRACTICES.mailbox)
        )

        async def has_report() -> bool:
            return "queued" in await practices.states()

        async def is_given_up() -> bool:
            return "failed" in await practices.states()

        await until(has_report, "the report in the queue")
        clock.ahead += FOR_EVER
        await until(is_given_up, "the report given up")

        counted = await practices.count()
        assert (counted["message"], counted["notice"]) == (2, 0)
