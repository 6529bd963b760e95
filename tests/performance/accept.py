"""Accept mail from 20 connections: our submission door against aiosmtpd that drops everything.

Ours: STARTTLS, login, grammar, identity, directory, signature, encryption, body and rows durable,
then 250. The peer: stock aiosmtpd over STARTTLS, whose handler forgets the message. Each is a
process of its own; the sender shares the machine with them. `p99_ms` is from the end of the data to
the reply.
"""

import asyncio
import base64
import os
import select
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import uuid4

from tests.performance.compare import compare
from tests.support.operators import (
    ACCOUNT,
    HOSPITAL,
    PASSWORD,
    PRACTICES,
    the_ground,
)
from tests.support.wire import Wire

CONNECTIONS = 20
SIZES = {"10 kB": (10_000, 600), "100 kB": (100_000, 300)}
READY_SECONDS = 30.0
# Run in a process of its own: a certificate, its key and a port to print.
PEER = """
import asyncio, ssl, sys
from aiosmtpd.smtp import SMTP

class Drop:
    async def handle_DATA(self, server, session, envelope):
        return "250 forgotten"

async def main():
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(sys.argv[1], sys.argv[2])
    make = lambda: SMTP(Drop(), hostname="peer", tls_context=tls, data_size_limit=None)
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    print(f"ready submission={server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()

try:
    import uvloop
    uvloop.run(main())
except ImportError:
    asyncio.run(main())
"""


def run() -> None:
    """Measure both, for small and for usual letters."""
    with tempfile.TemporaryDirectory(prefix="mss-bench-") as folder:
        home = the_ground().copy(
            HOSPITAL,
            Path(folder),
            {"limits": {"connections_per_host": 100}, "directory": {"ask_peer": False}},
        )
        serve = ["-m", "mss", "--home", str(home.path), "serve", "--only", "submission"]
        keys = home.path / "keys"
        peer = ["-c", PEER, str(keys / "tls.crt"), str(keys / "tls.key")]
        tls = ssl.create_default_context(cafile=str(home.anchors))
        with server(serve, Path(folder)) as (ours, _), server(peer, Path(folder)) as (theirs, _):
            for name, (octets, times) in SIZES.items():
                _compare(
                    f"{name}, {CONNECTIONS} connections, STARTTLS",
                    {
                        "mss": _Door(port=ours, tls=tls, password=PASSWORD),
                        "aiosmtpd, drop": _Door(port=theirs, tls=tls),
                    },
                    octets=octets,
                    times=times,
                )


def _compare(case: str, doors: dict[str, "_Door"], *, octets: int, times: int) -> None:
    compare(
        "accept",
        case,
        {name: partial(door.measure, octets, times) for name, door in doors.items()},
        p99_ms=lambda: {name: door.p99_ms() for name, door in doors.items()},
    )


@contextmanager
def server(arguments: list[str], folder: Path) -> Iterator[tuple[int, int]]:
    """Run a server; give the port that it says it is ready at, and its process."""
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert process.stdout is not None, "it is a pipe"
        readable, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
        line = process.stdout.readline() if readable else ""
        if not line.startswith("ready"):
            raise RuntimeError((folder / "server.log").read_text()[-2000:])
        yield int(line.split("submission=")[1].split()[0]), process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Door:
    """A server that takes mail, and how long it let us wait."""

    port: int
    tls: ssl.SSLContext
    password: str = ""
    waits: list[float] = field(default_factory=list)

    def measure(self, octets: int, times: int) -> float:
        """Send from all connections at once, and give the rate."""
        return asyncio.run(self._send_all(octets, times))

    async def _send_all(self, octets: int, times: int) -> float:
        """Connect and log in, which is not counted, and send."""
        wires = [await connect(self.port, self.tls, self.password) for _ in range(CONNECTIONS)]
        text = base64.encodebytes(os.urandom(octets * 73 // 100)).replace(b"\n", b"\r\n")
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for wire in wires:
                group.create_task(_send(wire, text, times // CONNECTIONS, self.waits))
        took = time.perf_counter() - started
        for wire in wires:
            await wire.close()
        return times // CONNECTIONS * CONNECTIONS / took

    def p99_ms(self) -> float:
        """Give the wait for the reply after the data that one letter in a hundred exceeds."""
        return round(sorted(self.waits)[int(len(self.waits) * 0.99)] * 1000, 1)


async def connect(port: int, tls: ssl.SSLContext, password: str) -> Wire:
    """Connect, switch to TLS and log in, where there is a password."""
    wire = await Wire.open(port)
    await wire.starttls(tls)
    if password:
        secret = base64.b64encode(f"\0{ACCOUNT}\0{password}".encode()).decode()
        answer = await wire.ask(f"AUTH PLAIN {secret}")
        assert answer.code == 235, answer
    return wire


async def _send(wire: Wire, text: bytes, times: int, waits: list[float]) -> None:
    for _ in range(times):
        await _expect(wire, f"MAIL FROM:<{HOSPITAL.mailbox}>", 250)
        await _expect(wire, f"RCPT TO:<{PRACTICES.mailbox}>", 250)
        await _expect(wire, "DATA", 354)
        await wire.send(letter(text))
        sent = time.perf_counter()
        answer = await wire.reply()
        waits.append(time.perf_counter() - sent)
        assert answer.code == 250, answer


async def _expect(wire: Wire, command: str, code: int) -> None:
    answer = await wire.ask(command)
    assert answer.code == code, answer


def letter(text: bytes) -> bytes:
    """A letter with an attachment, as it is sent after DATA; base64 has no line of dots."""
    head = (
        f"From: <{HOSPITAL.mailbox}>\r\nTo: <{PRACTICES.mailbox}>\r\nSubject: essai\r\n"
        f"Message-ID: <{uuid4().hex}@{HOSPITAL.domain}>\r\n"
        "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode() + text + b".\r\n"
