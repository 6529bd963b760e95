"""List, fetch, open, mark: what the owner of a mailbox does with what lies in it.

Whoever may not see something gets the answer that it does not exist. Bodies are fetched and parsed
when they are asked for; a list needs only rows.

Errors
    `NotFoundError` for everything that is not there or not the principal's to see.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from crypto.sealing import Sealer
from mss.clock import Clock
from mss.errors import EncryptedForClientError, InvalidRequestError, NotFoundError
from mss.mime.limits import MimeLimits
from mss.mime.parse import parse_message, part_octets
from mss.model.audit import AuditEvent, AuditName
from mss.model.mailbox import Deposit, Flag, Folder, Mailbox, MailboxView
from mss.model.message import StoredMessage
from mss.model.principal import AccountPrincipal, Right
from mss.ports import BlobStore
from mss.store import audit, mailboxes, messages, notices
from mss.store.engine import Connection, Database
from mss.store.messages import MessageRow
from mss.store.notices import NoticeKind
from mss.store.summaries import open_facts

MAX_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageView:
    """A message, and where it lies in the mailboxes of whoever asks."""

    message: StoredMessage
    deposits: tuple[Deposit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePage:
    """Some messages, newest first, and where to go on."""

    items: tuple[MessageView, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartContent:
    """Decoded octets of a part or a document."""

    content_type: str
    filename: str | None
    octets: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldMessage:
    """A message as those who ask hold it, and where it lies among their mailboxes."""

    row: MessageRow
    deposits: tuple[Deposit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkResult:
    """What came of marking one message: `done`, or the code of an error."""

    message_id: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The reader's desk.

    Attributes:
        awake: Set when a receipt is owed, so that the worker of this process looks at once.
    """

    database: Database
    blobs: BlobStore
    sealer: Sealer
    clock: Clock
    limits: MimeLimits
    chain: str
    awake: asyncio.Event

    async def list_mailboxes(self, principal: AccountPrincipal) -> tuple[MailboxView, ...]:
        """List the mailboxes that an identity may open."""

        def ask(connection: Connection) -> tuple[MailboxView, ...]:
            found = [
                (mailboxes.find_mailbox(connection, key), rights)
                for key, rights in sorted(principal.rights.items())
            ]
            return tuple(_view(connection, box, rights) for box, rights in found if box)

        return await self.database.read(ask)

    async def get_mailbox(self, principal: AccountPrincipal, address: str) -> MailboxView:
        """Show one of them."""

        def ask(connection: Connection) -> MailboxView:
            box, rights = _require(connection, principal, address, None)
            return _view(connection, box, rights)

        return await self.database.read(ask)

    async def list_messages(
        self,
        principal: AccountPrincipal,
        address: str,
        *,
        folder: Folder | None,
        limit: int,
        cursor: str | None,
        unread_only: bool = False,
    ) -> MessagePage:
        """List what lies in a mailbox, newest first.

        Raises:
            InvalidRequestError: The cursor is not one that we gave.
        """
        before_uid = _parse_cursor(cursor)
        limit = max(1, min(limit, MAX_PAGE))

        def ask(connection: Connection) -> list[mailboxes.Listed]:
            box, _ = _require(connection, principal, address, Right.READ)
            return mailboxes.list_deposits(
                connection,
                box.id,
                folder=folder,
                unread_only=unread_only,
                before_uid=before_uid,
                limit=limit + 1,
            )

        lines = await self.database.read(ask)
        page, has_more = lines[:limit], len(lines) > limit
        return MessagePage(
            items=tuple(
                MessageView(
                    message=self.opened(_as_held(one.message, [one.deposit])),
                    deposits=(one.deposit,),
                )
                for one in page
            ),
            next_cursor=str(page[-1].deposit.uid) if has_more else None,
        )

    async def get_message(self, principal: AccountPrincipal, message_id: str) -> MessageView:
        """Show one message and where it lies."""
        row, deposits = await self._find(principal, message_id)
        return MessageView(message=self.opened(row), deposits=tuple(deposits))

    async def get_raw(self, principal: AccountPrincipal, message_id: str) -> bytes:
        """Fetch the octets of a message."""
        row, _ = await self._find(principal, message_id)
        return await self.blobs.get(row.blob_ref)

    async def get_part(
        self, principal: AccountPrincipal, message_id: str, path: str
    ) -> PartContent:
        """Fetch one part of a message, decoded."""
        raw = await self.fetch(await self.find_readable(principal, message_id))
        return await asyncio.to_thread(self._part, raw, path)

    async def mark(
        self,
        principal: AccountPrincipal,
        address: str,
        message_ids: Sequence[str],
        *,
        add: frozenset[Flag] = frozenset(),
        remove: frozenset[Flag] = frozenset(),
        folder: Folder | None = None,
        delete: bool = False,
        receipt: bool = False,
    ) -> tuple[MarkResult, ...]:
        """Change flags or folder of messages, or take them out; each has its own result.

        With *receipt*, the read receipt that the author asked for is sent, once.
        """

        def change(connection: Connection) -> tuple[MarkResult, ...]:
            box, _ = _require(connection, principal, address, Right.READ)
            marking = _Marking(self, principal, box, add, remove, folder, delete, receipt)
            return tuple(
                MarkResult(message_id=one, status=marking.mark(connection, one))
                for one in dict.fromkeys(message_ids)
            )

        results = await self.database.write(change)
        if receipt:
            self.awake.set()
        return results

    def opened(self, row: MessageRow) -> StoredMessage:
        """Open the sealed facts of a row."""
        facts = open_facts(self.sealer, message_id=row.id, sealed=row.summary)
        return StoredMessage(
            id=row.id,
            origin=row.origin,
            accepted_at=row.accepted_at,
            sender=row.sender,
            size_octets=row.size_octets,
            blob_ref=row.blob_ref,
            summary=facts.summary,
            security=facts.security,
            report=row.report,
        )

    def _part(self, raw: bytes, path: str) -> PartContent:
        part = parse_message(raw, self.limits).find_part(path)
        if part is None or part.is_multipart:
            raise NotFoundError(what="part")
        return PartContent(
            content_type=part.content_type,
            filename=part.filename,
            octets=part_octets(raw, part),
        )

    async def find_readable(self, principal: AccountPrincipal, message_id: str) -> HeldMessage:
        """Find a message that can be looked into.

        Raises:
            EncryptedForClientError: Only the client of the mailbox can.
        """
        row, deposits = await self._find(principal, message_id)
        if self.opened(row).security.encrypted_for_client:
            raise EncryptedForClientError
        return HeldMessage(row=row, deposits=tuple(deposits))

    async def fetch(self, held: HeldMessage) -> bytes:
        """Fetch the octets of a message that was found."""
        return await self.blobs.get(held.row.blob_ref)

    async def _find(
        self, principal: AccountPrincipal, message_id: str
    ) -> tuple[MessageRow, list[Deposit]]:
        readable = [key for key in principal.rights if principal.has_right(key, Right.READ)]

        def ask(connection: Connection) -> tuple[MessageRow, list[Deposit]]:
            deposits = mailboxes.deposits_of(connection, message_id, address_keys=readable)
            row = messages.find_message(connection, message_id) if deposits else None
            if row is None:
                raise NotFoundError(what="message")
            return _as_held(row, deposits), deposits

        return await self.database.read(ask)


