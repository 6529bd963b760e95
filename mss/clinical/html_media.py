"""Which images of a document can be put into a page, and how?

An image is shown only if it lies inside the document, is what browsers show by themselves (PNG,
JPEG, GIF: told by its first octets, never by what is declared), and is of a size that a telephone
can hold once unpacked. Everything else is named in words. Nothing is fetched.

Shapes
    `Picture` is what stands in a `data:` address.
Errors
    None: `find_picture` returns `None`.
Sources
    HL7 CDA R2, ObservationMedia; RFC 2397; PNG 11.2.2, GIF89a 18, JPEG (ITU-T T.81) B.2.2.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from lxml.etree import _Element

MAX_IMAGE_OCTETS: Final = 4 * 1024 * 1024
MAX_PIXELS: Final = 40_000_000

_FRAME_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SEGMENTS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image that may be shown."""

    media_type: str
    base64: str

    @property
    def address(self) -> str:
        """The image as an address."""
        return f"data:{self.media_type};base64,{self.base64}"


def find_picture(value: _Element) -> Picture | None:
    """Read the image in an element of type ED, if it can be shown."""
    if value.get("representation", "TXT").upper() != "B64" or value.get("compression"):
        return None
    packed = "".join("".join(value.itertext()).split())
    if not 0 < len(packed) <= MAX_IMAGE_OCTETS * 4 // 3 + 4:
        return None
    try:
        octets = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return picture_of(octets)


def picture_of(octets: bytes) -> Picture | None:
    """Recognise an image and check that it can be shown."""
    kind, width, height = _measure(octets)
    if not kind or not 0 < width * height <= MAX_PIXELS:
        return None
    return Picture(media_type=kind, base64=base64.b64encode(octets).decode("ascii"))


def _measure(octets: bytes) -> tuple[str, int, int]:
    """Tell the media type, the width and the height; nothing if it is no image for us."""
    if octets.startswith(b"\x89PNG\r\n\x1a\n") and octets[12:16] == b"IHDR":
        return "image/png", _number(octets[16:20]), _number(octets[20:24])
    if octets.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif", _little(octets[6:8]), _little(octets[8:10])
    if octets.startswith(b"\xff\xd8\xff"):
        return "image/jpeg", *_measure_jpeg(octets)
    return "", 0, 0


def _measure_jpeg(octets: bytes) -> tuple[int, int]:
    at = 2
    for _ in range(_JPEG_SEGMENTS):
        if at + 9 > len(octets) or octets[at] != 0xFF:
            break
        marker = octets[at + 1]
        if marker in _FRAME_MARKERS:
            return _number(octets[at + 7 : at + 9]), _number(octets[at + 5 : at + 7])
        if marker == 0xFF:  # fill before a marker
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers that stand alone
            at += 2
        else:
            at += 2 + max(2, _number(octets[at + 2 : at + 4]))
    return 0, 0


def _number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


def _little(octets: bytes) -> int:
    return int.from_bytes(octets, "little")
