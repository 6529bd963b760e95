"""What does this entity claim to be: encrypted, signed, other cryptography, or a plain letter?

A claim, from the header and the first octets of the body; nothing is proved. For CMS the content
type inside decides: the `smime-type` parameter is spelt in many ways, and only serves when the body
is unreadable. Gateways that do not know S/MIME write `application/octet-stream`, so a known file
name makes a claim too, but only together with the structure inside.

Errors
    None: whatever the octets, there is an answer. In doubt it is *plain*.
Sources
    RFC 8551, 3.2.2 (smime-type) and 3.9 (recognising by file name); RFC 1847, 2.1;
    KOM-LE-A_2104 (another spelling of smime-type).
"""

from enum import StrEnum
from typing import Final

from crypto import cms
from crypto.algorithms import AUTH_ENVELOPED_DATA, COMPRESSED_DATA, ENVELOPED_DATA, SIGNED_DATA
from crypto.entity import Entity, read_entity, split_signed
from crypto.errors import CmsSyntaxError, SignatureError

PKCS7_MIME: Final = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
PKCS7_SIGNATURE: Final = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
OCTETS: Final = "application/octet-stream"
PEEK_OCTETS: Final = 256


class Kind(StrEnum):
    """What an entity claims to be."""

    ENCRYPTED = "encrypted"
    SIGNED = "signed"
    COMPRESSED = "compressed"
    OTHER_CMS = "other-cms"
    PLAIN = "plain"


_KINDS: Final = {
    ENVELOPED_DATA: Kind.ENCRYPTED,
    AUTH_ENVELOPED_DATA: Kind.ENCRYPTED,
    SIGNED_DATA: Kind.SIGNED,
    COMPRESSED_DATA: Kind.COMPRESSED,
}


def classify(entity: bytes) -> Kind:
    """Say what an entity claims to be."""
    return kind_of(read_entity(entity))


def kind_of(header: Entity) -> Kind:
    """Do as `classify` for an entity whose header was read."""
    if header.is_ambiguous:
        return Kind.PLAIN
    if header.media_type == "multipart/signed":
        return _kind_of_multipart(header)
    if header.media_type in PKCS7_MIME:
        return _kind_inside(header) or _kind_by_parameter(header)
    if header.media_type == OCTETS and header.file_name.endswith((".p7m", ".p7z")):
        return _kind_inside(header) or Kind.PLAIN
    return Kind.PLAIN


def is_protected(entity: bytes) -> bool:
    """Say whether somebody signed or encrypted an entity as a whole."""
    return classify(entity) in {Kind.SIGNED, Kind.ENCRYPTED}


def is_encrypted(entity: bytes) -> bool:
    """Say whether an entity is encrypted, perhaps inside a signature in the clear."""
    header = read_entity(entity)
    kind = kind_of(header)
    if kind is not Kind.SIGNED or header.media_type != "multipart/signed":
        return kind is Kind.ENCRYPTED
    try:
        return classify(split_signed(header).content) is Kind.ENCRYPTED
    except SignatureError:
        return False


def is_signature(header: Entity) -> bool:
    """Say whether a part claims to be the signature of a multipart/signed."""
    if header.is_ambiguous:
        return False
    by_name = header.media_type == OCTETS and header.file_name.endswith(".p7s")
    return by_name or header.media_type in PKCS7_SIGNATURE


def is_enveloped_without_tag(header: Entity) -> bool:
    """Say whether an encrypted entity is of the kind that nothing protects against change."""
    try:
        content_type = cms.read_content_type(header.decoded_body(first=PEEK_OCTETS))
    except CmsSyntaxError:
        return True  # in doubt the stricter rules apply
    return content_type != AUTH_ENVELOPED_DATA


def _kind_of_multipart(header: Entity) -> Kind:
    protocol = header.parameters.get("protocol", "").lower()
    if protocol:
        return Kind.SIGNED if protocol in PKCS7_SIGNATURE else Kind.PLAIN
    try:
        return Kind.SIGNED if is_signature(split_signed(header).signature) else Kind.PLAIN
    except SignatureError:
        return Kind.PLAIN


def _kind_inside(header: Entity) -> Kind | None:
    try:
        content_type = cms.read_content_type(header.decoded_body(first=PEEK_OCTETS))
    except CmsSyntaxError:
        return None
    return _KINDS.get(content_type, Kind.OTHER_CMS)


def _kind_by_parameter(header: Entity) -> Kind:
    smime_type = header.parameters.get("smime-type", "").lower()
    if "enveloped" in smime_type:
        return Kind.ENCRYPTED
    if smime_type == "compressed-data":
        return Kind.COMPRESSED
    return Kind.SIGNED if smime_type == "signed-data" else Kind.OTHER_CMS
