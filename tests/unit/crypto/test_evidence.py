import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from crypto import trust
from crypto.errors import RevocationSyntaxError, RevokedError
from crypto.evidence import evidence_of, iter_objects, judge_again
from crypto.trust import TrustStore, ValidatedChain, validate
from tests.support.pki import NOW, lenient, make_pki, the_pki
from tests.support.pkits import AT, data_folder, load_suite

LEAF = the_pki().hospital_signature.certificate


def a_chain() -> ValidatedChain:
    return validate(LEAF, store=the_pki().store(), profile=trust.MAIL_SIGNING, at=NOW)


def kept(chain: ValidatedChain) -> dict[str, bytes]:
    return {each.sha256: each.octets for each in iter_objects(chain)}


def test_a_verdict_is_reached_again_from_what_was_kept() -> None:
    """Ten years on: no network, no anchor of today, only octets and the instant of then."""
    chain = a_chain()
    stored = json.loads(json.dumps(evidence_of(chain)))

    again = judge_again(stored, find=kept(chain).get)

    assert again.certificates == chain.certificates
    assert again.judged_at == NOW
    assert again.rests_on == chain.rests_on
    assert evidence_of(again) == stored


def test_evidence_names_the_lists_with_their_numbers_and_dates() -> None:
    """What an expert asks first."""
    statements = evidence_of(a_chain())["statements"]

    assert isinstance(statements, list)
    assert {each["kind"] for each in statements} == {"crl"}
    assert {each["number"] for each in statements} == {"1"}
    assert {each["this-update"] for each in statements} == {NOW.isoformat()}


@pytest.mark.skipif(data_folder() is None, reason="cryptography-vectors is not installed")
@pytest.mark.parametrize(
    "name",
    [
        "ValidSeparateCertificateandCRLKeysTest19",
        "ValidcRLIssuerTest28",
        "ValidcRLIssuerTest30",
        "ValidcRLIssuerTest33",
        "ValiddeltaCRLTest8",
        "ValidBasicSelfIssuedCRLSigningKeyTest6",
        "ValidonlySomeReasonsTest19",
    ],
)
def test_witnesses_beside_the_path_are_kept_too(name: str) -> None:
    """A list signed by another key than the issuer's needs that key's own chain."""
    folder = data_folder()
    assert folder is not None
    suite = load_suite(folder)
    leaf = suite.leaves[name]
    assert leaf is not None
    chain = validate(leaf, store=suite.store, profile=trust.MAIL_SIGNING, at=AT)

    again = judge_again(evidence_of(chain), find=kept(chain).get)

    assert again.certificates == chain.certificates


def test_evidence_of_a_lenient_verdict_says_that_revocation_was_not_judged() -> None:
    """And is judged again as leniently."""
    store = TrustStore(the_pki().authority.anchors, the_pki().authority.intermediates)
    chain = validate(LEAF, store=store, profile=lenient(trust.Usage.MAIL_SIGNING), at=NOW)

    again = judge_again(evidence_of(chain), find=kept(chain).get)

    assert again.findings == ("revocation-not-judged",)


def test_octets_that_are_missing_or_changed_are_told() -> None:
    """Evidence that was tampered with proves nothing."""
    chain = a_chain()
    found = kept(chain)
    digest = chain.rests_on[0].sha256

    with pytest.raises(RevocationSyntaxError, match="evidence-missing"):
        judge_again(evidence_of(chain), find={**found, digest: None}.get)
    with pytest.raises(RevocationSyntaxError, match="evidence-changed"):
        judge_again(evidence_of(chain), find={**found, digest: b"other"}.get)


def test_other_lists_of_the_same_instant_give_another_verdict() -> None:
    """The verdict follows from the octets, and is not copied from the evidence."""
    pki = make_pki()
    leaf = pki.hospital_signature.certificate
    chain = validate(leaf, store=pki.store(), profile=trust.MAIL_SIGNING, at=NOW)
    pki.authority.revoke(leaf, at=NOW - timedelta(hours=1))
    revoking = validate_objects(pki.authority.crl(NOW))
    evidence = evidence_of(chain)
    statements = evidence["statements"]
    assert isinstance(statements, list)
    by_issuing = [
        each
        for each, known in zip(statements, chain.rests_on, strict=True)
        if "ORGANISATIONS" in getattr(known.octets, "issuer_text", "")
    ]
    by_issuing[0]["sha256"] = revoking[0]

    with pytest.raises(RevokedError):
        judge_again(evidence, find=(kept(chain) | dict([revoking])).get)


def validate_objects(octets: bytes) -> tuple[str, bytes]:
    """Name octets as they are kept."""
    from hashlib import sha256

    return sha256(octets).hexdigest(), octets


@pytest.mark.parametrize(
    "change",
    [
        lambda evidence: evidence.update(version=2),
        lambda evidence: evidence.update(usage="flying"),
        lambda evidence: evidence.update(certificates=[]),
        lambda evidence: evidence.update(certificates=["0" * 64]),
        lambda evidence: evidence.update(certificates="0" * 64),
        lambda evidence: evidence.update({"judged-at": "2026-11-03T10:00:00"}),
        lambda evidence: evidence.update({"judged-at": "today"}),
        lambda evidence: evidence.update(witnesses=["0" * 64] * 65),
        lambda evidence: evidence.update(statements=[{}]),
        lambda evidence: evidence.clear(),
    ],
)
def test_evidence_that_is_not_understood_is_refused(
    change: Callable[[dict[str, object]], None],
) -> None:
    """It lay in a database for years."""
    evidence = evidence_of(a_chain())
    change(evidence)

    with pytest.raises(RevocationSyntaxError):
        judge_again(evidence, find=kept(a_chain()).get)
