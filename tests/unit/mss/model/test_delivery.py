import pytest

from mss.model.delivery import TRANSITIONS, DeliveryState, may_become

FINAL = {DeliveryState.READ, DeliveryState.FAILED, DeliveryState.DROPPED}


def test_every_state_has_its_line_in_the_table() -> None:
    """A state that is added is thought about."""
    assert set(TRANSITIONS) == set(DeliveryState)


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_final_state_is_never_left(state: DeliveryState) -> None:
    """What was told to a sender stays true."""
    assert not any(may_become(state, other) for other in DeliveryState)


@pytest.mark.parametrize("state", DeliveryState)
def test_no_state_becomes_itself(state: DeliveryState) -> None:
    """The same report twice is one event."""
    assert not may_become(state, state)


@pytest.mark.parametrize("state", set(DeliveryState) - FINAL)
def test_every_other_state_leads_to_a_final_one(state: DeliveryState) -> None:
    """No letter can get stuck by the rules themselves."""
    reached = {state}
    for _ in DeliveryState:
        reached |= {after for one in reached for after in TRANSITIONS[one]}

    assert reached & FINAL
