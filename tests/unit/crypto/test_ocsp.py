from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from crypto import trust
from crypto.crl import parse_revocation_list
from crypto.errors import IndeterminateError, RevocationSyntaxError, RevokedError
from crypto.issuing import CertificateProfile, create_authority
from crypto.ocsp import build_ocsp_request, parse_ocsp_response
from crypto.revocation import Good, RevocationStatus, Revoked, Unknown, judge
from crypto.trust import TrustStore, ValidatedChain, validate
from tests.support.ocsp import GOOD, REVOKED, UNKNOWN, Delegate, a_delegate, a_response
from tests.support.pki import HOSPITAL, NOW, Pki, make_pki, the_pki

PKI = the_pki()
LEAF = PKI.hospital_signature.certificate
OTHER = PKI.practice_signature.certificate
ISSUER = PKI.authority.issuing


def status(*responses: bytes, lists: tuple[bytes, ...] = ()) -> RevocationStatus:
    return judge(
        LEAF,
        issuer=ISSUER.certificate,
        responses=[parse_ocsp_response(each) for each in responses],
        lists=[parse_revocation_list(each) for each in lists],
        at=NOW,
    )


def judged(
    *responses: bytes, pki: Pki = PKI, lists: tuple[bytes, ...] | None = None
) -> ValidatedChain:
    """Judge the leaf with these responses, and the root's list about its issuer."""
    authority = pki.authority
    store = TrustStore(
        authority.anchors,
        authority.intermediates,
        (authority.root_crl(NOW),) if lists is None else lists,
        responses,
    )
    leaf = pki.hospital_signature.certificate
    return validate(leaf, store=store, profile=trust.MAIL_SIGNING, at=NOW)


def test_the_issuer_says_good() -> None:
    """Until it promises a newer answer."""
    assert status(a_response(LEAF, ISSUER)) == Good(until=NOW + timedelta(hours=4))


def test_the_issuer_says_revoked_with_a_reason() -> None:
    """Spelled as in lists."""
    found = status(a_response(LEAF, ISSUER, status=REVOKED, reason=x509.ReasonFlags.key_compromise))

    assert found == Revoked(revoked_at=NOW, reason="keyCompromise")


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        (x509.ReasonFlags.ca_compromise, "cACompromise"),
        (x509.ReasonFlags.aa_compromise, "aACompromise"),
        (x509.ReasonFlags.certificate_hold, "certificateHold"),
        (None, "unspecified"),
    ],
)
def test_reasons_are_spelled_as_in_lists(flag: x509.ReasonFlags | None, text: str) -> None:
    """One word for one thing, wherever it came from."""
    found = status(a_response(LEAF, ISSUER, status=REVOKED, reason=flag))

    assert isinstance(found, Revoked)
    assert found.reason == text


def test_a_responder_that_does_not_know_has_not_said_good() -> None:
    """A forged certificate is unknown to its alleged issuer."""
    assert status(a_response(LEAF, ISSUER, status=UNKNOWN)) == Unknown(
        reason="unknown-to-responder"
    )


