"""The two kinds of SMTP door over real sockets and TLS: what is allowed, in which words."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mss.errors import (
    MessageRefusedError,
    MSSError,
    PeerNotTrustedError,
    ProtectionImpossibleError,
    SettingsError,
    StoreFullError,
    TrustListMissingError,
)
from mss.model.envelope import Notify
from mss.model.message import Origin
from mss.model.principal import AccountPrincipal, PeerPrincipal
from mss.pipeline.submission import LocalRoute, RelayRoute
from mss.smtp.server import SmtpDoors, open_smtp_doors
from tests.support.smtp_fakes import (
    COLLEAGUE,
    DOCTOR,
    OUR_DOMAIN,
    PASSWORD,
    PEER_HOST,
    TOKEN,
    WARD,
    FakeServices,
    SmtpPki,
    a_letter,
    create_pki,
    door_settings,
    stuffed,
    write_party,
)
from tests.support.wire import Wire


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> SmtpPki:
    return create_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def services(tmp_path: Path, pki: SmtpPki) -> FakeServices:
    return FakeServices(settings=door_settings(tmp_path, pki, message_octets=10_000, recipients=3))


@pytest.fixture
async def doors(services: FakeServices) -> AsyncIterator[SmtpDoors]:
    async with open_smtp_doors(services, grace_seconds=1) as opened:
        yield opened


@pytest.fixture
async def peer(doors: SmtpDoors, pki: SmtpPki) -> AsyncIterator[Wire]:
    """An operator that has shown its certificate."""
    async with await Wire.open(doors.ports["mx"]) as wire:
        await wire.starttls(pki.client(pki.party(PEER_HOST)))
        yield wire


@pytest.fixture
async def guest(doors: SmtpDoors, pki: SmtpPki) -> AsyncIterator[Wire]:
    """A user inside TLS who has not logged in."""
    async with await Wire.open(doors.ports["submission"]) as wire:
        await wire.starttls(pki.client())
        yield wire


@pytest.fixture
async def user(guest: Wire) -> Wire:
    """A user who has logged in."""
    assert (await guest.ask(f"AUTH PLAIN {RIGHT}")).code == 235
    return guest


def sasl(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


RIGHT = sasl(f"\0anne\0{PASSWORD}")
RIGHT_FOR_SELF = sasl(f"anne\0anne\0{PASSWORD}")
FOR_ANOTHER = sasl(f"somebody\0anne\0{PASSWORD}")
WRONG = sasl("\0anne\0x")
XOAUTH2 = sasl(f"user={DOCTOR}\x01auth=Bearer {TOKEN}\x01\x01")
OAUTHBEARER = sasl(f"n,a={DOCTOR},\x01auth=Bearer {TOKEN}\x01\x01")


async def begin_mail(wire: Wire, *, sender: str = WARD, recipient: str = DOCTOR) -> None:
    """Go as far as the 354."""
    assert (await wire.ask(f"MAIL FROM:<{sender}>")).code == 250
    assert (await wire.ask(f"RCPT TO:<{recipient}>")).code == 250
    assert (await wire.ask("DATA")).code == 354


async def test_replies_to_commands_that_came_together_travel_together(
    user: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 2920, 3.2: a packet for each reply costs both sides more than the commands do."""
    written: list[bytes] = []
    write = asyncio.StreamWriter.write

    def watched(writer: asyncio.StreamWriter, octets: bytes) -> None:
        written.append(octets)
        write(writer, octets)

    # What is asked for is how often the transport is written to; the wire does not show it.
    monkeypatch.setattr(asyncio.StreamWriter, "write", watched)
    await user.send(f"MAIL FROM:<{DOCTOR}>\r\nRCPT TO:<{WARD}>\r\nDATA\r\n".encode())
    codes = [(await user.reply()).code for _ in range(3)]

    assert codes == [250, 250, 354]
    (together,) = written[1:]  # the first is our own
    assert [line[:3] for line in together.splitlines()] == [b"250", b"250", b"354"]


async def test_a_reply_does_not_wait_for_the_rest_of_a_command(user: Wire) -> None:
    """Whoever waits for it before writing on would wait for ever."""
    await user.send(b"NOOP\r\nNO")

    assert (await user.reply()).code == 250
    await user.send(b"OP\r\n")
    assert (await user.reply()).code == 250


