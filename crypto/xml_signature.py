"""Sign the trust list as an XML document, and check such a signature.

Two forms with one meaning: a signature directly under the root element that covers the whole
document but itself. Either plain XML-DSig, or XAdES-Baseline-B, which also refers to its own signed
properties; both may refer to their own KeyInfo. What comes back is the octets that were signed; a
caller who reads anything else reads what nobody signed. Whether the signer is to be believed is
asked elsewhere, with `crypto.trust.DOCUMENT_SIGNING`.

The check is ours, because general libraries accept the hundred other forms, and do not know the
filter with which national signers take their signature out of the document.

Errors
    `XmlSignatureError` for any octets that are not so signed.
Sources
    W3C XML Signature 1.1 and XML Signature Best Practices; W3C XML-Signature XPath Filter 2.0;
    ETSI EN 319 132-1 (XAdES); CWE-611 and CWE-776 (document types and entities); CWE-347.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import new as new_digest
from hmac import compare_digest
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

from crypto.algorithms import MAX_RSA_BITS, MIN_RSA_BITS
from crypto.certificates import Certificate, parse_certificate
from crypto.errors import CertificateSyntaxError, UnsupportedAlgorithmError, XmlSignatureError
from crypto.keys import PrivateKey
from crypto.xml_canonical import (
    DS,
    INCLUSIVE_FORM,
    Canonicalization,
    parse_canonicalization,
)

MAX_OCTETS: Final = 64 * 1024 * 1024
MAX_CERTIFICATES: Final = 8

_ENVELOPED: Final = DS + "enveloped-signature"
_XPATH: Final = "http://www.w3.org/TR/1999/REC-xpath-19991116"
_FILTER: Final = "http://www.w3.org/2002/06/xmldsig-filter2"
_XADES: Final = "http://uri.etsi.org/01903/v1.3.2#"
_PROPERTIES: Final = f"{{{DS}}}Object/{{{_XADES}}}QualifyingProperties/{{{_XADES}}}SignedProperties"
_OWN_PARTS: Final = (_PROPERTIES, f"{{{DS}}}KeyInfo")
# Each way to say "without the signature"; there is only one in the document, so all mean the same.
_SUBTRACTED: Final = re.compile(
    r"(?:/descendant(?:-or-self)?::|//|here\(\)/ancestor::)([^\s:()/\[\]]+):Signature(?:\[1\])?"
)
_EXCLUDED: Final = re.compile(r"not\(ancestor-or-self::([^\s:()/\[\]]+):Signature\)")

_DIGESTS: Final = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
_MORE_2007: Final = "http://www.w3.org/2007/05/xmldsig-more#"
_METHODS: Final = {
    **{f"{_MORE}rsa-{name}": ("rsa", name) for name in _HASHES},
    **{f"{_MORE_2007}{name}-rsa-MGF1": ("rsa-pss", name) for name in _HASHES},
    **{f"{_MORE}ecdsa-{name}": ("ecdsa", name) for name in _HASHES},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class XmlSigned:
    """Proof that a document was signed with the key of a certificate.

    Attributes:
        content: The octets that were signed: the document without the signature, canonical.
        signer: The certificate whose key signed; not yet believed.
        intermediates: The other certificates that came along.
    """

    content: bytes = field(repr=False)
    signer: Certificate
    intermediates: tuple[Certificate, ...] = field(repr=False)


def sign_enveloped(xml: bytes, *, private_key: PrivateKey, certificate: Certificate) -> bytes:
    """Return *xml* with a signature as last child of its root element.

    Raises:
        XmlSignatureError: *xml* is no document that we sign.
        UnsupportedAlgorithmError: The key is neither RSA nor of a usual curve.
    """
    if not isinstance(private_key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise UnsupportedAlgorithmError(certificate.key_name)
    root = _parse(xml)
    if root.find(f".//{_ds('Signature')}") is not None:
        raise XmlSignatureError("already-signed")
    signer = XMLSigner(
        signature_algorithm=(
            SignatureMethod.RSA_SHA256
            if isinstance(private_key, rsa.RSAPrivateKey)
            else SignatureMethod.ECDSA_SHA256
        ),
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    signed = signer.sign(
        root, key=private_key, cert=[certificate.parsed], always_add_key_value=False
    )
    return etree.tostring(signed, xml_declaration=True, encoding="UTF-8")


def verify_enveloped(xml: bytes) -> XmlSigned:
    """Prove with whose key a document was signed.

    Raises:
        XmlSignatureError: It is not signed in a form that is accepted, or was changed.
    """
    root = _parse(xml)
    signature = _only_signature(root)
    signed_info = _only(signature, _ds("SignedInfo"), "signed-info")
    document, others = _references(signature, signed_info)
    form = _document_form(document)
    certificates = _certificates(signature)
    signer = _find_signer(signature, signed_info, certificates)
    _check_own_parts(signature, others)
    _check_named(signature, signer)
    content = _without_signature(root, signature, form)
    _check_digest(document, content)
    intermediates = tuple(one for one in certificates if one != signer)
    return XmlSigned(content=content, signer=signer, intermediates=intermediates)


# --- Form ------------------------------------------------------------------------------------


def _ds(name: str) -> str:
    return f"{{{DS}}}{name}"


def _parse(xml: bytes) -> etree._Element:
    if len(xml) > MAX_OCTETS:
        raise XmlSignatureError("too-large")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        root = etree.fromstring(xml, parser)
    except (etree.LxmlError, ValueError) as error:
        raise XmlSignatureError("not-xml") from error
    if root is None:
        raise XmlSignatureError("not-xml")
    if root.getroottree().docinfo.doctype:
        raise XmlSignatureError("document-type")
    return root


def _only_signature(root: etree._Element) -> etree._Element:
    signatures = list(root.iter(_ds("Signature")))
    if len(signatures) != 1:
        raise XmlSignatureError("signature-missing" if not signatures else "several-signatures")
    if signatures[0].getparent() is not root:
        raise XmlSignatureError("signature-misplaced")
    return signatures[0]


def _only(parent: etree._Element, tag: str, reason: str) -> etree._Element:
    found = parent.findall(tag)
    if len(found) != 1:
        raise XmlSignatureError(reason)
    return found[0]


def _references(
    signature: etree._Element, signed_info: etree._Element
) -> tuple[etree._Element, list[etree._Element]]:
    """Take the Reference to the document, and those to parts of the signature itself."""
    references = signed_info.findall(_ds("Reference"))
    # One elsewhere is a Manifest, which signs nothing until somebody follows it.
    if len(references) != len(list(signature.iter(_ds("Reference")))):
        raise XmlSignatureError("reference")
    documents = [one for one in references if one.get("URI") == ""]
    if len(documents) != 1 or len(references) > 1 + len(_OWN_PARTS):
        raise XmlSignatureError("reference")
    return documents[0], [one for one in references if one is not documents[0]]


def _transforms(reference: etree._Element) -> list[etree._Element]:
    holders = reference.findall(_ds("Transforms"))
    if len(holders) > 1:
        raise XmlSignatureError("transforms")
    return [each for holder in holders for each in holder if isinstance(each.tag, str)]


def _document_form(reference: etree._Element) -> Canonicalization:
    """Read how the document was made octets: first without the signature, then canonical."""
    transforms = _transforms(reference)
    if not 1 <= len(transforms) <= 2 or not _removes_signature(transforms[0]):
        raise XmlSignatureError("transforms")
    return _last_form(transforms[1:])


def _last_form(transforms: Sequence[etree._Element]) -> Canonicalization:
    if len(transforms) > 1:
        raise XmlSignatureError("transforms")
    return parse_canonicalization(transforms[0]) if transforms else INCLUSIVE_FORM


def _removes_signature(transform: etree._Element) -> bool:
    """Tell whether a transform takes out the signature, and nothing else."""
    children = [each for each in transform if isinstance(each.tag, str)]
    match transform.get("Algorithm"), children:
        case algorithm, []:
            return algorithm == _ENVELOPED
        case algorithm, [xpath] if algorithm == _FILTER:
            is_subtract = xpath.get("Filter") == "subtract"
            return (
                xpath.tag == f"{{{_FILTER}}}XPath"
                and is_subtract
                and _names_signature(_SUBTRACTED, xpath)
            )
        case algorithm, [xpath] if algorithm == _XPATH:
            return xpath.tag == _ds("XPath") and _names_signature(_EXCLUDED, xpath)
    return False


def _names_signature(shape: re.Pattern[str], xpath: etree._Element) -> bool:
    text = "".join((xpath.text or "").split())
    found = shape.fullmatch(text) if len(xpath) == 0 else None
    return found is not None and xpath.nsmap.get(found[1]) == DS


def _without_signature(
    root: etree._Element, signature: etree._Element, form: Canonicalization
) -> bytes:
    """Write the document after the signature was taken out of it."""
    before = signature.getprevious()
    tail = signature.tail or ""
    if before is None:
        root.text = (root.text or "") + tail
    else:
        before.tail = (before.tail or "") + tail
    root.remove(signature)
    return form.of_document(root)


# --- Octets ----------------------------------------------------------------------------------


def _check_digest(reference: etree._Element, octets: bytes) -> None:
    algorithm = _DIGESTS.get(
        _only(reference, _ds("DigestMethod"), "reference").get("Algorithm", "")
    )
    if algorithm is None:
        raise XmlSignatureError("digest-method")
    wanted = _octets_of(_only(reference, _ds("DigestValue"), "reference"))
    if not compare_digest(new_digest(algorithm, octets).digest(), wanted):
        raise XmlSignatureError("signature-wrong")


def _octets_of(element: etree._Element) -> bytes:
    try:
        return b64decode("".join((element.text or "").split()), validate=True)
    except (Base64Error, ValueError) as error:
        raise XmlSignatureError("base64") from error


def _certificates(signature: etree._Element) -> list[Certificate]:
    path = "/".join(map(_ds, ("KeyInfo", "X509Data", "X509Certificate")))
    elements = signature.findall(path)
    if not 1 <= len(elements) <= MAX_CERTIFICATES:
        raise XmlSignatureError("certificate-count")
    try:
        found = [parse_certificate(_octets_of(each)) for each in elements]
    except CertificateSyntaxError as error:
        raise XmlSignatureError("certificate") from error
    return list(dict.fromkeys(found))


def _find_signer(
    signature: etree._Element, signed_info: etree._Element, certificates: Iterable[Certificate]
) -> Certificate:
    """Find the certificate whose key made the signature; their order is nobody's promise."""
    method = _only(signed_info, _ds("CanonicalizationMethod"), "canonicalization")
    signed = parse_canonicalization(method).of_element(signed_info)
    algorithm = _only(signed_info, _ds("SignatureMethod"), "signature-method").get("Algorithm", "")
    if algorithm not in _METHODS:
        raise XmlSignatureError("signature-method")
    value = _octets_of(_only(signature, _ds("SignatureValue"), "signature-value"))
    reason = "signature-wrong"
    for certificate in certificates:
        if not _is_signed_by(certificate, _METHODS[algorithm], value, signed):
            continue
        if _is_strong(certificate):
            return certificate
        reason = "weak-key"
    raise XmlSignatureError(reason)


