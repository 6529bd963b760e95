"""What the national audit plays against an operator, in both directions, over real sockets.

Each faulty peer is refused with a code of its own, and the journal says so; what we have for such
a peer stays queued, and in the end its author is told. AUD-1 to AUD-7 are our numbers for the
audit domains `cert-valide-audit`, `cert-expire-audit`, `cert-revoque-audit`, `cert-non-igc-audit`,
`cert-cn-diff-dn-audit`, `cert-no-match-audit` and `sans-tls-audit` of the national trust list.
"""

import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crypto import tls
from crypto.issuing import CertificateProfile, Issued, Subject, create_authority
from mss.cli import home as homes
from mss.clock import SystemClock
from mss.store import audit
from tests.support.crashing import AheadClock
from tests.support.operators import (
    HOSPITAL,
    PRACTICES,
    AddressBook,
    Cast,
    Ground,
    Home,
    Running,
    Software,
    accepted_id,
    note,
    operating,
    send,
    until,
)
from tests.support.peer import Peer
from tests.support.wire import Wire, WireReply

FOR_EVER = timedelta(days=3)  # longer than a letter is tried
Show = Callable[[Ground, Cast], Issued]


def just_now(ground: Ground, subject: Subject, profile: CertificateProfile) -> Issued:
    at = SystemClock().now() - timedelta(minutes=1)
    return ground.authority.issue(profile, subject, at=at)


def listed(ground: Ground, cast: Cast) -> Issued:
    """What it ought to show."""
    return just_now(ground, cast.subject, CertificateProfile.SERVER)


def expired(ground: Ground, cast: Cast) -> Issued:
    """What it showed last year."""
    at = SystemClock().now() - timedelta(days=400)
    return ground.authority.issue(
        CertificateProfile.SERVER, cast.subject, at=at, valid_for=timedelta(days=365)
    )


def not_yet(ground: Ground, cast: Cast) -> Issued:
    """What it will show in a month."""
    at = SystemClock().now() + timedelta(days=30)
    return ground.authority.issue(CertificateProfile.SERVER, cast.subject, at=at)


def look_alike(ground: Ground, cast: Cast) -> Issued:
    """The right names, from an authority that calls itself like the right one."""
    del ground
    at = SystemClock().now() - timedelta(minutes=1)
    stranger = create_authority("ESSAI ELEMENTAIRE", at=at, key="p256")
    return stranger.issue(CertificateProfile.SERVER, cast.subject, at=at)


def other_host(ground: Ground, cast: Cast) -> Issued:
    """The right structure with another CN, which the list names nowhere."""
    subject = replace(cast.subject, common_name=f"new-{cast.host_name}")
    return just_now(ground, subject, CertificateProfile.SERVER)


def other_operator(ground: Ground, cast: Cast) -> Issued:
    """Listed, for the domain of the other operator."""
    other = PRACTICES if cast is HOSPITAL else HOSPITAL
    return just_now(ground, other.subject, CertificateProfile.SERVER)


def unlisted(ground: Ground, cast: Cast) -> Issued:
    """A good certificate that the list names nowhere, nor anything like it."""
    del cast
    subject = Subject(common_name="mx.inconnu.fr", organization="INCONNU", structure_id="19900009")
    return just_now(ground, subject, CertificateProfile.SERVER)


def for_signing(ground: Ground, cast: Cast) -> Issued:
    """The right names and authority, issued for letters."""
    return just_now(ground, cast.subject, CertificateProfile.SIGNATURE)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One faulty peer.

    Attributes:
        code: How it is refused; empty if it is not.
        reply: The SMTP reply that it gets; `None` if the handshake ends it.
        status: With this enhanced status.
        code_out: What is said of it when we send, if that is something else.
    """

    show: Show = listed
    code: str
    reply: int | None = 550
    status: str = "5.7.5"
    code_out: str = ""
    is_revoked: bool = False
    bends: Callable[[ssl.SSLContext], None] = field(default=lambda _: None)


def old_tls(context: ssl.SSLContext) -> None:
    """Speak TLS 1.1 at most."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1


