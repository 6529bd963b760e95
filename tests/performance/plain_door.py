"""Run the submission door without TLS and log-in: `python -m tests.performance.plain_door HOME`.

Only so that a benchmark can compare with servers that speak in clear; the product has no such door.
The conversation believes that TLS has been begun and that the account of the tests has logged in;
everything after that is the product's.
"""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from crypto.tls import TlsEndpoint
from mss.cli.compose import open_operator
from mss.cli.crew import Crew, Link, count_processes, open_listeners
from mss.cli.serve import bound_heaps, run_loop, settle_memory
from mss.model.principal import AccountPrincipal, Principal
from mss.settings import Settings, load_settings
from mss.smtp.connection import Connection
from mss.smtp.door import Door, Visitor
from mss.smtp.submission import SubmissionRules
from tests.support.operators import ACCOUNT, PASSWORD


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trusting(SubmissionRules):
    """Takes whoever comes for one account."""

    principal: AccountPrincipal

    def mechanisms(self, endpoint: TlsEndpoint) -> tuple[str, ...]:
        """Offer no log-in."""
        del endpoint
        return ()

    def identify(self, visitor: Visitor) -> Principal:
        """Say that it is the account."""
        del visitor
        return self.principal


class _PlainConnection(Connection):
    """A connection that believes itself inside TLS."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin at once."""
        super().connection_made(transport)
        self._client.tls = object()  # type: ignore[assignment]


async def serve(settings: Settings, link: Link) -> None:
    """Serve until the process is ended."""
    async with open_operator(settings) as operator:
        services = operator.services
        account = await services.accounts.authenticate_password(ACCOUNT, PASSWORD, host="127.0.0.1")
        door = Door(
            name="submission",
            host_name=settings.host_name,
            rules=_Trusting(accounts=services.accounts, principal=account),
            acceptance=services.acceptance,
            limits=settings.limits,
            tls=lambda: None,  # type: ignore[arg-type,return-value]
        )
        stopping = asyncio.Event()
        ports = {"submission": link.intake.attach(door, _PlainConnection)}
        link.listen(stop=stopping.set, reload=lambda: None, wake=lambda: None)
        settle_memory()
        link.say_ready(ports)
        await stopping.wait()


def _say_ready(ports: dict[str, int]) -> None:
    sys.stdout.write(f"ready submission={ports['submission']}\n")
    sys.stdout.flush()


def main(home: Path) -> None:
    """Run as many processes as `mss serve` would."""
    settings = load_settings(home)
    bound_heaps()
    listeners = open_listeners(settings.listen, frozenset({"submission"}))
    crew = Crew(listeners, count=count_processes(settings.listen.processes), limits=settings.limits)
    link = crew.run(_say_ready)
    if link is not None:
        run_loop(serve(settings, link))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
