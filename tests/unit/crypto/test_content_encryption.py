"""Content ciphers, piece by piece."""

import secrets

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import algorithms, der
from crypto.cms_parts import Algorithm, parse_algorithm
from crypto.content_encryption import (
    ContentAlgorithm,
    ContentEncryptor,
    new_content_algorithm,
    open_decryptor,
    read_content_algorithm,
)
from crypto.errors import CmsSyntaxError, CryptoError, DecryptionError, UnsupportedAlgorithmError

NONCE = bytes(range(12))
CHACHA = parse_algorithm(
    der.sequence(der.oid(algorithms.CHACHA20_POLY1305), der.octet_string(NONCE))
)


def opened(
    algorithm: ContentAlgorithm,
    key: bytes,
    pieces: list[bytes],
    *,
    tag: bytes | None,
    attributes: bytes = b"",
) -> bytes:
    decryptor = open_decryptor(algorithm, key, tag=tag, attributes=attributes)
    return b"".join(map(decryptor.update, pieces)) + decryptor.finish()


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(st.binary(max_size=100), max_size=6),
    attributes=st.binary(max_size=40),
    key=st.binary(min_size=32, max_size=32),
)
def test_chacha_in_pieces_is_what_the_library_does_in_one(
    pieces: list[bytes], attributes: bytes, key: bytes
) -> None:
    """The two primitives are joined by hand, so every length is compared."""
    sealed = ChaCha20Poly1305(key).encrypt(NONCE, b"".join(pieces), attributes)
    algorithm = read_content_algorithm(CHACHA, has_tag=True)
    cuts = [sealed[:-16][at : at + 37] for at in range(0, len(sealed) - 16, 37)]

    assert opened(algorithm, key, cuts, tag=sealed[-16:], attributes=attributes) == b"".join(pieces)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 63, 64, 65, 1000])
@pytest.mark.parametrize("what", ["tag", "content", "attributes", "key"])
def test_chacha_refuses_whatever_is_changed(size: int, what: str) -> None:
    """Each input of the tag counts."""
    key = secrets.token_bytes(32)
    sealed = ChaCha20Poly1305(key).encrypt(NONCE, bytes(size), b"attributes")
    ciphertext, tag, attributes = sealed[:-16], sealed[-16:], b"attributes"
    changed = {
        "tag": (key, ciphertext, bytes((tag[0] ^ 1,)) + tag[1:], attributes),
        "content": (key, ciphertext + b"\x00", tag, attributes),
        "attributes": (key, ciphertext, tag, attributes + b"\x00"),
        "key": (bytes(32), ciphertext, tag, attributes),
    }
    used, content, given_tag, given_attributes = changed[what]

    with pytest.raises(DecryptionError):
        opened(
            read_content_algorithm(CHACHA, has_tag=True),
            used,
            [content],
            tag=given_tag,
            attributes=given_attributes,
        )


@pytest.mark.parametrize("oid", [algorithms.AES256_GCM, algorithms.AES256_CBC])
@pytest.mark.parametrize("piece", [1, 7, 16, 1000])
def test_content_in_pieces_comes_back(oid: str, piece: int) -> None:
    """Whatever the pieces, on both sides."""
    content, key = secrets.token_bytes(333), secrets.token_bytes(32)
    algorithm = new_content_algorithm(oid)
    encryptor = ContentEncryptor(algorithm, key)
    sealed = b"".join(
        encryptor.update(content[at : at + piece]) for at in range(0, len(content), piece)
    )
    sealed += encryptor.finish()
    tag = sealed[-16:] if algorithm.tag_octets else None
    ciphertext = sealed[:-18] if algorithm.tag_octets else sealed

    again = read_content_algorithm(parse_algorithm(algorithm.encoded), has_tag=tag is not None)
    pieces = [ciphertext[at : at + piece] for at in range(0, len(ciphertext), piece)]

    assert again == algorithm
    assert opened(again, key, pieces, tag=tag) == content


def test_every_message_has_a_nonce_of_its_own() -> None:
    """Twice the same nonce with one key gives the key of the tag away."""
    made = {new_content_algorithm(algorithms.AES256_GCM).vector for _ in range(100)}

    assert len(made) == 100


