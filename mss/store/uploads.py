"""Rows of uploads: what is on its way to a message, piece by piece.

A piece is a stored body of its own; the offset of an upload is the end of its last piece. Whoever
appends names the offset that it saw, so of two that append at once one is told no.

Units
    Offsets and sizes in octets.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from mss.store.tables import account, upload, upload_piece


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRow:
    """One upload, its name and type still sealed.

    Attributes:
        draft_id: The draft that it is attached to, if any; it lives as long as that.
    """

    id: str
    account_id: str
    draft_id: str | None
    size_octets: int
    offset_octets: int
    created_at: datetime
    expires_at: datetime
    sealed: bytes

    @property
    def is_complete(self) -> bool:
        """Tell whether every octet has arrived."""
        return self.offset_octets == self.size_octets


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some octets of an upload, in a body of their own."""

    start: int
    length_octets: int
    blob_ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What is written over the end of an upload.

    Attributes:
        seen: The offset that the upload must still have.
        pieces: In order; the first may begin before *seen*, in place of the piece that did.
    """

    seen: int
    pieces: Sequence[Piece]
    expires_at: datetime


def insert_upload(connection: Connection, row: UploadRow) -> None:
    """Add an upload."""
    connection.execute(insert(upload).values(asdict(row)))


def lock_account(connection: Connection, account_id: str) -> None:
    """Let nobody else begin an upload of this account before the transaction is over."""
    connection.execute(select(account.c.id).where(account.c.id == account_id).with_for_update())


def room_taken(connection: Connection, account_id: str) -> tuple[int, int]:
    """Tell how many uploads an account has, and how much they take or will take."""
    number, octets = connection.execute(
        select(func.count(), func.coalesce(func.sum(upload.c.size_octets), 0)).where(
            upload.c.account_id == account_id
        )
    ).one()
    return number, int(octets)


def find_upload(connection: Connection, upload_id: str) -> UploadRow | None:
    """Find an upload, whosever it is."""
    row = connection.execute(select(upload).where(upload.c.id == upload_id)).one_or_none()
    return None if row is None else _upload(row)


def list_of_draft(connection: Connection, draft_id: str) -> list[UploadRow]:
    """List the uploads that a draft has."""
    rows = connection.execute(
        select(upload).where(upload.c.draft_id == draft_id).order_by(upload.c.id)
    )
    return [_upload(row) for row in rows]


def list_pieces(connection: Connection, upload_id: str) -> list[Piece]:
    """List the pieces of an upload from its beginning."""
    rows = connection.execute(
        select(upload_piece.c.start, upload_piece.c.length_octets, upload_piece.c.blob_ref)
        .where(upload_piece.c.upload_id == upload_id)
        .order_by(upload_piece.c.start)
    )
    return [Piece(start=row[0], length_octets=row[1], blob_ref=row[2]) for row in rows]


def find_last_piece(connection: Connection, upload_id: str) -> Piece | None:
    """Find where the octets of an upload end so far."""
    row = connection.execute(
        select(upload_piece.c.start, upload_piece.c.length_octets, upload_piece.c.blob_ref)
        .where(upload_piece.c.upload_id == upload_id)
        .order_by(upload_piece.c.start.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else Piece(start=row[0], length_octets=row[1], blob_ref=row[2])


def append(connection: Connection, upload_id: str, more: Appended) -> bool:
    """Write pieces at the end of an upload; tell whether its end was still where it was seen."""
    last = more.pieces[-1]
    changed = connection.execute(
        update(upload)
        .where(upload.c.id == upload_id, upload.c.offset_octets == more.seen)
        .values(offset_octets=last.start + last.length_octets, expires_at=more.expires_at)
    )
    if changed.rowcount != 1:
        return False
    connection.execute(
        delete(upload_piece).where(
            upload_piece.c.upload_id == upload_id, upload_piece.c.start >= more.pieces[0].start
        )
    )
    connection.execute(
        insert(upload_piece), [{"upload_id": upload_id, **asdict(one)} for one in more.pieces]
    )
    return True


def attach(
    connection: Connection, upload_ids: Sequence[str], *, draft_id: str | None, expires_at: datetime
) -> None:
    """Give uploads to a draft, or take them from it."""
    connection.execute(
        update(upload)
        .where(upload.c.id.in_(upload_ids))
        .values(draft_id=draft_id, expires_at=expires_at)
    )


def remove(connection: Connection, upload_ids: Sequence[str]) -> list[str] | None:
    """Remove uploads; give the references of their bodies, or `None` if one was not there.

    The caller's transaction must not be kept when one was not there.
    """
    refs = list(
        connection.execute(
            select(upload_piece.c.blob_ref).where(upload_piece.c.upload_id.in_(upload_ids))
        ).scalars()
    )
    connection.execute(delete(upload_piece).where(upload_piece.c.upload_id.in_(upload_ids)))
    gone = connection.execute(delete(upload).where(upload.c.id.in_(upload_ids)))
    return refs if gone.rowcount == len(set(upload_ids)) else None


def list_expired(connection: Connection, *, now: datetime, limit: int) -> list[str]:
    """List uploads that nobody finished or used in time; those of a draft wait for it."""
    return list(
        connection.execute(
            select(upload.c.id)
            .where(upload.c.expires_at < now, upload.c.draft_id.is_(None))
            .order_by(upload.c.expires_at)
            .limit(limit)
        ).scalars()
    )


def _upload(row: Row[Any]) -> UploadRow:
    return UploadRow(**row._asdict())
