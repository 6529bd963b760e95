"""Everything the core needs from outside, on one page.

A Protocol stands here when it crosses a socket or holds a secret; the database does not (it is
concrete, in `mss/store`). Implementers do not import this page: `mss/cli/compose.py` plugs them in,
and the type checker holds them to it there.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from directory.address import MailAddress
from mss.model.content import Content, Objection
from mss.model.delivery import Delivery, Outcome
from mss.model.principal import AccountPrincipal
from mss.model.publication import ExportOutcome, MailboxChange


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRecord:
    """A stored body, as the sweeper sees it."""

    ref: str
    stored_at: datetime
    size_octets: int


class BlobStore(Protocol):
    """Message octets outside the database."""

    async def put(self, name: str, octets: bytes) -> str:
        """Store *octets*, return the reference to find them by; durable when it returns.

        Args:
            name: A fresh identifier (32 hexadecimal digits); a name is used once.
            octets: The body.

        Raises:
            StoreFullError: There is no room; nothing is left behind.
            StoreUnavailableError: The store does not answer.
        """
        ...

    async def get(self, ref: str) -> bytes:
        """Fetch what is behind *ref*.

        Raises:
            BlobMissingError: Nothing is there.
            BlobDamagedError: What is there is not what was stored.
        """
        ...

    async def delete(self, ref: str) -> None:
        """Remove what is behind *ref*; removing what is not there is no error."""
        ...

    def iter_records(self) -> AsyncIterator[BlobRecord]:
        """Stream every stored body, in no particular order."""
        ...

    async def aclose(self) -> None:
        """Finish what is under way and let go of files and connections."""
        ...


class Relay(Protocol):
    """Carries one message to the operator of a domain."""

    async def relay(self, deliveries: Sequence[Delivery], raw: bytes) -> Sequence[Outcome]:
        """Hand *raw* over, once, for recipients of one domain; never raises for what a peer does.

        Returns:
            One outcome for each delivery, in order.
        """
        ...

    async def aclose(self) -> None:
        """Close idle connections."""
        ...


class RecipientProbe(Protocol):
    """Asks another operator's door about a recipient, without sending anything."""

    async def has_mailbox(self, recipient: MailAddress) -> bool | None:
        """Tell whether the operator knows the mailbox; `None` when it cannot be told now."""
        ...


class CertificateSource(Protocol):
    """Knows certificates that mail can be encrypted for; nothing it says is believed unproven."""

    async def find(self, address: MailAddress) -> Sequence[bytes] | None:
        """List certificates (DER) for one recipient; `None` when it cannot be told now."""
        ...


class MailboxExporter(Protocol):
    """Tells the national directory of the mailboxes of this operator."""

    async def export(self, changes: Sequence[MailboxChange]) -> Sequence[ExportOutcome]:
        """Make what is told the same as what is declared; never raises for what a server does.

        Safe to repeat: it is asked again when the outcome could not be noted.

        Returns:
            One outcome for each change, in order; fewer if the rest must wait.
        """
        ...


class Scanner(Protocol):
    """Looks for viruses."""

    async def scan(self, octets: bytes) -> str | None:
        """Name the virus that was found; `None` for none.

        Raises:
            ScannerUnavailableError: There is no verdict.
        """
        ...


class ContentPolicy(Protocol):
    """Has a say in what kinds of content a message may carry; quick, and never raises."""

    def judge(self, content: Content) -> Objection | None:
        """Say what it has against a message; `None` for nothing."""
        ...


class HospitalDesk(Protocol):
    """Carries out what hospital software asks for in HL7 v2."""

    async def answer_account(self, octets: bytes, account: AccountPrincipal, *, host: str) -> bytes:
        """Do what a message of somebody who has logged in asks for; give its acknowledgement."""
        ...
