from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from crypto.certificates import Certificate
from crypto.crl import RevocationList, parse_revocation_list
from crypto.errors import RevocationSyntaxError
from crypto.revocation import (
    Good,
    RevocationStatus,
    Revoked,
    Unknown,
    judge,
)
from tests.support.pki import NOW, make_pki, the_pki

PKI = the_pki()
LEAF = PKI.hospital_signature.certificate
ISSUER = PKI.authority.issuing
Builder = x509.CertificateRevocationListBuilder


def a_list(
    *serials: int,
    number: int = 1,
    base: int | None = None,
    with_extension: x509.ExtensionType | None = None,
    is_critical: bool = True,
    reason: x509.ReasonFlags | None = None,
) -> RevocationList:
    """A list by our issuing authority, in force now."""
    builder = (
        Builder()
        .issuer_name(ISSUER.certificate.parsed.subject)
        .last_update(NOW)
        .next_update(NOW + timedelta(days=1))
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    if base is not None:
        builder = builder.add_extension(x509.DeltaCRLIndicator(base), critical=True)
    if with_extension is not None:
        builder = builder.add_extension(with_extension, critical=is_critical)
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW)
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    assert isinstance(ISSUER.private_key, ec.EllipticCurvePrivateKey)
    signed = builder.sign(ISSUER.private_key, hashes.SHA256())
    return parse_revocation_list(signed.public_bytes(Encoding.DER))


def status(*lists: RevocationList, certificate: Certificate = LEAF) -> RevocationStatus:
    return judge(certificate, issuer=ISSUER.certificate, lists=lists, at=NOW)


def scope(
    *,
    name: str | None = None,
    only_user: bool = False,
    only_authority: bool = False,
    indirect: bool = False,
    reasons: frozenset[x509.ReasonFlags] | None = None,
) -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(name)] if name else None,
        relative_name=None,
        only_contains_user_certs=only_user,
        only_contains_ca_certs=only_authority,
        only_some_reasons=reasons,
        indirect_crl=indirect,
        only_contains_attribute_certs=False,
    )


def test_a_certificate_that_is_not_listed_is_good_until_the_next_list() -> None:
    """The verdict may be relied upon that long and no longer."""
    assert status(a_list(12345)) == Good(until=NOW + timedelta(days=1))


def test_a_listed_certificate_is_revoked_with_the_reason() -> None:
    """The reason tells a lost card from a change of name."""
    found = status(a_list(LEAF.serial, reason=x509.ReasonFlags.key_compromise))

    assert found == Revoked(revoked_at=NOW, reason="keyCompromise")


def test_without_a_list_the_status_is_unknown() -> None:
    """No news is no news."""
    assert status() == Unknown(reason="no-list")


def test_the_newest_list_decides() -> None:
    """A certificate on hold may come back."""
    pki = make_pki()
    leaf = pki.hospital_signature.certificate
    before = pki.authority.issuing.with_revoked(leaf, at=NOW).crl(NOW - timedelta(hours=2))
    after = pki.authority.crl(NOW - timedelta(hours=1), number=2)

    found = judge(
        leaf,
        issuer=pki.authority.issuing.certificate,
        lists=[parse_revocation_list(after), parse_revocation_list(before)],
        at=NOW,
    )

    assert isinstance(found, Good)


def test_a_delta_list_adds_to_its_complete_list() -> None:
    """IGC-Santé publishes both: a revocation of this morning is only on the delta."""
    complete, delta = a_list(number=4), a_list(LEAF.serial, number=5, base=4)

    assert isinstance(status(complete, delta), Revoked)


def test_a_delta_list_may_take_a_certificate_off() -> None:
    """The end of a hold, RFC 5280, 5.3.1."""
    complete = a_list(LEAF.serial, number=4, reason=x509.ReasonFlags.certificate_hold)
    delta = a_list(LEAF.serial, number=5, base=4, reason=x509.ReasonFlags.remove_from_crl)

    assert isinstance(status(complete, delta), Good)


