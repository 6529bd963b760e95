"""Read who may open an encrypted message: the RecipientInfos, from octets to values.

Each member of a key agreement becomes a recipient of its own. Kinds that need a password, a shared
key or something unknown are passed over: another recipient may be ours.

Errors
    `CmsSyntaxError` when a limit is exceeded; `DerSyntaxError` for what is not understood, which
    the parser around turns into the first.
Sources
    RFC 5652, 6.2; RFC 5753, 3.1; RFC 9629, 3 (KEMRecipientInfo).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from crypto import der
from crypto.algorithms import KEM_RECIPIENT
from crypto.cms_parts import (
    Algorithm,
    Identifier,
    KeyIdentifier,
    only,
    read_algorithm,
    read_identifier,
)
from crypto.errors import CmsSyntaxError

MAX_RECIPIENTS: Final = 1000
MAX_RECIPIENT_OCTETS: Final = 1024 * 1024
MAX_MATERIAL_OCTETS: Final = 1024  # keying material of a sender; honest ones send 64 at most


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTransRecipient:
    """A recipient whose RSA key wraps the content key."""

    identifier: Identifier
    algorithm: Algorithm
    encrypted_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAgreeRecipient:
    """A recipient reached by key agreement with the originator's one-time key.

    Attributes:
        originator: The one-time public key, raw; empty if the originator named a certificate of
            its own instead, which is not supported.
        originator_algorithm: The kind of that key, and its curve if the message says so.
    """

    identifier: Identifier
    originator: bytes = field(repr=False)
    originator_algorithm: Algorithm | None
    user_keying_material: bytes | None = field(repr=False)
    algorithm: Algorithm
    encrypted_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KemRecipient:
    """A recipient reached by key encapsulation.

    Attributes:
        encapsulated: The ciphertext of the mechanism.
        derivation: How the key-encryption key comes from the shared secret.
        key_octets: Size of the key-encryption key as the message states it.
    """

    identifier: Identifier
    algorithm: Algorithm
    encapsulated: bytes = field(repr=False)
    derivation: Algorithm
    key_octets: int
    user_keying_material: bytes | None = field(repr=False)
    wrap: Algorithm
    encrypted_key: bytes = field(repr=False)


Recipient = KeyTransRecipient | KeyAgreeRecipient | KemRecipient


def read_recipients(holder: der.Element) -> tuple[Recipient, ...]:
    """Read the SET OF RecipientInfo; those of kinds that we do not know are left out."""
    if holder.after - holder.start > MAX_RECIPIENT_OCTETS:
        raise CmsSyntaxError("recipients-too-large")
    children = holder.children()
    if not 1 <= len(children) <= MAX_RECIPIENTS:
        raise CmsSyntaxError("recipient-count")
    found: list[Recipient] = []
    for element in children:
        found.extend(_read(element))
        if len(found) > MAX_RECIPIENTS:
            raise CmsSyntaxError("recipient-count")
    return tuple(found)


def _read(element: der.Element) -> Iterator[Recipient]:
    if element.tag == der.SEQUENCE:
        yield _key_trans(element)
    elif element.tag == der.context(1):
        yield from _key_agree(element)
    elif element.tag == der.context(4):
        fields = der.Fields(element, tag=der.context(4))
        if der.read_oid(fields.take()) == KEM_RECIPIENT:
            yield _kem(fields.take())
            fields.finish()


def _key_trans(element: der.Element) -> KeyTransRecipient:
    fields = der.Fields(element)
    fields.take(der.INTEGER)
    identifier = read_identifier(fields.take())
    algorithm = read_algorithm(fields.take())
    encrypted_key = der.read_octets(fields.take())
    fields.finish()
    return KeyTransRecipient(
        identifier=identifier, algorithm=algorithm, encrypted_key=encrypted_key
    )


def _key_agree(element: der.Element) -> Iterator[KeyAgreeRecipient]:
    fields = der.Fields(element, tag=der.context(1))
    fields.take(der.INTEGER)
    kind, originator = _originator(only(fields.take(der.context(0))))
    material = _material(fields.find(der.context(1)))
    algorithm = read_algorithm(fields.take())
    members = fields.take(der.SEQUENCE).children()
    fields.finish()
    if len(members) > MAX_RECIPIENTS:
        raise CmsSyntaxError("recipient-count")
    for member in members:
        pair = der.Fields(member)
        identifier = _agreed_identifier(pair.take())
        encrypted_key = der.read_octets(pair.take())
        pair.finish()
        yield KeyAgreeRecipient(
            identifier=identifier,
            originator=originator,
            originator_algorithm=kind,
            user_keying_material=material,
            algorithm=algorithm,
            encrypted_key=encrypted_key,
        )


def _kem(element: der.Element) -> KemRecipient:
    fields = der.Fields(element)
    if der.read_integer(fields.take()) != 0:
        raise der.DerSyntaxError("kem-version")
    identifier = read_identifier(fields.take())
    algorithm = read_algorithm(fields.take())
    encapsulated = der.read_octets(fields.take())
    derivation = read_algorithm(fields.take())
    key_octets = der.read_integer(fields.take())
    material = _material(fields.find(der.context(0)))
    wrap = read_algorithm(fields.take())
    encrypted_key = der.read_octets(fields.take())
    fields.finish()
    return KemRecipient(
        identifier=identifier,
        algorithm=algorithm,
        encapsulated=encapsulated,
        derivation=derivation,
        key_octets=key_octets,
        user_keying_material=material,
        wrap=wrap,
        encrypted_key=encrypted_key,
    )


def _originator(element: der.Element) -> tuple[Algorithm | None, bytes]:
    if element.tag != der.context(1):
        return None, b""
    fields = der.Fields(element, tag=der.context(1))
    algorithm = read_algorithm(fields.take())
    key = der.read_bits(fields.take())
    fields.finish()
    return algorithm, key


def _material(holder: der.Element | None) -> bytes | None:
    if holder is None:
        return None
    material = der.read_octets(only(holder))
    if len(material) > MAX_MATERIAL_OCTETS:
        raise CmsSyntaxError("keying-material-too-large")
    return material


def _agreed_identifier(element: der.Element) -> Identifier:
    if element.tag == der.context(0):
        key = der.Fields(element, tag=der.context(0)).take()  # a date and more may follow
        return KeyIdentifier(value=der.read_octets(key))
    return read_identifier(element)
