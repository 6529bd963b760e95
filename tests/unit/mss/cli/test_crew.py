"""What the process that listens prepares, and what a member does with a client that has gone."""

import asyncio
import os
import socket

import pytest

from mss.cli.crew import count_processes, open_listeners
from mss.errors import SettingsError
from mss.settings import ListenSettings
from mss.smtp.intake import Intake

LOOPBACK = "127.0.0.1:0"


@pytest.mark.parametrize(
    ("wanted", "count"), [(1, 1), (3, 3), (0, min(len(os.sched_getaffinity(0)), 16))]
)
def test_as_many_processes_as_wanted_or_as_there_are_cores(wanted: int, count: int) -> None:
    """A container that may use one core of many gets one process."""
    assert count_processes(wanted) == count


def test_only_doors_that_are_named_and_have_an_address_are_listened_on() -> None:
    """The settings say where; the command line says which."""
    listen = ListenSettings(mx=LOOPBACK, submission=LOOPBACK, submissions="")

    found = open_listeners(listen, frozenset({"submission", "api"}))

    assert set(found) == {"submission"}
    for one in found.values():
        one.close()


def test_an_address_that_is_taken_is_a_trouble_of_the_settings() -> None:
    """Said before any process is begun, with the name of the setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = ListenSettings(mx=f"127.0.0.1:{taken.getsockname()[1]}")

        with pytest.raises(SettingsError, match=r"listen\.mx"):
            open_listeners(listen, frozenset({"mx"}))


async def test_a_client_for_a_door_that_is_not_here_is_let_go_and_counted_out() -> None:
    """It would otherwise take a place for ever."""
    released: list[tuple[str, str]] = []
    gone = asyncio.Event()

    def release(door: str, network: str) -> None:
        released.append((door, network))
        gone.set()

    intake = Intake({"mx": 25}, release)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        intake.take("mx", accepted)
        async with asyncio.timeout(10):
            await gone.wait()

    assert released == [("mx", "127.0.0.1")]
    with client:
        assert client.recv(1) == b""
