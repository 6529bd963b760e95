import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from crypto import trust
from crypto.certificates import Certificate, parse_certificate
from crypto.errors import ExpiredError, IndeterminateError, RevokedError, UntrustedError
from crypto.issuing import CertificateProfile, Subject
from crypto.path_finder import Budget, is_signed_by
from crypto.trust import Profile, TrustStore, Usage, ValidatedChain, validate
from tests.support.pki import (
    HOSPITAL,
    ISSUED_AT,
    NOW,
    issue_briefly,
    lenient,
    make_pki,
    the_pki,
)

LEAF = the_pki().hospital_signature.certificate


def judged(
    certificate: Certificate = LEAF,
    *,
    store: TrustStore | None = None,
    profile: Profile = trust.MAIL_SIGNING,
    at: datetime = NOW,
) -> ValidatedChain:
    """Ask with a store of its own, so that no verdict of another test is found."""
    return validate(certificate, store=store or the_pki().store(), profile=profile, at=at)


def reason_of(certificate: Certificate, *, profile: Profile = trust.MAIL_SIGNING) -> str:
    with pytest.raises(UntrustedError) as refusal:
        judged(certificate, profile=profile)
    return refusal.value.reason


def test_a_leaf_leads_through_its_issuer_to_the_anchor() -> None:
    """The proof names the whole way."""
    chain = judged()

    authority = the_pki().authority
    assert chain.certificates == (LEAF, *authority.intermediates, *authority.anchors)
    assert chain.findings == ()


def test_an_intermediate_may_come_with_the_leaf() -> None:
    """Or be known beforehand; one of the two is enough."""
    pki = the_pki()
    store = TrustStore(pki.authority.anchors, (), pki.authority.crls(NOW))

    with pytest.raises(UntrustedError):
        judged(store=store)
    chain = validate(
        LEAF,
        intermediates=pki.authority.intermediates,
        store=store,
        profile=trust.MAIL_SIGNING,
        at=NOW,
    )

    assert chain.leaf == LEAF


def test_a_look_alike_authority_convinces_nobody() -> None:
    """Same names, other keys."""
    assert reason_of(the_pki().stranger_signature.certificate) == "no-path"


def test_a_self_signed_leaf_convinces_nobody() -> None:
    """It signs itself, and no anchor signs it."""
    assert reason_of(the_pki().stranger.root.certificate) == "authority-as-leaf"
    assert reason_of(_self_signed()) == "no-path"


@pytest.mark.parametrize(
    "at", [ISSUED_AT - timedelta(seconds=1), NOW + timedelta(days=3), NOW + timedelta(days=9999)]
)
def test_outside_its_validity_a_certificate_is_refused(at: datetime) -> None:
    """Not before the first second, not after the last."""
    brief = issue_briefly(the_pki().authority, until=NOW + timedelta(days=1)).certificate

    with pytest.raises(ExpiredError):
        judged(brief, at=at)


@pytest.mark.parametrize("at", [ISSUED_AT, NOW + timedelta(days=1)])
def test_the_first_and_the_last_second_belong_to_the_validity(at: datetime) -> None:
    """RFC 5280, 4.1.2.5: inclusive."""
    pki = the_pki()
    brief = issue_briefly(pki.authority, until=NOW + timedelta(days=1)).certificate

    assert judged(brief, store=pki.store(at=at), at=at).judged_at == at


@pytest.mark.parametrize(
    ("profile", "usage"),
    [
        (CertificateProfile.CONFIDENTIALITY, Usage.MAIL_SIGNING),
        (CertificateProfile.SIGNATURE, Usage.MAIL_ENCRYPTION),
        (CertificateProfile.PERSON_SIGNATURE, Usage.TLS_CLIENT),
    ],
)
def test_a_key_usage_that_does_not_allow_the_use_refuses(
    profile: CertificateProfile, usage: Usage
) -> None:
    """A key for one thing is not a key for another."""
    leaf = the_pki().authority.issue(profile, HOSPITAL, at=ISSUED_AT).certificate

    assert reason_of(leaf, profile=Profile(usage=usage)) == "key-usage"


@pytest.mark.parametrize(
    ("profile", "usage"),
    [
        (CertificateProfile.SERVER, Usage.MAIL_SIGNING),
        (CertificateProfile.SERVER, Usage.DOCUMENT_SIGNING),
        (CertificateProfile.SIGNATURE, Usage.TLS_SERVER),
        (CertificateProfile.SIGNATURE, Usage.TLS_CLIENT),
        (CertificateProfile.CLIENT, Usage.TLS_SERVER),
    ],
)
def test_an_extended_key_usage_that_does_not_name_the_use_refuses(
    profile: CertificateProfile, usage: Usage
) -> None:
    """A web server's certificate signs no letter."""
    leaf = the_pki().authority.issue(profile, HOSPITAL, at=ISSUED_AT).certificate

    assert reason_of(leaf, profile=Profile(usage=usage)) == "extended-key-usage"


