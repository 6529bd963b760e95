"""Octets that are read in pieces, more than once."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import flow
from crypto.canonical import canonical
from crypto.flow import Flow, FlowChangedError, Span


def of_pieces(pieces: list[bytes]) -> Flow:
    return Flow(lambda: iter(pieces))


def test_a_flow_is_read_as_often_as_needed() -> None:
    """The first reading measures, the second one writes."""
    file = io.BytesIO(b"abc" * 100_000)
    whole = flow.of_file(file)

    assert b"".join(whole.pieces()) == b"".join(whole.pieces()) == file.getvalue()
    assert max(map(len, whole.pieces())) <= flow.PIECE_OCTETS


def test_flows_are_joined_in_order() -> None:
    """A new header before an old body."""
    sink = io.BytesIO()

    written = flow.joined([flow.of_octets(b"header"), flow.of_file(io.BytesIO(b"body"))]).write_to(
        sink
    )

    assert sink.getvalue() == b"headerbody"
    assert written == 10


def test_a_part_of_a_file_reads_like_a_file() -> None:
    """With its own position and its own end."""
    part = Span(io.BytesIO(b"0123456789"), 2, 7)

    assert len(part) == 5
    assert part.read(2) == b"23"
    assert part.tell() == 2
    assert part.read() == b"456"
    assert part.read() == b""
    assert part.seek(-1, io.SEEK_END) == 4
    assert part.read(9) == b"6"
    assert part.seek(-9, io.SEEK_CUR) == 0
    assert part.read(1) == b"2"


def test_a_part_of_a_part_stays_inside_and_moves_nobody() -> None:
    """Whoever hands a part on keeps reading where they were."""
    part = Span(io.BytesIO(b"0123456789"), 2, 7)
    part.seek(1)

    inner = part.part(1, 99)

    assert inner.read() == b"3456"
    assert part.part(9).read() == b""
    assert Span(inner).read() == b"3456"
    assert part.read(1) == b"3"


@settings(max_examples=100)
@given(pieces=st.lists(st.binary(max_size=6) | st.sampled_from([b"\r", b"\n", b"\r\n"])))
def test_line_ends_become_canonical_whatever_the_pieces(pieces: list[bytes]) -> None:
    """A CR at the end of one piece belongs to the LF that begins the next."""
    found = b"".join(flow.canonical_flow(of_pieces(pieces)).pieces())

    assert found == canonical(b"".join(pieces))


@pytest.mark.parametrize("expected", [0, 3, 5])
def test_another_number_of_octets_than_promised_is_an_error(expected: int) -> None:
    """The header has said how many there are."""
    with pytest.raises(FlowChangedError):
        list(flow.measured(iter([b"ab", b"cd"]), expected))


def test_the_promised_number_of_octets_passes() -> None:
    """Nothing is added or lost."""
    assert list(flow.measured(iter([b"ab", b"cd"]), 4)) == [b"ab", b"cd"]
