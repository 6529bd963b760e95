"""How is something fetched whose address a stranger wrote into a certificate?

With suspicion: only from hosts on a list, over HTTP or HTTPS, from an address that was looked at
before it is connected to (a name that resolves to our own network is refused, whatever it resolved
to a moment ago), without following redirects, up to a size and a time. The answer is octets and
nothing more: who wants them judges them by their signature.

Nothing here is called from a verification; a job does, at its own time.

Errors
    `FetchError` with a kebab-case reason for whatever prevents it.
Sources
    RFC 5280, 8 and RFC 5019, 5 (fetching); RFC 9110, 13 (conditional requests); OWASP on
    server-side request forgery.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import httpx

from crypto.errors import FetchError

MAX_HEADER_VALUE: Final = 1024
OCSP_REQUEST_TYPE: Final = "application/ocsp-request"
_PORTS: Final = {"http": 80, "https": 443}
_NOT_MODIFIED: Final = 304
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses of a host."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPolicy:
    """What may be fetched.

    Attributes:
        hosts: Names that may be connected to, `host` for the usual ports or `host:port`.
        max_octets: Size of the largest answer.
        seconds: Longest time for one answer, from the look-up of the name to the last octet.
        allows_private: Also connect to addresses of private and local networks.
        resolve: Finds the addresses of a host.
        tls: How HTTPS is verified; as the system does if None.
    """

    hosts: frozenset[str]
    max_octets: int
    seconds: float
    allows_private: bool = False
    resolve: Resolver = field(default=resolve, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came back.

    Attributes:
        octets: The answer; None if it has not changed since it was fetched last.
        etag: To ask next time whether it has changed; likewise the next.
    """

    octets: bytes | None
    etag: str | None
    last_modified: str | None


async def fetch(
    url: str,
    *,
    policy: FetchPolicy,
    body: bytes | None = None,
    etag: str | None = None,
    last_modified: str | None = None,
) -> Fetched:
    """Fetch what is at *url*, or post an OCSP request to it.

    Args:
        url: As a certificate says; not to be trusted.
        policy: What may be fetched.
        body: An OCSP request to post; None to get.
        etag: What came with the copy at hand.
        last_modified: Likewise.

    Raises:
        FetchError: It could not, or may not, be fetched.
    """
    target = _parse(url, policy)
    try:
        async with asyncio.timeout(policy.seconds):
            address = await _find_address(target, policy)
            return await _exchange(
                target, address, policy, body=body, etag=etag, last_modified=last_modified
            )
    except TimeoutError as error:
        raise FetchError("timeout") from error
    except httpx.TimeoutException as error:
        raise FetchError("timeout") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise FetchError("unreachable") from error


def is_allowed(url: str, *, hosts: frozenset[str]) -> bool:
    """Say whether the list of hosts allows *url*, before anything is resolved."""
    try:
        _parse(url, FetchPolicy(hosts=hosts, max_octets=0, seconds=0))
    except FetchError:
        return False
    return True


def _parse(url: str, policy: FetchPolicy) -> httpx.URL:
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise FetchError("bad-url") from error
    if target.scheme not in _PORTS:
        raise FetchError("scheme-not-allowed")
    if target.userinfo or not target.host:
        raise FetchError("bad-url")
    host, port = target.host.casefold(), target.port
    name = host if port in {None, _PORTS[target.scheme]} else f"{host}:{port}"
    if name not in policy.hosts:
        raise FetchError("host-not-allowed")
    return target


async def _find_address(target: httpx.URL, policy: FetchPolicy) -> str:
    """Return the address to connect to; the name is not looked up again."""
    port = target.port or _PORTS[target.scheme]
    try:
        found = await policy.resolve(target.host, port)
        addresses = [ipaddress.ip_address(each.partition("%")[0]) for each in found]
    except (OSError, ValueError, UnicodeError) as error:
        raise FetchError("unresolved") from error
    if not addresses:
        raise FetchError("unresolved")
    # One address of ours among others is an attempt, not an accident.
    if not policy.allows_private and not all(_is_public(each) for each in addresses):
        raise FetchError("private-address")
    return str(addresses[0])


def _is_public(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(address.packed[-4:])
        if address.teredo is not None:
            return False
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast


async def _exchange(
    target: httpx.URL,
    address: str,
    policy: FetchPolicy,
    *,
    body: bytes | None,
    etag: str | None,
    last_modified: str | None,
) -> Fetched:
    headers = {"Host": target.netloc.decode("ascii"), "Accept-Encoding": "identity"}
    if etag:
        headers["If-None-Match"] = etag
    if last_modified:
        headers["If-Modified-Since"] = last_modified
    if body is not None:
        headers["Content-Type"] = OCSP_REQUEST_TYPE
    verify = policy.tls if policy.tls is not None else _usual_tls()
    async with (
        httpx.AsyncClient(verify=verify, trust_env=False, follow_redirects=False) as client,
        client.stream(
            "GET" if body is None else "POST",
            # The very address that was looked at; TLS still asks for the name.
            target.copy_with(host=address),
            headers=headers,
            content=body,
            timeout=policy.seconds,
            extensions={"sni_hostname": target.host},
        ) as response,
    ):
        return await _read(response, policy)


@lru_cache(maxsize=1)
def _usual_tls() -> ssl.SSLContext:
    """Verify as the system does; reading its authorities takes a tenth of a second."""
    return ssl.create_default_context()


async def _read(response: httpx.Response, policy: FetchPolicy) -> Fetched:
    etag = _header(response, "ETag")
    last_modified = _header(response, "Last-Modified")
    if response.status_code == _NOT_MODIFIED:
        return Fetched(octets=None, etag=etag, last_modified=last_modified)
    if response.is_redirect:
        raise FetchError("redirect")
    if response.status_code != httpx.codes.OK:
        raise FetchError(f"status-{response.status_code}")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise FetchError("encoded")  # not asked for, and a small one may hide a large one
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced[:20]) > policy.max_octets:
        raise FetchError("too-large")
    octets = bytearray()
    async for piece in response.aiter_raw():
        octets += piece
        if len(octets) > policy.max_octets:
            raise FetchError("too-large")
    return Fetched(octets=bytes(octets), etag=etag, last_modified=last_modified)


def _header(response: httpx.Response, name: str) -> str | None:
    value = response.headers.get(name)
    return value if value and len(value) <= MAX_HEADER_VALUE else None
