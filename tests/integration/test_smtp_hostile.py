"""Clients that want something else than to send mail: nothing is stored, nobody else suffers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from mss.smtp import data
from mss.smtp.server import SmtpDoors, open_smtp_doors
from tests.support.smtp_fakes import (
    DOCTOR,
    OUR_DOMAIN,
    PEER_HOST,
    WARD,
    FakeServices,
    SmtpPki,
    a_letter,
    create_pki,
    door_settings,
    stuffed,
)
from tests.support.wire import Wire

Open = Callable[..., AbstractAsyncContextManager[SmtpDoors]]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> SmtpPki:
    return create_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def services(tmp_path: Path, pki: SmtpPki) -> FakeServices:
    return FakeServices(settings=door_settings(tmp_path, pki, message_octets=10_000))


@pytest.fixture
def open_with(tmp_path: Path, pki: SmtpPki, services: FakeServices) -> Open:
    """Open doors with other limits than the usual ones."""

    def build(**limits: float) -> AbstractAsyncContextManager[SmtpDoors]:
        services.settings = door_settings(tmp_path, pki, **limits)
        return open_smtp_doors(services, grace_seconds=0.1)

    return build


@pytest.fixture
async def doors(services: FakeServices) -> AsyncIterator[SmtpDoors]:
    async with open_smtp_doors(services, grace_seconds=0.1) as opened:
        yield opened


@pytest.fixture
async def wire(doors: SmtpDoors, pki: SmtpPki) -> AsyncIterator[Wire]:
    """An operator in good standing, about to misbehave."""
    async with await Wire.open(doors.ports["mx"]) as opened:
        await opened.starttls(pki.client(pki.party(PEER_HOST)))
        yield opened


async def begin_mail(wire: Wire) -> None:
    for command, code in (
        (f"MAIL FROM:<{WARD}>", 250),
        (f"RCPT TO:<{DOCTOR}>", 250),
        ("DATA", 354),
    ):
        assert (await wire.ask(command)).code == code


async def accepts_mail(wire: Wire) -> bool:
    """Tell whether the connection is in a known state: an ordinary letter goes through."""
    await begin_mail(wire)
    await wire.send(stuffed(a_letter()))
    return (await wire.reply()).code == 250


ENDINGS = {
    "lf-dot-lf": b"\n.\n",
    "lf-dot-crlf": b"\n.\r\n",
    "crlf-dot-lf": b"\r\n.\n",
    "cr-dot-cr": b"\r.\r",
    "crlf-dot-cr": b"\r\n.\r",
    "cr-dot-crlf": b"\r.\r\n",
    "cr-dot-lf": b"\r.\n",
    "lf-dot-cr": b"\n.\r",
    "crlf-dot-crcrlf": b"\r\n.\r\r\n",
    "crcrlf-dot-crlf": b"\r\r\n.\r\n",
    "crlf-nul-dot-crlf": b"\r\n\0.\r\n",
    "crlf-dot-nul-crlf": b"\r\n.\0\r\n",
    "crlf-dot-crlf-nul": b"\r\n.\r\0\n",
    "lf-lf": b"\n\n.\r\n",
}
SMUGGLED = f"MAIL FROM:<admin@ch-demo.mssante.fr>\r\nRCPT TO:<{DOCTOR}>\r\nDATA\r\n".encode()


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
@pytest.mark.parametrize("piece", [1, 7, 10_000], ids=["octets", "pieces", "whole"])
async def test_no_other_ending_ends_a_message(
    wire: Wire, services: FakeServices, ending: bytes, piece: int
) -> None:
    """SMTP smuggling (CVE-2023-51764 and its like): the second mail is content of a refused first.

    `CR CR LF . CR LF` ends the message for us too; its first line is what refuses it, and what
    follows are commands of the same client, in clear sight.
    """
    await begin_mail(wire)
    smuggled = b"From: x@y.fr\r\n\r\nfirst" + ending + SMUGGLED + stuffed(a_letter())

    for start in range(0, len(smuggled), piece):
        await wire.send(smuggled[start : start + piece])
    reply = await wire.reply()

    assert (reply.code, reply.status) == (554, "5.6.0")
    assert not [one for one in services.acceptance.accepted if b"first" in one.raw]


@pytest.mark.parametrize("ending", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n\0.\r\n"])
async def test_after_a_refused_message_the_state_is_known(
    wire: Wire, services: FakeServices, ending: bytes
) -> None:
    """The true end was awaited, so that the next command is a command."""
    await begin_mail(wire)
    await wire.send(b"first" + ending + SMUGGLED + b"second\r\n.\r\n")

    assert (await wire.reply()).code == 554
    assert await accepts_mail(wire)
    assert len(services.acceptance.accepted) == 1


SPLIT = b"From: x@y.fr\r\n\r\n..\r\n.\r.\r\n" + SMUGGLED[:10] + b"\r\n.\r\n"


@pytest.mark.parametrize("at", range(1, len(SPLIT)))
async def test_wherever_the_network_cuts_there_is_one_message(
    wire: Wire, services: FakeServices, at: int
) -> None:
    """The end is found across any two packets, and so is a bare CR."""
    await begin_mail(wire)
    await wire.send(SPLIT[:at])
    await asyncio.sleep(0)
    await wire.send(SPLIT[at:])

    assert (await wire.reply()).code == 554
    assert (await wire.ask("NOOP")).code == 250
    assert services.acceptance.accepted == []


@pytest.mark.parametrize(
    "content", [b"From: x@y.fr\r\n\r\nhello\r\n.\r\n", b"N", b"\r\n.\r\nQUIT\r\n", b"RSET\r\n"]
)
async def test_content_before_354_ends_the_connection(
    wire: Wire, services: FakeServices, content: bytes
) -> None:
    """RFC 2920, 3.1: DATA is the last of a group. Had it been refused, this would be commands."""
    await wire.ask(f"MAIL FROM:<{WARD}>")
    await wire.ask(f"RCPT TO:<{DOCTOR}>")
    await wire.send(b"DATA\r\n" + content)

    assert (await wire.reply()).code == 503
    assert await wire.is_closed()
    assert services.acceptance.accepted == []


@pytest.mark.parametrize(
    "chunk",
    [
        b"BDAT 0 LAST\r\n",
        b"BDAT 30 LAST\r\nMAIL FROM:<admin@ch-demo.mssante.fr>\r\n",
        b"BDAT 99999999999999999999\r\nRSET\r\n",
        b"BDAT -1\r\n",
        b"bdat 5\r\nNOOP\r\n",
    ],
)
async def test_a_chunk_is_never_read_as_commands(
    wire: Wire, services: FakeServices, chunk: bytes
) -> None:
    """CHUNKING is not announced (CVE-2026-45185 and its kin); who uses it anyway is sent away."""
    await wire.ask(f"MAIL FROM:<{WARD}>")
    await wire.ask(f"RCPT TO:<{DOCTOR}>")
    await wire.send(chunk)

    assert (await wire.reply()).code == 502
    assert await wire.is_closed()
    assert services.acceptance.accepted == []


async def test_what_is_not_served_is_not_announced(wire: Wire) -> None:
    """Neither chunks, nor addresses beyond ASCII, nor binary content."""
    said = (await wire.ask("EHLO x")).text.upper()

    assert not {"CHUNKING", "SMTPUTF8", "BINARYMIME"} & set(said.split())
    assert {"SIZE", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES", "DSN"} <= set(said.split())


@pytest.mark.parametrize(
    ("body", "code", "status", "name"),
    [
        (b"bare\nlf\r\n", 554, "5.6.0", "bare-newline"),
        (b"bare\rcr\r\n", 554, "5.6.0", "bare-newline"),
        (b"nul\0\r\n", 554, "5.6.0", "nul-octet"),
        (b"x" * 999 + b"\r\n", 554, "5.6.0", "line-too-long"),
        (b"Subject: " + b"x" * 5_000 + b"\r\n", 554, "5.6.0", "line-too-long"),
        ((b"x" * 76 + b"\r\n") * 200, 552, "5.3.4", "message-too-large"),
    ],
)
async def test_what_cannot_be_mail_is_refused_with_its_reason(
    wire: Wire, services: FakeServices, body: bytes, code: int, status: str, name: str
) -> None:
    """Whoever wrote the software can find the line to mend."""
    await begin_mail(wire)
    await wire.send(body + b".\r\n")
    reply = await wire.reply()

    assert (reply.code, reply.status) == (code, status)
    assert name in reply.text
    assert services.acceptance.accepted == []
    assert await accepts_mail(wire)


async def test_a_line_of_998_octets_is_mail(wire: Wire, services: FakeServices) -> None:
    """RFC 5322, 2.1.1; a stuffed dot does not count."""
    raw = b"x" * 998 + b"\r\n." + b"y" * 997 + b"\r\n"
    await begin_mail(wire)
    await wire.send(stuffed(raw))

    assert (await wire.reply()).code == 250
    assert services.acceptance.accepted[0].raw == raw


async def test_a_client_that_runs_on_after_the_limit_is_cut_off(
    wire: Wire, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was refused long ago; draining it for ever would be a free ride."""
    monkeypatch.setattr(data, "DRAIN_OCTETS", 100_000)
    await begin_mail(wire)
    await wire.send((b"x" * 76 + b"\r\n") * 3_000)

    assert (await wire.reply()).code == 552
    assert await wire.is_closed()
    assert services.acceptance.accepted == []


