import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mss.antivirus import ClamdScanner, build_scanner
from mss.errors import ScannerUnavailableError, SettingsError
from mss.settings import AntivirusSettings
from tests.support.clamd import EICAR, NAME, Clamd, running_clamd


@pytest.fixture(params=["tcp", "unix"])
async def clamd(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Clamd]:
    """A daemon at either kind of address."""
    async with running_clamd(str(tmp_path / "s") if request.param == "unix" else "") as running:
        yield running


def scanner(clamd: Clamd, *, timeout_seconds: float = 5) -> ClamdScanner:
    """Make the scanner of an operator."""
    settings = AntivirusSettings(address=clamd.address, timeout_seconds=timeout_seconds)
    made = build_scanner(settings)
    assert made is not None
    return made


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 1_000_000])
async def test_the_daemon_gets_every_octet(clamd: Clamd, size: int) -> None:
    """Whatever the number of chunks."""
    octets = bytes(number % 251 for number in range(size))

    assert await scanner(clamd).scan(octets) is None
    assert clamd.scanned == [octets]


async def test_a_virus_is_named(clamd: Clamd) -> None:
    """At the end of a large message too."""
    assert await scanner(clamd).scan(b"x" * 200_000 + EICAR.encode()) == NAME


@pytest.mark.parametrize("fault", ["hang", "garbage", "endless", "cut"])
async def test_no_verdict_is_no_all_clear(clamd: Clamd, fault: str) -> None:
    """Whatever the daemon does, in bounded time."""
    clamd.fault = fault

    with pytest.raises(ScannerUnavailableError):
        await scanner(clamd, timeout_seconds=0.2).scan(b"x" * 100_000)


async def test_a_limit_of_the_daemon_is_no_all_clear(clamd: Clamd) -> None:
    """Its limit is lower than ours: it answers before the end and hangs up."""
    clamd.limit = 1000

    with pytest.raises(ScannerUnavailableError):
        await scanner(clamd).scan(b"x" * 5_000_000)


async def test_many_messages_are_scanned_side_by_side(clamd: Clamd) -> None:
    """One connection each: a slow one holds up nobody."""
    scans = [scanner(clamd).scan(EICAR.encode() * (number % 2)) for number in range(6)]

    assert await asyncio.gather(*scans) == [None, NAME] * 3


async def test_nobody_there_is_no_all_clear() -> None:
    """The daemon is being updated."""
    silent = ClamdScanner(settings=AntivirusSettings(address="127.0.0.1:1"))

    with pytest.raises(ScannerUnavailableError):
        await silent.scan(b"x")


@pytest.mark.parametrize("address", ["clamd", "host:", ":3310", "host:port", "unix:", "host:99999"])
def test_an_address_that_is_none_stops_the_start(address: str) -> None:
    """Better than mail that waits for a scanner that can never be."""
    with pytest.raises(SettingsError):
        build_scanner(AntivirusSettings(address=address))


def test_without_an_address_nothing_is_scanned() -> None:
    """The default."""
    assert build_scanner(AntivirusSettings()) is None
