"""The relay against remote operators that are polite, slow, broken or hostile."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from directory.address import MailAddress
from mss.errors import TrustListMissingError
from mss.model.delivery import Deferred, Delivery, DeliveryState, Outcome, Refused, Relayed
from mss.settings import RelaySettings
from mss.smtp.client import SmtpRelay
from mss.smtp.hosts import Host, HostsUnavailableError, NoHostError
from tests.support.peer import Peer
from tests.support.smtp_fakes import (
    DOCTOR,
    PEER_HOST,
    WARD,
    FakeTrust,
    SmtpPki,
    a_letter,
    create_pki,
    stuffed,
)

OUR_HOST = "mta.cabinets-demo.mssante.fr"
Scene = Callable[..., Awaitable[SmtpRelay]]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> SmtpPki:
    return create_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def peer(pki: SmtpPki) -> Peer:
    """A polite operator, not listening yet."""
    return Peer(tls=pki.server(pki.party(PEER_HOST)))


@pytest.fixture
async def scene(pki: SmtpPki) -> AsyncIterator[Scene]:
    """Build a relay that finds the given peers, in this order, for every domain."""
    async with AsyncExitStack() as stack:

        async def build(
            *peers: Peer, trust: FakeTrust | None = None, **seconds: float
        ) -> SmtpRelay:
            for one in peers:
                await stack.enter_async_context(one.listening())
            relay = SmtpRelay(
                settings=RelaySettings.model_validate(seconds),
                trust=trust or FakeTrust(),
                hosts=FixedHosts(ports=tuple(one.port for one in peers)),
                tls=lambda: pki.client(pki.party(OUR_HOST)),
                host_name=OUR_HOST,
            )
            stack.push_async_callback(relay.aclose)
            return relay

        yield build


@dataclass(frozen=True)
class FixedHosts:
    """Finds what it was told, or raises it."""

    ports: tuple[int, ...] = ()
    error: Exception | None = None

    async def find(self, domain: str) -> tuple[Host, ...]:
        if self.error is not None:
            raise self.error
        return tuple(Host(name="127.0.0.1", port=port) for port in self.ports)


@dataclass(frozen=True)
class GivenHosts:
    """Finds these hosts for every domain."""

    hosts: tuple[Host, ...]

    async def find(self, domain: str) -> tuple[Host, ...]:
        return self.hosts


def a_delivery(
    *,
    recipient: str = WARD,
    sender: str | None = DOCTOR,
    notify: frozenset[str] = frozenset({"FAILURE"}),
    original_recipient: str | None = None,
) -> Delivery:
    """Write a delivery that is due."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Delivery(
        id="d1",
        message_id="m1",
        recipient=recipient,
        domain=recipient.partition("@")[2],
        state=DeliveryState.QUEUED,
        attempts=1,
        queued_at=at,
        next_attempt_at=at,
        expires_at=at + timedelta(days=2),
        blob_ref="b1",
        sender=sender,
        envelope_id="m1=d1",
        notify=notify,
        original_recipient=original_recipient,
        last_code=None,
        last_detail=None,
    )


async def one_outcome(relay: SmtpRelay, delivery: Delivery, raw: bytes) -> Outcome:
    """Hand a letter over for one recipient."""
    (outcome,) = await relay.relay([delivery], raw)
    return outcome


async def test_a_letter_arrives_octet_for_octet(peer: Peer, scene: Scene) -> None:
    """Dots are stuffed once, and nothing else is touched."""
    relay = await scene(peer)
    raw = a_letter(lines=(b".", b"..", b"text", b"."))

    outcome = await one_outcome(relay, a_delivery(), raw)

    assert isinstance(outcome, Relayed)
    assert (outcome.reports, outcome.host) == (True, f"127.0.0.1:{peer.port}")
    assert "p1 accepted" in outcome.reply
    assert peer.messages == [stuffed(raw)]


async def test_nothing_but_ehlo_and_starttls_is_said_in_clear(peer: Peer, scene: Scene) -> None:
    """An envelope is personal data too."""
    relay = await scene(peer)

    await one_outcome(relay, a_delivery(), a_letter())

    in_clear = [one for one in peer.commands if not one.startswith("*")]
    assert in_clear == [f"EHLO {OUR_HOST}", "STARTTLS"]


