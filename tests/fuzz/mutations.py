"""Damage octets as an attacker does: whole elements of a structure, not only single octets.

Blind changes of octets rarely leave a structure that gets past its first length. Here elements of
BER are cut out, doubled, moved, given another tag, another length or another value, also inside
the base64 of a mail; the lengths around them are put right or left wrong.
"""

import base64
import random
import re
from binascii import Error
from collections.abc import Sequence

MAX_OCTETS = 64 * 1024
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/=]{16,76}\r\n){1,}")
_TAGS = (0x02, 0x03, 0x04, 0x05, 0x06, 0x17, 0x24, 0x30, 0x31, 0x80, 0xA0, 0xA1, 0x1F, 0xFF)
_LENGTHS = (b"\x00", b"\x80", b"\x81\x00", b"\x84\xff\xff\xff\xff", b"\x88" + b"\xff" * 8)


def mutated(octets: bytes, seed: int, *, samples: Sequence[bytes] = ()) -> bytes:
    """Damage *octets* in a way that *seed* decides, and no other."""
    source = random.Random(seed)
    inside = list(_BASE64.finditer(octets))
    if inside and source.random() < 0.7:
        where = source.choice(inside)
        try:
            binary = base64.b64decode(where[0])
        except (Error, ValueError):
            binary = b""
        if binary:
            changed = base64.encodebytes(_changed(binary, source, samples))
            changed = changed.replace(b"\n", b"\r\n")
            return (octets[: where.start()] + changed + octets[where.end() :])[:MAX_OCTETS]
    return _changed(octets, source, samples)[:MAX_OCTETS]


def _changed(octets: bytes, source: random.Random, samples: Sequence[bytes]) -> bytes:
    for _ in range(source.randint(1, 3)):
        found = _elements(octets)
        if found and source.random() < 0.8:
            octets = _of_structure(octets, found, source, samples)
        else:
            octets = _of_octets(octets, source)
    return octets


Element = tuple[int, int, int]  # offset of the tag, of the content, of what follows


def _elements(octets: bytes) -> list[Element]:
    """List elements of definite length, from outside in; none if it is no structure."""
    found: list[Element] = []
    waiting = [(0, len(octets))]
    while waiting and len(found) < 500:
        at, end = waiting.pop()
        while at + 2 <= end and len(found) < 500:
            body, after = _header(octets, at, end)
            if after > end:
                break
            found.append((at, body, after))
            if octets[at] & 0x20:
                waiting.append((body, after))
            at = after
    return found


def _header(octets: bytes, at: int, end: int) -> tuple[int, int]:
    first = octets[at + 1]
    if first < 0x80:
        return at + 2, at + 2 + first
    count = first & 0x7F
    body = at + 2 + count
    if not 1 <= count <= 4 or body > end:
        return at, end + 1
    return body, body + int.from_bytes(octets[at + 2 : body], "big")


def _of_structure(
    octets: bytes, found: Sequence[Element], source: random.Random, samples: Sequence[bytes]
) -> bytes:
    at, body, after = source.choice(found)
    whole = octets[at:after]
    match source.randrange(8):
        case 0:
            piece = b""
        case 1:
            piece = whole * source.choice((2, 3, 40))
        case 2:
            piece = bytes((source.choice(_TAGS),)) + whole[1:]
        case 3:
            return octets[: at + 1] + source.choice(_LENGTHS) + octets[body:]
        case 4:
            other = source.choice(found)
            piece = octets[other[0] : other[2]]
        case 5:
            sample = source.choice(samples) if samples else octets
            others = _elements(sample) or [(0, 0, len(sample))]
            other = source.choice(others)
            piece = sample[other[0] : other[2]]
        case 6:
            piece = whole[:1] + b"\x80" + octets[body:after] + b"\x00\x00"
        case _:
            content = _of_octets(octets[body:after], source)
            piece = whole[:1] + _length(len(content)) + content
    return _put(octets, found, (at, after), piece)


def _put(octets: bytes, found: Sequence[Element], where: tuple[int, int], piece: bytes) -> bytes:
    """Put *piece* in the place of an element, and the lengths of all around it right."""
    start, stop = where
    around = [each for each in found if each[1] <= start and stop <= each[2] and each[0] < start]
    for at, body, after in sorted(around, reverse=True):
        content = octets[body:start] + piece + octets[stop:after]
        piece = octets[at : at + 1] + _length(len(content)) + content
        start, stop = at, after
    return octets[:start] + piece + octets[stop:]


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes((size,))
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def _of_octets(octets: bytes, source: random.Random) -> bytes:
    at = source.randrange(len(octets) + 1)
    match source.randrange(4):
        case 0:
            return octets[:at] + octets[at + source.randint(1, 16) :]
        case 1:
            return octets[:at] + source.randbytes(source.randint(1, 16)) + octets[at:]
        case 2:
            flipped = bytes(each ^ 1 << source.randrange(8) for each in octets[at : at + 1])
            return octets[:at] + flipped + octets[at + 1 :]
        case _:
            return octets[:at]
