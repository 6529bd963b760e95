"""What does this OCSP response say, about which certificate, and who says it?

Octets in, values out; nothing is fetched here. A response speaks about a certificate only if the
digests of its issuer's name and key and its serial number all match, and it is heard only if the
issuer itself signed it, or a responder to whom that same issuer gave the right (delegation). A
responder that does not know the certificate has not said *good*.

Units
    Instants are aware UTC.
Errors
    `RevocationSyntaxError` for octets that are not a successful basic response; the reason
    `response-…` carries the status of one that is not successful.
Sources
    RFC 6960; RFC 5019 (short requests, without a nonce).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import new as new_digest
from hashlib import sha1, sha256
from typing import Final

from asn1crypto import ocsp as asn1_ocsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from crypto import der
from crypto.algorithms import MAX_RSA_BITS, MIN_RSA_BITS
from crypto.certificates import (
    READ_ERRORS,
    Certificate,
    ComparableName,
    comparable_name,
    find_extension,
    parse_certificate,
)
from crypto.errors import CertificateSyntaxError, RevocationSyntaxError
from crypto.path_finder import is_signed_by

MAX_RESPONSE_OCTETS: Final = 1024 * 1024
MAX_SINGLE_RESPONSES: Final = 64
MAX_RESPONDER_CERTIFICATES: Final = 4
CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far ahead of ours the clock of a responder may be: it answers with the present instant."""
MAX_AGE: Final = timedelta(days=10)
"""An answer older than this is not heard, whatever it promises: it may be a replay."""
MAX_AGE_WITHOUT_PROMISE: Final = timedelta(hours=1)
"""RFC 6960, 4.2.2.1: without nextUpdate, newer information is available all the time."""

_OCSP_SIGNING: Final = "1.3.6.1.5.5.7.3.9"
_BASIC_RESPONSE: Final = "basic_ocsp_response"
_STRONG: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_DIGESTS: Final = frozenset({"sha1", "sha256", "sha384", "sha512"})
_READ_ERRORS: Final = (*READ_ERRORS, KeyError, AttributeError, CertificateSyntaxError)


