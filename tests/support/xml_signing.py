"""Sign XML as national signers do, by writing the canonical form by hand.

No canonicalisation library takes part: what is signed is written as canonical text to begin with.
So this is a second opinion on how we read a signature, not a mirror of it.
"""

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from crypto.issuing import Issued

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
XADES: Final = "http://uri.etsi.org/01903/v1.3.2#"
FILTER: Final = "http://www.w3.org/2002/06/xmldsig-filter2"
XPATH: Final = "http://www.w3.org/TR/1999/REC-xpath-19991116"
RSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"

ENVELOPED: Final = f'<ds:Transform Algorithm="{DS}enveloped-signature"></ds:Transform>'
CANONICAL: Final = f'<ds:Transform Algorithm="{EXCLUSIVE}"></ds:Transform>'


def subtract(text: str = "/descendant::ds:Signature", *, how: str = "subtract") -> str:
    """Write the transform by which the national signer takes its signature out."""
    return (
        f'<ds:Transform Algorithm="{FILTER}"><f:XPath xmlns:f="{FILTER}" Filter="{how}">{text}'
        "</f:XPath></ds:Transform>"
    )


def exclude(text: str = "not(ancestor-or-self::ds:Signature)") -> str:
    """Write the older transform of the same meaning."""
    return f'<ds:Transform Algorithm="{XPATH}"><ds:XPath>{text}</ds:XPath></ds:Transform>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """How a signature is written; each field may be bent by a test.

    Attributes:
        removal: The transform that takes the signature out.
        is_xades: Add signed properties, and a Reference to them.
        certificates: DER in KeyInfo; by default the signer, then its authority.
        named: DER that the signed properties name as the signer's.
    """

    removal: str = subtract()
    is_xades: bool = True
    certificates: tuple[bytes, ...] = ()
    named: bytes | None = None
    reference_id: str = "#xades-1"


def seal(content: str, signer: Issued, how: Seal | None = None) -> bytes:
    """Sign a document that is canonical already: no declaration, explicit end tags."""
    how = how or Seal()
    head, end, rest = content.rpartition("</")
    properties = _properties(how.named or signer.certificate.der) if how.is_xades else ""
    references = _reference(content, "", "", how.removal + CANONICAL)
    if how.is_xades:
        kind = ' Type="http://uri.etsi.org/01903#SignedProperties"'
        references += _reference(properties, kind, how.reference_id, CANONICAL)
    signed_info = (
        f'<ds:SignedInfo xmlns:ds="{DS}">'
        f'<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{RSA_SHA256}"></ds:SignatureMethod>'
        f"{references}</ds:SignedInfo>"
    )
    key = signer.private_key
    assert isinstance(key, rsa.RSAPrivateKey), "the national signer has an RSA key"
    value = key.sign(signed_info.encode(), padding.PKCS1v15(), hashes.SHA256())
    shown = how.certificates or tuple(one.der for one in (signer.certificate, *signer.chain))
    certificates = "".join(
        f"<ds:X509Certificate>{_base64(one)}</ds:X509Certificate>" for one in shown
    )
    qualifying = (
        f'<ds:Object><x:QualifyingProperties xmlns:x="{XADES}" Target="#id-1">{properties}'
        "</x:QualifyingProperties></ds:Object>"
    )
    signature = (
        f'<ds:Signature xmlns:ds="{DS}" Id="id-1">{signed_info}'
        f"<ds:SignatureValue>{_base64(value)}</ds:SignatureValue>"
        f"<ds:KeyInfo><ds:X509Data>{certificates}</ds:X509Data></ds:KeyInfo>"
        f"{qualifying if how.is_xades else ''}</ds:Signature>"
    )
    return f"{head}{signature}{end}{rest}".encode()


def _reference(octets: str, kind: str, uri: str, transforms: str) -> str:
    digest = _base64(sha256(octets.encode()).digest())
    return (
        f'<ds:Reference{kind} URI="{uri}"><ds:Transforms>{transforms}</ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{SHA256}"></ds:DigestMethod>'
        f"<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>"
    )


def _properties(certificate: bytes) -> str:
    digest = _base64(sha256(certificate).digest())
    return (
        f'<x:SignedProperties xmlns:x="{XADES}" Id="xades-1"><x:SignedSignatureProperties>'
        "<x:SigningTime>2025-03-13T14:54:10Z</x:SigningTime><x:SigningCertificateV2><x:Cert>"
        f'<x:CertDigest><ds:DigestMethod xmlns:ds="{DS}" Algorithm="{SHA256}"></ds:DigestMethod>'
        f'<ds:DigestValue xmlns:ds="{DS}">{digest}</ds:DigestValue></x:CertDigest>'
        "</x:Cert></x:SigningCertificateV2></x:SignedSignatureProperties></x:SignedProperties>"
    )


def _base64(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")
