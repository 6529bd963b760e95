"""Make a SignedData, and check one: do the octets match, and which certificate says so?

Whether that certificate is to be believed is asked elsewhere (`crypto.trust`). Here every rule is
one that an attack was built on: signed attributes must be there, each once, over the right content
and type; every signer must hold; what the attributes say about algorithms and certificate must
be what was used.

Errors
    `SignatureError` with a reason when it is bad, `IndeterminateError` when the signer's
    certificate is not at hand.
Sources
    RFC 5652, 5 and 11; RFC 5035 (signing certificate v2); RFC 6211 (algorithm protection);
    RFC 4056 (PSS); RFC 8419 (Ed25519); RFC 8551, 2.5; Müller et al., Johnny, you are
    fired! (spoofed signatures), USENIX Security 2019.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, lru_cache
from hmac import compare_digest
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from crypto import algorithms, cms, der
from crypto.algorithms import SignatureScheme, digest_of, hash_of
from crypto.certificates import Certificate
from crypto.errors import (
    CmsSyntaxError,
    IndeterminateError,
    SignatureError,
    UnsupportedAlgorithmError,
)
from crypto.layout import Around
from crypto.ports import KeyHolder

_SINGLE: Final = frozenset(
    {
        algorithms.CONTENT_TYPE,
        algorithms.MESSAGE_DIGEST,
        algorithms.SIGNING_TIME,
        algorithms.SIGNING_CERTIFICATE,
        algorithms.SIGNING_CERTIFICATE_V2,
        algorithms.CMS_ALGORITHM_PROTECTION,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """One signature that holds over the content.

    Attributes:
        signed_at: What the signer claims; a claim and not a proof.
        algorithm: For people and logs.
        findings: Kebab-case remarks that do not make it invalid.
        attributes: All that was signed beside the content.
    """

    certificate: Certificate
    signed_at: datetime | None
    algorithm: SignatureScheme
    findings: tuple[str, ...]
    attributes: tuple[cms.Attribute, ...] = field(default=(), repr=False)


# --- Making ----------------------------------------------------------------------------------


def build(
    content: bytes,
    *,
    certificate: Certificate,
    keys: KeyHolder,
    at: datetime,
    chain: Sequence[Certificate] = (),
    is_detached: bool = True,
    more: Sequence[bytes] = (),
) -> bytes:
    """Return a ContentInfo with a SignedData over *content*, in DER; *more* as `build_around`."""
    around = build_around(
        hashlib.new(digest_name(certificate), content).digest(),
        content_octets=None if is_detached else len(content),
        certificate=certificate,
        keys=keys,
        at=at,
        chain=chain,
        more=more,
    )
    return b"".join((around.before, b"" if is_detached else content, around.after))


def build_around(
    digest: bytes,
    *,
    content_octets: int | None,
    certificate: Certificate,
    keys: KeyHolder,
    at: datetime,
    chain: Sequence[Certificate] = (),
    more: Sequence[bytes] = (),
) -> Around:
    """Return what stands before and after the content in a SignedData, in DER.

    Args:
        digest: Of the content, by the algorithm `digest_name`.
        content_octets: How long the content is; None if it is detached.
        certificate: Whose key signs.
        keys: Holds the key.
        at: The signing time to state.
        chain: Intermediates to send along.
        more: Further signed attributes, encoded.
    """
    form = _form(certificate)
    attributes = sorted(
        (
            *form.attributes,
            *more,
            _attribute(algorithms.MESSAGE_DIGEST, der.octet_string(digest)),
            _attribute(algorithms.SIGNING_TIME, der.time(at)),
        )
    )
    signature = keys.sign(certificate, der.encode(der.SET, *attributes), form.scheme)
    signer = der.sequence(
        der.integer(1),
        form.identifier,
        form.digest,
        der.encode(der.context(0), *attributes),
        form.signature_algorithm,
        der.octet_string(signature),
    )
    included = dict.fromkeys((certificate, *chain))
    certificates = der.set_of((each.der for each in included), tag=der.context(0))
    after = certificates + der.encode(der.SET, signer)
    return _around(form, after, content_octets)


def _around(form: "_Form", after: bytes, content_octets: int | None) -> Around:
    """Put the outer headers before the content; their lengths count what follows."""
    inside, head = content_octets or 0, b""
    if content_octets is not None:
        head = der.header(der.OCTET_STRING, inside)
        head = der.header(der.context(0), len(head) + inside) + head
    head = der.oid(algorithms.DATA) + head
    head = der.header(der.SEQUENCE, len(head) + inside) + head
    head = der.integer(1) + der.encode(der.SET, form.digest) + head
    rest = inside + len(after)
    head = der.header(der.SEQUENCE, len(head) + rest) + head
    head = der.oid(algorithms.SIGNED_DATA) + der.header(der.context(0), len(head) + rest) + head
    return Around(before=der.header(der.SEQUENCE, len(head) + rest) + head, after=after)


def digest_name(certificate: Certificate) -> str:
    """Return the name of the digest over the content that goes with the key of *certificate*."""
    return algorithms.DIGEST_NAMES[digest_of(scheme_for(certificate))]


def scheme_for(certificate: Certificate) -> SignatureScheme:
    """Return how the key of *certificate* signs: PSS for RSA, ECDSA by the size of the curve."""
    match certificate.public_key:
        case rsa.RSAPublicKey():
            return SignatureScheme.PSS_SHA256
        case ec.EllipticCurvePublicKey() as key if key.curve.name == "secp256r1":
            return SignatureScheme.ECDSA_SHA256
        case ec.EllipticCurvePublicKey() as key if key.curve.name == "secp384r1":
            return SignatureScheme.ECDSA_SHA384
        case ed25519.Ed25519PublicKey():
            return SignatureScheme.ED25519
        case _:
            raise UnsupportedAlgorithmError(certificate.key_name)


@dataclass(frozen=True, slots=True)
class _Form:
    """What does not change between the signatures of one certificate."""

    scheme: SignatureScheme
    digest: bytes
    signature_algorithm: bytes
    identifier: bytes
    attributes: tuple[bytes, ...]


@lru_cache(maxsize=256)
def _form(certificate: Certificate) -> _Form:
    scheme = scheme_for(certificate)
    digest = der.sequence(der.oid(digest_of(scheme)))
    signature_algorithm = _signature_algorithm(scheme)
    protection = der.sequence(
        digest, der.encode(der.context(1), der.parse(signature_algorithm).content)
    )
    return _Form(
        scheme=scheme,
        digest=digest,
        signature_algorithm=signature_algorithm,
        identifier=der.sequence(certificate.issuer_der, certificate.serial_der),
        attributes=(
            _attribute(algorithms.CONTENT_TYPE, der.oid(algorithms.DATA)),
            _attribute(algorithms.SIGNING_CERTIFICATE_V2, _signing_certificate(certificate)),
            _attribute(algorithms.SMIME_CAPABILITIES, _CAPABILITIES),
            _attribute(algorithms.CMS_ALGORITHM_PROTECTION, protection),
        ),
    )


def _attribute(oid: str, value: bytes) -> bytes:
    return der.sequence(der.oid(oid), der.encode(der.SET, value))


_CAPABILITIES: Final = der.sequence(
    *(der.sequence(der.oid(each)) for each in algorithms.PRODUCED_CAPABILITIES)
)


def _signing_certificate(certificate: Certificate) -> bytes:
    issuer = der.sequence(der.encode(der.context(4), certificate.issuer_der))
    identifier = der.sequence(  # SHA-256 is the default and therefore absent
        der.octet_string(bytes.fromhex(certificate.fingerprint)),
        der.sequence(issuer, certificate.serial_der),
    )
    return der.sequence(der.sequence(identifier))


def _signature_algorithm(scheme: SignatureScheme) -> bytes:
    if scheme is SignatureScheme.PSS_SHA256:
        digest = der.sequence(der.oid(algorithms.SHA256), der.null())
        parameters = der.sequence(
            der.encode(der.context(0), digest),
            der.encode(der.context(1), der.sequence(der.oid(algorithms.MGF1), digest)),
            der.encode(der.context(2), der.integer(32)),
        )
        return der.sequence(der.oid(algorithms.RSA_PSS), parameters)
    by_scheme = {value: oid for oid, value in algorithms.SIGNATURES.items()}
    return der.sequence(der.oid(by_scheme[scheme]))


# --- Checking --------------------------------------------------------------------------------


def verify(
    signed: cms.SignedData,
    *,
    digest: Callable[[str], bytes],
    candidates: Iterable[Certificate],
) -> tuple[Signer, ...]:
    """Prove that every signer's octets match, and say which certificates they name.

    Args:
        signed: The parsed structure.
        digest: Gives the digest of the content by the name of its algorithm.
        candidates: Certificates to look for signers in: those of the message and others.

    Raises:
        SignatureError: Not all signatures hold, or there is none, or the form is not sound.
        IndeterminateError: A signer's certificate is not among *candidates*.
    """
    if signed.content_type != algorithms.DATA:
        raise SignatureError("content-type-not-data")
    if not signed.signers:
        raise SignatureError("signer-missing")
    known = tuple(candidates)
    return tuple(_verify_signer(each, digest, known) for each in signed.signers)


def digests(content: bytes) -> Callable[[str], bytes]:
    """Return what gives the digest of *content* by name; each is computed once."""
    return cache(lambda name: hashlib.new(name, content).digest())


def content_of(signed: cms.SignedData, *, content: bytes | None) -> bytes:
    """Return the one content that is signed: detached or embedded, never both."""
    if content is not None and signed.content is not None:
        raise SignatureError("content-twice")
    found = signed.content if content is None else content
    if found is None:
        raise SignatureError("content-missing")
    return found


def _verify_signer(
    signer: cms.SignerInfo,
    digest_by_name: Callable[[str], bytes],
    candidates: tuple[Certificate, ...],
) -> Signer:
    scheme, salt_octets = _scheme(signer)
    attributes = _single_attributes(signer)
    if attributes.get(algorithms.CONTENT_TYPE) != der.oid(algorithms.DATA):
        raise SignatureError("content-type-attribute")
    name = algorithms.DIGEST_NAMES[signer.digest.oid]
    claimed = attributes.get(algorithms.MESSAGE_DIGEST)
    if claimed is None:
        raise SignatureError("message-digest-missing")
    digest = der.octet_string(digest_by_name(name))
    if not compare_digest(digest, claimed):
        raise SignatureError("content-changed")
    certificate = next((each for each in candidates if signer.identifier.matches(each)), None)
    if certificate is None:
        raise IndeterminateError("signer-certificate-missing")
    _check_algorithm_protection(signer, attributes.get(algorithms.CMS_ALGORITHM_PROTECTION))
    is_named = _check_signing_certificate(attributes, certificate)
    _check_signature(signer, scheme, salt_octets, certificate)
    findings = [
        finding
        for finding, holds in (
            ("attributes-not-sorted", not signer.is_sorted),
            ("signing-certificate-not-named", not is_named),
            ("signing-time-missing", algorithms.SIGNING_TIME not in attributes),
        )
        if holds
    ]
    return Signer(
        certificate=certificate,
        signed_at=_signing_time(attributes.get(algorithms.SIGNING_TIME)),
        algorithm=scheme,
        findings=tuple(findings),
        attributes=signer.attributes,
    )


def _single_attributes(signer: cms.SignerInfo) -> dict[str, bytes]:
    """Return the attributes on which we rely: each at most once, with exactly one value."""
    if not signer.attributes:
        # Without them, the attributes of another message could be passed off as content.
        raise SignatureError("signed-attributes-missing")
    found: dict[str, bytes] = {}
    for attribute in signer.attributes:
        if attribute.oid not in _SINGLE:
            continue
        if attribute.oid in found or len(attribute.values) != 1:
            raise SignatureError("attribute-repeated")
        found[attribute.oid] = attribute.values[0]
    return found


def _scheme(signer: cms.SignerInfo) -> tuple[SignatureScheme, int]:
    """Return the scheme and, for PSS, the length of its salt."""
    digest, algorithm = signer.digest.oid, signer.signature_algorithm
    if digest not in algorithms.DIGEST_NAMES:
        raise SignatureError("digest-refused")
    salt_octets = 0
    if algorithm.oid == algorithms.RSA:
        scheme = algorithms.RSA_BY_DIGEST[digest]
    elif algorithm.oid == algorithms.RSA_PSS:
        scheme, salt_octets = _read_pss(algorithm.parameters)
    elif algorithm.oid in algorithms.SIGNATURES:
        scheme = algorithms.SIGNATURES[algorithm.oid]
    else:
        raise SignatureError("signature-algorithm-refused")
    if scheme is not SignatureScheme.ED25519 and digest_of(scheme) != digest:
        raise SignatureError("digest-mismatch")
    return scheme, salt_octets


def _read_pss(parameters: bytes) -> tuple[SignatureScheme, int]:
    """Read RSASSA-PSS-params; every default is SHA-1 and therefore refused by absence."""
    try:
        fields = der.Fields(der.parse(parameters))
        digest = cms.parse_algorithm(fields.take(der.context(0)).content)
        mask = cms.parse_algorithm(fields.take(der.context(1)).content)
        inner = cms.parse_algorithm(mask.parameters)
        salt = fields.find(der.context(2))
        salt_octets = 20 if salt is None else der.read_integer(salt.children()[0])
        trailer = fields.find(der.context(3))
        fields.finish()
        is_usual_trailer = trailer is None or der.read_integer(trailer.children()[0]) == 1
    except (der.DerSyntaxError, CmsSyntaxError, IndexError) as error:
        raise SignatureError("pss-parameters") from error
    if mask.oid != algorithms.MGF1 or inner.oid != digest.oid or not is_usual_trailer:
        raise SignatureError("pss-parameters")
    if digest.oid not in algorithms.PSS_BY_DIGEST or not 0 <= salt_octets <= 1024:
        raise SignatureError("pss-parameters")
    return algorithms.PSS_BY_DIGEST[digest.oid], salt_octets


def _check_algorithm_protection(signer: cms.SignerInfo, value: bytes | None) -> None:
    if value is None:
        return
    try:
        fields = der.Fields(der.parse(value))
        digest = cms.read_algorithm(fields.take(der.SEQUENCE))
        signature = fields.take(der.context(1)).content
        fields.finish()
    except der.DerSyntaxError as error:
        raise SignatureError("algorithm-protection") from error
    used = der.normalised(der.parse(signer.signature_algorithm.raw))
    if digest.oid != signer.digest.oid or der.sequence(signature) != used:
        raise SignatureError("algorithm-protection")


def _check_signing_certificate(attributes: dict[str, bytes], certificate: Certificate) -> bool:
    """Refuse a signature made for another certificate; say whether one was named."""
    second = attributes.get(algorithms.SIGNING_CERTIFICATE_V2)
    first = attributes.get(algorithms.SIGNING_CERTIFICATE)
    try:
        if second is not None and not _names(second, certificate):
            raise SignatureError("signing-certificate-mismatch")
        if first is not None:
            # SHA-1 here can only make us refuse: the signature is checked in any case.
            digest = hashlib.sha1(certificate.der, usedforsecurity=False).digest()
            if der.Fields(_first_identifier(first)).take().content != digest:
                raise SignatureError("signing-certificate-mismatch")
    except (der.DerSyntaxError, CmsSyntaxError, IndexError) as error:
        raise SignatureError("signing-certificate") from error
    return not (first is None and second is None)


def _first_identifier(value: bytes) -> der.Element:
    """Return the first ESSCertID: that of the signer (RFC 5035, 5.4.1.1)."""
    return der.Fields(der.parse(value)).take(der.SEQUENCE).children()[0]


def _names(value: bytes, certificate: Certificate) -> bool:
    fields = der.Fields(_first_identifier(value))
    given = fields.find(der.SEQUENCE)
    oid = algorithms.SHA256 if given is None else cms.read_algorithm(given).oid
    if oid not in algorithms.DIGEST_NAMES:
        raise SignatureError("digest-refused")
    digest = hashlib.new(algorithms.DIGEST_NAMES[oid], certificate.der).digest()
    return compare_digest(der.read_octets(fields.take()), digest)


def _signing_time(value: bytes | None) -> datetime | None:
    if value is None:
        return None
    try:
        return der.read_time(der.parse(value))
    except der.DerSyntaxError as error:
        raise SignatureError("signing-time") from error


def _check_signature(
    signer: cms.SignerInfo, scheme: SignatureScheme, salt_octets: int, certificate: Certificate
) -> None:
    """Check the signature over the attributes as DER orders them, else in the order that came.

    RFC 5652, 5.4 asks for the first; node-forge signs the second, which OpenSSL and NSS verify. It
    is the same set of attributes, so neither says anything that the other does not.
    """
    try:
        _check_signed_octets(signer.tbs, signer.signature, scheme, salt_octets, certificate)
    except InvalidSignature as error:
        if signer.tbs_as_written == signer.tbs:
            raise SignatureError("signature-wrong") from error
    else:
        return
    try:
        _check_signed_octets(
            signer.tbs_as_written, signer.signature, scheme, salt_octets, certificate
        )
    except InvalidSignature as error:
        raise SignatureError("signature-wrong") from error


def _check_signed_octets(
    octets: bytes,
    signature: bytes,
    scheme: SignatureScheme,
    salt_octets: int,
    certificate: Certificate,
) -> None:
    digest = hash_of(digest_of(scheme))
    try:
        match certificate.public_key:
            case ed25519.Ed25519PublicKey() as key if scheme is SignatureScheme.ED25519:
                key.verify(signature, octets)
            case ec.EllipticCurvePublicKey() as key if scheme.name.startswith("ECDSA"):
                key.verify(signature, octets, ec.ECDSA(digest))
            case rsa.RSAPublicKey() as key if scheme.name.startswith(("PSS", "RSA")):
                _check_rsa_size(key)
                form: padding.AsymmetricPadding = padding.PKCS1v15()
                if scheme.name.startswith("PSS"):
                    form = padding.PSS(mgf=padding.MGF1(digest), salt_length=salt_octets)
                key.verify(signature, octets, form, digest)
            case _:
                raise SignatureError("key-of-another-kind")
    except (UnsupportedAlgorithm, ValueError) as error:
        raise SignatureError("signature-wrong") from error


def _check_rsa_size(key: rsa.RSAPublicKey) -> None:
    if not algorithms.MIN_RSA_BITS <= key.key_size <= algorithms.MAX_RSA_BITS:
        raise SignatureError("weak-key")
