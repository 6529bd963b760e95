"""Bare newlines, NUL and endless lines."""

import pytest

from mss.mime.errors import MessageSyntaxError
from mss.mime.octets import check_octets

BASE64 = (b"A" * 76 + b"\r\n") * 2000


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"a",
        b"a\r\n",
        BASE64,
        b"Header: x\r\n\r\n" + BASE64 + b"AAAA==\r\n--b--\r\n",
        (b"A" * 40 + b"\r\n") * 900 + (b"A" * 76 + b"\r\n") * 900,
        (b"A" * 20 + b"\r\n" + b"A" * 54 + b"\r\n") * 900,
        b"\r\n" * 5000,
        b"x" * 998 + b"\r\n",
        b"x" * 998,
        (b"x" * 998 + b"\r\n") * 50,
    ],
)
def test_lines_that_end_with_crlf_pass(raw: bytes) -> None:
    """Regular, irregular and mixed bodies take different paths through the check."""
    check_octets(raw)


@pytest.mark.parametrize("newline", [b"\n", b"\r", b"\r\r\n", b"\n\n"], ids=repr)
@pytest.mark.parametrize("at", [0, 1, 30, 75, 76, 77, 78, 79, 5000, 78 * 1000, len(BASE64)])
def test_a_bare_newline_is_found_wherever_it_hides(newline: bytes, at: int) -> None:
    """Row 15 of the threats: one of them in 150 kB is enough to smuggle a message."""
    with pytest.raises(MessageSyntaxError) as caught:
        check_octets(BASE64[:at] + newline + BASE64[at:])
    assert caught.value.reason == "bare-newline"


@pytest.mark.parametrize("at", range(78 * 900, 78 * 900 + 78, 11))
def test_a_bare_newline_that_replaces_an_octet_is_found(at: int) -> None:
    """The width of the line does not change, so only its inside tells."""
    raw = bytearray(BASE64)
    raw[at] = 0x0A if raw[at] != 0x0A else 0x20
    with pytest.raises(MessageSyntaxError):
        check_octets(bytes(raw))


@pytest.mark.parametrize("pair", [b"\nA", b"A\r", b"\r\r", b"\n\n", b"\n\r"], ids=repr)
def test_a_damaged_line_end_is_found(pair: bytes) -> None:
    """The end of a regular line is looked at with a stride; both octets count."""
    at = 78 * 900 - 2
    with pytest.raises(MessageSyntaxError):
        check_octets(BASE64[:at] + pair + BASE64[at + 2 :])


@pytest.mark.parametrize("at", [0, 10, 90_000])
def test_nul_is_refused(at: int) -> None:
    """RFC 5321, 2.3.8 keeps it out of mail; some readers end the line there."""
    with pytest.raises(MessageSyntaxError) as caught:
        check_octets(BASE64[:at] + b"\0" + BASE64[at:])
    assert caught.value.reason == "nul"


@pytest.mark.parametrize("before", [b"", b"a\r\n", BASE64, b"x" * 998 + b"\r\n"], ids=len)
@pytest.mark.parametrize("after", [b"", b"\r\n", b"\r\n" + BASE64], ids=len)
def test_a_line_of_999_octets_is_refused(before: bytes, after: bytes) -> None:
    """RFC 5321, 4.5.3.1.6: a host on the way may cut it, and a signature with it."""
    with pytest.raises(MessageSyntaxError) as caught:
        check_octets(before + b"x" * 999 + after)
    assert caught.value.reason == "line-too-long"


def test_a_gigabyte_without_a_line_end_is_refused_at_the_first_thousand_octets() -> None:
    """Row 23 of the threats; 64 MiB stand for the gigabyte, the answer comes from the start."""
    with pytest.raises(MessageSyntaxError):
        check_octets(b"x" * (64 * 1024 * 1024))
