"""The table of periodic jobs, and which of them is due.

A job that fails is tried at its next turn; jobs never stop the worker.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mss.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something to do every so often."""

    name: str
    every: timedelta
    run: Callable[[], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Schedule:
    """Knows when each job's time has come."""

    clock: Clock
    jobs: tuple[Job, ...]
    _next_at: dict[str, datetime] = field(default_factory=dict, init=False)

    def take_due(self) -> list[Job]:
        """Take the jobs whose time has come; each comes again after its pause."""
        now = self.clock.now()
        due = [job for job in self.jobs if now >= self._next_at.get(job.name, now)]
        for job in due:
            self._next_at[job.name] = now + job.every
        return due
