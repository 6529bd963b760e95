import errno
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mss.blobs import segments
from mss.blobs.errors import BlobDamagedError, BlobMissingError
from mss.blobs.records import HEADER_OCTETS, MAGIC, LocalRef, build_header
from mss.blobs.segments import (
    closed_segment,
    delete_record,
    iter_headers,
    list_live,
    list_segments,
    read_body,
    remove_if_dead,
    segment_path,
    translated,
)
from mss.errors import MSSError, StoreFullError, StoreUnavailableError

SEGMENT = "5" * 32
STORED_AT = datetime(2026, 11, 23, 18, tzinfo=UTC)


def a_record(name: str, body: bytes) -> bytes:
    return build_header(name * 32, body, STORED_AT) + body


def write(folder: Path, *pieces: bytes) -> list[LocalRef]:
    """Write a segment of these pieces, and say where each would be found if it is a record."""
    segment_path(folder, SEGMENT).write_bytes(b"".join(pieces))
    starts = [sum(map(len, pieces[:index])) for index in range(len(pieces))]
    return [
        LocalRef(
            segment=SEGMENT,
            offset=start,
            length_octets=max(len(piece) - HEADER_OCTETS, 0),
            name=piece[16:32].hex(),
        )
        for start, piece in zip(starts, pieces, strict=True)
    ]


A, B, C = (a_record(name, name.encode() * 700) for name in "abc")


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"\0" * 5000, id="zeros"),
        pytest.param(C[:1], id="an-octet"),
        pytest.param(C[: HEADER_OCTETS - 1], id="most-of-a-header"),
        pytest.param(C[:HEADER_OCTETS], id="a-header"),
        pytest.param(C[:-1], id="all-but-an-octet"),
        pytest.param(b"\xff" * 300, id="noise"),
        pytest.param(MAGIC * 400, id="magics"),
        pytest.param(MAGIC[:3], id="part-of-a-magic"),
    ],
)
def test_a_torn_tail_hides_nothing(tmp_path: Path, tail: bytes) -> None:
    """A crash stops an append anywhere; what was acknowledged before it must stay."""
    a, b, _ = write(tmp_path, A, B, tail)

    assert [ref for ref, _ in list_live(tmp_path, SEGMENT)] == [a, b]
    assert read_body(tmp_path, b) == b"b" * 700


@pytest.mark.parametrize("offset", [0, 4, 8, 16, 40, HEADER_OCTETS - 1])
def test_a_damaged_header_hides_no_other_record(tmp_path: Path, offset: int) -> None:
    """One bad octet must not make the sweeper blind for the rest of the file."""
    damaged = bytearray(A)
    damaged[offset] ^= 0x10
    a, b, c = write(tmp_path, bytes(damaged), B, C)

    assert [ref for ref, _ in list_live(tmp_path, SEGMENT)] == [b, c]
    with pytest.raises(BlobDamagedError):
        read_body(tmp_path, a)


def test_a_record_is_found_across_the_border_of_two_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search reads the file piece by piece."""
    monkeypatch.setattr(segments, "_CHUNK_OCTETS", 64)
    *_, b = write(tmp_path, b"\0" * 62, B)

    assert [ref for ref, _ in list_live(tmp_path, SEGMENT)] == [b]


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([A, B, C, A[:60], B[1:], MAGIC, b"\0" * 50]) | st.binary(max_size=90))
)
def test_any_file_is_scanned_to_its_end(pieces: list[bytes]) -> None:
    """Records found never overlap and never reach beyond the file, whatever is in it."""
    octets = b"".join(pieces)
    file = os.memfd_create("segment")
    try:
        os.write(file, octets)
        spans = [
            (offset, offset + HEADER_OCTETS + one.length_octets)
            for offset, one in iter_headers(file)
        ]
    finally:
        os.close(file)
    borders = [border for span in spans for border in span]

    assert borders == sorted(borders)
    assert borders[-1:] <= [len(octets)]


@pytest.fixture(params=["hole", "zeros"])
def _erasing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Erase in both ways: not all file systems know holes."""
    known = {"hole": segments._punched, "zeros": lambda *_: False}
    monkeypatch.setattr(segments, "_punched", known[request.param])


