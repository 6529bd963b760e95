"""Several processes behind the mail doors of one operator, and one that listens for them.

Python runs on one core at a time, so a machine with several wants several processes. The first one
listens, and hands each connection to the member of the crew that has the fewest from that network:
so limits on connections hold for all members together. It does nothing else, which is why it may
begin a new member when one has died. Members share the database and the blob store, as processes of
one operator always may.

Shapes
    Each member has a socket to the first process, on which a packet is one letter and its text.
    To a member: `c` a connection (the door's name, and the open socket), `h` look at certificates
    and lists, `w` something was queued, `s` stop. From a member: `r` ready (its own ports, JSON),
    `g` a connection has gone (its network), `w` something was queued.
Errors
    `SettingsError` for an address that cannot be listened on. What a member cannot begin with, it
    says itself; when the first one cannot, nothing runs.
"""

import asyncio
import gc
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import orjson

from mss.errors import SettingsError
from mss.policy.networks import network_of
from mss.settings import LimitSettings, ListenSettings
from mss.smtp import replies
from mss.smtp.intake import Intake
from mss.smtp.server import BACKLOG, split_address

_log = logging.getLogger(__name__)

MAX_PROCESSES: Final = 16  # by default, however many cores there are
PACKET_OCTETS: Final = 4096
ACCEPTED_AT_ONCE: Final = 64
STOP_SECONDS: Final = 45.0  # longer than a member takes that is well
TURN_SECONDS: Final = 0.2
RESTART_SECONDS: Final = 1.0  # a member that dies sooner is not begun again at once
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
WRAPPED: Final = "submissions"

Ports = dict[str, int]


def count_processes(wanted: int) -> int:
    """Say how many processes stand behind the doors; 0 wants as many as there are cores."""
    if not hasattr(socket, "SOCK_SEQPACKET") or sys.platform != "linux":
        return 1
    return wanted or min(len(os.sched_getaffinity(0)), MAX_PROCESSES)


def open_listeners(listen: ListenSettings, parts: frozenset[str]) -> dict[str, socket.socket]:
    """Listen for the mail doors that are named.

    Raises:
        SettingsError: An address cannot be listened on.
    """
    wanted: dict[str, str] = {}
    if "mx" in parts:
        wanted["mx"] = listen.mx
    if "submission" in parts:
        wanted |= {"submission": listen.submission, WRAPPED: listen.submissions}
    found: dict[str, socket.socket] = {}
    for name, address in wanted.items():
        if address:
            host, port = split_address(address)
            try:
                found[name] = _listen(host, port)
            except OSError as error:
                raise SettingsError(reason=f"listen.{name}: {error}") from error
    return found


def _listen(host: str, port: int) -> socket.socket:
    if not host:  # every address of this machine, of both kinds
        return socket.create_server(
            ("", port),
            family=socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET,
            backlog=BACKLOG,
            dualstack_ipv6=socket.has_dualstack_ipv6(),
        )
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address[:2], family=family, backlog=BACKLOG)


@dataclass(slots=True, kw_only=True)
class _Member:
    """A process of the crew, as the first one sees it.

    Attributes:
        inside: How many connections it has: for each door and network, for each door (network
            empty), and in all (both empty).
    """

    number: int
    pid: int
    control: socket.socket
    began_at: float
    is_ready: bool = False
    inside: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, door: str, network: str, change: int) -> None:
        """Count a connection that comes (1) or has gone (-1)."""
        for key in ((door, network), (door, ""), ("", "")):
            self.inside[key] += change
        if self.inside[door, network] <= 0:
            del self.inside[door, network]

    def tell(self, kind: bytes, text: bytes = b"", client: socket.socket | None = None) -> bool:
        """Send a packet; tell whether it could be."""
        try:
            if client is None:
                self.control.send(kind + text)
            else:
                socket.send_fds(self.control, [kind + text], [client.fileno()])
        except OSError:  # it is gone, or has not read for so long that its packets pile up
            return False
        return True


