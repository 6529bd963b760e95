"""What strangers and attackers do to encrypted messages, and the verdict on each.

Either a message is refused by its form, with a reason that anybody could find out alone; or a key
was used, and then there is one answer. An answer that differs would be an oracle.
"""

import secrets
import time
from dataclasses import replace
from functools import cache
from hashlib import sha1

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from crypto import algorithms, cms, der, enveloped_data, smime
from crypto.algorithms import KeyTransport
from crypto.certificates import Certificate, parse_certificate
from crypto.content_encryption import ContentDecryptor, open_decryptor
from crypto.errors import (
    CmsSyntaxError,
    CryptoError,
    DecryptionError,
    NoMatchingKeyError,
    UnsupportedAlgorithmError,
)
from crypto.issuing import CertificateProfile, Issued
from crypto.keys import SoftwareKeyHolder
from tests.support.envelopes import (
    AES256_WRAP,
    ATTRIBUTE,
    CONTENT_KEY,
    MATERIAL,
    RSA_PKCS1,
    Agreement,
    Authenticated,
    SharedInfo,
    by_agreed_key,
    by_key,
    cbc_algorithm,
    chacha,
    content_info,
    gcm_algorithm,
    inner,
    oaep,
    sealed_cbc,
    sealed_gcm,
    transport,
    unauthenticated,
)
from tests.support.pki import HOSPITAL, ISSUED_AT, NOW, the_pki
from tests.unit.crypto.forging import ENTITY


@cache
def reader(key: str = "p256") -> Issued:
    return the_pki().authority.issue(
        CertificateProfile.CONFIDENTIALITY, HOSPITAL, at=ISSUED_AT, key=key
    )


@cache
def everybody() -> SoftwareKeyHolder:
    """A holder of a key of every kind."""
    holder = reader("p256").key_holder()
    for key in ("rsa2048", "p384", "p521", "x25519"):
        holder = holder.with_older(reader(key).key_holder())
    return holder


CURVE = reader("p256").certificate
RSA = reader("rsa2048").certificate


def opened(octets: bytes) -> smime.Decrypted:
    return smime.decrypt_cms(octets, keys=everybody())


def assert_undecryptable(octets: bytes) -> None:
    with pytest.raises(DecryptionError) as refusal:
        opened(octets)
    assert type(refusal.value) is DecryptionError
    assert str(refusal.value) == "undecryptable"
    assert refusal.value.__cause__ is None


def assert_refused(octets: bytes, error: type[CryptoError], reason: str) -> None:
    with pytest.raises(error) as refusal:
        opened(octets)
    assert getattr(refusal.value, "reason", "") == reason


def authenticated(*recipients: bytes) -> bytes:
    return Authenticated(recipients=recipients, content=ENTITY).octets()


# --- What must open --------------------------------------------------------------------------