@pytest.mark.parametrize(
    "packet",
    [
        b"STARTTLS\r\nNOOP\r\n",
        b"STARTTLS\r\nEHLO x\r\nMAIL FROM:<a@ch-demo.mssante.fr>\r\n",
        b"STARTTLS\r\nN",
        b"STARTTLS\r\n\r\n",
    ],
)
async def test_commands_behind_starttls_end_the_connection(doors: SmtpDoors, packet: bytes) -> None:
    """Written in clear by somebody on the line, to be obeyed inside TLS (CVE-2011-0411)."""
    async with await Wire.open(doors.ports["mx"]) as wire:
        await wire.ask("EHLO x")
        await wire.send(packet)

        assert (await wire.reply()).code == 503
        assert await wire.is_closed()


async def test_commands_instead_of_a_handshake_end_the_connection(doors: SmtpDoors) -> None:
    """After 220 only TLS is listened to."""
    async with await Wire.open(doors.ports["mx"]) as wire:
        await wire.ask("EHLO x")
        assert (await wire.ask("STARTTLS")).code == 220
        await wire.send(b"NOOP\r\n")

        assert b"250" not in await wire.reader.read(100)


@pytest.mark.parametrize(
    "line",
    [
        b"MAIL FROM:<a@ch-demo.mssante.fr>\nRCPT TO:<x@y.fr>\r\n",
        b"NOOP\n",
        b"NO\rOP\r\n",
        b"NOOP\r\r\n",
    ],
)
async def test_a_bare_line_end_in_a_command_ends_the_connection(wire: Wire, line: bytes) -> None:
    """The two sides do not agree on what a line is, so nothing that follows can be trusted."""
    await wire.send(line)

    assert (await wire.reply()).code == 500
    assert await wire.is_closed()