class Link:
    """A member's end of its socket to the first process."""

    def __init__(self, number: int, control: socket.socket, ports: Ports) -> None:
        self.number = number
        self.intake = Intake(ports, lambda *where: self.tell(b"g", " ".join(where).encode()))
        self._control = control

    def tell(self, kind: bytes, text: bytes = b"") -> None:
        """Send a packet; who has gone hears nothing."""
        with suppress(OSError):
            self._control.send(kind + text)

    def say_ready(self, ports: Ports) -> None:
        """Tell that mail can come in."""
        self.tell(b"r", orjson.dumps(ports))

    def listen(
        self, *, stop: Callable[[], None], reload: Callable[[], None], wake: Callable[[], None]
    ) -> None:
        """Take packets from now on, in the event loop that runs."""
        loop = asyncio.get_running_loop()
        obey = {b"s": stop, b"h": reload, b"w": wake}

        def read() -> None:
            try:
                packet, files, _, _ = socket.recv_fds(self._control, PACKET_OCTETS, 1)
            except BlockingIOError:
                return
            except OSError:
                packet, files = b"", []
            if packet[:1] == b"c":
                for file in files:
                    self.intake.take(packet[1:].decode(), socket.socket(fileno=file))
            elif not packet:  # nobody listens any more
                loop.remove_reader(self._control.fileno())
                stop()
            else:
                obey[packet[:1]]()

        self._control.setblocking(False)
        loop.add_reader(self._control.fileno(), read)


