from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from crypto import algorithms, der
from crypto.certificates import parse_certificate, parse_certificates
from crypto.errors import CertificateSyntaxError
from crypto.issuing import LEAF_VALID_FOR
from tests.support.pki import ISSUED_AT, the_pki

PKI = the_pki()
LEAF = PKI.hospital_signature.certificate


def test_the_subject_reads_leaf_first() -> None:
    """As the trust list writes it, so that both compare."""
    assert LEAF.subject == (
        ("CN", "mail.ch-demo.mssante.fr"),
        ("OU", "1750000001"),
        ("O", "CENTRE HOSPITALIER DEMO"),
        ("ST", "Paris (75)"),
        ("C", "FR"),
    )
    assert LEAF.subject_text == (
        "CN=mail.ch-demo.mssante.fr,OU=1750000001,O=CENTRE HOSPITALIER DEMO,ST=Paris (75),C=FR"
    )


def test_the_members_say_what_was_issued() -> None:
    """One look at each."""
    assert LEAF.common_name == "mail.ch-demo.mssante.fr"
    assert LEAF.organization == "CENTRE HOSPITALIER DEMO"
    assert LEAF.structure_id == "1750000001"
    assert LEAF.not_before_at == ISSUED_AT
    assert LEAF.not_after_at == ISSUED_AT + LEAF_VALID_FOR
    assert LEAF.key_usages == frozenset({"digitalSignature", "nonRepudiation"})
    assert LEAF.key_name == "p256"
    assert not LEAF.is_authority


def test_a_server_certificate_names_its_host() -> None:
    """In the alternative name."""
    assert PKI.hospital_server.certificate.dns_names == ("mail.ch-demo.mssante.fr",)


def test_a_person_certificate_has_its_address() -> None:
    """In the alternative name; organisations have none."""
    assert PKI.person_signature.certificate.mail_addresses == (
        "anne.essai-leroux@cabinets-demo.mssante.fr",
    )
    assert LEAF.mail_addresses == ()


def test_a_confidentiality_certificate_announces_gcm() -> None:
    """RFC 4262: senders learn from the certificate that it can be read."""
    announced = PKI.hospital_confidentiality.certificate.smime_capabilities

    assert announced[0] == algorithms.AES256_GCM


def test_certificates_are_equal_by_their_octets() -> None:
    """So they may be members of sets and keys of tables."""
    assert parse_certificate(LEAF.pem.encode()) == LEAF
    assert len({LEAF, parse_certificate(LEAF.der), PKI.hospital_server.certificate}) == 2


def test_validity_includes_both_ends() -> None:
    """RFC 5280, 4.1.2.5."""
    assert LEAF.is_valid_at(LEAF.not_before_at)
    assert LEAF.is_valid_at(LEAF.not_after_at)
    assert not LEAF.is_valid_at(LEAF.not_after_at + timedelta(seconds=1))


@pytest.mark.parametrize("form", ["pem", "pkcs7-der", "pkcs7-pem", "der"])
def test_bundles_are_read_in_each_usual_form(form: str) -> None:
    """Authorities publish .cer, .pem and .p7b."""
    chain = [LEAF, *PKI.authority.intermediates]
    parsed = [each.parsed for each in chain]
    octets = {
        "pem": "".join(each.pem for each in chain).encode(),
        "pkcs7-der": pkcs7.serialize_certificates(parsed, Encoding.DER),
        "pkcs7-pem": pkcs7.serialize_certificates(parsed, Encoding.PEM),
        "der": LEAF.der,
    }[form]

    found = parse_certificates(octets)

    assert set(found) == ({LEAF} if form == "der" else set(chain))


def test_several_certificates_are_not_one() -> None:
    """Which of them was meant is not for us to guess."""
    both = (LEAF.pem + PKI.hospital_server.certificate.pem).encode()

    with pytest.raises(CertificateSyntaxError):
        parse_certificate(both)


def replaced(octets: bytes, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """A certificate whose to-be-signed members went through *change*; the signature is wrong."""
    tbs, algorithm, signature = der.parse(octets).children()
    members = change([each.raw for each in tbs.children()])
    return der.sequence(der.sequence(*members), algorithm.raw, signature.raw)


@pytest.mark.parametrize("serial", [0, -5])
def test_a_serial_number_that_is_not_positive_is_refused(serial: int) -> None:
    """RFC 5280, 4.1.2.2; readers differ on the rest."""
    octets = replaced(LEAF.der, lambda given: [given[0], der.integer(serial), *given[2:]])

    with pytest.raises(CertificateSyntaxError):
        parse_certificate(octets)


def test_an_extension_twice_is_refused() -> None:
    """Readers differ on which of the two counts."""

    def doubled(given: list[bytes]) -> list[bytes]:
        extensions = der.parse(given[-1]).children()[0]
        first = extensions.children()[0].raw
        return [
            *given[:-1],
            der.encode(der.context(3), der.sequence(extensions.content, first)),
        ]

    with pytest.raises(CertificateSyntaxError):
        parse_certificate(replaced(LEAF.der, doubled))


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"0",
        b"\x30\x80\x00\x00",
        LEAF.der[:-1],
        LEAF.der + b"\x00",
        bytes(70_000),
        b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ],
)
def test_octets_that_are_no_certificate_are_refused(octets: bytes) -> None:
    """The one declared error, for one certificate and for bundles."""
    with pytest.raises(CertificateSyntaxError):
        parse_certificate(octets)
    with pytest.raises(CertificateSyntaxError):
        parse_certificates(octets)
