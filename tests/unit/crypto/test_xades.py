"""Signatures as the national signer writes them: XAdES-Baseline-B, signature subtracted."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree
from signxml.xades.xades import XAdESSigner

from crypto.errors import XmlSignatureError
from crypto.issuing import CertificateProfile
from crypto.xml_signature import verify_enveloped
from tests.support.pki import HOSPITAL, ISSUED_AT, the_pki
from tests.support.xml_signing import DS, ENVELOPED, XADES, Seal, exclude, seal, subtract

PKI = the_pki()
SIGNER = PKI.authority.issue(CertificateProfile.SIGNATURE, HOSPITAL, at=ISSUED_AT, key="rsa2048")
OTHER = PKI.authority.issue(CertificateProfile.SIGNATURE, HOSPITAL, at=ISSUED_AT, key="rsa2048")
DOCUMENT = (
    '<Liste xmlns="https://liste.example/schema">\n  <Nom>été.mssante.fr</Nom>\n'
    '  <Nom a="1" b="2">ch-demo.mssante.fr</Nom>\n</Liste>'
)


def reason_of(octets: bytes) -> str:
    with pytest.raises(XmlSignatureError) as refusal:
        verify_enveloped(octets)
    return refusal.value.reason


@pytest.mark.parametrize("is_xades", [True, False])
@pytest.mark.parametrize(
    "removal",
    [
        ENVELOPED,
        subtract(),
        subtract("\n  /descendant::ds:Signature\n"),
        subtract("/descendant-or-self::ds:Signature"),
        subtract("//ds:Signature"),
        subtract("here()/ancestor::ds:Signature[1]"),
        exclude(),
    ],
)
def test_every_way_to_leave_the_signature_out_is_read(removal: str, *, is_xades: bool) -> None:
    """Signers differ in the words; with one signature in the document they mean the same."""
    proof = verify_enveloped(seal(DOCUMENT, SIGNER, Seal(removal=removal, is_xades=is_xades)))

    assert proof.content == DOCUMENT.encode()
    assert proof.signer == SIGNER.certificate
    assert proof.intermediates == SIGNER.chain


@pytest.mark.parametrize(
    "removal",
    [
        subtract("/descendant::ds:SignatureValue"),
        subtract("/descendant::x:Nom"),
        subtract("/descendant::Signature"),
        subtract("/descendant::ds:Signature | //Nom"),
        subtract("/descendant::ds:Signature", how="intersect"),
        subtract("/descendant::ds:Signature", how="union"),
        exclude("not(ancestor-or-self::ds:Signature) or 1"),
        exclude("1"),
    ],
)
def test_a_filter_that_takes_out_anything_else_is_refused(removal: str) -> None:
    """The whole document must be covered: a filter can leave out the very entries that matter."""
    assert reason_of(seal(DOCUMENT, SIGNER, Seal(removal=removal))) == "transforms"


def test_two_removals_are_refused() -> None:
    """The second could hide behind the first."""
    how = Seal(removal=ENVELOPED + subtract())

    assert reason_of(seal(DOCUMENT, SIGNER, how)) == "transforms"


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (b"ch-demo", b"ch-evil", "signature-wrong"),
        (b"2025-03-13", b"2026-03-13", "signature-wrong"),
        (b'Id="xades-1"', b'Id="xades-2"', "reference"),
        (b"</Liste>", b"</Liste><?evil pi?>", "signature-wrong"),
        (b'"subtract"', b'"union"', "transforms"),
        (b"rsa-sha256", b"rsa-sha1", "signature-method"),
        (b"xmlenc#sha256", b"xmlenc#sha1", "signature-wrong"),
    ],
)
def test_a_change_anywhere_is_found(before: bytes, after: bytes, reason: str) -> None:
    """In an entry, in the properties, beside the root, in the signature itself."""
    signed = seal(DOCUMENT, SIGNER)
    assert before in signed

    assert reason_of(signed.replace(before, after)) == reason


def test_a_comment_changes_nothing() -> None:
    """It is not signed, and not in what is handed on."""
    signed = seal(DOCUMENT, SIGNER).replace(b"<Nom>", b"<!-- evil --><Nom>", 1)

    assert verify_enveloped(signed).content == DOCUMENT.encode()


def test_the_order_of_certificates_does_not_count() -> None:
    """Some signers send the authority first; who signed is found by the key."""
    shown = (*(one.der for one in SIGNER.chain), OTHER.certificate.der, SIGNER.certificate.der)

    proof = verify_enveloped(seal(DOCUMENT, SIGNER, Seal(certificates=shown)))

    assert proof.signer == SIGNER.certificate


def test_properties_that_name_another_signer_are_refused() -> None:
    """XAdES ties the signature to one certificate: no look-alike can be put in its place."""
    how = Seal(named=OTHER.certificate.der)

    assert reason_of(seal(DOCUMENT, SIGNER, how)) == "signing-certificate"


def test_a_reference_to_other_properties_is_refused() -> None:
    """What it points at must be what is read."""
    assert reason_of(seal(DOCUMENT, SIGNER, Seal(reference_id="#id-1"))) == "reference"


def test_properties_beside_the_signed_ones_are_refused() -> None:
    """Two with one identifier: whoever looks it up may find the wrong one."""
    signed = seal(DOCUMENT, SIGNER)
    start = signed.index(b"<x:SignedProperties")
    end = signed.index(b"</x:SignedProperties>") + len(b"</x:SignedProperties>")
    doubled = signed[:start] + signed[start:end] * 2 + signed[end:]

    assert reason_of(doubled) == "signed-properties"


def test_properties_that_nobody_signed_are_refused() -> None:
    """They would be believed by whoever reads them."""
    loose = seal(DOCUMENT, SIGNER, Seal(is_xades=False))
    start = (signed := seal(DOCUMENT, SIGNER)).index(b"<ds:Object>")
    added = signed[start : signed.index(b"</ds:Object>")] + b"</ds:Object></ds:Signature>"

    assert reason_of(loose.replace(b"</ds:Signature>", added)) == "signed-properties"


def test_a_manifest_is_refused() -> None:
    """Its references sign nothing until somebody follows them, and nobody does."""
    manifest = f'<ds:Object xmlns:ds="{DS}"><ds:Reference URI="x"></ds:Reference></ds:Object>'
    signed = seal(DOCUMENT, SIGNER).replace(
        b"</ds:Signature>", manifest.encode() + b"</ds:Signature>"
    )

    assert reason_of(signed) == "reference"


def test_what_another_library_signs_verifies() -> None:
    """The same form by an independent hand, in the inclusive canonical form as well."""
    key = SIGNER.private_key
    assert isinstance(key, rsa.RSAPrivateKey)
    root = etree.fromstring(DOCUMENT)
    signed = XAdESSigner().sign(root, key=key, cert=[SIGNER.certificate.parsed])
    assert signed.find(f".//{{{XADES}}}SignedProperties") is not None

    proof = verify_enveloped(etree.tostring(signed))

    assert proof.signer == SIGNER.certificate
    assert b"Signature" not in proof.content