@pytest.mark.parametrize(
    "line",
    [b"NOOP \x00", b"NOOP \xe9", b"MAIL\tFROM:<a@b.fr>", b"NOOP " + b"x" * 3_000, b"\x16\x03"],
)
async def test_a_line_that_is_no_command_costs_one_reply(wire: Wire, line: bytes) -> None:
    """500, and the connection goes on."""
    await wire.send(line + b"\r\n")

    assert (await wire.reply()).code == 500
    assert (await wire.ask("NOOP")).code == 250


async def test_a_line_without_end_is_not_kept(wire: Wire) -> None:
    """Memory is bounded by the stream, not by the patience of the client."""
    await wire.send(b"x" * 300_000)

    assert (await wire.reply()).code == 500
    assert await wire.is_closed()


async def test_a_web_browser_is_not_served(doors: SmtpDoors) -> None:
    """A form posted to the wrong port must not become mail."""
    header = b"".join(f"X-{n}: y\r\n".encode() for n in range(40))
    body = f"\r\nEHLO x\r\nMAIL FROM:<{WARD}>\r\nRCPT TO:<{DOCTOR}>\r\nDATA\r\n".encode()
    async with await Wire.open(doors.ports["mx"]) as wire:
        await wire.send(b"POST / HTTP/1.1\r\n" + header + body)
        codes = [(await wire.reply()).code for _ in range(21)]

        assert codes == [500] * 20 + [421]
        assert await wire.is_closed()


