from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from crypto import algorithms, der, signed_data, smime, trust
from crypto.certificates import Certificate
from crypto.errors import (
    CmsSyntaxError,
    CryptoError,
    IndeterminateError,
    KeyUnavailableError,
    NotSignedError,
    RevokedError,
    SignatureError,
    UntrustedError,
)
from crypto.issuing import CertificateProfile
from crypto.smime import Kind, SignedBy
from tests.support.pki import HOSPITAL, ISSUED_AT, NOW, make_pki, the_pki
from tests.unit.crypto import forging
from tests.unit.crypto.forging import ENTITY, OTHER, Attributes

HOSPITAL_SIGNER = the_pki().hospital_signature
PRACTICE_SIGNER = the_pki().practice_signature
STORE = the_pki().store()


def verify(entity: bytes, *, store: trust.TrustStore = STORE, at: datetime = NOW) -> SignedBy:
    return smime.verify(entity, store=store, profile=trust.MAIL_SIGNING, at=at)


def reason_of(entity: bytes) -> str:
    """Verify an entity that must be refused as badly signed; return why."""
    with pytest.raises(SignatureError) as refusal:
        verify(entity)
    return refusal.value.reason


def forged(change: Callable[[Attributes], Attributes]) -> bytes:
    """A multipart/signed whose signed attributes went through *change* before being signed."""
    info = forging.signer_info(ENTITY, HOSPITAL_SIGNER, change=change)
    return forging.multipart(ENTITY, forging.signed_data([info], [HOSPITAL_SIGNER.certificate]))


@pytest.mark.parametrize("key", ["p256", "p384", "rsa2048", "ed25519"])
def test_what_is_signed_verifies_to_the_same_octets(key: str) -> None:
    """Every kind of key that a holder may have makes a signature that holds."""
    authority = the_pki().authority
    signer = authority.issue(CertificateProfile.SIGNATURE, HOSPITAL, at=ISSUED_AT, key=key)

    signed = smime.sign(ENTITY, keys=signer.key_holder(), at=NOW, chain=signer.chain)
    proof = verify(signed)

    assert proof.content == ENTITY
    assert proof.signer == signer.certificate
    assert proof.signed_at == NOW
    assert proof.findings == ()


def test_an_rsa_signature_is_pss_with_sha256() -> None:
    """The padding of 1993 is read but never written."""
    signer = the_pki().authority.issue(
        CertificateProfile.SIGNATURE, HOSPITAL, at=ISSUED_AT, key="rsa2048"
    )

    proof = verify(smime.sign(ENTITY, keys=signer.key_holder(), at=NOW))

    assert proof.algorithm == "rsa-pss-sha256"


def test_a_signature_certificate_without_key_usage_for_digital_signature_may_sign() -> None:
    """Person certificates of IGC-Santé have nonRepudiation only."""
    signer = the_pki().person_signature

    proof = verify(smime.sign(ENTITY, keys=signer.key_holder(), at=NOW))

    assert proof.signer.mail_addresses == ("anne.essai-leroux@cabinets-demo.mssante.fr",)


def test_signing_turns_bare_line_feeds_into_line_ends() -> None:
    """A relay would do it on the way and break the signature."""
    signed = smime.sign(ENTITY.replace(b"\r\n", b"\n"), keys=HOSPITAL_SIGNER.key_holder(), at=NOW)

    assert verify(signed).content == ENTITY


def test_a_signed_entity_states_no_mime_version() -> None:
    """MIME-Version belongs to the message around the entity."""
    signed = smime.sign(ENTITY, keys=HOSPITAL_SIGNER.key_holder(), at=NOW)

    assert signed.startswith(b"Content-Type: multipart/signed;")
    assert b"MIME-Version" not in signed


def test_a_header_around_the_entity_changes_nothing() -> None:
    """A whole message may be verified: only its media type matters."""
    signed = smime.sign(ENTITY, keys=HOSPITAL_SIGNER.key_holder(), at=NOW)

    assert verify(b"From: a@b.example\r\nMIME-Version: 1.0\r\n" + signed).content == ENTITY


