from base64 import b64encode
from collections.abc import Callable

import pytest
from lxml import etree

from crypto import trust
from crypto.errors import UnsupportedAlgorithmError, UntrustedError, XmlSignatureError
from crypto.issuing import CertificateProfile, Issued
from crypto.trust import DOCUMENT_SIGNING
from crypto.xml_signature import sign_enveloped, verify_enveloped
from tests.support.pki import HOSPITAL, ISSUED_AT, NOW, the_pki

PKI = the_pki()
SIGNER = PKI.hospital_signature
DOCUMENT = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<Liste xmlns="https://liste.example/schema">\n'
    b"  <Domaine><Nom>ch-demo.mssante.fr</Nom></Domaine>\n"
    b"  <Domaine><Nom>cabinets-demo.mssante.fr</Nom></Domaine>\n"
    b"</Liste>\n"
)
DS = "http://www.w3.org/2000/09/xmldsig#"


def sign(document: bytes = DOCUMENT, signer: Issued = SIGNER) -> bytes:
    return sign_enveloped(document, private_key=signer.private_key, certificate=signer.certificate)


SIGNED = sign()


def reason_of(document: bytes) -> str:
    with pytest.raises(XmlSignatureError) as refusal:
        verify_enveloped(document)
    return refusal.value.reason


@pytest.mark.parametrize("key", ["p256", "p384", "rsa2048"])
def test_what_is_signed_verifies(key: str) -> None:
    """And the signer is the one whose certificate came along."""
    signer = PKI.authority.issue(CertificateProfile.SIGNATURE, HOSPITAL, at=ISSUED_AT, key=key)

    proof = verify_enveloped(sign(signer=signer))

    assert proof.signer == signer.certificate
    chain = trust.validate(proof.signer, store=PKI.store(), profile=DOCUMENT_SIGNING, at=NOW)
    assert chain.leaf == signer.certificate


def test_what_comes_back_is_the_document_without_its_signature() -> None:
    """Octets that parse to the same list, and nothing unsigned."""
    content = verify_enveloped(SIGNED).content

    root = etree.fromstring(content)
    assert [each.text for each in root.iter("{*}Nom")] == [
        "ch-demo.mssante.fr",
        "cabinets-demo.mssante.fr",
    ]
    assert b"Signature" not in content


def test_a_signer_of_nobody_holds_but_is_not_believed() -> None:
    """Two questions, two answers."""
    proof = verify_enveloped(sign(signer=PKI.stranger_signature))

    with pytest.raises(UntrustedError):
        trust.validate(proof.signer, store=PKI.store(), profile=DOCUMENT_SIGNING, at=NOW)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"ch-demo", b"ch-d3mo"),
        (b"<Domaine>", b"<Domaine x='1'>"),
        (b"</Liste>", b"<Domaine><Nom>pirate.example</Nom></Domaine></Liste>"),
        (b"liste.example", b"liste2.example"),
    ],
)
def test_a_changed_list_is_refused(before: bytes, after: bytes) -> None:
    """A name, an attribute, an entry more, another namespace."""
    assert reason_of(SIGNED.replace(before, after)) == "signature-wrong"


def test_a_certificate_of_another_key_is_refused() -> None:
    """The signature must hold with the certificate that is shown."""
    own, other = (b64encode(each.certificate.der) for each in (SIGNER, PKI.practice_signature))
    flat = b"".join(SIGNED.split(b"\n"))
    assert own in flat

    assert reason_of(flat.replace(own, other)) == "signature-wrong"


def moved(change: Callable[[etree._Element, etree._Element], None]) -> bytes:
    """The signed document after *change* to its tree; given root and signature."""
    root = etree.fromstring(SIGNED)
    signature = root.find(f"{{{DS}}}Signature")
    assert signature is not None
    change(root, signature)
    return etree.tostring(root.getroottree())


def _wrap(root: etree._Element, signature: etree._Element) -> None:
    """Signature wrapping: the signed element is kept aside, another takes its place."""
    aside = etree.SubElement(root, "Aside")
    aside.append(signature)


def _double(root: etree._Element, signature: etree._Element) -> None:
    root.append(etree.fromstring(etree.tostring(signature)))


def _point_elsewhere(root: etree._Element, signature: etree._Element) -> None:
    root.set("Id", "x")
    reference = signature.find(f".//{{{DS}}}Reference")
    assert reference is not None
    reference.set("URI", "#x")


def _without_uri(root: etree._Element, signature: etree._Element) -> None:
    reference = signature.find(f".//{{{DS}}}Reference")
    assert reference is not None
    del reference.attrib["URI"]


