"""Messages made to cost time, memory or the stack: refused early, or read in bounded time.

The bounds on memory are exact; those on time are wide, because the machine is shared.
"""

import time
import tracemalloc
from collections.abc import Callable

import pytest

from mss.mime.errors import MessageLimitError, MessageSyntaxError
from mss.mime.limits import MimeLimits
from mss.mime.parse import parse_message
from tests.unit.mss.mime.samples import a_multipart, a_plain_message

MIB = 1024 * 1024


def nested(depth: int) -> bytes:
    """Write multiparts inside each other, all properly closed."""
    opening = b"".join(
        b"--b%dx\r\nContent-Type: multipart/mixed; boundary=b%dx\r\n\r\n" % (n, n + 1)
        for n in range(depth)
    )
    closing = b"".join(b"\r\n--b%dx--" % n for n in range(depth, -1, -1))
    inside = b"--b%dx\r\n\r\nx" % depth
    return a_multipart(opening + inside + closing, boundary=b"b0x")


HOSTILE: dict[str, Callable[[], bytes]] = {
    "depth-10000": lambda: nested(10_000),
    "depth-unclosed": lambda: nested(10_000)[:500_000],
    "parts-100000": lambda: a_multipart(b"--b\r\n\r\nx\r\n" * 100_000 + b"--b--\r\n"),
    "empty-parts-1000000": lambda: a_multipart(b"--b\r\n" * 1_000_000 + b"--b--\r\n"),
    "near-misses": lambda: a_multipart(b"--bX\r\n" * 1_000_000 + b"--b--\r\n"),
    "header-100-MB": lambda: b"X: " + b"a" * (100 * MIB),
    "header-of-small-fields": lambda: b"X: a\r\n" * 2_000_000,
    "fields-5000": lambda: b"X: a\r\n" * 5_000 + b"\r\n",
    "header-without-colon": lambda: (b"a" * 900 + b"\r\n") * 250 + b"\r\n",
    "line-without-end": lambda: b"From: a@b.fr\r\n\r\n" + b"a" * (34 * MIB),
    "addresses-5000": lambda: (
        b"From: a@b.fr\r\nTo: " + b",\r\n ".join([b"a@b.fr"] * 5_000) + b"\r\n\r\n"
    ),
    "open-comments": lambda: b"From: " + b"(" * 900 + b"\r\n\r\n",
    "open-quote": lambda: b'From: "' + b"a" * 900 + b"\r\n\r\n",
    "escapes": lambda: b'From: "' + b"\\a" * 450 + b"\r\n\r\n",
    "sections-100000": lambda: a_plain_message(
        b"Content-Type: text/plain" + b"".join(b";\r\n n*%d=a" % n for n in range(20_000))
    ),
    "quotes-in-parameters": lambda: a_plain_message(
        b"Content-Type: text/plain; a=" + b"\r\n ".join([b'"' * 901] * 60)
    ),
}


@pytest.mark.parametrize("write", HOSTILE.values(), ids=HOSTILE)
def test_a_bomb_is_refused_within_a_second(write: Callable[[], bytes]) -> None:
    """Row 23 of the threats: the event loop and the other senders must not wait for it."""
    raw = write()
    begun = time.process_time()
    with pytest.raises(MessageSyntaxError):
        parse_message(raw)
    assert time.process_time() - begun < 2  # processor time: the machine may be busy


@pytest.mark.parametrize("write", HOSTILE.values(), ids=HOSTILE)
def test_a_bomb_takes_little_memory(write: Callable[[], bytes]) -> None:
    """64 MiB beyond the input is the promise; what is refused early needs far less."""
    raw = write()
    tracemalloc.start()
    try:
        with pytest.raises(MessageSyntaxError):
            parse_message(raw)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB


EXPENSIVE: dict[str, Callable[[], bytes]] = {
    "depth-within-limits": lambda: nested(18).replace(
        b"\r\n\r\nx", b"\r\n\r\n" + b"\r\n--" * (4 * MIB)
    ),
    "encoded-words": lambda: a_plain_message(
        b"Subject: " + b"\r\n ".join([b"=?utf-8?q?=C3?=" * 60] * 70)
    ),
    "encoded-word-starts": lambda: a_plain_message(
        b"Subject: " + b"\r\n ".join([b"=?" * 400] * 70)
    ),
    "alternating-widths": lambda: a_plain_message(
        body=(b"a" * 17 + b"\r\n" + b"a" * 18 + b"\r\n") * 400_000
    ),
    "regular-runs": lambda: a_plain_message(
        body=((b"a" * 17 + b"\r\n") * 110 + b"a" * 500 + b"\r\n") * 6_000
    ),
    "empty-lines": lambda: a_plain_message(body=b"\r\n" * (8 * MIB)),
}


@pytest.mark.slow
@pytest.mark.parametrize("write", EXPENSIVE.values(), ids=EXPENSIVE)
def test_what_must_be_read_is_read_in_linear_time(write: Callable[[], bytes]) -> None:
    """These are legal, and each aims at a loop: 16 MiB take well under a second."""
    raw = write()
    begun = time.process_time()
    parse_message(raw)
    assert time.process_time() - begun < 2  # processor time: the machine may be busy


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (MimeLimits(size_octets=100), "size-octets"),
        (MimeLimits(header_octets=60), "header-octets"),
        (MimeLimits(depth=2), "depth"),
        (MimeLimits(parts=3), "parts"),
        (MimeLimits(fields=3), "fields"),
    ],
)
def test_each_ceiling_names_itself(limits: MimeLimits, reason: str) -> None:
    """The operator sees in the log which limit to think about."""
    with pytest.raises(MessageLimitError) as caught:
        parse_message(nested(3), limits)
    assert caught.value.reason == reason
    assert caught.value.code == "message-limits"


def test_the_header_ceiling_counts_the_headers_of_the_parts() -> None:
    """A thousand parts with a large header each would pass a ceiling per block."""
    part = b"--b\r\nX: " + b"a" * 900 + b"\r\n\r\n\r\n"
    raw = a_multipart(part * 400 + b"--b--\r\n")
    with pytest.raises(MessageLimitError) as caught:
        parse_message(raw)
    assert caught.value.reason == "header-octets"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (a_plain_message(body=b"a\n.\nMAIL FROM:<x@y.fr>\r\n"), "bare-newline"),
        (a_plain_message(body=b"a\r.\r\n"), "bare-newline"),
        (a_plain_message(b"Subject: a\nBcc: x@y.fr"), "bare-newline"),
        (a_plain_message(b"Subject: a\0b"), "nul"),
        (a_plain_message(body=b"a" * 999), "line-too-long"),
    ],
)
def test_smuggling_material_is_refused(raw: bytes, reason: str) -> None:
    """Rows 15 and 16 of the threats: nothing with a bare newline comes in, so none goes out."""
    with pytest.raises(MessageSyntaxError) as caught:
        parse_message(raw)
    assert caught.value.reason == reason
