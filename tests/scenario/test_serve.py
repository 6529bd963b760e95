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
from tests.support.wire import Wire

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


def members_of(process: Process) -> set[int]:
    """The processes behind the one that listens."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    return set(map(int, listed.split()))


def is_running(pid: int) -> bool:
    """Whether there is such a process, other than one that only waits to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.slow
async def test_a_member_of_the_crew_that_dies_is_replaced(home: Home) -> None:
    """The others go on meanwhile, and whoever was connected to it comes again."""
    async with serving(home, "--processes", "2") as (process, ports):
        before = members_of(process)
        assert len(before) == 2
        victim = max(before)
        os.kill(victim, signal.SIGKILL)

        async def is_complete() -> bool:
            now = members_of(process)
            return len(now) == 2 and victim not in now

        await until(is_complete, "another member")
        async with Software(home, ports) as writer:
            accepted_id(await writer.submit(note(WRITER, READER), READER))
        process.send_signal(signal.SIGTERM)
        assert await status_of(process) == 0
    (complaint,) = errors_in(home)
    assert f"process {victim} has ended (-9)" in complaint


@pytest.mark.slow
async def test_connections_are_counted_over_all_members(home: Home) -> None:
    """Twice as many processes must not let a host in twice as often."""
    home.configure({"limits": {"connections_per_host": 3}})
    async with serving(home, "--processes", "2") as (_, ports):
        port = ports["submission"]
        wires = [await Wire.open(port) for _ in range(3)]
        async with await Wire.open(port, greet=False) as refused:
            assert (await refused.reply()).code == 421
        await wires.pop().close()

        async def has_room() -> bool:
            async with await Wire.open(port, greet=False) as another:
                return (await another.reply()).code == 220

        await until(has_room, "room for one more")
        for wire in wires:
            await wire.close()


@pytest.mark.slow
async def test_members_do_not_outlive_the_one_that_listens(home: Home) -> None:
    """Nobody would ever tell them to stop, and their locks would stay."""
    async with serving(home, "--processes", "2") as (process, _):
        members = members_of(process)
        process.kill()
        await process.wait()

        async def are_gone() -> bool:
            return not any(map(is_running, members))

        await until(are_gone, "the end of the members")


@pytest.mark.slow
async def test_a_start_that_fails_is_said_once(home: Home) -> None:
    """One file that cannot be used, one line, and the status of a trouble of ours."""
    (home.path / "keys" / "tls.crt").write_text("no certificate", encoding="ascii")
    command = [sys.executable, "-m", "mss", "--home", str(home.path), "serve", "--processes", "2"]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=PIPE)
    async with asyncio.timeout(PATIENCE_SECONDS):
        said, complained = await process.communicate()

    assert (process.returncode, said) == (3, b"")
    assert complained.decode().count("tls.crt") == 1


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