def test_an_opaque_signature_verifies() -> None:
    """Some senders put the content inside the structure."""
    cms = signed_data.build(
        ENTITY,
        certificate=HOSPITAL_SIGNER.certificate,
        keys=HOSPITAL_SIGNER.key_holder(),
        at=NOW,
        is_detached=False,
    )

    assert verify(forging.opaque(cms)).content == ENTITY


def test_a_key_for_encryption_signs_nothing() -> None:
    """The usages of ORG CONF do not allow it, so the holder has no signing key."""
    with pytest.raises(KeyUnavailableError):
        smime.sign(ENTITY, keys=the_pki().hospital_confidentiality.key_holder(), at=NOW)


def test_an_expired_certificate_signs_nothing() -> None:
    """Better to fail here than to have every letter refused elsewhere."""
    with pytest.raises(KeyUnavailableError):
        smime.sign(ENTITY, keys=HOSPITAL_SIGNER.key_holder(), at=ISSUED_AT + timedelta(days=4000))


def test_a_changed_letter_is_refused() -> None:
    """The point of signing."""
    signed = smime.sign(ENTITY, keys=HOSPITAL_SIGNER.key_holder(), at=NOW)

    assert reason_of(signed.replace(b"sortie", b"Sortie")) == "content-changed"


def test_a_plain_entity_is_not_signed() -> None:
    """Not signed and badly signed are different answers."""
    with pytest.raises(NotSignedError):
        verify(ENTITY)


def test_a_damaged_signature_value_is_refused() -> None:
    """The digest matches; the signature does not."""
    info = forging.signer_info(ENTITY, HOSPITAL_SIGNER, damage=True)
    cms = forging.signed_data([info], [HOSPITAL_SIGNER.certificate])

    assert reason_of(forging.multipart(ENTITY, cms)) == "signature-wrong"


def test_content_both_inside_and_outside_is_refused() -> None:
    """Johnny C1: readers differ on which of the two they show."""
    info = forging.signer_info(ENTITY, HOSPITAL_SIGNER)
    cms = forging.signed_data([info], [HOSPITAL_SIGNER.certificate], content=ENTITY)

    assert reason_of(forging.multipart(OTHER, cms)) == "content-twice"
    assert reason_of(forging.multipart(ENTITY, cms)) == "content-twice"


def test_an_opaque_structure_without_content_is_refused() -> None:
    """There is nothing to show as signed."""
    info = forging.signer_info(ENTITY, HOSPITAL_SIGNER)
    cms = forging.signed_data([info], [HOSPITAL_SIGNER.certificate])

    assert reason_of(forging.opaque(cms)) == "content-missing"


def test_no_signer_at_all_is_refused() -> None:
    """Johnny C3: *signed by nobody* must not pass as fine, nor as unsigned."""
    cms = forging.signed_data([], [HOSPITAL_SIGNER.certificate])

    assert reason_of(forging.multipart(ENTITY, cms)) == "signer-missing"


def test_several_signers_hold_together() -> None:
    """Two departments may sign the same letter."""
    infos = [
        forging.signer_info(ENTITY, HOSPITAL_SIGNER),
        forging.signer_info(ENTITY, PRACTICE_SIGNER),
    ]
    cms = forging.signed_data(infos, [HOSPITAL_SIGNER.certificate, PRACTICE_SIGNER.certificate])

    proof = verify(forging.multipart(ENTITY, cms))

    signers = {proof.signer, *(chain.leaf for chain in proof.others)}
    assert signers == {HOSPITAL_SIGNER.certificate, PRACTICE_SIGNER.certificate}


@pytest.mark.parametrize("damaged", [0, 1])
def test_one_bad_signer_among_several_spoils_all(damaged: int) -> None:
    """Johnny C2: the good one must not lend its name to the other."""
    signers = (HOSPITAL_SIGNER, PRACTICE_SIGNER)
    infos = [
        forging.signer_info(ENTITY, each, damage=number == damaged)
        for number, each in enumerate(signers)
    ]
    cms = forging.signed_data(infos, [each.certificate for each in signers])

    assert reason_of(forging.multipart(ENTITY, cms)) == "signature-wrong"


