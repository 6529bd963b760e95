"""Who works on what: a worker claims what is due, and holds it while it lives.

Claiming counts the attempt before the network is touched and makes the rows due again when the
claim runs out: if the worker dies, another one takes over without anybody noticing the death. What
goes to the same place in the same octets is claimed together, as one parcel.

Fairness is decided here. Every destination with something due gets its turn before one gets a
second; a destination that has not answered lately gets one parcel at a time, and all of these
together only a part of the slots: however many peers are dead, the others find slots free.

Only here do the two engines differ (`SKIP LOCKED` on PostgreSQL; SQLite has one writer).
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain, zip_longest

from sqlalchemy import Connection, func, select, update

from mss.model.delivery import Delivery, Parcel, parcels_of
from mss.store import destinations
from mss.store.deliveries import delivery_of, select_deliveries
from mss.store.tables import IS_QUEUED, delivery

LOOKS = 2  # destinations to look at for each slot: another worker may be at some of them
RECIPIENTS = 100  # of one transaction: every server takes as many (RFC 5321, 4.5.3.1.8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a worker may take now.

    Attributes:
        slots: Parcels at the most.
        per_domain: Parcels of one domain under way at the most, if it is proven.
        under_way: How many of each domain are under way in this worker.
        proven: Domains that have lately taken or refused a letter.
        unproven_slots: How many of the slots may go to other domains.
    """

    slots: int
    per_domain: int = 1
    under_way: Mapping[str, int] = field(default_factory=dict)
    proven: Collection[str] = frozenset()
    unproven_slots: int

    def room(self, domain: str) -> int:
        """Tell how many more parcels of a domain may begin."""
        limit = self.per_domain if domain in self.proven else 1
        return limit - self.under_way.get(domain, 0)

    def has_room(self, domain: str) -> bool:
        """Tell whether a parcel of a domain may begin."""
        return self.room(domain) > 0 and (self.unproven_slots > 0 or domain in self.proven)


def next_due_at(connection: Connection) -> datetime | None:
    """Tell when the next delivery may be tried, if any waits; cheap when nothing is due soon."""
    first = connection.execute(
        select(func.min(delivery.c.next_attempt_at)).where(IS_QUEUED)
    ).scalar()
    closed = destinations.retry_times(connection) if first is not None else {}
    if first is None or not closed:
        return first
    return min(
        max(due_at, closed.get(domain, due_at)) for domain, due_at in _first_dues(connection)
    )


def claim_due(
    connection: Connection, *, now: datetime, until: datetime, worker: str, share: Share
) -> list[Parcel]:
    """Take parcels that are due, and count the attempts that begin now.

    Args:
        connection: In a transaction that is committed before the network is touched.
        now: Instant of the attempts.
        until: When the claim runs out.
        worker: Who claims.
        share: What this worker may take.

    Returns:
        Parcels as they were before this attempt, but for its number.
    """
    closed = destinations.retry_times(connection)
    waiting = sorted(
        (due_at, domain)
        for domain, due_at in _first_dues(connection)
        if due_at <= now and closed.get(domain, now) <= now and share.has_room(domain)
    )
    queues = []
    for domain in _chosen(waiting, share):
        room = 1 if domain in closed else share.room(domain)
        queues.append(_due_parcels(connection, domain, now=now, limit=room))
    taken = list(_in_turns(queues, share))
    taken = [
        one
        for one in taken
        if one.domain not in closed
        or destinations.begin_probe(connection, one.domain, now=now, until=until)
    ]
    return _hold(connection, taken, now=now, until=until, worker=worker)


def _chosen(waiting: list[tuple[datetime, str]], share: Share) -> list[str]:
    """Choose which destinations to look at, the longest waiting first, dead or alive."""
    proven = [domain for _, domain in waiting if domain in share.proven]
    others = [domain for _, domain in waiting if domain not in share.proven]
    chosen = {*proven[: share.slots], *others[: share.unproven_slots * LOOKS]}
    return [domain for _, domain in waiting if domain in chosen]


