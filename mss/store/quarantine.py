"""Messages that were put aside: apart from every mailbox, until an administrator has looked.

What can be listed says why and how large, never who; the envelope is sealed, since an address may
be a patient's number.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from mss.store.tables import quarantine


@dataclass(frozen=True, slots=True, kw_only=True)
class PutAside:
    """One message that was put aside.

    Attributes:
        cause: Kebab-case: `virus`, `attachment-type`, or what a policy says.
        detail: What the scanner calls it; empty for others.
        submission: Sealed: the envelope, and who handed it over.
    """

    id: str
    put_aside_at: datetime
    cause: str
    detail: str
    origin: str
    sender_domain: str
    recipients: int
    size_octets: int
    blob_ref: str
    submission: bytes


def insert_put_aside(connection: Connection, one: PutAside) -> None:
    """Put a message aside."""
    connection.execute(insert(quarantine).values(asdict(one)))


def find_put_aside(connection: Connection, quarantine_id: str) -> PutAside | None:
    """Find one by its identifier."""
    row = connection.execute(
        select(quarantine).where(quarantine.c.id == quarantine_id)
    ).one_or_none()
    return None if row is None else _put_aside(row)


def list_put_aside(connection: Connection, *, limit: int) -> list[PutAside]:
    """List them, oldest first."""
    rows = connection.execute(select(quarantine).order_by(quarantine.c.put_aside_at).limit(limit))
    return [_put_aside(row) for row in rows]


def count_put_aside(connection: Connection) -> int:
    """Count them."""
    return int(connection.execute(select(func.count()).select_from(quarantine)).scalar_one())


def delete_put_aside(connection: Connection, quarantine_id: str) -> bool:
    """Take one out; tell whether it was there."""
    found = connection.execute(delete(quarantine).where(quarantine.c.id == quarantine_id))
    return found.rowcount > 0


def _put_aside(row: Row[Any]) -> PutAside:
    return PutAside(**row._mapping)  # noqa: SLF001 -- the documented way to a row's columns
