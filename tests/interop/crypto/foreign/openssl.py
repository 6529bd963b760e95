"""What does OpenSSL write?"""

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
from tests.interop.crypto.peers.openssl import OpenSsl
from tests.interop.crypto.reading import enveloped

OAEP = ("keyopt:rsa_padding_mode:oaep",)
OAEP_SHA256 = (*OAEP, "keyopt:rsa_oaep_md:sha256")
PSS = ("keyopt:rsa_padding_mode:pss",)
RC2 = ("-rc2-40", "-provider", "legacy", "-provider", "default")
COFACTOR = ("keyopt:ecdh_cofactor_mode:1", "keyopt:ecdh_kdf_md:sha512")
OLD_OAEP, OLD_KDF = "legacy-oaep-sha1", "legacy-sha1kdf"
PREAMBLE = "preamble-ignored"
UNKNOWN = "unsupported-algorithm: 1.2.392.200011.61.1.1.1.4 (unknown-cipher)"
WEAK_RC2 = "unsupported-algorithm: 1.2.840.113549.3.2 (weak-cipher)"

# Name, reader, options, what we say.
ENVELOPES: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "AES-256-CBC, RSA v1.5", "bob-rsa", ("-aes256",),
        closed("rsa-pkcs1, aes-256-cbc", OLD_RSA, MALLEABLE),
    ),
    (
        "AES-128-CBC, RSA v1.5, by key identifier", "bob-rsa", ("-aes128", "-keyid"),
        closed("rsa-pkcs1, aes-128-cbc", OLD_RSA, MALLEABLE),
    ),
    (
        "AES-192-CBC, OAEP SHA-1", "bob-rsa", ("-aes192", *OAEP),
        closed("rsa-oaep-sha1, aes-192-cbc", OLD_OAEP, MALLEABLE),
    ),
    (
        "AES-256-CBC, OAEP SHA-256, streamed", "bob-rsa3072", ("-aes256", "-stream", *OAEP_SHA256),
        closed("rsa-oaep-sha256, aes-256-cbc", MALLEABLE),
    ),
    (
        "AES-256-GCM, OAEP SHA-256", "bob-rsa", ("-aes-256-gcm", *OAEP_SHA256),
        closed("rsa-oaep-sha256, aes-256-gcm"),
    ),
    (
        "AES-128-GCM, RSA v1.5, streamed", "bob-rsa", ("-aes-128-gcm", "-stream"),
        closed("rsa-pkcs1, aes-128-gcm", OLD_RSA),
    ),
    (
        "AES-256-GCM, P-256, SHA-1 KDF", "bob-p256", ("-aes-256-gcm",),
        closed("ecdh-sha1kdf, aes-256-gcm", OLD_KDF),
    ),
    (
        "AES-256-GCM, P-256, SHA-256 KDF", "bob-p256",
        ("-aes-256-gcm", "-aes256-wrap", "keyopt:ecdh_kdf_md:sha256"),
        closed("ecdh-sha256kdf, aes-256-gcm"),
    ),
    (
        "AES-192-GCM, P-384, by key identifier", "bob-p384",
        ("-aes-192-gcm", "-keyid", "keyopt:ecdh_kdf_md:sha384"),
        closed("ecdh-sha384kdf, aes-192-gcm"),
    ),
    (
        "AES-256-CBC, P-521, cofactor", "bob-p521", ("-aes256", *COFACTOR),
        closed("ecdh-sha512kdf, aes-256-cbc", MALLEABLE),
    ),
    (
        "AES-256-GCM, OAEP SHA-512", "bob-rsa",
        ("-aes-256-gcm", *OAEP, "keyopt:rsa_oaep_md:sha512"),
        closed("rsa-oaep-sha512, aes-256-gcm"),
    ),
    (
        "AES-256-GCM, OAEP SHA-256 as Java means it", "bob-rsa",
        ("-aes-256-gcm", *OAEP_SHA256, "keyopt:rsa_mgf1_md:sha1"),
        closed("rsa-oaep-sha256-mgf1-sha1, aes-256-gcm", OLD_OAEP),
    ),
    ("triple DES", "bob-rsa", ("-des3",), unopened(WEAK_3DES)),
    ("RC2", "bob-rsa", RC2, unopened(WEAK_RC2)),
    ("Camellia", "bob-rsa", ("-camellia256",), unopened(UNKNOWN)),
)  # fmt: skip

