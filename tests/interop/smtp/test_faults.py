"""Postfix's `smtp-sink` misbehaves at each step, and `smtp-source` sends by the hundred."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from crypto import tls
from mss.model.delivery import Deferred, Outcome, Refused, Relayed
from tests.interop.smtp.conftest import Note
from tests.interop.smtp.fronts import before_door, before_sink
from tests.interop.smtp.letters import a_letter
from tests.interop.smtp.test_letters import OUT, a_delivery
from tests.support.daemons import await_port, free_port, started
from tests.support.debian import PeerMissingError, unpacked
from tests.support.operators import (
    HOSPITAL,
    PRACTICES,
    AddressBook,
    Ground,
    Home,
    Running,
    Software,
    accepted_id,
    note,
    until,
)

pytestmark = [
    pytest.mark.interop,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]
SINK = "smtp-sink"
Sink = Callable[..., AbstractContextManager[int]]
AsyncSink = Callable[[int], AbstractAsyncContextManager[int]]
# What the sink is told -> what becomes of an attempt, and its code.
FAULTS: dict[str, tuple[tuple[str, ...], type[Outcome], str]] = {
    "hangs up after the dot": (("-q", "."), Deferred, "reply-lost"),
    "hangs up at MAIL": (("-q", "mail"), Deferred, "connection-lost"),
    "hangs up at RCPT": (("-q", "rcpt"), Deferred, "connection-lost"),
    "hangs up at DATA": (("-q", "data"), Deferred, "connection-lost"),
    "421 after the dot": (("-Q", "."), Deferred, "peer-deferred"),
    "421 at MAIL": (("-Q", "mail"), Deferred, "host-unavailable"),
    "421 at RCPT": (("-Q", "rcpt"), Deferred, "host-unavailable"),
    "421 at DATA": (("-Q", "data"), Deferred, "host-unavailable"),
    "soft no at EHLO": (("-r", "ehlo"), Deferred, "host-unavailable"),
    "soft no at MAIL": (("-r", "mail"), Deferred, "peer-deferred"),
    "soft no at RCPT": (("-r", "rcpt"), Deferred, "peer-deferred"),
    "soft no at DATA": (("-r", "data"), Deferred, "peer-deferred"),
    "soft no after the dot": (("-r", "."), Deferred, "peer-deferred"),
    "hard no at MAIL": (("-f", "mail"), Refused, "peer-refused"),
    "hard no at RCPT": (("-f", "rcpt"), Refused, "peer-refused"),
    "hard no at DATA": (("-f", "data"), Refused, "peer-refused"),
    "hard no after the dot": (("-f", "."), Refused, "peer-refused"),
    "slow at the dot": (("-W", ".:3"), Deferred, "reply-lost"),
    "no pipelining": (("-p",), Relayed, ""),
    "no 8-bit": (("-8",), Relayed, ""),
}


def postfix_program(name: str) -> tuple[str, dict[str, str]]:
    """Find a test program of Postfix, and what its environment must be."""
    try:
        root = unpacked("postfix")
    except PeerMissingError as error:
        pytest.skip(str(error))
    return str(root / "usr/sbin" / name), {"LD_LIBRARY_PATH": str(root / "usr/lib/postfix")}


@pytest.fixture
def sink(tmp_path: Path) -> Sink:
    """Run a sink that keeps what it takes, and behaves as it is told."""

    @contextmanager
    def run(*options: str) -> Iterator[int]:
        port = free_port()
        program, variables = postfix_program(SINK)
        user = ("-u", "root") if os.geteuid() == 0 else ()
        kept = ("-d", f"{tmp_path}/kept.")
        command = [program, *options, *user, *kept, f"127.0.0.1:{port}", "100"]
        with started(command, tmp_path, variables):
            await_port(port, tmp_path)
            yield port

    return run


@pytest.fixture
def as_practices(ground: Ground) -> AsyncSink:
    """Stand in front of a sink with the certificate of the practices."""
    keys = ground.homes[PRACTICES.domain].path / "keys"
    return partial(before_sink, tls=tls.server_context(keys / "tls.crt", keys / "tls.key"))


@pytest.fixture(scope="module")
def hospital_home(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A hospital that waits no longer than two seconds."""
    relay = {"connect_seconds": 2, "command_seconds": 2, "data_seconds": 2}
    return ground.copy(HOSPITAL, tmp_path_factory.mktemp("hospital"), {"relay": relay})


