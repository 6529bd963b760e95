"""Is a letter on disk before we say that we have it? The kernel's own record of our calls.

`strace` is attached to `mss serve` while letters come in. In its record a letter is the one long
run of reads of a connection, and the reply is the first write to that connection behind it. Between
the two, the body's segment must have been synced, and after that the database's log.
"""

import asyncio
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.smtp.conftest import Note
from tests.interop.smtp.letters import a_letter
from tests.scenario.test_serve import serving
from tests.support.operators import HOSPITAL, Ground, Home, Software, until

pytestmark = [pytest.mark.interop, pytest.mark.slow]
STRACE = "strace"
CALLS = "read,recvfrom,recvmsg,write,writev,sendto,sendmsg,fsync,fdatasync"
BODY = b"a line of seventy octets, which is neither the first nor the last one\r\n" * 1500
_CALL = re.compile(r"^(\d+) +(\w+)\(\d+<(.*?)>(?:[,)]| <unfinished)")
_REST = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>")
_RESULT = re.compile(r"= (-?\d+)[^=]*$")
READS = frozenset({"read", "recvfrom", "recvmsg"})
SYNCS = frozenset({"fsync", "fdatasync"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call to the kernel: of which file, and the lines where it began and ended."""

    name: str
    file: str
    began: int
    ended: int
    result: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A letter that came, and the reply to it, as lines of the record."""

    first_read: int
    last_read: int
    reply: int


@asynccontextmanager
async def recorded(pid: int, record: Path) -> AsyncIterator[None]:
    """Attach to a process and all its threads until the block ends."""
    program = shutil.which(STRACE)
    if program is None:
        pytest.skip("Missing, as root: apt-get install strace")
    options = ("-f", "-yy", "-s", "16", "-e", f"trace={CALLS}", "-o", str(record), "-p", str(pid))
    process = await asyncio.create_subprocess_exec(program, *options, stdout=DEVNULL, stderr=PIPE)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(20):
            word = await process.stderr.readline()
        if b"attached" not in word:
            pytest.skip(f"strace cannot attach here: {word.decode()}")
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def calls_of(record: Path) -> list[Call]:
    """Read a record, in the order of beginnings."""
    begun: dict[str, tuple[str, str, int]] = {}
    calls = []
    for number, line in enumerate(record.read_text(errors="replace").splitlines()):
        start, rest, result = _CALL.match(line), _REST.match(line), _RESULT.search(line)
        if start is not None:
            begun[start[1]] = (start[2], start[3], number)
        elif rest is None or rest[1] not in begun:
            continue
        if result is not None and not line.endswith("<unfinished ...>"):
            name, file, at = begun.pop((start or rest or _never())[1])
            calls.append(Call(name=name, file=file, began=at, ended=number, result=int(result[1])))
    return sorted(calls, key=lambda one: one.began)


def _never() -> re.Match[str]:
    raise AssertionError("one of them has matched")


def replies_in(calls: Iterable[Call], *, size: int) -> list[Reply]:
    """Find the runs of reads of at least so many octets, and the first write behind each."""
    runs: dict[str, list[Call]] = {}
    found = []
    for one in calls:
        if "TCP" not in one.file or one.result <= 0:
            continue
        run = runs.setdefault(one.file, [])
        if one.name in READS:
            run.append(one)
            continue
        if sum(each.result for each in run) >= size:
            found.append(Reply(first_read=run[0].began, last_read=run[-1].ended, reply=one.began))
        run.clear()
    return found


def is_durable(reply: Reply, calls: Iterable[Call]) -> bool:
    """Tell whether body and then row were synced between the letter and the reply."""
    syncs = [
        one
        for one in calls
        if one.name in SYNCS
        and one.result == 0
        and reply.first_read < one.began
        and one.ended < reply.reply
    ]
    bodies = [one for one in syncs if "/blobs/" in one.file]
    rows = [one for one in syncs if "mss.db" in one.file]
    return any(body.ended < row.began for body in bodies for row in rows)


@pytest.fixture
def home(ground: Ground, tmp_path: Path) -> Home:
    """A hospital on SQLite and local bodies."""
    return ground.copy(HOSPITAL, tmp_path)


@pytest.mark.parametrize("together", [1, 8], ids=["one letter", "eight that commit together"])
@pytest.mark.parametrize("door", ["SMTP", "REST"])
async def test_letters_are_synced_before_they_are_confirmed(
    home: Home, tmp_path: Path, together: int, door: str, note_case: Note
) -> None:
    """Body, then row, then `250` or `202`: for each letter, however many share a sync."""
    note_case(STRACE, door, f"{together} synced before the reply")
    record = tmp_path / "record"
    letters = [a_letter(HOSPITAL.mailbox, HOSPITAL.red_list, BODY) for _ in range(together)]
    async with serving(home) as (process, ports), Software(home, ports) as writer:
        # Connections are made before: what a handshake writes last is no reply.
        await asyncio.gather(*(writer.listed() for _ in letters))
        async with recorded(process.pid, record):
            if door == "SMTP":
                handed = await asyncio.gather(
                    *(writer.submit(one, HOSPITAL.red_list) for one in letters)
                )
                assert [one.code for one in handed] == [250] * together
            else:
                posted = await asyncio.gather(*(writer.post(one) for one in letters))
                assert [one.status_code for one in posted] == [202] * together

            async def is_written() -> bool:
                return len(replies_in(calls_of(record), size=len(BODY))) == together

            await until(is_written, "the replies in the record")

    calls = calls_of(record)
    replies = replies_in(calls, size=len(BODY))
    assert len(replies) == together
    assert [is_durable(one, calls) for one in replies] == [True] * together


RECORD = (
    '7 read(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, "x", 262144) = 5000',
    "8 fdatasync(5</h/blobs/s1> <unfinished ...>",
    '7 read(11<pipe:[1]>, "y", 8) = 8',
    "8 <... fdatasync resumed>) = 0",
    "9 fdatasync(6</h/mss.db-wal>) = 0",
    '7 write(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, "z", 90) = 90',
)


@pytest.mark.parametrize(
    ("order", "durable"),
    [
        ((0, 1, 2, 3, 4, 5), True),
        ((0, 1, 2, 3, 5, 4), False),
        ((0, 4, 1, 2, 3, 5), False),
        ((0, 1, 2, 4, 5, 3), False),
        ((1, 3, 0, 2, 4, 5), False),
    ],
    ids=["in order", "no row", "row before body", "body too late", "body of another letter"],
)
def test_the_record_is_read_right(tmp_path: Path, order: tuple[int, ...], *, durable: bool) -> None:
    """A sync that ends too late, or began too early, is no sync."""
    record = tmp_path / "record"
    record.write_text("\n".join(RECORD[number] for number in order))
    calls = calls_of(record)

    (reply,) = replies_in(calls, size=4000)

    assert is_durable(reply, calls) is durable
