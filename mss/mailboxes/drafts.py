"""Keep what somebody is writing, send it once, at once or at its hour.

A draft belongs to its mailbox: whoever may write as the mailbox may go on writing it. Its version
rises with every change, and a change made for an older version is refused, so nobody overwrites
what they have not seen. The transaction that accepts the message takes the draft away, so it is
sent once whoever asks how often; who asks again is told what it became.

Shapes
    `scheduled` until its hour; then `sent`, or `failed` with the code of why not. Taking it back
    makes it `open`, unless it was handed over a moment before.
Errors
    `NotFoundError` for what is not there or not the principal's; `VersionDiffersError`;
    `ConflictError` for a draft that was sent, or waits for its hour.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import orjson
from pydantic import TypeAdapter

from crypto.sealing import Sealer
from directory.errors import DirectoryError
from directory.identifiers import NationalPersonId
from mss.clock import Clock
from mss.errors import (
    ConflictError,
    InvalidRequestError,
    MailboxFullError,
    MSSError,
    NotFoundError,
    VersionDiffersError,
)
from mss.mailboxes.drafting import Drafting, OutgoingDraft, Sending, UploadedAttachment
from mss.mailboxes.uploads import removed
from mss.model.draft import DraftState
from mss.model.mailbox import Mailbox
from mss.model.principal import AccountPrincipal
from mss.pipeline.submission import Accepted
from mss.store import accounts, drafts, mailboxes, uploads
from mss.store.drafts import DraftRow
from mss.store.engine import Connection, Database

LATEST: Final = timedelta(days=366)  # no message waits longer for its hour
_BATCH: Final = 20
_log = logging.getLogger("mss.drafts")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A draft as it is sealed."""

    draft: OutgoingDraft
    files: tuple[UploadedAttachment, ...] = ()


