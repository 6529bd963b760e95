from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import dns.asyncresolver
import dns.exception
import dns.resolver
import pytest
from dns import message, name, rdata, rdatatype
from dns.rdataclass import IN
from dns.resolver import Answer

from mss.errors import SettingsError
from mss.smtp.hosts import (
    DnsLookup,
    Host,
    Hosts,
    HostsUnavailableError,
    MxAnswer,
    MxRecord,
    NoHostError,
    RememberingLookup,
    in_order,
    parse_host,
)
from mss.smtp.session import is_global


@dataclass(frozen=True)
class FixedLookup:
    """A name service that knows one answer."""

    records: tuple[MxRecord, ...] = ()

    async def find_mx(self, domain: str) -> MxAnswer:
        return MxAnswer(records=self.records, seconds=300)


def mx(preference: int, host: str) -> MxRecord:
    return MxRecord(preference=preference, name=host)


async def test_hosts_come_by_preference() -> None:
    """The lowest number first (RFC 5321, 5.1)."""
    hosts = Hosts(lookup=FixedLookup((mx(20, "b.fr"), mx(10, "a.fr"), mx(30, "c.fr"))))

    assert await hosts.find("x.fr") == tuple(
        Host(name=one, port=25, is_public=True) for one in ("a.fr", "b.fr", "c.fr")
    )


async def test_a_domain_without_mx_is_its_own_host() -> None:
    """The implicit MX."""
    assert await Hosts(port=2525, lookup=FixedLookup()).find("x.fr") == (
        Host(name="x.fr", port=2525, is_public=True),
    )


async def test_a_null_mx_takes_no_mail() -> None:
    """RFC 7505."""
    with pytest.raises(NoHostError) as caught:
        await Hosts(lookup=FixedLookup((mx(0, "."),))).find("x.fr")

    assert caught.value.status == "5.1.10"


async def test_the_settings_come_before_the_name_service() -> None:
    """A table of an administrator, with a star for all others."""
    hosts = Hosts(overrides={"a.fr": "mx.a.fr:2525", "*": "[::1]:26"}, lookup=FixedLookup())

    assert await hosts.find("a.fr") == (Host(name="mx.a.fr", port=2525),)
    assert await hosts.find("b.fr") == (Host(name="::1", port=26),)


async def test_private_hosts_are_an_administrators_decision() -> None:
    """In a closed network every host has a private address."""
    hosts = Hosts(lookup=FixedLookup((mx(10, "a.fr"),)), allows_private=True)

    assert await hosts.find("x.fr") == (Host(name="a.fr", port=25),)


@dataclass
class CountingLookup:
    """A name service that counts, and may fall silent."""

    seconds: float = 300
    asked: int = 0
    is_silent: bool = False

    async def find_mx(self, domain: str) -> MxAnswer:
        self.asked += 1
        if self.is_silent:
            raise HostsUnavailableError(domain=domain, reason="Timeout")
        return MxAnswer(records=(mx(self.asked, "a.fr"),), seconds=self.seconds)


@pytest.mark.parametrize(
    ("given", "lasts"), [(300, 300), (0, 60), (86400, 3600)], ids=["its own", "least", "most"]
)
async def test_records_are_remembered_for_their_time(given: float, lasts: float) -> None:
    """A queue of letters for one domain asks once; a record that says never is asked at times."""
    service, now = CountingLookup(seconds=given), [0.0]
    lookup = RememberingLookup(service, now=lambda: now[0])

    answers = []
    for now[0] in (0.0, lasts - 1, lasts):
        answers.append(await lookup.find_mx("x.fr"))

    assert service.asked == 2
    assert answers[0] is answers[1] is not answers[2]


async def test_a_silent_name_service_is_bridged_for_a_day() -> None:
    """Who answers there is judged by certificate, so an old address does no harm."""
    service, now = CountingLookup(), [0.0]
    lookup = RememberingLookup(service, now=lambda: now[0])
    known = await lookup.find_mx("x.fr")
    service.is_silent = True

    now[0] = 80_000.0
    assert await lookup.find_mx("x.fr") is known
    now[0] = 90_000.0
    with pytest.raises(HostsUnavailableError):
        await lookup.find_mx("x.fr")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("193.252.1.1", True),
        ("2a01:e0a::1", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:193.252.1.1", True),
        ("what", False),
    ],
)
def test_which_addresses_belong_to_the_internet(address: str, *, expected: bool) -> None:
    """A foreign zone must not send our relay into our own network."""
    assert is_global(address) is expected


