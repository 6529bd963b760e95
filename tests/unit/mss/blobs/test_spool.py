import errno
import gc
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.quarantine import SealedTemporaryFile
from mss.blobs.spool import MEMORY_OCTETS, Spool, SpooledOctets
from mss.errors import StoreFullError, StoreUnavailableError

SECRET = b"Hemoglobine 13,2 g/dL\r\n"


def fill(spooled: SpooledOctets, octets: int) -> None:
    for _ in range(octets // len(SECRET)):
        spooled.write(SECRET)


def filled(spool: Spool, octets: int) -> SpooledOctets:
    spooled = spool.open()
    fill(spooled, octets)
    return spooled


def files_of_process(folder: Path) -> list[bytes]:
    """The contents of every file in *folder* that this process holds open, named or not."""
    links = Path("/proc/self/fd")
    held = []
    for link in links.iterdir():
        try:
            if str(link.readlink()).startswith(str(folder)):
                held.append(link.read_bytes())
        except OSError:
            continue
    return held


@given(blocks=st.lists(st.binary(max_size=200_000), max_size=6))
@settings(max_examples=30, deadline=None)
def test_what_was_written_is_read(blocks: Sequence[bytes]) -> None:
    """In memory or on the disk, nobody can tell the difference."""
    spooled = Spool().open()
    for block in blocks:
        spooled.write(block)

    assert spooled.read() == b"".join(blocks)
    assert spooled.size_octets == len(b"".join(blocks))
    assert spooled.is_on_disk == (spooled.size_octets > MEMORY_OCTETS)
    spooled.close()


def test_little_never_touches_the_disk(tmp_path: Path) -> None:
    """An ordinary letter waits for its last line in memory."""
    spooled = filled(Spool(tmp_path / "spool"), 10_000)

    assert not spooled.is_on_disk
    assert not (tmp_path / "spool").exists()


def test_much_is_not_held_in_memory(tmp_path: Path) -> None:
    """Once it is on the disk, only the file knows it."""
    spooled = filled(Spool(tmp_path), MEMORY_OCTETS + 10_000)

    assert spooled.is_on_disk
    assert not [one for one in gc.get_referents(spooled) if one == [SECRET]]
    assert spooled._blocks == []
    spooled.close()


def test_nobody_finds_or_reads_what_waits(tmp_path: Path) -> None:
    """No name in the folder, nothing in clear in the file, and the folder is private."""
    folder = tmp_path / "spool"
    spooled = filled(Spool(folder), 2 * MEMORY_OCTETS)

    assert list(folder.iterdir()) == []
    assert folder.stat().st_mode & 0o777 == 0o700
    (held,) = files_of_process(folder)
    assert len(held) == spooled.size_octets
    assert SECRET not in held
    spooled.close()
    assert files_of_process(folder) == []


class FullFile(SealedTemporaryFile):
    """Has no room."""

    def write(self, octets: bytes, /) -> int:
        raise OSError(errno.ENOSPC, "full")


class ForgetfulFile(SealedTemporaryFile):
    """Gives back less than it took."""

    def read(self, size: int = -1, /) -> bytes:
        return b""


def test_a_full_disk_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the door can answer 452 and the sender keeps the letter."""
    monkeypatch.setattr("mss.blobs.spool.SealedTemporaryFile", FullFile)

    with closing(Spool(tmp_path).open()) as spooled, pytest.raises(StoreFullError):
        fill(spooled, 2 * MEMORY_OCTETS)


def test_half_a_message_is_never_taken_for_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that lost its end is trouble of ours, not a shorter letter."""
    monkeypatch.setattr("mss.blobs.spool.SealedTemporaryFile", ForgetfulFile)
    spool = Spool(tmp_path)

    with (
        closing(filled(spool, 2 * MEMORY_OCTETS)) as spooled,
        pytest.raises(StoreUnavailableError),
    ):
        spooled.read()


def test_a_folder_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    """Somebody put a file where the folder should be."""
    (tmp_path / "spool").write_text("in the way")

    with pytest.raises(StoreUnavailableError):
        filled(Spool(tmp_path / "spool"), 2 * MEMORY_OCTETS)
