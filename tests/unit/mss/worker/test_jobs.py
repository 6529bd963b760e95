from pathlib import Path

import pytest

from mss.errors import PeerNotTrustedError
from mss.model.delivery import DeliveryState
from mss.model.principal import AccountPrincipal
from mss.store import trust_lists
from mss.worker.jobs import Jobs
from tests.support.factories import (
    HOSPITAL_DOMAIN,
    LAB,
    PRACTICES,
    WARD,
    Pair,
    a_letter,
    a_signed_trust_list,
)
from tests.support.pki import NOW, Pki


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
        trust=hospital.services.trust,
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


async def test_a_list_loaded_by_another_process_is_taken_up(
    pair: Pair, pki: Pki, jobs: Jobs
) -> None:
    """`mss trust load` reaches the running server."""
    trust = pair.hospital.services.trust
    domain = "nouveau.mssante.fr"
    listed = a_signed_trust_list(pki.authority, {domain: PRACTICES.subject}, at=NOW)
    kept = trust_lists.KeptTrustList(
        sha256="f" * 64, generated_at=NOW, loaded_at=NOW, source="x", entries=1, xml=listed
    )
    await pair.hospital.database.write(lambda c: trust_lists.put_in_force(c, kept))
    assert not trust.is_trusted_domain(domain)

    await run(jobs, "trust-list")

    assert trust.is_trusted_domain(domain)
    assert not trust.is_trusted_domain(HOSPITAL_DOMAIN)


async def test_renewed_revocation_lists_are_taken_up(
    pair: Pair, homes: Path, pki: Pki, jobs: Jobs
) -> None:
    """A certificate that was revoked an hour ago is refused without a restart."""
    trust, server = pair.hospital.services.trust, pki.hospital_server

    def judge() -> None:
        trust.judge_server(
            server.certificate,
            intermediates=server.chain,
            domain=HOSPITAL_DOMAIN,
            host="mail.ch-demo.mssante.fr",
        )

    judge()
    issuer = pki.authority.issuing.with_revoked(server.certificate, at=NOW)
    renewed = homes / HOSPITAL_DOMAIN / "trust" / "crls" / "renewed.crl"
    renewed.write_bytes(issuer.crl(NOW, number=2))
    judge()

    await run(jobs, "anchors")

    with pytest.raises(PeerNotTrustedError) as refusal:
        judge()
    assert "revoked" in refusal.value.reason
