"""Has whoever is connected sent as much as they may in an hour?

Counted in the database, where every process of this operator sees it, and remembered here for some
seconds with what this process accepted since: so the limit is exact within one process, and every
other process may exceed it by what it accepts in those seconds.

Errors
    `RateLimitedError`, which is temporary: the hour moves on.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from mss.clock import Clock
from mss.errors import RateLimitedError
from mss.settings import LimitSettings
from mss.store import rates
from mss.store.engine import Database

WINDOW: Final = timedelta(hours=1)
COUNTED_FOR: Final = timedelta(seconds=10)
MAX_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class _Count:
    counted_at: datetime
    messages: int
    recipients: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Knows what each account and each operator sent lately."""

    database: Database
    clock: Clock
    limits: LimitSettings
    _counts: OrderedDict[str, _Count] = field(default_factory=OrderedDict)

    async def check(self, actor: str, *, is_peer: bool, recipients: int) -> None:
        """Let pass one more message for so many recipients.

        Raises:
            RateLimitedError: It would be one too many.
        """
        limits = self.limits
        allowed, allowed_recipients = (
            (limits.peer_messages, limits.peer_recipients)
            if is_peer
            else (limits.account_messages, limits.account_recipients)
        )
        if not allowed and not allowed_recipients:
            return
        count = await self._count(actor)
        if allowed and count.messages >= allowed:
            raise RateLimitedError(what="messages", limit=allowed)
        if allowed_recipients and count.recipients + recipients > allowed_recipients:
            raise RateLimitedError(what="recipients", limit=allowed_recipients)

    def accepted(self, actor: str, *, recipients: int) -> None:
        """Count a message that was just accepted."""
        count = self._counts.get(actor)
        if count is not None:
            count.messages += 1
            count.recipients += recipients

    async def _count(self, actor: str) -> _Count:
        now = self.clock.now()
        known = self._counts.get(actor)
        if known is not None and now - known.counted_at < COUNTED_FOR:
            return known
        since = now - WINDOW
        found = await self.database.survey(
            lambda c: rates.count_recent(c, actor=actor, since=since)
        )
        count = _Count(now, *found)
        self._counts[actor] = count
        self._counts.move_to_end(actor)
        while len(self._counts) > MAX_REMEMBERED:
            self._counts.popitem(last=False)
        return count