@pytest.mark.parametrize(
    ("profile", "usage"),
    [
        (CertificateProfile.SERVER, Usage.TLS_SERVER),
        (CertificateProfile.SERVER, Usage.TLS_CLIENT),
        (CertificateProfile.CLIENT, Usage.TLS_CLIENT),
        (CertificateProfile.SIGNATURE, Usage.DOCUMENT_SIGNING),
        (CertificateProfile.CONFIDENTIALITY, Usage.MAIL_ENCRYPTION),
    ],
)
def test_each_national_profile_serves_its_use(profile: CertificateProfile, usage: Usage) -> None:
    """The rules above must not refuse what the authorities issue."""
    leaf = the_pki().authority.issue(profile, HOSPITAL, at=ISSUED_AT).certificate

    assert judged(leaf, profile=Profile(usage=usage)).usage is usage


def test_a_test_policy_is_refused_unless_allowed() -> None:
    """TEST certificates of IGC-Santé are given to anybody who fills in a form."""
    leaf = (
        the_pki()
        .authority.issue(
            CertificateProfile.SIGNATURE,
            HOSPITAL,
            at=ISSUED_AT,
            policies=["1.2.250.1.213.1.7.2.1.1.1.1"],
        )
        .certificate
    )

    assert reason_of(leaf) == "policy-refused"
    allowed = replace(trust.MAIL_SIGNING, refused_policies=())
    assert judged(leaf, profile=allowed).leaf == leaf


def test_a_policy_that_only_begins_alike_is_not_refused() -> None:
    """1.2.250.1.213.1.7.20 is not under 1.2.250.1.213.1.7.2."""
    leaf = (
        the_pki()
        .authority.issue(
            CertificateProfile.SIGNATURE,
            HOSPITAL,
            at=ISSUED_AT,
            policies=["1.2.250.1.213.1.7.20.1"],
        )
        .certificate
    )

    assert judged(leaf).leaf == leaf


def test_a_revoked_leaf_is_refused() -> None:
    """With the instant at which it was revoked."""
    pki = make_pki()
    leaf = pki.hospital_signature.certificate
    pki.authority.revoke(leaf, at=NOW - timedelta(days=1))

    with pytest.raises(RevokedError) as refusal:
        judged(leaf, store=pki.store())

    assert refusal.value.revoked_at == NOW - timedelta(days=1)


def test_a_revoked_intermediate_takes_its_leaves_along() -> None:
    """Revocation is judged for authorities too."""
    pki = make_pki()
    pki.authority.revoke(pki.authority.issuing.certificate, at=NOW - timedelta(days=1))

    with pytest.raises(RevokedError):
        judged(pki.hospital_signature.certificate, store=pki.store())


@pytest.mark.parametrize("missing", [0, 1])
def test_each_missing_list_leaves_the_status_unknown(missing: int) -> None:
    """The list of the leaf's issuer and that of the root are both needed."""
    pki = the_pki()
    crls = list(pki.authority.crls(NOW))
    del crls[missing]

    with pytest.raises(IndeterminateError) as refusal:
        judged(store=pki.store_with(crls))

    assert refusal.value.reason == "revocation-no-list"


def test_a_stale_list_tells_nothing() -> None:
    """Good a month ago is not good today."""
    pki = the_pki()
    old = pki.store(at=NOW - timedelta(days=30))

    with pytest.raises(IndeterminateError) as refusal:
        judged(store=old)

    assert refusal.value.reason == "revocation-stale-list"


def test_a_list_of_another_authority_of_the_same_name_tells_nothing() -> None:
    """Its signature does not hold with the key of our issuer."""
    pki = the_pki()

    with pytest.raises(IndeterminateError):
        judged(store=pki.store_with(pki.stranger.crls(NOW)))


def test_a_lenient_profile_reports_what_it_could_not_judge() -> None:
    """For the explanation of a message without lists at hand."""
    chain = judged(store=the_pki().store_with([]), profile=lenient(Usage.MAIL_SIGNING))

    assert chain.findings == ("revocation-not-judged",)


def test_a_lenient_profile_still_refuses_a_revoked_leaf() -> None:
    """Lenient is about not knowing, not about knowing better."""
    pki = make_pki()
    pki.authority.revoke(pki.hospital_signature.certificate, at=NOW)

    with pytest.raises(RevokedError):
        judged(
            pki.hospital_signature.certificate,
            store=pki.store_with([pki.authority.crl(NOW)]),
            profile=lenient(Usage.MAIL_SIGNING),
        )


