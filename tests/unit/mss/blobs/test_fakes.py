"""The fakes that tests of other folders rely on."""

import pytest

from mss.clock import SystemClock
from mss.errors import StoreFullError
from tests.support.fakes import FullBlobStore

CLOCK = SystemClock()


async def test_a_full_fake_refuses_until_there_is_room() -> None:
    """Tests of the doors show that a refusal is temporary."""
    blobs = FullBlobStore()
    with pytest.raises(StoreFullError):
        await blobs.put(CLOCK.new_id(), b"body")
    assert await blobs.count() == 0
    blobs.is_full = False

    assert await blobs.get(await blobs.put(CLOCK.new_id(), b"body")) == b"body"
