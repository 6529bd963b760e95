"""The journal: append-only rows, each bound to the one before by a digest.

Every process writes a chain of its own (named by a fresh identifier at start), so that many
machines append without waiting for one another. Row *n* of a chain keeps
`digest = SHA-256(digest of row n-1, contents of row n)`: changing or removing a row breaks every
later one. Cutting off the end of a chain cannot be seen from the chain itself; the first row of a
process's chain therefore names the chains that it found and how long they were, and the check asks
for every row that was ever remembered so.

Sources
    docs/adr/0008.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, bindparam, func, select

from crypto.digests import CHAIN_START, chain_digest
from directory.index_sql.prepared import Prepared
from mss.model.audit import AuditEvent, AuditName
from mss.store.bulk import BulkInsert
from mss.store.tables import audit

_INSERT = BulkInsert(audit)
_LAST = Prepared(
    select(audit.c.position, audit.c.digest)
    .where(audit.c.chain == bindparam("chain"))
    .order_by(audit.c.position.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One line of the journal."""

    chain: str
    position: int
    at: datetime
    name: str
    actor: str
    facts: dict[str, str]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenLink:
    """The first row of a chain that is not what was written."""

    chain: str
    position: int
    reason: str


def append(connection: Connection, event: AuditEvent, *, chain: str, at: datetime) -> None:
    """Append an event to a chain, in the transaction of what it tells about."""
    append_all(connection, [(event, at)], chain=chain)


def append_all(
    connection: Connection, events: Sequence[tuple[AuditEvent, datetime]], *, chain: str
) -> None:
    """Append events, each with its instant, to a chain in their order."""
    if not events:
        return
    if connection.dialect.name == "postgresql":  # one writer per chain; SQLite has one anyway
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(chain))))
    last = next(iter(_LAST.run(connection, {"chain": chain})), None)
    position, digest = (0, CHAIN_START) if last is None else (last.position, last.digest)
    if last is None:
        found = tuple(_newest_chains(connection))
        start = AuditEvent(name=AuditName.CHAIN_STARTED, actor="system", facts=found)
        events = [(start, events[0][1]), *events]
    rows = []
    for event, at in events:
        position += 1
        row = _row(event, chain=chain, at=at, position=position, previous=digest)
        digest = str(row["digest"])
        rows.append(row)
    _INSERT.run(connection, rows)


def _row(
    event: AuditEvent, *, chain: str, at: datetime, position: int, previous: str
) -> dict[str, object]:
    facts = _facts_text(dict(event.facts))
    contents = _contents(chain, position, at, event.name.value, event.actor, facts)
    return {
        "chain": chain,
        "position": position,
        "at": at,
        "name": event.name.value,
        "actor": event.actor,
        "facts": facts,
        "digest": chain_digest(previous, contents),
    }


def _newest_chains(connection: Connection) -> list[tuple[str, str]]:
    """Tell how long the newest chains are, for the first row of the next one."""
    rows = connection.execute(
        select(audit.c.chain, func.max(audit.c.position))
        .group_by(audit.c.chain)
        .order_by(func.max(audit.c.at).desc())
        .limit(32)
    )
    return [(row[0], str(row[1])) for row in rows]


def iter_rows(
    connection: Connection, *, since: datetime | None = None, limit: int | None = None
) -> Iterator[AuditRow]:
    """Stream the journal, oldest first; with *limit*, only the newest lines."""
    wanted = select(audit)
    if since is not None:
        wanted = wanted.where(audit.c.at >= since)
    if limit is not None:
        newest = wanted.order_by(audit.c.at.desc(), audit.c.position.desc()).limit(limit)
        wanted = select(newest.subquery())
    ordered = wanted.order_by(
        wanted.selected_columns["at"],
        wanted.selected_columns["chain"],
        wanted.selected_columns["position"],
    )
    for row in connection.execute(ordered.execution_options(yield_per=1000)):
        yield AuditRow(
            chain=row.chain,
            position=row.position,
            at=row.at,
            name=row.name,
            actor=row.actor,
            facts=orjson.loads(row.facts),
            digest=row.digest,
        )


def check_chains(connection: Connection) -> tuple[int, list[BrokenLink]]:
    """Recompute every chain: how many rows hold, and the first bad row of each broken chain."""
    rows = connection.execute(
        select(audit).order_by(audit.c.chain, audit.c.position).execution_options(yield_per=1000)
    )
    checked, broken = 0, dict[str, BrokenLink]()
    lengths, remembered = Counter[str](), Counter[str]()
    previous = CHAIN_START
    for row in rows:
        if row.chain in broken:
            continue
        position = lengths[row.chain] + 1
        reason = _objection(row, position, CHAIN_START if position == 1 else previous)
        if reason is not None:
            broken[row.chain] = BrokenLink(chain=row.chain, position=position, reason=reason)
            continue
        checked, previous, lengths[row.chain] = checked + 1, row.digest, position
        if row.name == AuditName.CHAIN_STARTED:
            remembered |= _remembered(row.facts)
    for chain, length in remembered.items():
        if chain not in broken and lengths[chain] < length:
            position = lengths[chain] + 1
            broken[chain] = BrokenLink(chain=chain, position=position, reason=_missing(position))
    return checked, [broken[chain] for chain in sorted(broken)]


def _objection(row: Row[Any], position: int, previous: str) -> str | None:
    """Say why *row* cannot be the row at *position* after the one with digest *previous*."""
    if row.position != position:
        return _missing(position)
    contents = _contents(row.chain, row.position, row.at, row.name, row.actor, row.facts)
    if chain_digest(previous, contents) != row.digest:
        return "its contents do not match its digest"
    return None


def _missing(position: int) -> str:
    return f"row {position} is missing"


def _remembered(facts: str) -> Counter[str]:
    """Read how long other chains were when this one began; its digest was checked before."""
    return Counter({chain: int(length) for chain, length in orjson.loads(facts).items()})


def _facts_text(facts: dict[str, str]) -> str:
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()


def _contents(chain: str, position: int, at: datetime, name: str, actor: str, facts: str) -> bytes:
    """Lay out a row unambiguously for its digest."""
    return orjson.dumps([chain, position, at.isoformat(), name, actor, facts])
