"""Wrap a content key for each recipient, as each of them can read it.

A message has one content cipher, the strongest that *all* can read, but each recipient's key is
managed in its own way. Recipients of ML-KEM stand alone: beside a classical recipient they would
protect nothing, since either key opens the message (see `crypto.kem`).

Errors
    `KeyUnavailableError` when there is no recipient, too many, or a certificate not for encryption;
    `UnsupportedAlgorithmError` for a key of a kind or size that we do not use.
Sources
    RFC 5652, 6.1 and 6.2; RFC 3560 (OAEP); RFC 5753 (EC); RFC 8418 (X25519, HKDF); RFC 9629 and
    RFC 9936 (ML-KEM); RFC 9935, 5 (usage of ML-KEM certificates).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from os import urandom
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, mlkem, rsa, x25519
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crypto import algorithms, der
from crypto.algorithms import KeyTransport
from crypto.certificates import Certificate
from crypto.cms_recipients import MAX_RECIPIENTS
from crypto.errors import KeyUnavailableError, UnsupportedAlgorithmError
from crypto.key_derivation import agreed_key, encapsulated_key
from crypto.keys import transport_padding

KEYING_MATERIAL_OCTETS: Final = 32  # some readers (pkijs) need it to be there
WRAPPING_KEY_OCTETS: Final = 32


class EnvelopeProfile(StrEnum):
    """How to encrypt.

    MODERN is authenticated by itself. COMPATIBLE is not: sign first, always. LEGACY is COMPATIBLE
    with the old RSA padding, for recipients that can read nothing else.
    """

    MODERN = "modern"
    COMPATIBLE = "compatible"
    LEGACY = "legacy"


_BY_STRENGTH: Final = (EnvelopeProfile.LEGACY, EnvelopeProfile.COMPATIBLE, EnvelopeProfile.MODERN)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientPlan:
    """A certificate to encrypt for, and what its owner is known to read."""

    certificate: Certificate
    profile: EnvelopeProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientInfos:
    """The recipients of one message, ready to be written.

    Attributes:
        encoded: The SET OF RecipientInfo.
        version: What an EnvelopedData with these recipients states.
    """

    encoded: bytes = field(repr=False)
    version: int


def profile_for(recipients: Iterable[Certificate]) -> EnvelopeProfile:
    """Return MODERN if every certificate announces that it can be read, else COMPATIBLE."""
    is_modern = all(_announced(each) is EnvelopeProfile.MODERN for each in recipients)
    return EnvelopeProfile.MODERN if is_modern else EnvelopeProfile.COMPATIBLE


def plan_recipients(
    recipients: Iterable[Certificate | RecipientPlan], *, profile: EnvelopeProfile | None = None
) -> tuple[RecipientPlan, ...]:
    """Say for each certificate, once, how it is encrypted for.

    Args:
        recipients: Certificates, and plans for those of whom more is known. A certificate that
            comes twice gets the weaker of its profiles: one of its users reads no better.
        profile: For plain certificates; by default what each announces.
    """
    planned: dict[Certificate, EnvelopeProfile] = {}
    for each in recipients:
        if isinstance(each, RecipientPlan):
            certificate, chosen = each.certificate, each.profile
        else:
            certificate, chosen = each, profile or _announced(each)
        planned[certificate] = _weakest((planned.get(certificate, chosen), chosen))
    return tuple(
        RecipientPlan(certificate=certificate, profile=chosen)
        for certificate, chosen in planned.items()
    )


def content_profile(plans: Iterable[RecipientPlan]) -> EnvelopeProfile:
    """Return the strongest profile whose content every recipient can read."""
    weakest = _weakest(each.profile for each in plans)
    return weakest if weakest is EnvelopeProfile.MODERN else EnvelopeProfile.COMPATIBLE


def is_post_quantum(certificate: Certificate) -> bool:
    """Say whether the key of *certificate* is for ML-KEM."""
    return isinstance(certificate.public_key, _ML_KEM_KEYS)


def build_recipient_infos(plans: Sequence[RecipientPlan], content_key: bytes) -> RecipientInfos:
    """Wrap *content_key* for each of *plans*: one RecipientInfo for each certificate."""
    if not 1 <= len(plans) <= MAX_RECIPIENTS:
        raise KeyUnavailableError("recipient-count")
    if len({is_post_quantum(each.certificate) for each in plans}) > 1:
        raise KeyUnavailableError("post-quantum-beside-classical")
    infos = [_recipient_info(each, content_key) for each in plans]
    return RecipientInfos(encoded=der.set_of(infos), version=_version(infos))


def _version(infos: Sequence[bytes]) -> int:
    """RFC 5652, 6.1: the highest that a kind of recipient asks for."""
    if any(info[0] == der.context(4) for info in infos):
        return 3
    return 0 if all(info[0] == der.SEQUENCE for info in infos) else 2


def _announced(certificate: Certificate) -> EnvelopeProfile:
    """Say what a certificate announces of its owner; who has ML-KEM knows AES-GCM."""
    is_modern = algorithms.AES256_GCM in certificate.smime_capabilities
    if is_modern or is_post_quantum(certificate):
        return EnvelopeProfile.MODERN
    return EnvelopeProfile.COMPATIBLE


def _weakest(profiles: Iterable[EnvelopeProfile]) -> EnvelopeProfile:
    return min(profiles, key=_BY_STRENGTH.index, default=EnvelopeProfile.MODERN)


def _recipient_info(plan: RecipientPlan, content_key: bytes) -> bytes:
    certificate = plan.certificate
    match certificate.public_key:
        case rsa.RSAPublicKey() as key:
            if not algorithms.MIN_RSA_BITS <= key.key_size <= algorithms.MAX_RSA_BITS:
                raise UnsupportedAlgorithmError(certificate.key_name, reason="recipient-key-size")
            _check_usage(certificate, "keyEncipherment")
            return _key_trans(plan, key, content_key)
        case ec.EllipticCurvePublicKey() as key if key.curve.name in _CURVE_SCHEMES:
            _check_usage(certificate, "keyAgreement")
            return _key_agree_ec(certificate, key, content_key)
        case x25519.X25519PublicKey() as key:
            _check_usage(certificate, "keyAgreement")
            return _key_agree_x25519(certificate, key, content_key)
        case mlkem.MLKEM768PublicKey() | mlkem.MLKEM1024PublicKey() as key:
            _check_usage(certificate, "keyEncipherment")
            return _kem(certificate, key, content_key)
        case _:
            raise UnsupportedAlgorithmError(certificate.key_name, reason="recipient-key")


def _check_usage(certificate: Certificate, usage: str) -> None:
    if not certificate.allows(usage):
        raise KeyUnavailableError("recipient-key-usage")


def _named(certificate: Certificate) -> bytes:
    return der.sequence(certificate.issuer_der, certificate.serial_der)


# --- RSA -------------------------------------------------------------------------------------


def _key_trans(plan: RecipientPlan, key: rsa.RSAPublicKey, content_key: bytes) -> bytes:
    if plan.profile is EnvelopeProfile.LEGACY:
        scheme, algorithm = KeyTransport.PKCS1, der.sequence(der.oid(algorithms.RSA), der.null())
    else:
        scheme, algorithm = KeyTransport.OAEP_SHA256, _OAEP_SHA256
    return der.sequence(
        der.integer(0),
        _named(plan.certificate),
        algorithm,
        der.octet_string(key.encrypt(content_key, transport_padding(scheme))),
    )


def _oaep_sha256() -> bytes:
    digest = der.sequence(der.oid(algorithms.SHA256), der.null())
    mask = der.sequence(der.oid(algorithms.MGF1), digest)
    parameters = der.sequence(der.encode(der.context(0), digest), der.encode(der.context(1), mask))
    return der.sequence(der.oid(algorithms.RSA_OAEP), parameters)


_OAEP_SHA256: Final = _oaep_sha256()


# --- Key agreement ---------------------------------------------------------------------------

_CURVE_SCHEMES: Final = {
    "secp256r1": algorithms.ECDH_SHA256_KDF,
    "secp384r1": algorithms.ECDH_SHA384_KDF,
    "secp521r1": algorithms.ECDH_SHA512_KDF,
}
_AES256_WRAP: Final = der.sequence(der.oid(algorithms.AES256_WRAP))


def _key_agree_ec(
    certificate: Certificate, key: ec.EllipticCurvePublicKey, content_key: bytes
) -> bytes:
    one_time = ec.generate_private_key(key.curve)
    point = one_time.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return _key_agree(
        certificate,
        scheme=_CURVE_SCHEMES[key.curve.name],
        # RFC 5753, 3.1.1: the curve is that of the recipient, so parameters may be absent.
        originator=der.sequence(der.oid(algorithms.EC_PUBLIC_KEY)) + der.bit_string(point),
        secret=one_time.exchange(ec.ECDH(), key),
        content_key=content_key,
    )


def _key_agree_x25519(
    certificate: Certificate, key: x25519.X25519PublicKey, content_key: bytes
) -> bytes:
    one_time = x25519.X25519PrivateKey.generate()
    public = one_time.public_key().public_bytes_raw()
    try:
        secret = one_time.exchange(key)
    except ValueError as error:  # a point of small order gives everybody the same secret
        raise UnsupportedAlgorithmError("x25519", reason="recipient-key-order") from error
    return _key_agree(
        certificate,
        scheme=algorithms.ECDH_HKDF_SHA256,
        originator=der.sequence(der.oid(algorithms.X25519)) + der.bit_string(public),
        secret=secret,
        content_key=content_key,
    )


def _key_agree(
    certificate: Certificate, *, scheme: str, originator: bytes, secret: bytes, content_key: bytes
) -> bytes:
    material = urandom(KEYING_MATERIAL_OCTETS)
    wrapping_key = agreed_key(
        algorithms.KEY_AGREEMENTS[scheme],
        secret,
        wrap=_AES256_WRAP,
        size=WRAPPING_KEY_OCTETS,
        material=material,
    )
    recipient = der.sequence(
        _named(certificate), der.octet_string(aes_key_wrap(wrapping_key, content_key))
    )
    return der.encode(
        der.context(1),
        der.integer(3),
        der.encode(der.context(0), der.encode(der.context(1), originator)),
        der.encode(der.context(1), der.octet_string(material)),
        der.sequence(der.oid(scheme), _AES256_WRAP),
        der.sequence(recipient),
    )


# --- Key encapsulation -----------------------------------------------------------------------

_ML_KEM_KEYS: Final = (mlkem.MLKEM768PublicKey, mlkem.MLKEM1024PublicKey)


def _kem(
    certificate: Certificate,
    key: mlkem.MLKEM768PublicKey | mlkem.MLKEM1024PublicKey,
    content_key: bytes,
) -> bytes:
    is_768 = isinstance(key, mlkem.MLKEM768PublicKey)
    secret, encapsulated = key.encapsulate()
    digest = algorithms.DERIVATIONS[algorithms.HKDF_SHA256]
    wrapping_key = encapsulated_key(
        digest, secret, wrap=_AES256_WRAP, size=WRAPPING_KEY_OCTETS, material=None
    )
    return der.encode(
        der.context(4),
        der.oid(algorithms.KEM_RECIPIENT),
        der.sequence(
            der.integer(0),
            _named(certificate),
            der.sequence(der.oid(algorithms.ML_KEM_768 if is_768 else algorithms.ML_KEM_1024)),
            der.octet_string(encapsulated),
            der.sequence(der.oid(algorithms.HKDF_SHA256)),
            der.integer(WRAPPING_KEY_OCTETS),
            _AES256_WRAP,
            der.octet_string(aes_key_wrap(wrapping_key, content_key)),
        ),
    )
