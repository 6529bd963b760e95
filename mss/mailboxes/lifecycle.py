"""Open, close, delegate: the life of a mailbox.

An address is given once and never again, even after its mailbox is closed: a letter must not reach
another person than the one it was meant for.
"""

from dataclasses import dataclass

from crypto.certificates import parse_certificates
from crypto.errors import CryptoError
from directory import index_sql
from directory.address import MailAddress
from directory.errors import DirectoryError
from directory.identifiers import FINESS, RPPS, NationalPersonId, NationalStructureId
from directory.model import MailboxKind
from mss.clock import Clock
from mss.errors import ConflictError, InvalidRequestError, NotFoundError
from mss.model.audit import AuditEvent, AuditName
from mss.model.mailbox import Mailbox
from mss.model.principal import Right
from mss.store import accounts, audit, mailboxes
from mss.store.engine import Connection, Database

MAX_NAME = 254


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailboxes:
    """The administrator's desk for mailboxes."""

    database: Database
    clock: Clock
    chain: str
    domains: frozenset[str]
    quota_octets: int

    async def open(
        self,
        address: MailAddress,
        *,
        kind: MailboxKind,
        display_name: str = "",
        rpps: str | None = None,
        finess: str | None = None,
        client_certificate: bytes | None = None,
        liste_rouge: bool = False,
    ) -> Mailbox:
        """Open a mailbox, and show it in the directory at once.

        Args:
            address: In one of our domains.
            kind: Which of the national kinds.
            display_name: Shown beside the address.
            rpps: Who holds it.
            finess: What structure it hangs on.
            client_certificate: PEM or DER, if only the mailbox's client is to have the key.
            liste_rouge: Keep it out of everybody's sight; it is written to all the same.

        Raises:
            InvalidRequestError: The address is in a domain of somebody else, a personal mailbox
                names nobody, or a number or name cannot be one.
            ConflictError: The address is, or was, a mailbox.
        """
        if str(address.domain) not in self.domains:
            raise InvalidRequestError(field="address", reason="not a domain of this operator")
        if kind is MailboxKind.PER and rpps is None:
            raise InvalidRequestError(field="rpps", reason="a personal mailbox needs its holder")
        if not display_name.isprintable() or len(display_name) > MAX_NAME:
            raise InvalidRequestError(field="display_name", reason="not a name")
        now = self.clock.now()
        box = Mailbox(
            id=self.clock.new_id(),
            address=str(address),
            kind=kind,
            display_name=display_name,
            rpps=_checked(RPPS, rpps),
            finess=_checked(FINESS, finess),
            opened_at=now,
            closed_at=None,
            quota_octets=self.quota_octets,
            used_octets=0,
            client_certificate=_checked_certificate(client_certificate),
        )

        def change(connection: Connection) -> None:
            if mailboxes.find_mailbox(connection, address.key) is not None:
                raise ConflictError(what="mailbox")
            mailboxes.insert_mailbox(connection, box, address_key=address.key)
            index_sql.declare_mailbox(connection, _declared(box, liste_rouge=liste_rouge))
            self._note(connection, AuditName.MAILBOX_OPENED, box)

        await self.database.write(change)
        return box

    async def close(self, address: MailAddress) -> None:
        """Close a mailbox; what lies in it stays readable until retention removes it.

        Raises:
            NotFoundError: There is no such open mailbox.
        """

        def change(connection: Connection) -> None:
            box = _find(connection, address)
            if not box.is_open:
                raise NotFoundError(what="mailbox")
            mailboxes.close_mailbox(connection, box.id, at=self.clock.now())
            index_sql.withdraw_mailbox(connection, address, at=self.clock.now())
            self._note(connection, AuditName.MAILBOX_CLOSED, box)

        await self.database.write(change)

    async def delegate(
        self, address: MailAddress, account_name: str, rights: frozenset[Right]
    ) -> None:
        """Give an account exactly these rights on a mailbox; none takes them away.

        Raises:
            NotFoundError: There is no such mailbox or account.
        """

        def change(connection: Connection) -> None:
            box = _find(connection, address)
            account = accounts.find_account(connection, account_name)
            if account is None:
                raise NotFoundError(what="account")
            mailboxes.grant(connection, mailbox_id=box.id, account_id=account.id, rights=rights)
            event = AuditEvent(
                name=AuditName.MAILBOX_DELEGATED,
                actor="administrator",
                facts=(
                    ("mailbox", box.id),
                    ("account", account.id),
                    ("rights", ",".join(sorted(rights))),
                ),
            )
            audit.append(connection, event, chain=self.chain, at=self.clock.now())

        await self.database.write(change)

    async def set_client_certificate(self, address: MailAddress, octets: bytes) -> Mailbox:
        """Encrypt for another key of the mailbox's client from now on.

        Raises:
            NotFoundError: There is no such mailbox.
            InvalidRequestError: Its key is held by this server, or the certificate is unfit.
        """
        pem = _checked_certificate(octets)
        assert pem is not None

        def change(connection: Connection) -> Mailbox:
            box = _find(connection, address)
            if box.client_certificate is None:
                raise InvalidRequestError(
                    field="address", reason="the key of this mailbox is held by the server"
                )
            mailboxes.set_client_certificate(connection, box.id, pem=pem)
            self._note(connection, AuditName.MAILBOX_CERTIFICATE_CHANGED, box)
            return _find(connection, address)

        return await self.database.write(change)

    async def set_quota(self, address: MailAddress, quota_octets: int) -> None:
        """Change how much a mailbox may hold.

        Raises:
            NotFoundError: There is no such mailbox.
        """
        await self.database.write(
            lambda c: mailboxes.set_quota(c, _find(c, address).id, quota_octets=quota_octets)
        )

    async def get(self, address: MailAddress) -> Mailbox:
        """Show one mailbox.

        Raises:
            NotFoundError: There is no such mailbox.
        """
        return await self.database.read(lambda c: _find(c, address))

    async def list(self) -> list[Mailbox]:
        """List every mailbox."""
        return await self.database.read(mailboxes.list_mailboxes)

    def _note(self, connection: Connection, name: AuditName, box: Mailbox) -> None:
        event = AuditEvent(
            name=name,
            actor="administrator",
            facts=(("mailbox", box.id), ("kind", str(box.kind))),
        )
        audit.append(connection, event, chain=self.chain, at=self.clock.now())


