"""What a connection asks of the objects it is given, before anybody has said a word."""

from types import SimpleNamespace
from typing import cast

import pytest

from mss.settings import LimitSettings
from mss.smtp.connection import Connection
from mss.smtp.door import Door


class Unlookable:
    """Rules that bear no look at their attributes, as a dataclass with slots on Python 3.11.2."""

    def __getattribute__(self, name: str) -> object:
        raise TypeError(name)


async def test_a_connection_begins_without_looking_into_the_rules() -> None:
    """The library inspects its handler; on some Pythons that ended every connection unanswered."""
    door = SimpleNamespace(rules=Unlookable(), limits=LimitSettings(), host_name="mta.example.org")

    assert Connection(cast("Door", door)).hostname == "mta.example.org"


def test_the_rules_of_this_test_bear_no_look() -> None:
    """Or the test above would show nothing."""
    with pytest.raises(TypeError):
        dir(Unlookable())
