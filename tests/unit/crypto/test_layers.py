"""Letters in several layers: each is reported, and the weakest decides."""

import zlib
from collections.abc import Callable
from itertools import product

import pytest

from crypto import algorithms, der, layers, smime, trust
from crypto.entity import wrap_base64
from crypto.enveloped_data import EnvelopeProfile
from crypto.errors import CmsSyntaxError, NoMatchingKeyError, SignatureError
from crypto.keys import SoftwareKeyHolder
from crypto.kinds import Kind
from crypto.layers import Judgement, Unwrapped
from tests.support.pki import NOW, the_pki
from tests.unit.crypto.forging import ENTITY

PKI = the_pki()
STORE = PKI.store()
KEYS = PKI.practice_confidentiality.key_holder()


def signed(entity: bytes) -> bytes:
    return smime.sign(entity, keys=PKI.hospital_signature.key_holder(), at=NOW)


def signed_by_a_stranger(entity: bytes) -> bytes:
    return smime.sign(entity, keys=PKI.stranger_signature.key_holder(), at=NOW)


def closed(entity: bytes, profile: EnvelopeProfile = EnvelopeProfile.MODERN) -> bytes:
    recipient = PKI.practice_confidentiality.certificate
    return smime.encrypt(entity, recipients=[recipient], profile=profile)


def closed_softly(entity: bytes) -> bytes:
    """Encrypt with a cipher that does not authenticate."""
    return closed(entity, EnvelopeProfile.COMPATIBLE)


def unwrap(entity: bytes, *, only_authenticated: bool = False) -> Unwrapped:
    return layers.unwrap(
        entity,
        keys=KEYS,
        store=STORE,
        profile=trust.MAIL_SIGNING,
        at=NOW,
        only_authenticated=only_authenticated,
    )


def wrapped(*steps: Callable[[bytes], bytes]) -> bytes:
    """Apply the outermost step last."""
    entity = ENTITY
    for step in reversed(steps):
        entity = step(entity)
    return entity


def test_a_plain_letter_has_no_layer() -> None:
    """Not signed, and nothing to complain about."""
    found = unwrap(ENTITY)

    assert (found.layers, found.content, found.evidence) == ((), ENTITY, None)
    assert found.judgement is Judgement.NOT_SIGNED
    assert (found.failure, found.signature, found.findings) == (None, None, ())


@pytest.mark.parametrize("steps", list(product([signed, closed, closed_softly], repeat=3)))
def test_three_layers_are_read_in_any_order(steps: tuple[Callable[[bytes], bytes], ...]) -> None:
    """Triple wrapping (RFC 2634) and whatever gateways add to it."""
    found = unwrap(wrapped(*steps))

    wanted = [Kind.SIGNED if step is signed else Kind.ENCRYPTED for step in steps]
    assert [each.kind for each in found.layers] == wanted
    assert found.content == ENTITY
    assert found.judgement is (Judgement.VALID if signed in steps else Judgement.NOT_SIGNED)
    assert found.is_malleable is (closed_softly in steps and signed not in steps)


def test_each_layer_tells_its_algorithm_and_signer() -> None:
    """An administrator must see which of three layers is which."""
    found = unwrap(wrapped(signed, closed, signed))

    assert [each.algorithm for each in found.layers] == [
        "ecdsa-sha256",
        "aes-256-gcm",
        "ecdsa-sha256",
    ]
    signer = PKI.hospital_signature.certificate
    assert [each.signer for each in found.layers] == [signer, None, signer]
    assert all(each.findings == () for each in found.layers)


def test_the_innermost_signed_entity_is_kept_as_evidence() -> None:
    """It speaks about the content, and can be checked again without our key."""
    inner = signed(ENTITY)

    found = unwrap(signed(closed(inner)))

    assert found.evidence == inner
    assert found.signature is found.layers[-1]


def test_a_fifth_layer_is_one_too_many() -> None:
    """Depth is work that a stranger orders."""
    assert unwrap(wrapped(*[signed] * 4)).judgement is Judgement.VALID

    found = unwrap(wrapped(*[signed] * 5))

    assert found.judgement is Judgement.INVALID
    assert isinstance(found.failure, CmsSyntaxError)
    assert found.failure.reason == "too-many-layers"
    assert found.content is None


@pytest.mark.parametrize(
    "steps",
    [
        (signed_by_a_stranger, signed),
        (signed, signed_by_a_stranger),
        (signed_by_a_stranger, closed, signed),
        (signed, closed, signed_by_a_stranger),
    ],
)
def test_the_weakest_signature_decides(steps: tuple[Callable[[bytes], bytes], ...]) -> None:
    """A good signature must not lend its colour to another."""
    found = unwrap(wrapped(*steps))

    assert found.judgement is Judgement.UNTRUSTED
    assert found.content == ENTITY
    assert PKI.stranger_signature.certificate in [each.signer for each in found.layers]