async def test_an_operator_delivers_a_letter(peer: Wire, services: FakeServices) -> None:
    """The reply carries our identifier, so that the logs of both sides can be laid side by side."""
    raw = a_letter(lines=(b".", b"..", b"text", b"."))
    await begin_mail(peer)

    await peer.send(stuffed(raw))
    reply = await peer.reply()

    assert (reply.code, reply.text) == (250, "2.0.0 m1 accepted")
    (submission,) = services.acceptance.accepted
    assert submission.raw == raw
    assert (submission.origin, submission.received_with) == (Origin.PEER, "ESMTPS")
    assert isinstance(submission.principal, PeerPrincipal)
    assert submission.routes is not None
    assert [type(one) for one in submission.routes] == [LocalRoute]


@pytest.mark.parametrize("door", ["submission", "submissions"])
async def test_a_user_submits_a_letter(
    doors: SmtpDoors, pki: SmtpPki, services: FakeServices, door: str
) -> None:
    """With STARTTLS, and with TLS from the first octet (RFC 8314)."""
    is_wrapped = door == "submissions"
    async with await Wire.open(doors.ports[door], tls=pki.client() if is_wrapped else None) as wire:
        if is_wrapped:
            assert (await wire.ask("EHLO software.example.org")).code == 250
        else:
            await wire.starttls(pki.client())
        assert (await wire.ask(f"AUTH PLAIN {RIGHT}")).code == 235
        await begin_mail(wire, sender=DOCTOR, recipient=WARD)
        await wire.send(stuffed(a_letter()))
        assert (await wire.reply()).code == 250

    (submission,) = services.acceptance.accepted
    assert (submission.origin, submission.received_with) == (Origin.SUBMISSION, "ESMTPSA")
    assert isinstance(submission.principal, AccountPrincipal)
    assert submission.routes is not None
    assert isinstance(submission.routes[0], RelayRoute)


async def test_what_is_announced_depends_on_tls_and_door(
    doors: SmtpDoors, pki: SmtpPki, peer: Wire, guest: Wire
) -> None:
    """No AUTH in clear, ever; none for operators; no CHUNKING, no SMTPUTF8."""
    always = ["SIZE 10000", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES", "DSN"]
    async with await Wire.open(doors.ports["submission"]) as wire:
        in_clear = await wire.ask("EHLO x")

    assert list(in_clear.lines[1:]) == [*always, "STARTTLS"]
    assert list((await peer.ask("EHLO x")).lines[1:]) == always
    assert list((await guest.ask("EHLO x")).lines[1:]) == [
        *always,
        "AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER",
    ]


@pytest.mark.parametrize("door", ["mx", "submission"])
@pytest.mark.parametrize(
    "command",
    [
        f"MAIL FROM:<{WARD}>",
        f"RCPT TO:<{DOCTOR}>",
        "DATA",
        "AUTH PLAIN AGFubmUAeA==",
        "VRFY anne",
        "EXPN all",
        "HELP",
    ],
)
async def test_nothing_of_weight_is_done_before_tls(
    doors: SmtpDoors, services: FakeServices, door: str, command: str
) -> None:
    """530 5.7.0 (RFC 3207, 4); a password sent in clear is not even looked at."""
    async with await Wire.open(doors.ports[door]) as wire:
        await wire.ask("EHLO x")
        reply = await wire.ask(command)

    assert (reply.code, reply.status) == (530, "5.7.0")
    assert services.accounts.asked == 0


async def test_starttls_begins_from_nothing(doors: SmtpDoors, pki: SmtpPki) -> None:
    """What was said in clear may have been said by anybody (RFC 3207, 4.2)."""
    async with await Wire.open(doors.ports["mx"]) as wire:
        await wire.ask("EHLO in.clear.example.org")
        await wire.ask("STARTTLS")
        await wire.begin_tls(pki.client(pki.party(PEER_HOST)))

        assert (await wire.ask(f"MAIL FROM:<{WARD}>")).code == 503
        assert (await wire.ask("STARTTLS")).code == 503


async def test_an_operator_without_a_certificate_is_told_why(
    doors: SmtpDoors, pki: SmtpPki
) -> None:
    """A broken handshake would leave its administrator guessing."""
    async with await Wire.open(doors.ports["mx"]) as wire:
        await wire.starttls(pki.client())
        reply = await wire.ask(f"MAIL FROM:<{WARD}>")

    assert (reply.code, reply.status) == (550, "5.7.0")
    assert "(peer-certificate-missing)" in reply.text


async def test_an_operator_of_another_authority_does_not_get_in(
    doors: SmtpDoors, pki: SmtpPki, tmp_path: Path
) -> None:
    """OpenSSL breaks the handshake; with TLS 1.3 the client learns it when it speaks."""
    (tmp_path / "stranger").mkdir()
    stranger = create_pki(tmp_path / "stranger")
    context = pki.client(stranger.party(PEER_HOST))
    async with await Wire.open(doors.ports["mx"]) as wire:
        await wire.ask("EHLO x")
        await wire.ask("STARTTLS")
        await wire.begin_tls(context)

        assert await wire.is_closed()


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (PeerNotTrustedError(domain="", reason="certificate-revoked"), 550, "5.7.1"),
        (TrustListMissingError(), 451, "4.3.5"),
    ],
)
async def test_an_operator_that_is_not_believed_may_not_send(
    peer: Wire, services: FakeServices, error: MSSError, code: int, status: str
) -> None:
    """It is judged at each MAIL: a connection may outlive a trust list."""
    assert (await peer.ask(f"MAIL FROM:<{WARD}>")).code == 250
    await peer.ask("RSET")
    services.trust.error = error

    reply = await peer.ask(f"MAIL FROM:<{WARD}>")

    assert (reply.code, reply.status) == (code, status)


