"""How many octets of large messages are in memory at the same time.

Judging, signing and storing a message needs several times its size in memory for a moment. Large
ones wait in the spool until it is their turn; first come, first served, so that none waits for
ever. Messages that fit into memory anyway do not come here.

Units
    Octets, as received.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

CAPACITY_OCTETS: Final = 2 * 1024 * 1024


class Scale:
    """Lets large messages pass while their octets together stay below a limit.

    A message above the limit passes alone.
    """

    def __init__(self, capacity_octets: int = CAPACITY_OCTETS) -> None:
        self._free = self._capacity = capacity_octets
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def weigh(self, size_octets: int) -> AsyncIterator[None]:
        """Wait for the turn of a message, and hold its place while the block lasts."""
        weight = min(size_octets, self._capacity)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((weight, turn))
        self._admit()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._free += weight
            else:
                self._waiting.remove((weight, turn))
            self._admit()

    def _admit(self) -> None:
        """Let pass whoever is first, while there is room."""
        while self._waiting and self._waiting[0][0] <= self._free:
            weight, turn = self._waiting.popleft()
            if turn.cancelled():
                continue
            self._free -= weight
            turn.set_result(None)
