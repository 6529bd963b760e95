"""Connections that another process accepted, and handed to this one.

When several processes stand behind the mail doors, one listens for all (`mss/cli/crew.py`). Each
connection arrives here as an open socket with the name of the door that it knocked at; that it has
ended is told, so that limits are kept over all processes together.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from mss.policy.networks import network_of
from mss.smtp.connection import Connection
from mss.smtp.door import Door

_log = logging.getLogger(__name__)


class Intake:
    """The doors of this process, behind a listener elsewhere.

    Args:
        ports: Name of each door to the port that is listened on for it.
        released: Told the door and the network of each connection that has ended.
    """

    def __init__(self, ports: Mapping[str, int], released: Callable[[str, str], None]) -> None:
        self._ports = dict(ports)
        self._released = released
        self._doors: dict[str, Callable[[], Connection]] = {}
        self._coming: set[asyncio.Task[None]] = set()

    def attach(self, door: Door, converse: Callable[[Door], Connection] = Connection) -> int:
        """Have connections for a door handed to it; gives the port that it is known by."""
        door.released = self._released
        self._doors[door.name] = partial(converse, door)
        return self._ports[door.name]

    def take(self, name: str, client: socket.socket) -> None:
        """Begin the conversation with a client that was accepted."""
        task = asyncio.get_running_loop().create_task(self._converse(name, client))
        self._coming.add(task)
        task.add_done_callback(self._coming.discard)

    async def _converse(self, name: str, client: socket.socket) -> None:
        door = self._doors.get(name)
        host = _host_of(client)
        try:
            if door is None:
                raise ConnectionAbortedError
            client.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(door, client)
        except OSError:
            # It had gone before the conversation began.
            _log.info("%s: a client went away", name)
            with suppress(OSError):
                client.close()
            if host is not None:
                self._released(name, network_of(host))


def _host_of(client: socket.socket) -> str | None:
    with suppress(OSError):
        return str(client.getpeername()[0])
    return None