async def test_delivery_wishes_travel_when_the_host_knows_them(peer: Peer, scene: Scene) -> None:
    """RFC 3461: the next operator reports in our place, under our identifiers."""
    relay = await scene(peer)
    wishes = frozenset({"SUCCESS", "FAILURE"})
    delivery = a_delivery(notify=wishes, original_recipient="rfc822;a+b=c@example.org")

    await one_outcome(relay, delivery, a_letter())

    size = len(a_letter())
    assert f"*MAIL FROM:<{DOCTOR}> SIZE={size} RET=HDRS ENVID=m1+3Dd1" in peer.commands
    assert (
        f"*RCPT TO:<{WARD}> NOTIFY=FAILURE,SUCCESS ORCPT=rfc822;a+2Bb+3Dc@example.org"
        in peer.commands
    )


async def test_no_extension_is_used_that_was_not_announced(peer: Peer, scene: Scene) -> None:
    """A host of 1982 is spoken to in the words of 1982, inside TLS."""
    peer.extensions = ()
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(sender=None), a_letter())

    assert isinstance(outcome, Relayed)
    assert not outcome.reports
    assert peer.commands[-3:] == ["*MAIL FROM:<>", f"*RCPT TO:<{WARD}>", "*DATA"]


async def test_announcements_made_in_clear_are_forgotten(peer: Peer, scene: Scene) -> None:
    """Whoever sits on the line can write the first EHLO's answer (RFC 3207, 4.2)."""
    peer.answers["EHLO"] = b"250-peer\r\n250-SIZE 1\r\n250-DSN\r\n250 STARTTLS\r\n"
    peer.extensions = ()
    relay = await scene(peer)

    assert isinstance(await one_outcome(relay, a_delivery(), a_letter()), Relayed)
    assert f"*MAIL FROM:<{DOCTOR}>" in peer.commands


async def test_an_idle_session_is_used_again(peer: Peer, scene: Scene) -> None:
    """A handshake costs both sides more than a letter."""
    relay = await scene(peer)

    first = await one_outcome(relay, a_delivery(), a_letter())
    second = await one_outcome(relay, a_delivery(), a_letter())

    assert (type(first), type(second)) == (Relayed, Relayed)
    assert (peer.connections, len(peer.messages)) == (1, 2)


async def test_a_session_that_went_stale_is_replaced(peer: Peer, scene: Scene) -> None:
    """The other side may close an idle session whenever it likes."""
    peer.drops_at = "RSET"
    relay = await scene(peer)

    await one_outcome(relay, a_delivery(), a_letter())
    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Relayed)
    assert (peer.connections, len(peer.messages)) == (2, 2)


async def test_a_session_is_judged_again_for_another_domain(peer: Peer, scene: Scene) -> None:
    """One host may serve several domains, and not be listed for all that ask for it."""
    trust = FakeTrust()
    relay = await scene(peer, trust=trust)

    await one_outcome(relay, a_delivery(), a_letter())
    outcome = await one_outcome(relay, a_delivery(recipient="x@other.mssante.fr"), a_letter())

    assert isinstance(outcome, Deferred)
    assert outcome.code == "peer-not-trusted"
    assert len(peer.messages) == 1


async def test_the_next_host_is_tried_when_one_cannot_be_reached(
    peer: Peer, pki: SmtpPki, scene: Scene
) -> None:
    """RFC 5321, 5.1: two addresses at least."""
    broken = Peer(tls=peer.tls, drops_at="greeting")
    leaving = Peer(tls=peer.tls, answers={"greeting": b"421 4.3.2 leaving\r\n"})
    relay = await scene(broken, leaving, peer)

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Relayed)
    assert outcome.host == f"127.0.0.1:{peer.port}"
    assert (broken.connections, leaving.connections) == (1, 1)


