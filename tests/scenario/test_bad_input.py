"""Hostile input through the real doors of a real process: refused or reported, quickly, for good.

Every case is bounded in processor time and memory of the server, leaves nothing behind, and is
followed by an ordinary letter that passes.
"""

import io
import os
import zipfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from crypto import tls
from mss.blobs.opening import open_blob_store
from mss.cli import home as homes
from mss.clock import SystemClock
from mss.store.engine import open_database
from tests.support.crashing import Fate, MortalOperator
from tests.support.operators import (
    HOSPITAL,
    PRACTICES,
    AddressBook,
    Ground,
    Home,
    Software,
    accepted_id,
    compose,
    count_rows,
    note,
    send,
)
from tests.support.wire import Wire

SECONDS = 1.0
MEBIOCTET = 2**20
ROOM = 64 * MEBIOCTET
LIMITS = {"recipients": 2, "message_octets": 8 * MEBIOCTET}
WRITER, READER = HOSPITAL.mailbox, HOSPITAL.red_list


@dataclass(frozen=True, slots=True)
class Cost:
    """What a server's process has used so far, or between two moments."""

    seconds: float
    octets: int


@dataclass(frozen=True, slots=True)
class Server:
    """A hospital in a process of its own, and what can be measured of it."""

    operator: MortalOperator

    @property
    def home(self) -> Home:
        """Its home."""
        return self.operator.home

    async def count(self) -> dict[str, int]:
        """Count rows and bodies, from beside."""
        settings = self.home.settings()
        database = open_database(settings.database_url)
        try:
            counted = await database.read(count_rows)
        finally:
            await database.aclose()
        sealer = homes.load_sealer(settings.home)
        async with open_blob_store(settings, clock=SystemClock(), sealer=sealer) as blobs:
            return {**counted, "bodies": len([one async for one in blobs.iter_records()])}

    @asynccontextmanager
    async def measured(self) -> AsyncIterator[None]:
        """What happens in the block must stay within bounds, whatever else the machine does.

        Processor time is measured, not the time of day: other tests run beside this one.
        """
        folder = Path("/proc") / str(self.operator.pid)
        (folder / "clear_refs").write_text("5", encoding="ascii")  # begin a new peak
        seconds, octets = _processor_seconds(folder), _memory(folder, "VmRSS")
        yield
        assert _processor_seconds(folder) - seconds < SECONDS
        assert _memory(folder, "VmHWM") - octets < ROOM


