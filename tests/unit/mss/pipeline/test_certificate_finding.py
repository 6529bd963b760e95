"""Certificates of recipients that another directory knows: believed when proven, asked for once."""

import asyncio
import copy
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from crypto import smime
from crypto.certificates import parse_certificates
from crypto.issuing import CertificateProfile, Issued
from directory import index_sql
from directory.address import Domain, MailAddress
from mss.pipeline.certificate_finding import KEPT, TROUBLE, CertificateFinder
from tests.support.clock import FixedClock
from tests.support.factories import GP, PRACTICES, Pair, a_letter, a_pair
from tests.support.pki import ISSUED_AT, PERSON, Pki

RECIPIENT = MailAddress.parse(GP)


@dataclass(slots=True)
class FakeSource:
    """Knows the certificates that a test gives it."""

    known: dict[str, Sequence[bytes] | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    hangs: bool = False

    async def find(self, address: MailAddress) -> Sequence[bytes] | None:
        self.asked.append(address.key)
        if self.hangs:
            await asyncio.Event().wait()
        return self.known.get(address.key, [])


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


@pytest.fixture
async def asking(homes: Path, clock: FixedClock, source: FakeSource) -> AsyncIterator[Pair]:
    """Two operators; the hospital knows no certificate of the practices, and may ask."""
    async with a_pair(homes, clock) as pair:
        services = pair.hospital.services
        table = index_sql.metadata.tables["directory_certificate"]
        await pair.hospital.database.write(lambda c: c.execute(table.delete()))
        finder = CertificateFinder(
            database=pair.hospital.database,
            source=source,
            trust=services.trust,
            settings=services.settings.directory.model_copy(update={"ldap_seconds": 0.05}),
            clock=clock,
        )
        # Frozen for the server, which has one finder for its whole life; a test brings its own.
        object.__setattr__(services.acceptance.protection, "finder", finder)
        yield pair


async def leaving(pair: Pair) -> str:
    """Send a letter to the practice; say how it was protected."""
    ward = await pair.hospital.log_in("ward")
    await pair.hospital.submit(ward, a_letter(text=f"Lettre {len(pair.hospital.relay.carried)}"))
    await pair.hospital.work()
    _, octets = pair.hospital.relay.carried[-1]
    return smime.classify(octets)


def for_person(pki: Pki, address: str) -> Issued:
    """A certificate of a person that names an address."""
    subject = replace(PERSON, mail_addresses=(address,))
    profile = CertificateProfile.CONFIDENTIALITY
    return pki.authority.issue(profile, subject, at=ISSUED_AT, key="p256")


@pytest.fixture
def operator_certificate(homes_template: Path) -> bytes:
    """What the practices' operator reads with: it names a structure, and no address."""
    file = next((homes_template / PRACTICES.domain / "keys" / "reading").glob("*.crt"))
    return parse_certificates(file.read_bytes())[0].der


async def test_a_letter_is_encrypted_with_a_certificate_that_was_found(
    asking: Pair, source: FakeSource, operator_certificate: bytes
) -> None:
    """The recipient's operator is who may read it, after the trust list."""
    source.known[GP] = [operator_certificate]

    assert await leaving(asking) == "encrypted"


async def test_one_answer_serves_the_letters_of_a_day(
    asking: Pair, source: FakeSource, operator_certificate: bytes, clock: FixedClock
) -> None:
    """And is asked for again after that."""
    source.known[GP] = [operator_certificate]
    await leaving(asking)
    await leaving(asking)
    assert source.asked == [GP]

    clock.advance(days=1, seconds=1)
    source.known[GP] = []

    assert await leaving(asking) == "signed"
    assert source.asked == [GP, GP]


async def test_that_there_is_none_is_believed_for_a_while(
    asking: Pair, source: FakeSource, clock: FixedClock
) -> None:
    """A directory is not asked about the same stranger for each letter."""
    assert await leaving(asking) == "signed"
    await leaving(asking)
    assert source.asked == [GP]

    clock.advance(hours=1, seconds=1)
    await leaving(asking)

    assert source.asked == [GP, GP]


@pytest.mark.parametrize("octets", [b"", b"\x30\x03\x02\x01\x01", b"-----BEGIN CERTIFICATE-----"])
async def test_octets_that_are_no_certificate_are_dropped(
    asking: Pair, source: FakeSource, octets: bytes
) -> None:
    """The letter leaves all the same, as letters without a certificate do."""
    source.known[GP] = [octets]

    assert await leaving(asking) == "signed"


async def test_a_certificate_of_a_strange_authority_is_dropped(
    asking: Pair, source: FakeSource, pki: Pki
) -> None:
    """A directory is not believed; anchors are."""
    source.known[GP] = [pki.stranger_signature.certificate.der]

    assert await leaving(asking) == "signed"


async def test_a_certificate_of_somebody_else_is_dropped(
    asking: Pair, source: FakeSource, pki: Pki
) -> None:
    """It is good, and somebody else would read the letter."""
    other = for_person(pki, "other@cabinets-demo.mssante.fr")
    source.known[GP] = [other.certificate.der, pki.hospital_confidentiality.certificate.der]

    assert await leaving(asking) == "signed"


async def test_a_revoked_certificate_is_dropped(
    asking: Pair, source: FakeSource, pki: Pki, clock: FixedClock
) -> None:
    """Its key may be in other hands."""
    revoked = for_person(pki, GP)
    authority = copy.copy(pki.authority)
    authority.revoke(revoked.certificate, at=clock.now() - timedelta(hours=1))
    source.known[GP] = [revoked.certificate.der]
    trust = asking.hospital.services.trust
    trust.store = pki.store_with(authority.crls(clock.now()))

    assert await leaving(asking) == "signed"


async def test_a_letter_leaves_although_nobody_answers(asking: Pair, source: FakeSource) -> None:
    """And those after it do not wait either, for a minute."""
    source.hangs = True

    assert await leaving(asking) == "signed"
    assert await leaving(asking) == "signed"
    assert source.asked == [GP]


async def test_what_was_found_outlives_an_outage(
    asking: Pair, source: FakeSource, operator_certificate: bytes, clock: FixedClock
) -> None:
    """It is judged at each use, so it may serve until the directory answers again."""
    source.known[GP] = [operator_certificate]
    await leaving(asking)
    clock.advance(days=1, seconds=1)
    source.known[GP] = None

    assert await leaving(asking) == "encrypted"
    clock.advance(seconds=TROUBLE.total_seconds() + 1)
    await leaving(asking)
    assert source.asked == [GP] * 3


async def test_nobody_is_asked_about_a_mailbox_with_a_certificate_here(
    asking: Pair, source: FakeSource, pki: Pki
) -> None:
    """Whom somebody writes to is nobody's business."""
    mine = pki.practice_confidentiality.certificate
    await asking.hospital.database.write(
        lambda c: index_sql.publish_certificate(
            c,
            subject=Domain(str(RECIPIENT.domain)),
            der=mine.der,
            fingerprint=mine.fingerprint,
            not_after_at=mine.not_after_at,
            published_at=ISSUED_AT,
        )
    )

    await leaving(asking)

    assert source.asked == []


async def test_old_answers_are_forgotten_with_what_was_found(
    asking: Pair, source: FakeSource, operator_certificate: bytes, clock: FixedClock
) -> None:
    """We keep no copy of other directories."""
    source.known[GP] = [operator_certificate]
    await leaving(asking)
    finder = asking.hospital.services.acceptance.protection.finder
    assert finder is not None

    clock.advance(seconds=KEPT.total_seconds() + 1)
    await finder.forget()

    database = asking.hospital.database
    assert await database.read(lambda c: index_sql.find_certificates(c, RECIPIENT)) == []
