"""What the library tolerates and we do not: limits of anchors, long constraints, odd forms."""

from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from crypto import der
from crypto.certificates import Certificate, parse_certificate
from crypto.errors import CertificateSyntaxError, ExpiredError, UntrustedError
from crypto.trust import TrustStore, Usage, ValidatedChain, validate
from crypto.wanted import MAX_WANTED, Wanted, WantedKind, WantedSource
from tests.support.pki import ISSUED_AT, NOW, lenient, the_pki

ROOT_KEY = ec.generate_private_key(ec.SECP256R1())
ISSUING_KEY = ec.generate_private_key(ec.SECP256R1())
LEAF_KEY = ec.generate_private_key(ec.SECP256R1())


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def certify(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *extensions: x509.ExtensionType,
    until: datetime = ISSUED_AT + timedelta(days=900),
) -> Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ISSUED_AT)
        .not_valid_after(until)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    signed = builder.sign(issuer_key, hashes.SHA256())
    return parse_certificate(signed.public_bytes(Encoding.DER))


def an_authority(path_length: int | None = None) -> x509.BasicConstraints:
    return x509.BasicConstraints(ca=True, path_length=path_length)


def judged(
    *anchor_extensions: x509.ExtensionType,
    path_length: int | None = None,
    until: datetime = ISSUED_AT + timedelta(days=900),
    names: int = 1,
) -> ValidatedChain:
    """Judge a leaf under an authority under an anchor with these extensions."""
    anchor = certify(
        "root", ROOT_KEY, "root", ROOT_KEY, an_authority(path_length), *anchor_extensions,
        until=until,
    )  # fmt: skip
    issuing = certify("issuing", ISSUING_KEY, "root", ROOT_KEY, an_authority())
    alternative = x509.SubjectAlternativeName(
        [x509.RFC822Name(f"a{number}@hospital.example") for number in range(names)]
    )
    leaf = certify("leaf", LEAF_KEY, "issuing", ISSUING_KEY, alternative)
    store = TrustStore([anchor], [issuing])
    return validate(leaf, store=store, profile=lenient(Usage.MAIL_SIGNING), at=NOW)


def permitted(*domains: str) -> x509.NameConstraints:
    return x509.NameConstraints([x509.RFC822Name(each) for each in domains], None)


def excluded(*domains: str) -> x509.NameConstraints:
    return x509.NameConstraints(None, [x509.RFC822Name(each) for each in domains])


@pytest.mark.parametrize(
    "extension",
    [
        permitted("hospital.example"),
        excluded("other.example"),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]),
    ],
    ids=["permitted", "not-excluded", "for-mail"],
)
def test_an_anchor_vouches_within_its_own_limits(extension: x509.ExtensionType) -> None:
    """A national root may be bound to its sector."""
    assert judged(extension).leaf.subject_text == "CN=leaf"


@pytest.mark.parametrize(
    ("extension", "reason"),
    [
        (permitted("other.example"), "path-invalid"),
        (excluded("hospital.example"), "path-invalid"),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), "extended-key-usage"),
        (x509.KeyUsage(True, *[False] * 8), "key-usage"),
    ],
    ids=["not-permitted", "excluded", "for-servers", "may-not-certify"],
)
def test_an_anchor_does_not_vouch_beyond_its_own_limits(
    extension: x509.ExtensionType, reason: str
) -> None:
    """RFC 5937: what it says about itself is honoured, as it is for any other authority."""
    with pytest.raises(UntrustedError) as refusal:
        judged(extension)

    assert refusal.value.reason == reason


def test_the_length_that_an_anchor_allows_is_honoured() -> None:
    """It allows no authority below it, and there is one."""
    assert judged(path_length=1).findings
    with pytest.raises(UntrustedError, match="path-invalid"):
        judged(path_length=0)


def test_an_anchor_is_trusted_while_it_is_valid() -> None:
    """To the second, like any other certificate."""
    assert judged(until=NOW).findings
    with pytest.raises(ExpiredError):
        judged(until=NOW - timedelta(seconds=1))


def test_an_anchor_is_not_trusted_before_its_time() -> None:
    """Nor is anything under it."""
    anchor = certify("root", ROOT_KEY, "root", ROOT_KEY, an_authority())
    leaf = certify("leaf", LEAF_KEY, "root", ROOT_KEY)

    with pytest.raises(ExpiredError):
        validate(
            leaf,
            store=TrustStore([anchor]),
            profile=lenient(Usage.MAIL_SIGNING),
            at=ISSUED_AT - timedelta(seconds=1),
        )


def test_a_product_of_constraints_and_names_that_takes_long_is_not_computed() -> None:
    """Each name is held against each constraint: thousands of both are an attack."""
    many = excluded(*(f"d{number}.example" for number in range(100)))

    assert judged(many, names=10).findings
    with pytest.raises(UntrustedError, match="too-many-name-constraints"):
        judged(many, names=100)


def test_fractions_of_a_second_are_refused() -> None:
    """RFC 5280, 4.1.2.5.2: a validity has whole seconds."""
    whole = der.encode(der.GENERALIZED_TIME, b"20510101000000Z")
    fraction = der.encode(der.GENERALIZED_TIME, b"2051010100000.5Z"[:15])
    until = datetime.fromisoformat("2051-01-01T00:00:00+00:00")
    octets = certify("leaf", LEAF_KEY, "root", ROOT_KEY, until=until).der

    assert octets.count(whole) == 1
    with pytest.raises(CertificateSyntaxError):
        parse_certificate(octets.replace(whole, fraction))


def test_an_extension_that_stands_twice_is_refused() -> None:
    """Two parsers might believe one each."""
    once = certify("leaf", LEAF_KEY, "root", ROOT_KEY, an_authority()).der
    fields = der.Fields(der.parse(once))
    members = [each.raw for each in fields.take(der.SEQUENCE).children()]
    (extension,) = der.parse(members[-1]).children()[0].children()
    twice = der.encode(der.context(3), der.sequence(extension.raw, extension.raw))
    signed = der.sequence(*members[:-1], twice)

    with pytest.raises(CertificateSyntaxError):
        parse_certificate(
            der.sequence(signed, *(each.raw for each in der.parse(once).children()[1:]))
        )


def test_notes_of_what_is_wanted_do_not_grow_without_end() -> None:
    """A crowd of certificates makes no crowd of notes."""
    wanted = Wanted()
    for number in range(MAX_WANTED + 10):
        source = WantedSource(
            kind=WantedKind.CRL,
            url=f"http://crl.example/{number}",
            certificate=the_pki().hospital_signature.certificate,
            issuer=None,
        )
        wanted.note(source)
        wanted.note(source)

    assert len(wanted) == MAX_WANTED
    assert len(wanted.take()) == MAX_WANTED
    assert wanted.take() == ()
