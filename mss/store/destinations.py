"""Which destinations cannot be reached, since when, and when one letter may try again.

A destination is a recipient's domain. Its row exists while it fails, so that every worker of the
operator holds back what waits for it: one letter at a time *probes*, the others wait. The first
letter (or refusal of a letter) that gets through removes the row.

Units
    Instants are aware UTC.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, Table, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mss.store.tables import destination

_RECOVER = delete(destination)
_INSERTS: dict[str, Callable[[Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A destination that fails.

    Attributes:
        failures: In a row.
        retry_at: When the next probe may begin.
        code: Why the last one failed; *detail* and *host* say more.
    """

    domain: str
    failures: int
    failing_since: datetime
    retry_at: datetime
    code: str
    detail: str
    host: str | None


def find_destination(connection: Connection, domain: str) -> Destination | None:
    """Find a destination that fails; `None` when it does not, as far as we know."""
    row = connection.execute(
        select(destination).where(destination.c.domain == domain)
    ).one_or_none()
    return None if row is None else _destination(row)


def list_destinations(connection: Connection, *, limit: int) -> list[Destination]:
    """List the destinations that fail, the longest failing first."""
    rows = connection.execute(
        select(destination).order_by(destination.c.failing_since).limit(limit)
    )
    return [_destination(row) for row in rows]


def retry_times(connection: Connection) -> dict[str, datetime]:
    """Map each failing destination to the instant before which nobody may try it."""
    rows = connection.execute(
        select(destination.c.domain, destination.c.retry_at, destination.c.probed_until)
    )
    return {row.domain: max(row.retry_at, row.probed_until or row.retry_at) for row in rows}


def begin_probe(connection: Connection, domain: str, *, now: datetime, until: datetime) -> bool:
    """Take the right to try a failing destination; one worker has it at a time."""
    taken = connection.execute(
        update(destination)
        .where(
            destination.c.domain == domain,
            destination.c.retry_at <= now,
            or_(destination.c.probed_until.is_(None), destination.c.probed_until <= now),
        )
        .values(probed_until=until)
    )
    return taken.rowcount > 0


def fail(
    connection: Connection,
    domain: str,
    *,
    now: datetime,
    retry_at: datetime,
    code: str,
    detail: str,
    host: str | None,
) -> None:
    """Record that a destination could not be reached.

    Letters that were under way together fail together: they count once.
    """
    facts = {"retry_at": retry_at, "code": code, "detail": detail, "host": host}
    connection.execute(
        _INSERTS[connection.dialect.name](destination)
        .values(domain=domain, failures=1, failing_since=now, **facts)
        .on_conflict_do_update(
            index_elements=["domain"],
            set_={**facts, "failures": destination.c.failures + 1, "probed_until": None},
            where=destination.c.retry_at <= now,
        )
    )


def recover(connection: Connection, domain: str) -> None:
    """Record that a destination answers."""
    connection.execute(_RECOVER.where(destination.c.domain == domain))


def move_probes(connection: Connection, domains: list[str], *, until: datetime | None) -> None:
    """Keep the right to probe destinations until then, or give it back."""
    connection.execute(
        update(destination)
        .where(destination.c.domain.in_(domains), destination.c.probed_until.is_not(None))
        .values(probed_until=until)
    )


def retry_now(connection: Connection, domain: str, *, now: datetime) -> None:
    """Let the next probe begin at once."""
    connection.execute(
        update(destination)
        .where(destination.c.domain == domain, destination.c.retry_at > now)
        .values(retry_at=now)
    )


def forget_unused(connection: Connection, *, before: datetime) -> None:
    """Forget destinations that nothing has tried for long: nothing waits for them any more."""
    connection.execute(
        delete(destination).where(
            destination.c.retry_at < before,
            or_(destination.c.probed_until.is_(None), destination.c.probed_until < before),
        )
    )


def _destination(row: Row[tuple[object, ...]]) -> Destination:
    return Destination(
        domain=row.domain,
        failures=row.failures,
        failing_since=row.failing_since,
        retry_at=row.retry_at,
        code=row.code,
        detail=row.detail,
        host=row.host,
    )