def test_one_unknown_signer_among_several_spoils_all() -> None:
    """A trusted first signer must not hide a second that nobody knows."""
    stranger = the_pki().stranger_signature
    infos = [forging.signer_info(ENTITY, each) for each in (HOSPITAL_SIGNER, stranger)]
    cms = forging.signed_data(infos, [HOSPITAL_SIGNER.certificate, stranger.certificate])

    with pytest.raises(UntrustedError) as refusal:
        verify(forging.multipart(ENTITY, cms))

    assert refusal.value.signer == stranger.certificate


def test_attributes_of_one_letter_are_no_content_of_another() -> None:
    """Without signed attributes, those of an honest letter would verify as if they were one."""
    tbs = der.set_of(forging.encoded(forging.usual_attributes(ENTITY)))
    info = forging.signer_info(tbs, HOSPITAL_SIGNER, with_attributes=False)
    cms = forging.signed_data([info], [HOSPITAL_SIGNER.certificate])

    assert reason_of(forging.multipart(tbs, cms)) == "signed-attributes-missing"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda given: [*given, given[1]], "attribute-repeated"),
        (lambda given: [*given, given[0]], "attribute-repeated"),
        (lambda given: [given[0], (given[1][0], given[1][1] * 2)], "attribute-repeated"),
        (lambda given: [given[0], (given[1][0], [])], "attribute-repeated"),
        (lambda given: given[:1], "message-digest-missing"),
        (lambda given: given[1:], "content-type-attribute"),
        (
            lambda given: [(given[0][0], [der.oid(algorithms.SIGNED_DATA)]), given[1]],
            "content-type-attribute",
        ),
        (lambda given: [given[0], (given[1][0], [der.octet_string(bytes(32))])], "content-changed"),
        (lambda given: [*given, (algorithms.SIGNING_TIME, [der.null()])], "signing-time"),
        (
            lambda given: [*given, (algorithms.SIGNING_CERTIFICATE_V2, [der.null()])],
            "signing-certificate",
        ),
        (
            lambda given: [*given, (algorithms.CMS_ALGORITHM_PROTECTION, [der.null()])],
            "algorithm-protection",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_doubtful_attributes_are_refused(
    change: Callable[[Attributes], Attributes], reason: str
) -> None:
    """They are signed, so only the sender's own software could have made them: still no."""
    assert reason_of(forged(change)) == reason


def test_algorithm_protection_must_tell_the_algorithms_used() -> None:
    """RFC 6211: else the attribute protects nothing."""
    other = der.sequence(
        der.sequence(der.oid(algorithms.SHA512)),
        der.encode(der.context(1), der.oid(algorithms.ECDSA_SHA256)),
    )

    entity = forged(lambda given: [*given, (algorithms.CMS_ALGORITHM_PROTECTION, [other])])

    assert reason_of(entity) == "algorithm-protection"


def test_a_signature_made_for_another_certificate_of_the_same_key_is_refused() -> None:
    """RFC 5035: the certificate, not only the key, is part of what was signed."""
    named = signed_data._signing_certificate(PRACTICE_SIGNER.certificate)

    entity = forged(lambda given: [*given, (algorithms.SIGNING_CERTIFICATE_V2, [named])])

    assert reason_of(entity) == "signing-certificate-mismatch"


def reversed_attributes(given: Attributes) -> Attributes:
    """The usual ones are sorted; these are not."""
    return given[::-1]


def test_unsorted_attributes_verify_with_a_remark() -> None:
    """Senders do not always sort; the signature covers the sorted form."""
    info = forging.signer_info(ENTITY, HOSPITAL_SIGNER, change=reversed_attributes)
    cms = forging.signed_data([info], [HOSPITAL_SIGNER.certificate])

    assert "attributes-not-sorted" in verify(forging.multipart(ENTITY, cms)).findings


def test_a_signature_over_unsorted_attributes_verifies_with_a_remark() -> None:
    """node-forge signs them in the order in which it writes them; most readers take that."""
    info = forging.signer_info(ENTITY, HOSPITAL_SIGNER, change=reversed_attributes, sort=False)
    cms = forging.signed_data([info], [HOSPITAL_SIGNER.certificate])

    assert "attributes-not-sorted" in verify(forging.multipart(ENTITY, cms)).findings


@pytest.mark.parametrize("sort", [True, False])
def test_a_damaged_signature_over_unsorted_attributes_is_refused(*, sort: bool) -> None:
    """Two orders are tried, not two messages."""
    info = forging.signer_info(
        ENTITY, HOSPITAL_SIGNER, change=reversed_attributes, sort=sort, damage=True
    )
    cms = forging.signed_data([info], [HOSPITAL_SIGNER.certificate])

    assert reason_of(forging.multipart(ENTITY, cms)) == "signature-wrong"


def test_a_signature_over_another_order_than_written_is_refused() -> None:
    """Only DER's order and the one in the message are known; others are not guessed."""
    info = forging.signer_info(ENTITY, HOSPITAL_SIGNER, change=reversed_attributes, sort=False)
    sorted_info = forging.signer_info(ENTITY, HOSPITAL_SIGNER)
    signature = der.parse(info).children()[-1].raw
    cms = forging.signed_data(
        [der.sequence(*(each.raw for each in der.parse(sorted_info).children()[:-1]), signature)],
        [HOSPITAL_SIGNER.certificate],
    )

    assert reason_of(forging.multipart(ENTITY, cms)) == "signature-wrong"


@pytest.mark.parametrize("oid", [algorithms.SHA1, "1.2.840.113549.2.5"])
def test_old_digests_are_refused(oid: str) -> None:
    """SHA-1 and MD5 collide at will."""
    info = forging.signer_info(ENTITY, HOSPITAL_SIGNER, digest=der.sequence(der.oid(oid)))
    cms = forging.signed_data([info], [HOSPITAL_SIGNER.certificate])

    assert reason_of(forging.multipart(ENTITY, cms)) == "digest-refused"


@pytest.mark.parametrize(
    ("oid", "reason"),
    [
        ("1.2.840.10045.4.1", "signature-algorithm-refused"),  # ECDSA with SHA-1
        (algorithms.ECDSA_SHA384, "digest-mismatch"),
        (algorithms.RSA_SHA256, "key-of-another-kind"),
        (algorithms.RSA_PSS, "pss-parameters"),  # absent parameters mean SHA-1
    ],
)
def test_a_signature_algorithm_that_does_not_fit_is_refused(oid: str, reason: str) -> None:
    """What the signer says of the algorithm must agree with the rest."""
    info = forging.signer_info(ENTITY, HOSPITAL_SIGNER, algorithm=der.sequence(der.oid(oid)))
    cms = forging.signed_data([info], [HOSPITAL_SIGNER.certificate])

    assert reason_of(forging.multipart(ENTITY, cms)) == reason


def test_only_ordinary_content_counts_as_a_letter() -> None:
    """A time stamp or a certificate request is signed too, and is no letter."""
    info = forging.signer_info(ENTITY, HOSPITAL_SIGNER)
    cms = forging.signed_data(
        [info], [HOSPITAL_SIGNER.certificate], content_type="1.2.840.113549.1.9.16.1.4"
    )

    assert reason_of(forging.multipart(ENTITY, cms)) == "content-type-not-data"


CMS = forging.signed_data(
    [forging.signer_info(ENTITY, HOSPITAL_SIGNER)], [HOSPITAL_SIGNER.certificate]
)
TEXT = b"Content-Type: text/plain\r\n\r\nVirez 1000 euros.\r\n"


@pytest.mark.parametrize(
    ("entity", "reason"),
    [
        (
            forging.multipart(ENTITY, CMS, before=b"Virez 1000 euros.\r\n"),
            "text-before-signed-part",
        ),
        (forging.multipart(ENTITY, CMS, after=b"Virez 1000 euros.\r\n"), "text-after-signature"),
        (forging.multipart(ENTITY, CMS, after=b"--edge\r\n" + TEXT), "text-after-signature"),
        (
            forging.multipart(ENTITY, CMS, before=b"--edge\r\n" + TEXT + b"\r\n"),
            "part-superfluous",
        ),
        (
            forging.multipart(ENTITY, CMS, between=b"\r\n--edge\r\n" + TEXT),
            "part-superfluous",
        ),
        (forging.multipart(ENTITY, CMS, between=b"\r\n--edge--\r\n"), "part-missing"),
        (forging.multipart(ENTITY, CMS).replace(b"--edge--\r\n", b""), "boundary-missing"),
        (
            forging.multipart(ENTITY, CMS).replace(b"pkcs7-signature; name", b"zip; name"),
            "signature-part",
        ),
        (
            b"Content-Type: multipart/signed\r\n" + forging.multipart(ENTITY, CMS),
            "header-ambiguous",
        ),
        (forging.multipart(ENTITY, CMS).replace(b'; boundary="edge"', b""), "boundary"),
    ],
)
def test_anything_beside_the_two_parts_is_refused(entity: bytes, reason: str) -> None:
    """Johnny M1 to M4: a reader might show the other text as if it were signed."""
    assert reason_of(entity) == reason


@pytest.mark.parametrize(
    "preamble",
    [
        b"\r\n",
        b"This is a cryptographically signed message in MIME format.\r\n\r\n",
        b"This is an S/MIME signed message\r\n\r\n",
    ],
)
def test_the_preamble_of_known_software_is_passed_over(preamble: bytes) -> None:
    """Thunderbird and OpenSSL always write one; nobody displays it."""
    proof = verify(forging.multipart(ENTITY, CMS, before=preamble))

    assert proof.content == ENTITY


def test_a_signed_part_inside_a_mixed_message_is_not_a_signed_message() -> None:
    """Signed means the root is: what stands beside it is anybody's."""
    inner = forging.multipart(ENTITY, CMS)
    mixed = (
        b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n"
        + inner
        + b"\r\n--m\r\n"
        + TEXT
        + b"\r\n--m--\r\n"
    )

    assert smime.classify(mixed) is Kind.PLAIN
    with pytest.raises(NotSignedError):
        verify(mixed)


def test_the_inner_boundary_may_begin_like_the_outer() -> None:
    """Only a whole boundary line cuts; otherwise honest nested letters would be refused."""
    entity = (
        b"Content-Type: multipart/mixed; boundary=edge2\r\n\r\n--edge2\r\n"
        + TEXT
        + b"\r\n--edge2--\r\n"
    )
    cms = forging.signed_data(
        [forging.signer_info(entity, HOSPITAL_SIGNER)], [HOSPITAL_SIGNER.certificate]
    )

    assert verify(forging.multipart(entity, cms)).content == entity


def test_an_unknown_signer_leaves_content_and_name_for_an_honest_verdict() -> None:
    """Johnny C4: never green, but the letter can be kept with what is known of it."""
    stranger = the_pki().stranger_signature
    signed = smime.sign(ENTITY, keys=stranger.key_holder(), at=NOW, chain=stranger.chain)

    with pytest.raises(UntrustedError) as refusal:
        verify(signed)

    assert refusal.value.reason == "no-path"
    assert refusal.value.content == ENTITY
    assert refusal.value.signer == stranger.certificate


def test_the_content_of_a_letter_is_not_in_the_text_of_an_error() -> None:
    """Errors end up in logs, and letters must not."""
    stranger = the_pki().stranger_signature
    signed = smime.sign(ENTITY, keys=stranger.key_holder(), at=NOW)

    with pytest.raises(UntrustedError) as refusal:
        verify(signed)

    assert "Lettre" not in f"{refusal.value!r} {refusal.value}"


def test_a_signer_whose_certificate_is_not_at_hand_is_not_judged() -> None:
    """We cannot tell, which is not the same as a bad signature."""
    cms = forging.signed_data([forging.signer_info(ENTITY, HOSPITAL_SIGNER)], [])

    with pytest.raises(IndeterminateError) as refusal:
        verify(forging.multipart(ENTITY, cms))

    assert refusal.value.reason == "signer-certificate-missing"
    assert refusal.value.content == ENTITY
    assert refusal.value.signer is None


def test_a_certificate_at_hand_serves_a_letter_without_one() -> None:
    """The directory may know the signer."""
    cms = forging.signed_data([forging.signer_info(ENTITY, HOSPITAL_SIGNER)], [])

    proof = smime.verify(
        forging.multipart(ENTITY, cms),
        store=STORE,
        profile=trust.MAIL_SIGNING,
        at=NOW,
        intermediates=[HOSPITAL_SIGNER.certificate],
    )

    assert proof.signer == HOSPITAL_SIGNER.certificate


def test_a_revoked_signer_is_refused_with_the_content_at_hand() -> None:
    """The octets match; the person may no longer sign."""
    pki = make_pki()
    signed = smime.sign(ENTITY, keys=pki.hospital_signature.key_holder(), at=NOW)
    pki.authority.revoke(pki.hospital_signature.certificate, at=NOW - timedelta(hours=1))

    with pytest.raises(RevokedError) as refusal:
        verify(signed, store=pki.store())

    assert refusal.value.content == ENTITY


def test_without_revocation_lists_a_strict_profile_cannot_tell() -> None:
    """Fail closed, and say that a retry may succeed."""
    signed = smime.sign(ENTITY, keys=HOSPITAL_SIGNER.key_holder(), at=NOW)

    with pytest.raises(IndeterminateError) as refusal:
        verify(signed, store=the_pki().store_with([]))

    assert refusal.value.reason == "revocation-no-list"
    assert refusal.value.retryable


def test_a_signing_time_in_the_future_is_remarked() -> None:
    """It is only a claim, but one that deserves a look."""
    signed = smime.sign(ENTITY, keys=HOSPITAL_SIGNER.key_holder(), at=NOW + timedelta(hours=2))

    assert "signing-time-in-future" in verify(signed).findings


def test_nine_signers_are_too_many() -> None:
    """Each costs a signature check."""
    cms = forging.signed_data(
        [forging.signer_info(ENTITY, HOSPITAL_SIGNER)] * 9, [HOSPITAL_SIGNER.certificate]
    )

    with pytest.raises(CmsSyntaxError, match="too-many-signers"):
        verify(forging.multipart(ENTITY, cms))


def test_thirty_three_certificates_are_too_many() -> None:
    """They are read before anybody is believed."""
    authority = the_pki().authority
    crowd: list[Certificate] = [
        authority.issue(CertificateProfile.SIGNATURE, HOSPITAL, at=ISSUED_AT).certificate
        for _ in range(33)
    ]
    cms = forging.signed_data([forging.signer_info(ENTITY, HOSPITAL_SIGNER)], crowd)

    with pytest.raises(CmsSyntaxError, match="too-many-certificates"):
        verify(forging.multipart(ENTITY, cms))


def test_an_unreadable_certificate_beside_a_good_one_is_passed_over() -> None:
    """A kind of key that we do not know must not make the letter unreadable."""
    rubbish = der.sequence(der.sequence(der.integer(1)))
    info = forging.signer_info(ENTITY, HOSPITAL_SIGNER)
    cms = forging.signed_data([info], [HOSPITAL_SIGNER.certificate], beside=rubbish)

    assert "certificate-unreadable" in verify(forging.multipart(ENTITY, cms)).findings


@pytest.mark.parametrize("base64", [b"!!!!", b"AAA", b""])
def test_rubbish_instead_of_a_signature_is_a_declared_error(base64: bytes) -> None:
    """Whatever strangers send, a door gets an answer that it knows."""
    entity = (
        b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64
    )

    with pytest.raises(CryptoError):
        verify(entity)
