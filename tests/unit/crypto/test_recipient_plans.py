"""Several recipients of different abilities in one message."""

from functools import cache
from itertools import permutations

import pytest

from crypto import algorithms, cms, der, smime
from crypto.certificates import Certificate
from crypto.entity import read_entity
from crypto.errors import KeyUnavailableError, UnsupportedAlgorithmError
from crypto.issuing import CertificateProfile, Issued
from crypto.recipient_info import build_recipient_infos, content_profile, plan_recipients
from crypto.smime import EnvelopeProfile, RecipientPlan
from tests.support.pki import HOSPITAL, ISSUED_AT, the_pki
from tests.unit.crypto.forging import ENTITY

MODERN, COMPATIBLE, LEGACY = (
    EnvelopeProfile.MODERN,
    EnvelopeProfile.COMPATIBLE,
    EnvelopeProfile.LEGACY,
)


@cache
def reader(key: str = "p256", number: int = 0) -> Issued:
    """A reader of its own for each kind of key and number."""
    assert number >= 0
    return the_pki().authority.issue(
        CertificateProfile.CONFIDENTIALITY, HOSPITAL, at=ISSUED_AT, key=key
    )


@cache
def silent() -> Certificate:
    """A certificate for signing, which announces nothing."""
    issued = the_pki().authority.issue(CertificateProfile.SIGNATURE, HOSPITAL, at=ISSUED_AT)
    return issued.certificate


def plan(issued: Issued, profile: EnvelopeProfile) -> RecipientPlan:
    return RecipientPlan(certificate=issued.certificate, profile=profile)


def bare(entity: bytes) -> bytes:
    return read_entity(entity).decoded_body()


def transport_of(entity: bytes, issued: Issued) -> str:
    return smime.decrypt(entity, keys=issued.key_holder()).key_algorithm


@pytest.mark.parametrize("order", list(permutations([MODERN, COMPATIBLE, LEGACY])))
def test_the_content_is_what_the_weakest_reads_and_keys_are_each_one_s_own(
    order: tuple[EnvelopeProfile, ...],
) -> None:
    """One old reader costs the others authentication, but not the better padding."""
    readers = {each: reader("rsa2048", n) for n, each in enumerate([MODERN, COMPATIBLE, LEGACY])}

    sealed = smime.encrypt(ENTITY, recipients=[plan(readers[each], each) for each in order])

    assert cms.parse_enveloped(bare(sealed)).algorithm.oid == algorithms.AES256_CBC
    assert b"smime-type=enveloped-data" in sealed
    assert transport_of(sealed, readers[MODERN]) == "rsa-oaep-sha256"
    assert transport_of(sealed, readers[COMPATIBLE]) == "rsa-oaep-sha256"
    assert transport_of(sealed, readers[LEGACY]) == "rsa-pkcs1"


def test_modern_readers_with_keys_of_all_kinds_get_authenticated_content() -> None:
    """Curves, RSA and X25519 in one AuthEnvelopedData."""
    readers = [reader(each) for each in ("p256", "p384", "p521", "x25519", "rsa2048")]

    sealed = smime.encrypt(ENTITY, recipients=[plan(each, MODERN) for each in readers])

    opened = [smime.decrypt(sealed, keys=each.key_holder()) for each in readers]
    assert b"authEnveloped-data" in sealed
    assert {each.content_algorithm for each in opened} == {"aes-256-gcm"}
    assert [each.key_algorithm for each in opened] == [
        "ecdh-sha256kdf",
        "ecdh-sha384kdf",
        "ecdh-sha512kdf",
        "ecdh-hkdf-sha256",
        "rsa-oaep-sha256",
    ]


def test_what_is_known_of_a_reader_goes_before_what_the_certificate_announces() -> None:
    """A reader whose software lost the ability since the certificate was issued."""
    sealed = smime.encrypt(ENTITY, recipients=[plan(reader(), COMPATIBLE)])

    assert smime.decrypt(sealed, keys=reader().key_holder()).content_algorithm == "aes-256-cbc"


def test_a_profile_for_all_does_not_change_plans() -> None:
    """It is for plain certificates."""
    planned, plain = reader("rsa2048", 0), reader("rsa2048", 1)

    sealed = smime.encrypt(
        ENTITY, recipients=[plan(planned, COMPATIBLE), plain.certificate], profile=LEGACY
    )

    assert transport_of(sealed, planned) == "rsa-oaep-sha256"
    assert transport_of(sealed, plain) == "rsa-pkcs1"


