"""Issue certificates on the spot, shaped like those of IGC-Santé, for demonstrations and tests.

One authority is a root and an issuing authority under it, as `AC RACINE IGC-SANTE ELEMENTAIRE`
over `AC IGC-SANTE ELEMENTAIRE ORGANISATIONS`. Names carry DEMO, so that nobody takes one for the
other; nothing here is meant to protect real letters.

Units
    Instants are aware UTC and always given: the same arguments make the same dates.
Sources
    Certificates and samples that IGC-Santé publishes: subject C, ST, O, OU (structure identifier),
    CN; usages of ORG SIGN, ORG CONF, ORG AUTH_CLI and SERV SSL. RFC 4262 (S/MIME capabilities).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mlkem, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from crypto import der
from crypto.algorithms import PRODUCED_CAPABILITIES, SMIME_CAPABILITIES
from crypto.certificates import Certificate, parse_certificate
from crypto.errors import UnsupportedAlgorithmError
from crypto.keys import PrivateKey, SoftwareKeyHolder, generate_private_key, private_key_pem

DEMO_POLICY: Final = "1.3.6.1.4.1.99999.1.1"  # of nobody; neither the real nor the test policies
AUTHORITY_VALID_FOR: Final = timedelta(days=3650)
LEAF_VALID_FOR: Final = timedelta(days=1095)
CRL_VALID_FOR: Final = timedelta(days=7)

_IssuerKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class CertificateProfile(StrEnum):
    """What a certificate is for, by the names of the national offer."""

    SERVER = "serv-ssl"
    SIGNATURE = "org-sign"
    CONFIDENTIALITY = "org-conf"
    CLIENT = "org-auth-cli"
    PERSON_SIGNATURE = "person-sign"


_EXTENDED: Final = {
    CertificateProfile.SERVER: (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
    CertificateProfile.SIGNATURE: (ExtendedKeyUsageOID.EMAIL_PROTECTION,),
    CertificateProfile.CONFIDENTIALITY: (ExtendedKeyUsageOID.EMAIL_PROTECTION,),
    CertificateProfile.CLIENT: (ExtendedKeyUsageOID.CLIENT_AUTH,),
    CertificateProfile.PERSON_SIGNATURE: (ExtendedKeyUsageOID.EMAIL_PROTECTION,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who a certificate is for."""

    common_name: str
    organization: str
    structure_id: str
    locality: str = "Paris (75)"
    country: str = "FR"
    dns_names: tuple[str, ...] = ()
    mail_addresses: tuple[str, ...] = ()

    def name(self) -> x509.Name:
        """Return the name in the order of the certificates: country first, common name last."""
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, self.country),
                x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, self.locality),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.organization),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, self.structure_id),
                x509.NameAttribute(NameOID.COMMON_NAME, self.common_name),
            ]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate with its private key and the authorities above it, root excluded."""

    certificate: Certificate
    private_key: PrivateKey = field(repr=False)
    chain: tuple[Certificate, ...] = field(repr=False)

    @property
    def private_key_pem(self) -> str:
        """The key as unencrypted PKCS #8."""
        return private_key_pem(self.private_key)

    @property
    def chain_pem(self) -> str:
        """The certificate and those above it, as a TLS server wants them."""
        return "".join(each.pem for each in (self.certificate, *self.chain))

    def key_holder(self) -> SoftwareKeyHolder:
        """Return a holder of this one key."""
        return SoftwareKeyHolder([(self.certificate, self.private_key)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """One authority: its certificate, its key, and what it revoked."""

    certificate: Certificate
    private_key: _IssuerKey = field(repr=False)
    revoked: tuple[tuple[int, datetime], ...] = ()
    crl_url: str | None = None

    def with_revoked(self, certificate: Certificate, *, at: datetime) -> "Issuer":
        """Return this issuer after it has revoked *certificate*."""
        return replace(self, revoked=(*self.revoked, (certificate.serial, at)))

    def crl(self, at: datetime, *, number: int = 1, valid_for: timedelta = CRL_VALID_FOR) -> bytes:
        """Return the list of what was revoked until *at*, in DER."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.parsed.subject)
            .last_update(at)
            .next_update(at + valid_for)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier(self.certificate.key_identifier, None, None),
                critical=False,
            )
        )
        for serial, revoked_at in self.revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial)
            builder = builder.add_revoked_certificate(entry.revocation_date(revoked_at).build())
        return builder.sign(self.private_key, _hash_for(self.private_key)).public_bytes(
            Encoding.DER
        )


@dataclass(slots=True, kw_only=True)
class Authority:
    """A root and the issuing authority under it. Revoking changes it; everything else does not."""

    root: Issuer
    issuing: Issuer

    @property
    def anchors(self) -> tuple[Certificate, ...]:
        """What others must trust."""
        return (self.root.certificate,)

    @property
    def intermediates(self) -> tuple[Certificate, ...]:
        """What others need on the way."""
        return (self.issuing.certificate,)

    @property
    def anchors_pem(self) -> str:
        """The root in PEM."""
        return self.root.certificate.pem

    def issue(
        self,
        profile: CertificateProfile,
        subject: Subject,
        *,
        at: datetime,
        valid_for: timedelta = LEAF_VALID_FOR,
        key: str = "p256",
        policies: Sequence[str] = (DEMO_POLICY,),
    ) -> Issued:
        """Make a key and its certificate, valid from *at*."""
        private_key = generate_private_key(key)
        builder = _builder(subject.name(), private_key, self.issuing, at=at, valid_for=valid_for)
        builder = builder.add_extension(
            x509.BasicConstraints(ca=False, path_length=None), critical=False
        )
        builder = builder.add_extension(_key_usage(profile, private_key), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(_EXTENDED[profile]), critical=False)
        builder = _with_names(builder, profile, subject)
        if policies:
            information = [
                x509.PolicyInformation(x509.ObjectIdentifier(each), None) for each in policies
            ]
            builder = builder.add_extension(x509.CertificatePolicies(information), critical=False)
        if profile is CertificateProfile.CONFIDENTIALITY:
            builder = builder.add_extension(_capabilities(), critical=False)
        return Issued(
            certificate=_signed(builder, self.issuing.private_key),
            private_key=private_key,
            chain=self.intermediates,
        )

    def revoke(self, certificate: Certificate, *, at: datetime) -> None:
        """Revoke a certificate; the next list of its issuer says so."""
        if certificate.issuer_der == self.issuing.certificate.subject_der:
            self.issuing = self.issuing.with_revoked(certificate, at=at)
        else:
            self.root = self.root.with_revoked(certificate, at=at)

    def crl(self, at: datetime, *, number: int = 1, valid_for: timedelta = CRL_VALID_FOR) -> bytes:
        """Return the revocation list of the issuing authority."""
        return self.issuing.crl(at, number=number, valid_for=valid_for)

    def root_crl(
        self, at: datetime, *, number: int = 1, valid_for: timedelta = CRL_VALID_FOR
    ) -> bytes:
        """Return the revocation list of the root."""
        return self.root.crl(at, number=number, valid_for=valid_for)

    def crls(self, at: datetime) -> tuple[bytes, bytes]:
        """Return both lists: all that judging a leaf needs."""
        return self.crl(at), self.root_crl(at)


def create_authority(
    name: str,
    *,
    at: datetime,
    valid_for: timedelta = AUTHORITY_VALID_FOR,
    key: str = "p256",
    crl_url: str | None = None,
) -> Authority:
    """Make a root and an issuing authority.

    Args:
        name: What they are called after their rank, for instance `DEMO ELEMENTAIRE`.
        at: First instant of validity.
        valid_for: How long both are valid.
        key: Kind of both keys, as in `crypto.keys.generate_private_key`.
        crl_url: Where leaves say that the list of the issuing authority is.
    """
    root_name = _authority_name(f"AC RACINE {name}")
    root_key = _issuer_key(key)
    root = _authority(root_name, root_key, root_name, root_key, at, valid_for, path_length=1)
    issuing_key = _issuer_key(key)
    issuing = _authority(
        _authority_name(f"AC {name} ORGANISATIONS"),
        issuing_key,
        root_name,
        root_key,
        at,
        valid_for,
        path_length=0,
    )
    return Authority(
        root=Issuer(certificate=root, private_key=root_key),
        issuing=Issuer(certificate=issuing, private_key=issuing_key, crl_url=crl_url),
    )


def _authority_name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "DEMO"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "0002 000000000"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "IGC DEMO"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _authority(
    subject: x509.Name,
    key: _IssuerKey,
    issuer: x509.Name,
    issuer_key: _IssuerKey,
    at: datetime,
    valid_for: timedelta,
    *,
    path_length: int,
) -> Certificate:
    any_policy = x509.PolicyInformation(x509.ObjectIdentifier("2.5.29.32.0"), None)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at)
        .not_valid_after(at + valid_for)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.CertificatePolicies([any_policy]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    return _signed(builder, issuer_key)


def _builder(
    name: x509.Name, key: PrivateKey, issuer: Issuer, *, at: datetime, valid_for: timedelta
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.parsed.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at)
        .not_valid_after(at + valid_for)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier(issuer.certificate.key_identifier, None, None),
            critical=False,
        )
    )
    if issuer.crl_url is None:
        return builder
    where = x509.DistributionPoint(
        [x509.UniformResourceIdentifier(issuer.crl_url)], None, None, None
    )
    return builder.add_extension(x509.CRLDistributionPoints([where]), critical=False)


def _with_names(
    builder: x509.CertificateBuilder, profile: CertificateProfile, subject: Subject
) -> x509.CertificateBuilder:
    """Add alternative names. ORG SIGN and the like have none, as in reality."""
    names: list[x509.GeneralName] = []
    if profile is CertificateProfile.SERVER:
        names.extend(map(x509.DNSName, subject.dns_names or (subject.common_name,)))
    names.extend(map(x509.RFC822Name, subject.mail_addresses))
    if not names:
        return builder
    return builder.add_extension(x509.SubjectAlternativeName(names), critical=False)


def _key_usage(profile: CertificateProfile, key: PrivateKey) -> x509.KeyUsage:
    is_rsa = isinstance(key, rsa.RSAPrivateKey)
    # RFC 9935, 5: an ML-KEM key enciphers keys and does nothing else.
    is_wrapping = is_rsa or isinstance(key, mlkem.MLKEM768PrivateKey | mlkem.MLKEM1024PrivateKey)
    match profile:
        case CertificateProfile.SERVER:
            return _usage(digital_signature=True, key_encipherment=is_rsa)
        case CertificateProfile.SIGNATURE:
            return _usage(digital_signature=True, content_commitment=True)
        case CertificateProfile.CONFIDENTIALITY:
            return _usage(key_encipherment=is_wrapping, key_agreement=not is_wrapping)
        case CertificateProfile.CLIENT:
            return _usage(digital_signature=True)
        case CertificateProfile.PERSON_SIGNATURE:
            return _usage(content_commitment=True)


def _usage(  # one flag for each that we set; the rest is false
    *,
    digital_signature: bool = False,
    content_commitment: bool = False,
    key_encipherment: bool = False,
    key_agreement: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=content_commitment,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=key_agreement,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _capabilities() -> x509.UnrecognizedExtension:
    value = der.sequence(*(der.sequence(der.oid(each)) for each in PRODUCED_CAPABILITIES))
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(SMIME_CAPABILITIES), value)


def _issuer_key(kind: str) -> _IssuerKey:
    key = generate_private_key(kind)
    if isinstance(key, _IssuerKey):
        return key
    raise UnsupportedAlgorithmError(kind)


def _hash_for(key: _IssuerKey) -> hashes.SHA256 | hashes.SHA384 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size == 384:
        return hashes.SHA384()
    return hashes.SHA256()


def _signed(builder: x509.CertificateBuilder, key: _IssuerKey) -> Certificate:
    certificate = builder.sign(key, _hash_for(key))
    return parse_certificate(certificate.public_bytes(Encoding.DER))
