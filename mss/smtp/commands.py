"""Read what follows MAIL and RCPT, in exactly one way.

A path is `<address>` and nothing else: no source route, no quotes, no comment, no space inside.
Parameters are those that EHLO announced, each once.

Shapes
    `envelope_id` and `original_recipient` are kept decoded from xtext; `client` encodes them again.
Errors
    `ConversationError`, with the reply to give, for any text whatever.
Sources
    RFC 5321, 4.1.1 and 4.1.2; RFC 1870 (SIZE); RFC 6152 (BODY); RFC 3461, 4 (RET, ENVID, NOTIFY,
    ORCPT, xtext).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from directory.address import MailAddress
from directory.errors import AddressSyntaxError
from mss.model.envelope import DEFAULT_NOTIFY, Notify, Recipient
from mss.smtp import replies
from mss.smtp.errors import ConversationError
from mss.smtp.replies import Reply

MAX_PARAMETERS: Final = 10
MAX_ENVELOPE_ID: Final = 100  # RFC 3461, 4.4
MAX_ORIGINAL_RECIPIENT: Final = 500  # RFC 3461, 4.2
MAX_SIZE_DIGITS: Final = 20  # RFC 1870, 3

_PATH: Final = re.compile(r"<([^<>\s]*)>")
_XTEXT: Final = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_XTEXT_CODE: Final = re.compile(r"\+([0-9A-F]{2})")
_NOT_XTEXT: Final = re.compile(r"[^!-*,-<>-~]")
_PRINTABLE: Final = re.compile(r"[ -~]+")
_ADDRESS_TYPE: Final = re.compile(r"[A-Za-z0-9-]{1,32}")

Parameters = dict[str, str | None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailCommand:
    """What MAIL said."""

    sender: MailAddress | None
    size_octets: int | None = None
    returns: Literal["FULL", "HDRS"] | None = None
    envelope_id: str | None = None


def parse_mail(argument: str) -> MailCommand:
    """Read `FROM:<address> [parameters]`."""
    path, parameters = _split(argument, "FROM:", syntax=replies.MAIL_SYNTAX)
    sender = _address(path, replies.SENDER_SYNTAX) if path else None
    size = _take(parameters, "SIZE", _size)
    returns: Literal["FULL", "HDRS"] | None = _take(parameters, "RET", _returns)
    envelope_id = _take(parameters, "ENVID", _envelope_id)
    _take(parameters, "BODY", _body)
    _refuse_others(parameters)
    return MailCommand(sender=sender, size_octets=size, returns=returns, envelope_id=envelope_id)


def parse_rcpt(argument: str) -> Recipient:
    """Read `TO:<address> [parameters]`."""
    path, parameters = _split(argument, "TO:", syntax=replies.RCPT_SYNTAX)
    address = _address(path, replies.RECIPIENT_SYNTAX)
    notify = _take(parameters, "NOTIFY", _notify)
    original = _take(parameters, "ORCPT", _original_recipient)
    _refuse_others(parameters)
    return Recipient(
        address=address,
        notify=DEFAULT_NOTIFY if notify is None else notify,
        original_recipient=original,
    )


def decode_xtext(text: str) -> str | None:
    """Decode xtext into printable ASCII; `None` if it is not that."""
    if not _XTEXT.fullmatch(text):
        return None
    plain = _XTEXT_CODE.sub(lambda code: chr(int(code[1], 16)), text)
    return plain if _PRINTABLE.fullmatch(plain) else None


def encode_xtext(text: str) -> str:
    """Encode printable ASCII as xtext."""
    return _NOT_XTEXT.sub(lambda found: f"+{ord(found[0]):02X}", text)


def _split(argument: str, keyword: str, *, syntax: Reply) -> tuple[str, Parameters]:
    """Part the path from the parameters."""
    if argument[: len(keyword)].upper() != keyword:
        raise ConversationError(syntax)
    # One space after the colon is a common error that cannot be misread.
    rest = argument[len(keyword) :].removeprefix(" ")
    path, _, tail = rest.partition(" ")
    found = _PATH.fullmatch(path)
    if found is None:
        raise ConversationError(syntax)
    words = tail.split()
    if len(words) > MAX_PARAMETERS:
        raise ConversationError(replies.PARAMETER_SYNTAX)
    parameters: Parameters = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.upper()
        if name in parameters or (equals and not value):
            raise ConversationError(replies.PARAMETER_SYNTAX)
        parameters[name] = value if equals else None
    return found[1], parameters


def _address(path: str, syntax: Reply) -> MailAddress:
    try:
        return MailAddress.parse(path)
    except AddressSyntaxError:
        raise ConversationError(syntax) from None


def _take(parameters: Parameters, name: str, reader: Callable[[str], T | None]) -> T | None:
    """Take one parameter out; its value must be there, and mean something."""
    if name not in parameters:
        return None
    value = reader(parameters.pop(name) or "")
    if value is None:
        raise ConversationError(replies.PARAMETER_SYNTAX)
    return value


def _refuse_others(parameters: Parameters) -> None:
    if parameters:
        raise ConversationError(replies.PARAMETER_UNKNOWN)


def _size(value: str) -> int | None:
    is_number = value.isascii() and value.isdigit() and len(value) <= MAX_SIZE_DIGITS
    return int(value) if is_number else None


def _body(value: str) -> str | None:
    return value if value.upper() in {"7BIT", "8BITMIME"} else None


def _returns(value: str) -> Literal["FULL", "HDRS"] | None:
    match value.upper():
        case "FULL":
            return "FULL"
        case "HDRS":
            return "HDRS"
        case _:
            return None


def _envelope_id(value: str) -> str | None:
    return decode_xtext(value) if len(value) <= MAX_ENVELOPE_ID else None


def _notify(value: str) -> frozenset[Notify] | None:
    words = value.upper().split(",")
    try:
        wishes = frozenset(Notify(word) for word in words)
    except ValueError:
        return None
    # NEVER stands alone (RFC 3461, 4.1).
    is_clear = len(wishes) == len(words) and (Notify.NEVER not in wishes or len(wishes) == 1)
    return wishes if is_clear else None


def _original_recipient(value: str) -> str | None:
    kind, _, encoded = value.partition(";")
    if len(value) > MAX_ORIGINAL_RECIPIENT or not _ADDRESS_TYPE.fullmatch(kind):
        return None
    decoded = decode_xtext(encoded)
    return None if decoded is None else f"{kind};{decoded}"
