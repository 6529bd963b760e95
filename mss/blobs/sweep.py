"""Which stored bodies does no row refer to, and away with them.

A body is stored before its row (docs/adr/0004), so a crash leaves at most an orphan. A young body
may still be waiting for its row: it is spared until it has the age that is asked for, which must be
longer than the longest transaction.

Errors
    Those of the store and of the callback. What was removed until then stays removed; the next
    sweep takes up the rest.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mss.ports import BlobRecord, BlobStore

BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """What a sweep found."""

    examined: int
    removed: int
    removed_octets: int


async def sweep(
    blobs: BlobStore,
    is_referenced: Callable[[Sequence[str]], Awaitable[set[str]]],
    *,
    now: datetime,
    minimum_age: timedelta,
) -> SweepResult:
    """Remove the bodies of at least *minimum_age* that no row refers to.

    Args:
        blobs: The store to sweep.
        is_referenced: Which of these references (at most `BATCH`) does a row hold?
        now: The present instant.
        minimum_age: Younger bodies are left alone.
    """
    examined = removed = removed_octets = 0
    async for batch in _batches(blobs, stored_until=now - minimum_age):
        kept = await is_referenced([record.ref for record in batch])
        orphans = [record for record in batch if record.ref not in kept]
        for record in orphans:
            await blobs.delete(record.ref)
            removed_octets += record.size_octets
        examined += len(batch)
        removed += len(orphans)
    return SweepResult(examined=examined, removed=removed, removed_octets=removed_octets)


async def _batches(blobs: BlobStore, *, stored_until: datetime) -> AsyncIterator[list[BlobRecord]]:
    """Stream the old enough records, `BATCH` at a time."""
    batch: list[BlobRecord] = []
    async for record in blobs.iter_records():
        if record.stored_at <= stored_until:
            batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
