from datetime import timedelta

import pytest

from mss.policy.retry import GiveUp, TryAgain, next_step
from tests.support.pki import NOW

DELAYS = (60.0, 300.0, 3600.0)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 60), (2, 300), (3, 3600), (4, 3600), (1000, 3600)],
)
def test_delays_are_taken_in_turn_and_the_last_one_repeats(attempts: int, seconds: int) -> None:
    """A peer that is away for a moment costs a minute; one that is away for long, little work."""
    step = next_step(attempts=attempts, now=NOW, expires_at=None, delays=DELAYS)

    assert step == TryAgain(at=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("left", "wanted"),
    [
        (2 * HOUR, TryAgain(at=NOW + HOUR)),
        (HOUR, TryAgain(at=NOW + HOUR)),
        (HOUR / 2, TryAgain(at=NOW + HOUR / 2)),
        (timedelta(microseconds=1), TryAgain(at=NOW + timedelta(microseconds=1))),
        (timedelta(0), GiveUp("expired")),
        (-HOUR, GiveUp("expired")),
    ],
)
def test_a_last_attempt_is_made_at_the_very_end(left: timedelta, wanted: TryAgain | GiveUp) -> None:
    """No letter is given up while time is left, and none is tried after it."""
    assert next_step(attempts=3, now=NOW, expires_at=NOW + left, delays=DELAYS) == wanted