def renew(connection: Connection, worker: str, *, until: datetime) -> None:
    """Keep everything that a worker holds for another while."""
    mine = delivery.c.claimed_by == worker
    connection.execute(update(delivery).where(mine).values(claimed_until=until))
    held = connection.execute(
        update(delivery)
        .where(mine, IS_QUEUED)
        .values(next_attempt_at=until)
        .returning(delivery.c.domain)
    ).scalars()
    destinations.move_probes(connection, sorted(set(held)), until=until)


def release(connection: Connection, worker: str, *, now: datetime) -> None:
    """Let go of everything a worker still holds, when it stops."""
    mine = delivery.c.claimed_by == worker
    held = connection.execute(
        update(delivery)
        .where(mine, IS_QUEUED)
        .values(next_attempt_at=now)
        .returning(delivery.c.domain)
    ).scalars()
    destinations.move_probes(connection, sorted(set(held)), until=None)
    connection.execute(update(delivery).where(mine).values(claimed_by=None, claimed_until=None))


def _first_dues(connection: Connection) -> Iterator[tuple[str, datetime]]:
    """List each destination with something queued, and when its first is due.

    Hops from domain to domain in the index, however many letters wait for each.
    """
    domains = (
        select(func.min(delivery.c.domain).label("domain"))
        .where(IS_QUEUED)
        .cte("waiting", recursive=True)
    )
    following = (
        select(func.min(delivery.c.domain))
        .where(IS_QUEUED, delivery.c.domain > domains.c.domain)
        .scalar_subquery()
    )
    domains = domains.union_all(select(following).where(domains.c.domain.is_not(None)))
    first = (
        select(func.min(delivery.c.next_attempt_at))
        .where(IS_QUEUED, delivery.c.domain == domains.c.domain)
        .scalar_subquery()
    )
    rows = connection.execute(
        select(domains.c.domain, first.label("due_at")).where(domains.c.domain.is_not(None))
    )
    return ((row.domain, row.due_at) for row in rows)


def _due_parcels(connection: Connection, domain: str, *, now: datetime, limit: int) -> list[Parcel]:
    """Find and lock the first parcels that are due for a domain."""
    is_due = (IS_QUEUED, delivery.c.domain == domain, delivery.c.next_attempt_at <= now)
    heads = connection.execute(
        select(delivery.c.message_id)
        .where(*is_due)
        .order_by(delivery.c.next_attempt_at, delivery.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).scalars()
    message_ids = list(dict.fromkeys(heads))
    rows = connection.execute(
        select_deliveries()
        .where(*is_due, delivery.c.message_id.in_(message_ids))
        .order_by(delivery.c.next_attempt_at, delivery.c.id)
        .limit(limit * RECIPIENTS)
        .with_for_update(of=delivery, skip_locked=True)
    )
    return parcels_of(map(delivery_of, rows), recipients=RECIPIENTS)[:limit]


def _in_turns(queues: list[list[Parcel]], share: Share) -> Iterator[Parcel]:
    """Choose parcels: a first one of each destination, then a second one."""
    taken = Counter[str]()
    unproven = share.unproven_slots
    slots = share.slots
    for one in chain.from_iterable(zip_longest(*queues)):
        if one is None or slots == 0 or taken[one.domain] >= share.room(one.domain):
            continue
        if one.domain not in share.proven:
            if unproven == 0:
                continue
            unproven -= 1
        slots -= 1
        taken[one.domain] += 1
        yield one


def _hold(
    connection: Connection, taken: list[Parcel], *, now: datetime, until: datetime, worker: str
) -> list[Parcel]:
    ids = [one.id for parcel in taken for one in parcel.deliveries]
    if ids:
        connection.execute(
            update(delivery)
            .where(delivery.c.id.in_(ids))
            .values(
                claimed_by=worker,
                claimed_until=until,
                next_attempt_at=until,
                last_attempt_at=now,
                attempts=delivery.c.attempts + 1,
            )
        )
    return [
        Parcel(deliveries=tuple(_begun(one, worker, until) for one in parcel.deliveries))
        for parcel in taken
    ]


def _begun(one: Delivery, worker: str, until: datetime) -> Delivery:
    return replace(
        one,
        attempts=one.attempts + 1,
        claimed_by=worker,
        claimed_until=until,
        next_attempt_at=until,
    )