def test_it_works_inside_a_running_loop() -> None:
    """The pipeline asks from within its event loop."""

    async def ask() -> ValidatedChain:
        return judged()

    assert asyncio.run(ask()).leaf == LEAF


def test_it_works_inside_a_thread() -> None:
    """A door asks from a worker thread, which has no loop."""
    answers: list[ValidatedChain] = []
    thread = threading.Thread(target=lambda: answers.append(judged()))
    thread.start()
    thread.join()

    assert answers[0].leaf == LEAF


# --- Kept verdicts ---------------------------------------------------------------------------


def test_a_verdict_is_found_again_for_a_short_while() -> None:
    """The same proof, not another of the same content: nothing was done twice."""
    store = the_pki().store()

    first = judged(store=store)

    assert judged(store=store, at=NOW + timedelta(minutes=9)) is first
    assert judged(store=store, at=NOW + timedelta(minutes=10)) is not first


def test_a_verdict_is_not_found_for_another_use() -> None:
    """A server's certificate that was good as a server is not good as a signer."""
    store = the_pki().store()
    server = the_pki().hospital_server.certificate
    judged(server, store=store, profile=trust.TLS_SERVER)

    with pytest.raises(UntrustedError):
        judged(server, store=store)


def test_a_verdict_does_not_outlive_the_certificate() -> None:
    """Two minutes before the end, it is kept for two minutes."""
    brief = issue_briefly(the_pki().authority, until=NOW + timedelta(minutes=2)).certificate
    store = the_pki().store()
    judged(brief, store=store)

    with pytest.raises(ExpiredError):
        judged(brief, store=store, at=NOW + timedelta(minutes=3))


def test_a_verdict_does_not_outlive_the_revocation_list() -> None:
    """What rests on a list lapses with the list."""
    authority = the_pki().authority
    short = authority.crl(NOW, valid_for=timedelta(minutes=2))
    store = the_pki().store_with([short, authority.root_crl(NOW)])
    judged(store=store)

    with pytest.raises(IndeterminateError):
        judged(store=store, at=NOW + timedelta(minutes=3))


def test_new_lists_make_old_verdicts_void() -> None:
    """A revocation counts as soon as its list is loaded."""
    pki = make_pki()
    leaf = pki.hospital_signature.certificate
    store = pki.store()
    judged(leaf, store=store)
    pki.authority.revoke(leaf, at=NOW)

    with pytest.raises(RevokedError):
        judged(leaf, store=store.with_crls(pki.authority.crls(NOW)))


def test_kept_verdicts_do_not_grow_without_end() -> None:
    """A door that meets ever new certificates keeps a bounded number."""
    store = the_pki().store()
    chain = judged(store=store)
    for number in range(trust.MAX_KEPT_VERDICTS + 10):
        leaf = replace(LEAF, fingerprint=f"{number:064x}")
        store.keep_verdict(
            replace(chain, certificates=(leaf, *chain.certificates[1:])), trust.MAIL_SIGNING
        )

    assert len(store._verdicts) == trust.MAX_KEPT_VERDICTS


# --- Hostile sets of authorities -------------------------------------------------------------


@pytest.mark.parametrize("size", [9, 90])
def test_a_crowd_of_look_alike_authorities_is_given_up_soon(size: int) -> None:
    """Nine authorities of one name, signing each other, have 9! paths; we look at 64 signatures."""
    crowd = list(_look_alikes(size))
    leaf = _issued_by_look_alike()
    store = the_pki().store()
    budget = Budget()
    is_signed_by.cache_clear()

    before = time.process_time()
    with pytest.raises(UntrustedError) as refusal:
        validate(
            leaf, intermediates=crowd, store=store, profile=trust.MAIL_SIGNING, at=NOW,
            budget=budget,
        )  # fmt: skip
    spent = time.process_time() - before

    assert refusal.value.reason == "no-path"
    assert budget.checks_left == 0
    assert spent < 0.25  # milliseconds where nothing else runs; a search of 9! paths takes minutes


def test_the_signers_of_one_message_share_one_budget() -> None:
    """Or a message with many signers would buy that many searches."""
    budget = Budget()
    crowd = list(_look_alikes(9))
    for _ in range(2):
        with pytest.raises(UntrustedError):
            validate(
                _issued_by_look_alike(), intermediates=crowd, store=the_pki().store(),
                profile=trust.MAIL_SIGNING, at=NOW, budget=budget,
            )  # fmt: skip

    assert budget.checks_left == 0
    with pytest.raises(UntrustedError):
        validate(LEAF, store=the_pki().store(), profile=trust.MAIL_SIGNING, at=NOW, budget=budget)


