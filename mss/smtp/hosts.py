"""Which hosts receive mail for a domain, in the order to try them.

An administrator's own table comes first (`relay.hosts`, `*` for every other domain); then MX
records; then, if there are none, the domain itself.

Errors
    `NoHostError` when the domain says that it takes no mail, or does not exist;
    `HostsUnavailableError` when nobody can tell now.
Sources
    RFC 5321, 5.1 (order, random among equals, the implicit MX); RFC 7505 (null MX).
"""

import random
import re
from collections.abc import Mapping
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
    """Where to connect."""

    name: str
    port: int

    def __str__(self) -> str:
        """Show it as in the settings."""
        return f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MxRecord:
    """One MX record."""

    preference: int
    name: str


class MxLookup(Protocol):
    """Asks the name service."""

    async def find_mx(self, domain: str) -> tuple[MxRecord, ...]:
        """List the MX records of a domain, none if it has none.

        Raises:
            NoHostError: The domain does not exist.
            HostsUnavailableError: There is no answer.
        """
        ...


class DnsLookup:
    """The name service of this machine."""

    async def find_mx(self, domain: str) -> tuple[MxRecord, ...]:
        """List the MX records of a domain; see `MxLookup`."""
        try:
            resolver = dns.asyncresolver.Resolver()
            answer = await resolver.resolve(
                f"{domain}.", dns.rdatatype.MX, lifetime=LOOKUP_SECONDS, search=False
            )
        except dns.resolver.NoAnswer:
            return ()
        except dns.resolver.NXDOMAIN:
            raise NoHostError(domain=domain, status="5.1.2") from None
        except (dns.exception.DNSException, OSError) as error:
            raise HostsUnavailableError(domain=domain, reason=type(error).__name__) from error
        return tuple(
            MxRecord(
                preference=record.preference,
                name=record.exchange.to_text(omit_final_dot=True).lower(),
            )
            for record in answer
            if isinstance(record, MX)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """Finds the hosts of a domain."""

    overrides: Mapping[str, str] = field(default_factory=dict)
    port: int = DEFAULT_PORT
    lookup: MxLookup = field(default_factory=DnsLookup)

    async def find(self, domain: str) -> tuple[Host, ...]:
        """List hosts in the order to try them: at least one, at most eight.

        Raises:
            NoHostError: There is none, and there will be none.
            HostsUnavailableError: Nobody can tell now.
        """
        override = self.overrides.get(domain) or self.overrides.get("*")
        if override:
            return (parse_host(override, default_port=self.port),)
        records = await self.lookup.find_mx(domain)
        if not records:
            return (Host(name=domain, port=self.port),)
        names = in_order(records)
        if not names:
            raise NoHostError(domain=domain, status="5.1.10")  # null MX, RFC 7505
        return tuple(Host(name=name, port=self.port) for name in names[:MAX_HOSTS])


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