def _second_reference(root: etree._Element, signature: etree._Element) -> None:
    reference = signature.find(f".//{{{DS}}}Reference")
    assert reference is not None
    reference.addnext(etree.fromstring(etree.tostring(reference)))


def _xslt(root: etree._Element, signature: etree._Element) -> None:
    last = signature.findall(f".//{{{DS}}}Transform")[-1]
    last.set("Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116")


def _not_enveloped(root: etree._Element, signature: etree._Element) -> None:
    first = signature.find(f".//{{{DS}}}Transform")
    assert first is not None
    first.set("Algorithm", "http://www.w3.org/2000/09/xmldsig#base64")


def _with_comments(root: etree._Element, signature: etree._Element) -> None:
    method = signature.find(f".//{{{DS}}}CanonicalizationMethod")
    assert method is not None
    method.set("Algorithm", "http://www.w3.org/2001/10/xml-exc-c14n#WithComments")


def _sha1(root: etree._Element, signature: etree._Element) -> None:
    method = signature.find(f".//{{{DS}}}DigestMethod")
    assert method is not None
    method.set("Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1")


def _hmac(root: etree._Element, signature: etree._Element) -> None:
    method = signature.find(f".//{{{DS}}}SignatureMethod")
    assert method is not None
    method.set("Algorithm", "http://www.w3.org/2000/09/xmldsig#hmac-sha1")


def _no_certificate(root: etree._Element, signature: etree._Element) -> None:
    certificate = signature.find(f".//{{{DS}}}X509Certificate")
    assert certificate is not None
    parent = certificate.getparent()
    assert parent is not None
    parent.remove(certificate)


def _bad_certificate(root: etree._Element, signature: etree._Element) -> None:
    certificate = signature.find(f".//{{{DS}}}X509Certificate")
    assert certificate is not None
    certificate.text = "AAAA"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_wrap, "signature-misplaced"),
        (_double, "several-signatures"),
        (_point_elsewhere, "reference"),
        (_without_uri, "reference"),
        (_second_reference, "reference"),
        (_xslt, "canonicalization"),
        (_not_enveloped, "transforms"),
        (_with_comments, "canonicalization"),
        (_sha1, "signature-wrong"),
        (_hmac, "signature-method"),
        (_no_certificate, "certificate-count"),
        (_bad_certificate, "certificate"),
    ],
)
def test_any_other_form_of_signature_is_refused(
    change: Callable[[etree._Element, etree._Element], None], reason: str
) -> None:
    """The standard allows a hundred; each has been an attack."""
    assert reason_of(moved(change)) == reason


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "not-xml"),
        (b"rubbish", "not-xml"),
        (b"<a>", "not-xml"),
        (DOCUMENT, "signature-missing"),
        (b"<!DOCTYPE a><a/>", "document-type"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "document-type"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]>' + DOCUMENT.split(b"\n", 1)[1], "document-type"),
        (b"<a>" * 300 + b"</a>" * 300, "not-xml"),
        (f'<Signature xmlns="{DS}"/>'.encode(), "signature-misplaced"),
        (f'<a><Signature xmlns="{DS}"/></a>'.encode(), "signed-info"),
        ("<a/>".encode("utf-16"), "signature-missing"),
    ],
)
def test_other_documents_are_refused(document: bytes, reason: str) -> None:
    """No document types, no entities, no depth; the one declared error."""
    assert reason_of(document) == reason


def test_a_signed_document_is_not_signed_again() -> None:
    """Two signatures would make it unreadable to ourselves."""
    with pytest.raises(XmlSignatureError, match="already-signed"):
        sign(SIGNED)


def test_a_key_for_letters_of_another_kind_does_not_sign_documents() -> None:
    """The XML standards have no name for it in our tools."""
    signer = PKI.authority.issue(
        CertificateProfile.SIGNATURE, HOSPITAL, at=ISSUED_AT, key="ed25519"
    )

    with pytest.raises(UnsupportedAlgorithmError):
        sign(signer=signer)


@pytest.mark.slow
def test_a_national_list_of_ten_thousand_domains_verifies() -> None:
    """Six megabytes: the size of the real one."""
    entry = b"<Domaine><Nom>d%d.mssante.fr</Nom><DN>%s</DN></Domaine>\n"
    entries = b"".join(entry % (number, b"CN=x,O=y" * 65) for number in range(10_000))
    document = b'<Liste xmlns="https://liste.example/schema">' + entries + b"</Liste>"

    proof = verify_enveloped(sign(document))

    assert proof.content.count(b"<Domaine>") == 10_000
