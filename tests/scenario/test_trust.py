"""Nobody outside the trust space sends to us, and nothing of ours leaves to them."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from crypto import tls
from crypto.issuing import CertificateProfile, Issued, create_authority
from mss.cli import home as homes
from mss.clock import SystemClock
from tests.support.crashing import AheadClock
from tests.support.operators import (
    HOSPITAL,
    PRACTICES,
    AddressBook,
    Ground,
    Home,
    Pair,
    Running,
    Software,
    accepted_id,
    both_operating,
    note,
    operating,
    send,
)
from tests.support.peer import Peer
from tests.support.wire import Wire, WireReply

STRANGER = replace(
    HOSPITAL, domain="inconnu.example.org", organization="INCONNU", structure_id="1990000009"
)
FOR_EVER = timedelta(days=3)  # longer than a letter is tried


def ours(ground: Ground) -> Issued:
    """What the hospital ought to show: issued by the common authority, named in the trust list."""
    at = SystemClock().now() - timedelta(minutes=1)
    return ground.authority.issue(CertificateProfile.SERVER, HOSPITAL.subject, at=at)


def unlisted(ground: Ground) -> Issued:
    """A good certificate that the trust list does not name."""
    at = SystemClock().now() - timedelta(minutes=1)
    return ground.authority.issue(CertificateProfile.SERVER, STRANGER.subject, at=at)


def listed_elsewhere(ground: Ground) -> Issued:
    """A good certificate, named in the trust list for another domain only."""
    at = SystemClock().now() - timedelta(minutes=1)
    return ground.authority.issue(CertificateProfile.SERVER, PRACTICES.subject, at=at)


def forged(ground: Ground) -> Issued:
    """The right names, from an authority that calls itself like the right one."""
    at = SystemClock().now() - timedelta(minutes=1)
    stranger = create_authority("ESSAI ELEMENTAIRE", at=at, key="p256")
    return stranger.issue(CertificateProfile.SERVER, HOSPITAL.subject, at=at)


def expired(ground: Ground) -> Issued:
    """What the hospital showed last year."""
    at = SystemClock().now() - timedelta(days=400)
    return ground.authority.issue(
        CertificateProfile.SERVER, HOSPITAL.subject, at=at, valid_for=timedelta(days=365)
    )


def for_signing(ground: Ground) -> Issued:
    """The right names and authority, issued for another use."""
    at = SystemClock().now() - timedelta(minutes=1)
    return ground.authority.issue(CertificateProfile.SIGNATURE, HOSPITAL.subject, at=at)


def revoke(ground: Ground, issued: Issued, home: Home) -> None:
    """Let a home learn that a certificate is revoked; the shared authority stays as it is."""
    now = SystemClock().now()
    authority = replace(ground.authority)
    authority.revoke(issued.certificate, at=now - timedelta(minutes=1))
    homes.write_private(home.path / homes.CRLS / "issuing.crl", authority.crl(now))


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
@pytest.mark.parametrize("show", [unlisted, listed_elsewhere])
async def test_an_operator_of_the_wrong_name_is_refused(
    practices: Running, ground: Ground, tmp_path: Path, show: Callable[[Ground], Issued]
) -> None:
    """A good certificate is not enough: the trust list must tie it to the sender's domain."""
    before = await practices.count()
    async with connected(practices, showing(show(ground), ground, tmp_path)) as wire:
        reply = await sent_to(wire)

    assert (reply.code, reply.status, "peer-not-trusted" in reply.text) == (550, "5.7.1", True)
    assert await practices.count() == before


@pytest.mark.slow
@pytest.mark.parametrize("show", [forged, expired, for_signing])
async def test_a_certificate_that_does_not_hold_ends_the_connection(
    practices: Running, ground: Ground, tmp_path: Path, show: Callable[[Ground], Issued]
) -> None:
    """Whoever cannot prove a name does not get as far as a command."""
    before = await practices.count()
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        async with connected(practices, showing(show(ground), ground, tmp_path)) as wire:
            await sent_to(wire)

    assert await practices.count() == before


