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
from mss.errors import DomainNotTrustedError, MSSError
from mss.model.delivery import Deferred, Delivery, Outcome, Refused
from mss.settings import RelaySettings, Settings
from mss.smtp.errand import Errand, refusal
from mss.smtp.errors import MailDataError
from mss.smtp.hosts import Host, Hosts, NoHostError, parse_host
from mss.smtp.pool import Pool, Trouble
from mss.smtp.session import HostFault, OutgoingSession, RepliedError

# Whatever the single deadlines add up to, an attempt ends.
ATTEMPT_SECONDS: Final = 1500.0
# Enhanced codes that speak of the recipient's address and of nothing else (RFC 3463, 3.2).
NO_SUCH_MAILBOX: Final = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})
# Faults of a host itself, whichever domain asks for it. What is wrong for one domain (a
# certificate that is not listed for it) may be right for another.
ABOUT_THE_HOST: Final = frozenset({"host-unreachable", "host-unavailable", "peer-timeout"})

Result = TypeVar("Result")


class ServerJudge(Protocol):
    """What the relay asks the trust space."""

    def is_trusted_domain(self, domain: str) -> bool:
        """Tell whether mail for a domain may leave at all."""
        ...

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
    _pool: Pool = field(default_factory=Pool, init=False, repr=False)
    _trouble: Trouble = field(default_factory=Trouble, init=False, repr=False)

    async def relay(self, deliveries: Sequence[Delivery], raw: bytes) -> list[Outcome]:
        """Hand *raw* over for recipients of one domain; never raises for what a peer does."""
        domain = deliveries[0].domain
        if not self.trust.is_trusted_domain(domain):
            error = DomainNotTrustedError(domain=domain)
            delisted = Deferred(code=error.code, detail=error.public_text, is_general=True)
            return [delisted] * len(deliveries)
        try:
            hosts = await self.hosts.find(domain)
        except NoHostError as error:
            refused = Refused(code=error.code, detail=error.public_text, status=error.status)
            return [refused] * len(deliveries)
        except MSSError as error:
            lost = Deferred(code=error.code, detail=error.public_text, is_general=True)
            return [lost] * len(deliveries)
        errand = Errand(deliveries=deliveries, raw=raw)
        deadline = asyncio.get_running_loop().time() + ATTEMPT_SECONDS
        for host in hosts:
            await self._try_host(host, deadline, errand)
            if not errand.open:
                break
        return errand.outcomes()

    async def _try_host(self, host: Host, deadline: float, errand: Errand) -> None:
        """Offer a host the recipients that are still open, until it has said something of each."""
        known = self._trouble.find(host, domain=errand.domain)
        if known is not None:
            errand.note_fault(known, host=str(host))
            return
        try:
            while errand.open:
                before = len(errand.open)
                await self._converse(host, deadline, partial(self._hand_over, errand=errand))
                if len(errand.open) == before:
                    return
        except HostFault as fault:
            errand.note_fault(fault, host=str(host))
            if fault.is_general and fault.code in ABOUT_THE_HOST:
                self._trouble.note(host, fault, domain=errand.domain)
        else:
            self._trouble.forget(host)

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

    async def _hand_over(self, session: OutgoingSession, *, errand: Errand) -> None:
        host = str(session.host)
        try:
            self._judge(session, errand.domain)
            unfit = _unfit(session, errand.raw)
            if unfit is not None:
                errand.settle_all(unfit)
                return
            offered = list(errand.open)
            transfer = await session.hand_over(offered, errand.raw)
            errand.note_transfer(offered, transfer, host=host, reports="DSN" in session.extensions)
        except RepliedError as error:
            errand.settle_all(refusal(error.command, error.reply, host))
        except MailDataError as error:
            errand.settle_all(
                Refused(code=error.reason, detail=error.public_text, host=host, status="5.6.0")
            )
        finally:
            self._pool.give_back(session)

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


def build_relay(
    settings: Settings, *, trust: ServerJudge, tls: Callable[[], ssl.SSLContext]
) -> SmtpRelay:
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
            allows_private=settings.relay.private_hosts,
        ),
        tls=tls,
        host_name=settings.host_name,
        probe_seconds=settings.directory.ask_peer_seconds,
    )
