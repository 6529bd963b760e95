"""Read and write the messages of LDAP version 3.

What a server needs to answer searches and a client needs to ask them. Other requests are read as
far as their kind, so that they can be refused by name.

Errors
    `LdapSyntaxError` for any octets whatever.
Sources
    RFC 4511, 4 (messages) and 5.1 (definite lengths only).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from crypto import der
from crypto.der import DerSyntaxError, Element, Fields
from mss.ldap.filters import Filter, LdapSyntaxError, build_filter, parse_filter, read_text

MAX_ID: Final = 2**31 - 1
MAX_ATTRIBUTES: Final = 128
START_TLS: Final = "1.3.6.1.4.1.1466.20037"
WHO_AM_I: Final = "1.3.6.1.4.1.4203.1.11.3"
DISCONNECTION: Final = "1.3.6.1.4.1.1466.20036"
_ENUMERATED: Final = 0x0A
_CONTROLS: Final = 0xA0
_BIND, _BIND_RESPONSE = 0x60, 0x61
_UNBIND: Final = 0x42
_SEARCH, _ENTRY, _DONE, _REFERENCE = 0x63, 0x64, 0x65, 0x73
_ABANDON: Final = 0x50
_EXTENDED, _EXTENDED_RESPONSE = 0x77, 0x78
_INTERMEDIATE: Final = 0x79
# Requests that would change something, or compare: what their refusal is called.
_OTHERS: Final = {0x66: 0x67, 0x68: 0x69, 0x4A: 0x6B, 0x6C: 0x6D, 0x6E: 0x6F}


class Code(IntEnum):
    """Results, of RFC 4511, appendix A."""

    SUCCESS = 0
    OPERATIONS_ERROR = 1
    PROTOCOL_ERROR = 2
    TIME_LIMIT_EXCEEDED = 3
    SIZE_LIMIT_EXCEEDED = 4
    AUTH_METHOD_NOT_SUPPORTED = 7
    STRONGER_AUTH_REQUIRED = 8
    REFERRAL = 10
    ADMIN_LIMIT_EXCEEDED = 11
    UNAVAILABLE_CRITICAL_EXTENSION = 12
    NO_SUCH_OBJECT = 32
    INVALID_DN_SYNTAX = 34
    INAPPROPRIATE_AUTHENTICATION = 48
    INVALID_CREDENTIALS = 49
    INSUFFICIENT_ACCESS = 50
    BUSY = 51
    UNAVAILABLE = 52
    UNWILLING_TO_PERFORM = 53
    OTHER = 80


class Scope(IntEnum):
    """How far below its base a search looks."""

    BASE = 0
    ONE = 1
    SUBTREE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BindRequest:
    """Who a client is; `password` is None if it wants another mechanism than the simple one."""

    version: int
    name: str
    password: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """A question; no `attributes` means all."""

    base: str
    scope: Scope
    size_limit: int
    time_limit: int
    types_only: bool
    filter: Filter
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExtendedRequest:
    """An operation that has a name of its own."""

    name: str


@dataclass(frozen=True, slots=True)
class UnbindRequest:
    """Goodbye."""


@dataclass(frozen=True, slots=True)
class AbandonRequest:
    """Never mind: an answer is no longer wanted."""

    id: int


@dataclass(frozen=True, slots=True)
class OtherRequest:
    """A request that is not served; *response* is the identifier octet of its refusal."""

    response: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a request ended; *response* is its identifier octet."""

    response: int
    code: int
    text: str = ""
    matched: str = ""
    name: str = ""
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One that was found."""

    dn: str
    attributes: tuple[tuple[str, tuple[bytes, ...]], ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """Ask elsewhere; never followed."""


Request = (
    BindRequest | SearchRequest | ExtendedRequest | UnbindRequest | AbandonRequest | OtherRequest
)
Response = Result | Entry | Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, with whether it bears a control that must not be ignored."""

    id: int
    operation: Request | Response
    has_critical_control: bool = False


def search_done(code: Code, text: str = "", *, matched: str = "") -> Result:
    """End a search."""
    return Result(response=_DONE, code=code, text=text, matched=matched)


def bind_done(code: Code, text: str = "") -> Result:
    """Answer who a client says it is."""
    return Result(response=_BIND_RESPONSE, code=code, text=text)


def extended_done(
    code: Code, text: str = "", *, name: str = "", value: str | None = None
) -> Result:
    """Answer an operation that has a name of its own."""
    return Result(response=_EXTENDED_RESPONSE, code=code, text=text, name=name, value=value)


# --- Reading ---------------------------------------------------------------------------------


def parse_message(octets: bytes) -> Message:
    """Read one message that covers all *octets*.

    Raises:
        LdapSyntaxError: They are none.
    """
    try:
        whole = der.parse(octets)
        if whole.inner is not None:
            raise LdapSyntaxError("indefinite-length")
        fields = Fields(whole)
        number = _bounded(fields.take(), der.INTEGER)
        operation = _operation(fields.take())
        controls = fields.find(_CONTROLS)
        fields.finish()
        critical = controls is not None and any(map(_is_critical, controls.children()))
        return Message(id=number, operation=operation, has_critical_control=critical)
    except DerSyntaxError as error:
        raise LdapSyntaxError(error.reason) from error


def _operation(element: Element) -> Request | Response:  # noqa: PLR0911 -- a table of kinds
    match element.tag:
        case 0x60:
            return _bind(element)
        case 0x63:
            return _search(element)
        case 0x77:
            return _extended(element)
        case 0x42:
            return UnbindRequest()
        case 0x50:
            return AbandonRequest(int.from_bytes(element.content[:4], "big"))
        case 0x64:
            return _entry(element)
        case 0x73 | 0x79:
            return Reference()
        case 0x61 | 0x65 | 0x78:
            return _result(element)
        case tag if tag in _OTHERS:
            return OtherRequest(_OTHERS[tag])
        case _:
            raise LdapSyntaxError("operation")


