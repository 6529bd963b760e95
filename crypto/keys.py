"""Private keys in the memory of this process: make, read, write and use them.

Errors
    `KeySyntaxError` for octets that are no usable key, a wrong password, or a key that does not
    belong to the certificate. `KeyUnavailableError` when a certificate is not ours.
    `DecryptionError` when a content key cannot be recovered, whatever the cause.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final
from warnings import catch_warnings, simplefilter

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mlkem, padding, rsa, x25519
from cryptography.hazmat.primitives.serialization import pkcs12

from crypto.algorithms import MIN_RSA_BITS, KeyTransport, SignatureScheme, digest_of, hash_of
from crypto.certificates import Certificate, parse_certificate, parse_certificates
from crypto.errors import (
    DecryptionError,
    KeySyntaxError,
    KeyUnavailableError,
    UnsupportedAlgorithmError,
)
from crypto.ports import KeyHolder

MAX_KEY_OCTETS: Final = 64 * 1024

PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | x25519.X25519PrivateKey
    | mlkem.MLKEM768PrivateKey
    | mlkem.MLKEM1024PrivateKey
)
_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
_ML_KEM: Final = (mlkem.MLKEM768PrivateKey, mlkem.MLKEM1024PrivateKey)
_PKCS1_SCHEMES: Final = (
    SignatureScheme.RSA_SHA256,
    SignatureScheme.RSA_SHA384,
    SignatureScheme.RSA_SHA512,
)
_OAEP_HASHES: Final[dict[KeyTransport, hashes.HashAlgorithm]] = {
    KeyTransport.OAEP_SHA256: hashes.SHA256(),
    KeyTransport.OAEP_SHA384: hashes.SHA384(),
    KeyTransport.OAEP_SHA512: hashes.SHA512(),
    KeyTransport.OAEP_SHA1: hashes.SHA1(),  # noqa: S303 (inside OAEP only; legacy, read only)
}


class SoftwareKeyHolder:
    """A `KeyHolder` whose keys live in memory.

    Args:
        pairs: Each certificate with its key, the ones in use first.
    """

    def __init__(self, pairs: Sequence[tuple[Certificate, PrivateKey]]) -> None:
        for certificate, key in pairs:
            _check_pair(certificate, key)
        self._keys = {certificate.fingerprint: key for certificate, key in pairs}
        self._certificates = tuple(dict.fromkeys(certificate for certificate, _ in pairs))

    def __repr__(self) -> str:
        return f"SoftwareKeyHolder({[each.fingerprint[:16] for each in self._certificates]})"

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """Certificates whose key is held, the ones in use first."""
        return self._certificates

    def with_older(self, other: "SoftwareKeyHolder") -> "SoftwareKeyHolder":
        """Return a holder that also has the keys of *other*, after its own."""
        both = (*self._certificates, *other.certificates)
        keys = other._keys | self._keys  # noqa: SLF001 (same class)
        return SoftwareKeyHolder([(each, keys[each.fingerprint]) for each in both])

    def sign(self, certificate: Certificate, tbs: bytes, scheme: SignatureScheme) -> bytes:
        """Return the signature of *tbs* with the key of *certificate*."""
        key = self._key(certificate)
        if isinstance(key, ed25519.Ed25519PrivateKey) and scheme is SignatureScheme.ED25519:
            return key.sign(tbs)
        digest = hash_of(digest_of(scheme))
        if isinstance(key, ec.EllipticCurvePrivateKey) and scheme.name.startswith("ECDSA"):
            return key.sign(tbs, ec.ECDSA(digest))
        if isinstance(key, rsa.RSAPrivateKey) and scheme in _PKCS1_SCHEMES:
            return key.sign(tbs, padding.PKCS1v15(), digest)
        if isinstance(key, rsa.RSAPrivateKey) and scheme.name.startswith("PSS"):
            pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
            return key.sign(tbs, pss, digest)
        raise UnsupportedAlgorithmError(scheme.value)

    def unwrap(self, certificate: Certificate, ciphertext: bytes, scheme: KeyTransport) -> bytes:
        """Return the content key inside *ciphertext*."""
        key = self._key(certificate)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise DecryptionError
        try:
            return key.decrypt(ciphertext, transport_padding(scheme))
        except ValueError:
            raise DecryptionError from None

    def agree(self, certificate: Certificate, peer_public: bytes) -> bytes:
        """Return the shared secret with the peer's raw public key, or inside its ciphertext."""
        key = self._key(certificate)
        try:
            if isinstance(key, ec.EllipticCurvePrivateKey):
                peer = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, peer_public)
                return key.exchange(ec.ECDH(), peer)
            if isinstance(key, x25519.X25519PrivateKey):
                return key.exchange(x25519.X25519PublicKey.from_public_bytes(peer_public))
            if isinstance(key, _ML_KEM):
                return key.decapsulate(peer_public)
        except ValueError:
            raise DecryptionError from None
        raise DecryptionError

    def _key(self, certificate: Certificate) -> PrivateKey:
        try:
            return self._keys[certificate.fingerprint]
        except KeyError:
            raise KeyUnavailableError("not-held") from None


