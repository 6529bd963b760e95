"""The periodic jobs of an operator: what each does, and how often.

What every process must do for itself, whether it has a worker or not, is in `mss/worker/watch.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from mss.blobs.compaction import Compactable
from mss.blobs.sweep import sweep
from mss.clock import Clock
from mss.ports import BlobStore
from mss.settings import Settings
from mss.store import destinations, messages, retention
from mss.store.engine import Database
from mss.worker.directory_refresh import LOOK, DirectoryRefresh
from mss.worker.list_poll import ListPoll
from mss.worker.revocation import RevocationNews
from mss.worker.schedule import Job

SETTLED_AFTER = timedelta(minutes=10)  # what is younger may still be on its way through
RELEASE_BATCH = 500
ORPHAN_AGE = timedelta(hours=1)  # far longer than any acceptance lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """Builds the table of jobs."""

    database: Database
    blobs: BlobStore
    poll: ListPoll
    news: RevocationNews
    directory: DirectoryRefresh
    clock: Clock
    settings: Settings

    def table(self) -> tuple[Job, ...]:
        """List every job."""
        return (
            Job(name="trust-list-poll", every=self.poll.every, run=self.poll.run),
            Job(name="revocation", every=timedelta(minutes=1), run=self.news.turn),
            Job(name="evidence", every=timedelta(hours=6), run=self.news.forget),
            Job(name="forget", every=timedelta(hours=1), run=self._forget),
            Job(name="forget-settled", every=timedelta(hours=6), run=self._forget_settled),
            Job(name="directory-refresh", every=LOOK, run=self.directory.run),
            Job(name="directory-forget", every=LOOK, run=self.directory.forget),
            Job(name="release", every=timedelta(minutes=10), run=self._release),
            Job(name="sweep", every=timedelta(hours=6), run=self._sweep),
        )

    async def _forget(self) -> None:
        """Forget repeats and idempotency keys that are old enough."""
        now = self.clock.now()
        duplicates = now - timedelta(seconds=self.settings.retention.duplicates)
        idempotent = now - timedelta(seconds=self.settings.retention.idempotency)
        await self.database.write(
            lambda c: messages.forget_old(c, duplicates=duplicates, idempotent=idempotent)
        )
        await self.database.write(lambda c: destinations.forget_unused(c, before=duplicates))

    async def _forget_settled(self) -> None:
        """Forget letters that were settled longer ago than any sender may ask about."""
        before = self.clock.now() - timedelta(seconds=self.settings.retention.tracking)
        while await self.database.write(
            lambda c: retention.forget_settled(c, before=before, limit=RELEASE_BATCH)
        ):
            pass

    async def _release(self) -> None:
        """Remove the bodies of letters that were carried, or deleted from every mailbox."""
        before = self.clock.now() - SETTLED_AFTER
        while True:
            refs = await self.database.write(
                lambda c: messages.release_bodies(c, before=before, limit=RELEASE_BATCH)
            )
            for ref in refs:
                await self.blobs.delete(ref)
            if not refs:
                return

    async def _sweep(self) -> None:
        """Remove bodies that a crash left without a row, then give half-empty files back."""

        async def is_referenced(refs: Sequence[str]) -> set[str]:
            return await self.database.read(lambda c: messages.referenced_blobs(c, refs))

        async def move(old_ref: str, new_ref: str) -> bool:
            return await self.database.write(lambda c: messages.move_blob(c, old_ref, new_ref))

        await sweep(self.blobs, is_referenced, now=self.clock.now(), minimum_age=ORPHAN_AGE)
        if isinstance(self.blobs, Compactable):
            await self.blobs.compact(move)