@pytest.mark.slow
async def test_a_revoked_operator_is_refused(
    practices_home: Home, ground: Ground, tmp_path: Path
) -> None:
    """TLS lets it pass; the revocation list does not."""
    issued = ours(ground)
    revoke(ground, issued, practices_home)
    async with (
        operating(practices_home, book=AddressBook()) as practices,
        connected(practices, showing(issued, ground, tmp_path)) as wire,
    ):
        reply = await sent_to(wire)

        assert (reply.code, "peer-not-trusted" in reply.text) == (550, True)
        assert (await practices.count())["message"] == 0


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


@pytest.fixture
def clock() -> AheadClock:
    """The clock of the operators; the test may move it on."""
    return AheadClock()


@pytest.fixture
async def diverted_pair(
    hospital_home: Home,
    practices_home: Home,
    ground: Ground,
    clock: AheadClock,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Pair]:
    """Both operators; where the practices' host should be, another certificate is shown."""
    show: Callable[[Ground], Issued] = request.param
    issued = show(ground)
    homes.install_pair(practices_home.path, homes.TLS, issued)
    if show is listed_for_practices:
        revoke(ground, issued, hospital_home)
    async with both_operating(hospital_home, practices_home, clock=clock) as opened:
        yield opened


def listed_for_practices(ground: Ground) -> Issued:
    """What the practices ought to show; the test revokes it."""
    return listed_elsewhere(ground)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("diverted_pair", "code"),
    [
        (unlisted, "peer-not-trusted"),
        (ours, "peer-not-trusted"),  # the hospital's own: listed, for another domain
        (listed_for_practices, "peer-not-trusted"),
        (expired, "certificate-untrusted"),
        (forged, "certificate-untrusted"),
    ],
    indirect=["diverted_pair"],
    ids=["unlisted", "listed for another domain", "revoked", "expired", "forged"],
)
async def test_a_letter_is_not_given_to_a_host_that_cannot_be_believed(
    diverted_pair: Pair, clock: AheadClock, code: str
) -> None:
    """It stays with us, tried again, and in the end its author is told that it did not arrive."""
    writer = diverted_pair.writer
    raw = note(writer.mailbox, PRACTICES.mailbox)

    sent = accepted_id(await writer.submit(raw, PRACTICES.mailbox))
    await assert_never_delivered(writer, sent, code, clock)

    assert (await diverted_pair.practices.count())["message"] == 0


async def assert_never_delivered(writer: Software, sent: str, code: str, clock: AheadClock) -> None:
    """The letter was put off for that reason, then given up, and its author has a report."""
    await writer.await_station(sent, "deferred")
    assert (await writer.stations(sent))[-1] == "deferred"
    clock.ahead += FOR_EVER
    await writer.await_station(sent, "failed")
    timeline = await writer.timeline(sent)
    deferred = [one["code"] for one in timeline if one["station"] == "deferred"]
    assert set(deferred) == {code}
    assert (timeline[0]["station"], timeline[-1]["station"]) == ("accepted", "failed")
    (report,) = await writer.await_inbox()
    assert report["report"] == "delivery"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviour", "code"),
    [({"offers_tls": False}, "starttls-missing"), ({"drops_at": "greeting"}, "connection-lost")],
)
async def test_a_letter_never_leaves_in_clear(
    hospital_home: Home,
    ground: Ground,
    clock: AheadClock,
    behaviour: dict[str, object],
    code: str,
) -> None:
    """A host without TLS, or whoever takes TLS off on the way, sees no word of it."""
    home = ground.homes[PRACTICES.domain].path
    context = tls.server_context(home / "keys/tls.crt", home / "keys/tls.key")
    book = AddressBook()
    peer = Peer(tls=context, **behaviour)  # type: ignore[arg-type]  # one of its fields
    async with (
        peer.listening(),
        operating(hospital_home, book=book, clock=clock) as hospital,
        Software(hospital_home, hospital.ports) as writer,
    ):
        book.ports[PRACTICES.domain] = peer.port
        raw = note(writer.mailbox, PRACTICES.mailbox)

        sent = accepted_id(await writer.submit(raw, PRACTICES.mailbox))
        await assert_never_delivered(writer, sent, code, clock)

        assert peer.messages == []
        assert not any(PRACTICES.mailbox in command for command in peer.commands)


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
