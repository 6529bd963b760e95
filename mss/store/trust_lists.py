"""Every trust list that was ever in force, and which one is now."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from mss.store.tables import trust_list


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTrustList:
    """A verified list; `xml` is the octets as published, signature included."""

    sha256: str
    generated_at: datetime
    loaded_at: datetime
    source: str
    entries: int
    xml: bytes


def find_current(connection: Connection) -> KeptTrustList | None:
    """Find the list in force."""
    row = connection.execute(select(trust_list).where(trust_list.c.is_current)).one_or_none()
    if row is None:
        return None
    return KeptTrustList(
        sha256=row.sha256,
        generated_at=row.generated_at,
        loaded_at=row.loaded_at,
        source=row.source,
        entries=row.entries,
        xml=row.xml,
    )


def current_digest(connection: Connection) -> str | None:
    """Tell which list is in force, cheaply."""
    return connection.execute(select(trust_list.c.sha256).where(trust_list.c.is_current)).scalar()


def put_in_force(connection: Connection, kept: KeptTrustList) -> None:
    """Make *kept* the list in force; the same list again only renews its date."""
    connection.execute(update(trust_list).values(is_current=False))
    renewed = connection.execute(
        update(trust_list)
        .where(trust_list.c.sha256 == kept.sha256)
        .values(is_current=True, loaded_at=kept.loaded_at, source=kept.source)
    )
    if renewed.rowcount == 0:
        connection.execute(
            insert(trust_list).values(
                sha256=kept.sha256,
                generated_at=kept.generated_at,
                loaded_at=kept.loaded_at,
                source=kept.source,
                entries=kept.entries,
                xml=kept.xml,
                is_current=True,
            )
        )
