"""From a shared secret to the key that wraps the content key.

Both sides of a message must feed the derivation with the same octets, so both are here: what the
sender writes and what the recipient computes cannot drift apart.

Units
    Sizes in octets. `wrap` is the AlgorithmIdentifier of the key wrap as it stands in the message:
    whether it has a NULL changes the key.
Sources
    RFC 5753, 7.2 (ECC-CMS-SharedInfo); RFC 8418, 2.2 (HKDF); RFC 9629, 5 (CMSORIforKEMOtherInfo).
"""

from cryptography.hazmat.primitives.hashes import HashAlgorithm
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

from crypto import der
from crypto.algorithms import KeyAgreement


def agreed_key(
    agreement: KeyAgreement, secret: bytes, *, wrap: bytes, size: int, material: bytes | None
) -> bytes:
    """Return the key-encryption key of a key agreement.

    Args:
        agreement: Which derivation, with which hash.
        secret: What both sides computed.
        wrap: The key-wrap algorithm, encoded.
        size: How long the key is to be.
        material: User keying material, if any.
    """
    bits = der.encode(der.context(2), der.octet_string((size * 8).to_bytes(4, "big")))
    shared_info = der.sequence(wrap, _tagged(material), bits)
    if agreement.hkdf:  # RFC 8418, 2.2: the keying material is the salt as well
        return HKDF(agreement.hash, size, salt=material, info=shared_info).derive(secret)
    return X963KDF(agreement.hash, size, shared_info).derive(secret)


def encapsulated_key(
    digest: HashAlgorithm, secret: bytes, *, wrap: bytes, size: int, material: bytes | None
) -> bytes:
    """Return the key-encryption key of a key encapsulation."""
    info = encapsulation_info(wrap=wrap, size=size, material=material)
    return HKDF(digest, size, salt=None, info=info).derive(secret)


def encapsulation_info(*, wrap: bytes, size: int, material: bytes | None) -> bytes:
    """Return the context that RFC 9629, 5 binds the key to."""
    return der.sequence(wrap, der.integer(size), _tagged(material))


def _tagged(material: bytes | None) -> bytes:
    if material is None:
        return b""
    return der.encode(der.context(0), der.octet_string(material))
