"""What an operator may and may not do at our door, beyond what the national audit plays.

The faulty certificates are in `test_audit_cases.py`, in both directions.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from crypto import tls
from crypto.issuing import CertificateProfile, Issued
from mss.cli import home as homes
from mss.clock import SystemClock
from tests.support.operators import (
    HOSPITAL,
    PRACTICES,
    AddressBook,
    Ground,
    Home,
    Pair,
    Running,
    note,
    operating,
    send,
)
from tests.support.wire import Wire, WireReply


def ours(ground: Ground) -> Issued:
    """What the hospital ought to show: issued by the common authority, named in the trust list."""
    at = SystemClock().now() - timedelta(minutes=1)
    return ground.authority.issue(CertificateProfile.SERVER, HOSPITAL.subject, at=at)


@asynccontextmanager
async def connected(running: Running, context: ssl.SSLContext) -> AsyncIterator[Wire]:
    """Connect to the door for operators and do the handshake."""
    async with await Wire.open(running.ports["mx"]) as wire:
        await wire.starttls(context)
        yield wire


def showing(issued: Issued, ground: Ground, folder: Path) -> ssl.SSLContext:
    """A client that shows a certificate."""
    homes.install_pair(folder, "shown", issued)
    return tls.client_context(
        folder / "shown.crt", folder / "shown.key", anchors_pem=ground.anchors.read_text()
    )


@pytest.fixture
async def practices(practices_home: Home) -> AsyncIterator[Running]:
    """The practices, alone."""
    async with operating(practices_home, book=AddressBook()) as opened:
        yield opened


async def sent_to(wire: Wire) -> WireReply:
    """Send a letter of the hospital's to the GP."""
    raw = note(HOSPITAL.mailbox, PRACTICES.mailbox)
    return await send(wire, raw, PRACTICES.mailbox, sender=HOSPITAL.mailbox)


async def test_the_hospital_is_believed(practices: Running, ground: Ground, tmp_path: Path) -> None:
    """What the refusals below are measured against: with its own certificate it may send."""
    context = showing(ours(ground), ground, tmp_path)
    async with connected(practices, context) as wire:
        assert (await sent_to(wire)).code == 250


@pytest.mark.slow
async def test_an_operator_without_a_certificate_is_told_so(
    practices: Running, ground: Ground
) -> None:
    """Its administrator reads what is missing."""
    context = ssl.create_default_context(cafile=str(ground.anchors))
    async with connected(practices, context) as wire:
        reply = await sent_to(wire)

    assert (reply.code, "peer-certificate-missing" in reply.text) == (550, True)
    assert (await practices.count())["message"] == 0


@pytest.mark.slow
async def test_an_operator_may_not_write_as_one_of_us(
    practices: Running, ground: Ground, tmp_path: Path
) -> None:
    """Neither in the envelope nor in the header: our domain is ours."""
    async with connected(practices, showing(ours(ground), ground, tmp_path)) as wire:
        raw = note(PRACTICES.other, PRACTICES.mailbox)
        envelope = await send(wire, raw, PRACTICES.mailbox, sender=PRACTICES.other)
        header = await send(wire, raw, PRACTICES.mailbox, sender=HOSPITAL.mailbox)

    assert (envelope.code, header.code) == (550, 550)
    assert (await practices.count())["message"] == 0


@pytest.mark.slow
async def test_an_operator_cannot_relay_through_us(
    practices: Running, ground: Ground, tmp_path: Path
) -> None:
    """A letter for a third operator is that operator's affair."""
    async with connected(practices, showing(ours(ground), ground, tmp_path)) as wire:
        assert (await wire.ask(f"MAIL FROM:<{HOSPITAL.mailbox}>")).code == 250
        reply = await wire.ask(f"RCPT TO:<{HOSPITAL.red_list}>")

    assert reply.code == 550


@pytest.mark.slow
async def test_a_domain_outside_the_trust_list_is_refused_at_submission(pair: Pair) -> None:
    """A clear sentence while the author is still there, by both doors."""
    outside = "quelqu.un@example.org"
    before = await pair.hospital.count()

    reply = await pair.writer.submit(note(pair.writer.mailbox, outside), outside)
    response = await pair.writer.post(note(pair.writer.mailbox, outside))

    assert (reply.code, "domain-not-trusted" in reply.text) == (550, True)
    assert (response.status_code, response.json()["code"]) == (422, "domain-not-trusted")
    assert await pair.hospital.count() == before