async def test_a_host_that_listens_nowhere_is_a_deferral(scene: Scene) -> None:
    """Networks come back."""
    relay = await scene()
    unused = SmtpRelay(
        settings=relay.settings,
        trust=relay.trust,
        hosts=FixedHosts(ports=(1,)),
        tls=relay.tls,
        host_name=OUR_HOST,
    )

    outcome = await one_outcome(unused, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert outcome.code == "host-unreachable"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NoHostError(domain="x", status="5.1.10"), Refused),
        (HostsUnavailableError(domain="x", reason="Timeout"), Deferred),
    ],
)
async def test_what_the_name_service_says_decides(
    error: Exception, expected: type, pki: SmtpPki, scene: Scene
) -> None:
    """A domain without mail is for ever; a silent name service is not."""
    relay = await scene()
    lost = SmtpRelay(
        settings=relay.settings,
        trust=relay.trust,
        hosts=FixedHosts(error=error),
        tls=relay.tls,
        host_name=OUR_HOST,
    )

    assert isinstance(await one_outcome(lost, a_delivery(), a_letter()), expected)


async def test_a_host_without_starttls_gets_no_letter(peer: Peer, scene: Scene) -> None:
    """Somebody on the line may have stripped it (CVE-2016-0772): later, never in clear."""
    peer.offers_tls = False
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert outcome.code == "starttls-missing"
    assert [one[:4] for one in peer.commands] == ["EHLO"]


async def test_a_refused_starttls_gets_no_letter(peer: Peer, scene: Scene) -> None:
    """454 is no permission to go on in clear."""
    peer.answers["STARTTLS"] = b"454 4.7.0 not now\r\n"
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert outcome.code == "starttls-refused"
    assert [one[:4] for one in peer.commands] == ["EHLO", "STAR"]


@pytest.mark.parametrize(
    "chatter", [b"250 injected\r\n", b"2", b"250-peer\r\n250 SIZE 10\r\n250 ok\r\n"]
)
async def test_replies_injected_after_starttls_end_the_session(
    peer: Peer, scene: Scene, chatter: bytes
) -> None:
    """They were written in clear, to be believed inside TLS (CVE-2011-0411 the other way)."""
    peer.chatter = chatter
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert outcome.code == "starttls-injection"
    assert peer.messages == []


async def test_a_server_of_another_authority_gets_no_letter(tmp_path: Path, scene: Scene) -> None:
    """The audit domain cert-non-igc."""
    stranger = create_pki(tmp_path)
    peer = Peer(tls=stranger.server(stranger.party(PEER_HOST), ask=False))
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert outcome.code == "peer-foreign-authority"
    assert peer.messages == []


async def test_an_expired_server_gets_no_letter(pki: SmtpPki, scene: Scene) -> None:
    """The audit domain cert-expire."""
    expired = pki.party("expired.mssante.fr", valid_for=timedelta(hours=1))
    peer = Peer(tls=pki.server(expired, ask=False))
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert outcome.code == "peer-expired"
    assert "expired" in outcome.detail
    assert not any("MAIL" in command for command in peer.commands)


async def test_a_server_not_listed_for_the_domain_gets_no_letter(
    pki: SmtpPki, scene: Scene
) -> None:
    """The audit domain cert-no-match: a valid certificate of somebody else."""
    peer = Peer(tls=pki.server(pki.party("mta.other.mssante.fr")))
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert outcome.code == "peer-not-trusted"
    assert [one for one in peer.commands if "MAIL" in one] == []


async def test_without_a_trust_list_nothing_leaves(peer: Peer, scene: Scene) -> None:
    """Nobody can be told from a stranger."""
    relay = await scene(peer, trust=FakeTrust(error=TrustListMissingError()))

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert outcome.code == "trust-list-missing"


async def test_a_host_that_dislikes_our_certificate_is_a_deferral(
    tmp_path: Path, pki: SmtpPki, scene: Scene
) -> None:
    """With TLS 1.3 it says so after the handshake, in the middle of our EHLO."""
    stranger = create_pki(tmp_path)
    context = stranger.server(pki.party(PEER_HOST))
    relay = await scene(Peer(tls=context))

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert outcome.code in {"tls-failed", "connection-lost"}


