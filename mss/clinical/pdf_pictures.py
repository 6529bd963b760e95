"""Put pictures of a document into its readable copy: read defensively, flattened, never too big.

A picture is decoded and written again as plain RGB without transparency, as PDF/A-1 wants it; no
octet of the original reaches the file, so neither does anything hidden in it.

Errors
    None: what cannot be decoded within the limits is left out.
Sources
    ISO 19005-1, 6.4 (no transparency).
"""

import io
import warnings
from collections.abc import Iterator
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError
from reportlab.platypus import Flowable
from reportlab.platypus import Image as Figure

FORMATS: Final = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/tiff": "TIFF",
}
MAX_PAGES: Final = 50
_MAX_PIXELS: Final = 40_000_000
_KEPT_SIDE: Final = 2000
_POINTS_PER_PIXEL: Final = 72 / 96


def figures(media_type: str, octets: bytes, *, width: float, height: float) -> Iterator[Flowable]:
    """Show each page of a picture, no larger than the frame.

    Args:
        media_type: As the document says; the picture must be of that format.
        octets: The file.
        width: Room on the page, in points.
        height: Room on the page, in points.
    """
    for page in _pages(media_type, octets):
        yield _figure(page, width=width, height=height)


def _pages(media_type: str, octets: bytes) -> Iterator[Image.Image]:
    kind = FORMATS.get(media_type)
    if kind is None:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata; the limits here are our own
            opened = Image.open(io.BytesIO(octets), formats=(kind,))
            for number in range(min(getattr(opened, "n_frames", 1), MAX_PAGES)):
                opened.seek(number)
                if opened.width * opened.height > _MAX_PIXELS:
                    return
                yield _flat(opened)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError,
            EOFError, MemoryError, OverflowError):  # fmt: skip
        return


def _flat(picture: Image.Image) -> Image.Image:
    """Turn a picture upright, lay it on white, and make it as small as it needs to be."""
    upright = ImageOps.exif_transpose(picture)
    layered = upright.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    flat = Image.alpha_composite(white, layered).convert("RGB")
    flat.thumbnail((_KEPT_SIDE, _KEPT_SIDE))
    return flat


def _figure(picture: Image.Image, *, width: float, height: float) -> Flowable:
    own = (picture.width * _POINTS_PER_PIXEL, picture.height * _POINTS_PER_PIXEL)
    scale = min(1.0, width / own[0], height / own[1])
    packed = io.BytesIO()
    picture.save(packed, "PNG")
    packed.seek(0)
    made = Figure(packed, width=own[0] * scale, height=own[1] * scale)
    made.hAlign = "LEFT"
    return made