async def test_an_operator_may_not_speak_for_another_domain(peer: Wire) -> None:
    """The trust list ties certificates to domains, one by one."""
    reply = await peer.ask("MAIL FROM:<x@other.mssante.fr>")

    assert (reply.code, reply.status) == (550, "5.7.1")


async def test_an_operator_that_is_turned_away_is_noted_in_the_journal(
    peer: Wire, services: FakeServices
) -> None:
    """An administrator must find who knocked, and why the door stayed shut."""
    await peer.ask("MAIL FROM:<x@other.mssante.fr>")

    [(code, subject)] = services.acceptance.refusals
    assert code == "peer-not-trusted"
    assert f"CN={PEER_HOST}" in subject


async def test_an_operator_sends_reports_with_the_null_sender(peer: Wire) -> None:
    """RFC 5321, 4.5.5."""
    assert (await peer.ask("MAIL FROM:<>")).code == 250
    assert (await peer.ask(f"RCPT TO:<{DOCTOR}>")).code == 250


async def test_a_user_must_log_in_first(guest: Wire) -> None:
    """530 5.7.0 (RFC 4954, 6)."""
    reply = await guest.ask(f"MAIL FROM:<{DOCTOR}>")

    assert (reply.code, reply.status) == (530, "5.7.0")


@pytest.mark.parametrize("sender", [COLLEAGUE, WARD, ""])
async def test_a_user_may_not_send_as_somebody_else(user: Wire, sender: str) -> None:
    """Neither as a colleague, nor as another operator, nor as nobody."""
    reply = await user.ask(f"MAIL FROM:<{sender}>")

    assert (reply.code, reply.status) == (550, "5.7.1")


async def test_each_recipient_gets_its_own_answer(user: Wire) -> None:
    """The sender can still correct the address, in a sentence that says what is wrong."""
    await user.ask(f"MAIL FROM:<{DOCTOR}>")

    unknown = await user.ask(f"RCPT TO:<nobody@{OUR_DOMAIN}>")
    outside = await user.ask("RCPT TO:<somebody@gmail.com>")

    assert (unknown.code, unknown.status) == (550, "5.1.1")
    assert "There is no mailbox at this address." in unknown.text
    assert "(recipient-unknown)" in unknown.text
    assert (outside.code, outside.status) == (550, "5.7.1")
    assert "(domain-not-trusted)" in outside.text
    assert (await user.ask("DATA")).code == 503
    assert (await user.ask(f"RCPT TO:<{WARD}>")).code == 250


