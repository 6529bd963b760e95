"""Open the SMTP doors that the settings name, and close them without losing a letter.

Errors
    `SettingsError` when an address cannot be listened on or a certificate cannot be used.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from mss.accounts.throttling import LoginThrottle
from mss.blobs.spool import Spool
from mss.errors import SettingsError
from mss.settings import Settings
from mss.smtp.connection import Connection
from mss.smtp.contexts import DoorTls
from mss.smtp.door import Acceptance, Door, Rules
from mss.smtp.intake import Intake
from mss.smtp.mx import PeerJudge, PeerRules
from mss.smtp.scale import Scale
from mss.smtp.submission import Authenticator, SubmissionRules

_log = logging.getLogger(__name__)

ALL_DOORS: Final = frozenset({"mx", "submission"})
GRACE_SECONDS: Final = 30.0
BACKLOG: Final = 512


class DoorServices(Protocol):
    """The part of `mss.services.Services` that these doors use."""

    @property
    def settings(self) -> Settings:
        """The whole tree; the doors take their sections."""
        ...

    @property
    def accounts(self) -> Authenticator:
        """Who logs in."""
        ...

    @property
    def acceptance(self) -> Acceptance:
        """Where messages go."""
        ...

    @property
    def trust(self) -> PeerJudge:
        """Which operators are believed."""
        ...


@dataclass(frozen=True, kw_only=True)
class SmtpDoors:
    """The doors that are open.

    Attributes:
        ports: Name of the door (`mx`, `submission`, `submissions`) to the port it listens on.
    """

    ports: dict[str, int]
    tls: DoorTls = field(repr=False)

    @property
    def mx_port(self) -> int | None:
        """Port for other operators, if that door is open."""
        return self.ports.get("mx")

    @property
    def submission_port(self) -> int | None:
        """Port for users with STARTTLS, if that door is open."""
        return self.ports.get("submission")

    @property
    def submissions_port(self) -> int | None:
        """Port for users with TLS from the first octet, if that door is open."""
        return self.ports.get("submissions")

    def reload_tls(self) -> None:
        """Use renewed certificates for connections from now on; raises `SettingsError`."""
        self.tls.reload()


@asynccontextmanager
async def open_smtp_doors(
    services: DoorServices,
    *,
    only: frozenset[str] = ALL_DOORS,
    grace_seconds: float = GRACE_SECONDS,
    intake: Intake | None = None,
) -> AsyncIterator[SmtpDoors]:
    """Listen until the block ends; then drain: messages under way are answered first.

    Args:
        services: What the doors call.
        only: `mx`, `submission` or both; `submission` includes `submissions`.
        grace_seconds: How long messages under way may take at the end.
        intake: Where connections come from if another process listens.

    Raises:
        SettingsError: An address or a certificate cannot be used.
    """
    listen = services.settings.listen
    contexts = DoorTls(services.settings)
    peers = PeerRules(trust=services.trust)
    limits = services.settings.limits
    users = SubmissionRules(
        accounts=services.accounts,
        throttle=LoginThrottle(failures=limits.failed_logins, seconds=limits.failed_logins_seconds),
    )
    plans: list[tuple[str, str, Rules, Callable[[], ssl.SSLContext]]] = []
    if "mx" in only:
        plans.append(("mx", listen.mx, peers, lambda: contexts.mx))
    if "submission" in only:
        plans.append(("submission", listen.submission, users, lambda: contexts.submission))
        plans.append(("submissions", listen.submissions, users, lambda: contexts.submission))
    spool, scale = Spool(services.settings.path("spool")), Scale()
    ports: dict[str, int] = {}
    async with AsyncExitStack() as stack:
        for name, address, rules, context in plans:
            if not address:
                continue
            door = Door(
                name=name,
                host_name=services.settings.host_name,
                rules=rules,
                acceptance=services.acceptance,
                limits=services.settings.limits,
                tls=context,
                is_wrapped=name == "submissions",
                spool=spool,
                scale=scale,
            )
            opened = (
                _open(door, address, grace_seconds)
                if intake is None
                else _attached(door, intake, grace_seconds)
            )
            ports[name] = await stack.enter_async_context(opened)
        yield SmtpDoors(ports=ports, tls=contexts)


@asynccontextmanager
async def _open(door: Door, address: str, grace_seconds: float) -> AsyncIterator[int]:
    """Listen for one door."""
    host, port = split_address(address)
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(
            lambda: Connection(door), host or None, port, backlog=BACKLOG
        )
    except OSError as error:
        raise SettingsError(reason=f"listen.{door.name}: {error}") from error
    bound = int(server.sockets[0].getsockname()[1])
    _log.info("%s listens on port %d", door.name, bound)
    try:
        yield bound
    finally:
        server.close()
        await door.stop(grace_seconds=grace_seconds)
        await server.wait_closed()


@asynccontextmanager
async def _attached(door: Door, intake: Intake, grace_seconds: float) -> AsyncIterator[int]:
    """Take what another process hands over for one door."""
    port = intake.attach(door)
    try:
        yield port
    finally:
        await door.stop(grace_seconds=grace_seconds)


def split_address(address: str) -> tuple[str, int]:
    """Part `host:port`; an IPv6 address stands in square brackets.

    Raises:
        SettingsError: It is not of that form.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise SettingsError(reason=f"{address!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)
