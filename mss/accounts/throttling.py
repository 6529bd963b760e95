"""May this host try these credentials now, or did too many fail lately?

Counted for each network and for each name that is tried, known or not. A name that is guessed at
from everywhere must wait, except from networks where it has logged in before: whoever guesses
cannot lock its owner out. Kept in memory, by each process for itself: a guesser that reaches every
process gains a small factor, and a login costs no write.

Units
    Instants are seconds of a monotonic clock.
Errors
    `TooManyFailuresError`, and nothing is checked meanwhile.
Sources
    NIST SP 800-63B, 5.2.2 (rate limiting).
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from mss.errors import TooManyFailuresError
from mss.policy.networks import network_of

MAX_REMEMBERED: Final = 10_000


@dataclass(slots=True, kw_only=True)
class LoginThrottle:
    """Remembers who failed lately; bounded.

    Attributes:
        failures: How many are forgiven. A whole hospital may stand behind one address.
        seconds: After how long without another one they are forgotten.
    """

    failures: int = 20
    seconds: float = 300.0
    _counts: OrderedDict[str, tuple[int, float]] = field(default_factory=OrderedDict)
    _at_home: OrderedDict[tuple[str, str], None] = field(default_factory=OrderedDict)

    def check(self, host: str, *, name: str, now: float) -> None:
        """Raise `TooManyFailuresError` for a host, or a name, that must wait."""
        network, name = network_of(host), _folded(name)
        if self._recent(f"host {network}", now) >= self.failures:
            raise TooManyFailuresError
        is_guessed = self._recent(f"name {name}", now) >= self.failures
        if is_guessed and (name, network) not in self._at_home:
            raise TooManyFailuresError

    def failed(self, host: str, *, name: str, now: float) -> None:
        """Count one more failure."""
        for key in (f"host {network_of(host)}", f"name {_folded(name)}"):
            self._counts[key] = (self._recent(key, now) + 1, now)
            self._counts.move_to_end(key)
        while len(self._counts) > MAX_REMEMBERED:
            self._counts.popitem(last=False)

    def succeeded(self, host: str, *, name: str) -> None:
        """Remember from where a name has logged in."""
        key = (_folded(name), network_of(host))
        self._at_home[key] = None
        self._at_home.move_to_end(key)
        while len(self._at_home) > MAX_REMEMBERED:
            self._at_home.popitem(last=False)

    def _recent(self, key: str, now: float) -> int:
        count, last = self._counts.get(key, (0, now))
        return count if now - last < self.seconds else 0


def _folded(name: str) -> str:
    """Bring a name that a stranger typed to a bounded form."""
    return name[:254].casefold()