class CombinedKeyHolder:
    """A `KeyHolder` that asks others, each for the certificates whose keys it holds.

    Args:
        holders: Those with the keys in use first.
    """

    def __init__(self, holders: Sequence[KeyHolder]) -> None:
        self._by_fingerprint: dict[str, KeyHolder] = {}
        for holder in holders:
            for each in holder.certificates:
                self._by_fingerprint.setdefault(each.fingerprint, holder)
        found = (each for holder in holders for each in holder.certificates)
        self._certificates = tuple(dict.fromkeys(found))

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """Certificates whose key is held, the ones in use first."""
        return self._certificates

    def sign(self, certificate: Certificate, tbs: bytes, scheme: SignatureScheme) -> bytes:
        """Return the signature of *tbs* with the key of *certificate*."""
        return self._holder(certificate).sign(certificate, tbs, scheme)

    def unwrap(self, certificate: Certificate, ciphertext: bytes, scheme: KeyTransport) -> bytes:
        """Return the content key inside *ciphertext*."""
        return self._holder(certificate).unwrap(certificate, ciphertext, scheme)

    def agree(self, certificate: Certificate, peer_public: bytes) -> bytes:
        """Return the shared secret with the peer."""
        return self._holder(certificate).agree(certificate, peer_public)

    def _holder(self, certificate: Certificate) -> KeyHolder:
        try:
            return self._by_fingerprint[certificate.fingerprint]
        except KeyError:
            raise KeyUnavailableError("not-held") from None


def transport_padding(scheme: KeyTransport) -> padding.AsymmetricPadding:
    """Return the RSA padding that *scheme* stands for; no label."""
    if scheme is KeyTransport.PKCS1:
        return padding.PKCS1v15()
    if scheme is KeyTransport.OAEP_SHA256_MGF1_SHA1:
        mask = _OAEP_HASHES[KeyTransport.OAEP_SHA1]
        return padding.OAEP(mgf=padding.MGF1(mask), algorithm=hashes.SHA256(), label=None)
    digest = _OAEP_HASHES[scheme]
    return padding.OAEP(mgf=padding.MGF1(digest), algorithm=digest, label=None)


_GENERATORS: Final[dict[str, Callable[[], PrivateKey]]] = {
    "p256": partial(ec.generate_private_key, ec.SECP256R1()),
    "p384": partial(ec.generate_private_key, ec.SECP384R1()),
    "p521": partial(ec.generate_private_key, ec.SECP521R1()),
    "rsa2048": partial(rsa.generate_private_key, 65537, 2048),
    "rsa3072": partial(rsa.generate_private_key, 65537, 3072),
    "rsa4096": partial(rsa.generate_private_key, 65537, 4096),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "x25519": x25519.X25519PrivateKey.generate,
    "mlkem768": mlkem.MLKEM768PrivateKey.generate,
    "mlkem1024": mlkem.MLKEM1024PrivateKey.generate,
}


def generate_private_key(kind: str) -> PrivateKey:
    """Make a key of a kind such as `p256`, `rsa3072`, `x25519` or `mlkem768`."""
    make = _GENERATORS.get(kind)
    if make is None:
        raise UnsupportedAlgorithmError(kind)
    return make()