async def test_too_many_recipients_are_temporary_and_the_others_stand(
    peer: Wire, services: FakeServices
) -> None:
    """RFC 5321, 4.5.3.1.10: 452, and the client sends the rest in another transaction."""
    await peer.ask(f"MAIL FROM:<{WARD}>")
    codes = [(await peer.ask(f"RCPT TO:<box{n}@{OUR_DOMAIN}>")).code for n in range(5)]
    repeated = await peer.ask(f"RCPT TO:<BOX1@{OUR_DOMAIN}>")
    await peer.ask("DATA")
    await peer.send(stuffed(a_letter()))

    assert codes == [250, 250, 250, 452, 452]
    assert repeated.code == 250
    assert (await peer.reply()).code == 250
    assert len(services.acceptance.accepted[0].envelope.recipients) == 3


async def test_delivery_wishes_reach_the_envelope(peer: Wire, services: FakeServices) -> None:
    """RFC 3461: kept decoded; the relay writes them again."""
    await peer.ask(f"MAIL FROM:<{WARD}> RET=hdrs ENVID=a+2Bb BODY=8BITMIME SIZE=100")
    await peer.ask(f"RCPT TO:<{DOCTOR}> NOTIFY=success,delay ORCPT=rfc822;a+2Bb@example.org")
    await peer.ask("DATA")
    await peer.send(stuffed(a_letter()))
    await peer.reply()

    envelope = services.acceptance.accepted[0].envelope
    assert (envelope.returns, envelope.envelope_id) == ("HDRS", "a+b")
    assert envelope.recipients[0].notify == {Notify.SUCCESS, Notify.DELAY}
    assert envelope.recipients[0].original_recipient == "rfc822;a+b@example.org"


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (StoreFullError(where="blobs"), 452, "4.3.1"),
        (MessageRefusedError(reason="undecryptable"), 550, "5.7.5"),
        (MessageRefusedError(reason="signature-invalid"), 550, "5.7.7"),
        (MessageRefusedError(reason="message-limits"), 552, "5.3.4"),
        (MessageRefusedError(reason="duplicate-from"), 554, "5.6.0"),
        (ProtectionImpossibleError(address=WARD, reason="none"), 550, "5.7.5"),
        (RuntimeError("a defect"), 451, "4.3.0"),
        (OSError(28, "No space left on device"), 451, "4.3.0"),
    ],
)
async def test_a_message_that_is_not_accepted_leaves_the_connection_usable(
    peer: Wire, services: FakeServices, error: Exception, code: int, status: str
) -> None:
    """Our own trouble is temporary, so that no mail is lost; and the next message goes through."""
    services.acceptance.error = error
    await begin_mail(peer)
    await peer.send(stuffed(a_letter()))
    reply = await peer.reply()
    services.acceptance.error = None

    assert (reply.code, reply.status) == (code, status)
    assert WARD not in reply.text
    await begin_mail(peer)
    await peer.send(stuffed(a_letter()))
    assert (await peer.reply()).code == 250


async def test_commands_may_be_sent_in_one_packet(peer: Wire, services: FakeServices) -> None:
    """RFC 2920: replies come in order, also to what follows a message in the same packet."""
    letter = f"MAIL FROM:<{WARD}>\r\nRCPT TO:<{DOCTOR}>\r\nDATA\r\n".encode()
    await peer.send(letter)
    codes = [(await peer.reply()).code for _ in range(3)]
    await peer.send(stuffed(a_letter()) + letter)
    codes += [(await peer.reply()).code for _ in range(4)]
    await peer.send(stuffed(a_letter(subject="y")) + b"QUIT\r\n")
    codes += [(await peer.reply()).code for _ in range(2)]

    assert codes == [250, 250, 354, 250, 250, 250, 354, 250, 221]
    assert services.acceptance.accepted[1].raw == a_letter(subject="y")


async def test_rset_forgets_the_mail_and_keeps_the_login(user: Wire) -> None:
    """RFC 5321, 4.1.1.5."""
    await user.ask(f"MAIL FROM:<{DOCTOR}>")
    await user.ask(f"RCPT TO:<{WARD}>")

    assert (await user.ask("RSET")).code == 250
    assert (await user.ask("DATA")).code == 503
    assert (await user.ask(f"MAIL FROM:<{DOCTOR}>")).code == 250