@pytest.mark.parametrize("bits", [128, 192, 256])
def test_gcm_of_each_key_size_opens(bits: int) -> None:
    """Peers choose."""
    key = secrets.token_bytes(bits // 8)
    oid = {
        128: algorithms.AES128_GCM,
        192: algorithms.AES192_GCM,
        256: algorithms.AES256_GCM,
    }[bits]
    sealed = AESGCM(key).encrypt(NONCE, b"content", b"")
    parameters = der.sequence(der.octet_string(NONCE), der.integer(16))
    algorithm = read_content_algorithm(
        parse_algorithm(der.sequence(der.oid(oid), parameters)), has_tag=True
    )

    assert algorithm.cipher.key_octets == bits // 8
    assert opened(algorithm, key, [sealed[:-16]], tag=sealed[-16:]) == b"content"


def test_a_tag_without_a_stated_length_has_twelve_octets() -> None:
    """The default of RFC 5084."""
    parameters = der.sequence(der.octet_string(NONCE))
    algorithm = parse_algorithm(der.sequence(der.oid(algorithms.AES256_GCM), parameters))

    assert read_content_algorithm(algorithm, has_tag=True).tag_octets == 12


def gcm(*members: bytes) -> bytes:
    return der.sequence(der.oid(algorithms.AES256_GCM), der.sequence(*members))


def chacha(*members: bytes) -> bytes:
    return der.sequence(der.oid(algorithms.CHACHA20_POLY1305), *members)


def cbc(*members: bytes) -> bytes:
    return der.sequence(der.oid(algorithms.AES256_CBC), *members)


@pytest.mark.parametrize(
    ("octets", "has_tag", "reason"),
    [
        (gcm(), True, "gcm-parameters"),
        (gcm(der.octet_string(bytes(7)), der.integer(16)), True, "gcm-parameters"),
        (gcm(der.octet_string(bytes(65)), der.integer(16)), True, "gcm-parameters"),
        (gcm(der.octet_string(NONCE), der.null()), True, "gcm-parameters"),
        (gcm(der.octet_string(NONCE), der.integer(16), der.null()), True, "gcm-parameters"),
        (der.sequence(der.oid(algorithms.AES256_GCM)), True, "gcm-parameters"),
        (der.sequence(der.oid(algorithms.AES256_GCM), der.null()), True, "gcm-parameters"),
        (
            der.sequence(der.oid(algorithms.AES256_GCM), der.octet_string(NONCE)),
            True,
            "gcm-parameters",
        ),
        (chacha(), True, "poly1305-parameters"),
        (chacha(der.octet_string(bytes(8))), True, "poly1305-parameters"),
        (chacha(der.octet_string(bytes(24))), True, "poly1305-parameters"),
        (cbc(), False, "cbc-parameters"),
        (cbc(der.null()), False, "cbc-parameters"),
        (cbc(der.octet_string(bytes(15))), False, "cbc-parameters"),
        (cbc(der.octet_string(bytes(17))), False, "cbc-parameters"),
        (cbc(der.sequence(der.octet_string(bytes(16)))), False, "cbc-parameters"),
    ],
)
def test_other_parameters_are_refused(octets: bytes, has_tag: bool, reason: str) -> None:  # noqa: FBT001 -- a parametrised case
    """The bare nonce of an old private format among them."""
    with pytest.raises(CmsSyntaxError) as refusal:
        read_content_algorithm(parse_algorithm(octets), has_tag=has_tag)

    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    ("oid", "has_tag", "reason"),
    [
        (algorithms.AES256_GCM, False, "cipher-in-wrong-structure"),
        (algorithms.AES128_GCM, False, "cipher-in-wrong-structure"),
        (algorithms.CHACHA20_POLY1305, False, "cipher-in-wrong-structure"),
        (algorithms.AES256_CBC, True, "cipher-in-wrong-structure"),
        (algorithms.AES128_CBC, True, "cipher-in-wrong-structure"),
        ("1.2.840.113549.3.7", False, "weak-cipher"),
        ("1.2.840.113549.3.7", True, "weak-cipher"),
        ("1.2.840.113549.3.2", False, "weak-cipher"),
        ("1.2.840.113549.3.4", False, "weak-cipher"),
        ("1.3.14.3.2.7", False, "weak-cipher"),
        ("2.16.840.1.101.3.4.1.7", True, "unknown-cipher"),  # AES-128-CCM
        ("1.2.3", False, "unknown-cipher"),
        (algorithms.RSA, False, "unknown-cipher"),
    ],
)
def test_other_ciphers_are_refused_with_their_reason(oid: str, has_tag: bool, reason: str) -> None:  # noqa: FBT001 -- a parametrised case
    """Weak, unknown, and in a structure where they do not belong."""
    algorithm = Algorithm(oid=oid, parameters=der.octet_string(bytes(16)), raw=b"")

    with pytest.raises(UnsupportedAlgorithmError) as refusal:
        read_content_algorithm(algorithm, has_tag=has_tag)

    assert refusal.value.reason == reason
    assert refusal.value.algorithm == oid


@settings(max_examples=60, deadline=None)
@given(octets=st.binary(max_size=60), oid=st.sampled_from([*algorithms.CONTENT_CIPHERS, "1.2.3"]))
def test_parameters_of_any_octets_are_read_or_refused(octets: bytes, oid: str) -> None:
    """A value or a declared error."""
    algorithm = Algorithm(oid=oid, parameters=octets, raw=b"")
    cipher = algorithms.CONTENT_CIPHERS.get(oid)

    try:
        found = read_content_algorithm(algorithm, has_tag=cipher is None or cipher.authenticated)
    except CryptoError as error:
        assert isinstance(error, CmsSyntaxError | UnsupportedAlgorithmError)  # noqa: PT017 -- either may happen
    else:
        assert found.cipher.oid == oid
