from datetime import timedelta

import pytest

from crypto.crl import parse_revocation_list
from crypto.issuing import CertificateProfile, create_authority
from tests.support.pki import HOSPITAL, ISSUED_AT, NOW, make_pki, the_pki


@pytest.mark.parametrize(
    ("profile", "key", "usages", "extended"),
    [
        (CertificateProfile.SERVER, "p256", {"digitalSignature"}, 2),
        (CertificateProfile.SERVER, "rsa2048", {"digitalSignature", "keyEncipherment"}, 2),
        (CertificateProfile.SIGNATURE, "p256", {"digitalSignature", "nonRepudiation"}, 1),
        (CertificateProfile.CONFIDENTIALITY, "p256", {"keyAgreement"}, 1),
        (CertificateProfile.CONFIDENTIALITY, "rsa2048", {"keyEncipherment"}, 1),
        (CertificateProfile.CLIENT, "p256", {"digitalSignature"}, 1),
        (CertificateProfile.PERSON_SIGNATURE, "p256", {"nonRepudiation"}, 1),
    ],
)
def test_profiles_have_the_usages_of_the_national_offer(
    profile: CertificateProfile, key: str, usages: set[str], extended: int
) -> None:
    """What counterparts will check."""
    leaf = the_pki().authority.issue(profile, HOSPITAL, at=ISSUED_AT, key=key).certificate

    assert set(leaf.key_usages or ()) == usages
    assert len(leaf.extended_key_usages or ()) == extended


def test_dates_are_those_given() -> None:
    """Nothing reads a clock."""
    leaf = (
        the_pki()
        .authority.issue(CertificateProfile.CLIENT, HOSPITAL, at=NOW, valid_for=timedelta(hours=1))
        .certificate
    )

    assert (leaf.not_before_at, leaf.not_after_at) == (NOW, NOW + timedelta(hours=1))


def test_names_say_that_it_is_a_demonstration() -> None:
    """Nobody must take it for the real authority."""
    authority = create_authority("DEMO ELEMENTAIRE", at=ISSUED_AT)

    everybody = (*authority.anchors, *authority.intermediates)
    assert all("DEMO" in certificate.subject_text for certificate in everybody)


def test_the_list_of_the_issuer_names_what_was_revoked() -> None:
    """And that of the root does not."""
    pki = make_pki()
    leaf = pki.hospital_server.certificate
    pki.authority.revoke(leaf, at=NOW)

    listed = parse_revocation_list(pki.authority.crl(NOW))
    assert listed.entries.find(leaf.serial, listed.issuer, is_own=True)
    assert len(parse_revocation_list(pki.authority.root_crl(NOW)).entries) == 0


def test_a_leaf_says_where_its_list_is() -> None:
    """For those who fetch it."""
    authority = create_authority("DEMO", at=ISSUED_AT, crl_url="http://crl.demo.example/org.crl")
    leaf = authority.issue(CertificateProfile.SERVER, HOSPITAL, at=ISSUED_AT).certificate

    assert leaf.crl_urls == ("http://crl.demo.example/org.crl",)


def test_key_and_chain_are_written_as_a_server_wants_them() -> None:
    """Leaf first, root left out."""
    issued = the_pki().hospital_server

    assert issued.chain_pem.count("BEGIN CERTIFICATE") == 2
    assert issued.chain_pem.startswith(issued.certificate.pem)
    assert "BEGIN PRIVATE KEY" in issued.private_key_pem