async def test_a_flood_of_records_is_cut() -> None:
    """A hostile zone cannot keep a worker busy for hours."""
    hosts = Hosts(lookup=FixedLookup(tuple(mx(n, f"h{n}.fr") for n in range(1000))))

    assert [one.name for one in await hosts.find("x.fr")] == [f"h{n}.fr" for n in range(8)]


def test_equals_are_mixed_and_repeats_dropped() -> None:
    """RFC 5321, 5.1: the load is shared."""
    records = (*(mx(10, f"h{n}.fr") for n in range(20)), mx(20, "h0.fr"))

    orders = {tuple(in_order(records)) for _ in range(20)}

    assert len(orders) > 1
    assert {len(one) for one in orders} == {20}


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("a.fr", "a.fr", 25),
        ("a.fr:26", "a.fr", 26),
        ("127.0.0.1:2525", "127.0.0.1", 2525),
        ("[::1]", "::1", 25),
        ("[2001:db8::1]:26", "2001:db8::1", 26),
    ],
)
def test_a_host_of_the_settings(text: str, host: str, port: int) -> None:
    """With or without a port."""
    assert parse_host(text, default_port=25) == Host(name=host, port=port)


@pytest.mark.parametrize("text", ["", ":25", "a.fr:", "a.fr:x", "a b", "::1", "[::1", "a:1:2"])
def test_what_is_no_host_of_the_settings(text: str) -> None:
    """Said when the server starts, not when a letter waits."""
    with pytest.raises(SettingsError):
        parse_host(text, default_port=25)


def answer(*texts: str) -> Answer:
    """Build what a resolver returns."""
    query = message.make_query("x.fr.", rdatatype.MX)
    response = cast("message.QueryMessage", message.make_response(query))
    for text in texts:
        rrset = response.find_rrset(
            response.answer, name.from_text("x.fr."), IN, rdatatype.MX, create=True
        )
        rrset.add(rdata.from_text("IN", "MX", text))
    return Answer(name.from_text("x.fr."), rdatatype.MX, IN, response)


@pytest.fixture
def name_service(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Let the resolver answer, or raise, what stands in this list."""
    outcomes: list[object] = []

    async def resolve(*arguments: object, **options: object) -> object:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    # The network itself is replaced: there is none in unit tests.
    monkeypatch.setattr(dns.asyncresolver.Resolver, "__init__", lambda self: None)
    monkeypatch.setattr(dns.asyncresolver.Resolver, "resolve", resolve)
    return outcomes


async def test_records_are_read(name_service: list[object]) -> None:
    """Names lose their final dot; a null MX keeps it."""
    name_service.append(answer("10 MX1.x.fr.", "0 ."))

    found = await DnsLookup().find_mx("x.fr")

    assert set(found.records) == {mx(10, "mx1.x.fr"), mx(0, ".")}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (dns.resolver.NXDOMAIN, NoHostError),
        (dns.resolver.NoNameservers, HostsUnavailableError),
        (dns.resolver.NoResolverConfiguration, HostsUnavailableError),
        (dns.exception.Timeout, HostsUnavailableError),
        (OSError, HostsUnavailableError),
    ],
)
async def test_failures_are_final_or_temporary(
    name_service: list[object], error: Callable[[], Exception], expected: type[Exception]
) -> None:
    """A domain that does not exist is known not to; silence says nothing."""
    name_service.append(error())

    with pytest.raises(expected):
        await DnsLookup().find_mx("x.fr")


async def test_no_record_is_no_failure(name_service: list[object]) -> None:
    """The domain exists and has no MX."""
    absent: Callable[[], Exception] = dns.resolver.NoAnswer
    name_service.append(absent())

    assert (await DnsLookup().find_mx("x.fr")).records == ()
