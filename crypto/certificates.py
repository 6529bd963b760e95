"""What does this certificate say?

Reading only: nothing here says whether a certificate is to be believed (see `crypto.trust`).
A `Certificate` is compared and hashed by its octets.

Shapes
    Names are tuples of `(type, value)` in RFC 4514 order, leaf first: `("CN", ...), ("OU", ...)`.
    Types without a short name are dotted identifiers. Instants are aware UTC.
Errors
    `CertificateSyntaxError` for any octets that are not acceptable certificates.
Sources
    RFC 5280; RFC 4514; RFC 4262 (S/MIME capabilities); the names in the published
    liste blanche.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha1, sha256
from typing import Final, TypeVar
from unicodedata import normalize
from warnings import catch_warnings, simplefilter

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    ExtensionOID,
    NameOID,
)

from crypto import der
from crypto.algorithms import SMIME_CAPABILITIES
from crypto.errors import CertificateSyntaxError

MAX_CERTIFICATE_OCTETS: Final = 64 * 1024
MAX_BUNDLE_OCTETS: Final = 8 * 1024 * 1024
MAX_SERIAL_OCTETS: Final = 20  # RFC 5280, 4.1.2.2

SERVER_AUTH: Final = ExtendedKeyUsageOID.SERVER_AUTH.dotted_string
CLIENT_AUTH: Final = ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string
EMAIL_PROTECTION: Final = ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string
ANY_EXTENDED_KEY_USAGE: Final = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string
SIGN_DOCUMENTS: Final = "1.3.6.1.5.5.7.3.36"

# What the parser beneath may raise; anything else would be a defect of ours.
READ_ERRORS: Final = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    der.DerSyntaxError,
)
_STRUCTURE: Final = re.compile(r"[0-9][0-9A-Z]{8,17}")
_KEY_USAGES: Final = (
    ("digital_signature", "digitalSignature"),
    ("content_commitment", "nonRepudiation"),
    ("key_encipherment", "keyEncipherment"),
    ("data_encipherment", "dataEncipherment"),
    ("key_agreement", "keyAgreement"),
    ("key_cert_sign", "keyCertSign"),
    ("crl_sign", "cRLSign"),
)

Name = tuple[tuple[str, str], ...]
ComparableName = tuple[frozenset[tuple[str, str]], ...]
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A parsed certificate.

    Attributes:
        fingerprint: SHA-256 of the octets, lower-case hexadecimal.
        mail_addresses: From the subject alternative name, then from the subject.
        structure_id: National structure identifier in OU (`1` + FINESS, `3` + SIRET), if any.
        key_usages: None if the extension is absent, which allows every usage.
        extended_key_usages: Dotted identifiers; None if the extension is absent.
        smime_capabilities: Dotted identifiers announced in the certificate itself.
        issuer_der: The issuer's name as encoded here.
        serial_der: The serial number as encoded here, a whole INTEGER.
        key_identifier: From the extension, or computed by the usual method if absent.
        crl_urls: Where complete revocation lists are, as the issuer says; likewise the next three.
        delta_crl_urls: Where delta lists are (freshestCRL).
        ocsp_urls: Where a responder answers about this certificate.
        issuer_urls: Where the certificate of the issuer is.
    """

    der: bytes = field(repr=False)
    fingerprint: str = field(compare=False)
    subject: Name = field(compare=False, repr=False)
    subject_text: str = field(compare=False)
    subject_der: bytes = field(compare=False, repr=False)
    issuer: Name = field(compare=False, repr=False)
    issuer_text: str = field(compare=False)
    issuer_der: bytes = field(compare=False, repr=False)
    serial: int = field(compare=False)
    serial_der: bytes = field(compare=False, repr=False)
    not_before_at: datetime = field(compare=False, repr=False)
    not_after_at: datetime = field(compare=False)
    mail_addresses: tuple[str, ...] = field(compare=False, repr=False)
    dns_names: tuple[str, ...] = field(compare=False, repr=False)
    policies: tuple[str, ...] = field(compare=False, repr=False)
    key_usages: frozenset[str] | None = field(compare=False, repr=False)
    extended_key_usages: tuple[str, ...] | None = field(compare=False, repr=False)
    smime_capabilities: tuple[str, ...] = field(compare=False, repr=False)
    is_authority: bool = field(compare=False, repr=False)
    key_identifier: bytes = field(compare=False, repr=False)
    authority_key_identifier: bytes | None = field(compare=False, repr=False)
    crl_urls: tuple[str, ...] = field(compare=False, repr=False)
    delta_crl_urls: tuple[str, ...] = field(compare=False, repr=False)
    ocsp_urls: tuple[str, ...] = field(compare=False, repr=False)
    issuer_urls: tuple[str, ...] = field(compare=False, repr=False)
    public_key: CertificatePublicKeyTypes = field(compare=False, repr=False)
    parsed: x509.Certificate = field(compare=False, repr=False)

    @property
    def common_name(self) -> str | None:
        """The most specific common name of the subject."""
        return _first(self.subject, "CN")

    @property
    def organization(self) -> str | None:
        """The organisation of the subject."""
        return _first(self.subject, "O")

    @property
    def structure_id(self) -> str | None:
        """The organisational unit that is a national structure identifier."""
        units = (value for kind, value in self.subject if kind == "OU")
        return next((unit for unit in units if _STRUCTURE.fullmatch(unit)), None)

    @property
    def pem(self) -> str:
        """The certificate in PEM."""
        return self.parsed.public_bytes(Encoding.PEM).decode("ascii")

    @property
    def key_name(self) -> str:
        """The kind and size of the public key, for people: `p256`, `rsa3072`, `x25519`."""
        match self.public_key:
            case rsa.RSAPublicKey() as key:
                return f"rsa{key.key_size}"
            case ec.EllipticCurvePublicKey() as key:
                return {"secp256r1": "p256", "secp384r1": "p384"}.get(
                    key.curve.name, key.curve.name
                )
            case ed25519.Ed25519PublicKey():
                return "ed25519"
            case x25519.X25519PublicKey():
                return "x25519"
            case other:
                return type(other).__name__.removesuffix("PublicKey").lower()

    def allows(self, *usages: str) -> bool:
        """Say whether the key may be used in one of these ways, as far as key usage tells."""
        return self.key_usages is None or not self.key_usages.isdisjoint(usages)

    def is_valid_at(self, at: datetime) -> bool:
        """Say whether *at* lies within the validity period."""
        return self.not_before_at <= at <= self.not_after_at


