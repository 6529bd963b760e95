"""Sign the trust list as an XML document, and check such a signature.

One form only: enveloped, directly under the root element, exactly one Reference to the whole
document, SHA-256 or better. What comes back is the octets that were signed; a caller who reads
anything else reads what nobody signed. Whether the signer is to be believed is asked
elsewhere, with `crypto.trust.DOCUMENT_SIGNING`.

Errors
    `XmlSignatureError` for any octets that are not so signed.
Sources
    W3C XML Signature 1.1 and XML Signature Best Practices; W3C Exclusive XML Canonicalization 1.0;
    CWE-611 and CWE-776 (document types and entities).
"""

from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from crypto.algorithms import MAX_RSA_BITS, MIN_RSA_BITS
from crypto.certificates import Certificate, parse_certificate
from crypto.errors import CertificateSyntaxError, UnsupportedAlgorithmError, XmlSignatureError
from crypto.keys import PrivateKey

MAX_OCTETS: Final = 64 * 1024 * 1024
MAX_CERTIFICATES: Final = 8

_DS: Final = "http://www.w3.org/2000/09/xmldsig#"
_ENVELOPED: Final = _DS + "enveloped-signature"
_EXCLUSIVE: Final = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
_CANONICAL: Final = frozenset(
    {
        CanonicalizationMethod.CANONICAL_XML_1_0.value,
        CanonicalizationMethod.CANONICAL_XML_1_1.value,
        _EXCLUSIVE.value,
    }
)
_METHODS: Final = frozenset(
    {
        SignatureMethod.RSA_SHA256,
        SignatureMethod.RSA_SHA384,
        SignatureMethod.RSA_SHA512,
        SignatureMethod.SHA256_RSA_MGF1,
        SignatureMethod.SHA384_RSA_MGF1,
        SignatureMethod.SHA512_RSA_MGF1,
        SignatureMethod.ECDSA_SHA256,
        SignatureMethod.ECDSA_SHA384,
        SignatureMethod.ECDSA_SHA512,
    }
)
_DIGESTS: Final = frozenset(
    {DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class XmlSigned:
    """Proof that a document was signed with the key of a certificate.

    Attributes:
        content: The octets that were signed: the root element without the signature, canonical.
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
    if root.find(f".//{{{_DS}}}Signature") is not None:
        raise XmlSignatureError("already-signed")
    signer = XMLSigner(
        signature_algorithm=(
            SignatureMethod.RSA_SHA256
            if isinstance(private_key, rsa.RSAPrivateKey)
            else SignatureMethod.ECDSA_SHA256
        ),
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=_EXCLUSIVE,
    )
    signed = signer.sign(
        root, key=private_key, cert=[certificate.parsed], always_add_key_value=False
    )
    return etree.tostring(signed, xml_declaration=True, encoding="UTF-8")


def verify_enveloped(xml: bytes) -> XmlSigned:
    """Prove with whose key a document was signed.

    Raises:
        XmlSignatureError: It is not signed in the one form accepted, or was changed.
    """
    root = _parse(xml)
    signature = _only_signature(root)
    _check_references(signature)
    signer, *others = _certificates(signature)
    _check_key(signer)
    configuration = SignatureConfiguration(
        location="./",
        expect_references=1,
        signature_methods=_METHODS,
        digest_algorithms=_DIGESTS,
        # Whether the certificate is valid today is judged with its chain, not here.
        verification_time=signer.not_before_at,
    )
    try:
        result = XMLVerifier().verify(
            root, x509_cert=signer.parsed, expect_config=configuration, validate_schema=True
        )
    except (
        SignXMLException,
        etree.LxmlError,
        UnsupportedAlgorithm,
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
        NotImplementedError,
        AssertionError,
    ) as error:
        # The library decodes as it goes, so malformed members surface as these.
        raise XmlSignatureError("signature-wrong") from error
    assert isinstance(result, VerifyResult)  # there is one reference
    return XmlSigned(content=result.signed_data, signer=signer, intermediates=tuple(others))


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
    signatures = list(root.iter(f"{{{_DS}}}Signature"))
    if len(signatures) != 1:
        raise XmlSignatureError("signature-missing" if not signatures else "several-signatures")
    if signatures[0].getparent() is not root:
        raise XmlSignatureError("signature-misplaced")
    return signatures[0]


def _check_references(signature: etree._Element) -> None:
    references = list(signature.iter(f"{{{_DS}}}Reference"))
    if len(references) != 1 or references[0].get("URI") != "":
        raise XmlSignatureError("reference")
    transforms = [each.get("Algorithm") for each in references[0].iter(f"{{{_DS}}}Transform")]
    if transforms[:1] != [_ENVELOPED] or len(transforms) > 2:
        raise XmlSignatureError("transforms")
    method = signature.find(f"{{{_DS}}}SignedInfo/{{{_DS}}}CanonicalizationMethod")
    canonical = [*transforms[1:], None if method is None else method.get("Algorithm")]
    if not _CANONICAL.issuperset(canonical):
        raise XmlSignatureError("canonicalization")


def _certificates(signature: etree._Element) -> list[Certificate]:
    elements = signature.findall(f"{{{_DS}}}KeyInfo/{{{_DS}}}X509Data/{{{_DS}}}X509Certificate")
    if not 1 <= len(elements) <= MAX_CERTIFICATES:
        raise XmlSignatureError("certificate-count")
    try:
        return [parse_certificate(b64decode(each.text or "")) for each in elements]
    except (CertificateSyntaxError, Base64Error, ValueError) as error:
        raise XmlSignatureError("certificate") from error


def _check_key(signer: Certificate) -> None:
    match signer.public_key:
        case rsa.RSAPublicKey() as key if MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            return
        case ec.EllipticCurvePublicKey() as key if key.key_size >= 256:
            return
        case _:
            raise XmlSignatureError("weak-key")
