"""The one table of algorithms: what we produce, what we accept, what we refuse.

Everything not listed here is refused with `UnsupportedAlgorithmError`, in particular 3DES, RC2,
MD5 and SHA-1 signatures, RSA below 2048 bits and GCM outside AuthEnvelopedData. Entries marked
*legacy* are read, reported, and never produced.

Sources
    RFC 8551, 2 (S/MIME 4.0); RFC 5753 (elliptic curves in CMS); RFC 8418 (X25519);
    RFC 4055 and RFC 4056 (PSS, OAEP); RFC 5084 (GCM in CMS); RFC 8103 (ChaCha20-Poly1305 in CMS);
    RFC 3565 (AES in CMS); RFC 3274 (compression); RFC 9629 and RFC 9936 (ML-KEM in CMS).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives import hashes

from crypto.errors import UnsupportedAlgorithmError

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192  # a larger public key is only there to keep us busy

# Content types
DATA: Final = "1.2.840.113549.1.7.1"
SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
ENVELOPED_DATA: Final = "1.2.840.113549.1.7.3"
AUTH_ENVELOPED_DATA: Final = "1.2.840.113549.1.9.16.1.23"
COMPRESSED_DATA: Final = "1.2.840.113549.1.9.16.1.9"

# Attributes
CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
SIGNING_TIME: Final = "1.2.840.113549.1.9.5"
SMIME_CAPABILITIES: Final = "1.2.840.113549.1.9.15"
SIGNING_CERTIFICATE: Final = "1.2.840.113549.1.9.16.2.12"
SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
CMS_ALGORITHM_PROTECTION: Final = "1.2.840.113549.1.9.52"

# Digests
SHA1: Final = "1.3.14.3.2.26"
SHA256: Final = "2.16.840.1.101.3.4.2.1"
SHA384: Final = "2.16.840.1.101.3.4.2.2"
SHA512: Final = "2.16.840.1.101.3.4.2.3"

# Signatures
RSA: Final = "1.2.840.113549.1.1.1"
RSA_PSS: Final = "1.2.840.113549.1.1.10"
RSA_SHA256: Final = "1.2.840.113549.1.1.11"
RSA_SHA384: Final = "1.2.840.113549.1.1.12"
RSA_SHA512: Final = "1.2.840.113549.1.1.13"
ECDSA_SHA256: Final = "1.2.840.10045.4.3.2"
ECDSA_SHA384: Final = "1.2.840.10045.4.3.3"
ECDSA_SHA512: Final = "1.2.840.10045.4.3.4"
ED25519: Final = "1.3.101.112"

# Key management
RSA_OAEP: Final = "1.2.840.113549.1.1.7"
MGF1: Final = "1.2.840.113549.1.1.8"
P_SPECIFIED: Final = "1.2.840.113549.1.1.9"
EC_PUBLIC_KEY: Final = "1.2.840.10045.2.1"
EC_DH_KEY: Final = "1.3.132.1.12"
CURVES: Final = {
    "1.2.840.10045.3.1.7": "secp256r1",
    "1.3.132.0.34": "secp384r1",
    "1.3.132.0.35": "secp521r1",
}
"""Named curves of keys that we agree with, by their identifiers in a message."""
X25519: Final = "1.3.101.110"
ECDH_SHA256_KDF: Final = "1.3.132.1.11.1"
ECDH_SHA384_KDF: Final = "1.3.132.1.11.2"
ECDH_SHA512_KDF: Final = "1.3.132.1.11.3"
ECDH_HKDF_SHA256: Final = "1.2.840.113549.1.9.16.3.19"
AES128_WRAP: Final = "2.16.840.1.101.3.4.1.5"
AES192_WRAP: Final = "2.16.840.1.101.3.4.1.25"
AES256_WRAP: Final = "2.16.840.1.101.3.4.1.45"
KEM_RECIPIENT: Final = "1.2.840.113549.1.9.16.13.3"
ML_KEM_768: Final = "2.16.840.1.101.3.4.4.2"
ML_KEM_1024: Final = "2.16.840.1.101.3.4.4.3"
HKDF_SHA256: Final = "1.2.840.113549.1.9.16.3.28"

# Content encryption
AES128_CBC: Final = "2.16.840.1.101.3.4.1.2"
AES192_CBC: Final = "2.16.840.1.101.3.4.1.22"
AES256_CBC: Final = "2.16.840.1.101.3.4.1.42"
AES128_GCM: Final = "2.16.840.1.101.3.4.1.6"
AES192_GCM: Final = "2.16.840.1.101.3.4.1.26"
AES256_GCM: Final = "2.16.840.1.101.3.4.1.46"
CHACHA20_POLY1305: Final = "1.2.840.113549.1.9.16.3.18"
ZLIB: Final = "1.2.840.113549.1.9.16.3.8"

PRODUCED_CAPABILITIES: Final = (AES256_GCM, AES128_GCM, AES256_CBC, AES128_CBC)
"""What we announce that we can read, best first (RFC 8551, 2.5.2)."""

_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    SHA256: hashes.SHA256(),
    SHA384: hashes.SHA384(),
    SHA512: hashes.SHA512(),
}
DIGEST_NAMES: Final = {SHA256: "sha256", SHA384: "sha384", SHA512: "sha512"}
DIGEST_SIZES: Final = {SHA256: 32, SHA384: 48, SHA512: 64}
MICALG: Final = {SHA256: "sha-256", SHA384: "sha-384", SHA512: "sha-512"}


class SignatureScheme(StrEnum):
    """How a key holder is asked to sign; the name is the one reported to people."""

    PSS_SHA256 = "rsa-pss-sha256"
    PSS_SHA384 = "rsa-pss-sha384"
    PSS_SHA512 = "rsa-pss-sha512"
    RSA_SHA256 = "rsa-pkcs1-sha256"
    RSA_SHA384 = "rsa-pkcs1-sha384"
    RSA_SHA512 = "rsa-pkcs1-sha512"
    ECDSA_SHA256 = "ecdsa-sha256"
    ECDSA_SHA384 = "ecdsa-sha384"
    ECDSA_SHA512 = "ecdsa-sha512"
    ED25519 = "ed25519"


_SCHEME_DIGESTS: Final = {
    SignatureScheme.PSS_SHA256: SHA256,
    SignatureScheme.PSS_SHA384: SHA384,
    SignatureScheme.PSS_SHA512: SHA512,
    SignatureScheme.RSA_SHA256: SHA256,
    SignatureScheme.RSA_SHA384: SHA384,
    SignatureScheme.RSA_SHA512: SHA512,
    SignatureScheme.ECDSA_SHA256: SHA256,
    SignatureScheme.ECDSA_SHA384: SHA384,
    SignatureScheme.ECDSA_SHA512: SHA512,
    SignatureScheme.ED25519: SHA512,  # RFC 8419, 3.1
}

PSS_BY_DIGEST: Final = {
    SHA256: SignatureScheme.PSS_SHA256,
    SHA384: SignatureScheme.PSS_SHA384,
    SHA512: SignatureScheme.PSS_SHA512,
}
RSA_BY_DIGEST: Final = {
    SHA256: SignatureScheme.RSA_SHA256,
    SHA384: SignatureScheme.RSA_SHA384,
    SHA512: SignatureScheme.RSA_SHA512,
}
ECDSA_BY_DIGEST: Final = {
    SHA256: SignatureScheme.ECDSA_SHA256,
    SHA384: SignatureScheme.ECDSA_SHA384,
    SHA512: SignatureScheme.ECDSA_SHA512,
}

SIGNATURES: Final = {
    RSA_SHA256: SignatureScheme.RSA_SHA256,
    RSA_SHA384: SignatureScheme.RSA_SHA384,
    RSA_SHA512: SignatureScheme.RSA_SHA512,
    ECDSA_SHA256: SignatureScheme.ECDSA_SHA256,
    ECDSA_SHA384: SignatureScheme.ECDSA_SHA384,
    ECDSA_SHA512: SignatureScheme.ECDSA_SHA512,
    ED25519: SignatureScheme.ED25519,
}
"""Signature identifiers that say everything themselves; PSS and bare RSA need a second look."""


class KeyTransport(StrEnum):
    """How a key holder is asked to unwrap a content key with RSA."""

    OAEP_SHA256 = "rsa-oaep-sha256"
    OAEP_SHA384 = "rsa-oaep-sha384"
    OAEP_SHA512 = "rsa-oaep-sha512"
    OAEP_SHA1 = "rsa-oaep-sha1"  # legacy: read only
    OAEP_SHA256_MGF1_SHA1 = "rsa-oaep-sha256-mgf1-sha1"  # legacy: what Java means by SHA-256
    PKCS1 = "rsa-pkcs1"  # legacy: read, and written only when the caller insists


class CipherMode(StrEnum):
    """How a content cipher works, and so which parameters it has."""

    CBC = "cbc"
    GCM = "gcm"
    POLY1305 = "poly1305"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentCipher:
    """A content-encryption algorithm."""

    oid: str
    name: str
    key_octets: int
    mode: CipherMode

    @property
    def authenticated(self) -> bool:
        """The cipher itself proves that nobody changed the content."""
        return self.mode is not CipherMode.CBC


CONTENT_CIPHERS: Final = {
    cipher.oid: cipher
    for cipher in (
        ContentCipher(oid=AES128_CBC, name="aes-128-cbc", key_octets=16, mode=CipherMode.CBC),
        ContentCipher(oid=AES192_CBC, name="aes-192-cbc", key_octets=24, mode=CipherMode.CBC),
        ContentCipher(oid=AES256_CBC, name="aes-256-cbc", key_octets=32, mode=CipherMode.CBC),
        ContentCipher(oid=AES128_GCM, name="aes-128-gcm", key_octets=16, mode=CipherMode.GCM),
        ContentCipher(oid=AES192_GCM, name="aes-192-gcm", key_octets=24, mode=CipherMode.GCM),
        ContentCipher(oid=AES256_GCM, name="aes-256-gcm", key_octets=32, mode=CipherMode.GCM),
        ContentCipher(  # read, and not produced: no peer is known to prefer it
            oid=CHACHA20_POLY1305,
            name="chacha20-poly1305",
            key_octets=32,
            mode=CipherMode.POLY1305,
        ),
    )
}

WEAK_CIPHERS: Final = frozenset(
    {
        "1.2.840.113549.3.2",  # RC2
        "1.2.840.113549.3.4",  # RC4
        "1.2.840.113549.3.7",  # triple DES
        "1.2.840.113549.1.9.16.3.6",  # triple DES key wrap
        "1.2.840.113549.1.9.16.3.7",  # RC2 key wrap
        "1.3.14.3.2.7",  # DES
    }
)
"""Named apart from the unknown, so that an administrator can tell old software from strange."""

KEY_WRAPS: Final = {AES128_WRAP: 16, AES192_WRAP: 24, AES256_WRAP: 32}
"""Key-wrap identifier to size of the key-encryption key in octets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAgreement:
    """A key-agreement scheme: which derivation, with which hash."""

    name: str
    hash: hashes.HashAlgorithm
    hkdf: bool = False
    legacy: bool = False