def private_key_pem(key: PrivateKey, *, password: bytes | None = None) -> str:
    """Write a key as PKCS #8 in PEM, encrypted if there is a password."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, encryption).decode("ascii")


def parse_private_key(
    octets: bytes, *, password: bytes | None = None, trusted: bool = False
) -> PrivateKey:
    """Read a private key in PEM or DER (PKCS #8, or the older forms of RSA and EC).

    Args:
        octets: The key.
        password: Needed if, and only if, the key is encrypted.
        trusted: The octets come from our own sealed storage: skip the arithmetic check of an RSA
            key, which costs 90 ms at 3072 bits. Pairing the key with its certificate still
            makes and verifies one signature.

    Raises:
        KeySyntaxError: Not a key, not one of ours, or the password is wrong.
    """
    if len(octets) > MAX_KEY_OCTETS:
        raise KeySyntaxError("too-large")
    load = (
        serialization.load_pem_private_key
        if b"-----BEGIN" in octets
        else serialization.load_der_private_key
    )
    try:
        key = load(octets, password, unsafe_skip_rsa_key_validation=trusted)
    except TypeError as error:
        raise KeySyntaxError("password-missing-or-superfluous") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeySyntaxError("malformed-or-wrong-password") from error
    return _accepted(key)


def find_password(octets: bytes, candidates: Sequence[bytes]) -> bytes | None:
    """Find which of *candidates* opens a key in PEM; `None` for a key that lies there in clear.

    Raises:
        KeySyntaxError: It is encrypted, and none of them opens it.
    """
    if b"ENCRYPTED" not in octets:  # both `BEGIN ENCRYPTED PRIVATE KEY` and `Proc-Type`
        return None
    for password in candidates:
        try:
            parse_private_key(octets, password=password, trusted=True)
        except KeySyntaxError:
            continue
        return password
    raise KeySyntaxError("password-wrong-or-missing")


def load_key_holder(
    private_key: bytes,
    certificates: bytes,
    *,
    password: bytes | None = None,
    trusted: bool = False,
) -> SoftwareKeyHolder:
    """Make a key holder from a key and the certificates that may belong to it.

    Certificates of other keys (a chain in the same file) are passed over.

    Raises:
        KeySyntaxError: The key is unusable, or no certificate belongs to it.
        CertificateSyntaxError: A certificate is unreadable.
    """
    key = parse_private_key(private_key, password=password, trusted=trusted)
    ours = [each for each in parse_certificates(certificates) if _belongs(each, key)]
    if not ours:
        raise KeySyntaxError("no-certificate-for-key")
    return SoftwareKeyHolder([(each, key) for each in ours])


def load_pkcs12(
    octets: bytes, *, password: bytes | None
) -> tuple[SoftwareKeyHolder, tuple[Certificate, ...]]:
    """Read a PKCS #12 file: the key with its certificate, and the rest of the chain.

    Raises:
        KeySyntaxError: It is none, the password is wrong, it was made with a cipher that we do not
            have, or it holds no key that we use.
        CertificateSyntaxError: A certificate inside is unreadable.
    """
    key, certificate, chain = parse_pkcs12(octets, password=password)
    return SoftwareKeyHolder([(certificate, key)]), chain


def parse_pkcs12(
    octets: bytes, *, password: bytes | None
) -> tuple[PrivateKey, Certificate, tuple[Certificate, ...]]:
    """Take a PKCS #12 file apart: the key, its certificate, the rest of the chain.

    Raises:
        KeySyntaxError, CertificateSyntaxError: As `load_pkcs12`.
    """
    if len(octets) > MAX_KEY_OCTETS:
        raise KeySyntaxError("too-large")
    try:
        with catch_warnings():  # what old software writes is BER: no reason to warn anybody
            simplefilter("ignore", UserWarning)
            bundle = pkcs12.load_pkcs12(octets, password)
    except UnsupportedAlgorithm as error:
        raise KeySyntaxError("pkcs12-cipher-unsupported") from error
    except (ValueError, TypeError) as error:
        raise KeySyntaxError("malformed-or-wrong-password") from error
    if bundle.key is None or bundle.cert is None:
        raise KeySyntaxError("no-key-in-bundle")
    encoding = serialization.Encoding.DER
    certificate = parse_certificate(bundle.cert.certificate.public_bytes(encoding))
    chain = tuple(
        parse_certificate(each.certificate.public_bytes(encoding))
        for each in bundle.additional_certs
    )
    key = _accepted(bundle.key)
    _check_pair(certificate, key)
    return key, certificate, chain


def _accepted(key: object) -> PrivateKey:
    match key:
        case rsa.RSAPrivateKey() if key.key_size >= MIN_RSA_BITS:
            return key
        case ec.EllipticCurvePrivateKey() if key.curve.name in _CURVES:
            return key
        case ed25519.Ed25519PrivateKey() | x25519.X25519PrivateKey():
            return key
        case mlkem.MLKEM768PrivateKey() | mlkem.MLKEM1024PrivateKey():
            return key
        case _:
            raise KeySyntaxError("unsupported-key")


def _belongs(certificate: Certificate, key: PrivateKey) -> bool:
    return certificate.public_key == key.public_key()


def _check_pair(certificate: Certificate, key: PrivateKey) -> None:
    if not _belongs(certificate, key):
        raise KeySyntaxError("certificate-of-another-key")
    if isinstance(key, rsa.RSAPrivateKey):
        # The public half may match while the private half is damaged, and a wrong signature may
        # give the key away.
        probe = b"self-check"
        try:
            signature = key.sign(probe, padding.PKCS1v15(), hashes.SHA256())
            key.public_key().verify(signature, probe, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError) as error:
            raise KeySyntaxError("damaged-key") from error