def parse_certificate(octets: bytes) -> Certificate:
    """Read one certificate in DER or PEM.

    Raises:
        CertificateSyntaxError: It is none, or there are several.
    """
    if _is_pem(octets):
        found = parse_certificates(octets)
        if len(found) != 1:
            raise CertificateSyntaxError("several-certificates")
        return found[0]
    if len(octets) > MAX_CERTIFICATE_OCTETS:
        raise CertificateSyntaxError("too-large")
    return _parse_der(bytes(octets))


def parse_certificates(octets: bytes) -> tuple[Certificate, ...]:
    """Read a PEM bundle, a single DER certificate, or a PKCS #7 bundle (DER or PEM)."""
    if len(octets) > MAX_BUNDLE_OCTETS:
        raise CertificateSyntaxError("too-large")
    try:
        if b"-----BEGIN PKCS7-----" in octets:
            bundle = _pkcs7(pkcs7.load_pem_pkcs7_certificates, octets)
        elif _is_pem(octets):
            bundle = x509.load_pem_x509_certificates(octets)
        elif _is_pkcs7(octets):
            bundle = _pkcs7(pkcs7.load_der_pkcs7_certificates, octets)
        else:
            return (parse_certificate(octets),)
        return tuple(_parse_der(each.public_bytes(Encoding.DER)) for each in bundle)
    except READ_ERRORS as error:
        raise CertificateSyntaxError("bundle") from error


def _pkcs7(
    load: Callable[[bytes], list[x509.Certificate]], octets: bytes
) -> list[x509.Certificate]:
    """Read a bundle; one in BER is as good, and no reason to warn whoever runs the server."""
    with catch_warnings():
        simplefilter("ignore", UserWarning)
        return load(octets)


def _is_pem(octets: bytes) -> bool:
    return b"-----BEGIN" in octets[:MAX_CERTIFICATE_OCTETS]


def _is_pkcs7(octets: bytes) -> bool:
    try:
        return der.Fields(der.parse_prefix(octets)).take().tag == der.OBJECT_IDENTIFIER
    except der.DerSyntaxError:
        return False


@lru_cache(maxsize=1024)
def _parse_der(octets: bytes) -> Certificate:
    try:
        return _read(octets)
    except CertificateSyntaxError:
        raise
    except READ_ERRORS as error:
        raise CertificateSyntaxError("malformed") from error


def _read(octets: bytes) -> Certificate:
    names = _RawNames.of(octets)
    parsed = x509.load_der_x509_certificate(octets)
    extensions = parsed.extensions  # reading them all refuses duplicates
    alternative = find_extension(extensions, x509.SubjectAlternativeName)
    usages = find_extension(extensions, x509.ExtendedKeyUsage)
    policies = find_extension(extensions, x509.CertificatePolicies)
    constraints = find_extension(extensions, x509.BasicConstraints)
    authority = find_extension(extensions, x509.AuthorityKeyIdentifier)
    return Certificate(
        der=octets,
        fingerprint=sha256(octets).hexdigest(),
        subject=_pairs(parsed.subject),
        subject_text=parsed.subject.rfc4514_string(),
        subject_der=names.subject,
        issuer=_pairs(parsed.issuer),
        issuer_text=parsed.issuer.rfc4514_string(),
        issuer_der=names.issuer,
        serial=parsed.serial_number,
        serial_der=names.serial,
        not_before_at=parsed.not_valid_before_utc,
        not_after_at=parsed.not_valid_after_utc,
        mail_addresses=_mail_addresses(parsed.subject, alternative),
        dns_names=tuple(alternative.get_values_for_type(x509.DNSName)) if alternative else (),
        policies=tuple(p.policy_identifier.dotted_string for p in policies) if policies else (),
        key_usages=_key_usages(extensions),
        extended_key_usages=None if usages is None else tuple(u.dotted_string for u in usages),
        smime_capabilities=_smime_capabilities(extensions),
        is_authority=constraints is not None and constraints.ca,
        key_identifier=_key_identifier(extensions, names.public_key_bits),
        authority_key_identifier=authority.key_identifier if authority else None,
        crl_urls=_point_urls(find_extension(extensions, x509.CRLDistributionPoints)),
        delta_crl_urls=_point_urls(find_extension(extensions, x509.FreshestCRL)),
        ocsp_urls=_access_urls(extensions, AuthorityInformationAccessOID.OCSP),
        issuer_urls=_access_urls(extensions, AuthorityInformationAccessOID.CA_ISSUERS),
        public_key=parsed.public_key(),
        parsed=parsed,
    )