@dataclass(frozen=True, slots=True)
class _Marking:
    """One request to mark, applied message by message in one transaction."""

    desk: Reading
    principal: AccountPrincipal
    box: Mailbox
    add: frozenset[Flag]
    remove: frozenset[Flag]
    folder: Folder | None
    delete: bool
    receipt: bool

    def mark(self, connection: Connection, message_id: str) -> str:
        """Mark one message and say what came of it."""
        row = messages.find_message(connection, message_id)
        if row is None:
            return NotFoundError.code
        if self.delete:
            return self._delete(connection, row)
        is_there = mailboxes.mark_deposits(
            connection,
            mailbox_id=self.box.id,
            message_id=message_id,
            add=self.add,
            remove=self.remove,
            folder=self.folder,
        )
        if not is_there:
            return NotFoundError.code
        if Flag.SEEN in self.add:
            self._note(connection, AuditName.MESSAGE_READ, message_id)
        if self.receipt:
            self._owe_receipt(connection, row)
        return "done"

    def _delete(self, connection: Connection, row: MessageRow) -> str:
        was_there = mailboxes.delete_deposits(
            connection,
            mailbox_id=self.box.id,
            message_id=row.id,
            size_octets=row.size_octets,
        )
        if not was_there:
            return NotFoundError.code
        self._note(connection, AuditName.MESSAGE_DELETED, row.id)
        return "done"

    def _owe_receipt(self, connection: Connection, row: MessageRow) -> None:
        """Owe a read receipt: only if one was asked for, to the very sender, and once.

        A receipt to another address than the envelope sender would let a stranger learn who reads
        what (RFC 8098, 2.1); a report is never answered with a receipt.
        """
        summary = self.desk.opened(row).summary
        if row.sender is None or row.report is not None or summary.receipt_to is None:
            return
        if summary.receipt_to.lower() != row.sender.lower():
            return
        now = self.desk.clock.now()
        is_first = mailboxes.claim_receipt(
            connection, mailbox_id=self.box.id, message_id=row.id, at=now
        )
        if is_first:
            notices.owe(
                connection,
                notice_id=self.desk.clock.new_id(),
                kind=NoticeKind.READ,
                message_id=row.id,
                mailbox_id=self.box.id,
                at=now,
            )

    def _note(self, connection: Connection, name: AuditName, message_id: str) -> None:
        event = AuditEvent(
            name=name,
            actor=f"account:{self.principal.account_id}",
            facts=(("mailbox", self.box.id), ("message", message_id)),
        )
        audit.append(connection, event, chain=self.desk.chain, at=self.desk.clock.now())


def _as_held(row: MessageRow, deposits: Sequence[Deposit]) -> MessageRow:
    """Show a message as those who ask hold it: in a form of their own, if none has the common one.

    Somebody who reads a mailbox of each kind may see the common form in the one, and is shown it.
    """
    own = deposits[0].own_body
    if own is None or any(one.own_body is None for one in deposits):
        return row
    return replace(row, blob_ref=own.blob_ref, summary=own.summary, size_octets=own.size_octets)


def _require(
    connection: Connection, principal: AccountPrincipal, address: str, right: Right | None
) -> tuple[Mailbox, frozenset[Right]]:
    """Find a mailbox that the principal may use in this way, or say that there is none."""
    key = address.lower()
    rights = principal.rights.get(key, frozenset())
    box = mailboxes.find_mailbox(connection, key) if rights else None
    if box is None or (right is not None and right not in rights):
        raise NotFoundError(what="mailbox")
    return box, rights


def _view(connection: Connection, box: Mailbox, rights: frozenset[Right]) -> MailboxView:
    total, unread = mailboxes.count_messages(connection, box.id)
    return MailboxView(mailbox=box, rights=rights, messages=total, unread=unread)


def _parse_cursor(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise InvalidRequestError(field="cursor", reason="not a cursor of this list")
    return int(cursor)