@pytest.mark.parametrize("case", FAULTS)
async def test_a_fault_ends_in_the_right_outcome(
    hospital: Running,
    book: AddressBook,
    sink: Sink,
    as_practices: AsyncSink,
    case: str,
    note_case: Note,
) -> None:
    """What is temporary is tried again, what is final is told, and a lost reply is no reply."""
    note_case(SINK, OUT, case)
    options, kind, code = FAULTS[case]
    raw = a_letter(HOSPITAL.mailbox, PRACTICES.mailbox, b"a\r\n")
    with sink(*options) as port:
        async with as_practices(port) as front:
            book.ports[PRACTICES.domain] = front
            relay = hospital.operator.services.delivering.relay

            (outcome,) = await relay.relay([a_delivery()], raw)

    assert isinstance(outcome, kind), outcome
    assert getattr(outcome, "code", "") == code


async def test_after_a_lost_reply_the_same_octets_go_again(
    hospital: Running,
    book: AddressBook,
    sink: Sink,
    as_practices: AsyncSink,
    tmp_path: Path,
    note_case: Note,
) -> None:
    """Two copies may arrive, never two different ones, so that the other side can tell."""
    note_case(SINK, OUT, "lost reply, then again")
    async with Software(hospital.home, hospital.ports) as writer:
        with sink("-q", ".") as port:
            async with as_practices(port) as front:
                book.ports[PRACTICES.domain] = front
                raw = note(HOSPITAL.mailbox, PRACTICES.mailbox)
                sent = accepted_id(await writer.submit(raw, PRACTICES.mailbox))
                await writer.await_station(sent, "deferred")
        with sink() as port:
            async with as_practices(port) as front:
                book.ports[PRACTICES.domain] = front
                await writer.await_station(sent, "relayed")

    copies = _letters_in(tmp_path)
    assert len(copies) >= 2
    assert len(set(copies)) == 1


def _letters_in(folder: Path) -> list[bytes]:
    """Read what a sink has kept, without what it writes above."""
    kept = [one.read_bytes() for one in folder.glob("kept.*")]
    return [one[one.index(b"Received: from localhost\n by mta.") :] for one in kept]


LETTERS = 300


async def test_hundreds_of_letters_arrive_each_once(
    hospital: Running, ground: Ground, note_case: Note
) -> None:
    """`smtp-source`, ten connections at once, through TLS with the practices' certificate."""
    note_case("smtp-source", "they to us", f"{LETTERS} letters")
    keys = ground.homes[PRACTICES.domain].path / "keys"
    context = tls.client_context(
        keys / "tls.crt", keys / "tls.key", anchors_pem=ground.anchors.read_text()
    )
    async with (
        before_door(hospital.ports["mx"], context) as front,
        Software(hospital.home, hospital.ports) as reader,
    ):
        before = (await hospital.count())["deposit"]
        assert await _source(front) == 0

        async def all_are_there() -> bool:
            return (await hospital.count())["deposit"] == before + LETTERS

        await until(all_are_there, f"{LETTERS} letters")
        assert len(await reader.listed()) == 100  # the longest page


async def test_without_tls_the_source_is_sent_away(hospital: Running, note_case: Note) -> None:
    """Not one letter in clear, whatever it tries."""
    note_case("smtp-source", "they to us", "refused in clear")
    before = (await hospital.count())["message"]

    assert await _source(hospital.ports["mx"]) != 0

    assert (await hospital.count())["message"] == before


async def _source(port: int) -> int:
    program, variables = postfix_program("smtp-source")
    load = ("-d", "-s", "10", "-m", str(LETTERS), "-l", "2000")
    process = await asyncio.create_subprocess_exec(
        program,
        *load,
        *("-f", PRACTICES.mailbox, "-t", HOSPITAL.mailbox, f"127.0.0.1:{port}"),
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        return await process.wait()