def _processor_seconds(folder: Path) -> float:
    fields = (folder / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(folder: Path, name: str) -> int:
    for line in (folder / "status").read_text(encoding="ascii").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    raise AssertionError(f"no {name}")


@pytest.fixture(scope="module")
def server(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One process for all of these: that it is healthy after each is part of the claim."""
    folder = tmp_path_factory.mktemp("bad-input")
    operator = MortalOperator(
        home=ground.copy(HOSPITAL, folder, {"limits": LIMITS}),
        book=AddressBook(),
        fate=Fate(ledger=folder / "ledger"),
    )
    operator.start()
    yield Server(operator)
    assert operator.stop() == 0


@pytest.fixture
async def writer(server: Server) -> AsyncIterator[Software]:
    """The cardiologists' software; after each test an ordinary letter still passes."""
    async with Software(server.home, server.operator.ports) as software:
        yield software
        accepted_id(await software.submit(note(WRITER, READER), READER))


@asynccontextmanager
async def as_peer(server: Server, ground: Ground) -> AsyncIterator[Wire]:
    """Connect to the door for operators as the practices do."""
    home = ground.homes[PRACTICES.domain].path
    context = tls.client_context(
        home / "keys/tls.crt", home / "keys/tls.key", anchors_pem=ground.anchors.read_text()
    )
    async with await Wire.open(server.operator.ports["mx"]) as wire:
        await wire.starttls(context)
        yield wire


def with_body(body: bytes) -> bytes:
    """An ordinary letter with another body."""
    return note(WRITER, READER).partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body


def with_field(field: bytes) -> bytes:
    """An ordinary letter with one more field on top."""
    return field + b"\r\n" + note(WRITER, READER)


def folded(octets: int) -> bytes:
    """A field of that many octets, in lines that are short enough."""
    return b"X-Long: x" + b"\r\n x".join([b"y" * 900] * (octets // 900))


BAD_MESSAGES = {
    "bare LF": (with_body(b"one\ntwo\r\n"), 554, "bare-newline"),
    "bare CR": (with_body(b"one\rtwo\r\n"), 554, "bare-newline"),
    "NUL": (with_body(b"one\0two\r\n"), 554, "nul-octet"),
    "long line": (with_body(b"x" * 5_000 + b"\r\n"), 554, "line-too-long"),
    "long header line": (with_field(b"X-Long: " + b"x" * 5_000), 554, "line-too-long"),
    "long header": (with_field(folded(400_000)), 552, "message-limits"),
    "second From": (with_field(b"From: <direction@ch-essai.mssante.fr>"), 554, "message-syntax"),
    "From of somebody else": (
        note(HOSPITAL.other, READER),
        550,
        "sender-not-allowed",
    ),
    "oversize": (with_body((b"x" * 76 + b"\r\n") * 120_000), 552, "message-too-large"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("raw", "code", "name"), BAD_MESSAGES.values(), ids=BAD_MESSAGES.keys())
async def test_a_bad_message_is_refused_and_the_connection_goes_on(
    server: Server, writer: Software, raw: bytes, code: int, name: str
) -> None:
    """The right code, nothing stored, and the next command is a command."""
    before = await server.count()
    async with writer.logged_in() as wire:
        async with server.measured():
            reply = await send(wire, raw, READER, sender=WRITER)

        assert (reply.code, name in reply.text) == (code, True), reply
        assert await server.count() == before
        accepted_id(await send(wire, note(WRITER, READER), READER, sender=WRITER))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code", "status"),
    [
        (f"MAIL FROM:<{HOSPITAL.other}>", 550, "5.7.1"),
        (f"MAIL FROM:<{PRACTICES.mailbox}>", 550, "5.7.1"),
        ("MAIL FROM:<>", 550, "5.7.1"),
        (f"MAIL FROM:<{WRITER}> SIZE=99999999", 552, "5.3.4"),
        (f"MAIL FROM:<{WRITER}> SIZE=-1", 501, "5.5.4"),
        (f"MAIL FROM:<{WRITER}> BODY=BINARYMIME", 501, "5.5.4"),
        ("MAIL FROM:<nobody@@example.org>", 553, "5.1.7"),
        ("MAIL FROM:<not an address>", 501, "5.5.4"),
        ("X" * 4_000, 500, "5.5.2"),
        (f"RCPT TO:<{READER}>", 503, "5.5.1"),
        ("DATA", 503, "5.5.1"),
        ("EXPN staff", 502, "5.5.1"),
    ],
)
async def test_a_bad_command_is_refused(
    server: Server, writer: Software, command: str, code: int, status: str
) -> None:
    """Somebody else's mailbox, sizes that cannot be, and commands out of order."""
    async with writer.logged_in() as wire:
        reply = await wire.ask(command)

        assert (reply.code, reply.status) == (code, status)


@pytest.mark.slow
async def test_a_recipient_too_many_is_put_off(server: Server, writer: Software) -> None:
    """RFC 5321, 4.5.3.1.10: 452 for the one too many, and the others are served."""
    async with writer.logged_in() as wire:
        assert (await wire.ask(f"MAIL FROM:<{WRITER}>")).code == 250
        for address in (READER, HOSPITAL.other):
            assert (await wire.ask(f"RCPT TO:<{address}>")).code == 250
        reply = await wire.ask(f"RCPT TO:<{WRITER}>")

        assert (reply.code, reply.status) == (452, "4.5.3")
        assert (await wire.ask("DATA")).code == 354


@pytest.mark.slow
@pytest.mark.parametrize("door", ["mx", "submission"])
@pytest.mark.parametrize(
    "command",
    [
        f"MAIL FROM:<{WRITER}>",
        f"RCPT TO:<{READER}>",
        "DATA",
        "AUTH PLAIN AGxvZ2ljaWVsAHg=",
        "VRFY postmaster",
    ],
)
async def test_nothing_is_done_before_tls(server: Server, door: str, command: str) -> None:
    """Neither a password nor an address travels in clear."""
    async with await Wire.open(server.operator.ports[door]) as wire:
        assert (await wire.ask("EHLO client.example.org")).code == 250
        reply = await wire.ask(command)

        assert (reply.code, reply.status) == (530, "5.7.0")


@pytest.mark.slow
@pytest.mark.parametrize("door", ["mx", "submission"])
async def test_commands_sent_along_with_starttls_are_never_obeyed(
    server: Server, door: str
) -> None:
    """Whoever sits on the line cannot put words into the mouth of the client (CVE-2011-0411)."""
    async with await Wire.open(server.operator.ports[door]) as wire:
        assert (await wire.ask("EHLO client.example.org")).code == 250
        await wire.send(f"STARTTLS\r\nMAIL FROM:<{WRITER}>\r\n".encode())

        assert (await wire.reply()).code == 503
        assert await wire.is_closed()


@pytest.mark.slow
async def test_mail_smuggled_behind_another_ending_is_one_refused_message(
    server: Server, writer: Software
) -> None:
    """CVE-2023-51764: no second message appears, and the first is refused."""
    before = await server.count()
    hidden = f"\r\n.\nMAIL FROM:<{HOSPITAL.other}>\r\nRCPT TO:<{READER}>\r\nDATA\r\n".encode()
    async with writer.logged_in() as wire:
        raw = note(WRITER, READER) + hidden[2:] + note(HOSPITAL.other, READER)
        reply = await send(wire, raw, READER, sender=WRITER)

        assert (reply.code, "bare-newline" in reply.text) == (554, True)
        assert await server.count() == before


def nested(depth: int, *, is_closed: bool = True) -> bytes:
    """A letter whose multiparts lie one within the other, to their ends or not."""
    body = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (number, number)
        for number in range(depth)
    )
    head = b"".join(
        line + b"\r\n"
        for line in note(WRITER, READER).partition(b"\r\n\r\n")[0].split(b"\r\n")
        if not line.startswith(b"Content-Type")
    )
    ends = b"".join(b"--b%d--\r\n" % number for number in reversed(range(depth)))
    return head + body + b"Content-Type: text/plain\r\n\r\nend\r\n" + (ends if is_closed else b"")


def wide(parts: int) -> bytes:
    """A letter of very many parts."""
    head = nested(0).partition(b"Content-Type: text/plain")[0]
    body = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    return head + body + b"--b\r\n\r\nx\r\n" * parts + b"--b--\r\n"


@dataclass(frozen=True, slots=True)
class Monster:
    """A message that is too much, and the reason for which it is refused."""

    make: Callable[[], bytes]
    code: int
    name: str


MONSTERS = {
    "10 000 deep": Monster(lambda: nested(10_000), 552, "message-limits"),
    "10 000 deep, no end": Monster(lambda: nested(10_000, is_closed=False), 554, "message-syntax"),
    "100 000 parts": Monster(lambda: wide(100_000), 552, "message-limits"),
}
each_monster = pytest.mark.parametrize("monster", MONSTERS.values(), ids=MONSTERS.keys())


@pytest.mark.slow
@each_monster
async def test_a_message_of_too_many_parts_is_refused_to_a_user(
    server: Server, writer: Software, monster: Monster
) -> None:
    """Refused before anything is built of it."""
    raw, before = monster.make(), await server.count()
    async with writer.logged_in() as wire, server.measured():
        reply = await send(wire, raw, READER, sender=WRITER)

    assert (reply.code, monster.name in reply.text) == (monster.code, True), reply
    assert await server.count() == before


@pytest.mark.slow
@each_monster
async def test_a_message_of_too_many_parts_is_refused_to_an_operator(
    server: Server, writer: Software, ground: Ground, monster: Monster
) -> None:
    """Another operator is trusted to be who it is, not to be careful."""
    before = await server.count()
    raw = monster.make().replace(WRITER.encode(), PRACTICES.mailbox.encode())
    async with as_peer(server, ground) as wire, server.measured():
        reply = await send(wire, raw, READER, sender=PRACTICES.mailbox)

    assert (reply.code, monster.name in reply.text) == (monster.code, True), reply
    assert await server.count() == before


@pytest.mark.slow
@each_monster
async def test_a_message_of_too_many_parts_is_refused_to_software(
    server: Server, writer: Software, monster: Monster
) -> None:
    """The same by REST: a problem with the same code."""
    raw, before = monster.make(), await server.count()
    async with server.measured():
        response = await writer.post(raw)

    assert (response.status_code, response.json()["code"]) == (422, monster.name)
    assert await server.count() == before


def archive_of(files: dict[str, bytes]) -> bytes:
    """An archive laid out as IHE XDM wants it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("INDEX.HTM", "<html></html>")
        archive.writestr("README.TXT", "ESSAI")
        for name, octets in files.items():
            archive.writestr(f"IHE_XDM/SUBSET01/{name}", octets)
    return made.getvalue()


def bomb(megaoctets: int) -> bytes:
    """An archive whose document becomes that large when it is opened."""
    return archive_of({"METADATA.XML": b"<x/>", "DOC0001.XML": bytes(megaoctets * MEBIOCTET)})


def lying_bomb() -> bytes:
    """The same, with headers that promise a hundred octets."""
    octets = bytes(100 * MEBIOCTET)
    honest = archive_of({"METADATA.XML": b"<x/>", "DOC0001.XML": octets})
    true_size = len(octets).to_bytes(4, "little")
    assert honest.count(true_size) >= 2
    return honest.replace(true_size, (100).to_bytes(4, "little"))


def crowded() -> bytes:
    """An archive of very many files."""
    return archive_of({f"F{number:05}.TXT": b"" for number in range(20_000)})


def laughing(name: str) -> bytes:
    """An archive in which one XML file has entities that multiply (billion laughs)."""
    entities = b'<!ENTITY a0 "ha">' + b"".join(
        b'<!ENTITY a%d "%s">' % (number, b"&a%d;" % (number - 1) * 10) for number in range(1, 10)
    )
    xml = b"<?xml version='1.0'?><!DOCTYPE x [" + entities + b"]><x>&a9;</x>"
    return archive_of({"METADATA.XML": b"<x/>", "DOC0001.XML": b"<x/>", name: xml})


def peeping() -> bytes:
    """An archive whose metadata wants a file of the server to be read."""
    xml = b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>"
    return archive_of({"METADATA.XML": xml, "DOC0001.XML": b"<x/>"})


def deep_xml() -> bytes:
    """An archive whose metadata is nested without end."""
    return archive_of({"METADATA.XML": b"<x>" * 200_000, "DOC0001.XML": b"<x/>"})


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "zip bomb": lambda: bomb(100),
    "zip bomb that lies": lying_bomb,
    "20 000 files": crowded,
    "entities in METADATA.XML": lambda: laughing("METADATA.XML"),
    "entities in the document": lambda: laughing("DOC0001.XML"),
    "entity of a file": peeping,
    "200 000 deep XML": deep_xml,
    "no archive at all": lambda: b"PK\x03\x04" + zlib.compress(b"nothing"),
}


@pytest.mark.slow
@pytest.mark.parametrize("make", ARCHIVES.values(), ids=ARCHIVES.keys())
async def test_a_bad_archive_is_carried_and_reported(
    server: Server, writer: Software, make: Callable[[], bytes]
) -> None:
    """The letter stays readable; what is wrong with its archive is said, and nothing is built."""
    archive = make()
    raw = compose(WRITER, READER, archive=archive, with_pdf=False)
    async with server.measured():
        sent = accepted_id(await writer.submit(raw, READER))
    message = await writer.get(f"/v1/messages/{sent}")

    async with server.measured():
        documents = await writer.get(f"/v1/messages/{sent}/documents")

    assert [one["severity"] for one in documents["findings"]].count("error") >= 1
    assert "root:" not in str(documents)
    (part,) = [one for one in message["parts"] if one["filename"] == "IHE_XDM.ZIP"]
    assert await writer.octets(part["href"]) == archive