@pytest.mark.parametrize("place", ["MAIL", "RCPT", "DATA", "message"])
@pytest.mark.parametrize(
    ("reply", "expected", "code"),
    [
        (b"451 4.7.1 later\r\n", Deferred, "peer-deferred"),
        (b"550-5.1.1 no\r\n550 5.1.1 such mailbox\r\n", Refused, "peer-refused"),
    ],
)
async def test_a_negative_reply_is_temporary_or_final_wherever_it_comes(
    peer: Peer, scene: Scene, place: str, reply: bytes, expected: type, code: str
) -> None:
    """RFC 5321, 4.2.1: the first digit decides."""
    peer.answers[place] = reply
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, expected)
    assert isinstance(outcome, Deferred | Refused)
    assert outcome.code == code
    assert reply[:3].decode() in outcome.detail
    assert outcome.status == ("4.7.1" if expected is Deferred else "5.1.1")


async def test_a_refused_recipient_leaves_the_session_usable(peer: Peer, scene: Scene) -> None:
    """RSET puts it back to the beginning; the next letter must not inherit a transaction."""
    peer.answers["RCPT"] = b"550 5.1.1 no\r\n"
    relay = await scene(peer)
    await one_outcome(relay, a_delivery(), a_letter())
    peer.answers.clear()

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Relayed)
    assert peer.connections == 1
    assert peer.commands.count("*RSET") == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"hello\r\n",
        b"2500 ok\r\n",
        b"\r\n",
        b"250" + b"x" * 10_000 + b"\r\n",
        b"250-again\r\n" * 200 + b"250 end\r\n",
        b"\x00\xff\r\n",
    ],
)
async def test_what_is_not_a_reply_is_a_deferral(peer: Peer, scene: Scene, garbage: bytes) -> None:
    """Whatever a peer says, the worker sees an outcome, in bounded memory."""
    peer.answers["EHLO-TLS"] = garbage
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert outcome.code == "peer-protocol"


async def test_a_reply_of_control_characters_is_kept_as_plain_text(
    peer: Peer, scene: Scene
) -> None:
    """The reply is shown to a person in a terminal or a browser."""
    peer.answers["RCPT"] = b"550 5.1.1 \x1b[31m\xc3\xa9 no\r\n"
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Refused)
    assert outcome.detail.isascii()
    assert outcome.detail.isprintable()


def some_deliveries(*recipients: str) -> list[Delivery]:
    """Write deliveries of one message to several recipients."""
    return [replace(a_delivery(recipient=one), id=one) for one in recipients]


TEAM = [f"{name}@ch-demo.mssante.fr" for name in ("a", "b", "c")]


async def test_recipients_of_one_place_share_a_transaction(peer: Peer, scene: Scene) -> None:
    """The octets cross the network once."""
    relay = await scene(peer)

    outcomes = await relay.relay(some_deliveries(*TEAM), a_letter())

    assert [type(one) for one in outcomes] == [Relayed] * 3
    assert len(peer.messages) == 1
    assert len([one for one in peer.commands if "RCPT" in one]) == 3


async def test_each_recipient_has_an_outcome_of_its_own(peer: Peer, scene: Scene) -> None:
    """One is unknown, one must wait, and the third gets the letter."""
    peer.recipients = [b"550 5.1.1 no\r\n", b"450 4.2.1 later\r\n", b"250 2.1.5 ok\r\n"]
    relay = await scene(peer)

    refused, deferred, relayed = await relay.relay(some_deliveries(*TEAM), a_letter())

    assert isinstance(refused, Refused)
    assert isinstance(deferred, Deferred)
    assert isinstance(relayed, Relayed)
    assert (refused.status, deferred.status, deferred.is_general) == ("5.1.1", "4.2.1", False)
    assert len(peer.messages) == 1