class Crew:
    """Listens, begins members and hands connections to them.

    Args:
        listeners: Door to the socket that listens for it.
        count: How many members.
        limits: How many connections may come.
    """

    def __init__(
        self, listeners: Mapping[str, socket.socket], *, count: int, limits: LimitSettings
    ) -> None:
        self._listeners = dict(listeners)
        self._count = count
        self._limits = limits
        self._ports: Ports = {name: one.getsockname()[1] for name, one in self._listeners.items()}
        self._members: dict[int, _Member] = {}
        self._absent: dict[int, float] = {}  # number of a member to when it may begin again
        self._selector = selectors.DefaultSelector()
        self._signals: set[int] = set()
        self._wakeup: tuple[socket.socket, socket.socket] | None = None
        self._is_stopping = False
        self._last_status = 0

    def run(self, ready: Callable[[Ports], None]) -> Link | None:
        """Run until told to stop; in each member this returns its link, and in the first `None`.

        Args:
            ready: Told all ports once every member can take mail.

        Raises:
            SystemExit: A member could not begin, and has said why.
        """
        self._catch_signals()
        gc.collect()
        gc.freeze()  # what is shared with members stays shared
        for number in range(self._count):
            link = self._begin(number)
            if link is not None:
                return link
            self._await_ready(self._members[number])
        self._open()
        ready(self._ports)
        while not self._is_stopping:
            link = self._turn()
            if link is not None:
                return link
        self._stop()
        return None

    def _open(self) -> None:
        for name, listener in self._listeners.items():
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, name)

    # Members.

    def _begin(self, number: int) -> Link | None:
        """Begin a member; returns its link there, and nothing here."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._become_member()
            return Link(number, theirs, self._ports)
        theirs.close()
        ours.setblocking(False)
        member = _Member(number=number, pid=pid, control=ours, began_at=time.monotonic())
        self._members[number] = member
        self._selector.register(ours, selectors.EVENT_READ, member)
        return None

    def _become_member(self) -> None:
        """Let go of all that only the first process holds."""
        signal.set_wakeup_fd(-1)
        for name in SIGNALS:
            # A terminal or a service manager tells all at once; the first process passes it on.
            signal.signal(name, signal.SIG_DFL if name == signal.SIGCHLD else signal.SIG_IGN)
        self._selector.close()
        for one in (*self._listeners.values(), *(self._wakeup or ())):
            one.close()
        for member in self._members.values():
            member.control.close()

    def _await_ready(self, member: _Member) -> None:
        """Wait until a member can take mail; end as it has ended if it never will."""
        while not member.is_ready:
            for key, _ in self._selector.select():
                if isinstance(key.data, _Member):
                    self._hear(key.data)
                else:
                    self._see_to_signals()
            if member.number not in self._members:
                self._stop()
                raise SystemExit(self._last_status or 1)

    def _turn(self) -> Link | None:
        """Wait for something, and see to all that has come."""
        patience = TURN_SECONDS if self._absent or self._is_stopping else None
        for key, _ in self._selector.select(patience):
            if isinstance(key.data, str):
                self._accept(key.data)
            elif isinstance(key.data, _Member):
                self._hear(key.data)
            else:
                self._see_to_signals()
        return self._begin_absent()

    def _hear(self, member: _Member) -> None:
        try:
            packet = member.control.recv(PACKET_OCTETS)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        match packet[:1]:
            case b"r":
                member.is_ready = True
                self._ports |= orjson.loads(packet[1:])
            case b"g":
                door, _, network = packet[1:].decode().partition(" ")
                member.count(door, network, -1)
            case b"w":
                if member.number and 0 in self._members:
                    self._members[0].tell(b"w")
            case _:  # nothing: it has ended
                self._lose(member)

    def _lose(self, member: _Member) -> None:
        """Bury a member, and let another take its place."""
        self._selector.unregister(member.control)
        member.control.close()
        del self._members[member.number]
        _, status = os.waitpid(member.pid, 0)
        self._last_status = os.waitstatus_to_exitcode(status)
        if self._is_stopping or not member.is_ready:
            self._absent[member.number] = time.monotonic() + RESTART_SECONDS
            return
        _log.error(
            "process %d has ended (%d), another takes its place", member.pid, self._last_status
        )
        lived = time.monotonic() - member.began_at
        pause = 0.0 if lived > RESTART_SECONDS else RESTART_SECONDS
        self._absent[member.number] = time.monotonic() + pause

    def _begin_absent(self) -> Link | None:
        if self._is_stopping:
            return None
        for number, at in list(self._absent.items()):
            if at <= time.monotonic():
                del self._absent[number]
                link = self._begin(number)
                if link is not None:
                    return link
        return None

    # Connections.

    def _accept(self, name: str) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                client, peer = self._listeners[name].accept()
            except OSError:  # nobody waits any more, or no files are left to open
                return
            with client:
                self._hand_over(name, client, network_of(str(peer[0])))

    def _hand_over(self, door: str, client: socket.socket, network: str) -> None:
        """Give a connection to the member that has the fewest; one that is stuck gets none."""
        members = sorted(
            (one for one in self._members.values() if one.is_ready),
            key=lambda one: (one.inside[door, network], one.inside["", ""]),
        )
        from_there = sum(one.inside[door, network] for one in members)
        together = sum(one.inside[door, ""] for one in members)
        if from_there < self._limits.connections_per_host and together < self._limits.connections:
            for member in members:
                if member.tell(b"c", door.encode(), client):
                    member.count(door, network, 1)
                    return
        _log.warning("%s: %s not admitted: too many connections", door, network)
        if door != WRAPPED:
            with suppress(OSError):
                client.send(replies.TOO_MANY_CONNECTIONS.octets(), socket.MSG_DONTWAIT)

    # Signals, and the end.

    def _catch_signals(self) -> None:
        reading, writing = self._wakeup = socket.socketpair()
        reading.setblocking(False)
        writing.setblocking(False)
        for name in SIGNALS:
            signal.signal(name, lambda number, _: self._signals.add(number))
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        self._selector.register(reading, selectors.EVENT_READ, None)

    def _see_to_signals(self) -> None:
        assert self._wakeup is not None
        with suppress(BlockingIOError):
            self._wakeup[0].recv(PACKET_OCTETS)
        came, self._signals = self._signals, set()
        if came & {signal.SIGTERM, signal.SIGINT}:
            self._is_stopping = True
        if signal.SIGHUP in came:
            for member in self._members.values():
                member.tell(b"h")

    def _stop(self) -> None:
        """Listen no longer, and wait until every member has answered what is under way."""
        for listener in self._listeners.values():
            with suppress(KeyError):
                self._selector.unregister(listener)
            listener.close()
        for member in self._members.values():
            member.tell(b"s")
        deadline = time.monotonic() + STOP_SECONDS
        while self._members and time.monotonic() < deadline:
            self._turn()
        for member in self._members.values():
            os.kill(member.pid, signal.SIGKILL)
