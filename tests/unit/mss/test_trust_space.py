from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from crypto.issuing import CertificateProfile, Issued, Subject
from mss.errors import PeerNotTrustedError, SettingsError, TrustListMissingError
from mss.settings import TrustSettings, load_settings
from mss.store.engine import open_database
from mss.trust_space import TrustListRefusedError, TrustSpace, load_trust_store
from tests.support.clock import FixedClock
from tests.support.factories import HOSPITAL_DOMAIN, PRACTICE_DOMAIN, a_signed_trust_list
from tests.support.pki import HOSPITAL, ISSUED_AT, NOW, Pki

HOST = "192.0.2.1"


def named(issued: Issued) -> str:
    """The subject of a certificate, as the trust list writes it."""
    return issued.certificate.subject_text


@pytest.fixture
async def trust(sqlite_url: str, pki: Pki, clock: FixedClock) -> AsyncIterator[TrustSpace]:
    """A trust space without a list."""
    database = open_database(sqlite_url)
    yield TrustSpace(
        database=database, clock=clock, settings=TrustSettings(), store=pki.store(), chain="c1"
    )
    await database.aclose()


def a_list(pki: Pki, *, at: object = ISSUED_AT) -> bytes:
    """A list of both operators."""
    assert isinstance(at, type(NOW))
    names = {
        HOSPITAL_DOMAIN: named(pki.hospital_server),
        PRACTICE_DOMAIN: named(pki.practice_server),
    }
    return a_signed_trust_list(pki.authority, names, at=at)


async def test_without_a_list_nobody_is_told_from_a_stranger(trust: TrustSpace, pki: Pki) -> None:
    """Temporary: peers keep their letters until the list is there."""
    with pytest.raises(TrustListMissingError) as refusal:
        trust.judge_peer(pki.hospital_server.certificate, host=HOST)

    assert refusal.value.retryable
    assert not trust.is_trusted_domain(HOSPITAL_DOMAIN)
    assert trust.operator_structures(HOSPITAL_DOMAIN) == frozenset()


async def test_a_listed_certificate_speaks_for_its_domains(trust: TrustSpace, pki: Pki) -> None:
    """And for no other."""
    await trust.load(a_list(pki), source="test")

    peer = trust.judge_peer(pki.hospital_server.certificate, host=HOST)

    assert peer.domains == {HOSPITAL_DOMAIN}
    assert peer.fingerprint == pki.hospital_server.certificate.fingerprint
    assert trust.operator_structures(HOSPITAL_DOMAIN) == {"1750000001"}
    trust.judge_server(pki.practice_server.certificate, domain=PRACTICE_DOMAIN, host=HOST)
    with pytest.raises(PeerNotTrustedError) as refusal:
        trust.judge_server(pki.practice_server.certificate, domain=HOSPITAL_DOMAIN, host=HOST)
    assert (refusal.value.code, refusal.value.reason) == (
        "peer-not-listed",
        "listed-for-other-domains",
    )


async def test_a_look_alike_of_a_stranger_is_refused(trust: TrustSpace, pki: Pki) -> None:
    """The very same subject under another authority: the list alone proves nothing."""
    await trust.load(a_list(pki), source="test")

    with pytest.raises(PeerNotTrustedError):
        trust.judge_peer(pki.stranger_server.certificate, host=HOST)
    with pytest.raises(PeerNotTrustedError):
        trust.judge_server(pki.stranger_server.certificate, domain=HOSPITAL_DOMAIN, host=HOST)


@pytest.mark.parametrize(
    ("profile", "subject"),
    [
        (CertificateProfile.SERVER, Subject(common_name="x", organization="X", structure_id="1")),
        (CertificateProfile.SIGNATURE, HOSPITAL),
    ],
    ids=["unlisted name", "listed name, for signing mail"],
)
async def test_a_certificate_that_is_not_one_of_the_list_is_refused(
    trust: TrustSpace, pki: Pki, profile: CertificateProfile, subject: Subject
) -> None:
    """Our own authority issued it, and still it is nobody's or for something else."""
    await trust.load(a_list(pki), source="test")
    issued = pki.authority.issue(profile, subject, at=ISSUED_AT)

    with pytest.raises(PeerNotTrustedError):
        trust.judge_peer(issued.certificate, host=HOST)


