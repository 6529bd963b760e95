"""What do pkijs and node-forge write?"""

from collections.abc import Callable, Iterator

from tests.interop.crypto.foreign.cases import (
    MALLEABLE,
    NOT_NAMED,
    OLD_RSA,
    WEAK_3DES,
    Foreign,
    closed,
    unopened,
    valid,
)
from tests.interop.crypto.identities import Identities
from tests.interop.crypto.letters import ENTITY
from tests.interop.crypto.peers.scripts import Forge, PkiJs
from tests.interop.crypto.reading import clear, enveloped, opaque

CBC, GCM = "AES-CBC", "AES-GCM"
MISPLACED = "unsupported-algorithm: 2.16.840.1.101.3.4.1.46 (cipher-in-wrong-structure)"

# Name, reader, cipher, bits of the key, what we say.
ENVELOPES: tuple[tuple[str, str, str, int, tuple[str, ...]], ...] = (
    ("CBC for RSA", "bob-rsa", CBC, 256, closed("rsa-oaep-sha256, aes-256-cbc", MALLEABLE)),
    ("CBC for P-256", "bob-p256", CBC, 128, closed("ecdh-sha256kdf, aes-128-cbc", MALLEABLE)),
    ("CBC for P-384", "bob-p384", CBC, 256, closed("ecdh-sha256kdf, aes-256-cbc", MALLEABLE)),
    ("its own way of GCM", "bob-rsa", GCM, 256, unopened(MISPLACED)),
)

# Name, signer, algorithm, digest, whether the content is inside, what we say.
SIGNATURES: tuple[tuple[str, str, str, str, bool, tuple[str, ...]], ...] = (
    ("PSS, clear", "alice-rsa", "pss", "SHA-256", False, valid("rsa-pss-sha256", NOT_NAMED)),
    ("RSA v1.5, opaque", "alice-rsa", "rsa", "SHA-256", True, valid("rsa-pkcs1-sha256", NOT_NAMED)),
    ("P-256, opaque", "alice-p256", "p256", "SHA-256", True, valid("ecdsa-sha256", NOT_NAMED)),
    ("P-384, clear", "alice-p384", "p384", "SHA-384", False, valid("ecdsa-sha384", NOT_NAMED)),
)


def cases() -> Iterator[Foreign]:
    """Go through all of them."""
    for name, reader, cipher, bits, said in ENVELOPES:
        yield Foreign("pkijs", name, _envelope(reader, cipher, bits), said, reader)
    for name, signer, algorithm, digest, inside, said in SIGNATURES:
        write = _signature(signer, algorithm, digest, inside=inside)
        yield Foreign("pkijs", name, write, said)
    old = closed("rsa-pkcs1, aes-256-cbc", OLD_RSA, MALLEABLE)
    yield Foreign("forge", "AES-256-CBC", _forge_envelope("aes256-CBC"), old, "bob-rsa")
    older = unopened(WEAK_3DES)
    yield Foreign("forge", "triple DES", _forge_envelope("des-EDE3-CBC"), older, "bob-rsa")
    unsorted = valid("rsa-pkcs1-sha256", "attributes-not-sorted", NOT_NAMED)
    yield Foreign("forge", "RSA v1.5, clear", _forge_signature(inside=False), unsorted)
    yield Foreign("forge", "RSA v1.5, opaque", _forge_signature(inside=True), unsorted)


def _envelope(reader: str, cipher: str, bits: int) -> Callable[[PkiJs, Identities], bytes]:
    return lambda peer, identities: enveloped(
        peer.encrypt(ENTITY, cipher, bits, readers=[identities[reader]])
    )


def _signature(
    signer: str, algorithm: str, digest: str, *, inside: bool
) -> Callable[[PkiJs, Identities], bytes]:
    def write(peer: PkiJs, identities: Identities) -> bytes:
        octets = peer.sign(ENTITY, algorithm, digest, signer=identities[signer], inside=inside)
        return opaque(octets) if inside else clear(octets, ENTITY)

    return write


def _forge_envelope(cipher: str) -> Callable[[Forge, Identities], bytes]:
    return lambda peer, identities: enveloped(
        peer.encrypt(ENTITY, cipher, readers=[identities["bob-rsa"]])
    )


def _forge_signature(*, inside: bool) -> Callable[[Forge, Identities], bytes]:
    def write(peer: Forge, identities: Identities) -> bytes:
        octets = peer.sign(ENTITY, signer=identities["alice-rsa"], inside=inside)
        return opaque(octets) if inside else clear(octets, ENTITY)

    return write
