"""What strangers and attackers do to encrypted messages, and the verdict on each.

Either a message is refused by its form, with a reason that anybody could find out alone; or a key
was used, and then there is one answer. An answer that differs would be an oracle.
"""

import secrets

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crypto import algorithms, der, enveloped_data, smime
from crypto.algorithms import KeyTransport
from crypto.content_encryption import ContentDecryptor, open_decryptor
from crypto.errors import (
    CmsSyntaxError,
    CryptoError,
    DecryptionError,
    UnsupportedAlgorithmError,
)
from tests.support.envelopes import (
    AES256_WRAP,
    ATTRIBUTE,
    MATERIAL,
    RSA_PKCS1,
    Agreement,
    Authenticated,
    SharedInfo,
    cbc_algorithm,
    gcm_algorithm,
    inner,
    oaep,
    sealed_cbc,
    transport,
    unauthenticated,
)
from tests.unit.crypto.forging import ENTITY
from tests.unit.crypto.opening import (
    CURVE,
    RECIPIENT,
    RSA,
    SEALED,
    assert_refused,
    assert_undecryptable,
    authenticated,
    everybody,
    opened,
    reader,
    structure,
)

OTHER_POINT = (
    ec.generate_private_key(ec.SECP384R1())
    .public_key()
    .public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
)
CERTIFIED = der.sequence(CURVE.issuer_der, CURVE.serial_der)


@pytest.mark.parametrize(
    ("recipient", "error", "reason"),
    [
        pytest.param(
            transport(RSA, algorithm=der.sequence(der.oid("1.2.3"))),
            UnsupportedAlgorithmError,
            "key-transport",
            id="unknown key transport",
        ),
        pytest.param(
            transport(RSA, algorithm=oaep(algorithms.SHA256, algorithms.SHA384)),
            UnsupportedAlgorithmError,
            "oaep-digest",
            id="OAEP of two hashes",
        ),
        pytest.param(
            transport(RSA, algorithm=oaep("1.2.840.113549.2.5", "1.2.840.113549.2.5")),
            UnsupportedAlgorithmError,
            "oaep-digest",
            id="OAEP with MD5",
        ),
        pytest.param(
            transport(RSA, algorithm=oaep(label=b"label")),
            UnsupportedAlgorithmError,
            "oaep-label",
            id="OAEP with a label",
        ),
        pytest.param(
            transport(RSA, algorithm=der.sequence(der.oid(algorithms.RSA_OAEP), der.null())),
            CmsSyntaxError,
            "oaep-parameters",
            id="OAEP with NULL",
        ),
        pytest.param(
            transport(CURVE, encrypted=bytes(256)),
            CmsSyntaxError,
            "recipient-key-mismatch",
            id="key transport to a curve",
        ),
        pytest.param(
            Agreement(
                certificate=CURVE, identifier=der.sequence(RSA.issuer_der, RSA.serial_der)
            ).octets(),
            CmsSyntaxError,
            "recipient-key-mismatch",
            id="key agreement with RSA",
        ),
        pytest.param(
            Agreement(
                certificate=CURVE, stated_wrap=der.sequence(der.oid("1.2.840.113549.1.9.16.3.6"))
            ).octets(),
            UnsupportedAlgorithmError,
            "weak-cipher",
            id="triple DES wrap",
        ),
        pytest.param(
            Agreement(certificate=CURVE, stated_wrap=der.sequence(der.oid("1.2.3"))).octets(),
            UnsupportedAlgorithmError,
            "key-wrap",
            id="unknown wrap",
        ),
        pytest.param(
            Agreement(
                certificate=CURVE,
                stated_wrap=der.sequence(der.oid(algorithms.AES256_WRAP), der.integer(1)),
            ).octets(),
            CmsSyntaxError,
            "key-wrap-parameters",
            id="wrap parameters",
        ),
        pytest.param(
            Agreement(certificate=CURVE, originator=CERTIFIED).octets(),
            CmsSyntaxError,
            "originator-not-one-time",
            id="the originator's certificate",
        ),
        pytest.param(
            Agreement(certificate=CURVE, originator=der.encode(0x80, bytes(20))).octets(),
            CmsSyntaxError,
            "originator-not-one-time",
            id="the originator's key identifier",
        ),
        pytest.param(
            Agreement(
                certificate=CURVE,
                kind=der.sequence(der.oid(algorithms.EC_PUBLIC_KEY), der.oid("1.3.132.0.34")),
            ).octets(),
            CmsSyntaxError,
            "originator-curve",
            id="another curve named",
        ),
        pytest.param(
            Agreement(
                certificate=CURVE,
                kind=der.sequence(der.oid(algorithms.EC_PUBLIC_KEY), der.sequence()),
            ).octets(),
            CmsSyntaxError,
            "originator-curve",
            id="a curve by its parameters",
        ),
        pytest.param(
            Agreement(certificate=CURVE, kind=der.sequence(der.oid(algorithms.X25519))).octets(),
            UnsupportedAlgorithmError,
            "originator-key",
            id="a key of another kind",
        ),
        pytest.param(
            Agreement(certificate=reader("x25519").certificate).octets(),
            UnsupportedAlgorithmError,
            "originator-key",
            id="a curve's key for X25519",
        ),
        pytest.param(
            Agreement(certificate=CURVE, stated_material=bytes(1025)).octets(),
            CmsSyntaxError,
            "keying-material-too-large",
            id="much keying material",
        ),
    ],
)
def test_a_recipient_of_another_form_is_refused_with_its_reason(
    recipient: bytes, error: type[CryptoError], reason: str
) -> None:
    """By what anybody can see, before a key is used."""
    assert_refused(authenticated(recipient), error, reason)


