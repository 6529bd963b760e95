"""Two operators who agreed on a second envelope: what is recorded today stays closed."""

from datetime import timedelta
from pathlib import Path

import pytest

from crypto import kem, smime
from crypto.certificates import Certificate
from crypto.errors import NoMatchingKeyError
from crypto.issuing import CertificateProfile, Issued
from directory import index_sql
from directory.address import Domain
from mss.cli import home as homes
from mss.clock import SystemClock
from mss.errors import SettingsError
from mss.pipeline.outer_envelope import FOLDER
from tests.support.operators import (
    HOSPITAL,
    PRACTICES,
    AddressBook,
    Ground,
    Home,
    both_operating,
    note,
    operating,
)

AGREED = {"protection": {"post_quantum_domains": [PRACTICES.domain]}}


@pytest.fixture
def agreed(ground: Ground) -> Issued:
    """The ML-KEM key of the practices, and its certificate."""
    at = SystemClock().now() - timedelta(minutes=1)
    return ground.authority.issue(
        CertificateProfile.CONFIDENTIALITY, PRACTICES.subject, at=at, key="mlkem1024"
    )


def give(home: Home, *certificates: Certificate) -> None:
    """Put certificates of the practices where the hospital looks for them."""
    folder = home.path / FOLDER
    folder.mkdir(exist_ok=True)
    text = "".join(each.pem for each in certificates)
    (folder / f"{PRACTICES.domain}.pem").write_text(text, encoding="ascii")


@pytest.fixture
def writing_home(ground: Ground, tmp_path: Path, agreed: Issued) -> Home:
    """A hospital that agreed with the practices."""
    home = ground.copy(HOSPITAL, tmp_path, AGREED)
    give(home, agreed.certificate)
    return home


@pytest.mark.slow
async def test_a_letter_in_both_envelopes_is_read(
    writing_home: Home, practices_home: Home, agreed: Issued
) -> None:
    """With both keys at hand, the reader notices nothing."""
    homes.install_pair(practices_home.path, f"{homes.READING}/post-quantum", agreed)

    async with both_operating(writing_home, practices_home) as pair:
        await pair.writer.submit(note(HOSPITAL.mailbox, PRACTICES.mailbox), PRACTICES.mailbox)
        (letter,) = await pair.reader.await_inbox()
        raw = await pair.reader.octets(f"/v1/messages/{letter['id']}/raw")
        details = await pair.reader.get(f"/v1/messages/{letter['id']}")

    assert letter["subject"] == "Essai"
    assert b"Bonjour." in raw
    kinds = [layer["kind"] for layer in details["security"]["layers"]]
    assert kinds == ["encrypted", "encrypted", "signed"]


@pytest.mark.slow
async def test_what_travels_needs_both_keys(
    writing_home: Home, practices_home: Home, agreed: Issued
) -> None:
    """A server without the post-quantum key keeps what came as it came: in both envelopes."""
    async with both_operating(writing_home, practices_home) as pair:
        await pair.writer.submit(note(HOSPITAL.mailbox, PRACTICES.mailbox), PRACTICES.mailbox)
        (letter,) = await pair.reader.await_inbox()
        raw = await pair.reader.octets(f"/v1/messages/{letter['id']}/raw")
    classical = homes.load_reading(practices_home.path)

    assert kem.is_wrapped(raw)
    with pytest.raises(NoMatchingKeyError):
        smime.decrypt(raw, keys=classical)
    inner = kem.unwrap(raw, keys=agreed.key_holder()).entity
    with pytest.raises(NoMatchingKeyError):
        smime.decrypt(inner, keys=agreed.key_holder())
    assert b"Bonjour." in smime.decrypt(inner, keys=classical).entity


@pytest.mark.slow
async def test_a_letter_is_refused_when_the_agreed_certificate_no_longer_holds(
    ground: Ground, tmp_path: Path, practices_home: Home
) -> None:
    """Never without the second envelope: the sender is told while on the line."""
    at = SystemClock().now() - timedelta(days=2)
    ended = ground.authority.issue(
        CertificateProfile.CONFIDENTIALITY,
        PRACTICES.subject,
        at=at,
        valid_for=timedelta(days=1),
        key="mlkem768",
    )
    home = ground.copy(HOSPITAL, tmp_path, AGREED)
    give(home, ended.certificate)

    async with both_operating(home, practices_home) as pair:
        answer = await pair.writer.post(note(HOSPITAL.mailbox, PRACTICES.mailbox))
        left = await pair.hospital.states()

    assert answer.status_code == 422
    assert answer.json()["code"] == "protection-impossible"
    assert left == []


@pytest.mark.slow
async def test_a_published_post_quantum_certificate_is_not_taken_for_a_reader_s(
    hospital_home: Home, practices_home: Home, agreed: Issued
) -> None:
    """Alone it would be no hybrid, and beside a curve it would protect nothing."""
    leaf = agreed.certificate
    homes.install_pair(practices_home.path, f"{homes.READING}/post-quantum", agreed)

    async with both_operating(hospital_home, practices_home) as pair:
        await pair.hospital.operator.database.write(
            lambda connection: index_sql.publish_certificate(
                connection,
                subject=Domain(PRACTICES.domain),
                der=leaf.der,
                fingerprint=leaf.fingerprint,
                not_after_at=leaf.not_after_at,
                published_at=SystemClock().now(),
            )
        )
        await pair.writer.submit(note(HOSPITAL.mailbox, PRACTICES.mailbox), PRACTICES.mailbox)
        (letter,) = await pair.reader.await_inbox()
        details = await pair.reader.get(f"/v1/messages/{letter['id']}")

    kinds = [layer["kind"] for layer in details["security"]["layers"]]
    assert kinds == ["encrypted", "signed"]


@pytest.mark.parametrize("kept", ["none", "of a curve"])
async def test_an_operator_does_not_start_without_what_was_agreed(
    ground: Ground, tmp_path: Path, kept: str
) -> None:
    """A forgotten file must not be found out letter by letter."""
    home = ground.copy(HOSPITAL, tmp_path, AGREED)
    if kept == "of a curve":
        give(home, homes.load_reading(home.path).certificates[0])

    with pytest.raises(SettingsError):
        async with operating(home, book=AddressBook()):
            pass
