"""What all connections to one door share: its rules, its limits, and who is inside.

Errors
    None of its own; `admit` answers with the reply to refuse by.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from crypto.tls import TlsEndpoint
from directory.address import MailAddress
from mss.blobs.spool import Spool
from mss.errors import MSSError, RecipientUnknownError, TooManyUnknownError
from mss.model.message import Origin
from mss.model.principal import AccountPrincipal, PeerPrincipal, Principal
from mss.pipeline.submission import Accepted, RefusedRoute, Route, Submission
from mss.policy.networks import network_of
from mss.settings import LimitSettings
from mss.smtp import replies
from mss.smtp.auth import Credentials
from mss.smtp.noticing import Acquaintances, RefusalGate, UnknownMeter
from mss.smtp.replies import Reply
from mss.smtp.scale import Scale


class Acceptance(Protocol):
    """What a door asks the pipeline; every method raises `MSSError` to refuse."""

    async def check_sender(self, principal: Principal, sender: MailAddress | None) -> None:
        """Refuse a sender that the principal may not write as."""
        ...

    async def route(self, principal: Principal, recipient: MailAddress) -> Route:
        """Say where a recipient is, or why it cannot be reached."""
        ...

    async def note_peer_refusal(
        self, error: MSSError, *, subject: str, host: str, left_out: int = 0
    ) -> None:
        """Write into the journal that an operator was turned away."""
        ...

    async def note_peer_recognised(self, peer: PeerPrincipal) -> None:
        """Write into the journal that an operator was let in, and on what grounds."""
        ...

    async def accept(self, submission: Submission) -> Accepted:
        """Take responsibility; returns only when that is durable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who is connected, as far as the connection knows.

    Attributes:
        tls: The TLS session; nothing is asked of the rules before there is one.
        sender_domain: Domain of the envelope sender; `None` for the null sender.
        account: Whoever logged in on this connection.
    """

    host: str
    tls: TlsEndpoint
    account: AccountPrincipal | None
    sender_domain: str | None = None


class Rules(Protocol):
    """What differs between the door for operators and the door for users."""

    @property
    def origin(self) -> Origin:
        """Kind of the messages that come in here."""
        ...

    def mechanisms(self, endpoint: TlsEndpoint) -> tuple[str, ...]:
        """List the SASL mechanisms that are offered inside TLS; none: no AUTH."""
        ...

    def identify(self, visitor: Visitor) -> Principal:
        """Say who may send; raises `MSSError` or `ConversationError`."""
        ...

    async def authenticate(
        self, credentials: Credentials, *, host: str, endpoint: TlsEndpoint
    ) -> AccountPrincipal:
        """Check credentials; raises `MSSError`."""
        ...


class Inmate(Protocol):
    """A connection, as its door sees it."""

    def dismiss(self) -> None:
        """Leave now if nothing is under way, else when it is done."""
        ...

    def abort(self) -> None:
        """Leave at once."""
        ...


@dataclass(eq=False, kw_only=True)
class Door:
    """One listening address.

    Attributes:
        name: `mx`, `submission` or `submissions`, for the log.
        tls: Gives the context for the next connection, so that certificates can be renewed.
        is_wrapped: True if TLS begins with the first octet (RFC 8314).
        spool: Where messages wait while they arrive.
        scale: How many octets of large ones are handed over at once, through all doors.
        released: Told this door's name and the network of each connection that has ended.
    """

    name: str
    host_name: str
    rules: Rules
    acceptance: Acceptance
    limits: LimitSettings
    tls: Callable[[], ssl.SSLContext]
    is_wrapped: bool = False
    spool: Spool = field(default_factory=Spool)
    scale: Scale = field(default_factory=Scale)
    released: Callable[[str, str], None] | None = None
    is_stopping: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._inside: dict[Inmate, str] = {}
        self._per_network: Counter[str] = Counter()
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._refusals = RefusalGate()
        self._acquaintances = Acquaintances()
        self._unknown = UnknownMeter(self.limits.unknown_recipients)

    def admit(self, connection: Inmate, host: str) -> Reply | None:
        """Let a connection in, or say why not."""
        network = network_of(host)
        refusal = self._objection(network)
        if refusal is not None:
            self._tell_released(network)
            return refusal
        self._inside[connection] = network
        self._per_network[network] += 1
        self._is_empty.clear()
        return None

    def _objection(self, network: str) -> Reply | None:
        if self.is_stopping:
            return replies.SHUTTING_DOWN
        is_full = len(self._inside) >= self.limits.connections
        if is_full or self._per_network[network] >= self.limits.connections_per_host:
            return replies.TOO_MANY_CONNECTIONS
        return None

    def _tell_released(self, network: str) -> None:
        if self.released is not None:
            self.released(self.name, network)

    def release(self, connection: Inmate) -> None:
        """Forget a connection that has ended; doing it twice is no error."""
        network = self._inside.pop(connection, None)
        if network is None:
            return
        self._tell_released(network)
        self._per_network[network] -= 1
        if not self._per_network[network]:
            del self._per_network[network]
        if not self._inside:
            self._is_empty.set()

    async def note_refusal(self, error: MSSError, *, subject: str, host: str) -> None:
        """Have it journalled that an operator was turned away; users are only logged."""
        if self.rules.origin is not Origin.PEER:
            return
        left_out = self._refusals.admit(network_of(host), now=_now())
        if left_out is not None:
            await self.acceptance.note_peer_refusal(
                error, subject=subject, host=host, left_out=left_out
            )

    async def note_recognised(self, principal: Principal) -> None:
        """Have it journalled, now and then, that an operator was let in."""
        if isinstance(principal, PeerPrincipal) and self._acquaintances.is_new(
            principal.fingerprint, now=_now()
        ):
            await self.acceptance.note_peer_recognised(principal)

    async def route(self, principal: Principal, recipient: MailAddress) -> Route:
        """Say where a recipient is; an operator may not try out names without end.

        Raises:
            TooManyUnknownError: It has asked for too many unknown ones lately.
        """
        if not isinstance(principal, PeerPrincipal):
            return await self.acceptance.route(principal, recipient)
        if self._unknown.is_over(principal.subject, now=_now()):
            raise TooManyUnknownError(limit=self.limits.unknown_recipients)
        found = await self.acceptance.route(principal, recipient)
        if isinstance(found, RefusedRoute) and isinstance(found.error, RecipientUnknownError):
            self._unknown.count(principal.subject, now=_now())
        return found

    async def stop(self, *, grace_seconds: float) -> None:
        """Send everybody away: idle ones now, others when their message is answered."""
        self.is_stopping = True
        for connection in tuple(self._inside):
            connection.dismiss()
        try:
            async with asyncio.timeout(grace_seconds):
                await self._is_empty.wait()
        except TimeoutError:
            for connection in tuple(self._inside):
                connection.abort()


def _now() -> float:
    return asyncio.get_running_loop().time()