def test_an_unknown_key_agreement_is_refused_with_its_reason() -> None:
    """As above; the scheme is renamed in what is otherwise right."""
    octets = Agreement(certificate=CURVE).octets()
    renamed = octets.replace(der.oid(algorithms.ECDH_SHA256_KDF), der.oid("1.3.132.1.11.9"))

    assert renamed != octets
    assert_refused(authenticated(renamed), UnsupportedAlgorithmError, "key-agreement")


TRIPLE_DES = der.sequence(der.oid("1.2.840.113549.3.7"), der.octet_string(bytes(8)))
RC2 = der.sequence(
    der.oid("1.2.840.113549.3.2"), der.sequence(der.integer(58), der.octet_string(bytes(8)))
)


@pytest.mark.parametrize(
    ("octets", "error", "reason"),
    [
        pytest.param(
            unauthenticated((RECIPIENT,), ENTITY, algorithm=TRIPLE_DES),
            UnsupportedAlgorithmError,
            "weak-cipher",
            id="triple DES",
        ),
        pytest.param(
            unauthenticated((RECIPIENT,), ENTITY, algorithm=RC2),
            UnsupportedAlgorithmError,
            "weak-cipher",
            id="RC2",
        ),
        pytest.param(
            unauthenticated((RECIPIENT,), ENTITY, algorithm=gcm_algorithm(), ciphertext=SEALED),
            UnsupportedAlgorithmError,
            "cipher-in-wrong-structure",
            id="GCM inside EnvelopedData",
        ),
        pytest.param(
            Authenticated(
                recipients=(RECIPIENT,), content=ENTITY, algorithm=cbc_algorithm()
            ).octets(),
            UnsupportedAlgorithmError,
            "cipher-in-wrong-structure",
            id="CBC inside AuthEnvelopedData",
        ),
        pytest.param(
            Authenticated(recipients=(RECIPIENT,), content=ENTITY, is_tagged=False).octets(),
            CmsSyntaxError,
            "missing-field",
            id="no tag",
        ),
        pytest.param(
            structure(
                algorithms.ENVELOPED_DATA,
                inner(SEALED[:-16], gcm_algorithm()),
                der.octet_string(SEALED[-16:]),
            ),
            CmsSyntaxError,
            "unexpected-field",
            id="an AuthEnvelopedData relabelled as EnvelopedData",
        ),
        pytest.param(
            structure(algorithms.AUTH_ENVELOPED_DATA, inner(sealed_cbc(ENTITY), cbc_algorithm())),
            CmsSyntaxError,
            "missing-field",
            id="an EnvelopedData relabelled as AuthEnvelopedData",
        ),
        pytest.param(
            Authenticated(
                recipients=(RECIPIENT,), content=ENTITY, content_type=algorithms.SIGNED_DATA
            ).octets(),
            CmsSyntaxError,
            "inner-content-type",
            id="another content inside",
        ),
        pytest.param(
            structure(
                algorithms.AUTH_ENVELOPED_DATA,
                der.sequence(der.oid(algorithms.DATA), gcm_algorithm()),
                der.octet_string(SEALED[-16:]),
            ),
            CmsSyntaxError,
            "missing-field",
            id="no content",
        ),
        pytest.param(
            Authenticated(recipients=(RECIPIENT,), content=ENTITY, sent=(ATTRIBUTE,) * 65).octets(),
            CmsSyntaxError,
            "too-many-attributes",
            id="many attributes",
        ),
        pytest.param(
            authenticated(RECIPIENT) + b"\x00", CmsSyntaxError, "trailing-octets", id="more after"
        ),
    ],
)
def test_another_structure_is_refused_with_its_reason(
    octets: bytes, error: type[CryptoError], reason: str
) -> None:
    """A cipher goes with one structure, so that nobody can re-label it."""
    assert_refused(octets, error, reason)


