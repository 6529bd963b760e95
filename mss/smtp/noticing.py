"""Which of the many things that strangers do at a door are worth a line in the journal?

Every line is a durable write that all others wait behind, and anybody on the Internet can be
refused. So a network gets a few lines a minute, all of them together a few more, and the next line
says how many were left out. A peer that is let in is written once an hour.

Units
    Instants are seconds of a monotonic clock.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

LINES_PER_NETWORK: Final = 10
LINES_PER_DOOR: Final = 120
WINDOW_SECONDS: Final = 60.0
RECOGNISED_FOR_SECONDS: Final = 3600.0
MAX_KNOWN: Final = 4096


@dataclass(slots=True)
class RefusalGate:
    """Lets so many refusals of one network, and of all networks, into the journal."""

    _until: float = 0.0
    _lines: Counter[str] = field(default_factory=Counter)
    _total: int = 0
    _left_out: int = 0

    def admit(self, network: str, *, now: float) -> int | None:
        """Tell how many lines were left out before this one; `None` to leave it out as well."""
        if now >= self._until:
            self._until = now + WINDOW_SECONDS
            self._lines.clear()
            self._total = 0
        if self._lines[network] >= LINES_PER_NETWORK or self._total >= LINES_PER_DOOR:
            self._left_out += 1
            return None
        self._lines[network] += 1
        self._total += 1
        left_out, self._left_out = self._left_out, 0
        return left_out


@dataclass(slots=True)
class Acquaintances:
    """Remembers which certificates were noted lately."""

    _until: dict[str, float] = field(default_factory=dict)

    def is_new(self, fingerprint: str, *, now: float) -> bool:
        """Tell whether this certificate is to be noted, and take it as noted."""
        if self._until.get(fingerprint, 0.0) > now:
            return False
        self._until.pop(fingerprint, None)
        while len(self._until) >= MAX_KNOWN:
            del self._until[next(iter(self._until))]
        self._until[fingerprint] = now + RECOGNISED_FOR_SECONDS
        return True


@dataclass(slots=True)
class UnknownMeter:
    """Counts the unknown mailboxes that each peer asked for within an hour.

    Whoever is trusted may still not try out every name of a hospital at RCPT.
    """

    limit: int
    _until: float = 0.0
    _asked: Counter[str] = field(default_factory=Counter)

    def is_over(self, peer: str, *, now: float) -> bool:
        """Tell whether a peer has asked for too many; then it is told nothing more for a while."""
        self._turn(now)
        return self._asked[peer] >= self.limit

    def count(self, peer: str, *, now: float) -> None:
        """Count one unknown mailbox."""
        self._turn(now)
        self._asked[peer] += 1

    def _turn(self, now: float) -> None:
        if now >= self._until:
            self._until = now + RECOGNISED_FOR_SECONDS
            self._asked.clear()
