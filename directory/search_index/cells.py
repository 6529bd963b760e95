"""Divide the map into squares, so that what is near is found without a map.

A point lies in one square of each size. What is within some distance of it lies in a few squares of
the size that fits; how far it is exactly is computed afterwards.

Units
    Degrees of WGS 84; distances in kilometres.
Shapes
    A square is a word: its size, its row and its column, `b1371x-13`.
"""

import math
from collections.abc import Iterator
from typing import Final

EARTH_RADIUS_KM: Final = 6_371.0
KM_PER_DEGREE: Final = 111.2
MAX_RADIUS_KM: Final = 200.0
_SIZES: Final = (("a", 0.02), ("b", 0.1), ("c", 0.5))
_MAX_ROWS: Final = 7


def cells_of(latitude: float, longitude: float) -> Iterator[str]:
    """Yield the squares that a point lies in, one of each size."""
    for letter, size in _SIZES:
        yield _word(letter, math.floor(latitude / size), math.floor(longitude / size))


def cells_around(latitude: float, longitude: float, radius_km: float) -> list[str]:
    """List squares that cover all that is within a distance; fewer than a hundred of them."""
    radius = min(radius_km, MAX_RADIUS_KM)
    height = radius / KM_PER_DEGREE
    width = height / max(math.cos(math.radians(latitude)), 0.1)
    letter, size = next(
        (entry for entry in _SIZES if 2 * height / entry[1] <= _MAX_ROWS), _SIZES[-1]
    )
    rows = range(math.floor((latitude - height) / size), math.floor((latitude + height) / size) + 1)
    columns = range(
        math.floor((longitude - width) / size), math.floor((longitude + width) / size) + 1
    )
    return [_word(letter, row, column) for row in rows for column in columns]


def distance_km(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Compute how far two points (latitude, longitude) are from each other."""
    (lat1, lon1), (lat2, lon2) = (map(math.radians, first), map(math.radians, second))
    half = (
        math.sin((lat2 - lat1) / 2) ** 2
        + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(half)))


def _word(letter: str, row: int, column: int) -> str:
    return f"{letter}{row}x{column}"
