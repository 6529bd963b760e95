"""What honest peers write, in every form that we know of: all of it opens."""

from hashlib import sha1

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from crypto import algorithms, der, smime
from crypto.algorithms import KeyTransport
from crypto.certificates import parse_certificate
from crypto.errors import (
    CmsSyntaxError,
)
from crypto.keys import SoftwareKeyHolder
from tests.support.envelopes import (
    AES256_WRAP,
    ATTRIBUTE,
    RSA_PKCS1,
    Agreement,
    Authenticated,
    by_agreed_key,
    by_key,
    chacha,
    oaep,
    transport,
)
from tests.support.pki import ISSUED_AT, NOW, the_pki
from tests.unit.crypto.forging import ENTITY
from tests.unit.crypto.opening import (
    CURVE,
    RSA,
    assert_refused,
    assert_undecryptable,
    authenticated,
    opened,
    reader,
)

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
