"""Recover the content key of a message with a key of ours.

What anybody can see in the message (an algorithm that we refuse, parameters that make no sense) is
refused with its reason before a key is used. From then on there is one way through, right or wrong:
whatever fails yields a random key of the right size, and the failure is told only after the content
was decrypted with it. So neither the answer nor the time it takes says which step failed.

Errors
    `NoMatchingKeyError` when none of our certificates is named; `UnsupportedAlgorithmError` and
    `CmsSyntaxError` for what is refused by its form. Nothing once a key was used.
Sources
    RFC 5652, 6.2; RFC 5753 and RFC 8418 (key agreement); RFC 3560 (OAEP); RFC 9629 (key
    encapsulation); RFC 3218 (wrong PKCS #1 padding).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hmac import compare_digest
from os import urandom
from typing import Final, assert_never

from cryptography.hazmat.primitives.asymmetric import ec, mlkem, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from crypto import algorithms, der
from crypto.algorithms import KeyTransport
from crypto.certificates import Certificate
from crypto.cms_parts import Algorithm, parse_algorithm, read_algorithm
from crypto.cms_recipients import KemRecipient, KeyAgreeRecipient, KeyTransRecipient, Recipient
from crypto.errors import (
    CmsSyntaxError,
    DecryptionError,
    NoMatchingKeyError,
    UnsupportedAlgorithmError,
)
from crypto.key_derivation import agreed_key, encapsulated_key
from crypto.ports import KeyHolder

MAX_REPEATED: Final = 4  # how often one certificate may be named; honest software does so twice


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentKey:
    """A content key, or a random one in its place.

    Attributes:
        certificate: Ours, as named in the message.
        algorithm: How the key was managed, for people.
        has_failed: The key is random; say so after the content was decrypted with it.
        findings: Kebab-case remarks.
    """

    octets: bytes = field(repr=False)
    certificate: Certificate
    algorithm: str
    has_failed: bool
    findings: tuple[str, ...] = ()


def recover_content_key(
    recipients: Sequence[Recipient], *, keys: KeyHolder, size: int
) -> ContentKey:
    """Recover a key of *size* octets with the first of our certificates that is named.

    If the form of its entry is refused, the next certificate of ours is tried. An entry that comes
    twice (mailboxes of one structure share a certificate) must hold the same key each time.
    """
    refusal: UnsupportedAlgorithmError | CmsSyntaxError | None = None
    for certificate, named in _ours(recipients, keys.certificates).items():
        try:
            return _recover_all(named, certificate, keys, size)
        except (UnsupportedAlgorithmError, CmsSyntaxError) as error:
            refusal = refusal or error
    if refusal is None:
        raise NoMatchingKeyError
    raise refusal


def _ours(
    recipients: Sequence[Recipient], certificates: Sequence[Certificate]
) -> dict[Certificate, list[Recipient]]:
    found: dict[Certificate, list[Recipient]] = {}
    for recipient in recipients:
        for certificate in certificates:
            if recipient.identifier.matches(certificate):
                found.setdefault(certificate, []).append(recipient)
    return found


def _recover_all(
    named: Sequence[Recipient], certificate: Certificate, keys: KeyHolder, size: int
) -> ContentKey:
    if len(named) > MAX_REPEATED:
        raise CmsSyntaxError("recipient-repeated")
    first, *others = (_recover(each, certificate, keys, size) for each in named)
    if not others:
        return first
    is_same = all(compare_digest(each.octets, first.octets) for each in others)
    findings = ("recipient-repeated", *first.findings)
    if is_same and not first.has_failed:
        return replace(first, findings=findings)
    return replace(first, octets=urandom(size), has_failed=True, findings=findings)


def _recover(
    recipient: Recipient, certificate: Certificate, keys: KeyHolder, size: int
) -> ContentKey:
    match recipient:
        case KeyTransRecipient():
            return _transported(recipient, certificate, keys, size)
        case KeyAgreeRecipient():
            return _agreed(recipient, certificate, keys, size)
        case KemRecipient():
            return _encapsulated(recipient, certificate, keys, size)
        case _:
            assert_never(recipient)


def _unwrapped(wrapping_key: bytes, encrypted_key: bytes, size: int) -> bytes:
    """Return the content key, or raise `InvalidUnwrap` or `ValueError`."""
    content_key = aes_key_unwrap(wrapping_key, encrypted_key)
    if len(content_key) != size:
        raise InvalidUnwrap
    return content_key


def _wrap_size(wrap: Algorithm) -> int:
    """Return the size of the key that the AES key wrap takes; its parameters must be absent."""
    size = algorithms.KEY_WRAPS.get(wrap.oid)
    if size is None:
        reason = "weak-cipher" if wrap.oid in algorithms.WEAK_CIPHERS else "key-wrap"
        raise UnsupportedAlgorithmError(wrap.oid, reason=reason)
    if wrap.parameters not in {b"", der.null()}:
        raise CmsSyntaxError("key-wrap-parameters")
    return size


# --- Key transport ---------------------------------------------------------------------------


def _transported(
    recipient: KeyTransRecipient, certificate: Certificate, keys: KeyHolder, size: int
) -> ContentKey:
    scheme = _transport(recipient.algorithm)
    if not isinstance(certificate.public_key, rsa.RSAPublicKey):
        raise CmsSyntaxError("recipient-key-mismatch")
    substitute = urandom(size)
    failed = ContentKey(
        octets=substitute, certificate=certificate, algorithm=scheme, has_failed=True
    )
    try:
        content_key = keys.unwrap(certificate, recipient.encrypted_key, scheme)
    except DecryptionError:
        return failed
    if len(content_key) != size:
        # After PKCS #1 v1.5 a wrong length looks like any other wrong key (RFC 3218, 2.3.2):
        # whether garbage comes out or an error is then left to chance, exactly as for one.
        return replace(failed, has_failed=scheme is not KeyTransport.PKCS1)
    findings = _LEGACY_FINDINGS.get(scheme, ())
    return replace(failed, octets=content_key, has_failed=False, findings=findings)


_LEGACY_FINDINGS: Final = {
    KeyTransport.PKCS1: ("legacy-rsa-pkcs1",),
    KeyTransport.OAEP_SHA1: ("legacy-oaep-sha1",),
    KeyTransport.OAEP_SHA256_MGF1_SHA1: ("legacy-oaep-sha1",),
}
_OAEP_BY_DIGESTS: Final = {
    (algorithms.SHA256, algorithms.SHA256): KeyTransport.OAEP_SHA256,
    (algorithms.SHA384, algorithms.SHA384): KeyTransport.OAEP_SHA384,
    (algorithms.SHA512, algorithms.SHA512): KeyTransport.OAEP_SHA512,
    (algorithms.SHA1, algorithms.SHA1): KeyTransport.OAEP_SHA1,
    (algorithms.SHA256, algorithms.SHA1): KeyTransport.OAEP_SHA256_MGF1_SHA1,
}
"""By the hash and the hash of the mask."""


def _transport(algorithm: Algorithm) -> KeyTransport:
    if algorithm.oid == algorithms.RSA:
        return KeyTransport.PKCS1
    if algorithm.oid != algorithms.RSA_OAEP:
        raise UnsupportedAlgorithmError(algorithm.oid, reason="key-transport")
    try:
        scheme = _OAEP_BY_DIGESTS.get(_read_oaep(algorithm.parameters))
    except (der.DerSyntaxError, IndexError) as error:
        raise CmsSyntaxError("oaep-parameters") from error
    if scheme is None:
        raise UnsupportedAlgorithmError(algorithm.oid, reason="oaep-digest")
    return scheme


def _read_oaep(parameters: bytes) -> tuple[str, str]:
    """Return the hash and the hash of the mask; both default to SHA-1. Labels are refused."""
    if not parameters:
        return algorithms.SHA1, algorithms.SHA1
    fields = der.Fields(der.parse(parameters))
    digest = mask = algorithms.SHA1
    given = fields.find(der.context(0))
    if given is not None:
        digest = read_algorithm(given.children()[0]).oid
    given = fields.find(der.context(1))
    if given is not None:
        generator = read_algorithm(given.children()[0])
        if generator.oid != algorithms.MGF1:
            raise UnsupportedAlgorithmError(generator.oid, reason="oaep-mask")
        mask = parse_algorithm(generator.parameters).oid
    label = fields.find(der.context(2))
    if label is not None and read_algorithm(label.children()[0]).parameters != b"\x04\x00":
        raise UnsupportedAlgorithmError(algorithms.P_SPECIFIED, reason="oaep-label")
    fields.finish()
    return digest, mask


# --- Key agreement ---------------------------------------------------------------------------


def _agreed(
    recipient: KeyAgreeRecipient, certificate: Certificate, keys: KeyHolder, size: int
) -> ContentKey:
    agreement = algorithms.KEY_AGREEMENTS.get(recipient.algorithm.oid)
    if agreement is None:
        raise UnsupportedAlgorithmError(recipient.algorithm.oid, reason="key-agreement")
    wrap = parse_algorithm(recipient.algorithm.parameters)
    wrap_size = _wrap_size(wrap)
    _check_originator(recipient.originator_algorithm, certificate.public_key)
    failed = ContentKey(
        octets=urandom(size), certificate=certificate, algorithm=agreement.name, has_failed=True
    )
    try:
        secret = keys.agree(certificate, recipient.originator)
        wrapping_key = agreed_key(
            agreement,
            secret,
            wrap=wrap.raw,  # as received: whether NULL is there changes the key
            size=wrap_size,
            material=recipient.user_keying_material,
        )
        content_key = _unwrapped(wrapping_key, recipient.encrypted_key, size)
    except (DecryptionError, InvalidUnwrap, ValueError):
        return failed
    findings = ("legacy-sha1kdf",) if agreement.legacy else ()
    return replace(failed, octets=content_key, has_failed=False, findings=findings)


def _check_originator(algorithm: Algorithm | None, ours: CertificatePublicKeyTypes) -> None:
    """Refuse a one-time key that says itself that it does not go with ours."""
    if algorithm is None:  # the originator's certified key, so no secret is fresh
        raise CmsSyntaxError("originator-not-one-time")
    match ours:
        case ec.EllipticCurvePublicKey():
            if algorithm.oid not in {algorithms.EC_PUBLIC_KEY, algorithms.EC_DH_KEY}:
                raise UnsupportedAlgorithmError(algorithm.oid, reason="originator-key")
            if algorithm.parameters not in {b"", der.null(), _CURVE_OIDS.get(ours.curve.name)}:
                raise CmsSyntaxError("originator-curve")
        case x25519.X25519PublicKey():
            if algorithm.oid != algorithms.X25519 or algorithm.parameters:
                raise UnsupportedAlgorithmError(algorithm.oid, reason="originator-key")
        case _:
            raise CmsSyntaxError("recipient-key-mismatch")


_CURVE_OIDS: Final = {name: der.oid(dotted) for dotted, name in algorithms.CURVES.items()}


# --- Key encapsulation -----------------------------------------------------------------------


def _encapsulated(
    recipient: KemRecipient, certificate: Certificate, keys: KeyHolder, size: int
) -> ContentKey:
    mechanism = algorithms.ENCAPSULATIONS.get(recipient.algorithm.oid)
    if mechanism is None:
        raise UnsupportedAlgorithmError(recipient.algorithm.oid, reason="key-encapsulation")
    if not isinstance(certificate.public_key, _KEM_KEYS[mechanism.oid]):
        raise CmsSyntaxError("recipient-key-mismatch")
    _check_encapsulation(recipient, mechanism)
    failed = ContentKey(
        octets=urandom(size), certificate=certificate, algorithm=mechanism.name, has_failed=True
    )
    try:
        secret = keys.agree(certificate, recipient.encapsulated)
        wrapping_key = unwrapping_key(recipient, secret)
        content_key = _unwrapped(wrapping_key, recipient.encrypted_key, size)
    except (DecryptionError, InvalidUnwrap, ValueError):
        return failed
    return replace(failed, octets=content_key, has_failed=False)


_KEM_KEYS: Final = {
    algorithms.ML_KEM_768: mlkem.MLKEM768PublicKey,
    algorithms.ML_KEM_1024: mlkem.MLKEM1024PublicKey,
}


def _check_encapsulation(recipient: KemRecipient, mechanism: algorithms.Encapsulation) -> None:
    if recipient.algorithm.parameters:  # RFC 9936, 3: absent
        raise CmsSyntaxError("kem-parameters")
    if len(recipient.encapsulated) != mechanism.ciphertext_octets:
        raise CmsSyntaxError("kem-ciphertext-length")
    if recipient.derivation.oid not in algorithms.DERIVATIONS:
        raise UnsupportedAlgorithmError(recipient.derivation.oid, reason="key-derivation")
    if recipient.derivation.parameters:  # RFC 8619, 2: absent
        raise CmsSyntaxError("key-derivation-parameters")
    if recipient.key_octets != _wrap_size(recipient.wrap):
        raise CmsSyntaxError("kem-key-length")


def unwrapping_key(recipient: KemRecipient, secret: bytes) -> bytes:
    """Return the key-encryption key for what was encapsulated."""
    return encapsulated_key(
        algorithms.DERIVATIONS[recipient.derivation.oid],
        secret,
        wrap=recipient.wrap.raw,
        size=recipient.key_octets,
        material=recipient.user_keying_material,
    )
