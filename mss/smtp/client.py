"""Carry a letter to the operator of its recipient: the `Relay` of `mss.ports`.

Hosts are tried in order until one says something about the message itself. Who the other side is,
is judged before the first word about the letter, for this very domain, on every hand-over: an idle
session may be reused by another domain of the same host.

Errors
    None for what a peer does: each attempt ends as `Relayed`, `Deferred` or `Refused`.
Sources
    RFC 5321, 4.2.1 (meaning of replies), 5.1 (order of hosts) and 6.1 (responsibility).
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, TypeVar

from crypto.certificates import Certificate
from directory.address import MailAddress
from mss.errors import MSSError
from mss.model.delivery import Deferred, Delivery, Outcome, Refused, Relayed
from mss.settings import RelaySettings, Settings
from mss.smtp.contexts import RelayTls
from mss.smtp.errors import MailDataError
from mss.smtp.hosts import Host, Hosts, NoHostError, parse_host
from mss.smtp.session import HostFault, OutgoingSession, PeerReply, RepliedError, ReplyLostError

# Whatever the single deadlines add up to, an attempt ends.
ATTEMPT_SECONDS: Final = 1500.0
# Enhanced codes that speak of the recipient's address and of nothing else (RFC 3463, 3.2).
NO_SUCH_MAILBOX: Final = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})
IDLE_SECONDS: Final = 20.0
MAX_IDLE_PER_HOST: Final = 2

Result = TypeVar("Result")


class ServerJudge(Protocol):
    """What the relay asks the trust space."""

    def judge_server(
        self,
        certificate: Certificate,
        *,
        intermediates: Sequence[Certificate],
        domain: str,
        host: str,
    ) -> None:
        """Let a server certificate pass for a domain, or raise `MSSError`."""
        ...


class HostFinder(Protocol):
    """What the relay asks about a domain; see `mss.smtp.hosts.Hosts`."""

    async def find(self, domain: str) -> tuple[Host, ...]:
        """List hosts in the order to try them, or raise `MSSError`."""
        ...


@dataclass(eq=False, slots=True)
class _Idle:
    """A session that waits for the next letter, and the timer that ends its waiting."""

    session: OutgoingSession
    timer: asyncio.TimerHandle


@dataclass(slots=True)
class _Pool:
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
        waiting = self._idle.get(session.host, [])
        if not session.is_alive or len(waiting) >= MAX_IDLE_PER_HOST:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpRelay:
    """The outgoing side of this operator.

    Attributes:
        tls: Gives the context for the next connection, so that certificates can be renewed.
        host_name: How we greet.
        probe_seconds: Longest wait when only asking about a mailbox.
    """

    settings: RelaySettings
    trust: ServerJudge
    hosts: HostFinder
    tls: Callable[[], ssl.SSLContext]
    host_name: str
    probe_seconds: float = 5.0
    _pool: _Pool = field(default_factory=_Pool, init=False, repr=False)

    async def relay(self, delivery: Delivery, raw: bytes) -> Outcome:
        """Hand *raw* over for the delivery's recipient; never raises for what a peer does."""
        try:
            hosts = await self.hosts.find(delivery.domain)
        except NoHostError as error:
            return Refused(code=error.code, detail=error.public_text, status=error.status)
        except MSSError as error:
            return Deferred(code=error.code, detail=error.public_text)
        deadline = asyncio.get_running_loop().time() + ATTEMPT_SECONDS
        outcome: Outcome = Deferred(code="host-unreachable", detail="no host was tried")
        for host in hosts:
            try:
                return await self._converse(
                    host, deadline, partial(self._hand_over, delivery=delivery, raw=raw)
                )
            except HostFault as fault:
                outcome = Deferred(code=fault.code, detail=fault.detail, host=str(host))
        return outcome

    async def has_mailbox(self, recipient: MailAddress) -> bool | None:
        """Ask the recipient's operator whether it knows the mailbox; `None` when it cannot be told.

        The operator answers only because it recognises our certificate, as at a delivery.
        """
        domain = str(recipient.domain)
        deadline = asyncio.get_running_loop().time() + self.probe_seconds
        try:
            async with asyncio.timeout_at(deadline):
                for host in await self.hosts.find(domain):
                    with suppress(HostFault):
                        return await self._converse(
                            host, deadline, partial(self._ask_about, recipient=recipient)
                        )
        except (TimeoutError, MSSError):
            return None
        return None

    async def _ask_about(self, session: OutgoingSession, *, recipient: MailAddress) -> bool | None:
        try:
            self._judge(session, str(recipient.domain))
            reply = await session.ask_about(str(recipient))
        except RepliedError:
            return None
        finally:
            self._pool.give_back(session)
        if reply.is_positive:
            return True
        return False if reply.is_permanent and reply.status in NO_SUCH_MAILBOX else None

    async def aclose(self) -> None:
        """Close idle connections."""
        await self._pool.close()

    async def _converse(
        self, host: Host, deadline: float, use: Callable[[OutgoingSession], Awaitable[Result]]
    ) -> Result:
        """Use an idle session with a host if it still stands, else a new one.

        Raises:
            HostFault: Nothing was said about the message; the next host may be tried.
        """
        idle = self._pool.take(host)
        if idle is not None:
            idle.deadline = deadline
            try:
                return await use(idle)
            except HostFault:
                pass  # it went stale; a letter was not under way
        session = await OutgoingSession.open(
            host,
            context=self.tls(),
            settings=self.settings,
            host_name=self.host_name,
            deadline=deadline,
        )
        return await use(session)

    async def _hand_over(
        self, session: OutgoingSession, *, delivery: Delivery, raw: bytes
    ) -> Outcome:
        host = str(session.host)
        try:
            self._judge(session, delivery.domain)
            unfit = _unfit(session, raw)
            if unfit is not None:
                return unfit
            reply = await session.hand_over(delivery, raw)
        except RepliedError as error:
            return _refusal(error, host)
        except ReplyLostError:
            return Deferred(
                code="reply-lost", detail="the letter was sent, but no reply came", host=host
            )
        except MailDataError as error:
            return Refused(code=error.reason, detail=error.public_text, host=host, status="5.6.0")
        finally:
            self._pool.give_back(session)
        return Relayed(reply=str(reply), host=host, reports="DSN" in session.extensions)

    def _judge(self, session: OutgoingSession, domain: str) -> None:
        try:
            self.trust.judge_server(
                session.certificate,
                intermediates=session.intermediates,
                domain=domain,
                host=session.host.name,
            )
        except MSSError as error:
            session.is_usable = False
            # Deferred, not refused: whoever diverts our connections must not make letters bounce.
            reason = getattr(error, "reason", "")
            raise HostFault(error.code, reason) from error


