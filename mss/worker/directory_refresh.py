"""Keep the directory fresh: import the files of the day, and erase what nobody may see any more.

The import runs as a process of its own, `mss directory refresh`, which lowers its own priority:
minutes of work must not hold up the mail. It says itself, in the journal, what it did.

Errors
    None out of the jobs: a refresh that fails is tried again at its next turn, and logged.
"""

import asyncio
import logging
import os
import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from directory import index_sql
from directory.errors import ImportRunningError
from mss.clock import Clock
from mss.settings import Settings
from mss.store.engine import Database, store_errors, sync_engine

LOOK: Final = timedelta(minutes=15)
RETRY: Final = timedelta(hours=1)
_log = logging.getLogger("mss.worker")


@dataclass(slots=True, kw_only=True)
class DirectoryRefresh:
    """Renews the directory of one operator; of several processes one does, the others find it done.

    Attributes:
        command: What runs a refresh; the program itself unless a test says otherwise.
    """

    database: Database
    clock: Clock
    settings: Settings
    command: tuple[str, ...] = (sys.executable, "-m", "mss", "directory", "refresh")
    _tried_at: datetime | None = field(default=None, init=False)

    async def run(self) -> None:
        """Import the files of the settings if the directory in force is old enough."""
        if not await self._is_due():
            return
        self._tried_at = self.clock.now()
        process = await asyncio.create_subprocess_exec(
            *self.command,
            env={**os.environ, "MSS_HOME": str(self.settings.home)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            process.terminate()  # the generation in the making is thrown away by the next import
            raise
        if status != 0:
            _log.warning("the directory stays as it is: its refresh ended with status %d", status)

    async def forget(self) -> None:
        """Erase the generations that were kept for those who paged through them."""
        await asyncio.to_thread(self._forget)

    def _forget(self) -> None:
        engine = sync_engine(self.settings.database_url).execution_options(writes=True)
        keep = timedelta(seconds=self.settings.directory.snapshot_seconds)
        try:
            with store_errors(), engine.connect() as connection:
                index_sql.forget_gone(connection, at=self.clock.now(), keep=keep)
        except ImportRunningError:
            _log.info("the old directory is erased after the import that is under way")
        finally:
            engine.dispose()

    async def _is_due(self) -> bool:
        settings, now = self.settings.directory, self.clock.now()
        if not settings.sources or not settings.refresh_hours:
            return False
        if self._tried_at is not None and now - self._tried_at < RETRY:
            return False
        live = await self.database.read(index_sql.find_live_generation)
        return live is None or now - live.loaded_at >= timedelta(hours=settings.refresh_hours)
