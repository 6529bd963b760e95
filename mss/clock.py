"""Where time and identifiers come from: the only source of both.

Units
    Instants are aware UTC `datetime`, with microseconds.
    Identifiers are UUID version 7 (RFC 9562, 5.7) in hexadecimal: random enough not to be guessed
    (74 random bits), and sorted by time so that indexes stay dense.
"""

import secrets
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time and invents identifiers."""

    def now(self) -> datetime:
        """Tell the present instant, aware and in UTC."""
        ...

    def new_id(self) -> str:
        """Invent a fresh identifier of 32 hexadecimal digits."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Tell the present instant, aware and in UTC."""
        return datetime.now(UTC)  # noqa: TID251 -- this is the one place

    def new_id(self) -> str:
        """Invent a fresh identifier of 32 hexadecimal digits."""
        return build_id(self.now(), secrets.token_bytes(10))


def build_id(at: datetime, randomness: bytes) -> str:
    """Lay out a UUID version 7 from an instant and ten random octets (RFC 9562, 5.7)."""
    milliseconds = int(at.timestamp() * 1000) & 0xFFFF_FFFF_FFFF
    low = int.from_bytes(randomness[:10], "big")
    random_a = (low >> 64) & 0x0FFF
    random_b = low & 0x3FFF_FFFF_FFFF_FFFF
    value = (milliseconds << 80) | (0x7 << 76) | (random_a << 64) | (0b10 << 62) | random_b
    return f"{value:032x}"
