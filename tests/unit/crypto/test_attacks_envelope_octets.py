"""Encrypted messages changed anywhere, and abuse of their encoding: bounded, and without proof."""

import time
from dataclasses import replace

import pytest

from crypto import algorithms, cms, der, smime
from crypto.certificates import Certificate
from crypto.errors import (
    CmsSyntaxError,
    CryptoError,
    DecryptionError,
    NoMatchingKeyError,
)
from tests.support.envelopes import (
    AES256_WRAP,
    CONTENT_KEY,
    Agreement,
    gcm_algorithm,
    transport,
    unauthenticated,
)
from tests.support.pki import the_pki
from tests.unit.crypto.forging import ENTITY
from tests.unit.crypto.opening import (
    CURVE,
    RECIPIENT,
    RSA,
    SEALED,
    authenticated,
    everybody,
    opened,
    structure,
)

MODERN = authenticated(transport(RSA), Agreement(certificate=CURVE).octets())
KEYS = everybody()


@pytest.mark.parametrize("end", range(0, len(MODERN), 7))
def test_a_message_cut_anywhere_is_refused(end: int) -> None:
    """Half a message is none."""
    with pytest.raises(CmsSyntaxError):
        opened(MODERN[:end])


def mutated(at: int, bit: int) -> bytes:
    octets = bytearray(MODERN)
    octets[at] ^= 1 << bit
    return bytes(octets)


@pytest.mark.parametrize("at", range(0, len(MODERN), 2))
def test_a_bit_changed_anywhere_opens_nothing_or_the_same(at: int) -> None:
    """Versions and the names of strangers are not protected; the content always is."""
    try:
        proof = opened(mutated(at, at % 8))
    except CryptoError:
        return
    assert proof.entity == ENTITY
    assert proof.authenticated


ALL_IDENTIFIERS = [
    algorithms.DATA, algorithms.SIGNED_DATA, algorithms.ENVELOPED_DATA,
    algorithms.AUTH_ENVELOPED_DATA, algorithms.COMPRESSED_DATA, algorithms.RSA,
    algorithms.RSA_OAEP, algorithms.MGF1, algorithms.SHA1, algorithms.SHA256, algorithms.SHA384,
    algorithms.EC_PUBLIC_KEY, algorithms.X25519, algorithms.ECDH_SHA256_KDF,
    algorithms.ECDH_SHA384_KDF, algorithms.ECDH_HKDF_SHA256, algorithms.AES128_WRAP,
    algorithms.AES256_WRAP, algorithms.AES128_CBC, algorithms.AES256_CBC, algorithms.AES128_GCM,
    algorithms.AES256_GCM, algorithms.CHACHA20_POLY1305, "1.2.840.113549.3.7", "1.2.3",
]  # fmt: skip


def identifiers(element: der.Element) -> list[der.Element]:
    if element.tag == der.OBJECT_IDENTIFIER:
        return [element]
    if not element.tag & der.CONSTRUCTED:
        return []
    return [found for child in element.children() for found in identifiers(child)]


FOUND = identifiers(der.parse(authenticated(transport(RSA))))
FOUND_AGREED = identifiers(der.parse(authenticated(Agreement(certificate=CURVE).octets())))


def renamed(octets: bytes, number: int, dotted: str) -> bytes:
    """Replace one object identifier; the lengths around it follow."""
    target = identifiers(der.parse(octets))[number]

    def rebuild(element: der.Element) -> bytes:
        if element.start == target.start:
            return der.oid(dotted)
        if not element.tag & der.CONSTRUCTED:
            return element.raw
        return der.encode(element.tag, *map(rebuild, element.children()))

    return rebuild(der.parse(octets))


def assert_nothing_or_unproved(octets: bytes) -> None:
    try:
        proof = opened(octets)
    except CryptoError:
        return
    assert not proof.authenticated or proof.entity == ENTITY


@pytest.mark.parametrize("number", range(len(FOUND)))
@pytest.mark.parametrize("dotted", ALL_IDENTIFIERS)
def test_an_algorithm_renamed_in_a_key_transport_gives_no_false_proof(
    number: int, dotted: str
) -> None:
    """AEAD downgrade: nothing comes out that claims to be authenticated and is not the content."""
    assert_nothing_or_unproved(renamed(authenticated(RECIPIENT), number, dotted))


AGREED = authenticated(Agreement(certificate=CURVE).octets())


@pytest.mark.parametrize("number", range(len(FOUND_AGREED)))
@pytest.mark.parametrize("dotted", ALL_IDENTIFIERS)
def test_an_algorithm_renamed_in_a_key_agreement_gives_no_false_proof(
    number: int, dotted: str
) -> None:
    """As above."""
    assert_nothing_or_unproved(renamed(AGREED, number, dotted))