OPENING = [
    pytest.param(Agreement(certificate=CURVE).octets(), (), id="key agreement"),
    pytest.param(
        Agreement(certificate=CURVE, identifier=by_agreed_key(CURVE)).octets(),
        (),
        id="key agreement by key identifier",
    ),
    pytest.param(
        Agreement(
            certificate=CURVE,
            identifier=by_agreed_key(CURVE, der.encode(der.GENERALIZED_TIME, b"20260101000000Z")),
        ).octets(),
        (),
        id="key agreement by key identifier and date",
    ),
    pytest.param(
        Agreement(certificate=CURVE, material=None, stated_material=b"").octets(),
        (),
        id="without keying material",
    ),
    pytest.param(
        Agreement(certificate=CURVE, point_format=PublicFormat.CompressedPoint).octets(),
        (),
        id="a compressed point",
    ),
    pytest.param(
        Agreement(
            certificate=CURVE,
            kind=der.sequence(der.oid(algorithms.EC_PUBLIC_KEY), der.oid("1.2.840.10045.3.1.7")),
        ).octets(),
        (),
        id="the curve named",
    ),
    pytest.param(
        Agreement(
            certificate=CURVE, kind=der.sequence(der.oid(algorithms.EC_DH_KEY), der.null())
        ).octets(),
        (),
        id="a key for ECDH with NULL",
    ),
    pytest.param(
        Agreement(
            certificate=CURVE, info="null-wrap", wrap=der.sequence(AES256_WRAP[2:], der.null())
        ).octets(),
        (),
        id="a key wrap with NULL",
    ),
    pytest.param(
        Agreement(certificate=CURVE, scheme="1.3.133.16.840.63.0.2").octets(),
        ("legacy-sha1kdf",),
        id="derived with SHA-1",
    ),
    pytest.param(
        Agreement(certificate=CURVE, scheme="1.3.132.1.14.1").octets(), (), id="cofactor scheme"
    ),
    pytest.param(
        Agreement(
            certificate=reader("p521").certificate, scheme=algorithms.ECDH_SHA512_KDF
        ).octets(),
        (),
        id="P-521",
    ),
    pytest.param(
        Agreement(
            certificate=reader("x25519").certificate,
            kind=der.sequence(der.oid(algorithms.X25519)),
        ).octets(),
        (),
        id="X25519 with the X9.63 derivation",
    ),
    pytest.param(transport(RSA), (), id="key transport"),
    pytest.param(transport(RSA, identifier=by_key(RSA)), (), id="by key identifier"),
    pytest.param(
        transport(RSA, scheme=KeyTransport.PKCS1, algorithm=RSA_PKCS1),
        ("legacy-rsa-pkcs1",),
        id="PKCS #1",
    ),
    pytest.param(
        transport(RSA, scheme=KeyTransport.PKCS1, algorithm=der.sequence(der.oid(algorithms.RSA))),
        ("legacy-rsa-pkcs1",),
        id="PKCS #1 without NULL",
    ),
    pytest.param(
        transport(RSA, scheme=KeyTransport.OAEP_SHA1, algorithm=oaep(None, None)),
        ("legacy-oaep-sha1",),
        id="OAEP by default",
    ),
    pytest.param(
        transport(
            RSA,
            scheme=KeyTransport.OAEP_SHA1,
            algorithm=der.sequence(der.oid(algorithms.RSA_OAEP)),
        ),
        ("legacy-oaep-sha1",),
        id="OAEP without parameters",
    ),
    pytest.param(
        transport(
            RSA,
            scheme=KeyTransport.OAEP_SHA384,
            algorithm=oaep(algorithms.SHA384, algorithms.SHA384),
        ),
        (),
        id="OAEP SHA-384",
    ),
    pytest.param(
        transport(
            RSA,
            scheme=KeyTransport.OAEP_SHA512,
            algorithm=oaep(algorithms.SHA512, algorithms.SHA512, label=b""),
        ),
        (),
        id="OAEP SHA-512 and an empty label",
    ),
    pytest.param(
        transport(
            RSA,
            scheme=KeyTransport.OAEP_SHA256_MGF1_SHA1,
            algorithm=oaep(algorithms.SHA256, None),
        ),
        ("legacy-oaep-sha1",),
        id="OAEP as Java means it",
    ),
]


@pytest.mark.parametrize(("recipient", "findings"), OPENING)
def test_what_honest_peers_write_opens(recipient: bytes, findings: tuple[str, ...]) -> None:
    """Everything that the rows below damage is right before."""
    proof = opened(authenticated(recipient))

    assert proof.entity == ENTITY
    assert proof.findings == findings


