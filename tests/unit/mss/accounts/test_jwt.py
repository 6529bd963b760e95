import base64
import hashlib
import hmac
import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mss.accounts.jwt import (
    MAX_KEYS,
    MAX_TOKEN,
    SigningKey,
    TokenSignatureError,
    TokenSyntaxError,
    parse_keys,
    parse_token,
    verify_token,
)
from tests.support.oidc_server import OidcServer, an_ec_key, an_rsa_key
from tests.support.pki import NOW

ALGORITHMS = ("RS256", "PS256", "ES256")


def part(value: object) -> str:
    """Encode one part of a compact token."""
    octets = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unsigned(header: object, claims: object = None, signature: str = "c2ln") -> str:
    """Put a token together that nobody signed."""
    return f"{part(header)}.{part({} if claims is None else claims)}.{signature}"


def published(*keys: object) -> tuple[SigningKey, ...]:
    """Read keys as a provider publishes them."""
    return parse_keys(json.dumps({"keys": list(keys)}).encode())


@pytest.mark.parametrize("key", [an_ec_key("k"), an_rsa_key()], ids=["ec", "rsa"])
def test_what_a_published_key_signed_is_believed(key: object) -> None:
    """Both families that a health provider uses."""
    server = OidcServer(issuer="https://idp.example", keys=[key])  # type: ignore[list-item]
    keys = published(server.keys[0].as_dict(private=False))

    claims = verify_token(parse_token(server.token(at=NOW)), keys, algorithms=ALGORITHMS)

    assert claims == server.claims(at=NOW)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "ES256", "crit": ["exp"]},
        {"alg": "ES256", "jwk": {}},
        {"alg": "ES256", "jku": "https://evil.example/keys"},
        {"alg": "ES256", "x5u": "https://evil.example/cert"},
        {"alg": "ES256", "x5c": []},
        {"alg": "ES256", "cty": "JWT"},
        {"alg": "ES256", "zip": "DEF"},
        {"alg": "ES256", "b64": False},
        {"alg": "ES256", "kid": 7},
        {"alg": "ES256", "kid": ""},
        {"alg": "ES256", "kid": "x" * 300},
        {"alg": "ES256", "typ": "logout+jwt"},
        {"alg": "ES256", "typ": 1},
        {"alg": ["ES256"]},
        {"alg": None},
        {},
        [],
        "x",
        b"\xff",
        b'{"alg":"ES256","alg":"none"}',
        b'{"alg":NaN}',
        b"[" * 5000,
        b'{"alg":' + b'{"a":' * 1500,
    ],
)
def test_a_header_that_does_more_than_name_a_key_is_refused(header: object) -> None:
    """It would choose the key or the rules by which the token itself is judged."""
    with pytest.raises(TokenSyntaxError):
        parse_token(unsigned(header))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        "a.b.c.d",
        "a.b.c.d.e",
        unsigned({"alg": "ES256"}, signature=""),
        unsigned({"alg": "ES256"}) + "=",
        unsigned({"alg": "ES256"}) + "\n",
        unsigned({"alg": "ES256"}, []),
        unsigned({"alg": "ES256"}, b'{"exp":1,"exp":2}'),
        unsigned({"alg": "ES256"}, {"x": "y" * MAX_TOKEN}),
        "é.é.é",
    ],
)
def test_what_is_no_token(text: str) -> None:
    """Read in one way or not at all."""
    with pytest.raises(TokenSyntaxError):
        parse_token(text)


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "HS512", "RS512", "EdDSA", "ES384"])
def test_an_algorithm_that_is_not_pinned_is_refused(algorithm: str) -> None:
    """The token only names one of those that the settings allow."""
    keys = published(an_rsa_key().as_dict(private=False))
    token = parse_token(unsigned({"alg": algorithm, "kid": "rsa-1"}))

    with pytest.raises(TokenSignatureError):
        verify_token(token, keys, algorithms=ALGORITHMS)


