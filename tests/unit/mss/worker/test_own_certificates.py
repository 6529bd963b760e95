"""What letters to us are encrypted for is in the directory by itself."""

import pytest
from sqlalchemy import select

from directory import index_sql
from directory.address import MailAddress
from mss.worker.own_certificates import OwnCertificates
from tests.support.factories import WARD, InProcessOperator, Pair

TABLE = index_sql.metadata.tables["directory_certificate"]
ADDRESS = MailAddress.parse(WARD)


@pytest.fixture
async def job(pair: Pair) -> OwnCertificates:
    """The job of a hospital for which nobody published anything."""
    hospital = pair.hospital
    await hospital.database.write(lambda c: c.execute(TABLE.delete()))
    return OwnCertificates(
        database=hospital.database,
        keys=hospital.running.keys,
        domains=frozenset(hospital.services.settings.domains),
        clock=hospital.clock,
    )


async def own_rows(operator: InProcessOperator) -> list[str]:
    query = select(TABLE.c.subject).where(TABLE.c.source == "own").order_by(TABLE.c.subject)
    return await operator.database.read(lambda c: list(c.execute(query).scalars()))


async def test_the_current_certificate_is_published_once(pair: Pair, job: OwnCertificates) -> None:
    """For each of our domains, and for all of its mailboxes."""
    await job.run()
    await job.run()

    current = pair.hospital.running.keys.current.reading.certificates[0]
    database = pair.hospital.database
    found = await database.read(lambda c: index_sql.find_certificates(c, ADDRESS))
    assert found == [current.der]
    assert await own_rows(pair.hospital) == [f"@{ADDRESS.domain}"]


async def test_what_is_no_longer_current_is_withdrawn(pair: Pair, job: OwnCertificates) -> None:
    """Also when the directory was left behind by several keys, or by a domain given up."""
    await job.run()
    stale = TABLE.update().values(fingerprint="0" * 64, der=b"old", subject="@given-up.mssante.fr")
    await pair.hospital.database.write(lambda c: c.execute(stale.where(TABLE.c.source == "own")))

    await job.run()

    assert await own_rows(pair.hospital) == [f"@{ADDRESS.domain}"]
