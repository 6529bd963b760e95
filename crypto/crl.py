"""What does this revocation list say of itself: whose, since when, until when, about what?

A list is read once, strictly. What it says of itself is small and kept at hand; its entries, which
may be half a million, are left in their octets and looked up through `crypto.crl_entries`. Nothing
here says whether a list is to be believed (see `crypto.revocation`).

Errors
    `RevocationSyntaxError` for any octets that are not a list.
Sources
    RFC 5280, 5.
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import new as new_digest
from hashlib import sha256
from typing import Final
from warnings import catch_warnings, simplefilter

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID

from crypto import der
from crypto.algorithms import MAX_RSA_BITS, MIN_RSA_BITS
from crypto.certificates import (
    READ_ERRORS,
    Certificate,
    ComparableName,
    comparable_name,
    find_extension,
)
from crypto.crl_entries import Entries, Octets, index_entries
from crypto.errors import RevocationSyntaxError

MAX_LIST_OCTETS: Final = 256 * 1024 * 1024

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
class Layout:
    """Where the members of an encoded list are: offsets of what is signed, and of the entries."""

    signed_start: int
    signed_end: int
    entries_start: int
    entries_end: int


@dataclass(frozen=True, kw_only=True)
class RevocationList:
    """A parsed list. Compared by its octets.

    Attributes:
        octets: The list in DER; in memory, or mapped from a file.
        fingerprint: SHA-256 of the octets, lower-case hexadecimal.
        next_update_at: None if the list promises nothing; such a list is never relied upon.
        number: Sequence number, if it has one.
        base_number: For a delta list, the complete list that it adds to; else None.
        head: The list without its entries, which is what its extensions are read from.
        layout: Where what is signed, and the entries, are in the octets.
        signed_by: Keys (SHA-256 of the public key) whose signature was checked, and the outcome.
    """

    octets: Octets = field(repr=False, compare=False)
    fingerprint: str
    issuer_text: str = field(compare=False)
    this_update_at: datetime = field(compare=False)
    next_update_at: datetime | None = field(compare=False)
    number: int | None = field(compare=False)
    base_number: int | None = field(compare=False)
    head: x509.CertificateRevocationList = field(compare=False, repr=False)
    layout: Layout = field(compare=False, repr=False)
    signed_by: dict[str, bool] = field(compare=False, repr=False, default_factory=dict)

    @property
    def der(self) -> bytes:
        """The whole list, copied if it lies in a file."""
        return bytes(self.octets)

    @cached_property
    def issuer(self) -> ComparableName:
        """Who issued the list, in the form that names are compared in."""
        return comparable_name(self.head.issuer)

    @cached_property
    def scope(self) -> x509.IssuingDistributionPoint | None:
        """What the list is about, if not everything that its issuer issued."""
        return find_extension(self.head.extensions, x509.IssuingDistributionPoint)

    @cached_property
    def authority_key_identifier(self) -> bytes | None:
        """The key that signed the list, as it says itself."""
        found = find_extension(self.head.extensions, x509.AuthorityKeyIdentifier)
        return found.key_identifier if found else None

    @cached_property
    def is_indirect(self) -> bool:
        """Whether entries may be about certificates of other issuers."""
        return self.scope is not None and self.scope.indirect_crl

    @cached_property
    def entries(self) -> Entries:
        """The entries; indexed when first asked for, or beforehand by `crypto.crl_index`."""
        return index_entries(
            self.octets,
            start=self.layout.entries_start,
            end=self.layout.entries_end,
            is_indirect=self.is_indirect,
        )

    @cached_property
    def is_understood(self) -> bool:
        """Whether we know every critical extension, of the list and of its entries."""
        return self._is_head_understood and self.entries.is_understood

    @cached_property
    def _is_head_understood(self) -> bool:
        return all(
            not extension.critical or extension.oid in _UNDERSTOOD
            for extension in self.head.extensions
        )

    def is_signed_by(self, issuer: Certificate) -> bool:
        """Say whether *issuer* made this list; the answer is kept, as the check reads it all."""
        key = key_digest(issuer)
        if key not in self.signed_by:
            self.signed_by[key] = self._verifies(issuer)
        return self.signed_by[key]

    def is_fresh_at(self, at: datetime) -> bool:
        """Say whether the list was in force at *at*."""
        return self.next_update_at is not None and (
            self.this_update_at <= at <= self.next_update_at
        )

    def _verifies(self, issuer: Certificate) -> bool:
        signed = memoryview(self.octets)[self.layout.signed_start : self.layout.signed_end]
        try:
            return _has_signed(issuer, self.head, signed)
        except (InvalidSignature, *READ_ERRORS):
            return False


def key_digest(certificate: Certificate) -> str:
    """Name the public key of a certificate."""
    encoded = certificate.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(encoded).hexdigest()


def parse_revocation_list(octets: bytes) -> RevocationList:
    """Read one list in DER or PEM."""
    if len(octets) > MAX_LIST_OCTETS:
        raise RevocationSyntaxError("too-large")
    try:
        if b"-----BEGIN" in octets[:1024]:
            octets = x509.load_pem_x509_crl(octets).public_bytes(Encoding.DER)
        else:
            x509.load_der_x509_crl(octets)  # every entry is looked at once, strictly
        return read_head(octets, fingerprint=sha256(octets).hexdigest())
    except READ_ERRORS as error:
        raise RevocationSyntaxError("malformed") from error


def _issuer_text(head: x509.CertificateRevocationList) -> str:
    """Write out the issuer; an attribute of an odd length is no reason to warn anybody."""
    with catch_warnings():
        simplefilter("ignore", UserWarning)
        return head.issuer.rfc4514_string()


def read_head(octets: Octets, *, fingerprint: str) -> RevocationList:
    """Read what a list says of itself; its structure was checked before."""
    layout, head_der = _take_apart(octets)
    head = x509.load_der_x509_crl(head_der)
    number = find_extension(head.extensions, x509.CRLNumber)
    base = find_extension(head.extensions, x509.DeltaCRLIndicator)
    find_extension(
        head.extensions, x509.IssuingDistributionPoint
    )  # unreadable ones are refused now
    return RevocationList(
        octets=octets,
        fingerprint=fingerprint,
        issuer_text=_issuer_text(head),
        this_update_at=head.last_update_utc,
        next_update_at=head.next_update_utc,
        number=number.crl_number if number else None,
        base_number=base.crl_number if base else None,
        head=head,
        layout=layout,
    )


def _take_apart(octets: Octets) -> tuple[Layout, bytes]:
    """Find the members of a list; return also the list as it would be without entries."""
    outer = der.Fields(der.parse(octets))  # type: ignore[arg-type]  # it reads any octets by index
    signed = outer.take(der.SEQUENCE)
    algorithm, signature = outer.take(der.SEQUENCE), outer.take(der.BIT_STRING)
    outer.finish()
    members = signed.children()
    at = next(
        number
        for number, each in enumerate(members)
        if each.tag in {der.UTC_TIME, der.GENERALIZED_TIME}
    )
    while at < len(members) and members[at].tag in {der.UTC_TIME, der.GENERALIZED_TIME}:
        at += 1
    entries = members[at] if at < len(members) and members[at].tag == der.SEQUENCE else None
    kept = [bytes(each.raw) for each in members if each is not entries]
    layout = Layout(
        signed_start=signed.start,
        signed_end=signed.after,
        entries_start=entries.body if entries else 0,
        entries_end=entries.end if entries else 0,
    )
    return layout, der.sequence(der.sequence(*kept), bytes(algorithm.raw), bytes(signature.raw))


def _has_signed(
    issuer: Certificate, head: x509.CertificateRevocationList, signed: memoryview
) -> bool:
    """Check the signature over *signed*; raises or returns False if it does not hold."""
    key, algorithm = issuer.public_key, head.signature_hash_algorithm
    parameters = head.signature_algorithm_parameters
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(head.signature, bytes(signed))
        return True
    if not isinstance(algorithm, _STRONG):
        return False
    digest = new_digest(algorithm.name, signed).digest()
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
        key.verify(head.signature, digest, ec.ECDSA(Prehashed(algorithm)))
        return True
    if (
        isinstance(key, rsa.RSAPublicKey)
        and MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
        and isinstance(parameters, padding.PKCS1v15 | padding.PSS)
    ):
        key.verify(head.signature, digest, parameters, Prehashed(algorithm))
        return True
    return False