@pytest.mark.parametrize(
    ("command", "code", "status"),
    [
        ("VRFY anne.essai", 252, "2.1.5"),
        ("VRFY", 252, "2.1.5"),
        ("EXPN everybody", 502, "5.5.1"),
        ("HELP", 214, "2.0.0"),
        ("HELP MAIL", 214, "2.0.0"),
        ("NOOP whatever", 250, "2.0.0"),
        ("RSET now", 501, "5.5.4"),
        ("QUIT now", 501, "5.5.4"),
        ("DATA now", 501, "5.5.4"),
        ("DATA", 503, "5.5.1"),
        (f"RCPT TO:<{DOCTOR}>", 503, "5.5.1"),
        ("AUTH PLAIN", 502, "5.5.1"),
        ("MAIL FROM:<a@b.fr> SIZE=99999999", 552, "5.3.4"),
        ("MAIL FROM:<a@b.fr> SMTPUTF8", 555, "5.5.4"),
        ("MAIL FROM:<not an address>", 501, "5.5.4"),
        ('MAIL FROM:<"a b"@b.fr>', 501, "5.5.4"),
        ("MAIL FROM:<@a,@b:c@d.fr>", 553, "5.1.7"),
        ("MAIL FROM:a@b.fr", 501, "5.5.4"),
        ("MAIL TO:<a@b.fr>", 501, "5.5.4"),
        ("MAIL", 501, "5.5.4"),
        ("EHLO", 501, "5.5.4"),
        ("EHLO two words", 501, "5.5.4"),
        ("", 500, "5.5.1"),
    ],
)
async def test_each_command_gets_one_reply_with_its_code(
    peer: Wire, command: str, code: int, status: str
) -> None:
    """And the connection goes on."""
    reply = await peer.ask(command)

    assert (reply.code, reply.status) == (code, status)
    assert (await peer.ask("NOOP")).code == 250


async def test_vrfy_tells_nothing(peer: Wire) -> None:
    """Known and unknown mailboxes get the same answer (RFC 5321, 7.3)."""
    known = await peer.ask(f"VRFY {DOCTOR}")
    unknown = await peer.ask(f"VRFY nobody@{OUR_DOMAIN}")

    assert known == unknown


@pytest.mark.parametrize(
    "steps",
    [
        [f"AUTH PLAIN {RIGHT}"],
        [f"AUTH plain {RIGHT_FOR_SELF}"],
        ["AUTH PLAIN", RIGHT],
        ["AUTH LOGIN", sasl("anne"), sasl(PASSWORD)],
        [f"AUTH LOGIN {sasl('anne')}", sasl(PASSWORD)],
        [f"AUTH XOAUTH2 {XOAUTH2}"],
        ["AUTH XOAUTH2", sasl(f"user=anne\x01auth=Bearer {TOKEN}\x01\x01")],
        [f"AUTH OAUTHBEARER {OAUTHBEARER}"],
    ],
)
async def test_every_mechanism_logs_in_with_and_without_initial_response(
    guest: Wire, steps: list[str]
) -> None:
    """Both forms occur in the field."""
    replies = [await guest.ask(step) for step in steps]

    assert [one.code for one in replies] == [334] * (len(steps) - 1) + [235]
    assert (await guest.ask(f"MAIL FROM:<{DOCTOR}>")).code == 250


@pytest.mark.parametrize(
    "response",
    [
        sasl("\0anne\0wrong"),
        sasl("\0nobody\0wrong"),
        sasl(f"\0anne\0{PASSWORD} "),
        sasl("\0anne\0"),
    ],
)
async def test_a_failed_login_never_says_why(guest: Wire, response: str) -> None:
    """An unknown name and a wrong password look the same."""
    reply = await guest.ask(f"AUTH PLAIN {response}")

    assert (reply.code, reply.status) == (535, "5.7.8")
    assert reply.text.startswith("5.7.8 The credentials are missing or not valid.")
    assert reply.text.endswith("(not-authenticated)")