@dataclass(frozen=True, slots=True)
class _RawNames:
    """Members of the certificate exactly as encoded: CMS compares octets, not meanings."""

    serial: bytes
    issuer: bytes
    subject: bytes
    public_key_bits: bytes

    @classmethod
    def of(cls, octets: bytes) -> "_RawNames":
        fields = der.Fields(der.Fields(der.parse(octets)).take(der.SEQUENCE))
        fields.find(der.context(0))
        serial = fields.take(der.INTEGER)
        number = der.read_integer(serial)
        if number <= 0:
            raise CertificateSyntaxError("serial-not-positive")  # RFC 5280, 4.1.2.2
        if number.bit_length() > MAX_SERIAL_OCTETS * 8:
            raise CertificateSyntaxError("serial-too-long")
        fields.take(der.SEQUENCE)
        issuer = fields.take(der.SEQUENCE)
        fields.take(der.SEQUENCE)
        subject = fields.take(der.SEQUENCE)
        key = der.Fields(fields.take(der.SEQUENCE))
        key.take(der.SEQUENCE)
        return cls(serial.raw, issuer.raw, subject.raw, der.read_bits(key.take()))


def find_extension(extensions: x509.Extensions, kind: type[_Extension]) -> _Extension | None:
    """Return the value of the extension of a *kind*, if there is one."""
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


@lru_cache(maxsize=4096)
def comparable_name(name: x509.Name) -> ComparableName:
    """Fold case, spaces and presentation forms, as RFC 5280, 7.1 compares names."""
    return tuple(
        frozenset(
            (
                attribute.oid.dotted_string,
                " ".join(normalize("NFKC", _text(attribute)).casefold().split()),
            )
            for attribute in rdn
        )
        for rdn in name.rdns
    )


def _pairs(name: x509.Name) -> Name:
    return tuple(
        (attribute.rfc4514_attribute_name, _text(attribute))
        for rdn in reversed(list(name.rdns))
        for attribute in rdn
    )


def _text(attribute: x509.NameAttribute[str | bytes]) -> str:
    value = attribute.value
    return value if isinstance(value, str) else value.hex()


def _first(name: Name, kind: str) -> str | None:
    return next((value for found, value in name if found == kind), None)


def _mail_addresses(
    subject: x509.Name, alternative: x509.SubjectAlternativeName | None
) -> tuple[str, ...]:
    named = alternative.get_values_for_type(x509.RFC822Name) if alternative else []
    in_subject = [_text(each) for each in subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)]
    return tuple(dict.fromkeys((*named, *in_subject)))


def _key_usages(extensions: x509.Extensions) -> frozenset[str] | None:
    usage = find_extension(extensions, x509.KeyUsage)
    if usage is None:
        return None
    return frozenset(name for attribute, name in _KEY_USAGES if getattr(usage, attribute))


def _smime_capabilities(extensions: x509.Extensions) -> tuple[str, ...]:
    oid = x509.ObjectIdentifier(SMIME_CAPABILITIES)
    try:
        value = extensions.get_extension_for_oid(oid).value
    except x509.ExtensionNotFound:
        return ()
    assert isinstance(value, x509.UnrecognizedExtension)
    members = der.expect(der.parse(value.value), der.SEQUENCE).children()
    return tuple(der.read_oid(der.Fields(member).take()) for member in members)


def _key_identifier(extensions: x509.Extensions, public_key_bits: bytes) -> bytes:
    try:
        value = extensions.get_extension_for_oid(ExtensionOID.SUBJECT_KEY_IDENTIFIER).value
    except x509.ExtensionNotFound:
        # RFC 5280, 4.2.1.2, first method: a name for the key, not a protection of anything.
        return sha1(public_key_bits, usedforsecurity=False).digest()
    assert isinstance(value, x509.SubjectKeyIdentifier)
    return value.digest


def _point_urls(points: Iterable[x509.DistributionPoint] | None) -> tuple[str, ...]:
    return tuple(
        name.value
        for point in points or ()
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    )


def _access_urls(extensions: x509.Extensions, method: x509.ObjectIdentifier) -> tuple[str, ...]:
    access = find_extension(extensions, x509.AuthorityInformationAccess)
    return tuple(
        each.access_location.value
        for each in access or ()
        if each.access_method == method
        and isinstance(each.access_location, x509.UniformResourceIdentifier)
    )
