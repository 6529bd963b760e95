"""What revocation is judged by: where it is fetched from, and every list and answer relied upon.

A source is a URL that a certificate names, with what is known of the last visits. An object is the
octets of a list, an answer or a certificate, by their SHA-256: those in use are named by a source,
the others are kept so that a verdict can be proven later.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from mss.store.tables import revocation_object as kept
from mss.store.tables import revocation_source as source


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """A source as it is kept.

    Attributes:
        certificate: In DER: the one to ask about, or that names the URL.
        issuer: In DER: who issued that certificate; None if that is what is looked for.
        sha256: The object in use, if anything was ever fetched.
    """

    key: str
    kind: str
    url: str
    certificate: bytes
    issuer: bytes | None
    failures: int = 0
    last_reason: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptObject:
    """Octets by their digest; *kind* is that of a source, or `certificate`."""

    sha256: str
    kind: str
    octets: bytes


def want(connection: Connection, wanted: Iterable[SourceRow], *, at: datetime) -> None:
    """Take note of sources; those that are known already are only wanted anew."""
    for each in wanted:
        known = connection.execute(
            update(source).where(source.c.key == each.key).values(wanted_at=at)
        )
        if known.rowcount == 0:
            connection.execute(
                insert(source).values(
                    key=each.key,
                    kind=each.kind,
                    url=each.url,
                    certificate=each.certificate,
                    issuer=each.issuer,
                    wanted_at=at,
                    next_try_at=at,
                    failures=0,
                )
            )


def claim_due(
    connection: Connection, *, at: datetime, until: datetime, limit: int
) -> list[SourceRow]:
    """Take sources whose time has come; nobody else takes them before *until*."""
    rows = connection.execute(
        select(source)
        .where(source.c.next_try_at <= at)
        .order_by(source.c.next_try_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    claimed = [_source(row) for row in rows]
    connection.execute(
        update(source)
        .where(source.c.key.in_([each.key for each in claimed]))
        .values(next_try_at=until)
    )
    return claimed


def find_source(connection: Connection, key: str) -> SourceRow | None:
    """Find a source as it is now."""
    row = connection.execute(select(source).where(source.c.key == key)).one_or_none()
    return None if row is None else _source(row)


def note_failure(connection: Connection, key: str, *, reason: str, next_try_at: datetime) -> None:
    """Keep what went wrong; what is in use stays in use."""
    connection.execute(
        update(source)
        .where(source.c.key == key)
        .values(failures=source.c.failures + 1, last_reason=reason, next_try_at=next_try_at)
    )


def note_visit(
    connection: Connection,
    key: str,
    *,
    at: datetime,
    next_try_at: datetime,
    etag: str | None,
    last_modified: str | None,
    sha256: str | None,
) -> None:
    """Keep what a visit brought; *sha256* None leaves the object in use as it is."""
    values: dict[str, object] = {
        "failures": 0,
        "last_reason": None,
        "fetched_at": at,
        "next_try_at": next_try_at,
    }
    if sha256 is not None:
        values |= {"sha256": sha256, "etag": etag, "last_modified": last_modified}
    connection.execute(update(source).where(source.c.key == key).values(**values))


def keep(connection: Connection, objects: Iterable[KeptObject], *, at: datetime) -> None:
    """Keep octets by their digest; those that are kept already stay as they are."""
    for each in objects:
        found = connection.execute(
            update(kept).where(kept.c.sha256 == each.sha256).values(kept_at=at)
        )
        if found.rowcount == 0:
            connection.execute(
                insert(kept).values(
                    sha256=each.sha256, kind=each.kind, kept_at=at, octets=each.octets
                )
            )


def find_object(connection: Connection, sha256: str) -> KeptObject | None:
    """Find octets by their digest."""
    row = connection.execute(select(kept).where(kept.c.sha256 == sha256)).one_or_none()
    if row is None:
        return None
    return KeptObject(sha256=row.sha256, kind=row.kind, octets=row.octets)


def list_in_use(connection: Connection) -> dict[str, str]:
    """Tell which objects are in use, with their kinds."""
    rows = connection.execute(
        select(source.c.sha256, source.c.kind).where(source.c.sha256.is_not(None))
    )
    return {row.sha256: row.kind for row in rows}


def forget(connection: Connection, *, unwanted_since: datetime, kept_since: datetime) -> None:
    """Forget sources that nobody has asked for, and objects that are old enough and not in use."""
    connection.execute(delete(source).where(source.c.wanted_at < unwanted_since))
    in_use = select(source.c.sha256).where(source.c.sha256.is_not(None))
    connection.execute(
        delete(kept).where(kept.c.kept_at < kept_since, kept.c.sha256.not_in(in_use))
    )


def _source(row: object) -> SourceRow:
    return SourceRow(**{name: getattr(row, name) for name in SourceRow.__slots__})