def nameless() -> SoftwareKeyHolder:
    """A certificate without a key identifier, as old authorities issue them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sans identifiant")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, ISSUED_AT, NOW)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    return SoftwareKeyHolder([(parse_certificate(certificate), key)])


def test_a_certificate_without_a_key_identifier_is_found_by_the_computed_one() -> None:
    """RFC 5280, 4.2.1.2: the SHA-1 of the key; not every authority writes it down."""
    keys = nameless()
    (certificate,) = keys.certificates
    point = certificate.parsed.public_key().public_bytes(
        Encoding.X962, PublicFormat.UncompressedPoint
    )
    assert certificate.key_identifier == sha1(point, usedforsecurity=False).digest()

    octets = authenticated(
        Agreement(certificate=certificate, identifier=by_agreed_key(certificate)).octets()
    )

    assert smime.decrypt_cms(octets, keys=keys).entity == ENTITY


@pytest.mark.parametrize("sent", [(), (ATTRIBUTE,)], ids=["none", "authenticated"])
@pytest.mark.parametrize("behind", [(), (ATTRIBUTE,)], ids=["none", "unauthenticated"])
def test_attributes_of_both_kinds_are_read(
    sent: tuple[bytes, ...], behind: tuple[bytes, ...]
) -> None:
    """The German health mail has them."""
    message = Authenticated(recipients=(transport(RSA),), content=ENTITY, sent=sent, behind=behind)

    assert opened(message.octets()).entity == ENTITY


OTHER_ATTRIBUTE = der.sequence(
    der.oid(algorithms.SIGNING_TIME),
    der.encode(der.SET, der.encode(der.UTC_TIME, b"261103100000Z")),
)


def test_attributes_in_any_order_are_authenticated_in_theirs() -> None:
    """Senders do not always sort; what is authenticated is the DER form."""
    unsorted = (OTHER_ATTRIBUTE, ATTRIBUTE)
    message = Authenticated(
        recipients=(transport(RSA),), content=ENTITY, sent=unsorted, signed=unsorted
    )
    assert list(unsorted) != sorted(unsorted)

    assert opened(message.octets()).entity == ENTITY


@pytest.mark.parametrize(
    ("sent", "signed"),
    [
        pytest.param((OTHER_ATTRIBUTE,), (ATTRIBUTE,), id="replaced"),
        pytest.param((), (ATTRIBUTE,), id="left out"),
        pytest.param((ATTRIBUTE,), (), id="added"),
        pytest.param((ATTRIBUTE, OTHER_ATTRIBUTE), (ATTRIBUTE,), id="one more"),
        pytest.param((ATTRIBUTE, ATTRIBUTE), (ATTRIBUTE,), id="twice"),
    ],
)
def test_changed_attributes_are_noticed(sent: tuple[bytes, ...], signed: tuple[bytes, ...]) -> None:
    """They are under the tag."""
    assert_undecryptable(
        Authenticated(
            recipients=(transport(RSA),), content=ENTITY, sent=sent, signed=signed
        ).octets()
    )


def test_chacha_opens() -> None:
    """RFC 8103."""
    proof = opened(chacha((transport(RSA),), ENTITY))

    assert proof.entity == ENTITY
    assert proof.content_algorithm == "chacha20-poly1305"


@pytest.mark.parametrize(
    "unknown",
    [
        pytest.param(der.encode(der.context(2), der.integer(4), der.null()), id="shared key"),
        pytest.param(der.encode(der.context(3), der.integer(0), der.null()), id="password"),
        pytest.param(der.encode(der.context(4), der.oid("1.2.3"), der.null()), id="other"),
        pytest.param(der.encode(der.context(9), der.null()), id="not yet invented"),
    ],
)
def test_recipients_of_unknown_kinds_are_passed_over(unknown: bytes) -> None:
    """Another recipient may be ours."""
    assert opened(authenticated(unknown, transport(RSA), unknown)).entity == ENTITY


def test_a_recipient_that_we_refuse_does_not_hide_another_of_ours() -> None:
    """Both certificates of a rotation are named, one in a form that we refuse."""
    refused = transport(CURVE, encrypted=bytes(32))

    proof = opened(authenticated(refused, transport(RSA)))

    assert proof.entity == ENTITY
    assert proof.recipient == RSA


# --- Recipients that come several times ------------------------------------------------------


@pytest.mark.parametrize("times", [2, 4])
def test_a_recipient_that_is_repeated_is_remarked(times: int) -> None:
    """Simple software writes one entry for each mailbox of a structure."""
    proof = opened(authenticated(*[transport(RSA) for _ in range(times)]))

    assert proof.entity == ENTITY
    assert proof.findings == ("recipient-repeated",)


@pytest.mark.parametrize("order", [1, -1])
def test_a_repeated_recipient_with_another_key_opens_nothing(order: int) -> None:
    """Two keys for one reader mean two readings of one message."""
    entries = (transport(RSA), transport(RSA, key=bytes(32)))[::order]

    assert_undecryptable(authenticated(*entries))


def test_a_recipient_is_not_repeated_without_end() -> None:
    """Each entry costs a private operation."""
    assert_refused(authenticated(*[transport(RSA)] * 5), CmsSyntaxError, "recipient-repeated")


def test_a_thousand_strangers_are_read_and_one_more_is_not() -> None:
    """A bound on what a message may cost before anything is known of it."""
    stranger = transport(the_pki().hospital_confidentiality.certificate, encrypted=b"")

    assert opened(authenticated(*[stranger] * 999, transport(RSA))).entity == ENTITY
    assert_refused(
        authenticated(*[stranger] * 1000, transport(RSA)), CmsSyntaxError, "recipient-count"
    )


def test_members_of_key_agreements_count_too() -> None:
    """One RecipientInfo may hold any number of recipients."""
    member = der.sequence(
        der.sequence(CURVE.issuer_der, der.integer(7)), der.octet_string(bytes(40))
    )
    fields = der.parse(Agreement(certificate=CURVE).octets()).children()
    head = b"".join(each.raw for each in fields[:-1])
    crowd = der.encode(der.context(1), head, der.sequence(*[member] * 600))

    assert_refused(authenticated(crowd, crowd), CmsSyntaxError, "recipient-count")


def test_large_recipients_are_refused() -> None:
    """Within the count, a megabyte is enough for any."""
    assert_refused(
        authenticated(transport(RSA, encrypted=bytes(1024 * 1024))),
        CmsSyntaxError,
        "recipients-too-large",
    )


def test_no_recipient_is_no_message() -> None:
    """The set must not be empty."""
    assert_refused(authenticated(), CmsSyntaxError, "recipient-count")


# --- Forms that are refused ------------------------------------------------------------------

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


RECIPIENT = transport(RSA)
SEALED = sealed_gcm(ENTITY)


def structure(content_type: str, *members: bytes) -> bytes:
    return content_info(content_type, der.integer(0), der.encode(der.SET, RECIPIENT), *members)


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


# --- Anything changed anywhere ---------------------------------------------------------------

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