def _find(connection: Connection, address: MailAddress) -> Mailbox:
    box = mailboxes.find_mailbox(connection, address.key)
    if box is None:
        raise NotFoundError(what="mailbox")
    return box


def _checked_certificate(octets: bytes | None) -> str | None:
    """Read the certificate that a mailbox's client gave; there must be a way to encrypt for it."""
    if octets is None:
        return None
    try:
        certificate = parse_certificates(octets)[0]
    except CryptoError as error:
        raise InvalidRequestError(field="certificate", reason=str(error)) from error
    may_be_used = certificate.allows("keyEncipherment", "keyAgreement")
    if not may_be_used or not certificate.key_name.startswith(("p", "rsa", "secp", "x25519")):
        raise InvalidRequestError(field="certificate", reason="letters cannot be encrypted for it")
    return certificate.pem


def _checked(kind: type[RPPS | FINESS], text: str | None) -> str | None:
    """Read a number that somebody typed: a wrong digit would name somebody else."""
    try:
        return None if text is None else str(kind.parse_checked(text))
    except DirectoryError as error:
        raise InvalidRequestError(field=kind.kind.lower(), reason=str(error)) from error


def _declared(box: Mailbox, *, liste_rouge: bool) -> index_sql.DeclaredMailbox:
    """Describe a mailbox as the directory shows it, at once."""
    holder = None if box.rpps is None else NationalPersonId.of(RPPS(box.rpps))
    place = "" if box.finess is None else NationalStructureId.of(FINESS(box.finess))
    is_shared = box.kind is not MailboxKind.PER
    return index_sql.DeclaredMailbox(
        address=MailAddress.parse(box.address),
        kind=box.kind,
        holder=holder,
        organization_key=place,
        description=box.display_name if is_shared else "",
        liste_rouge=liste_rouge,
        changed_at=box.opened_at,
    )