@pytest.mark.usefixtures("_erasing")
def test_a_deleted_body_is_erased_and_its_neighbours_are_not(tmp_path: Path) -> None:
    """Deletion means that the octets are gone, not only their reference."""
    a, b, c = write(tmp_path, A, B, C)
    delete_record(tmp_path, b)

    body = slice(b.offset + HEADER_OCTETS, c.offset)

    assert segment_path(tmp_path, SEGMENT).read_bytes()[body] == bytes(700)
    assert (read_body(tmp_path, a), read_body(tmp_path, c)) == (b"a" * 700, b"c" * 700)
    with pytest.raises(BlobMissingError):
        read_body(tmp_path, b)


def test_a_deletion_gives_the_room_back(tmp_path: Path) -> None:
    """A full disk is mended by deleting, long before whole segments die."""
    large = a_record("e", os.urandom(1_000_000))
    ref, _ = write(tmp_path, large, A)
    path = segment_path(tmp_path, SEGMENT)
    os.sync()
    before = path.stat().st_blocks
    delete_record(tmp_path, ref)

    assert path.stat().st_size == len(large) + len(A)
    assert path.stat().st_blocks < before / 2


def test_a_hole_that_fails_is_trouble_not_success() -> None:
    """Only "this file system knows no holes" may be answered by writing zeros."""
    with open("/dev/null", "r+b") as device, pytest.raises(OSError, match="device"):  # noqa: PTH123
        segments._punched(device.fileno(), 0, 1)


@pytest.mark.parametrize("shift", [1, -1, HEADER_OCTETS, 10**6])
def test_deleting_what_is_not_a_record_changes_nothing(tmp_path: Path, shift: int) -> None:
    """A wrong reference must not write into somebody else's body."""
    a, b, _ = write(tmp_path, A, B, C)
    before = segment_path(tmp_path, SEGMENT).read_bytes()
    delete_record(tmp_path, replace(b, offset=b.offset + shift))
    delete_record(tmp_path, replace(b, name=a.name))
    delete_record(tmp_path, replace(b, length_octets=b.length_octets + 1))

    assert segment_path(tmp_path, SEGMENT).read_bytes() == before


@pytest.mark.parametrize(
    "change", [{"offset": 3}, {"name": "f" * 32}, {"length_octets": 699}, {"length_octets": 10**17}]
)
def test_a_reference_to_something_else_is_damage(tmp_path: Path, change: dict[str, Any]) -> None:
    """Neither another body nor a part of one is ever handed out."""
    a, *_ = write(tmp_path, A, B)

    with pytest.raises(BlobDamagedError):
        read_body(tmp_path, replace(a, **change))


def test_a_segment_goes_with_its_last_record(tmp_path: Path) -> None:
    """Files do not pile up."""
    a, b, _ = write(tmp_path, A, B, C[:-1])
    delete_record(tmp_path, a)

    assert remove_if_dead(tmp_path, SEGMENT, 0) == b.offset
    delete_record(tmp_path, b)
    assert remove_if_dead(tmp_path, SEGMENT, b.offset) is None
    assert list_segments(tmp_path) == []


def test_a_segment_that_somebody_appends_to_is_never_removed(tmp_path: Path) -> None:
    """It may be empty because its first body is on the way."""
    write(tmp_path)
    with closed_segment(tmp_path, SEGMENT) as held:
        assert held is not None
        assert remove_if_dead(tmp_path, SEGMENT, 0) == 0

    assert list_segments(tmp_path) == [SEGMENT]


def test_a_segment_that_has_gone_holds_nothing(tmp_path: Path) -> None:
    """Another process may have removed it between listing and reading."""
    assert list_live(tmp_path, SEGMENT) == []
    with closed_segment(tmp_path, SEGMENT) as held:
        assert held is None


@pytest.mark.parametrize(
    "name", ["notes.txt", "x.segment", f"{'5' * 32}.segment~", f"{'5' * 31}.segment", ".segment"]
)
def test_other_files_are_left_alone(tmp_path: Path, name: str) -> None:
    """An administrator or a backup may put files beside ours."""
    (tmp_path / name).touch()

    assert list_segments(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (errno.ENOSPC, StoreFullError),
        (errno.EDQUOT, StoreFullError),
        (errno.EFBIG, StoreFullError),
        (errno.EIO, StoreUnavailableError),
        (errno.EROFS, StoreUnavailableError),
        (errno.EACCES, StoreUnavailableError),
        (errno.EMFILE, StoreUnavailableError),
    ],
)
def test_an_error_of_the_system_is_always_temporary(code: int, error: type[MSSError]) -> None:
    """A peer must keep the message: our disk can be mended."""
    with pytest.raises(error) as caught, translated():
        raise OSError(code, "no", "/secret/path")

    assert caught.value.retryable
    assert "/secret/path" not in str(caught.value)