@pytest.mark.parametrize(
    ("tag", "stated"),
    [(16, 15), (12, 16), (15, 16), (17, 16), (17, 17), (11, 11), (8, 8), (4, 4), (0, 0), (0, 16)],
)
def test_a_tag_of_another_length_opens_nothing(tag: int, stated: int) -> None:
    """Too short to be safe, or not what the message says; anybody can see it."""
    with pytest.raises(DecryptionError) as refusal:
        opened(
            Authenticated(
                recipients=(RECIPIENT,),
                content=ENTITY,
                algorithm=gcm_algorithm(tag_octets=stated),
                tag=(SEALED[-16:] + bytes(1))[:tag],
            ).octets()
        )

    assert refusal.value.reason == "tag-length"


# --- Failures once a key is used -------------------------------------------------------------

P256_ORDER_POINT = b"\x04" + bytes(64)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(b"\x00", id="infinity"),
        pytest.param(b"", id="empty"),
        pytest.param(P256_ORDER_POINT, id="zero"),
        pytest.param(b"\x04" + b"\xff" * 64, id="beyond the field"),
        pytest.param(b"\x04" + bytes(31) + b"\x01" + bytes(31) + b"\x01", id="off the curve"),
        pytest.param(b"\x02" + b"\xff" * 32, id="compressed beyond the field"),
        pytest.param(b"\x04" + bytes(63), id="short"),
        pytest.param(b"\x04" + bytes(65), id="long"),
        pytest.param(OTHER_POINT, id="of another curve"),
        pytest.param(bytes(32), id="of X25519"),
    ],
)
def test_a_point_that_is_none_gets_the_one_answer(point: bytes) -> None:
    """Invalid-curve attacks read a private key from answers that differ."""
    assert_undecryptable(authenticated(Agreement(certificate=CURVE, point=point).octets()))


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(bytes(32), id="zero"),
        pytest.param(b"\x01" + bytes(31), id="one"),
        pytest.param(
            bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
            id="order eight",
        ),
        pytest.param(bytes(31), id="short"),
        pytest.param(bytes(33), id="long"),
    ],
)
def test_a_point_of_small_order_gets_the_one_answer(point: bytes) -> None:
    """The shared secret would be known to everybody."""
    recipient = Agreement(
        certificate=reader("x25519").certificate,
        kind=der.sequence(der.oid(algorithms.X25519)),
        point=point,
    )

    assert_undecryptable(authenticated(recipient.octets()))


@pytest.mark.parametrize(
    "info", ["no-material", "wrong-bits", "null-wrap", "no-bits", "little-endian"]
)
def test_a_key_derived_from_other_context_gets_the_one_answer(info: SharedInfo) -> None:
    """The context binds the key to the algorithm and to the message."""
    recipient = Agreement(certificate=CURVE, info=info, stated_wrap=AES256_WRAP)

    assert_undecryptable(authenticated(recipient.octets()))


@pytest.mark.parametrize(
    "recipient",
    [
        pytest.param(
            Agreement(certificate=CURVE, stated_material=MATERIAL[::-1]), id="material changed"
        ),
        pytest.param(Agreement(certificate=CURVE, stated_material=b""), id="material left out"),
        pytest.param(
            Agreement(certificate=CURVE, material=None, stated_material=MATERIAL),
            id="material added",
        ),
        pytest.param(
            Agreement(certificate=CURVE, stated_wrap=der.sequence(der.oid(algorithms.AES128_WRAP))),
            id="another wrap",
        ),
        pytest.param(
            Agreement(
                certificate=CURVE,
                stated_wrap=der.sequence(der.oid(algorithms.AES256_WRAP), der.null()),
            ),
            id="wrap with NULL",
        ),
        pytest.param(Agreement(certificate=CURVE, key=bytes(16)), id="a short content key"),
        pytest.param(Agreement(certificate=CURVE, key=bytes(40)), id="a long content key"),
        pytest.param(Agreement(certificate=CURVE, key=bytes(32)), id="another content key"),
        pytest.param(Agreement(certificate=CURVE, encrypted=b""), id="no wrapped key"),
        pytest.param(Agreement(certificate=CURVE, encrypted=bytes(40)), id="zeros"),
        pytest.param(Agreement(certificate=CURVE, encrypted=bytes(41)), id="an odd length"),
        pytest.param(Agreement(certificate=CURVE, encrypted=bytes(65536)), id="much"),
    ],
)
def test_a_key_agreement_that_was_changed_gets_the_one_answer(recipient: Agreement) -> None:
    """Whatever was changed."""
    assert_undecryptable(authenticated(recipient.octets()))