@pytest.mark.parametrize("reply", [b"452 4.5.3 too many\r\n", b"452 full\r\n", b"552 many\r\n"])
async def test_recipients_that_were_too_many_go_next(
    peer: Peer, scene: Scene, reply: bytes
) -> None:
    """RFC 5321, 4.5.3.1.10: in further transactions of the same session, not in an hour."""
    peer.recipients = [b"250 ok\r\n", reply, reply, b"250 ok\r\n", reply, b"250 ok\r\n"]
    relay = await scene(peer)

    outcomes = await relay.relay(some_deliveries(*TEAM), a_letter())

    assert [type(one) for one in outcomes] == [Relayed] * 3
    assert (peer.connections, len(peer.messages)) == (1, 3)


async def test_a_host_that_takes_nobody_is_not_asked_for_ever(peer: Peer, scene: Scene) -> None:
    """Too many, says a host of one recipient: that is a deferral."""
    peer.answers["RCPT"] = b"452 4.5.3 too many\r\n"
    relay = await scene(peer)

    outcomes = await relay.relay(some_deliveries(*TEAM), a_letter())

    assert [type(one) for one in outcomes] == [Deferred] * 3
    assert len([one for one in peer.commands if "MAIL" in one]) == 1


@pytest.mark.parametrize(("place", "code"), [("354", "connection-lost"), ("message", "reply-lost")])
async def test_who_was_refused_stays_refused_when_the_rest_breaks(
    peer: Peer, scene: Scene, place: str, code: str
) -> None:
    """What the host has said of a recipient does not depend on the others."""
    peer.recipients = [b"550 5.1.1 no\r\n", b"250 2.1.5 ok\r\n"]
    peer.drops_at = place
    relay = await scene(peer)
    raw = a_letter(lines=[b"x" * 76] * 100_000)

    refused, deferred = await relay.relay(some_deliveries(*TEAM[:2]), raw)

    assert isinstance(refused, Refused)
    assert isinstance(deferred, Deferred)
    assert deferred.code in {code, "tls-failed"}
    assert not deferred.is_general


@pytest.mark.parametrize("place", ["greeting", "EHLO", "STARTTLS", "EHLO-TLS", "MAIL", "RCPT"])
async def test_a_host_that_leaves_is_no_fault_of_the_letter(
    peer: Peer, scene: Scene, place: str
) -> None:
    """421: nothing else would get through either, so the destination is closed."""
    peer.answers[place] = b"421 4.3.2 leaving\r\n"
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert outcome.is_general


async def test_a_letter_that_a_host_cannot_bear_closes_nothing(peer: Peer, scene: Scene) -> None:
    """It cuts the line in the middle of this letter; the next one may pass."""
    peer.drops_at = "MAIL"
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert not outcome.is_general


async def test_a_domain_that_left_the_trust_list_gets_nothing(peer: Peer, scene: Scene) -> None:
    """Between acceptance and attempt the list may change; nobody is even looked up."""
    relay = await scene(peer, trust=FakeTrust(delisted=frozenset({"ch-demo.mssante.fr"})))

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert (outcome.code, outcome.is_general) == ("domain-not-trusted", True)
    assert peer.connections == 0


async def test_a_dead_host_is_tried_once_for_all_its_domains(peer: Peer, scene: Scene) -> None:
    """Eight hundred domains may share it; the one that found out asks again by its schedule."""
    peer.answers["greeting"] = b"421 4.3.2 down\r\n"
    relay = await scene(peer)

    await one_outcome(relay, a_delivery(), a_letter())
    told = await one_outcome(relay, a_delivery(recipient="x@other.mssante.fr"), a_letter())
    connections = peer.connections
    await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(told, Deferred)
    assert (told.code, told.is_general) == ("host-unavailable", True)
    assert (connections, peer.connections) == (1, 2)


