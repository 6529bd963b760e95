"""Large letters at once: how long does somebody else wait, and how much memory does it take?

Ten letters of 25 MB arrive together while another session says `NOOP` again and again; then fifty
connections bring 1 MB each. `longest_ping_ms` is the worst wait of that session, its worst wait on
the idle server beside it; memory is the largest resident set that the process ever had.
"""

import asyncio
import base64
import os
import ssl
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.performance.accept import connect, letter, server
from tests.performance.compare import tell
from tests.support.operators import HOSPITAL, PASSWORD, PRACTICES, the_ground
from tests.support.wire import Wire

PAUSE_SECONDS = 0.005
CASES = {"10 letters of 25 MB": (10, 25_000_000), "50 letters of 1 MB": (50, 1_000_000)}


def run() -> None:
    """Measure both, each with a server of its own."""
    for case, (letters, octets) in CASES.items():
        with tempfile.TemporaryDirectory(prefix="mss-bench-") as folder:
            home = the_ground().copy(
                HOSPITAL,
                Path(folder),
                {
                    # Many recipients, many commands: one session says NOOP all along.
                    "limits": {"connections_per_host": 100, "recipients": 100_000},
                    "directory": {"ask_peer": False},
                },
            )
            arguments = ["-m", "mss", "--home", str(home.path), "serve", "--only", "submission"]
            with server(arguments, Path(folder)) as (port, process):
                before = _largest_set(process)
                took, idle, busy = asyncio.run(_measure(port, home.anchors, letters, octets))
                tell(
                    bench="large",
                    case=case,
                    seconds=round(took, 2),
                    longest_ping_ms=round(busy * 1000, 1),
                    longest_ping_idle_ms=round(idle * 1000, 1),
                    memory_before_mb=before,
                    memory_largest_mb=_largest_set(process),
                )


async def _measure(
    port: int, anchors: Path, letters: int, octets: int
) -> tuple[float, float, float]:
    """Send them all, and give how long that took, and the waits of the other session."""
    tls = ssl.create_default_context(cafile=str(anchors))
    other = await connect(port, tls, PASSWORD)
    idle = await _ping(other, asyncio.ensure_future(asyncio.sleep(1.0)))
    loop = asyncio.get_running_loop()
    # A process of its own: whoever sends 25 MB has no time to look at the clock.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        sending = loop.run_in_executor(pool, _flood, port, anchors, letters, octets)
        busy = await _ping(other, sending)
        took = await sending
    await other.close()
    return took, idle, busy


def _flood(port: int, anchors: Path, letters: int, octets: int) -> float:
    """Send all letters at once, and give how long that took."""
    return asyncio.run(_send_all(port, ssl.create_default_context(cafile=anchors), letters, octets))


async def _ping(wire: Wire, until: "asyncio.Future[Any]") -> float:
    """Ask for nothing until something is done; give the longest wait for the answer."""
    longest = 0.0
    while not until.done():
        asked = time.perf_counter()
        await wire.ask("NOOP")
        longest = max(longest, time.perf_counter() - asked)
        await asyncio.sleep(PAUSE_SECONDS)
    return longest


async def _send_all(port: int, tls: ssl.SSLContext, letters: int, octets: int) -> float:
    wires = [await connect(port, tls, PASSWORD) for _ in range(letters)]
    text = base64.encodebytes(os.urandom(octets * 73 // 100)).replace(b"\n", b"\r\n")
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for wire in wires:
            group.create_task(_send(wire, letter(text)))
    took = time.perf_counter() - started
    for wire in wires:
        await wire.close()
    return took


async def _send(wire: Wire, body: bytes) -> None:
    for command in (f"MAIL FROM:<{HOSPITAL.mailbox}>", f"RCPT TO:<{PRACTICES.mailbox}>", "DATA"):
        answer = await wire.ask(command)
        assert answer.code in {250, 354}, answer
    for start in range(0, len(body), 65536):
        await wire.send(body[start : start + 65536])
    answer = await wire.reply()
    assert answer.code == 250, answer


def _largest_set(process: int) -> float:
    """Give the largest resident set of a process so far, in MB."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    line = next(one for one in lines if one.startswith("VmHWM:"))
    return round(int(line.split()[1]) / 1000, 1)
