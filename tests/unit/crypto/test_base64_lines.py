"""Base64 that is written and read in pieces."""

import base64
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import base64_lines
from crypto.entity import read_entity, wrap_base64
from crypto.errors import CmsSyntaxError

LONG = bytes(range(256)) * 2000


def decoded(octets: bytes) -> bytes:
    return b"".join(base64_lines.decode_pieces(io.BytesIO(octets)))


@settings(max_examples=60)
@given(pieces=st.lists(st.binary(max_size=200), max_size=6), large=st.integers(0, 3))
def test_pieces_are_written_as_the_whole_is(pieces: list[bytes], large: int) -> None:
    """Lines do not end where pieces do."""
    pieces = [*pieces, *[LONG] * large, *pieces]
    whole = b"".join(pieces)

    written = b"".join(base64_lines.encode_pieces(pieces))

    assert written == wrap_base64(whole)
    assert len(written) == base64_lines.encoded_octets(len(whole))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 56, 57, 58, 114, 131_100, 512_000])
def test_what_is_written_is_read(size: int) -> None:
    """Whatever remains in the last line."""
    content = LONG[:size]

    assert decoded(wrap_base64(content)) == content


@pytest.mark.parametrize(
    "form",
    [
        base64.b64encode(LONG),
        base64.encodebytes(LONG),
        b"\r\n\r\n" + wrap_base64(LONG) + b"\r\n\r\n",
        b" \t".join(wrap_base64(LONG).split(b"\r\n")),
        b"!\r\n".join(wrap_base64(LONG).split(b"\r\n")),
        b"\r\n".join(base64.b64encode(LONG)[at : at + 75] for at in range(0, 2 * len(LONG), 75)),
        wrap_base64(LONG).rstrip(b"\r\n"),
    ],
    ids=["one-line", "lf", "empty-lines", "spaces", "junk", "odd-lines", "no-last-line-end"],
)
def test_other_forms_of_lines_are_read(form: bytes) -> None:
    """Characters outside the alphabet mean nothing, wherever they are (RFC 2045, 6.8)."""
    assert decoded(form) == LONG


@pytest.mark.parametrize(
    "octets",
    [b"QUI", b"QQ=", b"QQ", b"Q", b"=QQ==", b"QU=JD", b"QQ==QUJD", b"QQ==\r\nQUJD", b"QUJD=", b"="],
)
def test_wrong_padding_is_refused(octets: bytes) -> None:
    """Readers differ about it, so two of them could see two messages."""
    with pytest.raises(CmsSyntaxError, match="base64"):
        decoded(octets)


def test_octets_after_the_padding_are_refused_however_far() -> None:
    """They are past many pieces of white space."""
    with pytest.raises(CmsSyntaxError, match="base64"):
        decoded(b"QQ==" + b"\r\n" * 200_000 + b"QUJD")


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from([b"QUJD", b"QUI=", b"QQ==", b"Q", b"=", b"\r\n", b" ", b"-", b"\xff"]),
        max_size=12,
    )
)
def test_both_ways_of_reading_agree(parts: list[bytes]) -> None:
    """In pieces or in memory: the same octets, or refused by both."""
    octets = b"".join(parts)
    entity = read_entity(b"Content-Transfer-Encoding: base64\r\n\r\n" + octets)

    def outcome(read: object) -> object:
        try:
            return read()  # type: ignore[operator]
        except CmsSyntaxError:
            return None

    assert outcome(lambda: decoded(octets)) == outcome(entity.decoded_body)
