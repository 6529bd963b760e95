"""Keep a signature beside its content in the clear, so that a letter can be read and judged again.

An opaque signature (application/pkcs7-mime) holds the letter inside a structure that mail software
without S/MIME cannot open. What is signed is a digest of the content, not where the content stands:
the same signature holds for the content outside, in a multipart/signed. Nothing that was signed is
changed, to the octet.

Errors
    `NotSignedError` and `CmsSyntaxError` as for `crypto.smime.verify`.
Sources
    RFC 5652, 5.1 and 5.2 (eContent is optional); RFC 8551, 3.5.2 and 3.5.3.
"""

from crypto import cms, der, layout
from crypto.algorithms import DIGEST_NAMES, MICALG
from crypto.cms_parts import declared
from crypto.entity import read_entity
from crypto.errors import CmsSyntaxError, NotSignedError
from crypto.kinds import Kind, kind_of


def in_the_clear(entity: bytes) -> bytes:
    """Return a signed entity as multipart/signed; itself if it is one."""
    header = read_entity(entity)
    if kind_of(header) is not Kind.SIGNED:
        raise NotSignedError
    if header.media_type == "multipart/signed":
        return entity
    octets = header.decoded_body()
    signed = cms.parse_signed_data(octets)
    if signed.content is None:
        raise CmsSyntaxError("content-missing")
    digests = (each.digest.oid for each in signed.signers if each.digest.oid in DIGEST_NAMES)
    micalg = ",".join(dict.fromkeys(MICALG[oid] for oid in digests))
    before, after = layout.clear_signed(_without_content(octets), micalg=micalg or "unknown")
    return b"".join((before, signed.content, after))


@declared
def _without_content(octets: bytes) -> bytes:
    """Return a SignedData without its eContent; every other member as it was received."""
    kind, holder = der.parse(octets).children()
    version, digests, inside, *rest = holder.children()[0].children()
    bare = der.sequence(inside.children()[0].raw)
    members = (version.raw, digests.raw, bare, *(each.raw for each in rest))
    return der.sequence(kind.raw, der.encode(der.context(0), der.sequence(*members)))