class ResponseStatus(StrEnum):
    """What a responder says about one certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleResponse:
    """The answer about one certificate.

    Attributes:
        digest: Algorithm of the two hashes.
        revoked_at: Only if revoked.
        reason: Only if revoked; `unspecified` if the responder does not tell.
        is_understood: False if there is a critical extension that we do not know.
    """

    digest: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int
    status: ResponseStatus
    this_update_at: datetime
    next_update_at: datetime | None
    revoked_at: datetime | None
    reason: str
    is_understood: bool

    def is_about(self, certificate: Certificate, *, issuer: Certificate) -> bool:
        """Say whether the three parts of the identifier are those of *certificate*."""
        return (
            self.serial == certificate.serial
            and self.digest in _DIGESTS
            and self.issuer_name_hash == new_digest(self.digest, certificate.issuer_der).digest()
            and self.issuer_key_hash == new_digest(self.digest, _key_bits(issuer)).digest()
        )

    @property
    def relied_upon_until(self) -> datetime:
        """The last instant at which this answer is heard."""
        if self.next_update_at is None:
            return self.this_update_at + MAX_AGE_WITHOUT_PROMISE
        return min(self.next_update_at, self.this_update_at + MAX_AGE)

    def is_fresh_at(self, at: datetime) -> bool:
        """Say whether the answer was in force at *at*."""
        return self.this_update_at - CLOCK_SKEW <= at <= self.relied_upon_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Responder:
    """Who signed a response, and whether that still has to be proven not revoked."""

    certificate: Certificate
    needs_proof: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspResponse:
    """A successful response, not yet believed. Compared by its octets.

    Attributes:
        fingerprint: SHA-256 of the octets, lower-case hexadecimal.
        responder: Name of who signed, or SHA-1 of the key.
        nonce: The one that a request carried, if the responder repeats it.
        is_understood: False if there is a critical extension that we do not know.
    """

    der: bytes = field(repr=False)
    fingerprint: str = field(compare=False)
    produced_at: datetime = field(compare=False)
    singles: tuple[SingleResponse, ...] = field(compare=False)
    certificates: tuple[Certificate, ...] = field(compare=False, repr=False)
    responder: ComparableName | bytes = field(compare=False, repr=False)
    nonce: bytes | None = field(compare=False, repr=False)
    is_understood: bool = field(compare=False)
    basic: asn1_ocsp.BasicOCSPResponse = field(compare=False, repr=False)

    def find(self, certificate: Certificate, *, issuer: Certificate) -> SingleResponse | None:
        """Return the answer about *certificate*, if there is one that we understand."""
        if not self.is_understood:
            return None
        return next(
            (
                each
                for each in self.singles
                if each.is_understood and each.is_about(certificate, issuer=issuer)
            ),
            None,
        )

    def answers(self, nonce: bytes) -> bool:
        """Say whether this may be the answer to a request with *nonce*; many repeat none."""
        return self.nonce is None or self.nonce == nonce

    def find_responder(self, issuer: Certificate, *, at: datetime) -> Responder | None:
        """Return who signed, if *issuer* did or gave somebody the right to."""
        for candidate in (issuer, *self.certificates):
            if not self._is_named(candidate):
                continue
            if candidate != issuer and not _is_delegated(candidate, issuer, at=at):
                continue
            if self._is_signed_by(candidate):
                return Responder(
                    certificate=candidate,
                    needs_proof=candidate != issuer and not _has_no_check(candidate),
                )
        return None

    def _is_named(self, candidate: Certificate) -> bool:
        if isinstance(self.responder, bytes):
            digest = sha1(_key_bits(candidate), usedforsecurity=False).digest()
            return self.responder == digest
        return self.responder == comparable_name(candidate.parsed.subject)

    def _is_signed_by(self, candidate: Certificate) -> bool:
        try:
            return _verifies(self.basic, candidate)
        except (InvalidSignature, *_READ_ERRORS):
            return False


def parse_ocsp_response(octets: bytes) -> OcspResponse:
    """Read one response in DER."""
    if len(octets) > MAX_RESPONSE_OCTETS:
        raise RevocationSyntaxError("too-large")
    try:
        ocsp.load_der_ocsp_response(octets)  # the strict reader has the first say
        response = asn1_ocsp.OCSPResponse.load(octets, strict=True)
        status = response["response_status"].native
        if status != "successful":
            raise RevocationSyntaxError(f"response-{status.replace('_', '-')}")
        content = response["response_bytes"]
        if content["response_type"].native != _BASIC_RESPONSE:
            raise RevocationSyntaxError("response-type")
        return _read(octets, content["response"].parsed)
    except _READ_ERRORS as error:
        raise RevocationSyntaxError("malformed") from error


def build_ocsp_request(
    certificate: Certificate, *, issuer: Certificate, nonce: bytes | None = None
) -> bytes:
    """Ask about one certificate, in DER.

    The identifier is made with SHA-1 because every responder understands it (RFC 5019, 2.1.1); it
    is a name, and what is answered is compared with all of it.
    """
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        certificate.parsed,
        issuer.parsed,
        hashes.SHA1(),  # noqa: S303 -- a name, see above
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def _read(octets: bytes, basic: asn1_ocsp.BasicOCSPResponse) -> OcspResponse:
    data = basic["tbs_response_data"]
    if len(data["responses"]) > MAX_SINGLE_RESPONSES:
        raise RevocationSyntaxError("too-many-answers")
    nonce, is_understood = None, True
    for name, is_critical, value in _extensions(data["response_extensions"]):
        if name == "nonce":
            nonce = value
        elif is_critical:
            is_understood = False
    return OcspResponse(
        der=octets,
        fingerprint=sha256(octets).hexdigest(),
        produced_at=data["produced_at"].native,
        singles=tuple(_read_single(each) for each in data["responses"]),
        certificates=tuple(_read_certificates(basic)),
        responder=_read_responder(data["responder_id"]),
        nonce=nonce,
        is_understood=is_understood,
        basic=basic,
    )


def _read_responder(written: asn1_ocsp.ResponderId) -> ComparableName | bytes:
    if written.name == "by_key":
        return bytes(written.chosen.native)
    return comparable_name(x509.Name.from_bytes(written.chosen.untag().dump()))


def _read_certificates(basic: asn1_ocsp.BasicOCSPResponse) -> Iterator[Certificate]:
    certificates = basic["certs"]
    for each in list(certificates)[:MAX_RESPONDER_CERTIFICATES] if certificates else ():
        yield parse_certificate(each.dump())


def _read_single(single: asn1_ocsp.SingleResponse) -> SingleResponse:
    named, status = single["cert_id"], single["cert_status"]
    revoked = status.chosen if status.name == "revoked" else None
    reason = revoked["revocation_reason"].native if revoked is not None else None
    extensions = list(_extensions(single["single_extensions"]))
    next_update = single["next_update"].native
    return SingleResponse(
        digest=named["hash_algorithm"]["algorithm"].native,
        issuer_name_hash=named["issuer_name_hash"].native,
        issuer_key_hash=named["issuer_key_hash"].native,
        serial=named["serial_number"].native,
        status=ResponseStatus(status.name),
        this_update_at=single["this_update"].native,
        next_update_at=next_update,
        revoked_at=revoked["revocation_time"].native if revoked is not None else None,
        reason=_reason_name(reason),
        is_understood=not any(is_critical for _, is_critical, _ in extensions),
    )


def _reason_name(reason: str | None) -> str:
    """Spell a reason as lists do: `key_compromise` is `keyCompromise`."""
    if reason is None:
        return "unspecified"
    if reason.startswith("ca_"):
        return "cACompromise"
    if reason.startswith("aa_"):
        return "aACompromise"
    first, *others = reason.split("_")
    return first + "".join(each.capitalize() for each in others)


def _extensions(extensions: object) -> Iterator[tuple[str, bool, bytes]]:
    for each in extensions or ():  # type: ignore[attr-defined]  # an untyped sequence, or Void
        value = each["extn_value"]
        content = value.parsed.native if each["extn_id"].native == "nonce" else value.native
        yield each["extn_id"].native, bool(each["critical"].native), content


def _is_delegated(candidate: Certificate, issuer: Certificate, *, at: datetime) -> bool:
    """Say whether *issuer* itself gave *candidate* the right to answer in its place."""
    return (
        candidate.extended_key_usages is not None
        and _OCSP_SIGNING in candidate.extended_key_usages
        and candidate.allows("digitalSignature")
        and candidate.is_valid_at(at)
        and comparable_name(candidate.parsed.issuer) == comparable_name(issuer.parsed.subject)
        and is_signed_by(candidate, issuer)
    )


def _has_no_check(candidate: Certificate) -> bool:
    """Say whether its issuer asks not to look for the revocation of a responder."""
    return find_extension(candidate.parsed.extensions, x509.OCSPNoCheck) is not None


def _key_bits(certificate: Certificate) -> bytes:
    return der.read_bits(_public_key_info(certificate))


def _public_key_info(certificate: Certificate) -> der.Element:
    fields = der.Fields(der.Fields(der.parse(certificate.der)).take(der.SEQUENCE))
    fields.find(der.context(0))
    for _ in range(5):  # serial number, algorithm, issuer, validity, subject
        fields.take()
    key = der.Fields(fields.take(der.SEQUENCE))
    key.take(der.SEQUENCE)
    return key.take(der.BIT_STRING)


def _verifies(basic: asn1_ocsp.BasicOCSPResponse, signer: Certificate) -> bool:
    """Check the signature; raises or returns False if it does not hold."""
    algorithm, signature = basic["signature_algorithm"], basic["signature"].native
    signed, key = basic["tbs_response_data"].dump(), signer.public_key
    scheme = algorithm.signature_algo
    if isinstance(key, ed25519.Ed25519PublicKey) and scheme == "ed25519":
        key.verify(signature, signed)
        return True
    digest = _STRONG.get(algorithm.hash_algo)
    if digest is None:
        return False
    if isinstance(key, ec.EllipticCurvePublicKey) and scheme == "ecdsa":
        key.verify(signature, signed, ec.ECDSA(digest))
        return True
    if isinstance(key, rsa.RSAPublicKey) and MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        rsa_padding = _padding(algorithm)
        if rsa_padding is not None:
            key.verify(signature, signed, rsa_padding, digest)
            return True
    return False


def _padding(algorithm: object) -> padding.PKCS1v15 | padding.PSS | None:
    scheme = algorithm.signature_algo  # type: ignore[attr-defined]  # the library has no types
    if scheme == "rsassa_pkcs1v15":
        return padding.PKCS1v15()
    if scheme != "rsassa_pss":
        return None
    parameters = algorithm["parameters"]  # type: ignore[index]
    masks = parameters["mask_gen_algorithm"]
    digest = _STRONG.get(masks["parameters"]["algorithm"].native)
    if digest is None or masks["algorithm"].native != "mgf1":
        return None
    return padding.PSS(mgf=padding.MGF1(digest), salt_length=parameters["salt_length"].native)
