"""Decide when to try a failed delivery again, and when to give up.

Pure: facts in, `NextStep` out; reads no clock and no database.

Units
    Delays are seconds, from the settings; instants are aware UTC.
Sources
    RFC 5321, 4.5.4.1 (retry, and give up after days); the settings shorten both, since a letter
    about a patient that cannot be delivered must come back while it still matters.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Keep it queued until then."""

    at: datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Its time is over: tell the sender."""

    reason: str


NextStep = TryAgain | GiveUp


def next_step(
    *, attempts: int, now: datetime, expires_at: datetime | None, delays: tuple[float, ...]
) -> NextStep:
    """Answer for a delivery whose *attempts*-th attempt has just failed for now."""
    if expires_at is not None and now >= expires_at:
        return GiveUp("expired")
    delay = timedelta(seconds=delays[min(attempts, len(delays)) - 1])
    at = now + delay
    return TryAgain(at=at if expires_at is None else min(at, expires_at))