def _bind(element: Element) -> BindRequest:
    fields = Fields(element, tag=_BIND)
    version = _bounded(fields.take(), der.INTEGER)
    name = _text(fields.take())
    method = fields.take()
    if method.tag == der.context(0, constructed=False):
        return BindRequest(version=version, name=name, password=read_text(method))
    if method.tag != der.context(3):
        raise LdapSyntaxError("authentication")
    return BindRequest(version=version, name=name, password=None)


def _search(element: Element) -> SearchRequest:
    fields = Fields(element, tag=_SEARCH)
    base = _text(fields.take())
    scope = _bounded(fields.take(), _ENUMERATED)
    _bounded(fields.take(), _ENUMERATED)  # aliases: there are none
    size_limit = _bounded(fields.take(), der.INTEGER)
    time_limit = _bounded(fields.take(), der.INTEGER)
    types_only = _boolean(fields.take())
    wanted = parse_filter(fields.take())
    attributes = fields.take(der.SEQUENCE).children()
    fields.finish()
    if scope > Scope.SUBTREE or len(attributes) > MAX_ATTRIBUTES:
        raise LdapSyntaxError("search")
    return SearchRequest(
        base=base,
        scope=Scope(scope),
        size_limit=size_limit,
        time_limit=time_limit,
        types_only=types_only,
        filter=wanted,
        attributes=tuple(map(_text, attributes)),
    )


def _extended(element: Element) -> ExtendedRequest:
    name = Fields(element, tag=_EXTENDED).take(der.context(0, constructed=False))
    return ExtendedRequest(read_text(name))


def _result(element: Element) -> Result:
    fields = Fields(element, tag=element.tag)
    code = _bounded(fields.take(), _ENUMERATED)
    matched, text = _text(fields.take()), _text(fields.take())
    return Result(response=element.tag, code=code, matched=matched, text=text)


def _entry(element: Element) -> Entry:
    fields = Fields(element, tag=_ENTRY)
    dn = _text(fields.take())
    found = []
    for one in fields.take(der.SEQUENCE).children():
        pair = Fields(one)
        name = _text(pair.take())
        values = pair.take(der.SET).children()
        found.append((name, tuple(der.expect(v, der.OCTET_STRING).content for v in values)))
    return Entry(dn=dn, attributes=tuple(found))


def _bounded(element: Element, tag: int) -> int:
    content = der.expect(element, tag).content
    value = int.from_bytes(content, "big", signed=True)
    if not 1 <= len(content) <= 8 or not 0 <= value <= MAX_ID:
        raise LdapSyntaxError("integer")
    return value


def _boolean(element: Element) -> bool:
    content = der.expect(element, der.BOOLEAN).content
    if len(content) != 1:
        raise LdapSyntaxError("boolean")
    return content != b"\x00"


def _text(element: Element) -> str:
    return read_text(der.expect(element, der.OCTET_STRING))


def _is_critical(element: Element) -> bool:
    fields = Fields(element)
    fields.take(der.OCTET_STRING)
    flag = fields.find(der.BOOLEAN)
    return flag is not None and _boolean(flag)


# --- Writing ---------------------------------------------------------------------------------


def build_message(number: int, operation: Request | Response) -> bytes:
    """Write one message."""
    return der.sequence(der.integer(number), _build(operation))


def _build(operation: Request | Response) -> bytes:
    match operation:
        case Result():
            return _build_result(operation)
        case Entry():
            pairs = (
                der.sequence(_string(name), der.set_of(map(der.octet_string, values)))
                for name, values in operation.attributes
            )
            return der.encode(_ENTRY, _string(operation.dn), der.sequence(*pairs))
        case BindRequest():
            secret = der.encode(
                der.context(0, constructed=False), (operation.password or "").encode()
            )
            version = der.integer(operation.version)
            return der.encode(_BIND, version, _string(operation.name), secret)
        case SearchRequest():
            return _build_search(operation)
        case ExtendedRequest(name):
            return der.encode(
                _EXTENDED, der.encode(der.context(0, constructed=False), name.encode())
            )
        case UnbindRequest():
            return der.encode(_UNBIND, b"")
        case AbandonRequest() | OtherRequest() | Reference():
            raise LdapSyntaxError("never-sent")


def _build_result(result: Result) -> bytes:
    parts = [
        der.encode(_ENUMERATED, bytes((result.code,))),
        _string(result.matched),
        _string(result.text),
    ]
    if result.name:
        parts.append(der.encode(der.context(10, constructed=False), result.name.encode()))
    if result.value is not None:
        parts.append(der.encode(der.context(11, constructed=False), result.value.encode()))
    return der.encode(result.response, *parts)


def _build_search(request: SearchRequest) -> bytes:
    return der.encode(
        _SEARCH,
        _string(request.base),
        der.encode(_ENUMERATED, bytes((request.scope,))),
        der.encode(_ENUMERATED, b"\x00"),
        der.integer(request.size_limit),
        der.integer(request.time_limit),
        der.encode(der.BOOLEAN, b"\xff" if request.types_only else b"\x00"),
        build_filter(request.filter),
        der.sequence(*map(_string, request.attributes)),
    )


def _string(text: str) -> bytes:
    return der.octet_string(text.encode())


def attribute_values(entry: Entry, names: Sequence[str]) -> list[bytes]:
    """List the values of the attributes that are named, in any case of letters."""
    wanted = {name.lower() for name in names}
    return [
        value for name, values in entry.attributes if name.lower() in wanted for value in values
    ]
