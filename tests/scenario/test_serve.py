"""`mss serve` as an administrator runs it: a process, a line that says ready, and signals."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.crashing import Fate, MortalOperator
from tests.support.operators import (
    HOSPITAL,
    PATIENCE_SECONDS,
    PRACTICES,
    AddressBook,
    Ground,
    Home,
    Software,
    accepted_id,
    note,
    until,
)

ROOT = Path(__file__).parents[2]
WRITER, READER = HOSPITAL.mailbox, HOSPITAL.red_list


@asynccontextmanager
async def serving(home: Home, *options: str) -> AsyncIterator[tuple[Process, dict[str, int]]]:
    """Run the command until the block ends; gives the process and its ports."""
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("MSS_")}
    log = (home.path / "serve.log").open("wb")
    command = [sys.executable, "-m", "mss", "--home", str(home.path), "serve", *options]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environment, stdout=PIPE, stderr=log
    )
    log.close()
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            word, *bound = (await process.stdout.readline()).decode().split() or [""]
        assert word == "ready", (home.path / "serve.log").read_text()
        ports = (one.partition("=") for one in bound)
        yield process, {name: int(port) for name, _, port in ports}
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def status_of(process: Process) -> int:
    """Wait for the end of a process."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await process.wait()


def errors_in(home: Home) -> list[str]:
    """What the process logged that it should not have had to."""
    lines = (home.path / "serve.log").read_text(encoding="utf-8").splitlines()
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    return [str(one) for one in logged if one["level"] in {"error", "critical", "warning"}]


@pytest.fixture
def home(ground: Ground, tmp_path: Path) -> Home:
    """A hospital with every listener."""
    listen = {"submissions": "127.0.0.1:0", "admin": "127.0.0.1:0"}
    return ground.copy(HOSPITAL, tmp_path, {"listen": listen})


@pytest.mark.slow
@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_ready_serves_and_ends_in_order(home: Home, name: signal.Signals) -> None:
    """Ready means ready; the end is quiet, whoever is still connected."""
    async with serving(home) as (process, ports):
        assert set(ports) == {"mx", "submission", "submissions", "api", "admin"}
        async with Software(home, ports) as writer:
            ready = await writer.http.get("/health/ready")
            assert (ready.status_code, ready.json()["status"]) == (200, "ready")
            accepted_id(await writer.submit(note(WRITER, READER), READER))
            async with httpx.AsyncClient(trust_env=False) as visitor:
                metrics = await visitor.get(f"http://127.0.0.1:{ports['admin']}/metrics")
                assert metrics.status_code in {200, 404}

            process.send_signal(name)
            # Both HTTP clients keep their connections; neither holds up the end.
            async with asyncio.timeout(10):
                assert await process.wait() == 0
        assert errors_in(home) == []


@pytest.mark.slow
async def test_a_letter_under_way_is_answered_before_the_end(home: Home) -> None:
    """SIGTERM in the middle of DATA: the letter is accepted; whoever only waits is told to go."""
    raw = note(WRITER, READER, text="line\r\n" * 2_000)
    async with serving(home) as (process, ports), Software(home, ports) as writer:
        async with writer.logged_in() as sending, writer.logged_in() as waiting:
            for command in (f"MAIL FROM:<{WRITER}>", f"RCPT TO:<{READER}>", "DATA"):
                assert (await sending.ask(command)).code < 400
            await sending.send(raw[:1_000])

            process.send_signal(signal.SIGTERM)

            assert (await waiting.reply()).code == 421
            assert await refuses(ports["submission"])
            await sending.send(raw[1_000:] + b".\r\n")
            sent = accepted_id(await sending.reply())
            assert (await sending.reply()).code == 421
        assert await status_of(process) == 0
        assert errors_in(home) == []

    async with serving(home) as (_, ports), Software(home, ports) as reader:
        assert [one["id"] for one in await reader.listed(mailbox=READER)] == [sent]


async def refuses(port: int) -> bool:
    """Nobody new is let in."""

    async def is_closed() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return True
        writer.transport.abort()
        return False

    await until(is_closed, "a closed door")
    return True


@pytest.mark.slow
async def test_only_the_parts_that_are_named_run(home: Home) -> None:
    """The API and the worker may be processes of their own on one home."""
    async with (
        serving(home, "--only", "api") as (api, ports),
        serving(home, "--only", "submission,worker") as (door, others),
        Software(home, {**ports, **others}) as writer,
    ):
        assert set(ports) == {"api", "admin"}
        assert set(others) == {"submission", "submissions"}
        accepted_id(await writer.submit(note(WRITER, READER), READER))
        assert len(await writer.listed(mailbox=READER)) == 1

        api.send_signal(signal.SIGTERM)
        door.send_signal(signal.SIGTERM)
        assert (await status_of(api), await status_of(door)) == (0, 0)


@pytest.mark.slow
async def test_operators_that_stop_at_once_part_without_a_complaint(
    home: Home, practices_home: Home, tmp_path: Path
) -> None:
    """An idle session lies between them, and each closes its end while the other does."""
    book = AddressBook()
    practices, hospital = (
        MortalOperator(home=one, book=book, fate=Fate(ledger=tmp_path / one.cast.domain / "ledger"))
        for one in (practices_home, home)
    )
    for one in (practices, hospital):
        await asyncio.to_thread(one.start)
    async with Software(home, hospital.ports) as writer:
        raw = note(WRITER, PRACTICES.mailbox)
        sent = accepted_id(await writer.submit(raw, PRACTICES.mailbox))
        await writer.await_station(sent, "relayed")

    statuses = await asyncio.gather(*(asyncio.to_thread(one.stop) for one in (practices, hospital)))

    assert statuses == [0, 0]
    assert (errors_in(practices_home), errors_in(home)) == ([], [])
