"""What the identity provider says over HTTP: where things are, its keys, and about one token.

Redirects are refused, answers are bounded in size and time, certificates are always verified, and
nothing is taken from the environment (no proxy). `http://` is for the loopback interface only.

Errors
    `IdentityProviderUnavailableError`, whatever the provider does; `SettingsError` for an address
    that cannot be asked safely.
Sources
    OpenID Connect Discovery 1.0; RFC 7662 (introspection); RFC 6749, 2.3.1; RFC 8705, 2.
"""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote_plus, urlsplit

import httpx

from mss.accounts.jwt import TokenSyntaxError, json_object
from mss.errors import IdentityProviderUnavailableError, SettingsError
from mss.pipeline.key_files import KeyFiles
from mss.settings import OidcSettings, Settings

MAX_ANSWER: Final = 256 * 1024
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the provider is asked; an introspection that is not offered is empty."""

    jwks_uri: str
    introspection_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderClient:
    """Asks the identity provider."""

    settings: OidcSettings
    http: httpx.AsyncClient

    async def find_endpoints(self) -> Endpoints:
        """Take addresses from the settings, and what they leave out from the discovery."""
        settings = self.settings
        wants_introspection = settings.verification != "signature"
        is_complete = settings.jwks_uri or settings.verification == "introspection"
        if is_complete and (settings.introspection_uri or not wants_introspection):
            return Endpoints(
                jwks_uri=settings.jwks_uri, introspection_uri=settings.introspection_uri
            )
        document = self._object(await self._ask("GET", discovery_uri(settings)))
        if document.get("issuer") != settings.issuer:
            raise IdentityProviderUnavailableError(reason="discovery-issuer")
        return Endpoints(
            jwks_uri=settings.jwks_uri or _address(document, "jwks_uri"),
            introspection_uri=settings.introspection_uri
            or (_address(document, "introspection_endpoint") if wants_introspection else ""),
        )

    async def fetch_keys(self, uri: str) -> bytes:
        """Fetch the JWK Set."""
        return await self._ask("GET", uri)

    async def introspect(self, uri: str, token: str) -> Mapping[str, object]:
        """Ask about a token; the answer has `active` at least."""
        settings = self.settings
        form = {"token": token, "token_type_hint": "access_token"}
        headers = {}
        if settings.client_secret is not None:
            pair = (settings.client_id, settings.client_secret.get_secret_value())
            basic = b64encode(":".join(map(quote_plus, pair)).encode("ascii")).decode("ascii")
            headers["Authorization"] = f"Basic {basic}"
        else:
            form["client_id"] = settings.client_id
        answer = self._object(await self._ask("POST", uri, form=form, headers=headers))
        if not isinstance(answer.get("active"), bool):
            raise IdentityProviderUnavailableError(reason="introspection-answer")
        return answer

    async def _ask(
        self,
        method: str,
        uri: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Get one bounded answer."""
        require_safe(uri)
        octets = bytearray()
        try:
            async with (
                asyncio.timeout(self.settings.timeout_seconds),
                self.http.stream(
                    method,
                    uri,
                    data=form,
                    headers={"Accept": "application/json", **(headers or {})},
                ) as response,
            ):
                if response.status_code != 200:
                    raise IdentityProviderUnavailableError(reason=f"http-{response.status_code}")
                async for chunk in response.aiter_bytes():
                    octets += chunk
                    if len(octets) > MAX_ANSWER:
                        raise IdentityProviderUnavailableError(reason="answer-too-large")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise IdentityProviderUnavailableError(reason=type(error).__name__) from error
        return bytes(octets)

    @staticmethod
    def _object(octets: bytes) -> dict[str, object]:
        try:
            return json_object(octets)
        except TokenSyntaxError:
            raise IdentityProviderUnavailableError(reason="answer-syntax") from None


def open_provider_client(settings: Settings) -> ProviderClient:
    """Make the client that the settings describe; whoever opens it closes its `http`.

    Raises:
        SettingsError: An address or a file cannot be used.
    """
    oidc = settings.oidc
    for uri in (discovery_uri(oidc), oidc.jwks_uri, oidc.introspection_uri):
        if uri:
            require_safe(uri)
    try:
        context = ssl.create_default_context(
            cafile=str(settings.path(oidc.ca_file)) if oidc.ca_file else None
        )
        if oidc.client_certificate:
            key = settings.path(settings.tls.key)
            files = KeyFiles(home=settings.home, settings=settings.keys)
            password = files.password_of(key) or ""  # an empty one keeps OpenSSL from asking
            context.load_cert_chain(settings.path(settings.tls.certificate), key, password)
    except OSError as error:
        raise SettingsError(reason=f"oidc: {type(error).__name__}: {error}") from error
    http = httpx.AsyncClient(
        verify=context,
        timeout=oidc.timeout_seconds,
        follow_redirects=False,
        trust_env=False,
        limits=httpx.Limits(max_connections=20, max_keepalive_connections=5),
    )
    return ProviderClient(settings=oidc, http=http)


def discovery_uri(settings: OidcSettings) -> str:
    """Tell where the discovery document is."""
    standard = f"{settings.issuer.rstrip('/')}/.well-known/openid-configuration"
    return settings.discovery_uri or standard


def require_safe(uri: str) -> None:
    """Refuse to ask over a connection that others can read.

    Raises:
        SettingsError: It is neither HTTPS nor the loopback interface.
    """
    try:
        parts = urlsplit(uri)
        host = parts.hostname
    except ValueError:
        raise SettingsError(reason="oidc: an address is not a URL") from None
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    if not is_safe or not host:
        raise SettingsError(reason="oidc: the provider is asked over https only")


def _address(document: Mapping[str, object], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise IdentityProviderUnavailableError(reason=f"discovery-{name.replace('_', '-')}")
    return value