# Cofactor schemes equal the standard ones on curves of cofactor one, which are all we load.
KEY_AGREEMENTS: Final = {
    ECDH_SHA256_KDF: KeyAgreement(name="ecdh-sha256kdf", hash=hashes.SHA256()),
    ECDH_SHA384_KDF: KeyAgreement(name="ecdh-sha384kdf", hash=hashes.SHA384()),
    ECDH_SHA512_KDF: KeyAgreement(name="ecdh-sha512kdf", hash=hashes.SHA512()),
    "1.3.132.1.14.1": KeyAgreement(name="ecdh-sha256kdf", hash=hashes.SHA256()),
    "1.3.132.1.14.2": KeyAgreement(name="ecdh-sha384kdf", hash=hashes.SHA384()),
    "1.3.132.1.14.3": KeyAgreement(name="ecdh-sha512kdf", hash=hashes.SHA512()),
    "1.3.133.16.840.63.0.2": KeyAgreement(
        name="ecdh-sha1kdf",
        hash=hashes.SHA1(),  # noqa: S303 (a key derivation, not a signature; legacy, read only)
        legacy=True,
    ),
    ECDH_HKDF_SHA256: KeyAgreement(name="ecdh-hkdf-sha256", hash=hashes.SHA256(), hkdf=True),
    "1.2.840.113549.1.9.16.3.20": KeyAgreement(
        name="ecdh-hkdf-sha384", hash=hashes.SHA384(), hkdf=True
    ),
    "1.2.840.113549.1.9.16.3.21": KeyAgreement(
        name="ecdh-hkdf-sha512", hash=hashes.SHA512(), hkdf=True
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Encapsulation:
    """A key-encapsulation mechanism.

    ML-KEM-512 is not among them: national advice asks for category 3 at least.
    """

    oid: str
    name: str
    ciphertext_octets: int


ENCAPSULATIONS: Final = {
    each.oid: each
    for each in (
        Encapsulation(oid=ML_KEM_768, name="ml-kem-768", ciphertext_octets=1088),
        Encapsulation(oid=ML_KEM_1024, name="ml-kem-1024", ciphertext_octets=1568),
    )
}
DERIVATIONS: Final[dict[str, hashes.HashAlgorithm]] = {
    HKDF_SHA256: hashes.SHA256(),
    "1.2.840.113549.1.9.16.3.29": hashes.SHA384(),
    "1.2.840.113549.1.9.16.3.30": hashes.SHA512(),
}
"""Key-derivation identifiers to the hash of their HKDF (RFC 8619)."""


def hash_of(oid: str) -> hashes.HashAlgorithm:
    """Return the hash for a digest identifier, or refuse it."""
    try:
        return _HASHES[oid]
    except KeyError:
        raise UnsupportedAlgorithmError(oid) from None


def digest_of(scheme: SignatureScheme) -> str:
    """Return the digest identifier that goes with *scheme*."""
    return _SCHEME_DIGESTS[scheme]