async def test_a_foreign_zone_cannot_send_us_into_our_own_network(peer: Peer, scene: Scene) -> None:
    """Its MX names a loopback address: nothing is connected to."""
    relay = await scene(peer)
    inward = Host(name="127.0.0.1", port=peer.port, is_public=True)
    misled = replace(relay, hosts=GivenHosts((inward,)))

    outcome = await one_outcome(misled, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert outcome.code == "host-not-public"
    assert peer.connections == 0


PLACES = ["greeting", "EHLO", "STARTTLS", "EHLO-TLS", "MAIL", "RCPT", "DATA", "354"]


@pytest.mark.parametrize("place", PLACES)
async def test_a_connection_lost_before_the_end_of_the_message_is_a_deferral(
    peer: Peer, scene: Scene, place: str
) -> None:
    """Nobody has taken responsibility."""
    peer.drops_at = place
    relay = await scene(peer)
    raw = a_letter(lines=[b"x" * 76] * 100_000)

    outcome = await one_outcome(relay, a_delivery(), raw)

    assert isinstance(outcome, Deferred)
    assert outcome.code in {"connection-lost", "tls-failed"}


async def test_a_reply_lost_after_the_message_says_so(peer: Peer, scene: Scene) -> None:
    """The other side may have the letter; the retry sends the same octets."""
    peer.drops_at = "message"
    other = Peer(tls=peer.tls)
    relay = await scene(peer, other)

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert outcome.code == "reply-lost"
    assert (len(peer.messages), other.connections) == (1, 0)


@pytest.mark.parametrize("place", ["greeting", "EHLO", "EHLO-TLS", "MAIL", "DATA"])
async def test_a_silent_host_costs_a_bounded_time(peer: Peer, scene: Scene, place: str) -> None:
    """A worker's slot must come back."""
    peer.sleeps_at = place
    relay = await scene(peer, command_seconds=0.1)

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert outcome.code == "peer-timeout"


async def test_a_host_silent_after_the_message_is_a_lost_reply(peer: Peer, scene: Scene) -> None:
    """The longest wait has an end, and what happened is then unknown."""
    peer.sleeps_at = "message"
    relay = await scene(peer, data_seconds=0.1)

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Deferred)
    assert outcome.code == "reply-lost"


@pytest.mark.slow
async def test_a_host_that_refuses_in_the_middle_of_the_message_is_heard(
    peer: Peer, scene: Scene
) -> None:
    """It said why before it closed; a retry for two days would tell the sender nothing."""
    peer.extensions = ()
    peer.answers["354"] = b"552 5.3.4 too large\r\n"
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(), a_letter(lines=[b"x" * 76] * 200_000))

    assert isinstance(outcome, Refused)
    assert outcome.status == "5.3.4"


async def test_a_message_over_the_announced_size_is_not_even_offered(
    peer: Peer, scene: Scene
) -> None:
    """RFC 1870, 6.3: the sender learns it at once."""
    peer.extensions = ("SIZE 100",)
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(), a_letter(lines=[b"x" * 76] * 10))

    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.status) == ("message-too-large", "5.3.4")
    assert [one for one in peer.commands if "MAIL" in one] == []


async def test_eight_bit_octets_need_8bitmime(peer: Peer, scene: Scene) -> None:
    """Cutting the eighth bit off would break signatures."""
    peer.extensions = ()
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(), a_letter(lines=["é".encode()]))

    assert isinstance(outcome, Refused)
    assert outcome.code == "eight-bit-unsupported"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"A: b\r\n\r\nx\n.\nMAIL FROM:<a@b.fr>\r\n", "bare-newline"),
        (b"A: b\r\n\r\nx\r.\r\n", "bare-newline"),
        (b"A: b\r\n\r\nx\r\n.\n", "bare-newline"),
        (b"A: b\r\n\r\nx\0\r\n", "nul-octet"),
        (b"A: b\r\n\r\n" + b"x" * 999 + b"\r\n", "line-too-long"),
        (b"x" * 300_000, "line-too-long"),
    ],
)
async def test_a_message_that_a_lax_host_would_split_never_leaves(
    peer: Peer, scene: Scene, raw: bytes, code: str
) -> None:
    """SMTP smuggling, outgoing side: the end of the message is not sent, so there is none."""
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(), raw)

    assert isinstance(outcome, Refused)
    assert outcome.code == code
    assert peer.messages == []


