from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mss.blobs.spool import Spool
from mss.errors import MessageTooLargeError
from mss.smtp import data
from mss.smtp.data import DataReader, find_fault, iter_wire
from mss.smtp.errors import MailDataError

LIMIT = 1_000_000
# Every octet that means something to mail, and one that does not.
NASTY = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b".", b"\0", b"a", b"\r\n.\r\n", b"\r\n..", b"x" * 990]
    ),
    max_size=40,
).map(b"".join)


def read(chunks: Iterable[bytes], *, limit: int = LIMIT) -> DataReader:
    reader = DataReader(limit, Spool().open())
    for chunk in chunks:
        if reader.is_complete:
            break
        reader.feed(chunk)
    return reader


def cut(octets: bytes, at: Iterable[int]) -> list[bytes]:
    """Cut octets as a network would."""
    places = [0, *sorted(place % (len(octets) + 1) for place in at), len(octets)]
    return [octets[a:b] for a, b in pairwise(places)]


def expected(octets: bytes) -> tuple[bytes, bytes] | None:
    """Say what RFC 5321 says, one line at a time: the message and the rest, or `None`: no end."""
    lines: list[bytes] = []
    rest = octets
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not end:
            return None
        if line == b".":
            return b"".join(one + b"\r\n" for one in lines), rest
        lines.append(line.removeprefix(b"."))


def is_mail(message: bytes) -> bool:
    lines = message.split(b"\r\n")
    return all(len(one) <= 998 and not set(one) & {0, 10, 13} for one in lines)


@given(octets=NASTY, tail=NASTY, at=st.lists(st.integers(0, 10_000), max_size=6))
@settings(max_examples=300)
def test_the_reader_agrees_with_the_standard_however_the_network_cuts(
    octets: bytes, tail: bytes, at: list[int]
) -> None:
    """The end, the message and what follows it are the same for every way of cutting."""
    wire = octets + b"\r\n.\r\n" + tail
    answer = expected(wire)
    assert answer is not None
    message, _ = answer

    reader = DataReader(LIMIT, Spool().open())
    chunks = cut(wire, at)
    while not reader.is_complete:
        reader.feed(chunks.pop(0))

    assert reader.rest + b"".join(chunks) == answer[1]
    if is_mail(message):
        assert reader.outcome().read() == message
    else:
        with pytest.raises(MailDataError):
            reader.outcome().read()


@given(octets=NASTY, at=st.lists(st.integers(0, 10_000), max_size=6))
@settings(max_examples=200)
def test_without_the_true_end_there_is_no_end(octets: bytes, at: list[int]) -> None:
    """Nothing that merely looks like an end makes a message."""
    reader = read(cut(octets, at))

    assert reader.is_complete == (expected(octets) is not None)


@given(
    lines=st.lists(st.binary(max_size=300).map(lambda one: one.translate(None, b"\r\n\0"))),
    at=st.lists(st.integers(0, 100_000), max_size=6),
)
def test_what_the_relay_writes_the_door_reads(lines: list[bytes], at: list[int]) -> None:
    """`iter_wire` and `DataReader` are inverse of each other."""
    raw = b"".join(one + b"\r\n" for one in lines)

    reader = read(cut(b"".join(iter_wire(raw)), at))

    assert reader.outcome().read() == raw
    assert reader.rest == b""


@given(octets=st.binary(max_size=2_000))
def test_what_the_relay_writes_has_one_end_only(octets: bytes) -> None:
    """No octets whatever make the relay write an end in the middle, or a bare line end."""
    try:
        wire = b"".join(iter_wire(octets))
    except MailDataError:
        return

    assert wire.endswith(b".\r\n")
    assert wire.find(b"\r\n.\r\n") in {-1, len(wire) - 5}
    assert wire.count(b"\n") == wire.count(b"\r") == wire.count(b"\r\n")


@pytest.mark.parametrize("size", [1, 3, 4_096, 300_000])
def test_chunks_of_any_size_give_the_same_large_letter(size: int) -> None:
    """A letter with a base64 attachment, with header lines and text lines around it."""
    raw = b"A: b\r\n\r\n.dot\r\n" + (b"QUJD" * 19 + b"\r\n") * 900 + b"QUJD\r\n--b--\r\n"
    wire = b"".join(iter_wire(raw))

    reader = read(wire[start : start + size] for start in range(0, len(wire), size))

    assert reader.outcome().read() == raw


@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_the_limit_counts_content_only(size: int) -> None:
    """Neither stuffed dots nor the end count (RFC 1870, 5); one octet more is too many."""
    raw = b"..\r\n" * 1_000
    wire = b"".join(iter_wire(raw))
    chunks = [wire[start : start + size] for start in range(0, len(wire), size)]

    assert read(chunks, limit=4_000).outcome().read() == raw
    with pytest.raises(MessageTooLargeError):
        read(chunks, limit=3_999).outcome().read()


def test_a_line_without_end_is_not_collected() -> None:
    """A gigabyte without a line end costs a few octets, and one day the connection."""
    reader = read([b"x" * 1_000_000] * 20)

    assert not reader.is_complete
    assert len(reader._carry) < 10
    assert reader.is_hopeless


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (b"", None),
        (b"a\r\n", None),
        (b"\r\n\r\n", None),
        (b"ab\r\ncd\r\n", None),
        (b"ab\ncd\n", "bare-newline"),
        (b"ab\rcd\r", "bare-newline"),
        (b"\n\r\n\r", "bare-newline"),
        (b"ab\r\n\rb\r\n", "bare-newline"),
        (b"\n\r\r\n", "bare-newline"),
        (b"a\0\r\n", "nul-octet"),
        (b"x" * 998 + b"\r\n", None),
        (b"x" * 999 + b"\r\n", "line-too-long"),
        (b"\x0b\x0c\x1c\x85\r\n", None),
    ],
)
def test_a_block_of_lines_is_judged(block: bytes, reason: str | None) -> None:
    """Lines of one width take a short cut, which must see what the long way sees."""
    assert find_fault(block) == reason


@given(
    width=st.integers(1, 6),
    count=st.integers(1, 6),
    place=st.integers(0, 100),
    octet=st.sampled_from(b"\r\n.a\0"),
)
def test_the_short_cut_for_even_lines_hides_nothing(
    width: int, count: int, place: int, octet: int
) -> None:
    """One wrong octet anywhere in a table of lines is seen."""
    block = bytearray((b"x" * width + b"\r\n") * count)
    block[place % len(block)] = octet
    reason = find_fault(bytes(block))

    is_good = is_mail(bytes(block)) and block.endswith(b"\r\n")
    assert (reason is None) == is_good


def test_a_long_last_line_without_end_never_leaves() -> None:
    """The relay reads lines in blocks; what is longer than a block is too long anyway."""
    with pytest.raises(MailDataError, match="line-too-long"):
        list(iter_wire(b"x" * (data.WIRE_OCTETS + 1)))
