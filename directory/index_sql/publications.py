"""Note how far the national directory has been told of the mailboxes that are declared here.

What is to be told is not written down a second time: it is every declaration that changed since it
was last handled. So nothing can be declared and forgotten, whatever dies in between.

Shapes
    `done` was told; `waiting` is tried again at its time; `refused` waits for another declaration,
    or for somebody who says to try again.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, update

from directory.index_sql import tables
from directory.index_sql.declared import DeclaredMailbox, build_declared

DONE: Final = "done"
WAITING: Final = "waiting"
REFUSED: Final = "refused"
_DECLARED: Final = tables.declared_mailbox
_TOLD: Final = tables.publication
_JOINED: Final = _DECLARED.outerjoin(_TOLD, _TOLD.c.address_key == _DECLARED.c.address_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """A declared mailbox, and how far the national directory has been told of it.

    Attributes:
        state: `new` until it was tried; then `waiting` or `refused`.
        attempts: How often the present declaration was tried.
        is_there: True if the national directory has the mailbox, as far as we know.
    """

    mailbox: DeclaredMailbox
    state: str
    attempts: int
    next_at: datetime | None
    reason: str
    is_there: bool


def list_publications_due(
    connection: Connection, *, at: datetime, limit: int = 100
) -> list[OutboxEntry]:
    """List what is to be told now, the oldest change first."""
    is_due = or_(_is_new(), and_(_TOLD.c.state == WAITING, _TOLD.c.next_at <= at))
    return _list(connection, is_due, limit)


def list_outbox(connection: Connection, *, limit: int = 1_000) -> list[OutboxEntry]:
    """List what was not told yet, or was refused, the oldest change first."""
    return _list(connection, or_(_is_new(), _TOLD.c.state != DONE), limit)


def note_publication(
    connection: Connection,
    publication: OutboxEntry,
    *,
    state: str,
    next_at: datetime,
    reason: str = "",
    is_there: bool,
) -> None:
    """Note what came of an attempt for the declaration that was told."""
    key = publication.mailbox.address.key
    connection.execute(delete(_TOLD).where(_TOLD.c.address_key == key))
    connection.execute(
        insert(_TOLD).values(
            address_key=key,
            declared_at=publication.mailbox.changed_at,
            state=state,
            attempts=publication.attempts + 1,
            next_at=next_at,
            reason=reason,
            is_there=is_there,
        )
    )


def retry_publications(connection: Connection, *, at: datetime) -> int:
    """Let everything that waits or was refused be tried at once; return how much."""
    done = connection.execute(
        update(_TOLD).where(_TOLD.c.state != DONE).values(state=WAITING, next_at=at)
    )
    return done.rowcount


def _is_new() -> ColumnElement[bool]:
    return or_(_TOLD.c.address_key.is_(None), _TOLD.c.declared_at != _DECLARED.c.changed_at)


def _list(connection: Connection, which: ColumnElement[bool], limit: int) -> list[OutboxEntry]:
    columns = (
        _TOLD.c.declared_at,
        _TOLD.c.state,
        _TOLD.c.attempts,
        _TOLD.c.next_at,
        _TOLD.c.reason,
        _TOLD.c.is_there,
    )
    query = (
        select(_DECLARED, *columns)
        .select_from(_JOINED)
        .where(which)
        .order_by(_DECLARED.c.changed_at, _DECLARED.c.address_key)
        .limit(limit)
    )
    return [_build(row) for row in connection.execute(query)]


def _build(row: Any) -> OutboxEntry:  # noqa: ANN401 - a row
    is_new = row.declared_at != row.changed_at
    return OutboxEntry(
        mailbox=build_declared(row),
        state="new" if is_new else row.state,
        attempts=0 if is_new else row.attempts,
        next_at=None if is_new else row.next_at,
        reason="" if is_new else row.reason,
        is_there=bool(row.is_there),
    )