@pytest.mark.parametrize(
    ("mechanism", "response", "final"),
    [
        ("XOAUTH2", f"user={DOCTOR}\x01auth=Bearer bad\x01\x01", ""),
        ("XOAUTH2", f"user=somebody@else.fr\x01auth=Bearer {TOKEN}\x01\x01", ""),
        ("OAUTHBEARER", f"n,a={DOCTOR},\x01auth=Bearer bad\x01\x01", "AQ=="),
    ],
)
async def test_a_refused_token_is_explained_before_the_refusal(
    guest: Wire, mechanism: str, response: str, final: str
) -> None:
    """Software that sees the connection cut takes it for a network failure (RFC 7628, 3.2.3)."""
    challenge = await guest.ask(f"AUTH {mechanism} {sasl(response)}")
    refusal = await guest.ask(final)

    assert challenge.code == 334
    assert json.loads(base64.b64decode(challenge.text))["schemes"] == "bearer"
    assert (refusal.code, refusal.status) == (535, "5.7.8")
    assert (await guest.ask("NOOP")).code == 250


@pytest.mark.parametrize(
    ("command", "code", "status"),
    [
        ("AUTH CRAM-MD5", 504, "5.5.4"),
        ("AUTH", 504, "5.5.4"),
        ("AUTH PLAIN ***", 501, "5.5.2"),
        (f"AUTH PLAIN {sasl('no zero octets')}", 501, "5.5.2"),
        (f"AUTH PLAIN {FOR_ANOTHER}", 501, "5.5.2"),
        (f"AUTH XOAUTH2 {sasl('user=x')}", 501, "5.5.2"),
    ],
)
async def test_a_malformed_login_is_a_syntax_error(
    guest: Wire, services: FakeServices, command: str, code: int, status: str
) -> None:
    """Nothing is checked, and the connection goes on."""
    reply = await guest.ask(command)

    assert (reply.code, reply.status) == (code, status)
    assert services.accounts.asked == 0
    assert (await guest.ask("NOOP")).code == 250


async def test_a_login_can_be_cancelled(guest: Wire) -> None:
    """RFC 4954, 4: a lone asterisk."""
    await guest.ask("AUTH PLAIN")

    assert (await guest.ask("*")).code == 501
    assert (await guest.ask(f"AUTH PLAIN {RIGHT}")).code == 235


async def test_a_second_login_is_refused(user: Wire) -> None:
    """RFC 4954, 4."""
    assert (await user.ask(f"AUTH PLAIN {RIGHT}")).code == 503


async def test_guessing_ends_the_connection(guest: Wire) -> None:
    """Three wrong passwords, then a new handshake for the next three."""
    replies = [await guest.ask(f"AUTH PLAIN {WRONG}") for _ in range(3)]

    assert [one.code for one in replies] == [535, 535, 535]
    assert await guest.is_closed()


@pytest.mark.slow
async def test_a_host_that_keeps_guessing_must_wait(
    doors: SmtpDoors, pki: SmtpPki, services: FakeServices
) -> None:
    """Even the right password is not looked at any more, on any of its connections."""
    for _ in range(7):
        async with await Wire.open(doors.ports["submissions"], tls=pki.client()) as wire:
            await wire.ask("EHLO x")
            for _ in range(3):
                await wire.ask(f"AUTH PLAIN {WRONG}")
    asked = services.accounts.asked
    async with await Wire.open(doors.ports["submission"]) as wire:
        await wire.starttls(pki.client())
        reply = await wire.ask(f"AUTH PLAIN {RIGHT}")

    assert (reply.code, reply.status) == (454, "4.7.0")
    assert services.accounts.asked == asked == 20


async def test_the_end_of_service_lets_a_message_finish(
    services: FakeServices, pki: SmtpPki
) -> None:
    """Idle clients get 421; the one whose message is being stored gets its 250 first."""
    services.acceptance.gate = asyncio.Event()
    async with open_smtp_doors(services, grace_seconds=20) as doors:
        idle = await Wire.open(doors.ports["mx"])
        busy = await Wire.open(doors.ports["mx"])
        await busy.starttls(pki.client(pki.party(PEER_HOST)))
        await begin_mail(busy)
        await busy.send(stuffed(a_letter()))
        await services.acceptance.waiting.wait()

        async def watch() -> tuple[int, list[int]]:
            """Wait for the goodbye, then let the message be stored."""
            code = (await idle.reply()).code
            assert services.acceptance.gate is not None
            services.acceptance.gate.set()
            return code, [(await busy.reply()).code for _ in range(2)]

        watching = asyncio.ensure_future(watch())
        await asyncio.sleep(0)
    assert await watching == (421, [250, 421])
    assert len(services.acceptance.accepted) == 1
    await idle.close()
    await busy.close()


