"""Turn a SASL exchange into credentials: octets in; a password, a token or a name out.

A mechanism is a generator: it yields what to ask the client, receives the answer, and returns the
credentials. The initial response of a client that sends one is the answer to the first question.

Errors
    `CredentialSyntaxError` when an answer does not have the form of its mechanism.
Sources
    RFC 4954 (AUTH), RFC 4616 (PLAIN), RFC 4422, appendix A (EXTERNAL), RFC 7628 (OAUTHBEARER) with
    the header of RFC 5801, 4; XOAUTH2 as mail software uses it with Pro Santé Connect tokens;
    draft-murchison-sasl-login (LOGIN, for old clients).
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

MAX_RESPONSE: Final = 12288  # RFC 4954, 4
_OAUTH_END: Final = b"\x01\x01"
# RFC 5801, 4: no channel binding, then perhaps whom to act for, with its commas and equals signs
# written as codes.
_GS2: Final = re.compile(r"[ny],(?:a=((?:[^=,\0]|=2C|=3D)+))?,")
_GS2_CODE: Final = re.compile(r"=(2C|3D)")


class CredentialSyntaxError(Exception):
    """The response does not have the form of its mechanism."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordCredentials:
    """A name and its password."""

    name: str
    password: str

    def __repr__(self) -> str:
        """Show nothing secret in a traceback."""
        return f"PasswordCredentials(name={self.name!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerCredentials:
    """A token, and the mailbox or account that it should open.

    Attributes:
        name: Empty if the client leaves it to the token (OAUTHBEARER only).
        status: How the mechanism calls a refusal.
    """

    name: str
    token: str
    status: str

    def refusal(self, reason: str) -> bytes:
        """Write what to ask before the refusal, so that the client can read why.

        The client must answer it first, or software takes the refusal for a network failure. Of the
        members, `reason` is ours; the others are those that clients know.
        """
        members = {"status": self.status, "schemes": "bearer", "scope": "mail", "reason": reason}
        return json.dumps(members, separators=(",", ":")).encode("ascii")

    def __repr__(self) -> str:
        """Show nothing secret in a traceback."""
        return f"BearerCredentials(name={self.name!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalCredentials:
    """Nothing but the certificate of the connection, and perhaps the mailbox to open."""

    name: str


Credentials = PasswordCredentials | BearerCredentials | ExternalCredentials
Exchange = Generator[bytes, bytes, Credentials]


def _plain() -> Exchange:
    fields = (yield b"").split(b"\0")
    if len(fields) != 3:
        raise CredentialSyntaxError
    authorization, name, password = (_text(field) for field in fields)
    # Acting for somebody else is a right on a mailbox, checked at MAIL; not another name here.
    if not name or authorization not in {"", name}:
        raise CredentialSyntaxError
    return PasswordCredentials(name=name, password=password)


def _login() -> Exchange:
    name = yield b"Username:"
    password = yield b"Password:"
    if not name:
        raise CredentialSyntaxError
    return PasswordCredentials(name=_text(name), password=_text(password))


def _external() -> Exchange:
    name = _text((yield b""))
    if "\0" in name:
        raise CredentialSyntaxError
    return ExternalCredentials(name=name)


def _xoauth2() -> Exchange:
    pairs = _pairs((yield b""))
    name = pairs.get("user", "")
    if not name:
        raise CredentialSyntaxError
    return BearerCredentials(name=name, token=_token(pairs), status="401")


def _oauthbearer() -> Exchange:
    gs2, _, rest = (yield b"").partition(b"\x01")
    match = _GS2.fullmatch(_text(gs2))
    if match is None:
        raise CredentialSyntaxError
    name = _GS2_CODE.sub(lambda code: chr(int(code[1], 16)), match[1] or "")
    return BearerCredentials(name=name, token=_token(_pairs(rest)), status="invalid_token")


MECHANISMS: Final[dict[str, Callable[[], Exchange]]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "XOAUTH2": _xoauth2,
    "OAUTHBEARER": _oauthbearer,
    "EXTERNAL": _external,
}


def decode_response(line: bytes) -> bytes:
    """Decode a response from base64; a lone `=` is an empty one (RFC 4954, 4).

    Raises:
        CredentialSyntaxError: It is not base64.
    """
    if line == b"=":
        return b""
    try:
        return base64.b64decode(line, validate=True)
    except binascii.Error:
        raise CredentialSyntaxError from None


def encode_challenge(question: bytes) -> str:
    """Encode a question in base64."""
    return base64.b64encode(question).decode("ascii")


def _token(pairs: dict[str, str]) -> str:
    scheme, _, token = pairs.get("auth", "").partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise CredentialSyntaxError
    return token


def _pairs(response: bytes) -> dict[str, str]:
    """Read `name=value` pairs that end with octet 1 each, and one more at the end."""
    if not response.endswith(_OAUTH_END):
        raise CredentialSyntaxError
    fields = [field.partition("=") for field in _text(response[:-2]).split("\x01")]
    pairs = {name: value for name, _, value in fields}
    if len(pairs) != len(fields):  # two tokens, of which somebody else would read the other
        raise CredentialSyntaxError
    return pairs


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise CredentialSyntaxError from None
