"""When should somebody be told that a certificate or a list will end?

Pure: instants and thresholds in, the threshold that was passed last out.

Units
    Days are whole and rounded down; instants are aware UTC.
Errors
    None. Every input has an answer.
"""

from collections.abc import Iterable
from datetime import datetime

ENDED = 0
"""The threshold of what has ended already."""


def days_left(ends_at: datetime, now: datetime) -> int:
    """Count the whole days until the end; negative once it is over."""
    return (ends_at - now).days


def threshold_passed(ends_at: datetime, now: datetime, thresholds: Iterable[int]) -> int | None:
    """Name the smallest threshold (days) that has been passed; `None` while there is time.

    Each threshold is passed once in the life of a certificate, so that whoever remembers the
    answer says each of them once, even after a pause in which two were passed.
    """
    if ends_at <= now:
        return ENDED
    return min((one for one in thresholds if days_left(ends_at, now) < one), default=None)
