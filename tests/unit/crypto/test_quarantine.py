"""Where plaintext waits for its verdict."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.quarantine import SealedTemporaryFile

LETTER = b"Content-Type: text/plain\r\n\r\nLettre de sortie.\r\n" * 40


def inode_content(file: SealedTemporaryFile) -> bytes:
    """What somebody reads who has the disk."""
    raw = file._file
    raw.seek(0)
    return raw.read()


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """In pieces of any size."""
    file = SealedTemporaryFile(tmp_path)
    file.write(LETTER[:5])
    file.write(b"")
    file.write(LETTER[5:])

    file.seek(0)
    assert file.read(7) + file.read() == LETTER
    assert file.read() == b""
    file.close()


def test_nothing_has_a_name(tmp_path: Path) -> None:
    """A killed process leaves nothing to find."""
    file = SealedTemporaryFile(tmp_path)
    file.write(LETTER)

    assert list(tmp_path.iterdir()) == []
    file.close()


def test_nobody_else_may_open_it(tmp_path: Path) -> None:
    """Mode 0600, and no link to open it by."""
    file = SealedTemporaryFile(tmp_path)
    facts = os.fstat(file._file.fileno())

    assert stat.S_IMODE(facts.st_mode) == 0o600
    assert facts.st_nlink == 0
    file.close()


def test_the_disk_never_sees_the_plaintext(tmp_path: Path) -> None:
    """Nor any two files the same octets."""
    first, second = SealedTemporaryFile(tmp_path), SealedTemporaryFile(tmp_path)
    first.write(LETTER)
    second.write(LETTER)

    assert b"Lettre" not in inode_content(first)
    assert inode_content(first) != inode_content(second)
    assert len(inode_content(first)) == len(LETTER)
    first.close()
    second.close()


def test_what_is_forgotten_does_not_share_its_key_with_what_follows(tmp_path: Path) -> None:
    """Two texts under one key stream give each other away."""
    file = SealedTemporaryFile(tmp_path)
    file.write(LETTER)
    before = inode_content(file)
    file.truncate(0)
    file.write(LETTER)

    assert inode_content(file) != before
    file.seek(0)
    assert file.read() == LETTER
    file.close()


def test_writing_over_is_refused(tmp_path: Path) -> None:
    """For the same reason."""
    file = SealedTemporaryFile(tmp_path)
    file.write(LETTER)
    file.seek(3)

    with pytest.raises(ValueError, match="append"):
        file.write(b"x")
    with pytest.raises(ValueError, match="nothing"):
        file.truncate(10)
    file.close()


@settings(max_examples=40)
@given(offset=st.integers(0, 2000), size=st.integers(-1, 200), whence=st.sampled_from([0, 2]))
def test_any_place_is_read_as_from_a_plain_file(
    tmp_path_factory: pytest.TempPathFactory, offset: int, size: int, whence: int
) -> None:
    """Blocks of the cipher are not seen from outside."""
    file = SealedTemporaryFile(tmp_path_factory.getbasetemp())
    file.write(LETTER)
    at = offset if whence == 0 else max(0, len(LETTER) - offset)

    assert file.seek(offset if whence == 0 else -offset, whence) == at
    wanted = LETTER[at:] if size < 0 else LETTER[at : at + size]
    assert file.read(size) == wanted
    assert file.tell() == max(at, at + len(wanted))
    file.close()
