"""Rows of drafts: what somebody is still writing, what waits for its hour, what was sent.

Every change names the version that it was made for; of two made for the same one, one is told no.
A draft that was sent stays for a while as the name of the message that it became.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from mss.model.draft import DraftState
from mss.store.tables import draft, mailbox

LISTED = (DraftState.OPEN, DraftState.SCHEDULED, DraftState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRow:
    """One draft, its words still sealed.

    Attributes:
        account_id: Who changed it last, and in whose name it is sent at its hour.
        code: Why it could not be sent at its hour.
        message_id: What it became.
    """

    id: str
    mailbox_id: str
    account_id: str
    version: int
    state: DraftState
    created_at: datetime
    updated_at: datetime
    send_at: datetime | None = None
    code: str | None = None
    message_id: str | None = None
    sealed: bytes


def insert_draft(connection: Connection, row: DraftRow) -> None:
    """Add a draft."""
    connection.execute(insert(draft).values(asdict(row)))


def lock_mailbox(connection: Connection, mailbox_id: str) -> None:
    """Let nobody else add a draft to this mailbox before the transaction is over."""
    connection.execute(select(mailbox.c.id).where(mailbox.c.id == mailbox_id).with_for_update())


def count_drafts(connection: Connection, mailbox_id: str) -> int:
    """Tell how many drafts a mailbox has."""
    return connection.execute(
        select(func.count()).where(draft.c.mailbox_id == mailbox_id, draft.c.state.in_(LISTED))
    ).scalar_one()


def find_draft(connection: Connection, draft_id: str, *, mailbox_id: str) -> DraftRow | None:
    """Find a draft in its mailbox."""
    row = connection.execute(
        select(draft).where(draft.c.id == draft_id, draft.c.mailbox_id == mailbox_id)
    ).one_or_none()
    return None if row is None else _draft(row)


def get_draft(connection: Connection, draft_id: str) -> DraftRow:
    """Fetch a draft that is known to be there."""
    return _draft(connection.execute(select(draft).where(draft.c.id == draft_id)).one())


def list_drafts(
    connection: Connection,
    mailbox_id: str,
    *,
    limit: int,
    before: str | None = None,
) -> list[DraftRow]:
    """List the drafts of a mailbox, the newest first: identifiers rise with time.

    Args:
        connection: To read from.
        mailbox_id: Whose.
        limit: How many at most.
        before: Go on after the draft of this identifier.
    """
    wanted = select(draft).where(draft.c.mailbox_id == mailbox_id, draft.c.state.in_(LISTED))
    if before is not None:
        wanted = wanted.where(draft.c.id < before)
    rows = connection.execute(wanted.order_by(draft.c.id.desc()).limit(limit))
    return [_draft(row) for row in rows]


def replace_draft(connection: Connection, row: DraftRow, *, seen: int) -> bool:
    """Put *row* in the place of its version *seen*; tell whether that was still there."""
    changed = connection.execute(
        update(draft)
        .where(draft.c.id == row.id, draft.c.version == seen)
        .values({name: value for name, value in asdict(row).items() if name != "id"})
    )
    return changed.rowcount == 1


def remove_draft(connection: Connection, draft_id: str, *, seen: int) -> bool:
    """Remove a draft of this version; tell whether it was still there."""
    gone = connection.execute(delete(draft).where(draft.c.id == draft_id, draft.c.version == seen))
    return gone.rowcount == 1


def list_due(connection: Connection, *, now: datetime, limit: int) -> list[tuple[DraftRow, str]]:
    """List drafts whose hour has come, each with the address of its mailbox."""
    rows = connection.execute(
        select(draft, mailbox.c.address_key)
        .join(mailbox, mailbox.c.id == draft.c.mailbox_id)
        .where(draft.c.state == DraftState.SCHEDULED, draft.c.send_at <= now)
        .order_by(draft.c.send_at)
        .limit(limit)
    )
    return [(_draft(row), row.address_key) for row in rows]


def forget_sent(connection: Connection, *, before: datetime) -> None:
    """Forget what drafts that were sent long ago became."""
    connection.execute(
        delete(draft).where(draft.c.state == DraftState.SENT, draft.c.updated_at < before)
    )


def _draft(row: Row[Any]) -> DraftRow:
    values = {name: getattr(row, name) for name in DraftRow.__slots__}
    return DraftRow(**{**values, "state": DraftState(values["state"])})
