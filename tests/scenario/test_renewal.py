"""A certificate is renewed while the server runs: nobody notices, except those who look."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from crypto import tls
from crypto.certificates import Certificate
from crypto.issuing import CertificateProfile
from mss.cli import home as homes
from mss.clock import SystemClock
from mss.store import audit
from tests.support.operators import (
    PRACTICES,
    AddressBook,
    Ground,
    Home,
    Running,
    operating,
    until,
)
from tests.support.wire import Wire

pytestmark = pytest.mark.slow


@pytest.fixture
async def practices(practices_home: Home) -> AsyncIterator[Running]:
    """The practices, which look at their files all the time."""
    practices_home.configure({"tls": {"watch_seconds": 0.05}})
    parts = frozenset({"mx"})
    async with operating(practices_home, parts=parts, book=AddressBook()) as opened:
        yield opened


async def shown(running: Running, ground: Ground) -> Certificate:
    """Connect, and look at the certificate of the door."""
    context = tls.client_context(None, None, anchors_pem=ground.anchors.read_text())
    async with await Wire.open(running.ports["mx"]) as wire:
        await wire.starttls(context)
        return tls.peer_certificate(wire.writer.get_extra_info("ssl_object"))


async def journal(running: Running) -> list[str]:
    """Read what happened to the certificates of the doors."""
    rows = await running.operator.database.read(lambda c: [one.name for one in audit.iter_rows(c)])
    return [name for name in rows if name.startswith("tls-")]


async def test_a_renewed_certificate_is_shown_and_nobody_is_cut_off(
    practices: Running, ground: Ground
) -> None:
    """A connection under way keeps what it has; the next one sees the new certificate."""
    at = SystemClock().now() - timedelta(minutes=1)
    renewed = ground.authority.issue(CertificateProfile.SERVER, PRACTICES.subject, at=at)
    assert await shown(practices, ground) != renewed.certificate

    async with await Wire.open(practices.ports["mx"]) as wire:
        await wire.ask("EHLO x")
        homes.install_pair(practices.home.path, homes.TLS, renewed)

        async def is_shown() -> bool:
            return await shown(practices, ground) == renewed.certificate

        await until(is_shown, "the renewed certificate")
        assert (await wire.ask("NOOP")).code == 250

    async def is_told() -> bool:
        # A look between certificate and key finds a pair that does not fit, and says so too.
        return (await journal(practices))[-1:] == ["tls-reloaded"]

    await until(is_told, "the renewal in the journal")


@pytest.mark.parametrize("octets", [b"", b"damaged"])
async def test_a_certificate_that_cannot_be_used_changes_nothing_but_the_journal(
    practices: Running, ground: Ground, octets: bytes
) -> None:
    """Half a copy of a file must not close the door."""
    before = await shown(practices, ground)
    homes.write_private(practices.home.path / "keys" / "tls.crt", octets)

    async def is_told() -> bool:
        return bool(await journal(practices))

    await until(is_told, "the refusal in the journal")
    assert await journal(practices) == ["tls-refused"]
    assert await shown(practices, ground) == before
