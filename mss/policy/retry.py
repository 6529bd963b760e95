"""Decide when to try a failed delivery again, and when to give up.

Pure: facts in, `NextStep` out; reads no clock and no database, and draws no lots: what spreads
retries is taken from the name of what is tried.

Units
    Delays are seconds, from the settings; instants are aware UTC.
Sources
    RFC 5321, 4.5.4.1 (retry, and give up after days); the settings shorten both, since a letter
    about a patient that cannot be delivered must come back while it still matters.
"""

import hashlib
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPlan:
    """The written schedule.

    Attributes:
        delays: Seconds before each further attempt; the last one repeats until expiry.
        spread: The part of a delay by which it may be longer, so that what failed together (a
            peer that was restarted) is not tried again at one instant.
    """

    delays: tuple[float, ...]
    spread: float = 0.0

    def after(self, failures: int, *, name: str) -> timedelta:
        """Give the pause after so many failures in a row of what is called *name*."""
        delay = self.delays[min(failures, len(self.delays)) - 1]
        digest = hashlib.sha256(f"{name}/{failures}".encode()).digest()
        lot = int.from_bytes(digest[:4]) / 2**32
        return timedelta(seconds=delay * (1 + self.spread * lot))


def next_step(*, pause: timedelta, now: datetime, expires_at: datetime | None) -> NextStep:
    """Answer for a delivery whose attempt has just failed for now.

    The last attempt is made at the very end of its time.
    """
    if expires_at is not None and now >= expires_at:
        return GiveUp("expired")
    at = now + pause
    return TryAgain(at=at if expires_at is None else min(at, expires_at))
