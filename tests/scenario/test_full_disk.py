"""A full disk is ours to mend: whoever has the letter keeps it; nothing of it is half-stored."""

import asyncio
import os
import resource
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

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
    count_rows,
    note,
    operating,
)

WRITER, READER = HOSPITAL.mailbox, HOSPITAL.red_list
LARGEST_FILE = 3 * 2**20
BIG = "x" * 70 + "\r\n"
DISK_OCTETS = 8 * 2**20
SPARE_OCTETS = 2**20


def big_letter(author: str, to: str) -> bytes:
    """A letter larger than any file may be now."""
    return note(author, to, text=BIG * (LARGEST_FILE // len(BIG) + 1))


@asynccontextmanager
async def apart(home: Home, book: AddressBook, ledger: Path) -> AsyncIterator[MortalOperator]:
    """An operator in a process of its own, whose limits can be changed from here."""
    operator = MortalOperator(home=home, book=book, fate=Fate(ledger=ledger))
    await asyncio.to_thread(operator.start)
    try:
        yield operator
        assert await asyncio.to_thread(operator.stop) == 0
    finally:
        operator.kill()


def limit_files(operator: MortalOperator, octets: int) -> None:
    """Let no file of the process grow any further than this."""
    resource.prlimit(operator.pid, resource.RLIMIT_FSIZE, (octets, resource.RLIM_INFINITY))


async def count(home: Home) -> dict[str, int]:
    """Count rows and bodies, from beside."""
    settings = home.settings()
    database = open_database(settings.database_url)
    try:
        counted = await database.read(count_rows)
    finally:
        await database.aclose()
    sealer = homes.load_sealer(settings.home)
    async with open_blob_store(settings, clock=SystemClock(), sealer=sealer) as blobs:
        return {**counted, "bodies": len([one async for one in blobs.iter_records()])}


@pytest.mark.slow
async def test_a_user_keeps_a_letter_that_finds_no_room(
    hospital_home: Home, tmp_path: Path
) -> None:
    """452 and 503 while there is no room; the same letter passes when there is some, once."""
    raw, before = big_letter(WRITER, READER), await count(hospital_home)
    async with (
        apart(hospital_home, AddressBook(), tmp_path / "ledger") as operator,
        Software(hospital_home, operator.ports) as writer,
    ):
        limit_files(operator, LARGEST_FILE)
        reply = await writer.submit(raw, READER)
        response = await writer.post(raw)

        assert (reply.code, reply.status, "store-full" in reply.text) == (452, "4.3.1", True)
        assert (response.status_code, response.json()["code"]) == (503, "store-full")
        assert await count(hospital_home) == before
        accepted_id(await writer.submit(note(WRITER, READER), READER))

        limit_files(operator, resource.RLIM_INFINITY)
        sent = accepted_id(await writer.submit(raw, READER))
        assert len(await writer.listed("inbox", mailbox=READER)) == 2
        assert raw.partition(b"\r\n\r\n")[2] in await writer.octets(f"/v1/messages/{sent}/raw")


@pytest.mark.slow
async def test_an_operator_keeps_a_letter_that_finds_no_room(
    hospital_home: Home, practices_home: Home, tmp_path: Path
) -> None:
    """The peer answers 452, so the letter waits with us, and arrives once when there is room."""
    before, book = await count(practices_home), AddressBook()
    async with (
        operating(hospital_home, book=book) as hospital,
        apart(practices_home, book, tmp_path / "ledger") as practices,
        Software(hospital_home, hospital.ports) as writer,
        Software(practices_home, practices.ports) as reader,
    ):
        limit_files(practices, LARGEST_FILE)
        raw = big_letter(HOSPITAL.mailbox, PRACTICES.mailbox)
        sent = accepted_id(await writer.submit(raw, PRACTICES.mailbox))
        await writer.await_station(sent, "deferred")

        (deferral, *_) = [
            one for one in await writer.timeline(sent) if one["station"] == "deferred"
        ]
        assert deferral["code"] == "peer-deferred"
        assert "452 4.3.1" in deferral["detail"]
        assert await count(practices_home) == before

        limit_files(practices, resource.RLIM_INFINITY)
        await writer.await_station(sent, "delivered")
        assert len(await reader.await_inbox()) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of eight mebioctets of this test's own, where the machine lets us have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_OCTETS}", "mss-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def cramped_home(ground: Ground, small_disk: Path) -> Home:
    """A hospital whose rows and bodies lie on that disk."""
    return ground.copy(HOSPITAL, small_disk)


@pytest.mark.slow
async def test_a_disk_without_a_single_free_octet(cramped_home: Home, tmp_path: Path) -> None:
    """Rows and bodies find no room at once; reading goes on, and so does all when it is freed."""
    filler = cramped_home.path / "filler"
    raw = note(WRITER, READER)
    async with (
        apart(cramped_home, AddressBook(), tmp_path / "ledger") as operator,
        Software(cramped_home, operator.ports) as writer,
    ):
        first = accepted_id(await writer.submit(note(WRITER, READER), READER))
        before = await count(cramped_home)
        fill(filler)
        reply = await writer.submit(raw, READER)
        response = await writer.post(raw)

        assert (reply.code, reply.status) == (452, "4.3.1")
        assert (response.status_code, response.json()["code"]) == (503, "store-full")
        assert await count(cramped_home) == before
        assert (await writer.get(f"/v1/messages/{first}"))["id"] == first

        filler.unlink()
        accepted_id(await writer.submit(raw, READER))
        assert len(await writer.listed("inbox", mailbox=READER)) == 2


@pytest.mark.slow
async def test_a_letter_for_which_the_spool_has_no_room(cramped_home: Home, tmp_path: Path) -> None:
    """452 once the disk is full in the midst of it; its room is free again, and small mail goes on.

    What is larger than the memory's share waits on the disk while it arrives, so it meets a full
    disk before it was judged, and long before it would be stored.
    """
    filler = cramped_home.path / "filler"
    large = note(WRITER, READER, text=BIG * (SPARE_OCTETS * 2 // len(BIG)))
    async with (
        apart(cramped_home, AddressBook(), tmp_path / "ledger") as operator,
        Software(cramped_home, operator.ports) as writer,
    ):
        accepted_id(await writer.submit(note(WRITER, READER), READER))
        before = await count(cramped_home)
        fill(filler)
        os.truncate(filler, filler.stat().st_size - SPARE_OCTETS)
        reply = await writer.submit(large, READER)

        assert (reply.code, reply.status, "store-full" in reply.text) == (452, "4.3.1", True)
        assert list((cramped_home.path / "spool").iterdir()) == []
        assert free_octets(cramped_home.path) > SPARE_OCTETS // 2
        assert await count(cramped_home) == before
        accepted_id(await writer.submit(note(WRITER, READER), READER))

        filler.unlink()
        accepted_id(await writer.submit(large, READER))
        assert len(await writer.listed("inbox", mailbox=READER)) == 3


def free_octets(folder: Path) -> int:
    """Say how much room a disk has."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def fill(file: Path) -> None:
    """Write until there is no room left, to the last octet."""
    with file.open("wb", buffering=0) as stream:
        size = 2**16
        while size:
            try:
                stream.write(bytes(size))
            except OSError:
                size //= 2
