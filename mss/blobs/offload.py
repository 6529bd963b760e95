"""Where work on octets is done: here when there are few, in a thread when there are many.

Handing over costs some 50 µs; what takes longer than that must not hold up the event loop.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def run_by_size(call: Callable[[], T], size_octets: int, *, inline_octets: int) -> T:
    """Make a *call* that goes over *size_octets*, in a thread if these exceed *inline_octets*."""
    return call() if size_octets <= inline_octets else await asyncio.to_thread(call)
