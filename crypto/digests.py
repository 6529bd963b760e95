"""Passwords, tokens and the audit chain: things of which only a digest is kept.

Passwords are chosen by people and need a slow hash: Argon2id, with the first parameters that OWASP
recommends, which are written into the text and may change later. Tokens are ours, random, and
need only SHA-256.

Shapes
    A stored password is `$argon2id$v=19$m=47104,t=1,p=1$salt$hash`, base64 without padding.
    Digests are lower-case hexadecimal, 64 characters.
Errors
    `PasswordHashSyntaxError` for a stored text that we did not write.
Sources
    RFC 9106 (Argon2); OWASP Password Storage Cheat Sheet.
"""

import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode
from typing import Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from crypto.errors import PasswordHashSyntaxError

MEMORY_KIB: Final = 46 * 1024
PASSES: Final = 1
LANES: Final = 1
SALT_OCTETS: Final = 16
HASH_OCTETS: Final = 32
MAX_PASSWORD_OCTETS: Final = 1024
MAX_MEMORY_KIB: Final = 256 * 1024
MAX_PASSES: Final = 10

CHAIN_START: Final = "0" * 64

_STORED: Final = re.compile(
    r"\$argon2id\$v=19\$m=([1-9][0-9]{0,6}),t=([1-9][0-9]?),p=([1-4])"
    r"\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})"
)


def hash_password(password: str) -> str:
    """Return the text to store for a password; another one each time."""
    salt = secrets.token_bytes(SALT_OCTETS)
    digest = _argon2id(password, salt, memory=MEMORY_KIB, passes=PASSES, lanes=LANES)
    parameters = f"m={MEMORY_KIB},t={PASSES},p={LANES}"
    return f"$argon2id$v=19${parameters}${_unpadded(salt)}${_unpadded(digest)}"


def is_password(password: str, stored: str | None) -> bool:
    """Say whether *password* is the one that *stored* was made from.

    With no *stored* (nobody of that name), the same work is done and the answer is no, so that
    the time taken does not tell who exists.

    Raises:
        PasswordHashSyntaxError: *stored* is not of a form that we write.
    """
    match = _STORED.fullmatch(_NOBODY if stored is None else stored)
    if match is None:
        raise PasswordHashSyntaxError
    memory, passes, lanes = (int(match[number]) for number in (1, 2, 3))
    if not 8 * lanes <= memory <= MAX_MEMORY_KIB or passes > MAX_PASSES:
        raise PasswordHashSyntaxError
    salt, expected = b64decode(match[4] + "=="), b64decode(match[5] + "=")
    found = _argon2id(password, salt, memory=memory, passes=passes, lanes=lanes)
    return hmac.compare_digest(found, expected) and stored is not None


def needs_rehash(stored: str) -> bool:
    """Say whether *stored* was made with other parameters than those of today."""
    return f"$m={MEMORY_KIB},t={PASSES},p={LANES}$" not in stored


def new_token(prefix: str) -> str:
    """Return a random token of 256 bits that says by its prefix what it is for."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def token_digest(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode("utf-8")).hexdigest()


def chain_digest(previous: str, payload: bytes) -> str:
    """Return the link after *previous* for *payload*; the first follows `CHAIN_START`."""
    # The previous digest has a fixed length, so no two pairs give the same octets.
    if len(previous) != len(CHAIN_START):
        raise ValueError("a link is 64 hexadecimal characters")
    return hashlib.sha256(bytes.fromhex(previous) + payload).hexdigest()


def is_same(left: str | bytes, right: str | bytes) -> bool:
    """Compare two secrets in a time that depends on their length only."""
    return hmac.compare_digest(_octets(left), _octets(right))


def _octets(value: str | bytes) -> bytes:
    return value.encode("utf-8") if isinstance(value, str) else value


def _argon2id(password: str, salt: bytes, *, memory: int, passes: int, lanes: int) -> bytes:
    octets = password.encode("utf-8", "surrogatepass")
    if len(octets) > MAX_PASSWORD_OCTETS:  # bounded work; a digest keeps what was said
        octets = hashlib.sha256(octets).digest()
    return Argon2id(
        salt=salt, length=HASH_OCTETS, iterations=passes, lanes=lanes, memory_cost=memory
    ).derive(octets)


def _unpadded(octets: bytes) -> str:
    return b64encode(octets).decode("ascii").rstrip("=")


_NOBODY: Final = (
    f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}"
    f"${_unpadded(bytes(SALT_OCTETS))}${_unpadded(bytes(HASH_OCTETS))}"
)
