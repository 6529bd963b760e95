"""Encrypts bodies before whatever store is beneath sees them.

The blob's name is bound to the sealed octets, and the reference ends with the name: a body put in
another one's place does not open. References are those of the store beneath.

Errors
    `BlobDamagedError` for octets that do not open; else as the store beneath.
"""

from collections.abc import AsyncIterator
from functools import partial

from crypto.errors import SealError
from crypto.sealing import Sealer
from mss.blobs.compaction import Compactable, Move
from mss.blobs.errors import BlobDamagedError
from mss.blobs.offload import run_by_size
from mss.ports import BlobRecord, BlobStore

# About 0.1 ms of work.
_INLINE_OCTETS = 128 * 1024


class SealedBlobStore:
    """Bodies that only the holder of the key can read."""

    def __init__(self, inner: BlobStore, sealer: Sealer) -> None:
        self._inner = inner
        self._sealer = sealer

    async def put(self, name: str, octets: bytes) -> str:
        """Seal and store *octets*, return the reference to find them by."""
        return await self._inner.put(name, await self._seal(name, octets))

    async def get(self, ref: str) -> bytes:
        """Fetch and open what is behind *ref*."""
        sealed = await self._inner.get(ref)
        try:
            return await self._open(_name_of(ref), sealed)
        except SealError as error:
            raise BlobDamagedError(ref=ref, reason=f"seal: {error.reason}") from error

    async def delete(self, ref: str) -> None:
        """Remove what is behind *ref*; removing what is not there is no error."""
        await self._inner.delete(ref)

    def iter_records(self) -> AsyncIterator[BlobRecord]:
        """Stream every stored body; sizes are those of the sealed octets."""
        return self._inner.iter_records()

    async def compact(self, move: Move) -> int:
        """Compact the store beneath, if that is of the kind that needs it."""
        return await self._inner.compact(move) if isinstance(self._inner, Compactable) else 0

    async def aclose(self) -> None:
        """Close the store beneath."""
        await self._inner.aclose()

    async def _seal(self, name: str, octets: bytes) -> bytes:
        seal = partial(self._sealer.seal, octets, context=_context(name))
        return await run_by_size(seal, len(octets), inline_octets=_INLINE_OCTETS)

    async def _open(self, name: str, sealed: bytes) -> bytes:
        unseal = partial(self._sealer.open, sealed, context=_context(name))
        return await run_by_size(unseal, len(sealed), inline_octets=_INLINE_OCTETS)


def _name_of(ref: str) -> str:
    return ref.rpartition(":")[2]


def _context(name: str) -> bytes:
    """Say what the octets are: nothing else that the same key seals opens as a body."""
    return f"blob:{name}".encode()
