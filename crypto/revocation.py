"""Was this certificate revoked, as far as these lists tell?

Pure: octets of lists and an instant in, a status out. Good, revoked and unknown are three different
answers; only a fresh list, signed by the issuer of the certificate and meant for it, makes the
first two. Lists are complete or delta, direct (signed by the authority that they speak for), and
their serial numbers are kept as a set, so that a look-up costs the same whatever the size.

Errors
    `RevocationSyntaxError` for any octets that are not a list.
Sources
    RFC 5280, 5 (the lists) and 6.3 (judging by them).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from crypto.certificates import Certificate
from crypto.errors import RevocationSyntaxError

MAX_LIST_OCTETS: Final = 256 * 1024 * 1024

_READ_ERRORS: Final = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_UNDERSTOOD: Final = frozenset(
    {
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.DELTA_CRL_INDICATOR,
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
        ExtensionOID.FRESHEST_CRL,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
        ExtensionOID.ISSUER_ALTERNATIVE_NAME,
    }
)
_STRONG: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """Not revoked, and this may be relied upon until then."""

    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """Revoked at that instant."""

    revoked_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The lists do not tell; *reason* is `no-list`, `stale-list` or `unusable-list`."""

    reason: str


RevocationStatus = Good | Revoked | Unknown


@dataclass(frozen=True, kw_only=True)
class RevocationList:
    """A parsed list. Compared by its octets.

    Attributes:
        fingerprint: SHA-256 of the octets, lower-case hexadecimal.
        next_update_at: None if the list promises nothing; such a list is never relied upon.
        number: Sequence number, if it has one.
        base_number: For a delta list, the complete list that it adds to; else None.
    """

    der: bytes = field(repr=False)
    fingerprint: str = field(compare=False)
    issuer_text: str = field(compare=False)
    this_update_at: datetime = field(compare=False)
    next_update_at: datetime | None = field(compare=False)
    number: int | None = field(compare=False)
    base_number: int | None = field(compare=False)
    parsed: x509.CertificateRevocationList = field(compare=False, repr=False)

    @cached_property
    def serials(self) -> frozenset[int]:
        """Serial numbers on the list."""
        return frozenset(entry.serial_number for entry in self.parsed)

    @cached_property
    def _signed_by(self) -> dict[str, bool]:
        return {}

    def is_signed_by(self, issuer: Certificate) -> bool:
        """Say whether *issuer* made this list; the answer is kept, as the check reads it all."""
        known = self._signed_by
        if issuer.fingerprint not in known:
            known[issuer.fingerprint] = _verifies(self.parsed, issuer)
        return known[issuer.fingerprint]

    def is_fresh_at(self, at: datetime) -> bool:
        """Say whether the list was in force at *at*."""
        return self.next_update_at is not None and (
            self.this_update_at <= at <= self.next_update_at
        )


def parse_revocation_list(octets: bytes) -> RevocationList:
    """Read one list in DER or PEM."""
    if len(octets) > MAX_LIST_OCTETS:
        raise RevocationSyntaxError("too-large")
    try:
        if b"-----BEGIN" in octets[:1024]:
            parsed = x509.load_pem_x509_crl(octets)
        else:
            parsed = x509.load_der_x509_crl(octets)
        encoded = parsed.public_bytes(Encoding.DER)
        number = _extension_number(parsed, x509.CRLNumber)
        base = _extension_number(parsed, x509.DeltaCRLIndicator)
        return RevocationList(
            der=encoded,
            fingerprint=sha256(encoded).hexdigest(),
            issuer_text=parsed.issuer.rfc4514_string(),
            this_update_at=parsed.last_update_utc,
            next_update_at=parsed.next_update_utc,
            number=number,
            base_number=base,
            parsed=parsed,
        )
    except _READ_ERRORS as error:
        raise RevocationSyntaxError("malformed") from error


def judge(
    certificate: Certificate, *, issuer: Certificate, lists: Iterable[RevocationList], at: datetime
) -> RevocationStatus:
    """Say what *lists* tell about *certificate*, which *issuer* signed.

    The newest complete list in force decides, then the newest delta list that builds upon it.
    """
    made = [each for each in lists if _speaks_for(each, certificate, issuer)]
    if not made:
        return Unknown(reason="no-list")
    usable = [each for each in made if _is_usable(each, certificate)]
    if not usable:
        return Unknown(reason="unusable-list")
    fresh = sorted(
        (each for each in usable if each.is_fresh_at(at)), key=lambda each: each.this_update_at
    )
    complete = [each for each in fresh if each.base_number is None]
    if not complete:
        return Unknown(reason="stale-list")
    newest = complete[-1]
    deltas = [each for each in fresh if _builds_upon(each, newest)]
    for delta in deltas[-1:]:
        if certificate.serial in delta.serials:
            return _entry_status(delta, certificate.serial)
    if certificate.serial in newest.serials:
        return _entry_status(newest, certificate.serial)
    assert newest.next_update_at is not None  # it is fresh
    return Good(until=newest.next_update_at)


def _speaks_for(candidate: RevocationList, certificate: Certificate, issuer: Certificate) -> bool:
    return (
        candidate.parsed.issuer == certificate.parsed.issuer
        and issuer.allows("cRLSign")
        and candidate.is_signed_by(issuer)
    )


def _is_usable(candidate: RevocationList, certificate: Certificate) -> bool:
    """Say whether the scope of a list covers the certificate, and we understand all of it."""
    for extension in candidate.parsed.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            return False
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            return _covers(extension.value, certificate)
    return True


def _covers(point: x509.IssuingDistributionPoint, certificate: Certificate) -> bool:
    if point.indirect_crl or point.only_some_reasons or point.only_contains_attribute_certs:
        return False
    if point.only_contains_user_certs and certificate.is_authority:
        return False
    if point.only_contains_ca_certs and not certificate.is_authority:
        return False
    if point.full_name is None:
        return point.relative_name is None
    names = {each.value for each in point.full_name}
    return not names.isdisjoint(certificate.crl_urls)


def _builds_upon(delta: RevocationList, complete: RevocationList) -> bool:
    return (
        delta.base_number is not None
        and complete.number is not None
        and delta.number is not None
        and delta.base_number <= complete.number < delta.number
    )


def _entry_status(found_in: RevocationList, serial: int) -> RevocationStatus:
    entry = found_in.parsed.get_revoked_certificate_by_serial_number(serial)
    assert entry is not None  # the set of serials was made from this list
    try:
        flag = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        flag = x509.ReasonFlags.unspecified
    except _READ_ERRORS:
        flag = x509.ReasonFlags.unspecified  # unreadable detail; listed all the same
    if flag is x509.ReasonFlags.remove_from_crl and found_in.next_update_at is not None:
        return Good(until=found_in.next_update_at)
    return Revoked(revoked_at=entry.revocation_date_utc, reason=flag.value)


def _verifies(parsed: x509.CertificateRevocationList, issuer: Certificate) -> bool:
    key = issuer.public_key
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        return False
    try:
        algorithm = parsed.signature_hash_algorithm
        if algorithm is not None and not isinstance(algorithm, _STRONG):
            return False
        return parsed.is_signature_valid(key)
    except _READ_ERRORS:
        return False


def _extension_number(
    parsed: x509.CertificateRevocationList, kind: type[x509.CRLNumber | x509.DeltaCRLIndicator]
) -> int | None:
    try:
        return parsed.extensions.get_extension_for_class(kind).value.crl_number
    except x509.ExtensionNotFound:
        return None
