import asyncio
import gzip
from collections.abc import Sequence
from dataclasses import replace

import pytest

from crypto.errors import FetchError
from crypto.fetch import Fetched, FetchPolicy, fetch, is_allowed, resolve
from tests.support.http_server import (
    Answer,
    HttpServer,
    dripping,
    endless,
    octets,
    open_http_server,
    silent,
    status,
    truncated,
)

CONTENT = b"\x30\x03list"


async def loopback(host: str, port: int) -> Sequence[str]:
    """Resolve every name to this machine."""
    del host, port
    return ["127.0.0.1"]


def policy(server: HttpServer, *, seconds: float = 10, max_octets: int = 1000) -> FetchPolicy:
    return FetchPolicy(
        hosts=frozenset({server.host}),
        max_octets=max_octets,
        seconds=seconds,
        allows_private=True,
        resolve=loopback,
    )


async def refusal(answer: Answer, *, seconds: float = 10) -> str:
    """Fetch what is answered so, and return why it failed."""
    async with open_http_server(crl=answer) as server:
        with pytest.raises(FetchError) as failure:
            await fetch(server.url("/crl"), policy=policy(server, seconds=seconds))
    return failure.value.reason


def addresses(*found: str) -> FetchPolicy:
    """A policy under which a name resolves to these."""

    async def resolver(host: str, port: int) -> Sequence[str]:
        del host, port
        return found

    return FetchPolicy(hosts=frozenset({"crl.test"}), max_octets=1000, seconds=10, resolve=resolver)


async def test_what_is_there_is_fetched() -> None:
    """With what lets us ask next time whether it changed."""
    async with open_http_server(crl=octets(CONTENT, etag='"1"')) as server:
        found = await fetch(server.url("/crl"), policy=policy(server))
        again = await fetch(server.url("/crl"), policy=policy(server), etag='"1"')

    assert found == Fetched(octets=CONTENT, etag='"1"', last_modified=None)
    assert again.octets is None
    assert server.requests[0].headers["host"] == server.host


async def test_the_date_of_the_copy_at_hand_is_told() -> None:
    """For servers that know no tags."""
    date = "Tue, 03 Nov 2026 10:00:00 GMT"
    async with open_http_server(crl=status(304)) as server:
        await fetch(server.url("/crl"), policy=policy(server), last_modified=date)

    assert server.requests[0].headers["if-modified-since"] == date


async def test_a_question_is_posted() -> None:
    """RFC 6960, appendix A.1."""
    async with open_http_server(ocsp=octets(b"answer")) as server:
        found = await fetch(server.url("/ocsp"), policy=policy(server), body=b"question")

    assert found.octets == b"answer"
    (request,) = server.requests
    assert (request.method, request.body) == ("POST", b"question")
    assert request.headers["content-type"] == "application/ocsp-request"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(302, "Location: http://127.0.0.1/"), "redirect"),
        (status(301, "Location: file:///etc/passwd"), "redirect"),
        (status(500), "status-500"),
        (status(204), "status-204"),
        (truncated(CONTENT), "unreachable"),
        (endless(bytes(4096)), "too-large"),
        (endless(bytes(4096), announced=10**9), "too-large"),
    ],
)
async def test_a_bad_answer_is_given_up(answer: Answer, reason: str) -> None:
    """Each with its own reason, and without following or reading more than allowed."""
    assert await refusal(answer) == reason


@pytest.mark.parametrize("answer", [dripping(), silent()])
async def test_a_slow_server_costs_a_bounded_time(answer: Answer) -> None:
    """However little it sends at a time."""
    assert await refusal(answer, seconds=0.1) == "timeout"


async def test_a_compressed_answer_is_refused() -> None:
    """Nobody asked for it, and a small one may hide a large one."""

    async def bomb(_: object, writer: asyncio.StreamWriter) -> None:
        packed = gzip.compress(bytes(100_000))
        writer.write(
            b"HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nContent-Length: "
            + str(len(packed)).encode()
            + b"\r\n\r\n"
            + packed
        )

    assert await refusal(bomb) == "encoded"


async def test_nobody_there_is_unreachable() -> None:
    """The last good list goes on."""
    async with open_http_server() as server:
        gone = policy(server)
        url = server.url("/crl")

    with pytest.raises(FetchError, match="unreachable"):
        await fetch(url, policy=gone)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ldap://crl.test/cn=list", "scheme-not-allowed"),
        ("file:///etc/passwd", "scheme-not-allowed"),
        ("ftp://crl.test/list", "scheme-not-allowed"),
        ("http://127.0.0.1/", "host-not-allowed"),
        ("http://169.254.169.254/latest/meta-data/", "host-not-allowed"),
        ("http://crl.test.evil.example/", "host-not-allowed"),
        ("http://crl.test:22/", "host-not-allowed"),
        ("https://crl.test:80/", "host-not-allowed"),
        ("http://crl.test@evil.example/", "bad-url"),
        ("http://user:password@crl.test/", "bad-url"),
        ("http://", "bad-url"),
        ("http://crl.test:99999999/", "host-not-allowed"),
        ("http://[::1/", "bad-url"),
        ("\x00", "bad-url"),
        ("", "scheme-not-allowed"),
    ],
)
async def test_a_url_that_the_list_does_not_allow_is_never_resolved(url: str, reason: str) -> None:
    """The strangers who write certificates do not choose where we connect."""

    async def never(host: str, port: int) -> Sequence[str]:
        raise AssertionError(f"{host}:{port} was looked up")

    with pytest.raises(FetchError) as refused:
        await fetch(url, policy=replace(addresses(), resolve=never))

    assert refused.value.reason == reason
    assert not is_allowed(url, hosts=frozenset({"crl.test"}))


@pytest.mark.parametrize("url", ["http://crl.test/a", "https://CRL.test/", "http://crl.test:80/"])
def test_a_listed_host_is_allowed_whatever_its_spelling(url: str) -> None:
    """Names of hosts have no case, and the usual port may be written."""
    assert is_allowed(url, hosts=frozenset({"crl.test"}))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)
async def test_a_name_that_leads_into_our_own_network_is_refused(address: str) -> None:
    """A listed host, by mischief or by mistake, resolves to the machine next door."""
    with pytest.raises(FetchError, match="private-address"):
        await fetch("http://crl.test/", policy=addresses(address))


async def test_one_private_address_among_public_ones_is_refused() -> None:
    """A second look-up might choose the other; we look once and refuse."""
    with pytest.raises(FetchError, match="private-address"):
        await fetch("http://crl.test/", policy=addresses("203.0.113.9", "8.8.8.8", "127.0.0.1"))


@pytest.mark.parametrize("found", [[], ["not an address"]])
async def test_a_name_without_an_address_is_unresolved(found: list[str]) -> None:
    """As when DNS is down."""
    with pytest.raises(FetchError, match="unresolved"):
        await fetch("http://crl.test/", policy=addresses(*found))


async def test_the_address_that_was_looked_at_is_the_one_connected_to() -> None:
    """DNS rebinding: the second answer for the same name would be another."""
    answers = iter([["127.0.0.1"]])

    async def once(host: str, port: int) -> Sequence[str]:
        del host, port
        return next(answers)

    async with open_http_server(crl=octets(CONTENT)) as server:
        found = await fetch(server.url("/crl"), policy=replace(policy(server), resolve=once))

    assert found.octets == CONTENT


async def test_the_system_resolves_names() -> None:
    """What runs when no test stands in for it."""
    assert await resolve("127.0.0.1", 80) == ["127.0.0.1"]