@pytest.mark.parametrize(
    "recipient",
    [
        pytest.param(transport(RSA, key=bytes(32)), id="another content key"),
        pytest.param(transport(RSA, key=bytes(16)), id="a short content key"),
        pytest.param(transport(RSA, key=bytes(33)), id="a long content key"),
        pytest.param(transport(RSA, key=b""), id="an empty content key"),
        pytest.param(transport(RSA, encrypted=bytes(256)), id="zeros"),
        pytest.param(transport(RSA, encrypted=b"\xff" * 256), id="beyond the modulus"),
        pytest.param(transport(RSA, encrypted=b""), id="empty"),
        pytest.param(transport(RSA, encrypted=bytes(255)), id="short"),
        pytest.param(transport(RSA, encrypted=bytes(257)), id="long"),
        pytest.param(transport(RSA, scheme=KeyTransport.OAEP_SHA1), id="another hash"),
        pytest.param(transport(RSA, scheme=KeyTransport.PKCS1), id="another padding"),
        pytest.param(
            transport(RSA, scheme=KeyTransport.OAEP_SHA256, algorithm=RSA_PKCS1),
            id="relabelled as PKCS #1",
        ),
    ],
)
def test_a_key_transport_that_was_changed_gets_the_one_answer(recipient: bytes) -> None:
    """Manger's attack needs an answer that differs."""
    assert_undecryptable(authenticated(recipient))


class _Counting:
    """A decryptor that notes what is asked of it."""

    def __init__(self, inner: ContentDecryptor, calls: list[str]) -> None:
        self._inner, self._calls = inner, calls

    def update(self, piece: bytes) -> bytes:
        self._calls.append(f"update {len(piece)}")
        return self._inner.update(piece)

    def finish(self) -> bytes:
        self._calls.append("finish")
        return self._inner.finish()


def blob(number: int) -> bytes:
    """Random octets below the modulus; some are, by their number, well padded or nearly."""
    old = KeyTransport.PKCS1
    match number % 5:
        case 0:
            found = transport(RSA, scheme=old, algorithm=RSA_PKCS1, key=secrets.token_bytes(32))
        case 1:
            found = transport(RSA, scheme=old, algorithm=RSA_PKCS1, key=secrets.token_bytes(number))
        case _:
            octets = b"\x00" + secrets.token_bytes(255)
            found = transport(RSA, algorithm=RSA_PKCS1, encrypted=octets)
    return found


@pytest.mark.parametrize("number", range(200))
def test_two_hundred_wrong_blobs_take_one_way(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bleichenbacher: the same answer after the same steps, the content decrypted each time.

    The decryptor is replaced to see that it is used: time is too coarse a witness.
    """
    calls: list[str] = []

    def counting(*args: object, **kwargs: object) -> ContentDecryptor:
        return _Counting(open_decryptor(*args, **kwargs), calls)  # type: ignore[arg-type]

    monkeypatch.setattr(enveloped_data, "open_decryptor", counting)

    assert_undecryptable(authenticated(blob(number)))

    assert calls == [f"update {len(ENTITY)}", "finish"]


@pytest.mark.parametrize("length", [0, 1, 15, 17, 31, 33])
def test_cbc_of_a_wrong_length_gets_the_one_answer(length: int) -> None:
    """Vaudenay: a wrong length, a wrong padding and a wrong key are one thing."""
    assert_undecryptable(unauthenticated((RECIPIENT,), b"", ciphertext=bytes(length)))


@pytest.mark.parametrize("padding", [0, 17, 255])
def test_cbc_of_a_wrong_padding_gets_the_one_answer(padding: int) -> None:
    """As above; the last octet is chosen by changing the block before."""
    sealed = bytearray(sealed_cbc(bytes(31)))  # one octet of padding: 0x01
    sealed[15] ^= 1 ^ padding

    assert_undecryptable(unauthenticated((RECIPIENT,), b"", ciphertext=bytes(sealed)))


@pytest.mark.parametrize("block", range(1, 6))
def test_cbc_gadgets_are_marked_as_unproved(block: int) -> None:
    """Efail: what comes out may be anything, so it says so."""
    sealed = bytearray(sealed_cbc(ENTITY * 4))
    sealed[16 * (block - 1)] ^= 0x20

    proof = opened(unauthenticated((RECIPIENT,), b"", ciphertext=bytes(sealed)))

    assert proof.entity != ENTITY * 4
    assert not proof.authenticated
    assert "content-not-authenticated" in proof.findings


def test_unauthenticated_content_can_be_refused() -> None:
    """For senders who are known to do better."""
    octets = unauthenticated((RECIPIENT,), ENTITY)

    with pytest.raises(DecryptionError):
        smime.decrypt_cms(octets, keys=everybody(), only_authenticated=True)
