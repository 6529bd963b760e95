"""Turn a SASL exchange into credentials: octets in, a password or a token out.

A mechanism is a generator: it yields what to ask the client, receives the answer, and returns the
credentials. The initial response of a client that sends one is the answer to the first question.

Errors
    `CredentialSyntaxError` when an answer does not have the form of its mechanism.
Sources
    RFC 4954 (AUTH), RFC 4616 (PLAIN), RFC 7628 (OAUTHBEARER); XOAUTH2 as mail software uses it with
    Pro Santé Connect tokens; draft-murchison-sasl-login (LOGIN, for old clients).
"""

import base64
import binascii
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

MAX_RESPONSE: Final = 12288  # RFC 4954, 4
_OAUTH_END: Final = b"\x01\x01"


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
        refusal: What to ask before the refusal, so that the client can read the reason; it must
            answer it first, or software takes the refusal for a network failure.
    """

    name: str
    token: str
    refusal: bytes

    def __repr__(self) -> str:
        """Show nothing secret in a traceback."""
        return f"BearerCredentials(name={self.name!r})"


Credentials = PasswordCredentials | BearerCredentials
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


def _xoauth2() -> Exchange:
    response = yield b""
    pairs = _pairs(response)
    refusal = json.dumps({"status": "401", "schemes": "bearer", "scope": "mail"})
    return _bearer(pairs.get("user", ""), pairs.get("auth", ""), refusal)


def _oauthbearer() -> Exchange:
    response = yield b""
    gs2, _, rest = response.partition(b"\x01")
    binding, _, tail = _text(gs2).partition(",")
    name = tail.removeprefix("a=").removesuffix(",").replace("=2C", ",").replace("=3D", "=")
    if binding not in {"n", "y"}:
        raise CredentialSyntaxError
    refusal = json.dumps({"status": "invalid_token", "schemes": "bearer", "scope": "mail"})
    return _bearer(name, _pairs(rest).get("auth", ""), refusal)


MECHANISMS: Final[dict[str, Callable[[], Exchange]]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "XOAUTH2": _xoauth2,
    "OAUTHBEARER": _oauthbearer,
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


def _bearer(name: str, scheme_and_token: str, refusal: str) -> BearerCredentials:
    scheme, _, token = scheme_and_token.partition(" ")
    if not name or scheme.lower() != "bearer" or not token:
        raise CredentialSyntaxError
    return BearerCredentials(name=name, token=token.strip(), refusal=refusal.encode("ascii"))


def _pairs(response: bytes) -> dict[str, str]:
    """Read `name=value` pairs that end with octet 1 each."""
    if not response.endswith(_OAUTH_END):
        raise CredentialSyntaxError
    pairs = (field.partition("=") for field in _text(response[:-2]).split("\x01"))
    return {name: value for name, _, value in pairs}


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise CredentialSyntaxError from None
