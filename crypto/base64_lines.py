"""Base64 in lines, piece by piece: written as mail wants it, read as strangers write it.

Units
    A line has 76 characters and CRLF, and stands for 57 octets (RFC 2045, 6.8).
Errors
    `CmsSyntaxError` when the padding is wrong. Characters outside the alphabet are passed over,
    as RFC 2045 asks.
"""

from binascii import Error as Base64Error
from collections.abc import Iterable, Iterator
from typing import Final

import pybase64

from crypto.entity import wrap_base64
from crypto.errors import CmsSyntaxError
from crypto.flow import PIECE_OCTETS, Flow, ReadableFile

LINE_OCTETS: Final = 57
_BLOCK_OCTETS: Final = PIECE_OCTETS // LINE_OCTETS * LINE_OCTETS
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_OTHER_OCTETS: Final = bytes(octet for octet in range(256) if octet not in _ALPHABET)


def encoded_octets(size: int) -> int:
    """Return how long *size* octets are in base64 lines."""
    return (size + 2) // 3 * 4 + (size + LINE_OCTETS - 1) // LINE_OCTETS * 2


def encode(flow: Flow) -> Flow:
    """Return *flow* in base64 lines."""
    return Flow(lambda: encode_pieces(flow.pieces()))


def encode_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Turn pieces of any size into whole base64 lines; the last one may be short."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _BLOCK_OCTETS:
            octets = b"".join(held)
            cut = size // LINE_OCTETS * LINE_OCTETS
            yield wrap_base64(octets[:cut])
            held, size = [octets[cut:]], size - cut
    if size:
        yield wrap_base64(b"".join(held))


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
        characters = octets.translate(None, _OTHER_OCTETS)
        if b"=" in characters:
            yield _decode_last(characters, file)
            return
        cut = len(characters) // 4 * 4
        yield pybase64.b64decode(characters[:cut], validate=True)
        held = characters[cut:]
    characters = held.translate(None, _OTHER_OCTETS)
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
        rest = piece.translate(None, _OTHER_OCTETS)
        if rest.strip(b"="):
            raise CmsSyntaxError("base64")
        padding += len(rest)
    if b"=" in data or len(data) % 4 == 1 or padding != -len(data) % 4:
        raise CmsSyntaxError("base64")
    return pybase64.b64decode(data + b"=" * padding, validate=True)
