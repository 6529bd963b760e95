"""Step 2: where does each recipient's mail go?

Asked at RCPT, so that the sender hears about a wrong address while still on the line; the answer is
carried to the end and never looked up twice.
"""

from dataclasses import dataclass

from directory import index_sql
from directory.address import MailAddress
from mss.errors import (
    DomainNotTrustedError,
    MailboxFullError,
    RecipientUnknownError,
    TrustListMissingError,
)
from mss.model.principal import PeerPrincipal, Principal
from mss.pipeline.submission import LocalRoute, RefusedRoute, RelayRoute, Route
from mss.policy.recipients import Way, way_of
from mss.ports import RecipientProbe
from mss.store import mailboxes
from mss.store.engine import Database
from mss.trust_space import TrustSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """Knows our mailboxes, the directory and the trust list.

    Attributes:
        probe: Asks another operator whether a mailbox exists; `None` to ask nobody.
    """

    database: Database
    trust: TrustSpace
    domains: frozenset[str]
    probe: RecipientProbe | None

    async def route(self, principal: Principal, recipient: MailAddress) -> Route:
        """Decide for one recipient."""
        if str(recipient.domain) in self.domains:
            return await self._route_here(recipient)
        return await self._route_elsewhere(principal, recipient)

    async def _route_here(self, recipient: MailAddress) -> Route:
        box = await self.database.read(lambda c: mailboxes.find_mailbox(c, recipient.key))
        way = way_of(
            is_our_domain=True,
            has_open_mailbox=box is not None and box.is_open,
            is_trusted_domain=True,
            is_known_elsewhere=None,
            may_relay=False,
        )
        if way is Way.LOCAL and box is not None:
            if box.used_octets >= box.quota_octets:
                return RefusedRoute(
                    address=recipient, error=MailboxFullError(address=str(recipient))
                )
            return LocalRoute(
                address=recipient,
                mailbox_id=box.id,
                client_certificate=box.client_certificate,
            )
        return RefusedRoute(address=recipient, error=RecipientUnknownError(address=str(recipient)))

    async def _route_elsewhere(self, principal: Principal, recipient: MailAddress) -> Route:
        if self.trust.trust_list is None:
            return RefusedRoute(address=recipient, error=TrustListMissingError())
        domain = str(recipient.domain)
        may_relay = not isinstance(principal, PeerPrincipal)
        is_known = await self._is_known(recipient) if may_relay else None
        way = way_of(
            is_our_domain=False,
            has_open_mailbox=False,
            is_trusted_domain=self.trust.is_trusted_domain(domain),
            is_known_elsewhere=is_known,
            may_relay=may_relay,
        )
        match way:
            case Way.RELAY:
                return RelayRoute(address=recipient, domain=domain, is_listed=is_known is True)
            case Way.NO_SUCH_MAILBOX:
                return RefusedRoute(
                    address=recipient, error=RecipientUnknownError(address=str(recipient))
                )
            case Way.NOT_TRUSTED | Way.LOCAL:
                return RefusedRoute(address=recipient, error=DomainNotTrustedError(domain=domain))

    async def _is_known(self, recipient: MailAddress) -> bool | None:
        """Ask the directory, then the recipient's operator; `None` when nobody can tell.

        Application mailboxes and the red list are absent from the national extraction, so a
        missing address proves nothing. The operator's own door has the last word, and it is asked
        now, while the sender can still correct the address.
        """
        if await self.database.read(lambda c: index_sql.has_mailbox(c, recipient)):
            return True
        domain = str(recipient.domain)
        if self.probe is None or not self.trust.is_trusted_domain(domain):
            return None
        return await self.probe.has_mailbox(recipient)