@pytest.mark.parametrize("digest", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_identifiers_are_understood_by_any_digest(digest: hashes.HashAlgorithm) -> None:
    """RFC 6960 leaves the choice to the responder."""
    assert isinstance(status(a_response(LEAF, ISSUER, digest=digest)), Good)


@pytest.mark.parametrize(
    "response",
    [
        a_response(OTHER, ISSUER),
        a_response(LEAF, ISSUER, named_issuer=PKI.authority.root.certificate),
        a_response(LEAF, ISSUER, named_issuer=PKI.stranger.issuing.certificate),
        a_response(LEAF, PKI.stranger.issuing, named_issuer=ISSUER.certificate),
        a_response(LEAF, ISSUER)[:-1] + b"\x00",
        a_response(LEAF, PKI.authority.root, named_issuer=ISSUER.certificate),
    ],
    ids=["other-leaf", "root", "look-alike", "signed-by-look-alike", "broken", "signed-by-root"],
)
def test_an_answer_about_or_by_somebody_else_is_not_heard(response: bytes) -> None:
    """Digest of the name, digest of the key, number, signature: all must fit."""
    assert status(response) == Unknown(reason="no-list")


@pytest.mark.parametrize(
    ("age", "lasts", "is_heard"),
    [
        (timedelta(0), timedelta(hours=1), True),
        (timedelta(hours=2), timedelta(hours=1), False),
        (timedelta(minutes=-4), timedelta(hours=1), True),
        (timedelta(minutes=-6), timedelta(hours=1), False),
        (timedelta(minutes=50), None, True),
        (timedelta(minutes=70), None, False),
        (timedelta(days=9), timedelta(days=365), True),
        (timedelta(days=11), timedelta(days=365), False),
    ],
)
def test_an_answer_is_heard_while_it_is_fresh(
    age: timedelta, lasts: timedelta | None, *, is_heard: bool
) -> None:
    """A replay of last month's answer is not, whatever it promised."""
    found = status(a_response(LEAF, ISSUER, at=NOW - age, lasts=lasts))

    assert isinstance(found, Good) is is_heard


# --- Delegates -------------------------------------------------------------------------------


def test_a_delegate_of_the_issuer_is_heard() -> None:
    """The usual way: the authority's key stays in its safe."""
    assert isinstance(status(a_response(LEAF, ISSUER, by=a_delegate(ISSUER))), Good)


ROOT = PKI.authority.root


@pytest.mark.parametrize(
    "delegate",
    [
        a_delegate(ISSUER, usage=ExtendedKeyUsageOID.EMAIL_PROTECTION),
        a_delegate(ISSUER, usage=ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE),
        a_delegate(ISSUER, until=NOW - timedelta(seconds=1)),
        a_delegate(ROOT),
        a_delegate(PKI.stranger.issuing),
        a_delegate(replace(PKI.stranger.issuing, certificate=ISSUER.certificate)),
    ],
    ids=["not-for-ocsp", "for-anything", "expired", "of-the-root", "of-a-look-alike", "forged"],
)
def test_a_delegate_without_the_right_is_not_heard(delegate: Delegate) -> None:
    """RFC 6960, 4.2.2.2: the very issuer, and for this very purpose."""
    assert status(a_response(LEAF, ISSUER, by=delegate)) == Unknown(reason="no-list")


def test_a_delegate_that_hides_its_certificate_is_not_heard() -> None:
    """Its signature cannot be checked."""
    response = a_response(LEAF, ISSUER, by=a_delegate(ISSUER), shows=False)

    assert status(response) == Unknown(reason="no-list")


def test_a_delegate_that_may_be_revoked_is_proven_first() -> None:
    """Without ocsp-nocheck, a list must say that the delegate itself is not revoked."""
    pki = make_pki()
    delegate = a_delegate(pki.authority.issuing, has_no_check=False)
    response = a_response(pki.hospital_signature.certificate, pki.authority.issuing, by=delegate)

    with pytest.raises(IndeterminateError):
        judged(response, pki=pki)
    assert judged(response, pki=pki, lists=pki.authority.crls(NOW)).findings == ()
    pki.authority.revoke(delegate.certificate, at=NOW)
    chain = judged(response, pki=pki, lists=pki.authority.crls(NOW))
    assert {each.kind for each in chain.rests_on} == {"crl"}


# --- Lists and answers together --------------------------------------------------------------


def test_whoever_says_revoked_wins() -> None:
    """In both directions: answers may be newer than lists, and lists than answers."""
    pki = make_pki()
    leaf, issuing = pki.hospital_signature.certificate, pki.authority.issuing
    good, bad = a_response(leaf, issuing), a_response(leaf, issuing, status=REVOKED)
    clean = pki.authority.crls(NOW)
    pki.authority.revoke(leaf, at=NOW)
    revoking = pki.authority.crls(NOW)

    assert judged(good, pki=pki, lists=clean).findings == ()
    with pytest.raises(RevokedError):
        judged(bad, pki=pki, lists=clean)
    with pytest.raises(RevokedError):
        judged(good, pki=pki, lists=revoking)


def test_an_answer_stands_in_for_a_missing_list() -> None:
    """And the chain says so."""
    chain = judged(a_response(LEAF, ISSUER))

    assert [each.kind for each in chain.rests_on] == ["ocsp", "crl"]
    assert chain.fresh_until == NOW + trust.VERDICT_KEPT_FOR


def test_a_list_stands_in_for_a_responder_that_does_not_know() -> None:
    """A responder that is behind is no reason to refuse what the list clears."""
    found = status(a_response(LEAF, ISSUER, status=UNKNOWN), lists=(PKI.authority.crl(NOW),))

    assert isinstance(found, Good)


def test_new_answers_leave_the_verdicts_about_others() -> None:
    """An answer an hour for each correspondent must not empty the cache of a busy door."""
    store = PKI.store()
    theirs = validate(OTHER, store=store, profile=trust.MAIL_SIGNING, at=NOW)
    ours = validate(LEAF, store=store, profile=trust.MAIL_SIGNING, at=NOW)

    newer = store.with_responses([a_response(LEAF, ISSUER, status=REVOKED)])

    assert newer.find_verdict(OTHER, trust.MAIL_SIGNING, NOW) is theirs
    assert newer.find_verdict(LEAF, trust.MAIL_SIGNING, NOW) is None
    assert store.find_verdict(LEAF, trust.MAIL_SIGNING, NOW) is ours
    with pytest.raises(RevokedError):
        validate(LEAF, store=newer, profile=trust.MAIL_SIGNING, at=NOW)


# --- Forms -----------------------------------------------------------------------------------


def test_a_request_names_the_certificate_and_may_carry_a_nonce() -> None:
    """What a responder reads."""
    request = ocsp.load_der_ocsp_request(
        build_ocsp_request(LEAF, issuer=ISSUER.certificate, nonce=b"0123456789abcdef")
    )

    assert request.serial_number == LEAF.serial
    assert request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    plain = ocsp.load_der_ocsp_request(build_ocsp_request(LEAF, issuer=ISSUER.certificate))
    assert not list(plain.extensions)


def test_a_nonce_is_compared_when_it_is_repeated() -> None:
    """Most responders sign beforehand and repeat none."""
    with_nonce = parse_ocsp_response(
        a_response(LEAF, ISSUER, extension=(x509.OCSPNonce(b"ours"), False))
    )

    assert with_nonce.answers(b"ours")
    assert not with_nonce.answers(b"theirs")
    assert parse_ocsp_response(a_response(LEAF, ISSUER)).answers(b"ours")


@pytest.mark.parametrize("is_critical", [True, False])
def test_an_unknown_critical_extension_makes_an_answer_unusable(*, is_critical: bool) -> None:
    """Critical means: refuse if you do not understand."""
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    found = status(a_response(LEAF, ISSUER, extension=(unknown, is_critical)))

    assert isinstance(found, Unknown) is is_critical


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (ocsp.OCSPResponseStatus.TRY_LATER, "response-try-later"),
        (ocsp.OCSPResponseStatus.UNAUTHORIZED, "response-unauthorized"),
        (ocsp.OCSPResponseStatus.INTERNAL_ERROR, "response-internal-error"),
    ],
)
def test_a_refusal_to_answer_is_no_answer(refusal: ocsp.OCSPResponseStatus, reason: str) -> None:
    """It is not signed; anybody on the way can send it."""
    octets = ocsp.OCSPResponseBuilder.build_unsuccessful(refusal).public_bytes(Encoding.DER)

    with pytest.raises(RevocationSyntaxError) as failure:
        parse_ocsp_response(octets)

    assert failure.value.reason == reason


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", b"<html>", bytes(2_000_000)])
def test_octets_that_are_no_response_are_refused(octets: bytes) -> None:
    """The one declared error."""
    with pytest.raises(RevocationSyntaxError):
        parse_ocsp_response(octets)


@pytest.mark.slow
def test_an_answer_signed_with_rsa_is_heard() -> None:
    """What IGC-Santé has today."""
    authority = create_authority("DEMO", at=NOW - timedelta(days=1), key="rsa2048")
    issuing = authority.issuing
    key = issuing.private_key
    assert isinstance(key, rsa.RSAPrivateKey)
    leaf = authority.issue(
        CertificateProfile.SIGNATURE, HOSPITAL, at=NOW - timedelta(days=1)
    ).certificate
    builder = ocsp.OCSPResponseBuilder().add_response(
        leaf.parsed, issuing.certificate.parsed, hashes.SHA256(), GOOD, NOW,
        NOW + timedelta(hours=1), None, None,
    ).responder_id(ocsp.OCSPResponderEncoding.NAME, issuing.certificate.parsed)  # fmt: skip
    octets = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    found = judge(leaf, issuer=issuing.certificate, responses=[parse_ocsp_response(octets)], at=NOW)

    assert isinstance(found, Good)