def test_an_authority_that_may_not_issue_authorities_cannot() -> None:
    """The issuing authority has a path length of zero."""
    pki = the_pki()
    issuing = pki.authority.issuing
    key = ec.generate_private_key(ec.SECP256R1())
    below = _certificate(
        _name("AC CLANDESTINE"), key, issuing.certificate.parsed.subject, issuing.private_key,
        is_authority=True,
    )  # fmt: skip
    leaf = _certificate(
        _name("lettre"), ec.generate_private_key(ec.SECP256R1()), _name("AC CLANDESTINE"), key
    )

    with pytest.raises(UntrustedError) as refusal:
        validate(
            leaf,
            intermediates=[below],
            store=pki.store(),
            profile=lenient(Usage.MAIL_SIGNING),
            at=NOW,
        )

    assert refusal.value.reason == "path-invalid"


def test_a_leaf_cannot_issue() -> None:
    """The oldest mistake of all: forgetting to look at basicConstraints."""
    pki = the_pki()
    issuer = pki.hospital_signature
    leaf = _certificate(
        _name("lettre"),
        ec.generate_private_key(ec.SECP256R1()),
        issuer.certificate.parsed.subject,
        issuer.private_key,
    )

    with pytest.raises(UntrustedError) as refusal:
        validate(
            leaf,
            intermediates=[issuer.certificate],
            store=pki.store(),
            profile=lenient(Usage.MAIL_SIGNING),
            at=NOW,
        )

    assert refusal.value.reason == "no-path"


def test_an_unknown_critical_extension_refuses() -> None:
    """Critical means: refuse if you do not understand."""
    issuing = the_pki().authority.issuing
    leaf = _certificate(
        _name("lettre"),
        ec.generate_private_key(ec.SECP256R1()),
        issuing.certificate.parsed.subject,
        issuing.private_key,
        critical="1.2.3.4.5",
    )

    assert reason_of(leaf) == "unknown-critical-extension"


@pytest.mark.parametrize("key", ["p384", pytest.param("rsa2048", marks=pytest.mark.slow)])
def test_authorities_of_each_kind_of_key_validate(key: str) -> None:
    """RSA is what IGC-Santé has today."""
    pki = make_pki(key=key)

    assert judged(pki.hospital_signature.certificate, store=pki.store()).leaf.key_name == key


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: object,
    *,
    is_authority: bool = False,
    critical: str | None = None,
) -> Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ISSUED_AT)
        .not_valid_after(ISSUED_AT + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if critical is not None:
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(critical), b"\x05\x00")
        builder = builder.add_extension(extension, critical=True)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    signed = builder.sign(issuer_key, hashes.SHA256())
    return parse_certificate(signed.public_bytes(Encoding.DER))


LOOK_ALIKE_KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(9)]


def _look_alikes(count: int) -> Iterator[Certificate]:
    """Authorities of one name, each certified by each of the others."""
    name = _name("AC PARTOUT")
    for key in LOOK_ALIKE_KEYS[:count]:
        for other in LOOK_ALIKE_KEYS[:count]:
            if other is not key:
                yield _certificate(name, key, name, other, is_authority=True)


def _issued_by_look_alike() -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    return _certificate(_name("lettre"), key, _name("AC PARTOUT"), LOOK_ALIKE_KEYS[0])


def _self_signed() -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    return _certificate(_name("lettre"), key, _name("lettre"), key)


def test_names_are_compared_without_case_and_spaces() -> None:
    """RFC 5280, 7.1, and authorities that write their own name in two ways."""
    issuing = the_pki().authority.issuing
    written = x509.Name(
        [
            x509.NameAttribute(each.oid, f" {str(each.value).lower().replace(' ', '  ')} ")
            if each.oid == x509.NameOID.COMMON_NAME
            else each
            for each in issuing.certificate.parsed.subject
        ]
    )
    leaf = _certificate(
        _name("lettre"), ec.generate_private_key(ec.SECP256R1()), written, issuing.private_key
    )

    chain = judged(leaf, store=the_pki().store_with([]), profile=lenient(Usage.MAIL_SIGNING))

    assert chain.leaf == leaf


def test_a_structure_identifier_is_read_from_the_subject() -> None:
    """What binds a certificate to a structure in the absence of addresses."""
    subject = Subject(common_name="x", organization="O", structure_id="10B0057881")
    leaf = the_pki().authority.issue(CertificateProfile.SIGNATURE, subject, at=ISSUED_AT)

    assert leaf.certificate.structure_id == "10B0057881"
