"""A clock that stands still until a test moves it, and whose identifiers follow one another."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from mss.clock import build_id
from tests.support.pki import NOW


@dataclass(slots=True)
class FixedClock:
    """A `Clock` for tests; two of them share identifiers unless their seeds differ."""

    at: datetime = NOW
    seed: int = 0
    issued: int = 0

    def now(self) -> datetime:
        return self.at

    def new_id(self) -> str:
        """Give the next identifier; sorted by the order of asking, also within one instant."""
        self.issued += 1
        return build_id(self.at, (self.issued << 16 | self.seed).to_bytes(10, "big"))

    def advance(self, **parts: float) -> datetime:
        """Move on by the parts of a `timedelta`."""
        self.at += timedelta(**parts)
        return self.at
