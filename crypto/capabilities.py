"""What can a correspondent read? The S/MIME capabilities that signatures and certificates state.

Reading only: whether a statement is to be believed depends on the signature that covers it, and is
decided by whoever asks.

Shapes
    Capabilities are dotted identifiers, best first, as their author ordered them.
Errors
    `CmsSyntaxError` for octets that are not a list of capabilities, or are too many.
Sources
    RFC 8551, 2.5.2 (the attribute) and 2.7.1 (choosing by it); RFC 4262 (the extension);
    RFC 5084 (AES-GCM identifiers).
"""

from collections.abc import Iterable
from typing import Final

from crypto import algorithms, der
from crypto.cms_parts import Attribute
from crypto.errors import CmsSyntaxError
from crypto.recipient_info import EnvelopeProfile

MAX_CAPABILITIES: Final = 64


def parse_capabilities(octets: bytes) -> tuple[str, ...]:
    """Read SMIMECapabilities: identifiers in the order of preference, parameters left out."""
    try:
        members = der.expect(der.parse(octets), der.SEQUENCE).children()
        if len(members) > MAX_CAPABILITIES:
            raise CmsSyntaxError("too-many-capabilities")
        return tuple(dict.fromkeys(der.read_oid(der.Fields(each).take()) for each in members))
    except der.DerSyntaxError as error:
        raise CmsSyntaxError(error.reason) from error


def find_capabilities(attributes: Iterable[Attribute]) -> tuple[str, ...] | None:
    """Find what signed *attributes* state; None if they state nothing that can be read.

    The attribute must stand once with one value (RFC 8551, 2.5.2): two statements are none.
    """
    stated = [each.values for each in attributes if each.oid == algorithms.SMIME_CAPABILITIES]
    if len(stated) != 1 or len(stated[0]) != 1:
        return None
    try:
        return parse_capabilities(stated[0][0])
    except CmsSyntaxError:
        return None


def profile_of(capabilities: Iterable[str]) -> EnvelopeProfile:
    """Choose how to encrypt for somebody who states *capabilities*.

    MODERN needs the one cipher that we write with it. Old software may state nothing but ciphers
    that are refused here: it gets COMPATIBLE all the same, never less without being asked.
    """
    reads_gcm = algorithms.AES256_GCM in capabilities
    return EnvelopeProfile.MODERN if reads_gcm else EnvelopeProfile.COMPATIBLE