# Name, signers, options, what we say.
SIGNATURES: tuple[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "RSA v1.5 SHA-256, clear", ("alice-rsa",), ("-md", "sha256"),
        valid("rsa-pkcs1-sha256", PREAMBLE, NOT_NAMED),
    ),
    (
        "RSA v1.5 SHA-512, opaque", ("alice-rsa",), ("-md", "sha512", "-nodetach"),
        valid("rsa-pkcs1-sha512", NOT_NAMED),
    ),
    (
        "PSS SHA-256, clear", ("alice-rsa",), ("-md", "sha256", *PSS),
        valid("rsa-pss-sha256", PREAMBLE, NOT_NAMED),
    ),
    (
        "PSS SHA-384, opaque", ("alice-rsa",), ("-md", "sha384", "-nodetach", *PSS),
        valid("rsa-pss-sha384", NOT_NAMED),
    ),
    (
        "PSS with the longest salt", ("alice-rsa",),
        ("-md", "sha256", *PSS, "keyopt:rsa_pss_saltlen:max"),
        valid("rsa-pss-sha256", PREAMBLE, NOT_NAMED),
    ),
    (
        "ECDSA P-256, opaque, streamed", ("alice-p256",), ("-nodetach", "-stream"),
        valid("ecdsa-sha256", NOT_NAMED),
    ),
    (
        "ECDSA P-256 with its certificate named", ("alice-p256",), ("-cades",),
        valid("ecdsa-sha256", PREAMBLE),
    ),
    (
        "ECDSA P-384, by key identifier", ("alice-p384",), ("-md", "sha384", "-keyid"),
        valid("ecdsa-sha384", PREAMBLE, NOT_NAMED),
    ),
    (
        "ECDSA P-256 with SHA-512", ("alice-p256",), ("-md", "sha512", "-nosmimecap"),
        valid("ecdsa-sha512", PREAMBLE, NOT_NAMED),
    ),
    (
        "two signers", ("alice-rsa", "alice-p256"), ("-md", "sha256"),
        valid("ecdsa-sha256", PREAMBLE, NOT_NAMED),
    ),
    (
        "without certificates", ("alice-p256",), ("-nocerts",),
        ("indeterminate", "certificate-indeterminate: signer-certificate-missing"),
    ),
    ("without signed attributes", ("alice-rsa",), ("-noattr",), refused(NO_ATTRIBUTES)),
    ("RSA SHA-1", ("alice-rsa",), ("-md", "sha1"), refused(OLD_DIGEST)),
)  # fmt: skip


def cases() -> Iterator[Foreign]:
    """Go through all of them."""
    for name, reader, options, said in ENVELOPES:
        yield Foreign("OpenSSL", name, _envelope(reader, options), said, reader)
    for name, signers, options, said in SIGNATURES:
        yield Foreign("OpenSSL", name, _signature(signers, options), said)
    many = closed("ecdh-sha1kdf, aes-256-gcm", OLD_KDF)
    yield Foreign("OpenSSL", "fifty-one recipients", _for_many, many, "bob-p384")
    twice = closed("ecdh-sha1kdf, aes-256-gcm", "recipient-repeated", OLD_KDF)
    yield Foreign("OpenSSL", "the same recipient twice", _for_one_twice, twice, "bob-p256")
    outer = valid("ecdsa-sha256", PREAMBLE, NOT_NAMED)
    middle = ("ecdh-sha1kdf, aes-256-cbc", OLD_KDF, MALLEABLE)
    inner = ("rsa-pkcs1-sha256", PREAMBLE, NOT_NAMED)
    yield Foreign("OpenSSL", "triple wrap", _triple, (*outer, *middle, *inner), "bob-p256")


def _envelope(reader: str, options: tuple[str, ...]) -> Callable[[OpenSsl, Identities], bytes]:
    return lambda peer, identities: enveloped(
        peer.encrypt(ENTITY, *options, readers=[identities[reader]])
    )


def _signature(
    signers: tuple[str, ...], options: tuple[str, ...]
) -> Callable[[OpenSsl, Identities], bytes]:
    return lambda peer, identities: peer.sign_entity(
        ENTITY, *options, signers=[identities[each] for each in signers]
    )


def _for_many(peer: OpenSsl, identities: Identities) -> bytes:
    others = [identities.another("p256") for _ in range(50)]
    readers = [*others[:25], identities["bob-p384"], *others[25:]]
    return enveloped(peer.encrypt(ENTITY, "-aes-256-gcm", readers=readers))


def _for_one_twice(peer: OpenSsl, identities: Identities) -> bytes:
    readers = [identities["bob-p256"]] * 2
    return enveloped(peer.encrypt(ENTITY, "-aes-256-gcm", readers=readers))


def _triple(peer: OpenSsl, identities: Identities) -> bytes:
    inner = peer.sign_entity(ENTITY, signers=[identities["alice-rsa"]])
    middle = peer.encrypt_entity(inner, "-aes256", readers=[identities["bob-p256"]])
    return peer.sign_entity(middle, signers=[identities["alice-p384"]])
