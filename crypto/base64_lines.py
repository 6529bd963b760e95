"""Base64 in lines: written as mail wants it, read as strangers write it, whole or in pieces.

Units
    A line has 76 characters and CRLF, and stands for 57 octets (RFC 2045, 6.8).
Errors
    `CmsSyntaxError` when the padding is wrong. Characters outside the alphabet are passed over,
    as RFC 2045 asks.
"""

import io
from binascii import Error as Base64Error
from collections.abc import Iterable, Iterator
from typing import Final

import pybase64

from crypto.errors import CmsSyntaxError
from crypto.flow import PIECE_OCTETS, Flow, ReadableFile

LINE_OCTETS: Final = 57
_BLOCK_OCTETS: Final = 1024 * LINE_OCTETS
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
OTHER_OCTETS: Final = bytes(octet for octet in range(256) if octet not in _ALPHABET)


def encoded_octets(size: int) -> int:
    """Return how long *size* octets are in base64 lines."""
    return (size + 2) // 3 * 4 + (size + LINE_OCTETS - 1) // LINE_OCTETS * 2


def wrap_base64(octets: bytes, *, header: bytes = b"") -> bytes:
    """Return *header*, then *octets* in base64 lines, each ended by CRLF."""
    if len(octets) <= _BLOCK_OCTETS:
        return header + _lines(octets)
    return wrap_pieces(blocks(octets), header=header)


def wrap_pieces(pieces: Iterable[bytes | memoryview], *, header: bytes) -> bytes:
    """Do as `wrap_base64` for octets that come in pieces."""
    # Into one growing buffer: touching fresh memory costs more than the encoding.
    whole = io.BytesIO()
    whole.write(header)
    for lines in encode_pieces(pieces):
        whole.write(lines)
    return whole.getvalue()


def blocks(octets: bytes) -> Iterator[memoryview]:
    """Cut octets into whole lines, so many that they and what is made of them stay cached."""
    view = memoryview(octets)
    for at in range(0, len(octets), _BLOCK_OCTETS):
        yield view[at : at + _BLOCK_OCTETS]


def _lines(octets: bytes | memoryview) -> bytes:
    return pybase64.encodebytes(octets).replace(b"\n", b"\r\n")


def unwrap_base64(octets: bytes) -> bytes:
    """Undo base64; what is not of its alphabet is passed over (RFC 2045, 6.8).

    Words that a list or a gateway has appended are of the alphabet: they damage the padding, or
    stand after the end of the structure inside, and either is refused.

    Raises:
        CmsSyntaxError: The padding is wrong, or something follows it.
    """
    cut = octets.rfind(b"\r\n", 0, octets.find(b"=") + 1 or len(octets)) + 2
    quick = _decode_whole_lines(octets[:cut]) if cut > _BLOCK_OCTETS else None
    if quick is not None:
        return quick + _decode_strictly(octets[cut:])
    return _decode_strictly(octets)


def _decode_strictly(octets: bytes) -> bytes:
    try:
        return pybase64.b64decode(octets.translate(None, OTHER_OCTETS), validate=True)
    except (Base64Error, ValueError) as error:
        raise CmsSyntaxError("base64") from error


def encode(flow: Flow) -> Flow:
    """Return *flow* in base64 lines."""
    return Flow(lambda: encode_pieces(flow.pieces()))


def encode_pieces(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Turn pieces of any size into whole base64 lines; the last one may be short."""
    held: list[bytes | memoryview] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _BLOCK_OCTETS:
            octets = piece if size == len(piece) else b"".join(held)
            cut = size // LINE_OCTETS * LINE_OCTETS
            yield _lines(octets[:cut])
            held, size = ([octets[cut:]], size - cut) if cut < size else ([], 0)
    if size:
        yield _lines(b"".join(held))


def decode_pieces(file: ReadableFile) -> Iterator[bytes]:
    """Undo the base64 in *file* from where it stands.

    Raises:
        CmsSyntaxError: The padding is wrong, or something follows it.
    """
    held = b""
    while piece := file.read(PIECE_OCTETS):
        octets = held + piece
        cut = octets.rfind(b"\r\n") + 2
        if cut > 1:
            quick = _decode_whole_lines(octets[:cut])
            if quick is not None:
                yield quick
                held = octets[cut:]
                continue
        characters = octets.translate(None, OTHER_OCTETS)
        if b"=" in characters:
            yield _decode_last(characters, file)
            return
        cut = len(characters) // 4 * 4
        yield pybase64.b64decode(characters[:cut], validate=True)
        held = characters[cut:]
    characters = held.translate(None, OTHER_OCTETS)
    if characters:
        yield _decode_last(characters, file)


def _decode_whole_lines(octets: bytes) -> bytes | None:
    """Decode lines of whole groups without padding, which is nearly all there ever is."""
    if b"=" in octets:
        return None
    try:
        return pybase64.b64decode(octets)
    except (Base64Error, ValueError):
        return None


def _decode_last(characters: bytes, file: ReadableFile) -> bytes:
    """Decode the end: only padding may follow padding."""
    data = characters.rstrip(b"=")
    padding = len(characters) - len(data)
    while piece := file.read(PIECE_OCTETS):
        rest = piece.translate(None, OTHER_OCTETS)
        if rest.strip(b"="):
            raise CmsSyntaxError("base64")
        padding += len(rest)
    if b"=" in data or len(data) % 4 == 1 or padding != -len(data) % 4:
        raise CmsSyntaxError("base64")
    return pybase64.b64decode(data + b"=" * padding, validate=True)
