"""What compacting a blob store asks for and promises.

Only stores that cannot give room back at once need it; `LocalBlobStore` does.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

Move = Callable[[str, str], Awaitable[bool]]
"""Makes rows refer to the second reference instead of the first; False if no row did."""


@runtime_checkable
class Compactable(Protocol):
    """A store that can bring living bodies together."""

    async def compact(self, move: Move) -> int:
        """Copy the last bodies out of what is mostly dead, and say how many were moved.

        The old copies stay until the sweeper finds that no row refers to them: who has just read
        an old reference from a row can still follow it, and so can a row that is being written.
        """
        ...
