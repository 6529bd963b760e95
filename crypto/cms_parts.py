"""The small structures of which every CMS message is made: algorithms, names, attributes.

Shapes
    `parse_x` takes octets; `read_x` takes an element that was already found.
Errors
    `CmsSyntaxError` from functions that take octets, `DerSyntaxError` from those that take an
    element: the parser around them turns the second into the first (`declared`).
Sources
    RFC 5652, 5.3, 6.2 and 10.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from crypto import der
from crypto.certificates import Certificate
from crypto.errors import CmsSyntaxError

MAX_ATTRIBUTES: Final = 64

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def declared(read: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Turn the error of the encoding into the one that parsers of CMS declare."""

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


@declared
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


def only(holder: der.Element) -> der.Element:
    """Return the one element inside an explicit tag."""
    children = holder.children()
    if len(children) != 1:
        raise CmsSyntaxError("explicit-tag")
    return children[0]


def attribute_octets(holder: der.Element, *, sort: bool = True) -> bytes:
    """Return what is signed or authenticated: RFC 5652, 5.4 wants DER with the SET OF tag.

    Unless told to *sort*, attributes stay in the order in which they came.
    """
    if len(holder.children()) > MAX_ATTRIBUTES:
        raise CmsSyntaxError("too-many-attributes")
    members = [der.normalised(each) for each in holder.children()]
    return der.set_of(members) if sort else der.encode(der.SET, *members)


def read_attributes(tbs: bytes) -> tuple[Attribute, ...]:
    """Read attributes from their DER form, so that their values compare by octets."""
    found = []
    for element in der.parse(tbs).children():
        fields = der.Fields(element)
        oid = der.read_oid(fields.take())
        values = tuple(each.raw for each in fields.take(der.SET).children())
        fields.finish()
        found.append(Attribute(oid=oid, values=values))
    return tuple(found)


def read_identifier(element: der.Element) -> Identifier:
    """Read how a signer or a recipient is named."""
    key_tag = der.context(0, constructed=False)
    if element.tag in {key_tag, key_tag | der.CONSTRUCTED}:
        return KeyIdentifier(value=der.read_octets(element, tag=key_tag))
    fields = der.Fields(element)
    issuer = fields.take(der.SEQUENCE)
    serial = fields.take(der.INTEGER)
    fields.finish()
    return IssuerAndSerial(issuer=issuer.raw, serial=serial.raw)
