"""What do gpgsm and NSS write: ours of the system, and Thunderbird's?"""

from collections.abc import Callable, Iterator

from tests.interop.crypto.foreign.cases import (
    MALLEABLE,
    NO_ATTRIBUTES,
    NOT_NAMED,
    OLD_DIGEST,
    OLD_RSA,
    Foreign,
    closed,
    refused,
    valid,
)
from tests.interop.crypto.identities import Identities
from tests.interop.crypto.letters import ENTITY
from tests.interop.crypto.peers.gpgsm import Gpgsm
from tests.interop.crypto.peers.nss import Nss
from tests.interop.crypto.reading import clear, enveloped, opaque

USUAL = ("-G", "-P")  # signing time and capabilities, as Thunderbird sends them
FOR_RSA = closed("rsa-pkcs1, aes-128-cbc", OLD_RSA, MALLEABLE)
FOR_EC = closed("ecdh-sha256kdf, aes-128-cbc", MALLEABLE)

# Name, signer, options, what we say; without `-T` the content is inside.
SIGNATURES: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("RSA, clear", "alice-rsa", ("-T", *USUAL), valid("rsa-pkcs1-sha256", NOT_NAMED)),
    (
        "RSA SHA-512, opaque", "alice-rsa", ("-H", "SHA512", *USUAL),
        valid("rsa-pkcs1-sha512", NOT_NAMED),
    ),
    (
        "P-256, clear", "alice-p256", ("-T", "-H", "SHA256", *USUAL),
        valid("ecdsa-sha256", NOT_NAMED),
    ),
    ("P-384, opaque", "alice-p384", ("-H", "SHA384", *USUAL), valid("ecdsa-sha384", NOT_NAMED)),
    ("P-256 SHA-1", "alice-p256", ("-H", "SHA1", *USUAL), refused(OLD_DIGEST)),
    ("without signed attributes", "alice-rsa", ("-T",), refused(NO_ATTRIBUTES)),
)  # fmt: skip


def cases() -> Iterator[Foreign]:
    """Go through all of them."""
    mixed = ("bob-rsa", "bob-p384", "bob-p256")
    for name in ("NSS", "Thunderbird"):
        yield Foreign(name, "for RSA", _envelope("bob-rsa"), FOR_RSA, "bob-rsa")
        for title, signer, options, said in SIGNATURES:
            yield Foreign(name, title, _signature(signer, options), said)
    yield Foreign("Thunderbird", "for P-256", _envelope("bob-p256"), FOR_EC, "bob-p256")
    yield Foreign("Thunderbird", "for RSA and P-384", _envelope(*mixed), FOR_EC, "bob-p384")
    yield Foreign("gpgsm", "for two RSA readers", _for_two, FOR_RSA, "bob-rsa3072")
    for verb in ("--sign", "--detach-sign"):
        said = valid("rsa-pkcs1-sha256", NOT_NAMED)
        yield Foreign("gpgsm", f"RSA, {verb.removeprefix('--')}", _signed_by_gpgsm(verb), said)


def _envelope(*readers: str) -> Callable[[Nss, Identities], bytes]:
    return lambda peer, identities: enveloped(
        peer.encrypt(ENTITY, readers=[identities[each] for each in readers])
    )


def _signature(signer: str, options: tuple[str, ...]) -> Callable[[Nss, Identities], bytes]:
    def write(peer: Nss, identities: Identities) -> bytes:
        octets = peer.sign(ENTITY, *options, signer=identities[signer])
        return clear(octets, ENTITY) if "-T" in options else opaque(octets)

    return write


def _for_two(peer: Gpgsm, identities: Identities) -> bytes:
    readers = [identities["bob-rsa"], identities["bob-rsa3072"]]
    return enveloped(peer.encrypt(ENTITY, readers=readers))


def _signed_by_gpgsm(verb: str) -> Callable[[Gpgsm, Identities], bytes]:
    def write(peer: Gpgsm, identities: Identities) -> bytes:
        octets = peer.sign(ENTITY, verb, signer=identities["alice-rsa"])
        return opaque(octets) if verb == "--sign" else clear(octets, ENTITY)

    return write
