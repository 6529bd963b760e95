"""Which hosts receive mail for a domain, in the order to try them.

An administrator's own table comes first (`relay.hosts`, `*` for every other domain); then MX
records; then, if there are none, the domain itself. Records are remembered for the time that they
give themselves; when the name service is silent, those of yesterday are better than none, since
whoever answers there is judged by certificate anyway.

Errors
    `NoHostError` when the domain says that it takes no mail, or does not exist;
    `HostsUnavailableError` when nobody can tell now.
Sources
    RFC 5321, 5.1 (order, random among equals, the implicit MX); RFC 7505 (null MX).
"""

import asyncio
import random
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Protocol

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.MX import MX

from mss.errors import MSSError, SettingsError

MAX_HOSTS: Final = 8
LOOKUP_SECONDS: Final = 20.0
SHORTEST_SECONDS: Final = 60.0
LONGEST_SECONDS: Final = 3600.0
STALE_SECONDS: Final = 86400.0
MAX_REMEMBERED: Final = 10_000
DEFAULT_PORT: Final = 25

_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:\s]+))(?::([0-9]{1,5}))?")


@dataclass(eq=False)
class NoHostError(MSSError):
    """The domain exists for nobody, or declares that it takes no mail."""

    code: ClassVar[str] = "domain-has-no-host"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The recipient's domain takes no mail."
    public_text_fr: ClassVar[str] = "Le domaine du destinataire ne reçoit pas de courrier."
    next_step: ClassVar[str] = "Check the address with the recipient."

    domain: str
    status: str


@dataclass(eq=False)
class HostsUnavailableError(MSSError):
    """The name service gives no answer."""

    code: ClassVar[str] = "name-service-unavailable"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "The recipient's mail host cannot be looked up now."
    public_text_fr: ClassVar[str] = (
        "L'hôte de messagerie du destinataire est introuvable pour l'instant."
    )
    next_step: ClassVar[str] = "Nothing; the message is tried again."

    domain: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where to connect.

    Attributes:
        is_public: True if it must not be a private address or this machine's own: a foreign name
            server has named it, and may have named our own network.
    """

    name: str
    port: int
    is_public: bool = False

    def __str__(self) -> str:
        """Show it as in the settings."""
        return f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MxRecord:
    """One MX record."""

    preference: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MxAnswer:
    """The MX records of a domain, none if it has none, and for how long they hold."""

    records: tuple[MxRecord, ...]
    seconds: float


class MxLookup(Protocol):
    """Asks the name service."""

    async def find_mx(self, domain: str) -> MxAnswer:
        """Ask for the MX records of a domain.

        Raises:
            NoHostError: The domain does not exist.
            HostsUnavailableError: There is no answer.
        """
        ...


class DnsLookup:
    """The name service of this machine."""

    async def find_mx(self, domain: str) -> MxAnswer:
        """Ask for the MX records of a domain; see `MxLookup`."""
        try:
            resolver = dns.asyncresolver.Resolver()
            answer = await resolver.resolve(
                f"{domain}.", dns.rdatatype.MX, lifetime=LOOKUP_SECONDS, search=False
            )
        except dns.resolver.NoAnswer:
            return MxAnswer(records=(), seconds=SHORTEST_SECONDS)
        except dns.resolver.NXDOMAIN:
            raise NoHostError(domain=domain, status="5.1.2") from None
        except (dns.exception.DNSException, OSError) as error:
            raise HostsUnavailableError(domain=domain, reason=type(error).__name__) from error
        records = tuple(
            MxRecord(
                preference=record.preference,
                name=record.exchange.to_text(omit_final_dot=True).lower(),
            )
            for record in answer
            if isinstance(record, MX)
        )
        return MxAnswer(records=records, seconds=answer.rrset.ttl if answer.rrset else 0)


@dataclass(slots=True)
class RememberingLookup:
    """Another lookup, asked only when what it said has run out.

    Attributes:
        now: The clock to measure by, in seconds; that of the event loop if none is given.
    """

    inner: MxLookup
    now: Callable[[], float] | None = None
    _known: OrderedDict[str, tuple[MxAnswer, float]] = field(
        default_factory=OrderedDict, init=False
    )

    async def find_mx(self, domain: str) -> MxAnswer:
        """Ask, or remember; see `MxLookup`."""
        now = self.now() if self.now else asyncio.get_running_loop().time()
        answer, asked_at = self._known.get(domain, (None, now))
        if answer is not None and now < asked_at + _lifetime(answer):
            return answer
        try:
            fresh = await self.inner.find_mx(domain)
        except HostsUnavailableError:
            if answer is not None and now < asked_at + STALE_SECONDS:
                return answer
            raise
        self._known[domain] = fresh, now
        self._known.move_to_end(domain)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return fresh


def _lifetime(answer: MxAnswer) -> float:
    return min(max(answer.seconds, SHORTEST_SECONDS), LONGEST_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """Finds the hosts of a domain.

    Attributes:
        overrides: An administrator's table: domain, or `*`, to `host:port`.
        allows_private: True if hosts found by MX may have private addresses.
    """

    overrides: Mapping[str, str] = field(default_factory=dict)
    port: int = DEFAULT_PORT
    lookup: MxLookup = field(default_factory=lambda: RememberingLookup(DnsLookup()))
    allows_private: bool = False

    async def find(self, domain: str) -> tuple[Host, ...]:
        """List hosts in the order to try them: at least one, at most eight.

        Raises:
            NoHostError: There is none, and there will be none.
            HostsUnavailableError: Nobody can tell now.
        """
        override = self.overrides.get(domain) or self.overrides.get("*")
        if override:
            return (parse_host(override, default_port=self.port),)
        records = (await self.lookup.find_mx(domain)).records
        is_public = not self.allows_private
        if not records:
            return (Host(name=domain, port=self.port, is_public=is_public),)
        names = in_order(records)
        if not names:
            raise NoHostError(domain=domain, status="5.1.10")  # null MX, RFC 7505
        return tuple(
            Host(name=name, port=self.port, is_public=is_public) for name in names[:MAX_HOSTS]
        )


def in_order(records: tuple[MxRecord, ...]) -> list[str]:
    """Sort by preference, at random among equals; a null MX is no host."""
    shuffled = list(records)
    random.shuffle(shuffled)
    shuffled.sort(key=lambda record: record.preference)
    return list(dict.fromkeys(record.name for record in shuffled if record.name not in {"", "."}))


def parse_host(text: str, *, default_port: int) -> Host:
    """Read `host`, `host:port`, `[address]` or `[address]:port`.

    Raises:
        SettingsError: It is none of these.
    """
    found = _HOST.fullmatch(text)
    if found is None:
        raise SettingsError(reason=f"relay.hosts: {text!r} is not host:port")
    return Host(name=found[1] or found[2], port=int(found[3] or default_port))
