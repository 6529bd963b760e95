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
    MxRecord,
    NoHostError,
    in_order,
    parse_host,
)


@dataclass(frozen=True)
class FixedLookup:
    """A name service that knows one answer."""

    records: tuple[MxRecord, ...] = ()

    async def find_mx(self, domain: str) -> tuple[MxRecord, ...]:
        return self.records


def mx(preference: int, host: str) -> MxRecord:
    return MxRecord(preference=preference, name=host)


async def test_hosts_come_by_preference() -> None:
    """The lowest number first (RFC 5321, 5.1)."""
    hosts = Hosts(lookup=FixedLookup((mx(20, "b.fr"), mx(10, "a.fr"), mx(30, "c.fr"))))

    assert await hosts.find("x.fr") == tuple(
        Host(name=one, port=25) for one in ("a.fr", "b.fr", "c.fr")
    )


async def test_a_domain_without_mx_is_its_own_host() -> None:
    """The implicit MX."""
    assert await Hosts(port=2525, lookup=FixedLookup()).find("x.fr") == (
        Host(name="x.fr", port=2525),
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

    assert set(await DnsLookup().find_mx("x.fr")) == {mx(10, "mx1.x.fr"), mx(0, ".")}


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

    assert await DnsLookup().find_mx("x.fr") == ()