async def test_a_client_that_never_gets_anywhere_is_sent_away(wire: Wire) -> None:
    """A connection held by NOOP holds a place that others need."""
    await wire.send(b"NOOP\r\n" * 400)
    replies = (await wire.reader.read()).split(b"\r\n")

    assert {one[:3] for one in replies[:290]} == {b"250"}
    assert replies[-2][:9] == b"421 4.7.0"
    assert len(replies) < 310


async def test_a_slow_command_has_an_absolute_deadline(open_with: Open) -> None:
    """An octet now and then does not buy more time (slowloris)."""
    async with open_with(command_seconds=0.2) as doors, await Wire.open(doors.ports["mx"]) as wire:
        started = time.monotonic()
        reply = asyncio.ensure_future(wire.reply())
        while not reply.done():
            await wire.send(b"N")
            await asyncio.wait([reply], timeout=0.02)

        assert (await reply).code == 421
        assert await wire.is_closed()
        assert time.monotonic() - started < 5


async def test_a_slow_message_has_an_absolute_deadline(
    open_with: Open, pki: SmtpPki, services: FakeServices
) -> None:
    """Whole lines do not buy more time either."""
    async with open_with(data_seconds=0.2) as doors, await Wire.open(doors.ports["mx"]) as wire:
        await wire.starttls(pki.client(pki.party(PEER_HOST)))
        await begin_mail(wire)
        reply = asyncio.ensure_future(wire.reply())
        while not reply.done():
            await wire.send(b"X: y\r\n")
            await asyncio.wait([reply], timeout=0.02)

        assert ((await reply).code, (await reply).status) == (421, "4.4.2")
        assert await wire.is_closed()
    assert services.acceptance.accepted == []


@pytest.mark.parametrize("door", ["mx", "submissions"])
async def test_a_stalled_handshake_has_a_deadline(
    open_with: Open, services: FakeServices, door: str
) -> None:
    """The place of a client that never shakes hands is free again."""
    async with open_with(connections=1, handshake_seconds=0.1) as doors:
        stalled = await Wire.open(doors.ports[door], greet=door == "mx")
        if door == "mx":
            await stalled.ask("EHLO x")
            await stalled.ask("STARTTLS")

        assert await stalled.is_closed()
        await stalled.close()
        async with await Wire.open(doors.ports["mx"]) as wire:
            assert (await wire.ask("NOOP")).code == 250
    noted = [("tls-failed", "")] if door == "mx" else []
    assert services.acceptance.refusals == noted


async def test_small_commands_do_not_stretch_the_stay_of_a_stranger(open_with: Open) -> None:
    """One NOOP every few seconds would keep a place for hours (slowloris)."""
    async with (
        open_with(stranger_seconds=0.2) as doors,
        await Wire.open(doors.ports["mx"]) as wire,
    ):
        assert (await wire.ask("NOOP")).code == 250

        reply = await wire.reply()

        assert (reply.code, reply.status) == (421, "4.4.2")
        assert await wire.is_closed()