_KEPT: Final = TypeAdapter(_Kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedDraft:
    """One draft."""

    row: DraftRow
    draft: OutgoingDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftDesk:
    """Where drafts are kept.

    Attributes:
        limit: How many a mailbox may have.
        remember: How long it is told what a draft became.
    """

    database: Database
    drafting: Drafting
    sealer: Sealer
    clock: Clock
    limit: int
    remember: timedelta

    async def create(
        self, principal: AccountPrincipal, address: str, draft: OutgoingDraft
    ) -> SavedDraft:
        """Keep a new draft.

        Raises:
            MailboxFullError: There are too many already.
            NotFoundError: An upload is not there, or is somebody else's.
        """
        box = await self.drafting.require_mailbox(principal, address)
        now, draft_id = self.clock.now(), self.clock.new_id()
        row = DraftRow(
            id=draft_id,
            mailbox_id=box.id,
            account_id=principal.account_id,
            version=1,
            state=DraftState.OPEN,
            created_at=now,
            updated_at=now,
            sealed=self._seal(draft_id, draft),
        )

        def change(connection: Connection) -> None:
            drafts.lock_mailbox(connection, box.id)
            if drafts.count_drafts(connection, box.id) >= self.limit:
                raise MailboxFullError(address=box.address)
            drafts.insert_draft(connection, row)
            self._attach(connection, principal, row, draft.uploads)

        await self.database.write(change)
        return SavedDraft(row=row, draft=draft)

    async def list(
        self, principal: AccountPrincipal, address: str, *, limit: int, cursor: str | None
    ) -> tuple[tuple[SavedDraft, ...], str | None]:
        """List the drafts of a mailbox, newest first, and where to go on."""
        box = await self.drafting.require_mailbox(principal, address)
        rows = await self.database.read(
            lambda c: drafts.list_drafts(c, box.id, limit=limit + 1, before=cursor)
        )
        page = tuple(self._opened(row) for row in rows[:limit])
        return page, page[-1].row.id if len(rows) > limit else None

    async def get(self, principal: AccountPrincipal, address: str, draft_id: str) -> SavedDraft:
        """Show one draft."""
        box = await self.drafting.require_mailbox(principal, address)
        return self._opened(await self.database.read(lambda c: _require(c, box, draft_id)))

    async def replace(
        self,
        principal: AccountPrincipal,
        address: str,
        draft_id: str,
        draft: OutgoingDraft,
        *,
        seen: int | None,
    ) -> SavedDraft:
        """Put other words in the place of a draft's; files no longer attached are left to expire.

        Args:
            principal: Who writes.
            address: The mailbox that is written as.
            draft_id: Which.
            draft: All of it.
            seen: The version that it is made for; `None` for whichever.
        """
        box = await self.drafting.require_mailbox(principal, address)

        def change(connection: Connection) -> DraftRow:
            old = _require_open(connection, box, draft_id, seen=seen)
            row = replace(
                old,
                account_id=principal.account_id,
                version=old.version + 1,
                state=DraftState.OPEN,
                code=None,
                updated_at=self.clock.now(),
                sealed=self._seal(draft_id, draft),
            )
            _put(connection, row, seen=old.version)
            self._attach(connection, principal, row, draft.uploads)
            return row

        return SavedDraft(row=await self.database.write(change), draft=draft)

    async def delete(
        self, principal: AccountPrincipal, address: str, draft_id: str, *, seen: int | None
    ) -> None:
        """Throw a draft away, with its files."""
        box = await self.drafting.require_mailbox(principal, address)

        def change(connection: Connection) -> list[str]:
            old = _require_open(connection, box, draft_id, seen=seen)
            refs = removed(
                connection, [one.id for one in uploads.list_of_draft(connection, old.id)]
            )
            if not drafts.remove_draft(connection, old.id, seen=old.version):
                raise VersionDiffersError
            return refs

        await self.drafting.uploads.let_go(await self.database.write(change))

    async def send(
        self,
        principal: AccountPrincipal,
        address: str,
        draft_id: str,
        *,
        seen: int | None,
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Send a draft, once however often this is asked.

        Raises:
            VersionDiffersError: Somebody changed it meanwhile.
            ConflictError: It waits for its hour; take it back first.
        """
        box = await self.drafting.require_mailbox(principal, address)
        row = await self.database.read(lambda c: _require(c, box, draft_id))
        repeat = await self._repeat(row)
        if repeat is not None:
            return repeat
        _check(row, seen=seen)
        if row.state is DraftState.SCHEDULED:
            raise ConflictError(what="draft-scheduled")
        return await self._send(principal, box.address, row, idempotency_key=idempotency_key)

    async def schedule(
        self,
        principal: AccountPrincipal,
        address: str,
        draft_id: str,
        *,
        seen: int | None,
        at: datetime,
    ) -> SavedDraft:
        """Have a draft sent at its hour; another hour may be given until then.

        Raises:
            InvalidRequestError: The hour is over, or too far away, or nobody is addressed.
            UploadIncompleteError: A file has not arrived as a whole.
        """
        box = await self.drafting.require_mailbox(principal, address)
        now = self.clock.now()
        if not now < at <= now + LATEST:
            raise InvalidRequestError(field="send_at", reason="not in the time to come")
        saved = await self.get(principal, address, draft_id)
        await self._foresee(principal, saved)

        def change(connection: Connection) -> DraftRow:
            old = _require(connection, box, draft_id)
            _check(old, seen=seen)
            # What was looked at above is what is scheduled.
            if old.version != saved.row.version:
                raise VersionDiffersError
            row = replace(
                old,
                account_id=principal.account_id,
                version=old.version + 1,
                state=DraftState.SCHEDULED,
                code=None,
                send_at=at,
                updated_at=now,
            )
            _put(connection, row, seen=old.version)
            return row

        return SavedDraft(row=await self.database.write(change), draft=saved.draft)

    async def take_back(
        self, principal: AccountPrincipal, address: str, draft_id: str, *, seen: int | None
    ) -> SavedDraft:
        """Cancel the sending of a draft before its hour; one that waits for none stays as it is.

        Raises:
            ConflictError: It was handed over already.
        """
        box = await self.drafting.require_mailbox(principal, address)

        def change(connection: Connection) -> DraftRow:
            old = _require(connection, box, draft_id)
            _check(old, seen=seen)
            row = replace(
                old,
                version=old.version + 1,
                state=DraftState.OPEN,
                send_at=None,
                code=None,
                updated_at=self.clock.now(),
            )
            _put(connection, row, seen=old.version)
            return row

        return self._opened(await self.database.write(change))

    async def send_due(self) -> None:
        """Send what waited for this hour; what cannot be sent says why."""
        now = self.clock.now()
        due = await self.database.read(lambda c: drafts.list_due(c, now=now, limit=_BATCH))
        for row, address in due:
            try:
                principal = await self.database.read(_principal_of(row))
                await self._send(principal, address, row, idempotency_key=None)
            except (ConflictError, VersionDiffersError):
                continue  # taken back, changed, or sent by another process
            except MSSError as error:
                _log.warning("a scheduled message was not sent: %s", error.code)
                if not error.retryable:
                    await self.database.write(_failing(row, error.code, at=self.clock.now()))

    async def forget_sent(self) -> None:
        """Forget what drafts became that were sent long ago."""
        before = self.clock.now() - self.remember
        await self.database.write(lambda c: drafts.forget_sent(c, before=before))

    async def _send(
        self,
        principal: AccountPrincipal,
        address: str,
        row: DraftRow,
        *,
        idempotency_key: str | None,
    ) -> Accepted:
        def then(connection: Connection, message_id: str) -> None:
            sent = replace(
                row,
                version=row.version + 1,
                state=DraftState.SENT,
                message_id=message_id,
                updated_at=self.clock.now(),
                sealed=b"",
            )
            if not drafts.replace_draft(connection, sent, seen=row.version):
                raise ConflictError(what="draft")

        draft = self._opened(row).draft
        sending = Sending(
            idempotency_key=idempotency_key,
            made_from=f"draft:{row.id}".encode(),
            draft_id=row.id,
            then=then,
        )
        try:
            return await self.drafting.send(principal, address, draft, sending)
        except (ConflictError, NotFoundError):
            repeat = await self._repeat(
                await self.database.read(lambda c: drafts.get_draft(c, row.id))
            )
            if repeat is None:
                raise
            return repeat

    async def _repeat(self, row: DraftRow) -> Accepted | None:
        """Tell what a draft became, if it was sent."""
        if row.message_id is None:
            return None
        committer = self.drafting.acceptance.committer
        return await committer.accepted(row.message_id, is_repeat=True)

    async def _foresee(self, principal: AccountPrincipal, saved: SavedDraft) -> None:
        """Object now to what would fail at its hour."""
        if not (saved.draft.to or saved.draft.cc or saved.draft.bcc):
            raise InvalidRequestError(field="to", reason="at least one recipient is needed")
        size = await self.drafting.uploads.measure(
            principal, saved.draft.uploads, draft_id=saved.row.id
        )
        self.drafting.check_uploads(size)

    def _attach(
        self,
        connection: Connection,
        principal: AccountPrincipal,
        row: DraftRow,
        wanted: Sequence[str],
    ) -> None:
        """Make a draft have these uploads and no others."""
        desk, now = self.drafting.uploads, self.clock.now()
        for upload_id in wanted:
            found = desk.require(connection, principal, upload_id, draft_id=row.id)
            if found.draft_id not in (None, row.id):
                raise NotFoundError(what="upload")
        had = [one.id for one in uploads.list_of_draft(connection, row.id)]
        expires_at = now + desk.keep
        dropped = [one for one in had if one not in wanted]
        uploads.attach(connection, dropped, draft_id=None, expires_at=expires_at)
        uploads.attach(connection, wanted, draft_id=row.id, expires_at=expires_at)

    def _opened(self, row: DraftRow) -> SavedDraft:
        if row.state is DraftState.SENT:
            raise NotFoundError(what="draft")
        kept = _KEPT.validate_json(self.sealer.open(row.sealed, context=_context(row.id)))
        return SavedDraft(row=row, draft=replace(kept.draft, attachments=kept.files))

    def _seal(self, draft_id: str, draft: OutgoingDraft) -> bytes:
        files = tuple(one for one in draft.attachments if isinstance(one, UploadedAttachment))
        kept = _Kept(draft=replace(draft, attachments=()), files=files)
        return self.sealer.seal(orjson.dumps(kept), context=_context(draft_id))


def _require(connection: Connection, box: Mailbox, draft_id: str) -> DraftRow:
    row = drafts.find_draft(connection, draft_id, mailbox_id=box.id)
    if row is None:
        raise NotFoundError(what="draft")
    return row


def _require_open(
    connection: Connection, box: Mailbox, draft_id: str, *, seen: int | None
) -> DraftRow:
    """Find a draft that may be changed."""
    row = _require(connection, box, draft_id)
    _check(row, seen=seen)
    if row.state is DraftState.SCHEDULED:
        raise ConflictError(what="draft-scheduled")
    return row


def _check(row: DraftRow, *, seen: int | None) -> None:
    if row.state is DraftState.SENT:
        raise ConflictError(what="draft-sent")
    if seen is not None and seen != row.version:
        raise VersionDiffersError


def _put(connection: Connection, row: DraftRow, *, seen: int) -> None:
    if not drafts.replace_draft(connection, row, seen=seen):
        raise VersionDiffersError


def _principal_of(row: DraftRow) -> Callable[[Connection], AccountPrincipal]:
    """Find who scheduled a draft, with the rights of today: they may have been taken away."""

    def ask(connection: Connection) -> AccountPrincipal:
        account = accounts.get_account(connection, row.account_id)
        rights = mailboxes.rights_of(connection, account.id)
        if account.identity is not None:
            rights |= mailboxes.rights_of_holder(connection, _rpps_of(account.identity))
        if account.closed_at is not None:
            rights = {}
        return AccountPrincipal(
            account_id=account.id, name=account.name, rights=rights, means="scheduled"
        )

    return ask


def _rpps_of(identity: str) -> str:
    try:
        return NationalPersonId.parse(identity).rpps or ""
    except DirectoryError:
        return ""


def _failing(row: DraftRow, code: str, *, at: datetime) -> Callable[[Connection], bool]:
    failed = replace(
        row,
        version=row.version + 1,
        state=DraftState.FAILED,
        code=code,
        send_at=None,
        updated_at=at,
    )
    return lambda connection: drafts.replace_draft(connection, failed, seen=row.version)


def _context(draft_id: str) -> bytes:
    return f"draft:{draft_id}".encode()
