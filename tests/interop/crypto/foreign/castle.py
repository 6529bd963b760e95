"""What does BouncyCastle write?"""

from collections.abc import Callable, Iterator

from tests.interop.crypto.foreign.cases import (
    MALLEABLE,
    NO_ATTRIBUTES,
    NOT_NAMED,
    OLD_DIGEST,
    OLD_RSA,
    WEAK_3DES,
    Foreign,
    closed,
    refused,
    unopened,
    valid,
)
from tests.interop.crypto.identities import Identities
from tests.interop.crypto.letters import ENTITY
from tests.interop.crypto.peers.castle import BouncyCastle
from tests.interop.crypto.reading import clear, compressed, enveloped, opaque

OLD_OAEP = "legacy-oaep-sha1"
BOTH_ATTRIBUTES = ("auth-attributes", "unauth-attributes")
STREAMED = ("inside", "stream")

# Cipher, key management, options, readers, what we say.
ENVELOPES: tuple[
    tuple[str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...
] = (
    (
        "aes256-cbc", "rsa", (), ("bob-rsa",),
        closed("rsa-pkcs1, aes-256-cbc", OLD_RSA, MALLEABLE),
    ),
    (
        "aes256-cbc", "rsa", ("stream",), ("bob-rsa",),
        closed("rsa-pkcs1, aes-256-cbc", OLD_RSA, MALLEABLE),
    ),
    (
        "aes192-cbc", "oaep256", ("ski",), ("bob-rsa",),
        closed("rsa-oaep-sha256, aes-192-cbc", MALLEABLE),
    ),
    (
        "aes256-cbc", "oaep1", (), ("bob-rsa",),
        closed("rsa-oaep-sha1, aes-256-cbc", OLD_OAEP, MALLEABLE),
    ),
    (
        "aes128-cbc", "ecdh256", ("stream",), ("bob-p256",),
        closed("ecdh-sha256kdf, aes-128-cbc", MALLEABLE),
    ),
    (
        "aes256-cbc", "ecdh384", ("unprotected",), ("bob-p384",),
        closed("ecdh-sha384kdf, aes-256-cbc", MALLEABLE),
    ),
    (
        "aes256-gcm", "oaep256", (), ("bob-rsa", "bob-rsa3072"),
        closed("rsa-oaep-sha256, aes-256-gcm"),
    ),
    ("aes128-gcm", "rsa", (), ("bob-rsa",), closed("rsa-pkcs1, aes-128-gcm", OLD_RSA)),
    ("aes256-gcm", "ecdh256", ("ski",), ("bob-p256",), closed("ecdh-sha256kdf, aes-256-gcm")),
    ("aes256-gcm", "ecdh384", (), ("bob-p384",), closed("ecdh-sha384kdf, aes-256-gcm")),
    (
        "aes256-gcm", "oaep256", ("auth-attributes",), ("bob-rsa",),
        closed("rsa-oaep-sha256, aes-256-gcm"),
    ),
    (
        "aes256-gcm", "ecdh256", BOTH_ATTRIBUTES, ("bob-p256",),
        closed("ecdh-sha256kdf, aes-256-gcm"),
    ),
    ("3des", "rsa", (), ("bob-rsa",), unopened(WEAK_3DES)),
)  # fmt: skip

# Algorithm, options, signer, what we say.
SIGNATURES: tuple[tuple[str, tuple[str, ...], str, tuple[str, ...]], ...] = (
    ("SHA256withRSA", (), "alice-rsa", valid("rsa-pkcs1-sha256", NOT_NAMED)),
    ("SHA256withRSAandMGF1", ("inside",), "alice-rsa", valid("rsa-pss-sha256", NOT_NAMED)),
    ("SHA512withRSAandMGF1", ("ski",), "alice-rsa", valid("rsa-pss-sha512", NOT_NAMED)),
    ("SHA256withECDSA", STREAMED, "alice-p256", valid("ecdsa-sha256", NOT_NAMED)),
    ("SHA384withECDSA", ("more",), "alice-p384", valid("ecdsa-sha384", NOT_NAMED)),
    ("Ed25519", (), "alice-ed25519", valid("ed25519", NOT_NAMED)),
    ("Ed25519", ("inside",), "alice-ed25519", valid("ed25519", NOT_NAMED)),
    ("Ed25519", STREAMED, "alice-ed25519", valid("ed25519", NOT_NAMED)),
    ("SHA256withECDSA", ("inside", "bare"), "alice-p256", refused(NO_ATTRIBUTES)),
    ("SHA1withRSA", ("inside",), "alice-rsa", refused(OLD_DIGEST)),
    ("SHA3-256withRSA", ("inside",), "alice-rsa", refused(OLD_DIGEST)),
)


def cases() -> Iterator[Foreign]:
    """Go through all of them."""
    for cipher, management, options, readers, said in ENVELOPES:
        name = ", ".join((cipher, management, *options, *readers[1:]))
        write = _envelope(cipher, management, options, readers)
        yield Foreign("BouncyCastle", name, write, said, readers[0])
    for algorithm, options, signer, said in SIGNATURES:
        name = ", ".join((algorithm, *options))
        yield Foreign("BouncyCastle", name, _signature(algorithm, options, signer), said)
    yield Foreign("BouncyCastle", "compressed", _compressed, ("not-signed", "zlib"))
    all_three = valid("ecdh-sha256kdf, aes-256-gcm", "ed25519", NOT_NAMED, "zlib")
    yield Foreign("BouncyCastle", "compressed, signed, encrypted", _nested, all_three, "bob-p256")


def _envelope(
    cipher: str, management: str, options: tuple[str, ...], readers: tuple[str, ...]
) -> Callable[[BouncyCastle, Identities], bytes]:
    def write(peer: BouncyCastle, identities: Identities) -> bytes:
        whom = [identities[each] for each in readers]
        return enveloped(peer.encrypt(ENTITY, cipher, management, *options, readers=whom))

    return write


def _signature(
    algorithm: str, options: tuple[str, ...], signer: str
) -> Callable[[BouncyCastle, Identities], bytes]:
    def write(peer: BouncyCastle, identities: Identities) -> bytes:
        octets = peer.sign(ENTITY, algorithm, *options, signers=[identities[signer]])
        return opaque(octets) if "inside" in options else clear(octets, ENTITY)

    return write


def _compressed(peer: BouncyCastle, _: Identities) -> bytes:
    return compressed(peer.compress(ENTITY))


def _nested(peer: BouncyCastle, identities: Identities) -> bytes:
    squeezed = compressed(peer.compress(ENTITY))
    signer, reader = identities["alice-ed25519"], identities["bob-p256"]
    signed = opaque(peer.sign(squeezed, "Ed25519", "inside", signers=[signer]))
    return enveloped(peer.encrypt(signed, "aes256-gcm", "ecdh256", readers=[reader]))