def tls_1_2(context: ssl.SSLContext) -> None:
    """Speak TLS 1.2 at most, where the handshake goes another way."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2


CASES = {
    "AUD-2 expired": Case(show=expired, code="peer-expired"),
    "AUD-2 not yet valid": Case(show=not_yet, code="peer-expired"),
    "AUD-3 revoked": Case(code="peer-revoked", is_revoked=True),
    "AUD-4 foreign authority": Case(show=look_alike, code="peer-foreign-authority", reply=None),
    "AUD-4 foreign authority, TLS 1.2": Case(
        show=look_alike, code="peer-foreign-authority", reply=None, bends=tls_1_2
    ),
    "AUD-5 another CN": Case(show=other_host, code="peer-name-differs", status="5.7.1"),
    "AUD-6 listed for another domain": Case(
        show=other_operator, code="peer-not-listed", status="5.7.1"
    ),
    "AUD-6 listed nowhere": Case(show=unlisted, code="peer-not-listed", status="5.7.1"),
    "issued for another use": Case(show=for_signing, code="peer-wrong-use", reply=None),
    # A server of asyncio hangs up without the alert that would say why.
    "TLS 1.1": Case(code="tls-too-old", code_out="connection-lost", reply=None, bends=old_tls),
}
pytestmark = [
    pytest.mark.slow,
    # The point of one case; the library warns of what we have refused.
    pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning"),
]


def revoke(ground: Ground, issued: Issued, home: Home) -> None:
    """Let a home learn that a certificate is revoked; the shared authority stays as it is."""
    now = SystemClock().now()
    authority = replace(ground.authority)
    authority.revoke(issued.certificate, at=now - timedelta(minutes=1))
    homes.write_private(home.path / homes.CRLS / "issuing.crl", authority.crl(now))


async def refusals(running: Running) -> list[dict[str, Any]]:
    """Read from the journal which peers were turned away."""
    rows = await running.operator.database.read(lambda c: list(audit.iter_rows(c)))
    return [{"actor": one.actor, **one.facts} for one in rows if one.name == "peer-refused"]


# --- They send to us -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The practices, open, and a client that plays the hospital."""

    practices: Running
    context: ssl.SSLContext

    async def send(self, *, sender: str = HOSPITAL.mailbox, author: str = "") -> WireReply:
        """Send a letter to the GP; raises what breaks the connection."""
        raw = note(author or HOSPITAL.mailbox, PRACTICES.mailbox)
        async with await Wire.open(self.practices.ports["mx"]) as wire:
            await wire.starttls(self.context)
            return await send(wire, raw, PRACTICES.mailbox, sender=sender)


def showing(issued: Issued, ground: Ground, folder: Path) -> ssl.SSLContext:
    """A client that shows a certificate."""
    homes.install_pair(folder, "shown", issued)
    return tls.client_context(
        folder / "shown.crt", folder / "shown.key", anchors_pem=ground.anchors.read_text()
    )


@pytest.fixture
async def stage(
    practices_home: Home, ground: Ground, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Stage]:
    """The practices, and whoever connects in this case."""
    case: Case = request.param
    issued = case.show(ground, HOSPITAL)
    if case.is_revoked:
        revoke(ground, issued, practices_home)
    context = showing(issued, ground, tmp_path)
    case.bends(context)
    parts = frozenset({"mx"})
    async with operating(practices_home, parts=parts, book=AddressBook()) as practices:
        yield Stage(practices=practices, context=context)


VALID = Case(code="")


@pytest.mark.parametrize("stage", [VALID], indirect=True, ids=["AUD-1 valid"])
async def test_a_peer_in_order_is_let_in(stage: Stage) -> None:
    """What the refusals below are measured against; who it was stays in the journal."""
    reply = await stage.send()

    assert reply.code == 250
    assert (await stage.send(sender="")).code == 250
    rows = await stage.practices.operator.database.read(lambda c: list(audit.iter_rows(c)))
    (recognised,) = [one for one in rows if one.name == "peer-recognised"]
    assert HOSPITAL.structure_id in recognised.actor
    assert recognised.facts["issuer"] == "AC ESSAI ELEMENTAIRE ORGANISATIONS"
    assert recognised.facts["serial"]
    assert await refusals(stage.practices) == []


@pytest.mark.parametrize(
    ("stage", "case"),
    [(case, case) for case in CASES.values() if case.reply is not None],
    indirect=["stage"],
    ids=[name for name, case in CASES.items() if case.reply is not None],
)
async def test_a_faulty_peer_gets_a_reply_of_its_own(stage: Stage, case: Case) -> None:
    """Its administrator reads what to mend; ours reads who it was; no letter is kept."""
    reply = await stage.send()

    assert (reply.code, reply.status) == (case.reply, case.status)
    assert f"({case.code})" in reply.text
    (refusal,) = await refusals(stage.practices)
    assert refusal["code"] == case.code
    assert refusal["actor"].startswith("peer:CN=")
    assert (await stage.practices.count())["message"] == 0


@pytest.mark.parametrize(
    ("stage", "case"),
    [(case, case) for case in CASES.values() if case.reply is None],
    indirect=["stage"],
    ids=[name for name, case in CASES.items() if case.reply is None],
)
async def test_a_peer_that_fails_the_handshake_is_journalled(stage: Stage, case: Case) -> None:
    """No reply is possible then, so the journal has to tell why."""
    with pytest.raises((OSError, EOFError)):
        await stage.send()

    async def is_journalled() -> bool:
        return bool(await refusals(stage.practices))

    await until(is_journalled, "the refusal in the journal")
    (refusal,) = await refusals(stage.practices)
    assert (refusal["code"], refusal["host"]) == (case.code, "127.0.0.1")
    assert (await stage.practices.count())["message"] == 0


