"""An identity provider on the loopback interface: real HTTP, keys that rotate, and faults.

It signs access tokens in the manner of Pro Santé Connect, publishes its keys under addresses that a
discovery document of an unusual name tells, and answers introspection to clients that it knows.

Shapes
    `fault` makes every answer wrong in one way: an HTTP status (`503`), `redirect`, `huge`,
    `garbage`, `hang`; empty for none.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from mss.settings import OidcSettings

IDENTITY = "899000000028"
CLIENT_ID = "operateur-essai"
CLIENT_SECRET = "s:cret é"
DISCOVERY = "/.well-known/wallet-openid-configuration"


@cache
def an_rsa_key() -> RSAKey:
    """Make an RSA key, once per process."""
    return RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"})


def an_ec_key(name: str) -> ECKey:
    """Make an EC key."""
    return ECKey.generate_key("P-256", {"kid": name, "use": "sig", "alg": "ES256"})


@dataclass(slots=True, kw_only=True)
class OidcServer:
    """The provider.

    Attributes:
        keys: Those that it publishes; the first one signs.
        asked: Path of each request, in order.
        ended: Tokens that are no longer active.
    """

    issuer: str = ""
    keys: list[RSAKey | ECKey] = field(default_factory=lambda: [an_ec_key("ec-1")])
    fault: str = ""
    asked: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    secret: str = CLIENT_SECRET
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)
    _opaque: dict[str, dict[str, Any]] = field(default_factory=dict)

    def settings(self, **changes: object) -> OidcSettings:
        """Write the settings of an operator that believes this provider."""
        usual: dict[str, object] = {
            "issuer": self.issuer,
            "discovery_uri": self.issuer + DISCOVERY,
            "algorithms": ("ES256",),
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "timeout_seconds": 2,
        }
        return OidcSettings.model_validate({**usual, **changes})

    def claims(self, *, at: datetime, **changes: object) -> dict[str, Any]:
        """Write the claims of an access token that lasts two minutes; `None` leaves one out."""
        usual: dict[str, Any] = {
            "iss": self.issuer,
            "sub": f"f:550e8400:{IDENTITY}",
            "typ": "Bearer",
            "azp": "logiciel-metier",
            "iat": int(at.timestamp()),
            "exp": int((at + timedelta(minutes=2)).timestamp()),
            "SubjectNameID": IDENTITY,
        }
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    def token(
        self,
        *,
        at: datetime,
        key: RSAKey | ECKey | None = None,
        header: Mapping[str, object] | None = None,
        **changes: object,
    ) -> str:
        """Sign an access token."""
        signing = key or self.keys[0]
        algorithm = "ES256" if isinstance(signing, ECKey) else "RS256"
        fields = {"alg": algorithm, "typ": "JWT", "kid": signing.kid, **(header or {})}
        fields = {name: value for name, value in fields.items() if value is not None}
        text = json.dumps(self.claims(at=at, **changes))
        name = str(fields["alg"])
        registry = jws.JWSRegistry(algorithms=[name], strict_check_header=False)
        return jws.serialize_compact(fields, text, signing, algorithms=[name], registry=registry)

    def opaque_token(self, *, at: datetime, **changes: object) -> str:
        """Give out a token that means something to this provider only."""
        token = f"opaque-{len(self._opaque)}"
        self._opaque[token] = self.claims(at=at, **changes)
        return token

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: str) -> Any:
        """Answer one request."""
        match method, path:
            case "GET", p if p == DISCOVERY:
                return {
                    "issuer": self.issuer,
                    "jwks_uri": f"{self.issuer}/certs",
                    "introspection_endpoint": f"{self.issuer}/introspect",
                }
            case "GET", "/certs":
                return {"keys": [one.as_dict(private=False) for one in self.keys]}
            case "POST", "/introspect" if self._is_client(headers):
                return self._introspection(parse_qs(body)["token"][0])
            case _:
                return None

    def _is_client(self, headers: Mapping[str, str]) -> bool:
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme != "Basic":
            return False
        name, _, secret = base64.b64decode(credentials).decode().partition(":")
        return (unquote_plus(name), unquote_plus(secret)) == (CLIENT_ID, self.secret)

    def _introspection(self, token: str) -> dict[str, Any]:
        if token in self.ended:
            return {"active": False}
        if token in self._opaque:
            return {"active": True, **self._opaque[token]}
        try:
            payload = token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except (IndexError, ValueError):
            return {"active": False}
        return {"active": True, **claims}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hold one connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
            line, *fields = head.split("\r\n")
            method, path, _ = line.split(" ")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (one.partition(":") for one in fields if one)
            }
            body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
            self.asked.append(path)
            self.was_asked.set()
            if self.fault == "hang":
                await reader.read()  # until the client has lost its patience
                return
            writer.write(self._response(self.answer(method, path, headers, body)))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def _response(self, value: Any) -> bytes:
        status, extra, octets = "200 OK", "", json.dumps(value).encode()
        match self.fault:
            case "redirect":
                status, extra = "302 Found", f"Location: {self.issuer}/certs\r\n"
            case "huge":
                octets = b'{"keys": [' + b" " * 2_000_000 + b"]}"
            case "garbage":
                octets = b'{"keys": [{"kty"'
            case "":
                status = "200 OK" if value is not None else "401 Unauthorized"
            case code:
                status = f"{code} Fault"
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{extra}"
            f"Content-Length: {len(octets)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + octets


@asynccontextmanager
async def running_provider() -> AsyncIterator[OidcServer]:
    """Run a provider while the block lasts."""
    provider = OidcServer()
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    provider.issuer = f"http://127.0.0.1:{port}"
    try:
        yield provider
    finally:
        server.close()
        await server.wait_closed()
