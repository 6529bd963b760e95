import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mss.smtp.scale import Scale


@given(sizes=st.lists(st.integers(1, 25), max_size=12), capacity=st.integers(1, 20))
@settings(max_examples=50)
def test_never_more_than_the_limit_and_never_nobody(sizes: Sequence[int], capacity: int) -> None:
    """All pass in their order; together they weigh no more than allowed, or one is alone."""
    passed: list[int] = []
    inside: list[int] = []

    async def one(number: int, scale: Scale) -> None:
        async with scale.weigh(sizes[number]):
            inside.append(sizes[number])
            assert sum(inside) <= capacity or len(inside) == 1
            passed.append(number)
            await asyncio.sleep(0)
            inside.remove(sizes[number])

    async def everybody() -> None:
        scale = Scale(capacity)
        async with asyncio.TaskGroup() as group:
            for number in range(len(sizes)):
                group.create_task(one(number, scale))

    asyncio.run(everybody())

    assert passed == list(range(len(sizes)))


async def test_who_leaves_the_queue_lets_the_others_pass() -> None:
    """A client that went away while waiting must not hold up those behind it."""
    scale, second_waits = Scale(10), asyncio.Event()

    async def wait() -> None:
        second_waits.set()
        async with scale.weigh(10):
            pytest.fail("it was cancelled before its turn")

    async with scale.weigh(6):
        second = asyncio.create_task(wait())
        await second_waits.wait()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        async with asyncio.timeout(5), scale.weigh(4):
            pass


async def test_who_fails_inside_frees_the_place() -> None:
    """A message that is refused weighs nothing any more."""
    scale = Scale(10)
    with pytest.raises(ValueError, match="refused"):
        async with scale.weigh(10):
            raise ValueError("refused")

    async with asyncio.timeout(5), scale.weigh(10):
        pass