async def test_the_end_of_service_does_not_wait_for_ever(
    services: FakeServices, pki: SmtpPki
) -> None:
    """A client that never finishes its message is cut off after the grace period."""
    async with open_smtp_doors(services, grace_seconds=0.05) as doors:
        wire = await Wire.open(doors.ports["mx"])
        await wire.starttls(pki.client(pki.party(PEER_HOST)))
        await begin_mail(wire)
        await wire.send(b"Subject: half\r\n")
    assert await wire.is_closed()
    assert services.acceptance.accepted == []


async def test_a_client_that_leaves_during_the_commit_loses_only_the_reply(
    peer: Wire, services: FakeServices
) -> None:
    """Storing is not cancelled half-way: the retry is recognised as a repeat (RFC 1047)."""
    services.acceptance.gate = asyncio.Event()
    await begin_mail(peer)
    await peer.send(stuffed(a_letter()))
    await services.acceptance.waiting.wait()

    await peer.close()
    await asyncio.sleep(0)
    services.acceptance.gate.set()
    async with asyncio.timeout(5):
        await services.acceptance.done.wait()

    assert len(services.acceptance.accepted) == 1


async def test_renewed_certificates_serve_the_next_connection(
    services: FakeServices, doors: SmtpDoors, pki: SmtpPki, peer: Wire
) -> None:
    """Without closing anything that is open."""
    renewed = write_party(pki.folder, pki.authority, "renewed.mssante.fr")
    home = services.settings.home
    (home / "keys/tls.crt").write_text(renewed.certificate.read_text())
    (home / "keys/tls.key").write_text(renewed.key.read_text())

    doors.reload_tls()

    async with await Wire.open(doors.ports["submissions"], tls=pki.client()) as wire:
        shown = wire.writer.get_extra_info("peercert")
    assert ((("commonName", "renewed.mssante.fr"),)) in shown["subject"]
    assert (await peer.ask("NOOP")).code == 250


async def test_a_broken_certificate_file_changes_nothing(
    services: FakeServices, doors: SmtpDoors, pki: SmtpPki
) -> None:
    """The certificates in force stay in force."""
    (services.settings.home / "keys/tls.crt").write_text("nonsense")

    with pytest.raises(SettingsError):
        doors.reload_tls()

    async with await Wire.open(doors.ports["submissions"], tls=pki.client()) as wire:
        assert (await wire.ask("NOOP")).code == 250


async def test_only_the_doors_that_are_asked_for_are_opened(services: FakeServices) -> None:
    """`mss serve --only mx`."""
    async with open_smtp_doors(services, only=frozenset({"mx"})) as doors:
        assert (doors.mx_port is not None, doors.submission_port, doors.submissions_port) == (
            True,
            None,
            None,
        )


async def test_an_address_in_use_is_a_settings_error(
    services: FakeServices, doors: SmtpDoors
) -> None:
    """It names the key to change."""
    listen = services.settings.listen.model_copy(update={"mx": f"127.0.0.1:{doors.mx_port}"})
    services.settings = services.settings.model_copy(update={"listen": listen})

    with pytest.raises(SettingsError, match=r"listen\.mx"):
        async with open_smtp_doors(services):
            pass


@pytest.mark.parametrize("turns", range(5))
@pytest.mark.parametrize("words", [b"QUIT\r\n", b"NOOP\r\n" * 50, b""])
async def test_both_sides_may_close_at_once(
    services: FakeServices,
    pki: SmtpPki,
    caplog: pytest.LogCaptureFixture,
    words: bytes,
    turns: int,
) -> None:
    """At shutdown the relay of one process leaves the door of another; nothing fails in that."""
    async with open_smtp_doors(services, grace_seconds=1) as doors:
        wire = await Wire.open(doors.ports["mx"])
        await wire.starttls(pki.client(pki.party(PEER_HOST)))
        await wire.send(words)
        wire.writer.close()
        # Each turn of the event loop is another overlap of the two closings.
        for _ in range(turns):
            await asyncio.sleep(0)
    await wire.close()

    assert [one for one in caplog.records if one.levelname == "ERROR"] == []