async def test_an_operator_may_not_try_out_names_without_end(open_with: Open, pki: SmtpPki) -> None:
    """Trusted or not; known recipients wait as well, or it would go on by counting those."""
    async with open_with(unknown_recipients=2) as doors, await Wire.open(doors.ports["mx"]) as wire:
        await wire.starttls(pki.client(pki.party(PEER_HOST)))
        await wire.ask(f"MAIL FROM:<{WARD}>")
        names = ("a", "b", "c")
        unknown = [(await wire.ask(f"RCPT TO:<{n}@{OUR_DOMAIN}>")).code for n in names]
        known = await wire.ask(f"RCPT TO:<{DOCTOR}>")

    assert unknown == [550, 550, 451]
    assert (known.code, "too-many-unknown-recipients" in known.text) == (451, True)


async def test_places_are_limited_and_come_back(open_with: Open) -> None:
    """One host cannot take them all; the refusal is temporary and says so."""
    async with open_with(connections_per_host=2) as doors:
        first = await Wire.open(doors.ports["mx"])
        second = await Wire.open(doors.ports["mx"])
        third = await Wire.open(doors.ports["mx"], greet=False)
        refusal = await third.reply()
        assert (refusal.code, refusal.status) == (421, "4.7.0")
        assert await third.is_closed()

        assert (await first.ask("QUIT")).code == 221
        assert await first.is_closed()
        again = await Wire.open(doors.ports["mx"])
        assert (await again.ask("NOOP")).code == 250
        for wire in (first, second, third, again):
            await wire.close()


async def test_a_full_wrapped_door_closes_without_a_handshake(open_with: Open) -> None:
    """There is nothing to say in clear on a port where TLS begins with the first octet."""
    async with open_with(connections=1) as doors:
        first = await Wire.open(doors.ports["submissions"], greet=False)
        second = await Wire.open(doors.ports["submissions"], greet=False)

        assert await second.is_closed()
        await first.close()
        await second.close()


@pytest.mark.parametrize("octets", [b"", b"From: x@y.fr\r\n", b"From: x@y.fr\r\n\r\nhalf\r\n."])
async def test_a_message_cut_off_is_no_message(
    open_with: Open, pki: SmtpPki, services: FakeServices, octets: bytes
) -> None:
    """RFC 5321, 4.1.1.4: without its end nothing was handed over; and the place is free again."""
    async with open_with(connections=1) as doors:
        cut = await Wire.open(doors.ports["mx"])
        await cut.starttls(pki.client(pki.party(PEER_HOST)))
        await begin_mail(cut)
        await cut.send(octets)
        await cut.close()

        async with asyncio.timeout(5):
            while (wire := await Wire.open(doors.ports["mx"], greet=False)) and (
                await wire.reply()
            ).code != 220:
                await wire.close()
        await wire.starttls(pki.client(pki.party(PEER_HOST)))
        assert await accepts_mail(wire)
        await wire.close()

    assert [one.raw for one in services.acceptance.accepted] == [a_letter()]


@pytest.mark.slow
async def test_large_letters_do_not_stop_the_others(
    open_with: Open, pki: SmtpPki, services: FakeServices
) -> None:
    """Ten of 25 MB at once, and a NOOP is still answered while they come.

    The work done between question and answer is measured, not the time, which neighbours share.
    """
    body = stuffed(a_letter(lines=[b"A" * 76] * 336_000))
    context = pki.client(pki.party(PEER_HOST))
    async with open_with(message_octets=35 * 1024 * 1024) as doors:

        async def send() -> int:
            async with await Wire.open(doors.ports["mx"]) as wire:
                await wire.starttls(context)
                await begin_mail(wire)
                for start in range(0, len(body), 65_536):
                    await wire.send(body[start : start + 65_536])
                return (await wire.reply()).code

        async with await Wire.open(doors.ports["mx"]) as bystander:
            senders = [asyncio.ensure_future(send()) for _ in range(10)]
            waits: list[float] = []
            while not all(one.done() for one in senders) and len(waits) < 150:
                asked = time.process_time()
                assert (await bystander.ask("NOOP")).code == 250
                waits.append(time.process_time() - asked)
                await asyncio.wait(senders, timeout=0.02)
            codes = [await one for one in senders]

    assert codes == [250] * 10
    assert len(waits) > 5
    assert max(waits) < 0.5
