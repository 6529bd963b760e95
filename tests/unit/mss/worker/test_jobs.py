import pytest

from mss.model.delivery import DeliveryState
from mss.model.principal import AccountPrincipal
from mss.worker.directory_refresh import DirectoryRefresh
from mss.worker.jobs import Jobs
from mss.worker.list_fetch import build_fetcher
from mss.worker.list_poll import ListPoll
from mss.worker.revocation import RevocationNews
from tests.support.factories import (
    LAB,
    WARD,
    Pair,
    a_letter,
)


async def run(jobs: Jobs, name: str) -> None:
    """Run one job of the table."""
    (job,) = [one for one in jobs.table() if one.name == name]
    await job.run()


@pytest.fixture
def jobs(pair: Pair) -> Jobs:
    hospital = pair.hospital
    return Jobs(
        database=hospital.database,
        blobs=hospital.blobs,
        poll=ListPoll(
            trust=hospital.services.trust,
            database=hospital.database,
            clock=hospital.clock,
            settings=hospital.services.settings.trust,
            fetcher=build_fetcher(hospital.services.settings),
        ),
        news=RevocationNews(trust=hospital.services.trust, settings=hospital.services.settings),
        directory=DirectoryRefresh(
            database=hospital.database,
            clock=hospital.clock,
            settings=hospital.services.settings,
        ),
        clock=hospital.clock,
        settings=hospital.services.settings,
    )


async def test_bodies_without_a_row_are_swept_when_they_are_old(
    pair: Pair, ward: AccountPrincipal, jobs: Jobs
) -> None:
    """A crash between body and row left them; a letter just being accepted is left alone."""
    accepted = await pair.hospital.submit(ward, a_letter(to=LAB), LAB)
    await pair.hospital.blobs.put("0" * 32, b"orphan")
    pair.hospital.clock.advance(hours=2)
    await pair.hospital.blobs.put("1" * 32, b"on its way")

    await run(jobs, "sweep")

    left = {one.ref async for one in pair.hospital.blobs.iter_records()}
    assert "memory:" + "0" * 32 not in left
    assert "memory:" + "1" * 32 in left
    assert len(left) == 2
    lab = await pair.hospital.log_in("lab")
    assert await pair.hospital.services.reading.get_raw(lab, accepted.message_id)


async def test_a_letter_deleted_by_everybody_leaves_no_body(
    pair: Pair, ward: AccountPrincipal, jobs: Jobs
) -> None:
    """Deleted means gone: the timeline stays, the content does not."""
    hospital = pair.hospital
    accepted = await hospital.submit(ward, a_letter(to=LAB), LAB)
    lab = await hospital.log_in("lab")
    reading = hospital.services.reading
    await reading.mark(lab, LAB, [accepted.message_id], delete=True)
    hospital.clock.advance(hours=1)
    await run(jobs, "release")
    assert len([one async for one in hospital.blobs.iter_records()]) == 1

    await reading.mark(ward, WARD, [accepted.message_id], delete=True)
    await run(jobs, "release")

    assert [one async for one in hospital.blobs.iter_records()] == []
    tracking = await hospital.services.tracking.get_tracking(ward, accepted.message_id)
    assert [one.state for one in tracking] == [DeliveryState.DELIVERED]


async def test_repeats_are_forgotten_after_their_time(
    pair: Pair, ward: AccountPrincipal, jobs: Jobs
) -> None:
    """A week by default: then the same octets are a new letter."""
    first = await pair.hospital.submit(ward, a_letter(to=LAB), LAB)
    pair.hospital.clock.advance(days=6)
    await run(jobs, "forget")
    again = await pair.hospital.submit(ward, a_letter(to=LAB), LAB)
    pair.hospital.clock.advance(days=2)
    await run(jobs, "forget")
    later = await pair.hospital.submit(ward, a_letter(to=LAB), LAB)

    assert again.message_id == first.message_id
    assert later.message_id != first.message_id
