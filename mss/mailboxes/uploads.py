"""Take files before the message that carries them: in as many requests as the line needs.

What arrives is stored in pieces, each sealed and durable before it counts; the offset of an upload
is what would survive a crash now. A piece that ended too soon is written again with what follows,
so that there are never many small ones. An upload belongs to the account that began it, until it is
attached to a draft (`mss.mailboxes.drafts`); it is gone once it was sent.

Errors
    `NotFoundError` for what is not there, is over, or is somebody else's; `ConflictError` when the
    upload ends elsewhere than the sender thinks; `UploadsFullError`; `ChecksumDiffersError`.
Sources
    tus resumable upload protocol 1.0.0 (core, creation, expiration, checksum, termination);
    docs/adr/0033.
"""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson

from crypto.sealing import Sealer
from mss.clock import Clock
from mss.errors import (
    ChecksumDiffersError,
    ConflictError,
    MessageTooLargeError,
    MSSError,
    NotFoundError,
    StoreUnavailableError,
    UploadIncompleteError,
    UploadsFullError,
)
from mss.model.principal import AccountPrincipal
from mss.ports import BlobStore
from mss.store import uploads
from mss.store.engine import Connection, Database
from mss.store.uploads import Appended, Piece, UploadRow

PIECE_OCTETS: Final = 1024 * 1024
SMALL_OCTETS: Final = 256 * 1024  # a shorter last piece is written again with what follows
MAX_UPLOADS: Final = 1000  # of one account at the same time
ALGORITHMS: Final = ("sha1", "sha256")
_BATCH: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class FileName:
    """What a client said of a file."""

    filename: str = ""
    content_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One upload as its owner sees it."""

    id: str
    name: FileName
    size_octets: int
    offset_octets: int
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """What the octets of one request must add up to; *algorithm* is one of `ALGORITHMS`."""

    algorithm: str
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedOctets:
    """A file that arrived as a whole."""

    name: FileName
    octets: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """Where files wait for their message.

    Attributes:
        keep: How long after its last octet an upload stays.
        limit_octets: The largest.
        account_octets: What those of one account may take together.
    """

    database: Database
    blobs: BlobStore
    sealer: Sealer
    clock: Clock
    keep: timedelta
    limit_octets: int
    account_octets: int

    async def begin(
        self, principal: AccountPrincipal, *, size_octets: int, name: FileName
    ) -> Upload:
        """Make room for a file.

        Raises:
            MessageTooLargeError: It is larger than any upload may be.
            UploadsFullError: The account's uploads would take more than they may.
        """
        if size_octets > self.limit_octets:
            raise MessageTooLargeError(size_octets=size_octets, limit_octets=self.limit_octets)
        now, upload_id = self.clock.now(), self.clock.new_id()
        row = UploadRow(
            id=upload_id,
            account_id=principal.account_id,
            draft_id=None,
            size_octets=size_octets,
            offset_octets=0,
            created_at=now,
            expires_at=now + self.keep,
            sealed=self.sealer.seal(orjson.dumps(asdict(name)), context=_context(upload_id)),
        )

        def change(connection: Connection) -> None:
            uploads.lock_account(connection, row.account_id)
            number, octets = uploads.room_taken(connection, row.account_id)
            if number >= MAX_UPLOADS or octets + size_octets > self.account_octets:
                raise UploadsFullError(limit_octets=self.account_octets)
            uploads.insert_upload(connection, row)

        await self.database.write(change)
        return self._opened(row)

    async def find(self, principal: AccountPrincipal, upload_id: str) -> Upload:
        """Tell how far an upload is."""
        row = await self.database.read(lambda c: self.require(c, principal, upload_id))
        return self._opened(row)

    async def append(
        self,
        principal: AccountPrincipal,
        upload_id: str,
        octets: AsyncIterator[bytes],
        *,
        offset: int,
        checksum: Checksum | None = None,
    ) -> Upload:
        """Take more octets, and keep those that arrived even when the line breaks.

        With a *checksum* all count or none: it can be judged at the end only.

        Raises:
            ConflictError: The upload does not end at *offset*.
            MessageTooLargeError: There are more than were announced; the rest was not read.
            ChecksumDiffersError: These are not the octets that were meant.
        """
        row = await self.database.read(lambda c: self.require(c, principal, upload_id))
        if row.offset_octets != offset:
            raise ConflictError(what="upload-offset")
        taking = _Taking(desk=self, row=row, checksum=checksum)
        try:
            await taking.take(octets)
        except StoreUnavailableError:
            # Perhaps it was written and only the answer was lost: a row may need these bodies.
            raise
        except BaseException:
            await taking.undo()
            raise
        return await self.find(principal, upload_id)

    async def end(self, principal: AccountPrincipal, upload_id: str) -> None:
        """Remove an upload that is not wanted any more."""

        def change(connection: Connection) -> list[str]:
            self.require(connection, principal, upload_id)
            return removed(connection, [upload_id])

        await self.let_go(await self.database.write(change))

    async def measure(
        self, principal: AccountPrincipal, upload_ids: Sequence[str], *, draft_id: str | None = None
    ) -> int:
        """Tell how large files are together, before any of them is read.

        Raises:
            NotFoundError: One of them is not the principal's, and not the draft's.
            UploadIncompleteError: One of them has not arrived as a whole.
        """

        def ask(connection: Connection) -> int:
            rows = [
                self.require(connection, principal, one, draft_id=draft_id) for one in upload_ids
            ]
            if not all(row.is_complete for row in rows):
                raise UploadIncompleteError
            return sum(row.size_octets for row in rows)

        return await self.database.read(ask)

    async def load(
        self, principal: AccountPrincipal, upload_id: str, *, draft_id: str | None = None
    ) -> UploadedOctets:
        """Read a file as a whole.

        Raises:
            NotFoundError: It is not the principal's, and not the draft's.
            UploadIncompleteError: It has not arrived as a whole.
        """

        def ask(connection: Connection) -> tuple[UploadRow, list[Piece]]:
            row = self.require(connection, principal, upload_id, draft_id=draft_id)
            return row, uploads.list_pieces(connection, upload_id)

        row, pieces = await self.database.read(ask)
        if not row.is_complete:
            raise UploadIncompleteError
        octets = bytearray()
        for piece in pieces:
            octets += await self.blobs.get(piece.blob_ref)
        return UploadedOctets(name=self._name(row), octets=bytes(octets))

    async def forget_expired(self) -> None:
        """Remove uploads that nobody finished or used in time."""
        while True:
            now = self.clock.now()

            def change(connection: Connection, now: datetime = now) -> list[str] | None:
                old = uploads.list_expired(connection, now=now, limit=_BATCH)
                return uploads.remove(connection, old) if old else None

            refs = await self.database.write(change)
            if refs is None:
                return
            await self.let_go(refs)

    async def let_go(self, refs: Sequence[str]) -> None:
        """Remove bodies that no row refers to; the sweeper takes what this misses."""
        for ref in refs:
            with suppress(MSSError):
                await self.blobs.delete(ref)

    def require(
        self,
        connection: Connection,
        principal: AccountPrincipal,
        upload_id: str,
        *,
        draft_id: str | None = None,
    ) -> UploadRow:
        """Find an upload that the principal, or a draft that it may use, has.

        Raises:
            NotFoundError: There is none.
        """
        row = uploads.find_upload(connection, upload_id)
        if row is None or (row.draft_id is None and row.expires_at <= self.clock.now()):
            raise NotFoundError(what="upload")
        is_drafts = draft_id is not None and row.draft_id == draft_id
        if not is_drafts and row.account_id != principal.account_id:
            raise NotFoundError(what="upload")
        return row

    def _opened(self, row: UploadRow) -> Upload:
        return Upload(
            id=row.id,
            name=self._name(row),
            size_octets=row.size_octets,
            offset_octets=row.offset_octets,
            created_at=row.created_at,
            expires_at=row.expires_at,
        )

    def _name(self, row: UploadRow) -> FileName:
        said = orjson.loads(self.sealer.open(row.sealed, context=_context(row.id)))
        return FileName(**said)


def removed(connection: Connection, upload_ids: Sequence[str]) -> list[str]:
    """Remove uploads in a transaction; give the bodies to let go of once it is over.

    Raises:
        NotFoundError: One of them was used a moment before.
    """
    refs = uploads.remove(connection, upload_ids) if upload_ids else []
    if refs is None:
        raise NotFoundError(what="upload")
    return refs


class _Taking:
    """One request that brings octets."""

    def __init__(self, *, desk: Uploads, row: UploadRow, checksum: Checksum | None) -> None:
        self._desk = desk
        self._row = row
        self._checksum = checksum
        self._digest = hashlib.new(checksum.algorithm) if checksum else None
        self._seen = self._start = row.offset_octets  # what is durable; where the buffer begins
        self._buffer = bytearray()
        self._pending: list[Piece] = []
        self._over: str | None = None

    async def take(self, octets: AsyncIterator[bytes]) -> None:
        """Take them all."""
        try:
            async for chunk in octets:
                self._add(chunk)
                while len(self._buffer) >= PIECE_OCTETS:
                    await self._put(PIECE_OCTETS)
        except BaseException:
            if self._checksum is None:
                # The line broke or time is over: what is here need not be sent again.
                await asyncio.shield(self._finish())
            raise
        self._judge()
        await self._finish()

    async def undo(self) -> None:
        """Remove bodies that were stored and do not count."""
        await self._desk.let_go([one.blob_ref for one in self._pending])

    def _judge(self) -> None:
        if self._checksum is None or self._digest is None:
            return
        if not hmac.compare_digest(self._digest.digest(), self._checksum.digest):
            raise ChecksumDiffersError

    def _add(self, chunk: bytes) -> None:
        end = self._start + len(self._buffer) + len(chunk)
        if end > self._row.size_octets:
            raise MessageTooLargeError(size_octets=end, limit_octets=self._row.size_octets)
        if self._digest is not None:
            self._digest.update(chunk)
        self._buffer += chunk

    async def _finish(self) -> None:
        if self._buffer:
            await self._put(len(self._buffer))
        if self._pending:
            await self._write()

    async def _put(self, length: int) -> None:
        """Store the beginning of the buffer, with the short piece before it if there is one."""
        desk, start = self._desk, self._start
        octets = bytes(memoryview(self._buffer)[:length])
        old = None
        if start == self._row.offset_octets and start:
            old = await desk.database.read(lambda c: uploads.find_last_piece(c, self._row.id))
        if old is not None and old.length_octets < SMALL_OCTETS:
            octets = await desk.blobs.get(old.blob_ref) + octets
            start, self._over = old.start, old.blob_ref
        ref = await desk.blobs.put(desk.clock.new_id(), octets)
        self._pending.append(Piece(start=start, length_octets=len(octets), blob_ref=ref))
        del self._buffer[:length]
        self._start += length
        if self._checksum is None:
            await self._write()

    async def _write(self) -> None:
        """Let what is stored count."""
        desk, row_id = self._desk, self._row.id
        more = Appended(
            seen=self._seen,
            pieces=tuple(self._pending),
            expires_at=desk.clock.now() + desk.keep,
        )
        if not await desk.database.write(_appending(row_id, more)):
            raise ConflictError(what="upload-offset")
        self._pending.clear()
        self._seen = self._start
        if self._over is not None:
            await desk.let_go([self._over])
            self._over = None


def _appending(upload_id: str, more: Appended) -> Callable[[Connection], bool]:
    return lambda connection: uploads.append(connection, upload_id, more)


def _context(upload_id: str) -> bytes:
    return f"upload:{upload_id}".encode()
