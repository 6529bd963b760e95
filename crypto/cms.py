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

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from crypto import der
from crypto.algorithms import AUTH_ENVELOPED_DATA, ENVELOPED_DATA, SIGNED_DATA
from crypto.certificates import Certificate
from crypto.errors import CmsSyntaxError

MAX_CERTIFICATES: Final = 32
MAX_SIGNERS: Final = 8
MAX_RECIPIENTS: Final = 1000
MAX_RECIPIENT_OCTETS: Final = 1024 * 1024
MAX_ATTRIBUTES: Final = 64

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def _declared(read: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Turn the error of the encoding into the one that this module declares."""

    @wraps(read)
    def guarded(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return read(*args, **kwargs)
        except der.DerSyntaxError as error:
            raise CmsSyntaxError(error.reason) from error

    return guarded


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """An AlgorithmIdentifier; `parameters` is empty if absent."""

    oid: str
    parameters: bytes
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerAndSerial:
    """Names a certificate by its issuer and serial number, as encoded in the message."""

    issuer: bytes
    serial: bytes

    def matches(self, certificate: Certificate) -> bool:
        """Say whether *certificate* is the one that is meant."""
        return self.issuer == certificate.issuer_der and self.serial == certificate.serial_der


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyIdentifier:
    """Names a certificate by the identifier of its key."""

    value: bytes

    def matches(self, certificate: Certificate) -> bool:
        """Say whether *certificate* is the one that is meant."""
        return self.value == certificate.key_identifier


Identifier = IssuerAndSerial | KeyIdentifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """An attribute; `values` are whole encoded elements."""

    oid: str
    values: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerInfo:
    """One signature.

    Attributes:
        attributes: The signed attributes; empty if there are none.
        tbs: What is signed: the DER form of the attributes, whatever form was received.
        is_sorted: The attributes came in DER order.
    """

    identifier: Identifier
    digest: Algorithm
    attributes: tuple[Attribute, ...]
    tbs: bytes = field(repr=False)
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
class KeyTransRecipient:
    """A recipient whose RSA key wraps the content key."""

    identifier: Identifier
    algorithm: Algorithm
    encrypted_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAgreeRecipient:
    """A recipient reached by key agreement with the originator's one-time key."""

    identifier: Identifier
    originator: bytes = field(repr=False)
    user_keying_material: bytes | None = field(repr=False)
    algorithm: Algorithm
    encrypted_key: bytes = field(repr=False)


Recipient = KeyTransRecipient | KeyAgreeRecipient


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


@_declared
def read_content_type(octets: bytes) -> str:
    """Return the content type with which *octets* begin; they may be cut short after it."""
    # The outer length runs past a shortened excerpt, so only its two headers are read here.
    if len(octets) < 4 or octets[0] != der.SEQUENCE:
        raise CmsSyntaxError("content-info")
    size = octets[1] & 0x7F if octets[1] > 0x80 else 0
    return der.read_oid(der.parse_prefix(octets[2 + size : 2 + size + 64]))


@_declared
def parse_signed_data(octets: bytes) -> SignedData:
    """Read a ContentInfo that holds a SignedData."""
    fields = der.Fields(_content(octets, SIGNED_DATA))
    fields.take(der.INTEGER)
    fields.take(der.SET)
    inner = der.Fields(fields.take(der.SEQUENCE))
    content_type = der.read_oid(inner.take())
    holder = inner.find(der.context(0))
    content = None if holder is None else der.read_octets(_only(holder))
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


@_declared
def parse_enveloped(octets: bytes) -> Enveloped:
    """Read a ContentInfo that holds an EnvelopedData or an AuthEnvelopedData."""
    content_type = read_content_type(octets)
    is_authenticated = content_type == AUTH_ENVELOPED_DATA
    fields = der.Fields(
        _content(octets, AUTH_ENVELOPED_DATA if is_authenticated else ENVELOPED_DATA)
    )
    fields.take(der.INTEGER)
    fields.find(der.context(0))
    recipients = _recipients(fields.take(der.SET))
    inner = der.Fields(fields.take(der.SEQUENCE))
    inner_type = der.read_oid(inner.take())
    algorithm = read_algorithm(inner.take())
    primitive = der.context(0, constructed=False)
    ciphertext = der.read_octets(inner.take(), tag=primitive)
    inner.finish()
    attributes, tag = b"", None
    if is_authenticated:
        given = fields.find(der.context(1))
        attributes = b"" if given is None else _attribute_octets(given)
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


@_declared
def parse_algorithm(octets: bytes) -> Algorithm:
    """Read an AlgorithmIdentifier that stands alone, such as a parameter of another."""
    return read_algorithm(der.parse(octets))


def read_algorithm(element: der.Element) -> Algorithm:
    """Read an AlgorithmIdentifier."""
    fields = der.Fields(element)
    oid = der.read_oid(fields.take())
    rest = element.children()[1:]
    if len(rest) > 1:
        raise der.DerSyntaxError("algorithm-parameters")
    return Algorithm(oid=oid, parameters=b"".join(each.raw for each in rest), raw=element.raw)


def _content(octets: bytes, wanted: str) -> der.Element:
    outer = der.Fields(der.parse(octets))
    if der.read_oid(outer.take()) != wanted:
        raise CmsSyntaxError("content-type")
    holder = outer.take(der.context(0))
    outer.finish()
    return _only(holder)


def _only(holder: der.Element) -> der.Element:
    children = holder.children()
    if len(children) != 1:
        raise CmsSyntaxError("explicit-tag")
    return children[0]


def _certificates(holder: der.Element | None) -> tuple[bytes, ...]:
    children = () if holder is None else holder.children()
    if len(children) > MAX_CERTIFICATES:
        raise CmsSyntaxError("too-many-certificates")
    return tuple(each.raw for each in children if each.tag == der.SEQUENCE)


def _signer(element: der.Element) -> SignerInfo:
    fields = der.Fields(element)
    fields.take(der.INTEGER)
    identifier = _identifier(fields.take(), key_tag=der.context(0, constructed=False))
    digest = read_algorithm(fields.take())
    attributes = fields.find(der.context(0))
    algorithm = read_algorithm(fields.take())
    signature = der.read_octets(fields.take())
    fields.find(der.context(1))
    fields.finish()
    tbs = b"" if attributes is None else _attribute_octets(attributes)
    return SignerInfo(
        identifier=identifier,
        digest=digest,
        attributes=() if attributes is None else _attributes(tbs),
        tbs=tbs,
        is_sorted=attributes is None or tbs[1:] == attributes.raw[1:],
        signature_algorithm=algorithm,
        signature=signature,
    )


def _attribute_octets(holder: der.Element) -> bytes:
    """Return what is signed or authenticated: RFC 5652, 5.4 wants DER with the SET OF tag."""
    if len(holder.children()) > MAX_ATTRIBUTES:
        raise CmsSyntaxError("too-many-attributes")
    return der.set_of(der.normalised(each) for each in holder.children())


def _attributes(tbs: bytes) -> tuple[Attribute, ...]:
    """Read attributes from their DER form, so that their values compare by octets."""
    found = []
    for element in der.parse(tbs).children():
        fields = der.Fields(element)
        oid = der.read_oid(fields.take())
        values = tuple(each.raw for each in fields.take(der.SET).children())
        fields.finish()
        found.append(Attribute(oid=oid, values=values))
    return tuple(found)


def _identifier(element: der.Element, *, key_tag: int) -> Identifier:
    if element.tag in {key_tag, key_tag | der.CONSTRUCTED}:
        return KeyIdentifier(value=der.read_octets(element, tag=key_tag))
    fields = der.Fields(element)
    issuer = fields.take(der.SEQUENCE)
    serial = fields.take(der.INTEGER)
    fields.finish()
    return IssuerAndSerial(issuer=issuer.raw, serial=serial.raw)


def _recipients(holder: der.Element) -> tuple[Recipient, ...]:
    if holder.after - holder.start > MAX_RECIPIENT_OCTETS:
        raise CmsSyntaxError("recipients-too-large")
    children = holder.children()
    if not 1 <= len(children) <= MAX_RECIPIENTS:
        raise CmsSyntaxError("recipient-count")
    found: list[Recipient] = []
    for element in children:
        if element.tag == der.SEQUENCE:
            found.append(_key_trans(element))
        elif element.tag == der.context(1):
            found.extend(_key_agree(element))
    if len(found) > MAX_RECIPIENTS:
        raise CmsSyntaxError("recipient-count")
    return tuple(found)


def _key_trans(element: der.Element) -> KeyTransRecipient:
    fields = der.Fields(element)
    fields.take(der.INTEGER)
    identifier = _identifier(fields.take(), key_tag=der.context(0, constructed=False))
    algorithm = read_algorithm(fields.take())
    encrypted_key = der.read_octets(fields.take())
    fields.finish()
    return KeyTransRecipient(
        identifier=identifier, algorithm=algorithm, encrypted_key=encrypted_key
    )


def _key_agree(element: der.Element) -> list[KeyAgreeRecipient]:
    fields = der.Fields(element, tag=der.context(1))
    fields.take(der.INTEGER)
    originator = _originator(_only(fields.take(der.context(0))))
    given = fields.find(der.context(1))
    material = None if given is None else der.read_octets(_only(given))
    algorithm = read_algorithm(fields.take())
    wraps_ = fields.take(der.SEQUENCE).children()
    fields.finish()
    if originator is None:
        return []
    if len(wraps_) > MAX_RECIPIENTS:
        raise CmsSyntaxError("recipient-count")
    found = []
    for each in wraps_:
        pair = der.Fields(each)
        identifier = _agreed_identifier(pair.take())
        encrypted_key = der.read_octets(pair.take())
        pair.finish()
        found.append(
            KeyAgreeRecipient(
                identifier=identifier,
                originator=originator,
                user_keying_material=material,
                algorithm=algorithm,
                encrypted_key=encrypted_key,
            )
        )
    return found


def _originator(element: der.Element) -> bytes | None:
    """Return the one-time public key; None if the originator used a certified one instead."""
    if element.tag != der.context(1):
        return None
    fields = der.Fields(element, tag=der.context(1))
    read_algorithm(fields.take())
    key = der.read_bits(fields.take())
    fields.finish()
    return key


def _agreed_identifier(element: der.Element) -> Identifier:
    if element.tag == der.context(0):
        key = der.Fields(element, tag=der.context(0)).take()  # a date and more may follow
        return KeyIdentifier(value=der.read_octets(key))
    return _identifier(element, key_tag=der.context(0, constructed=False))
