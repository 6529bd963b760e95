"""Every trust list that was ever in force, which one is now, and where it is polled from."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from mss.store.tables import trust_list, trust_source


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


def describe_current(connection: Connection) -> KeptTrustList | None:
    """Find the list in force without its octets, which are many."""
    columns = [one for one in trust_list.c if one is not trust_list.c.xml]
    row = connection.execute(select(*columns).where(trust_list.c.is_current)).one_or_none()
    if row is None:
        return None
    return KeptTrustList(
        sha256=row.sha256,
        generated_at=row.generated_at,
        loaded_at=row.loaded_at,
        source=row.source,
        entries=row.entries,
        xml=b"",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PolledSource:
    """What the last poll of an address brought.

    Attributes:
        sha256: The list that the validators belong to; empty when none came yet.
        etag: Its ETag, as the server wrote it; may be empty.
        last_modified: Its Last-Modified, likewise.
        failure: Why the last poll brought nothing; empty when it did.
    """

    url: str
    sha256: str = ""
    etag: str = ""
    last_modified: str = ""
    checked_at: datetime
    failure: str = ""


def find_source(connection: Connection, url: str) -> PolledSource | None:
    """Find what is known of an address."""
    wanted = select(trust_source).where(trust_source.c.url == url)
    row = connection.execute(wanted).one_or_none()
    if row is None:
        return None
    return PolledSource(
        url=row.url,
        sha256=row.sha256,
        etag=row.etag,
        last_modified=row.last_modified,
        checked_at=row.checked_at,
        failure=row.failure,
    )


def keep_source(connection: Connection, polled: PolledSource) -> None:
    """Remember the last poll of an address."""
    values = {
        "sha256": polled.sha256,
        "etag": polled.etag,
        "last_modified": polled.last_modified,
        "checked_at": polled.checked_at,
        "failure": polled.failure,
    }
    renewed = connection.execute(
        update(trust_source).where(trust_source.c.url == polled.url).values(**values)
    )
    if renewed.rowcount == 0:
        connection.execute(insert(trust_source).values(url=polled.url, **values))


def confirm_current(connection: Connection, *, at: datetime) -> None:
    """Note that the source still publishes the list in force."""
    connection.execute(update(trust_list).where(trust_list.c.is_current).values(loaded_at=at))
