from datetime import timedelta

import pytest

from mss.policy.retry import GiveUp, RetryPlan, TryAgain, next_step
from tests.support.pki import NOW

DELAYS = (60.0, 300.0, 3600.0)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 60), (2, 300), (3, 3600), (4, 3600), (1000, 3600)],
)
def test_delays_are_taken_in_turn_and_the_last_one_repeats(attempts: int, seconds: int) -> None:
    """A peer that is away for a moment costs a minute; one that is away for long, little work."""
    assert RetryPlan(delays=DELAYS).after(attempts, name="d1") == timedelta(seconds=seconds)


def test_what_failed_together_is_not_tried_together() -> None:
    """A peer that comes back is not met by everything at one instant."""
    plan = RetryPlan(delays=(100.0,), spread=0.1)

    pauses = {plan.after(1, name=f"d{n}") for n in range(50)}

    assert len(pauses) == 50
    assert all(timedelta(seconds=100) <= one <= timedelta(seconds=110) for one in pauses)
    assert max(pauses) - min(pauses) > timedelta(seconds=5)


def test_a_pause_is_the_same_wherever_it_is_computed() -> None:
    """Two processes of one operator agree, and a test can tell what will happen."""
    plan = RetryPlan(delays=(100.0,), spread=0.5)

    assert plan.after(3, name="d1") == plan.after(3, name="d1")
    assert plan.after(3, name="d1") != plan.after(4, name="d1")


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
    assert next_step(pause=HOUR, now=NOW, expires_at=NOW + left) == wanted
