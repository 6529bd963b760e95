"""The administrator's desk for hospital software: who it is, and what is on its way to it."""

from dataclasses import dataclass

from directory.address import MailAddress
from directory.errors import AddressSyntaxError
from mss.accounts.software import parse_certificate_name
from mss.clock import Clock
from mss.errors import ConflictError, InvalidRequestError, NotFoundError
from mss.hl7.client import check_destination
from mss.model.audit import AuditEvent, AuditName
from mss.store import audit, hl7, mailboxes
from mss.store.engine import Connection, Database
from mss.store.hl7 import Outgoing, Route

MAX_NAME = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Routes and queue.

    Attributes:
        chain: Name of this process's chain in the journal.
    """

    database: Database
    clock: Clock
    chain: str

    async def add_route(
        self,
        *,
        application: str,
        facility: str,
        mailbox: str,
        destination: str = "",
        certificate: str | None = None,
        takes_documents: bool = False,
        since_ever: bool = False,
    ) -> Route:
        """Let hospital software use a mailbox.

        Args:
            application: What it calls itself, MSH-3; `facility` is MSH-4.
            facility: As above.
            mailbox: The application mailbox.
            destination: Where messages for it go; empty for nowhere.
            certificate: Subject of the certificate that it shows, RFC 4514; `None` for software
                that is known by its network only.
            takes_documents: Send it what arrives in the mailbox.
            since_ever: What lies in the mailbox already, too.

        Raises:
            InvalidRequestError: A value cannot be used.
            NotFoundError: There is no such mailbox.
            ConflictError: Software of this name has a route.
        """
        for field, value in (("application", application), ("facility", facility)):
            if not value.isprintable() or len(value) > MAX_NAME or value != value.strip():
                raise InvalidRequestError(field=field, reason="not a name")
        if not application:
            raise InvalidRequestError(field="application", reason="a name is needed")
        if takes_documents and not destination:
            raise InvalidRequestError(field="destination", reason="documents need one")
        try:
            address = MailAddress.parse(mailbox)
        except AddressSyntaxError as error:
            raise InvalidRequestError(field="mailbox", reason="not an address") from error
        route = Route(
            id=self.clock.new_id(),
            application=application,
            facility=facility,
            mailbox_key=address.key,
            destination=check_destination(destination) if destination else "",
            certificate_name=certificate and parse_certificate_name(certificate),
            takes_documents=takes_documents,
            last_uid=0,
            created_at=self.clock.now(),
        )
        return await self.database.write(lambda c: self._add(c, route, since_ever=since_ever))

    def _add(self, connection: Connection, route: Route, *, since_ever: bool) -> Route:
        box = mailboxes.find_mailbox(connection, route.mailbox_key)
        if box is None or not box.is_open:
            raise NotFoundError(what="mailbox")
        if box.client_certificate is not None and route.takes_documents:
            raise InvalidRequestError(
                field="mailbox", reason="only its client can read what is in it"
            )
        known = hl7.find_route(connection, application=route.application, facility=route.facility)
        if known is not None:
            raise ConflictError(what="hl7-route")
        hl7.insert_route(connection, route)
        if not since_ever:
            newest = hl7.last_uid(connection, route.mailbox_key)
            hl7.change_route(connection, route.id, last_uid=newest)
        self._note(connection, AuditName.HL7_ROUTE_ADDED, route)
        return hl7.get_route(connection, route.id) or route

    async def list_routes(self) -> list[Route]:
        """List every route."""
        return await self.database.read(hl7.list_routes)

    async def remove_route(self, *, application: str, facility: str) -> Route:
        """Serve software no more, and forget what waits for it.

        Raises:
            NotFoundError: It has no route.
        """

        def change(connection: Connection) -> Route:
            route = hl7.find_route(connection, application=application, facility=facility)
            if route is None:
                raise NotFoundError(what="hl7-route")
            hl7.remove_route(connection, route.id)
            self._note(connection, AuditName.HL7_ROUTE_REMOVED, route)
            return route

        return await self.database.write(change)

    async def list_outgoing(self, states: list[str], *, limit: int) -> list[Outgoing]:
        """List what is on its way, or what came of it."""
        return await self.database.read(lambda c: hl7.list_outgoing(c, states=states, limit=limit))

    async def retry(self, outgoing_id: str) -> Outgoing:
        """Try a message again that was given up; one that waits is tried at once.

        Raises:
            NotFoundError: There is no such message.
            ConflictError: It was answered.
        """

        def change(connection: Connection) -> Outgoing:
            one = hl7.get_outgoing(connection, outgoing_id)
            if one is None:
                raise NotFoundError(what="hl7-message")
            if one.state == hl7.DONE:
                raise ConflictError(what="hl7-message")
            hl7.wake(connection, outgoing_id)
            hl7.change_route(connection, one.route_id, retry_at=None)
            return hl7.get_outgoing(connection, outgoing_id) or one

        return await self.database.write(change)

    def _note(self, connection: Connection, name: AuditName, route: Route) -> None:
        facts = (("route", route.id), ("domain", route.mailbox_key.rpartition("@")[2]))
        event = AuditEvent(name=name, actor="administrator", facts=facts)
        audit.append(connection, event, chain=self.chain, at=self.clock.now())