def _is_signed_by(
    certificate: Certificate, method: tuple[str, str], value: bytes, signed: bytes
) -> bool:
    kind, name = method
    algorithm = _HASHES[name]
    try:
        match certificate.public_key:
            case rsa.RSAPublicKey() as key if kind == "rsa" and key.key_size <= MAX_RSA_BITS:
                key.verify(value, signed, padding.PKCS1v15(), algorithm)
            case rsa.RSAPublicKey() as key if kind == "rsa-pss" and key.key_size <= MAX_RSA_BITS:
                pss = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
                key.verify(value, signed, pss, algorithm)
            case ec.EllipticCurvePublicKey() as key if kind == "ecdsa":
                key.verify(_dss(value, key.curve), signed, ec.ECDSA(algorithm))
            case _:
                return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _dss(value: bytes, curve: ec.EllipticCurve) -> bytes:
    """Turn two numbers of the curve's width into what the library takes (XML Signature, 6.4.3)."""
    width = (curve.key_size + 7) // 8
    if len(value) != 2 * width:
        raise ValueError("length")
    first, second = (int.from_bytes(half, "big") for half in (value[:width], value[width:]))
    return encode_dss_signature(first, second)


def _is_strong(signer: Certificate) -> bool:
    match signer.public_key:
        case rsa.RSAPublicKey() as key:
            return MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
        case ec.EllipticCurvePublicKey() as key:
            return key.key_size >= 256
        case _:
            return False


