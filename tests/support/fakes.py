"""Stand-ins for what crosses a socket or a disk; each passes the contract suite of its Protocol."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from mss.blobs.errors import BlobDamagedError, BlobMissingError
from mss.blobs.records import require_name
from mss.clock import Clock, SystemClock
from mss.errors import StoreFullError, StoreUnavailableError
from mss.ports import BlobRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    record: BlobRecord
    octets: bytes
    is_damaged: bool = False


@dataclass(slots=True, kw_only=True)
class MemoryBlobStore:
    """A `BlobStore` that forgets everything with the process."""

    clock: Clock = field(default_factory=SystemClock)
    bodies: dict[str, _Body] = field(default_factory=dict)
    is_closed: bool = False

    async def put(self, name: str, octets: bytes) -> str:
        require_name(name)
        if self.is_closed:
            raise StoreUnavailableError(reason="blobs: closed")
        ref = f"memory:{name}"
        record = BlobRecord(ref=ref, stored_at=self.clock.now(), size_octets=len(octets))
        self.bodies[ref] = _Body(record=record, octets=octets)
        return ref

    async def get(self, ref: str) -> bytes:
        body = self.bodies.get(ref)
        if body is None:
            raise BlobMissingError(ref=ref)
        if body.is_damaged:
            raise BlobDamagedError(ref=ref, reason="body damaged")
        return body.octets

    async def delete(self, ref: str) -> None:
        self.bodies.pop(ref, None)

    async def iter_records(self) -> AsyncIterator[BlobRecord]:
        for body in list(self.bodies.values()):
            yield body.record

    async def aclose(self) -> None:
        self.is_closed = True

    async def count(self) -> int:
        """Count the bodies that are there."""
        return len(self.bodies)

    def damage(self, ref: str) -> None:
        """Let the body be found damaged."""
        self.bodies[ref] = replace(self.bodies[ref], is_damaged=True)


@dataclass(slots=True, kw_only=True)
class FullBlobStore(MemoryBlobStore):
    """A `BlobStore` without room, until somebody makes some."""

    is_full: bool = True

    async def put(self, name: str, octets: bytes) -> str:
        if self.is_full:
            raise StoreFullError(where="blobs")
        # Not super(): a slotted dataclass is made anew, and the bare form would miss it.
        return await MemoryBlobStore.put(self, name, octets)