async def test_a_message_without_a_final_line_end_gets_one(peer: Peer, scene: Scene) -> None:
    """SMTP cannot end a message in the middle of a line."""
    relay = await scene(peer)

    outcome = await one_outcome(relay, a_delivery(), b"A: b\r\n\r\nend")

    assert isinstance(outcome, Relayed)
    assert peer.messages == [b"A: b\r\n\r\nend\r\n.\r\n"]


async def test_a_cancelled_attempt_leaves_no_connection_behind(peer: Peer, scene: Scene) -> None:
    """Shutdown cancels workers; a session in an unknown state must not be used again."""
    peer.sleeps_at = "message"
    relay = await scene(peer)
    attempt = asyncio.ensure_future(one_outcome(relay, a_delivery(), a_letter()))
    await peer.arrived.wait()

    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    peer.sleeps_at = None

    assert isinstance(await one_outcome(relay, a_delivery(), a_letter()), Relayed)
    assert peer.connections == 2


BOX = MailAddress.parse(WARD)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (b"250 2.1.5 ok\r\n", True),
        (b"550 5.1.1 no such mailbox\r\n", False),
        (b"550 5.1.10 null mx\r\n", False),
        (b"550 5.7.1 not you\r\n", None),
        (b"550 no\r\n", None),
        (b"451 4.3.0 later\r\n", None),
        (b"nonsense\r\n", None),
    ],
)
async def test_an_operator_is_asked_about_a_mailbox(
    peer: Peer, scene: Scene, reply: bytes, *, answer: bool | None
) -> None:
    """Only a reply that speaks of the address itself says that there is none."""
    peer.answers["RCPT"] = reply
    relay = await scene(peer)

    assert await relay.has_mailbox(BOX) is answer
    assert [one[:6] for one in peer.commands[3:5]] == ["*MAIL ", "*RCPT "]
    assert "*DATA" not in peer.commands


@pytest.mark.parametrize("place", ["greeting", "MAIL", "RCPT"])
async def test_an_operator_that_hangs_up_on_a_question_has_not_answered(
    peer: Peer, scene: Scene, place: str
) -> None:
    """The letter is queued instead."""
    peer.drops_at = place
    relay = await scene(peer)

    assert await relay.has_mailbox(BOX) is None


async def test_a_question_waits_a_short_time_only(peer: Peer, scene: Scene) -> None:
    """A person is waiting for the answer."""
    peer.sleeps_at = "RCPT"
    relay = replace(await scene(peer), probe_seconds=0.1)

    assert await relay.has_mailbox(BOX) is None


async def test_a_stranger_is_not_asked(pki: SmtpPki, scene: Scene) -> None:
    """Whose mailboxes we look for is nobody else's business."""
    peer = Peer(tls=pki.server(pki.party("mta.other.mssante.fr")))
    relay = await scene(peer)

    assert await relay.has_mailbox(BOX) is None
    assert [one for one in peer.commands if "RCPT" in one] == []


async def test_a_question_and_a_letter_share_a_session_and_nothing_else(
    peer: Peer, scene: Scene
) -> None:
    """RSET stands between them, and neither inherits the other's deadline."""
    relay = await scene(peer)

    assert isinstance(await one_outcome(relay, a_delivery(), a_letter()), Relayed)
    for waiting in relay._pool._idle.values():
        waiting[0].session.deadline = 0.0
    assert await relay.has_mailbox(BOX) is True
    for waiting in relay._pool._idle.values():
        waiting[0].session.deadline = 0.0
    assert isinstance(await one_outcome(relay, a_delivery(), a_letter()), Relayed)

    assert (peer.connections, peer.commands.count("*RSET")) == (1, 2)


async def test_a_session_in_which_the_host_spoke_unasked_is_left(peer: Peer, scene: Scene) -> None:
    """Its words would be taken for the reply to the next letter."""
    peer.answers["message"] = b"250 2.0.0 ok\r\n250 2.0.0 and all others\r\n"
    relay = await scene(peer)
    await one_outcome(relay, a_delivery(), a_letter())
    peer.answers["message"] = b"550 5.7.1 no\r\n"

    outcome = await one_outcome(relay, a_delivery(), a_letter())

    assert isinstance(outcome, Refused)
    assert peer.connections == 2