async def test_a_certificate_past_its_end_is_refused(trust: TrustSpace, pki: Pki) -> None:
    """Although the list still names it."""
    await trust.load(a_list(pki), source="test")
    issued = pki.authority.issue(
        CertificateProfile.SERVER, HOSPITAL, at=ISSUED_AT, valid_for=timedelta(days=1)
    )

    with pytest.raises(PeerNotTrustedError):
        trust.judge_peer(issued.certificate, host=HOST)


async def test_a_list_signed_by_a_stranger_is_refused_and_ours_stays(
    trust: TrustSpace, pki: Pki
) -> None:
    """Whoever writes the list decides who is believed."""
    await trust.load(a_list(pki), source="test")
    forged = a_signed_trust_list(
        pki.stranger, {"evil.mssante.fr": named(pki.stranger_server)}, at=NOW
    )

    with pytest.raises(TrustListRefusedError):
        await trust.load(forged, source="forged")

    assert trust.is_trusted_domain(HOSPITAL_DOMAIN)
    assert not trust.is_trusted_domain("evil.mssante.fr")


@pytest.mark.parametrize(
    "damage",
    [
        lambda xml: xml.replace(b"ch-demo", b"ch-evil", 1),
        lambda xml: xml[:-20],
        lambda _: b"",
        lambda _: b"<a/>",
        lambda xml: b'<!DOCTYPE a [<!ENTITY b "c">]>' + xml,
    ],
    ids=["changed", "cut off", "empty", "other XML", "with entities"],
)
async def test_a_damaged_list_is_refused(trust: TrustSpace, pki: Pki, damage: object) -> None:
    """The signature covers every entry."""
    assert callable(damage)
    with pytest.raises(TrustListRefusedError):
        await trust.load(damage(a_list(pki)), source="test")

    assert trust.trust_list is None


async def test_an_older_or_much_shorter_list_needs_force(trust: TrustSpace, pki: Pki) -> None:
    """A replay of last year's list would bring back who was expelled."""
    await trust.load(a_list(pki, at=NOW), source="test")
    shorter = a_signed_trust_list(
        pki.authority, {HOSPITAL_DOMAIN: named(pki.hospital_server)}, at=NOW + timedelta(hours=1)
    )

    with pytest.raises(TrustListRefusedError):
        await trust.load(a_list(pki, at=ISSUED_AT), source="older")
    with pytest.raises(TrustListRefusedError):
        await trust.load(shorter, source="shorter")
    await trust.load(shorter, source="shorter", is_forced=True)

    assert not trust.is_trusted_domain(PRACTICE_DOMAIN)


@pytest.mark.parametrize(
    "settings",
    [
        TrustSettings(list_signer_name="somebody else"),
        TrustSettings(list_signer_issuer="another authority"),
    ],
    ids=["name", "issuer"],
)
async def test_the_signer_of_the_list_is_known_by_name(
    trust: TrustSpace, pki: Pki, settings: TrustSettings
) -> None:
    """Any signing certificate of the authority would do otherwise."""
    trust.settings = settings

    with pytest.raises(TrustListRefusedError) as refusal:
        await trust.load(a_list(pki), source="test")

    assert refusal.value.reason.startswith("signer-")


@pytest.mark.parametrize(
    "file", ["trust/anchors.pem", "trust/crls/0.crl", "trust/intermediates.pem"]
)
def test_a_damaged_file_of_the_home_is_named(homes: Path, file: str) -> None:
    """The server does not start believing nobody, or everybody."""
    home = homes / HOSPITAL_DOMAIN
    (home / file).write_bytes(b"damaged")

    with pytest.raises(SettingsError) as refusal:
        load_trust_store(load_settings(home))

    assert str(home) in refusal.value.reason
