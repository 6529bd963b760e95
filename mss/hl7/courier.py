"""Bring hospital software what is on its way to it: in order, durably, once if it can be told.

One piece of software gets one message after another: the next goes when the one before was
answered. Software that cannot be reached is left alone for longer and longer; what is too old then
is dead, and an administrator may wake it. An answer that says no is an answer: the message is
settled, and what it says goes to whoever sent the document.

A process may be killed at any line: a message whose answer was not noted is sent again with the
same control id, by which software knows it.
"""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from crypto.errors import CryptoError
from directory.errors import DirectoryError
from mss.clock import Clock
from mss.errors import MSSError
from mss.hl7.client import Answer, Caller, Line, UnreachableError, send_message
from mss.hl7.intake import KIND, Intake
from mss.hl7.integration import Integration
from mss.hl7.notices import Notices
from mss.settings import HL7Settings
from mss.store import hl7
from mss.store.engine import Database
from mss.store.hl7 import DEAD, DONE, Outgoing, Route

_log = logging.getLogger("mss.hl7")
CLAIM: Final = timedelta(minutes=5)  # longer than one message may take
ROUTES: Final = 32  # that are served side by side
FORGET: Final = timedelta(hours=6)
DRAIN_SECONDS: Final = 10.0


@dataclass(slots=True, kw_only=True)
class Courier:
    """Runs until stopped; any number of processes may."""

    database: Database
    clock: Clock
    settings: HL7Settings
    caller: Caller
    notices: Notices
    intake: Intake
    integration: Integration
    name: str
    keep: timedelta
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _under_way: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    def stop(self) -> None:
        """Finish the message under way and return from `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped."""
        next_forget = self.clock.now()
        async with asyncio.TaskGroup() as group:
            while not self._stopping.is_set():
                await _guarded(self._turn(group))
                if self.clock.now() >= next_forget:
                    await _guarded(self.forget())
                    next_forget = self.clock.now() + FORGET
                try:
                    async with asyncio.timeout(self.settings.poll_seconds):
                        await self._stopping.wait()
                except TimeoutError:
                    continue
            if self._under_way:
                _, late = await asyncio.wait(self._under_way, timeout=DRAIN_SECONDS)
                for task in late:
                    task.cancel()

    async def run_until_idle(self) -> None:
        """Work until nothing is due; for commands and tests that wait for an outcome."""
        while await self.look() + await self._serve_all():
            continue

    async def look(self) -> int:
        """Find what is to be told, to software and by it."""
        if not await self.database.read(hl7.list_routes):
            return 0
        found = await self.notices.look()
        found += await self.intake.look()
        return found + await self.integration.look()

    async def forget(self) -> None:
        """Forget what is settled and old."""
        before = self.clock.now() - self.keep
        await self.database.write(lambda c: hl7.forget_old(c, before=before))

    async def _turn(self, group: asyncio.TaskGroup) -> None:
        await self.look()
        for route in await self._claim():
            task = group.create_task(_guarded(self.serve(route)))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _serve_all(self) -> int:
        routes = await self._claim()
        for route in routes:
            await self.serve(route)
        return len(routes)

    async def _claim(self) -> list[Route]:
        now = self.clock.now()
        room = ROUTES - len(self._under_way)
        if room <= 0 or not await self.database.read(hl7.count_waiting):
            return []
        return await self.database.write(
            lambda c: hl7.claim_routes(c, by=self.name, now=now, until=now + CLAIM, limit=room)
        )

    async def serve(self, route: Route) -> None:
        """Bring one piece of software all that waits for it, while it answers."""
        try:
            async with self.caller.calling(route.destination) as line:
                while not self._stopping.is_set():
                    one = await self.database.read(lambda c: hl7.next_outgoing(c, route.id))
                    if one is None or not await self._renewed(route):
                        break
                    await self._bring(route, line, one)
            if route.failures:
                await self._recover(route)
        except UnreachableError as error:
            await self._unreachable(route, error.reason)
        except MSSError as error:
            await self._unreachable(route, error.code)
        finally:
            await self.database.write(lambda c: hl7.release_route(c, route.id, by=self.name))

    async def _renewed(self, route: Route) -> bool:
        until = self.clock.now() + CLAIM
        return await self.database.write(
            lambda c: hl7.renew_claim(c, route.id, by=self.name, until=until)
        )

    async def _bring(self, route: Route, line: Line, one: Outgoing) -> None:
        builder = self.intake if one.kind == KIND else self.notices
        message = await builder.build(route, one)
        if message is None:
            await self._settle(one, DEAD, verdict=None, code="forgotten", text="")
            return
        await self.database.write(lambda c: hl7.note_attempt(c, one.id))
        answer = await send_message(line, message, control_id=one.control_id)
        if answer.verdict != "AA":
            _log.warning("%s %s was answered %s %s", one.kind, one.id, answer.verdict, answer.code)
        code, text = _error(answer)
        await self._settle(one, DONE, verdict=answer.verdict, code=code, text=text)

    async def _settle(
        self, one: Outgoing, state: str, *, verdict: str | None, code: str, text: str
    ) -> None:
        at = self.clock.now()
        await self.database.write(
            lambda c: hl7.settle(
                c,
                one.id,
                state=state,
                at=at,
                verdict=verdict,
                error_code=code or None,
                error_text=text or None,
            )
        )

    async def _recover(self, route: Route) -> None:
        await self.database.write(
            lambda c: hl7.change_route(c, route.id, failures=0, retry_at=None, trouble=None)
        )

    async def _unreachable(self, route: Route, reason: str) -> None:
        """Leave software alone for a while, and give up what is too old."""
        now, delays = self.clock.now(), self.settings.delays
        known = await self.database.read(lambda c: hl7.get_route(c, route.id))
        failures = known.failures if known else 0
        retry_at = now + timedelta(seconds=delays[min(failures, len(delays) - 1)])
        await self.database.write(
            lambda c: hl7.change_route(
                c, route.id, failures=failures + 1, retry_at=retry_at, trouble=reason
            )
        )
        _log.warning("the software of route %s cannot be reached: %s", route.id, reason)
        oldest = now - timedelta(seconds=self.settings.expires_after)
        while True:
            one = await self.database.read(lambda c: hl7.next_outgoing(c, route.id))
            if one is None or one.queued_at > oldest:
                return
            await self._settle(one, DEAD, verdict=None, code="expired", text=reason)


def _error(answer: Answer) -> tuple[str, str]:
    """Say an answer that is a no in a code that the other side may read."""
    if answer.verdict == "AA":
        return "", ""
    if answer.is_application:
        return answer.code, answer.label
    return "906", " ".join(filter(None, (answer.label, answer.code)))


async def _guarded(work: Awaitable[None]) -> None:
    """Keep one failure from stopping the courier: what was not done is found again."""
    try:
        await work
    except (MSSError, DirectoryError, CryptoError) as error:
        _log.warning("a turn failed: %s", error.code)
    except Exception:  # noqa: BLE001 -- whatever it is, other software must be served
        _log.exception("a turn failed unexpectedly")
