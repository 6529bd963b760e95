"""What the relay remembers between letters: sessions that may be used again, hosts in trouble.

A handshake costs both sides more than a letter, so a session stays open for a short while. A host
that many domains share and that cannot be reached is not tried once for each of them.

Units
    Times are those of the event loop's clock, in seconds.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from mss.smtp.hosts import Host
from mss.smtp.session import HostFault, OutgoingSession

IDLE_SECONDS: Final = 20.0
MAX_IDLE_PER_HOST: Final = 5
MAX_IDLE: Final = 100
TROUBLE_SECONDS: Final = 60.0
MAX_TROUBLES: Final = 1000


@dataclass(eq=False, slots=True)
class _Idle:
    """A session that waits for the next letter, and the timer that ends its waiting."""

    session: OutgoingSession
    timer: asyncio.TimerHandle


@dataclass(slots=True)
class Pool:
    """Sessions that may be used again, a few per host, each for a short while."""

    _idle: dict[Host, list[_Idle]] = field(default_factory=dict)

    def take(self, host: Host) -> OutgoingSession | None:
        """Take a session that looks alive, if there is one."""
        waiting = self._idle.pop(host, [])
        found: OutgoingSession | None = None
        while waiting and found is None:
            entry = waiting.pop()
            entry.timer.cancel()
            if entry.session.is_alive:
                found = entry.session
            else:
                entry.session.abort()
        if waiting:
            self._idle[host] = waiting
        return found

    def give_back(self, session: OutgoingSession) -> None:
        """Keep a session for the next letter, or leave it."""
        waiting = [one for one in self._idle.get(session.host, []) if one.session.is_alive]
        total = sum(map(len, self._idle.values()))
        if not session.is_alive or len(waiting) >= MAX_IDLE_PER_HOST or total >= MAX_IDLE:
            session.leave()
            return
        timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, session.leave)
        self._idle[session.host] = [*waiting, _Idle(session, timer)]

    async def close(self) -> None:
        """Leave every session."""
        entries = [entry for waiting in self._idle.values() for entry in waiting]
        self._idle.clear()
        async with asyncio.TaskGroup() as group:
            for entry in entries:
                entry.timer.cancel()
                group.create_task(entry.session.quit())


@dataclass(frozen=True, slots=True)
class _Fault:
    """What was wrong with a host, for whom, and until when nobody else need try."""

    fault: HostFault
    domain: str
    until: float


@dataclass(slots=True)
class Trouble:
    """Hosts that could not be reached a moment ago.

    Whoever found out may try again whenever its schedule says; the other domains of the host are
    told at once.
    """

    _faults: OrderedDict[Host, _Fault] = field(default_factory=OrderedDict)

    def note(self, host: Host, fault: HostFault, *, domain: str) -> None:
        """Remember that a host could not be reached for a domain."""
        until = asyncio.get_running_loop().time() + TROUBLE_SECONDS
        self._faults[host] = _Fault(fault, domain, until)
        self._faults.move_to_end(host)
        if len(self._faults) > MAX_TROUBLES:
            self._faults.popitem(last=False)

    def find(self, host: Host, *, domain: str) -> HostFault | None:
        """Find the fault that another domain has met at a host a moment ago."""
        known = self._faults.get(host)
        if known is None or known.domain == domain:
            return None
        if known.until < asyncio.get_running_loop().time():
            del self._faults[host]
            return None
        return known.fault

    def forget(self, host: Host) -> None:
        """Forget what was wrong: the host answers."""
        self._faults.pop(host, None)