def test_a_signature_over_a_ciphertext_alone_is_remarked() -> None:
    """Its signer may have taken somebody else's ciphertext (RFC 8551, 3.7)."""
    assert unwrap(wrapped(signed, closed)).findings == ("signed-outside-only",)
    assert unwrap(wrapped(closed, signed)).findings == ()
    assert unwrap(wrapped(signed, closed, signed)).findings == ()


def test_soft_content_without_a_valid_signature_is_malleable() -> None:
    """Efail: flipped blocks become text of the attacker's, and nobody notices."""
    assert unwrap(closed_softly(ENTITY)).findings == ("content-malleable",)
    assert unwrap(wrapped(closed_softly, signed_by_a_stranger)).findings == ("content-malleable",)


def test_nothing_inside_a_bad_signature_is_looked_at() -> None:
    """What was changed is not shown, and not opened for the one who changed it."""
    inside = closed(ENTITY)
    broken = signed(inside).replace(inside[-60:-50], b"A" * 10)

    found = unwrap(broken)

    assert found.judgement is Judgement.INVALID
    assert isinstance(found.failure, SignatureError)
    assert len(found.layers) == 1
    assert found.content is None


def test_a_letter_for_somebody_else_stays_closed() -> None:
    """We say so, and who could open it is none of our business."""
    sealed = smime.encrypt(ENTITY, recipients=[PKI.hospital_confidentiality.certificate])

    found = unwrap(signed(sealed))

    assert found.judgement is Judgement.UNDECRYPTABLE
    assert isinstance(found.failure, NoMatchingKeyError)
    assert found.layers[-1].algorithm is None


def test_a_cipher_that_does_not_authenticate_may_be_refused() -> None:
    """For senders of whom we know that they do better."""
    assert unwrap(closed(ENTITY), only_authenticated=True).content == ENTITY
    found = unwrap(closed_softly(signed(ENTITY)), only_authenticated=True)
    assert found.judgement is Judgement.UNDECRYPTABLE


def test_a_header_that_reads_in_two_ways_is_a_bad_signature() -> None:
    """One reader would see a signed letter, another a plain one."""
    found = unwrap(signed(ENTITY).replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain\r\n\r\n", 1))

    assert found.judgement is Judgement.INVALID


def test_without_anchors_nobody_is_trusted_and_the_letter_can_be_read() -> None:
    """That nobody vouches for a signer is no reason to hide what was signed."""
    found = layers.unwrap(
        signed(ENTITY),
        keys=SoftwareKeyHolder([]),
        store=trust.TrustStore([], [], []),
        profile=trust.MAIL_SIGNING,
        at=NOW,
    )

    assert found.judgement is Judgement.UNTRUSTED
    assert found.content == ENTITY


def compressed(entity: bytes) -> bytes:
    """Compress as RFC 3274 says; we never do so ourselves."""
    inside = der.sequence(
        der.oid(algorithms.DATA),
        der.encode(der.context(0), der.octet_string(zlib.compress(entity))),
    )
    data = der.sequence(der.integer(0), der.sequence(der.oid(algorithms.ZLIB)), inside)
    cms = der.sequence(der.oid(algorithms.COMPRESSED_DATA), der.encode(der.context(0), data))
    return (
        b"Content-Type: application/pkcs7-mime; smime-type=compressed-data\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + wrap_base64(cms)
    )


@pytest.mark.parametrize(
    "steps", [(compressed,), (compressed, signed), (signed, compressed), (closed, compressed)]
)
def test_compression_is_a_layer_like_the_others(
    steps: tuple[Callable[[bytes], bytes], ...],
) -> None:
    """RFC 8551, 3.6: inside or outside of a signature."""
    found = unwrap(wrapped(*steps))

    assert found.content == ENTITY
    assert found.judgement is (Judgement.VALID if signed in steps else Judgement.NOT_SIGNED)
    assert "zlib" in [each.algorithm for each in found.layers]


def test_a_compression_bomb_is_not_shown() -> None:
    """It is refused at the limit, not when memory is full."""
    found = unwrap(compressed(bytes(6_000_000)))

    assert found.judgement is Judgement.INVALID
    assert found.layers[0].algorithm is None
    assert isinstance(found.failure, CmsSyntaxError)
    assert found.failure.reason == "decompressed-too-large"
