"""Whatever pieces octets come in, the same messages come out; or the connection ends."""

import asyncio
from collections.abc import Iterable

import pytest

from mss.hl7.framing import CHUNK, FrameError, FrameReader, build_frame

LIMIT = 4 * CHUNK


async def messages(pieces: Iterable[bytes]) -> list[bytes]:
    """Feed pieces one after the other, each only when the reader asks for more."""
    stream = asyncio.StreamReader()
    frames = FrameReader(stream, LIMIT)
    found: list[bytes] = []

    async def read() -> None:
        while await frames.wait():
            found.append(await frames.read())

    reading = asyncio.create_task(read())
    for piece in pieces:
        stream.feed_data(piece)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    stream.feed_eof()
    await reading
    return found


ONE, TWO = b"MSH|^~\\&|one\rPID|1\r", b"MSH|^~\\&|two\r"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 4096])
async def test_the_pieces_of_a_stream_mean_nothing(size: int) -> None:
    """TCP cuts where it likes: two messages in one segment, or one octet in each."""
    octets = build_frame(ONE) + build_frame(TWO)
    pieces = [octets[start : start + size] for start in range(0, len(octets), size)]

    assert await messages(pieces) == [ONE, TWO]


@pytest.mark.parametrize("between", [b"", b"\r", b"\r\n", b"\n\n \t\0"])
async def test_blanks_between_messages_are_nothing(between: bytes) -> None:
    """And an end without its CR is an end."""
    octets = b"\x0b" + ONE + b"\x1c" + between + build_frame(TWO) + between

    assert await messages([between, octets]) == [ONE, TWO]


async def test_an_empty_frame_is_an_empty_message() -> None:
    """Which the gateway refuses; the connection goes on."""
    assert await messages([build_frame(b""), build_frame(ONE)]) == [b"", ONE]


async def test_a_message_of_many_chunks_comes_whole() -> None:
    """A document is larger than what is read at once."""
    large = b"x" * (LIMIT - 10)

    assert await messages([build_frame(large) + build_frame(ONE)]) == [large, ONE]


async def test_a_connection_that_says_nothing_just_ends() -> None:
    """Load balancers look whether somebody is there."""
    assert await messages([]) == []


BAD = {
    "no frame": ([ONE], "noise"),
    "another protocol": ([b"GET / HTTP/1.1\r\n\r\n"], "noise"),
    "noise after a message": ([build_frame(ONE), b"x"], "noise"),
    "cut off": ([b"\x0b" + ONE], "cut-off"),
    "too large": ([b"\x0b" + b"x" * CHUNK] + [b"x" * CHUNK] * 4, "too-large"),
}


@pytest.mark.parametrize(("pieces", "reason"), BAD.values(), ids=BAD)
async def test_what_is_no_frame_ends_the_connection(pieces: list[bytes], reason: str) -> None:
    """What follows could not be told from what was meant."""
    with pytest.raises(FrameError) as ended:
        await messages(pieces)

    assert ended.value.reason == reason


async def test_what_is_too_large_can_still_be_answered() -> None:
    """Its header is kept, and no more of it than that needs."""
    with pytest.raises(FrameError) as ended:
        await messages([b"\x0b" + ONE + b"x" * LIMIT, b"x" * CHUNK])

    assert ended.value.beginning.startswith(ONE)
    assert len(ended.value.beginning) <= CHUNK
