"""CMS structures, from octets to values and no further: no key is used and nobody is believed.

The most exposed file of the package: it reads what strangers send. It understands SignedData,
EnvelopedData and AuthEnvelopedData in DER or BER, within limits, and refuses the rest.

Units
    Identifiers are dotted text. `raw` members are octets exactly as received.
Errors
    `CmsSyntaxError` for any octets that are not understood or exceed a limit.
Sources
    RFC 5652 (CMS), RFC 5083 (AuthEnvelopedData), RFC 5753 (originator key, shared info).
"""

from dataclasses import dataclass, field
from typing import Final

from crypto import der
from crypto.algorithms import AUTH_ENVELOPED_DATA, ENVELOPED_DATA, SIGNED_DATA
from crypto.cms_parts import (
    MAX_ATTRIBUTES,
    Algorithm,
    Attribute,
    Identifier,
    IssuerAndSerial,
    KeyIdentifier,
    attribute_octets,
    declared,
    only,
    parse_algorithm,
    read_algorithm,
    read_attributes,
    read_identifier,
)
from crypto.cms_recipients import (
    MAX_RECIPIENT_OCTETS,
    MAX_RECIPIENTS,
    KemRecipient,
    KeyAgreeRecipient,
    KeyTransRecipient,
    Recipient,
    read_recipients,
)
from crypto.errors import CmsSyntaxError

__all__ = [
    "MAX_ATTRIBUTES",
    "MAX_CERTIFICATES",
    "MAX_RECIPIENTS",
    "MAX_RECIPIENT_OCTETS",
    "MAX_SIGNERS",
    "Algorithm",
    "Attribute",
    "Enveloped",
    "Identifier",
    "IssuerAndSerial",
    "KemRecipient",
    "KeyAgreeRecipient",
    "KeyIdentifier",
    "KeyTransRecipient",
    "Recipient",
    "SignedData",
    "SignerInfo",
    "parse_algorithm",
    "parse_enveloped",
    "parse_signed_data",
    "read_algorithm",
    "read_content_type",
]

MAX_CERTIFICATES: Final = 32
MAX_SIGNERS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerInfo:
    """One signature.

    Attributes:
        attributes: The signed attributes; empty if there are none.
        tbs: What is signed: the DER form of the attributes, whatever form was received.
        tbs_as_written: The same with the attributes in the order that came; equal if that is DER's.
        is_sorted: The attributes came in DER, order included.
    """

    identifier: Identifier
    digest: Algorithm
    attributes: tuple[Attribute, ...]
    tbs: bytes = field(repr=False)
    tbs_as_written: bytes = field(repr=False)
    is_sorted: bool
    signature_algorithm: Algorithm
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedData:
    """A SignedData; `content` is None when it is detached."""

    content_type: str
    content: bytes | None = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    signers: tuple[SignerInfo, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enveloped:
    """An EnvelopedData, or an AuthEnvelopedData when `tag` is not None.

    Attributes:
        recipients: Those of a kind that we know; the others are left out.
        authenticated_attributes: Their DER form, which is authenticated too; empty if none.
    """

    recipients: tuple[Recipient, ...]
    content_type: str
    algorithm: Algorithm
    ciphertext: bytes = field(repr=False)
    authenticated_attributes: bytes = field(repr=False)
    tag: bytes | None = field(repr=False)


@declared
def read_content_type(octets: bytes) -> str:
    """Return the content type with which *octets* begin; they may be cut short after it."""
    # The outer length runs past a shortened excerpt, so only its two headers are read here.
    if len(octets) < 4 or octets[0] != der.SEQUENCE:
        raise CmsSyntaxError("content-info")
    size = octets[1] & 0x7F if octets[1] > 0x80 else 0
    return der.read_oid(der.parse_prefix(octets[2 + size : 2 + size + 64]))


@declared
def parse_signed_data(octets: bytes) -> SignedData:
    """Read a ContentInfo that holds a SignedData."""
    fields = der.Fields(_content(octets, SIGNED_DATA))
    fields.take(der.INTEGER)
    fields.take(der.SET)
    inner = der.Fields(fields.take(der.SEQUENCE))
    content_type = der.read_oid(inner.take())
    holder = inner.find(der.context(0))
    content = None if holder is None else der.read_octets(only(holder))
    inner.finish()
    certificates = fields.find(der.context(0))
    fields.find(der.context(1))  # revocation lists of strangers are not looked at
    signers = fields.take(der.SET).children()
    fields.finish()
    if len(signers) > MAX_SIGNERS:
        raise CmsSyntaxError("too-many-signers")
    return SignedData(
        content_type=content_type,
        content=content,
        certificates=_certificates(certificates),
        signers=tuple(_signer(each) for each in signers),
    )


@declared
def parse_enveloped(octets: bytes) -> Enveloped:
    """Read a ContentInfo that holds an EnvelopedData or an AuthEnvelopedData."""
    content_type = read_content_type(octets)
    is_authenticated = content_type == AUTH_ENVELOPED_DATA
    fields = der.Fields(
        _content(octets, AUTH_ENVELOPED_DATA if is_authenticated else ENVELOPED_DATA)
    )
    fields.take(der.INTEGER)
    fields.find(der.context(0))
    recipients = read_recipients(fields.take(der.SET))
    inner = der.Fields(fields.take(der.SEQUENCE))
    inner_type = der.read_oid(inner.take())
    algorithm = read_algorithm(inner.take())
    primitive = der.context(0, constructed=False)
    ciphertext = der.read_octets(inner.take(), tag=primitive)
    inner.finish()
    attributes, tag = b"", None
    if is_authenticated:
        given = fields.find(der.context(1))
        attributes = b"" if given is None else attribute_octets(given)
        tag = der.read_octets(fields.take())
        fields.find(der.context(2))
    else:
        fields.find(der.context(1))
    fields.finish()
    return Enveloped(
        recipients=recipients,
        content_type=inner_type,
        algorithm=algorithm,
        ciphertext=ciphertext,
        authenticated_attributes=attributes,
        tag=tag,
    )


def _content(octets: bytes, wanted: str) -> der.Element:
    outer = der.Fields(der.parse(octets))
    if der.read_oid(outer.take()) != wanted:
        raise CmsSyntaxError("content-type")
    holder = outer.take(der.context(0))
    outer.finish()
    return only(holder)


def _certificates(holder: der.Element | None) -> tuple[bytes, ...]:
    children = () if holder is None else holder.children()
    if len(children) > MAX_CERTIFICATES:
        raise CmsSyntaxError("too-many-certificates")
    return tuple(each.raw for each in children if each.tag == der.SEQUENCE)


def _signer(element: der.Element) -> SignerInfo:
    fields = der.Fields(element)
    fields.take(der.INTEGER)
    identifier = read_identifier(fields.take())
    digest = read_algorithm(fields.take())
    attributes = fields.find(der.context(0))
    algorithm = read_algorithm(fields.take())
    signature = der.read_octets(fields.take())
    fields.find(der.context(1))
    fields.finish()
    tbs = b"" if attributes is None else attribute_octets(attributes)
    is_sorted = attributes is None or tbs[1:] == attributes.raw[1:]
    as_written = tbs
    if attributes is not None and not is_sorted:
        as_written = attribute_octets(attributes, sort=False)
    return SignerInfo(
        identifier=identifier,
        digest=digest,
        attributes=() if attributes is None else read_attributes(tbs),
        tbs=tbs,
        tbs_as_written=as_written,
        is_sorted=is_sorted,
        signature_algorithm=algorithm,
        signature=signature,
    )