@pytest.mark.parametrize("stage", [VALID], indirect=True, ids=["AUD-7 without TLS"])
async def test_a_peer_without_tls_is_told_to_use_it(stage: Stage) -> None:
    """AUD-7: never in clear, whatever it wants to send."""
    async with await Wire.open(stage.practices.ports["mx"]) as wire:
        await wire.ask("EHLO mta.example.org")
        reply = await wire.ask(f"MAIL FROM:<{HOSPITAL.mailbox}>")

    assert (reply.code, reply.status) == (530, "5.7.0")
    (refusal,) = await refusals(stage.practices)
    assert refusal["code"] == "tls-required"


@pytest.mark.parametrize("stage", [VALID], indirect=True, ids=["valid"])
async def test_the_author_must_be_of_a_domain_of_the_peer_too(stage: Stage) -> None:
    """The envelope is not what people read."""
    reply = await stage.send(author=PRACTICES.other)

    assert (reply.code, "(peer-not-listed)" in reply.text) == (550, True)
    rows = await stage.practices.operator.database.read(lambda c: list(audit.iter_rows(c)))
    (refused,) = [one for one in rows if one.name == "message-refused"]
    assert (refused.facts["code"], refused.facts["reason"]) == ("peer-not-listed", "author-domain")


@pytest.mark.parametrize(
    "stage", [Case(show=unlisted, code="peer-not-listed")], indirect=True, ids=["unlisted"]
)
async def test_a_report_is_taken_from_listed_operators_only(stage: Stage) -> None:
    """The null sender has no domain to be listed for; the certificate must have one."""
    reply = await stage.send(sender="")

    assert (reply.code, "(peer-not-listed)" in reply.text) == (550, True)


# --- We send to them -------------------------------------------------------------------------


async def assert_kept_then_told(
    home: Home, peer: Peer, code: str, *, book: AddressBook, clock: AheadClock
) -> None:
    """The letter is put off for that reason, never handed over, and given up with a report."""
    async with (
        peer.listening(),
        operating(home, book=book, clock=clock) as hospital,
        Software(home, hospital.ports) as writer,
    ):
        book.ports[PRACTICES.domain] = peer.port
        raw = note(writer.mailbox, PRACTICES.mailbox)

        sent = accepted_id(await writer.submit(raw, PRACTICES.mailbox))
        await writer.await_station(sent, "deferred")
        clock.ahead += FOR_EVER
        await writer.await_station(sent, "failed")

        timeline = await writer.timeline(sent)
        assert {one["code"] for one in timeline if one["station"] == "deferred"} == {code}
        reports = await writer.await_inbox()
        assert {one["report"] for one in reports} == {"delivery"}
        assert peer.messages == []
        assert not any("MAIL" in command or "RCPT" in command for command in peer.commands)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_nothing_leaves_to_a_faulty_peer(
    hospital_home: Home, ground: Ground, tmp_path: Path, case: Case
) -> None:
    """Not even the names of sender and recipient; its author is told when the time is over."""
    issued = case.show(ground, PRACTICES)
    if case.is_revoked:
        revoke(ground, issued, hospital_home)
    homes.install_pair(tmp_path, "peer", issued)
    context = tls.server_context(tmp_path / "peer.crt", tmp_path / "peer.key")
    case.bends(context)

    await assert_kept_then_told(
        hospital_home,
        Peer(tls=context),
        case.code_out or case.code,
        book=AddressBook(),
        clock=AheadClock(),
    )


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        ({"offers_tls": False}, "starttls-missing"),
        ({"answers": {"STARTTLS": b"454 4.7.0 not now\r\n"}}, "starttls-refused"),
        ({"chatter": b"250 ok\r\n"}, "starttls-injection"),
    ],
    ids=["AUD-7 without TLS", "AUD-7 stripped", "injected"],
)
async def test_nothing_leaves_in_clear(
    hospital_home: Home, ground: Ground, behaviour: dict[str, Any], code: str
) -> None:
    """A host without TLS, or whoever takes TLS off on the way, sees no word of the letter."""
    keys = ground.homes[PRACTICES.domain].path / "keys"
    context = tls.server_context(keys / "tls.crt", keys / "tls.key")

    await assert_kept_then_told(
        hospital_home,
        Peer(tls=context, **behaviour),
        code,
        book=AddressBook(),
        clock=AheadClock(),
    )