def test_authenticated_content_as_cbc_is_unproved_if_anything() -> None:
    """The content key is right, so blocks can be tried; `only_authenticated` stops it."""
    downgraded = unauthenticated((RECIPIENT,), b"", ciphertext=SEALED[:16])

    with pytest.raises(DecryptionError):
        smime.decrypt_cms(downgraded, keys=KEYS, only_authenticated=True)


# --- Abuse of the encoding -------------------------------------------------------------------


def bounded(octets: bytes) -> float:
    """Refuse *octets*, and say how many seconds of work it took."""
    began = time.process_time()
    with pytest.raises(CmsSyntaxError):
        opened(octets)
    return time.process_time() - began


def with_content(encoded: bytes) -> bytes:
    """An AuthEnvelopedData whose encrypted content is encoded otherwise."""
    body = der.sequence(der.oid(algorithms.DATA), gcm_algorithm(), encoded)
    return structure(algorithms.AUTH_ENVELOPED_DATA, body, der.octet_string(SEALED[-16:]))


def nested(depth: int, *, is_indefinite: bool) -> bytes:
    if is_indefinite:
        return b"\xa0\x80" + b"\x24\x80" * depth + der.octet_string(b"x") + bytes(2 * depth + 2)
    octets = der.octet_string(b"x")
    for _ in range(min(depth, 2000)):
        octets = der.encode(0x24, octets)
    return der.encode(0xA0, octets)


@pytest.mark.parametrize("is_indefinite", [True, False])
@pytest.mark.parametrize("depth", [20, 1000, 10_000])
def test_deeply_nested_strings_are_refused_at_once(depth: int, is_indefinite: bool) -> None:  # noqa: FBT001 -- a parametrised case
    """Neither the stack nor the clock gives."""
    assert bounded(with_content(nested(depth, is_indefinite=is_indefinite))) < 0.5


def test_indefinite_lengths_without_end_are_refused_at_once() -> None:
    """Opened a hundred thousand times and never closed."""
    assert bounded(b"\x30\x80" * 100_000) < 0.5


@pytest.mark.slow
def test_a_million_tiny_pieces_are_refused_in_bounded_time() -> None:
    """Each is an element, and elements are counted."""
    pieces = der.octet_string(b"x") * 1_000_000
    assert bounded(with_content(b"\xa0\x80" + pieces + b"\x00\x00")) < 5


def test_content_in_many_pieces_is_read() -> None:
    """Within the count: 25 MB in pieces of a kilobyte, say."""
    pieces = b"".join(der.octet_string(SEALED[at : at + 1]) for at in range(len(SEALED) - 16))

    assert opened(with_content(b"\xa0\x80" + pieces + b"\x00\x00")).entity == ENTITY


@pytest.mark.parametrize(
    "length",
    [
        pytest.param(b"\x84\xff\xff\xff\xff", id="four gigabytes"),
        pytest.param(b"\x88\xff\xff\xff\xff\xff\xff\xff\xff", id="sixteen exabytes"),
        pytest.param(b"\x89" + b"\x01" * 9, id="more octets than a length has"),
        pytest.param(b"\xff" + b"\x01" * 127, id="the most octets"),
    ],
)
def test_absurd_lengths_are_refused(length: bytes) -> None:
    """Nothing is reserved for what is only announced."""
    with pytest.raises(CmsSyntaxError):
        opened(b"\x30" + length + MODERN)


def test_a_message_for_nobody_of_us_is_told_apart() -> None:
    """Names are in clear, so saying so gives nothing away."""
    stranger = the_pki().hospital_confidentiality.certificate

    with pytest.raises(NoMatchingKeyError):
        opened(authenticated(Agreement(certificate=stranger).octets()))


def test_the_issuer_is_compared_with_the_issuer() -> None:
    """A client once compared it with the subject, and opened nothing."""
    renamed_subject = replace(RSA, issuer_der=RSA.subject_der)

    with pytest.raises(NoMatchingKeyError):
        opened(authenticated(transport(renamed_subject)))


def test_the_serial_number_alone_names_nobody() -> None:
    """Two authorities count from one."""
    other: Certificate = replace(RSA, issuer_der=the_pki().authority.root.certificate.issuer_der)

    with pytest.raises(NoMatchingKeyError):
        opened(authenticated(transport(other)))


def test_parsing_keeps_what_was_received() -> None:
    """The key wrap goes into the derivation octet for octet."""
    enveloped = cms.parse_enveloped(AGREED)
    (recipient,) = enveloped.recipients

    assert isinstance(recipient, cms.KeyAgreeRecipient)
    assert recipient.algorithm.parameters == AES256_WRAP
    assert len(recipient.encrypted_key) == len(CONTENT_KEY) + 8
