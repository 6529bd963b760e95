"""Lists, answers and evidence are hostile: a value or the declared error, then a status, always."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from crypto.certificates import parse_certificate
from crypto.crl import parse_revocation_list
from crypto.errors import CertificateSyntaxError, RevocationSyntaxError
from crypto.evidence import judge_again
from crypto.ocsp import parse_ocsp_response
from crypto.revocation import Good, Revoked, Unknown, judge
from tests.support.ocsp import REVOKED, a_delegate, a_response
from tests.support.pki import NOW, make_pki

PKI = make_pki()
LEAF, ISSUER = PKI.hospital_signature.certificate, PKI.authority.issuing
PKI.authority.revoke(LEAF, at=NOW)
CRL = PKI.authority.crl(NOW)
RESPONSES = [
    a_response(LEAF, ISSUER, status=REVOKED, reason=x509.ReasonFlags.key_compromise),
    a_response(LEAF, ISSUER, status=REVOKED, by=a_delegate(ISSUER)),
]
assert isinstance(ISSUER.private_key, ec.EllipticCurvePrivateKey)


@st.composite
def damaged(draw: st.DrawFn, octets: bytes) -> bytes:
    """Octets with a few places changed, lost or added."""
    result = bytearray(octets)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(result) - 1))
        result[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
        result = result or bytearray(1)
    return bytes(result)


@given(damaged(CRL) | st.binary(max_size=200))
def test_a_damaged_list_never_makes_a_revoked_certificate_good(octets: bytes) -> None:
    """It is unreadable, or its signature no longer holds; never anything else than the truth."""
    with suppress(RevocationSyntaxError):
        found = parse_revocation_list(octets)
        status = judge(LEAF, issuer=ISSUER.certificate, lists=[found], at=NOW)

        assert isinstance(status, Revoked | Unknown)


@given(damaged(CRL))
def test_entries_of_a_damaged_list_are_searched_or_refused(octets: bytes) -> None:
    """Also when nobody looked at the signature."""
    with suppress(RevocationSyntaxError):
        found = parse_revocation_list(octets)
        found.entries.find(LEAF.serial, found.issuer, is_own=True)
        assert found.is_understood in {True, False}


@pytest.mark.parametrize("response", RESPONSES, ids=["issuer", "delegate"])
@given(data=st.data())
def test_a_damaged_answer_never_makes_a_revoked_certificate_good(
    response: bytes, data: st.DataObject
) -> None:
    """As for lists."""
    with suppress(RevocationSyntaxError):
        found = parse_ocsp_response(data.draw(damaged(response)))
        status = judge(LEAF, issuer=ISSUER.certificate, responses=[found], at=NOW)

        assert not isinstance(status, Good)


@given(damaged(LEAF.der))
def test_a_damaged_certificate_is_read_or_refused(octets: bytes) -> None:
    """And what is read can be judged."""
    with suppress(CertificateSyntaxError, RevocationSyntaxError):
        found = parse_certificate(octets)
        judge(found, issuer=ISSUER.certificate, lists=[parse_revocation_list(CRL)], at=NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
MEMBERS = ("version", "usage", "judged-at", "certificates", "witnesses", "statements", "findings")


@given(JSON | st.fixed_dictionaries(dict.fromkeys(MEMBERS, JSON)))
def test_any_evidence_is_understood_or_refused(evidence: object) -> None:
    """It is read years after it was written, perhaps by another version."""
    nothing: Callable[[str], None] = lambda _: None  # noqa: E731 -- a function of one line
    with pytest.raises(RevocationSyntaxError):
        judge_again(evidence, find=nothing)
