"""Keep the trust list in force fresh: poll its publisher, and raise an alert when that fails long.

A poll is cheap when nothing changed. The last good list stays in force whatever comes; an outage
is written into the journal once, and again when the list has become stale.

Errors
    None out of `run`; `load_from` raises `TrustListUnreachableError` or `TrustListRefusedError`.
"""

import hashlib
import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from directory.trust_list import TrustList
from mss.clock import Clock
from mss.errors import TrustListUnreachableError
from mss.model.audit import AuditName
from mss.settings import TrustSettings
from mss.store import trust_lists
from mss.store.engine import Database
from mss.store.trust_lists import PolledSource
from mss.trust_space import TrustListRefusedError, TrustSpace
from mss.worker.list_fetch import Fetched, ListFetcher

RETRY: Final = timedelta(minutes=5)  # after a poll that failed
_log = logging.getLogger("mss.worker")


@dataclass(slots=True, kw_only=True)
class ListPoll:
    """Polls the address of the settings; several processes may, and do no more work than one."""

    trust: TrustSpace
    database: Database
    clock: Clock
    settings: TrustSettings
    fetcher: ListFetcher
    _is_stale: bool = field(default=False, init=False)

    @property
    def every(self) -> timedelta:
        """How often to call `run`: often enough to try again after a failure."""
        return min(RETRY, timedelta(seconds=self.settings.list_poll_seconds))

    async def run(self) -> None:
        """Poll if it is time, then look at the age of the list in force."""
        if self.settings.list_url and await self._is_due():
            try:
                await self.load_from(self.settings.list_url, actor="system")
            except (TrustListUnreachableError, TrustListRefusedError) as error:
                _log.warning("the trust list stays as it is: %s %s", error.code, error.reason)
        await self._watch_age()

    async def load_from(
        self, url: str, *, is_forced: bool = False, actor: str = "administrator"
    ) -> TrustList | None:
        """Fetch, judge and put in force; `None` if the list in force is still the published one.

        Raises:
            TrustListUnreachableError: It cannot be had.
            TrustListRefusedError: It does not hold; the one in force stays.
        """
        known = await self._known(url)
        try:
            fetched = await self._fetch(known, is_forced=is_forced)
            if fetched is None:
                await self.trust.confirm()
                await self._remember(replace(known, failure=""))
                return None
            fresh = await self.trust.load(
                fetched.octets, source=url, is_forced=is_forced, actor=actor
            )
        except TrustListUnreachableError as error:
            if known.failure != error.reason:
                name = AuditName.TRUST_LIST_UNREACHABLE
                await self.trust.note(name, actor=actor, reason=error.reason, source=url)
            await self._remember(replace(known, failure=error.reason))
            raise
        except TrustListRefusedError as error:
            await self._remember(replace(known, failure=error.reason))
            raise
        polled = PolledSource(
            url=url,
            sha256=hashlib.sha256(fetched.octets).hexdigest(),
            etag=fetched.etag,
            last_modified=fetched.last_modified,
            checked_at=known.checked_at,
        )
        await self._remember(polled)
        return fresh

    async def _fetch(self, known: PolledSource, *, is_forced: bool) -> Fetched | None:
        """Ask with validators only if they belong to the very list that is in force."""
        in_force = await self.database.read(trust_lists.current_digest)
        if is_forced or not known.sha256 or known.sha256 != in_force:
            return await self.fetcher.fetch(known.url)
        return await self.fetcher.fetch(
            known.url, etag=known.etag, last_modified=known.last_modified
        )

    async def _is_due(self) -> bool:
        url = self.settings.list_url
        known = await self.database.read(lambda c: trust_lists.find_source(c, url))
        if known is None:
            return True
        pause = timedelta(seconds=self.settings.list_poll_seconds)
        if known.failure:
            pause = min(pause, RETRY)
        return self.clock.now() - known.checked_at >= pause

    async def _known(self, url: str) -> PolledSource:
        found = await self.database.read(lambda c: trust_lists.find_source(c, url))
        return found or PolledSource(url=url, checked_at=self.clock.now())

    async def _remember(self, polled: PolledSource) -> None:
        kept = replace(polled, checked_at=self.clock.now())
        await self.database.write(lambda c: trust_lists.keep_source(c, kept))

    async def _watch_age(self) -> None:
        """Write once into the journal that the list in force is stale."""
        status = await self.trust.status()
        is_stale = status is not None and status.is_stale
        if status is not None and is_stale and not self._is_stale:
            hours = f"{status.age / timedelta(hours=1):.0f}"
            name = AuditName.TRUST_LIST_STALE
            await self.trust.note(
                name, actor="system", hours=hours, sha256=status.sha256, source=status.source
            )
        self._is_stale = is_stale