@pytest.mark.parametrize(("number", "base"), [(5, 6), (4, 4), (3, 2)])
def test_a_delta_list_that_does_not_build_upon_it_changes_nothing(number: int, base: int) -> None:
    """Its base is later than what we have, or it is older."""
    complete, delta = a_list(number=4), a_list(LEAF.serial, number=number, base=base)

    assert isinstance(status(complete, delta), Good)


def test_a_delta_list_alone_tells_nothing() -> None:
    """Who is not on it may be on the complete one."""
    assert status(a_list(number=5, base=4)) == Unknown(reason="stale-list")


@pytest.mark.parametrize(
    "point",
    [
        scope(only_authority=True),
        scope(name="http://crl.example/other.crl"),
    ],
)
def test_a_list_of_another_scope_is_not_used(point: x509.IssuingDistributionPoint) -> None:
    """Not being on a list of authorities says nothing about a leaf."""
    assert status(a_list(with_extension=point)) == Unknown(reason="unusable-list")


def test_a_list_for_some_reasons_does_not_make_a_certificate_good() -> None:
    """RFC 5280, 6.3.3: good means good for every reason."""
    one = scope(reasons=frozenset({x509.ReasonFlags.key_compromise}))

    assert status(a_list(with_extension=one)) == Unknown(reason="some-reasons")
    assert isinstance(status(a_list(LEAF.serial, with_extension=one)), Revoked)


def test_lists_for_parts_of_the_reasons_make_a_whole() -> None:
    """Two authorities of one operator may share the work."""
    some = frozenset({x509.ReasonFlags.key_compromise, x509.ReasonFlags.ca_compromise})
    rest = (
        frozenset(x509.ReasonFlags)
        - some
        - {
            x509.ReasonFlags.unspecified,
            x509.ReasonFlags.remove_from_crl,
        }
    )
    first = a_list(with_extension=scope(reasons=some))
    second = a_list(with_extension=scope(reasons=rest))

    assert isinstance(status(first, second), Good)
    assert status(first) == Unknown(reason="some-reasons")


def test_an_indirect_list_of_the_issuer_itself_speaks_for_its_own() -> None:
    """Entries without a name of their own are about certificates of the list's issuer."""
    assert isinstance(status(a_list(with_extension=scope(indirect=True))), Good)
    assert isinstance(status(a_list(LEAF.serial, with_extension=scope(indirect=True))), Revoked)


def test_a_list_of_leaves_is_used_for_a_leaf_and_not_for_an_authority() -> None:
    """The scope that IGC-Santé might choose."""
    crl = a_list(with_extension=scope(only_user=True))

    assert isinstance(status(crl), Good)
    authority = PKI.authority.issuing.certificate
    assert status(crl, certificate=authority) == Unknown(reason="no-list")


def test_an_unknown_critical_extension_makes_a_list_unusable() -> None:
    """RFC 5280, 5.2."""
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")

    assert status(a_list(with_extension=unknown)) == Unknown(reason="unusable-list")
    assert isinstance(status(a_list(with_extension=unknown, is_critical=False)), Good)


def test_a_list_signed_by_somebody_else_is_nobodys() -> None:
    """The name is right and the key is not."""
    crl = parse_revocation_list(PKI.stranger.crl(NOW))

    assert status(crl) == Unknown(reason="no-list")


def test_a_list_without_promise_of_a_next_one_is_not_relied_upon() -> None:
    """It could be replayed for ever."""
    endless = a_list()
    object.__setattr__(endless, "next_update_at", None)

    assert status(endless) == Unknown(reason="stale-list")


@pytest.mark.parametrize(
    "change",
    [lambda octets: octets[:-1], lambda octets: octets + b"\x00", lambda _: b"", lambda _: b"0"],
)
def test_octets_that_are_no_list_are_refused(change: Callable[[bytes], bytes]) -> None:
    """The one declared error."""
    with pytest.raises(RevocationSyntaxError):
        parse_revocation_list(change(PKI.authority.crl(NOW)))


def test_a_list_in_pem_is_the_same_list() -> None:
    """Files on disk come in both forms."""
    octets = PKI.authority.crl(NOW)
    pem = x509.load_der_x509_crl(octets).public_bytes(Encoding.PEM)

    assert parse_revocation_list(pem) == parse_revocation_list(octets)