def test_a_public_key_is_never_a_secret() -> None:
    """HS256 with the published key as its secret: the classic confusion (CVE-2022-29217)."""
    pem = an_rsa_key().as_pem(private=False)
    signed = f"{part({'alg': 'HS256', 'kid': 'rsa-1'})}.{part({'iss': 'x'})}"
    mac = hmac.new(pem, signed.encode(), hashlib.sha256).digest()
    keys = published(an_rsa_key().as_dict(private=False))

    with pytest.raises(TokenSignatureError):
        verify_token(parse_token(f"{signed}.{part(mac)}"), keys, algorithms=(*ALGORITHMS, "HS256"))


def test_a_key_signs_by_the_algorithm_it_is_published_for() -> None:
    """An RSA key published for PS256 is no RS256 key."""
    server = OidcServer(issuer="https://idp.example", keys=[an_rsa_key()])
    keys = published({**an_rsa_key().as_dict(private=False), "alg": "PS256"})

    with pytest.raises(TokenSignatureError):
        verify_token(parse_token(server.token(at=NOW)), keys, algorithms=ALGORITHMS)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_changed_letter_breaks_the_signature(place: int) -> None:
    """In whichever part."""
    server = OidcServer(issuer="https://idp.example")
    keys = published(server.keys[0].as_dict(private=False))
    parts = server.token(at=NOW, x="y").split(".")
    middle = len(parts[place]) // 2
    letter = "A" if parts[place][middle] != "A" else "B"
    parts[place] = parts[place][:middle] + letter + parts[place][middle + 1 :]

    with pytest.raises((TokenSignatureError, TokenSyntaxError)):
        verify_token(parse_token(".".join(parts)), keys, algorithms=ALGORITHMS)


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "n": "A" * 3000, "e": "AQAB"},
        {"kty": "RSA", "n": "é", "e": "AQAB"},
        {"kty": "RSA", "n": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"},
        {"kty": "EC", "crv": "secp256k1", "x": "AQ", "y": "AQ"},
        {"kty": ["RSA"]},
        {},
        7,
    ],
)
def test_a_key_that_is_of_no_use_is_left_out(key: object) -> None:
    """The others of the set still count."""
    good = an_ec_key("good").as_dict(private=False)

    assert [one.name for one in published(key, good)] == ["good"]


@pytest.mark.parametrize("change", [{"use": "enc"}, {"alg": "RSA-OAEP"}, {"alg": "HS256"}])
def test_a_key_for_another_use_is_left_out(change: dict[str, str]) -> None:
    """Providers publish their encryption keys in the same set."""
    assert published({**an_rsa_key().as_dict(private=False), **change}) == ()


def test_a_private_key_in_the_set_is_used_as_public() -> None:
    """A careless provider gives us no more than we need."""
    (key,) = published(an_ec_key("k").as_dict(private=True))

    assert not key.key.is_private


@pytest.mark.parametrize(
    "octets", [b"", b"[]", b"{}", b'{"keys": {}}', b"\xff", b"[" * 100_000, b'{"keys": 7}']
)
def test_what_is_no_key_set(octets: bytes) -> None:
    """One declared error, whatever the provider sends."""
    with pytest.raises(TokenSyntaxError):
        parse_keys(octets)


def test_a_key_set_is_bounded() -> None:
    """Nobody has that many keys."""
    with pytest.raises(TokenSyntaxError):
        parse_keys(json.dumps({"keys": [{}] * (MAX_KEYS + 1)}).encode())


@settings(max_examples=60)
@given(header=st.binary(max_size=80), claims=st.binary(max_size=80), tail=st.text(max_size=20))
def test_any_text_is_a_token_or_a_syntax_error(header: bytes, claims: bytes, tail: str) -> None:
    """Strangers write these."""
    with suppress(TokenSyntaxError):
        parse_token(f"{part(header)}.{part(claims)}.{tail}")
    with suppress(TokenSyntaxError):
        parse_token(tail)
    with suppress(TokenSyntaxError):
        parse_keys(claims)