# --- XAdES -----------------------------------------------------------------------------------


def _check_own_parts(signature: etree._Element, references: Iterable[etree._Element]) -> None:
    """Check what the signature says of itself: its signed properties, and its certificates."""
    parts: dict[str, etree._Element] = {}
    for path in _OWN_PARTS:
        found = signature.findall(path)
        if len(found) > 1:
            raise XmlSignatureError("signed-properties")
        parts.update({f"#{one.get('Id', '')}": one for one in found})
    for reference in references:
        # Taken out, so that no part is signed twice; found by its place, not by looking up an Id.
        part = parts.pop(reference.get("URI") or "", None)
        if part is None:
            raise XmlSignatureError("reference")
        form = _last_form(_transforms(reference))
        _check_digest(reference, form.of_element(part))
    if any(one.tag == f"{{{_XADES}}}SignedProperties" for one in parts.values()):
        raise XmlSignatureError("signed-properties")


def _check_named(signature: etree._Element, signer: Certificate) -> None:
    """Check that the signed properties, if there are any, name the certificate that signed."""
    named = [
        digest
        for kind in ("SigningCertificateV2", "SigningCertificate")
        for digest in signature.findall(
            f"{_PROPERTIES}/{{{_XADES}}}SignedSignatureProperties/{{{_XADES}}}{kind}"
            f"/{{{_XADES}}}Cert/{{{_XADES}}}CertDigest"
        )
    ]
    if named and not any(_is_digest_of(one, signer) for one in named):
        raise XmlSignatureError("signing-certificate")


def _is_digest_of(element: etree._Element, certificate: Certificate) -> bool:
    method, value = element.find(_ds("DigestMethod")), element.find(_ds("DigestValue"))
    algorithm = _DIGESTS.get("" if method is None else method.get("Algorithm", ""))
    if algorithm is None or value is None:
        return False
    return compare_digest(new_digest(algorithm, certificate.der).digest(), _octets_of(value))
