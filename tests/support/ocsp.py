"""OCSP responses of the declared test PKI: by the issuer, by a delegate, and wrong in one way."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from crypto.certificates import Certificate, parse_certificate
from crypto.issuing import Issuer
from tests.support.pki import ISSUED_AT, NOW

GOOD = ocsp.OCSPCertStatus.GOOD
REVOKED = ocsp.OCSPCertStatus.REVOKED
UNKNOWN = ocsp.OCSPCertStatus.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegate:
    """A responder with a certificate of its own."""

    certificate: Certificate
    private_key: ec.EllipticCurvePrivateKey


def a_response(
    certificate: Certificate,
    issuer: Issuer,
    *,
    status: ocsp.OCSPCertStatus = GOOD,
    at: datetime = NOW,
    lasts: timedelta | None = timedelta(hours=4),
    by: Delegate | None = None,
    digest: hashes.HashAlgorithm | None = None,
    reason: x509.ReasonFlags | None = None,
    named_issuer: Certificate | None = None,
    extension: tuple[x509.ExtensionType, bool] | None = None,
    shows: bool = True,
) -> bytes:
    """Say *status* about *certificate*.

    Args:
        certificate: The one that is asked about.
        issuer: Its issuer, who signs unless *by* does.
        status: What is said.
        at: thisUpdate.
        lasts: How long until nextUpdate; None to promise nothing.
        by: A delegate that signs.
        digest: Of the identifier.
        reason: Of the revocation.
        named_issuer: Who the identifier says the issuer is, if somebody else.
        extension: Of the response, and whether it is critical.
        shows: Whether the delegate's certificate comes along.
    """
    is_revoked = status is REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=certificate.parsed,
        issuer=(named_issuer or issuer.certificate).parsed,
        algorithm=digest or hashes.SHA1(),
        cert_status=status,
        this_update=at,
        next_update=at + lasts if lasts is not None else None,
        revocation_time=at if is_revoked else None,
        revocation_reason=reason if is_revoked else None,
    )
    signer = by.certificate if by else issuer.certificate
    key = by.private_key if by else issuer.private_key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.parsed)
    if by and shows:
        builder = builder.certificates([by.certificate.parsed])
    if extension is not None:
        builder = builder.add_extension(extension[0], critical=extension[1])
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def a_delegate(
    issuer: Issuer,
    *,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.OCSP_SIGNING,
    has_no_check: bool = True,
    until: datetime = NOW + timedelta(days=30),
    serial: int | None = None,
    change: Callable[[x509.CertificateBuilder], x509.CertificateBuilder] = lambda each: each,
) -> Delegate:
    """Certify a responder."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "OCSP DEMO")]))
        .issuer_name(issuer.certificate.parsed.subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(ISSUED_AT)
        .not_valid_after(until)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    )
    if has_no_check:
        builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
    assert isinstance(issuer.private_key, ec.EllipticCurvePrivateKey)
    signed = change(builder).sign(issuer.private_key, hashes.SHA256())
    return Delegate(
        certificate=parse_certificate(signed.public_bytes(Encoding.DER)), private_key=key
    )