@pytest.mark.parametrize("order", list(permutations([MODERN, COMPATIBLE, LEGACY])))
def test_a_certificate_that_comes_several_times_is_one_recipient_of_the_weakest_profile(
    order: tuple[EnvelopeProfile, ...],
) -> None:
    """Mailboxes of one structure share a certificate, and not their software."""
    shared = reader("rsa2048")

    sealed = smime.encrypt(ENTITY, recipients=[plan(shared, each) for each in order])

    assert len(cms.parse_enveloped(bare(sealed)).recipients) == 1
    assert transport_of(sealed, shared) == "rsa-pkcs1"


@pytest.mark.parametrize(
    ("profiles", "expected"),
    [
        ([MODERN], MODERN),
        ([MODERN, MODERN], MODERN),
        ([MODERN, COMPATIBLE], COMPATIBLE),
        ([LEGACY], COMPATIBLE),
        ([MODERN, LEGACY], COMPATIBLE),
    ],
)
def test_the_content_profile_is_modern_or_compatible(
    profiles: list[EnvelopeProfile], expected: EnvelopeProfile
) -> None:
    """The old padding is a matter of the key alone."""
    plans = [plan(reader("p256", n), each) for n, each in enumerate(profiles)]

    assert content_profile(plans) is expected


def test_silent_certificates_are_compatible_and_announcing_ones_modern() -> None:
    """Nothing is guessed."""
    plans = plan_recipients([reader().certificate, silent()])

    assert [each.profile for each in plans] == [MODERN, COMPATIBLE]


def test_plans_keep_their_order() -> None:
    """So that what is written does not depend on a hash."""
    readers = [reader("p256", n).certificate for n in range(5)]

    assert [each.certificate for each in plan_recipients(readers)] == readers


@pytest.mark.parametrize("profile", list(EnvelopeProfile))
def test_a_curve_has_one_way_whatever_the_profile(profile: EnvelopeProfile) -> None:
    """There is no legacy form of key agreement to fall back to."""
    sealed = smime.encrypt(ENTITY, recipients=[plan(reader(), profile)])

    assert transport_of(sealed, reader()) == "ecdh-sha256kdf"


@pytest.mark.parametrize(
    ("keys", "version"),
    [(["rsa2048"], 0), (["p256"], 2), (["rsa2048", "p256"], 2), (["mlkem768"], 3)],
)
def test_the_version_follows_the_kinds_of_recipients(keys: list[str], version: int) -> None:
    """RFC 5652, 6.1; some readers check it."""
    plans = [plan(reader(each), COMPATIBLE) for each in keys]

    assert build_recipient_infos(plans, bytes(32)).version == version


def test_an_enveloped_data_states_the_version_of_its_recipients() -> None:
    """As above, in what is sent."""
    sealed = smime.encrypt(ENTITY, recipients=[plan(reader(), COMPATIBLE)])
    body = der.parse(bare(sealed)).children()[1].children()[0]

    assert der.read_integer(body.children()[0]) == 2


def test_recipients_are_sorted_as_der_wants_them() -> None:
    """Strict readers refuse a SET OF in another order."""
    plans = [plan(reader(each), MODERN) for each in ("rsa2048", "p256", "x25519", "p384")]

    members = der.parse(build_recipient_infos(plans, bytes(32)).encoded).children()

    raw = [each.raw for each in members]
    assert raw == sorted(raw)
    assert len(raw) == 4


def test_a_thousand_recipients_are_the_most() -> None:
    """A longer list is a mistake, or a mailing list that should be several messages."""
    plans = [plan(reader(), MODERN)] * 1001

    with pytest.raises(KeyUnavailableError) as refusal:
        build_recipient_infos(plans, bytes(32))

    assert refusal.value.reason == "recipient-count"


def test_a_signing_key_is_no_recipient() -> None:
    """Ed25519 signs and cannot do anything else."""
    signer = the_pki().authority.issue(
        CertificateProfile.CONFIDENTIALITY, HOSPITAL, at=ISSUED_AT, key="ed25519"
    )

    with pytest.raises(UnsupportedAlgorithmError) as refusal:
        smime.encrypt(ENTITY, recipients=[signer.certificate])

    assert refusal.value.reason == "recipient-key"
