"""Was this token signed by one of these keys, and what does it claim?

The form is read here, strictly, before any key is touched; joserfc then does one thing, the
signature, with one key and one algorithm that we chose. Nothing in the token can point to a key:
`kid` is only compared, and a header that brings or points to a key (`jwk`, `jku`, `x5u`, `x5c`) is
refused, as is one with extensions (`crit`), another token inside (`cty`), or a name twice.

Shapes
    A compact JWS of at most 16 384 ASCII characters; claims are a JSON object.
Errors
    `TokenSyntaxError` and `TokenSignatureError`, on any text whatever.
Sources
    RFC 7515, RFC 7517, RFC 7519; RFC 8725 (best current practice).
"""

import binascii
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

MAX_TOKEN: Final = 16_384
MAX_KEYS: Final = 64
MAX_KEY_NAME: Final = 256
MIN_RSA_OCTETS: Final = 256
MAX_RSA_OCTETS: Final = 1024

_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_TYPES: Final = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
_FORBIDDEN: Final = frozenset({"crit", "jku", "jwk", "x5u", "x5c", "cty", "enc", "zip", "b64"})
_FAMILIES: Final = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC"}
# Further members of the header are nobody's business; those that matter were looked at before.
_REGISTRY: Final = jws.JWSRegistry(algorithms=tuple(_FAMILIES), strict_check_header=False)


class TokenSyntaxError(Exception):
    """The text is not a signed token that has one meaning."""


class TokenSignatureError(Exception):
    """No key that we have made this signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedToken:
    """A token whose form is right; nothing in it is believed yet."""

    text: str = field(repr=False)
    algorithm: str
    key_name: str | None
    claims: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A public key of the issuer.

    Attributes:
        algorithm: The one algorithm it is published for; `None` when its publisher does not say.
    """

    name: str | None
    family: str
    algorithm: str | None
    key: RSAKey | ECKey = field(repr=False)

    def may_sign(self, algorithm: str) -> bool:
        """Tell whether a signature of this algorithm can be this key's."""
        return self.family == _FAMILIES.get(algorithm) and self.algorithm in {None, algorithm}


def parse_token(text: str) -> SignedToken:
    """Read the form of a token.

    Raises:
        TokenSyntaxError: It is not a token, or could be read in two ways.
    """
    match = _COMPACT.fullmatch(text) if len(text) <= MAX_TOKEN else None
    if match is None:
        raise TokenSyntaxError("form")
    header, claims = (_json_object(part) for part in match.group(1, 2))
    if _FORBIDDEN & header.keys():
        raise TokenSyntaxError("header")
    algorithm, kind, name = header.get("alg"), header.get("typ", ""), header.get("kid")
    if not isinstance(algorithm, str) or not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise TokenSyntaxError("header")
    if name is not None and not (isinstance(name, str) and 0 < len(name) <= MAX_KEY_NAME):
        raise TokenSyntaxError("key-name")
    return SignedToken(text=text, algorithm=algorithm, key_name=name, claims=claims)


def verify_token(
    token: SignedToken, keys: Sequence[SigningKey], *, algorithms: Sequence[str]
) -> Mapping[str, object]:
    """Prove that one of *keys* signed the token, and return what it claims.

    Args:
        token: What was parsed.
        keys: The issuer's keys that carry the token's key name.
        algorithms: Those that the settings pin for this issuer; the token only names one of them.

    Raises:
        TokenSignatureError: None of them did.
    """
    if token.algorithm not in algorithms:
        raise TokenSignatureError("algorithm")
    for key in keys:
        if key.may_sign(token.algorithm) and _is_signed(token, key):
            return token.claims
    raise TokenSignatureError("signature")


def parse_keys(octets: bytes) -> tuple[SigningKey, ...]:
    """Read a JWK Set; keys that cannot be used for signatures of ours are left out.

    Raises:
        TokenSyntaxError: It is not a JWK Set.
    """
    try:
        document = json.loads(octets)
    except (ValueError, RecursionError):
        raise TokenSyntaxError("key-set") from None
    found = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(found, list) or len(found) > MAX_KEYS:
        raise TokenSyntaxError("key-set")
    read = (_signing_key(one) for one in found if isinstance(one, dict))
    return tuple(one for one in read if one is not None)


def json_object(octets: bytes) -> dict[str, object]:
    """Read one JSON object, in which no name may occur twice.

    Raises:
        TokenSyntaxError: It is not one.
    """
    try:
        value = json.loads(octets, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise TokenSyntaxError("json") from None
    if not isinstance(value, dict):
        raise TokenSyntaxError("json")
    return value


def _json_object(part: str) -> dict[str, object]:
    try:
        octets = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise TokenSyntaxError("base64") from None
    return json_object(octets)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise TokenSyntaxError("name-twice")
    return made


def _refuse(name: str) -> object:
    raise TokenSyntaxError(name)  # NaN and the infinities are no JSON


def _is_signed(token: SignedToken, key: SigningKey) -> bool:
    try:
        jws.deserialize_compact(
            token.text, key.key, algorithms=[token.algorithm], registry=_REGISTRY
        )
    except (JoseError, ValueError, TypeError):
        return False
    return True


def _signing_key(members: dict[str, object]) -> SigningKey | None:
    """Read one key of a set; `None` for what is no public key to verify signatures with."""
    name, use, algorithm = members.get("kid"), members.get("use"), members.get("alg")
    if use not in {None, "sig"} or not isinstance(name, str | None):
        return None
    if algorithm is not None and algorithm not in _FAMILIES:
        return None
    key = _public_key(members)
    if key is None:
        return None
    family = str(members["kty"])
    return SigningKey(name=name, family=family, algorithm=algorithm, key=key)


def _public_key(members: dict[str, object]) -> RSAKey | ECKey | None:
    """Take the public numbers, and nothing else, out of a key."""
    kind = members.get("kty")
    names = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}.get(str(kind), ())
    numbers = {name: members.get(name) for name in ("kty", *names)}
    values: dict[str, str | list[str]] = {
        name: value for name, value in numbers.items() if isinstance(value, str)
    }
    if not names or len(values) != len(numbers):
        return None
    try:
        if kind == "RSA":
            return RSAKey.import_key(values) if _is_sound_rsa(str(numbers["n"])) else None
        return ECKey.import_key(values) if numbers["crv"] == "P-256" else None
    except (JoseError, ValueError, TypeError):
        return None


def _is_sound_rsa(modulus: str) -> bool:
    octets = urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4)).lstrip(b"\0")
    return MIN_RSA_OCTETS <= len(octets) <= MAX_RSA_OCTETS