def _unfit(session: OutgoingSession, raw: bytes) -> Refused | None:
    """Refuse what the host has announced that it will not take."""
    host = str(session.host)
    limit = session.extensions.get("SIZE", "")
    if limit.isdecimal() and 0 < int(limit) < len(raw):
        detail = f"{len(raw)} octets, the host takes {limit}"
        return Refused(code="message-too-large", detail=detail, host=host, status="5.3.4")
    if "8BITMIME" not in session.extensions and not raw.isascii():
        detail = "the host takes ASCII only"
        return Refused(code="eight-bit-unsupported", detail=detail, host=host, status="5.6.3")
    return None


def _refusal(error: RepliedError, host: str) -> Outcome:
    """Tell what a negative reply to MAIL, RCPT, DATA or the message means for the delivery."""
    reply: PeerReply = error.reply
    detail = f"{error.command}: {reply}"
    if reply.is_permanent:
        return Refused(code="peer-refused", detail=detail, host=host, status=reply.status)
    return Deferred(code="peer-deferred", detail=detail, host=host)


def build_relay(settings: Settings, *, trust: ServerJudge) -> SmtpRelay:
    """Build the relay of an operator from its settings.

    Raises:
        SettingsError: A certificate or an address cannot be used.
    """
    for text in settings.relay.hosts.values():
        parse_host(text, default_port=settings.relay.port)
    return SmtpRelay(
        settings=settings.relay,
        trust=trust,
        hosts=Hosts(
            overrides={domain.lower(): host for domain, host in settings.relay.hosts.items()},
            port=settings.relay.port,
        ),
        tls=RelayTls(settings),
        host_name=settings.host_name,
        probe_seconds=settings.directory.ask_peer_seconds,
    )
