"""Fetch the trust list from its publisher, or say why not.

One GET over HTTPS, with a verified server, without redirects, proxies or cookies, bounded in octets
and in time. What comes is judged by its signature elsewhere; this only keeps the line clean.

Errors
    `TrustListUnreachableError` for whatever the network or the server does.
Sources
    RFC 9110, 13 (conditional requests); threat: whoever sits on the way feeds an endless body.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import httpx

from crypto import tls
from crypto.errors import CryptoError
from mss.errors import SettingsError, TrustListUnreachableError
from mss.settings import Settings

MAX_VALIDATOR: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A document, and by what the server recognises it next time."""

    octets: bytes
    etag: str
    last_modified: str


class ListFetcher(Protocol):
    """Fetches one document."""

    async def fetch(self, url: str, *, etag: str = "", last_modified: str = "") -> Fetched | None:
        """Fetch what is at an address; `None` if it is still what the validators belong to.

        Raises:
            TrustListUnreachableError: It cannot be had.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpsListFetcher:
    """The real one.

    Attributes:
        context: Gives the TLS context, made anew so that renewed anchors count.
    """

    context: Callable[[], ssl.SSLContext]
    max_octets: int
    seconds: float

    async def fetch(self, url: str, *, etag: str = "", last_modified: str = "") -> Fetched | None:
        """Fetch what is at an address; see `ListFetcher`."""
        if not url.startswith("https://"):
            raise TrustListUnreachableError(reason="not-https")
        headers = {"Accept": "application/xml, text/xml", "Accept-Encoding": "identity"}
        headers |= {"If-None-Match": etag} if etag else {}
        headers |= {"If-Modified-Since": last_modified} if last_modified else {}
        try:
            async with (
                asyncio.timeout(self.seconds),
                httpx.AsyncClient(
                    verify=self.context(), trust_env=False, follow_redirects=False
                ) as client,
                client.stream("GET", url, headers=headers) as response,
            ):
                is_conditional = bool(etag or last_modified)
                return await self._read(response, is_conditional=is_conditional)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise TrustListUnreachableError(reason="timeout") from error
        except httpx.ConnectError as error:
            is_certificate = "CERTIFICATE_VERIFY_FAILED" in str(error)
            reason = "untrusted-server" if is_certificate else "unreachable"
            raise TrustListUnreachableError(reason=reason) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            raise TrustListUnreachableError(reason="broken-off") from error

    async def _read(self, response: httpx.Response, *, is_conditional: bool) -> Fetched | None:
        if response.status_code == httpx.codes.NOT_MODIFIED and is_conditional:
            return None
        if response.has_redirect_location or 300 <= response.status_code < 400:
            raise TrustListUnreachableError(reason="redirect")
        if response.status_code != httpx.codes.OK:
            raise TrustListUnreachableError(reason=f"status-{response.status_code}")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise TrustListUnreachableError(reason="encoded")  # a bomb would pass the limit below
        octets = bytearray()
        async for chunk in response.aiter_raw():
            octets += chunk
            if len(octets) > self.max_octets:
                raise TrustListUnreachableError(reason="too-large")
        return Fetched(
            octets=bytes(octets),
            etag=_validator(response, "ETag"),
            last_modified=_validator(response, "Last-Modified"),
        )


def build_fetcher(settings: Settings) -> HttpsListFetcher:
    """Build the fetcher of an operator: the anchors judge the server, never the machine's store."""
    return HttpsListFetcher(
        context=lambda: _context(settings),
        max_octets=settings.trust.list_octets,
        seconds=settings.trust.list_fetch_seconds,
    )


def _context(settings: Settings) -> ssl.SSLContext:
    names = [settings.trust.anchors, settings.trust.list_ca]
    files = [settings.path(name) for name in names if name]
    intermediates = settings.path(settings.trust.intermediates)
    files += [intermediates] if intermediates.exists() else []
    try:
        pem = "\n".join(file.read_text(encoding="ascii") for file in files)
        return tls.client_context(None, None, anchors_pem=pem, check_host=True)
    except (OSError, ValueError, CryptoError) as error:
        raise SettingsError(reason=f"trust.list_ca or trust.anchors: {error}") from error


def _validator(response: httpx.Response, name: str) -> str:
    value = str(response.headers.get(name, ""))
    return value if len(value) <= MAX_VALIDATOR else ""
