import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Connection, Engine

from mss.model.delivery import DeliveryState, Parcel
from mss.store import claims, deliveries, destinations
from mss.store.claims import Share
from mss.store.deliveries import Cause
from mss.store.engine import Database, sync_engine
from tests.support.pki import NOW
from tests.support.rows import a_delivery

LEASE = timedelta(minutes=30)
SOON = NOW + timedelta(minutes=1)
DOMAIN = "cabinets-demo.mssante.fr"


def claim(
    connection: Connection, *, worker: str = "w1", at: datetime = NOW, limit: int = 10
) -> list[str]:
    """Claim what is due and name it."""
    share = Share(slots=limit, per_domain=limit, proven=[DOMAIN], unproven_slots=limit)
    return [one.id for parcel in take(connection, share, worker, at) for one in parcel.deliveries]


def take(
    connection: Connection, share: Share, worker: str = "w1", at: datetime = NOW
) -> list[Parcel]:
    """Claim parcels."""
    return claims.claim_due(connection, now=at, until=at + LEASE, worker=worker, share=share)


def postpone(connection: Connection, *, worker: str | None = "w1") -> bool:
    """End the attempt of a worker."""
    return deliveries.postpone(
        connection,
        "d1",
        worker=worker,
        at=NOW,
        next_attempt_at=SOON,
        cause=Cause(code="no-host", detail="away"),
    )


def test_a_queued_delivery_is_claimed_once(connection: Connection) -> None:
    """A second worker finds nothing to do."""
    a_delivery(connection)

    assert claim(connection, worker="w1") == ["d1"]
    assert claim(connection, worker="w2") == []


def test_a_claim_counts_the_attempt_before_the_network_is_touched(connection: Connection) -> None:
    """A worker that dies in the middle has still made an attempt."""
    a_delivery(connection)

    (parcel,) = take(connection, Share(slots=1, unproven_slots=1))

    assert parcel.deliveries[0].attempts == 1
    assert parcel.deliveries[0].last_attempt_at is None
    kept = deliveries.find_delivery(connection, "d1")
    assert kept is not None
    assert (kept.attempts, kept.last_attempt_at) == (1, NOW)


def test_a_claim_runs_out(connection: Connection) -> None:
    """What a dead worker held is taken by another, and not a moment earlier."""
    a_delivery(connection)
    claim(connection)

    assert claim(connection, worker="w2", at=NOW + LEASE - timedelta(seconds=1)) == []
    assert claim(connection, worker="w2", at=NOW + LEASE) == ["d1"]


def test_a_renewed_claim_lasts(connection: Connection) -> None:
    """A long transfer is not started a second time while its worker lives."""
    a_delivery(connection)
    claim(connection, worker="w1")

    claims.renew(connection, "w1", until=NOW + 2 * LEASE)

    assert claim(connection, worker="w2", at=NOW + LEASE + timedelta(seconds=1)) == []
    assert claim(connection, worker="w2", at=NOW + 2 * LEASE + timedelta(seconds=1)) == ["d1"]


def test_only_the_claims_of_a_worker_are_renewed(connection: Connection) -> None:
    """A living worker does not keep what a dead one held."""
    a_delivery(connection)
    claim(connection, worker="w1")

    claims.renew(connection, "w2", until=NOW + 2 * LEASE)

    assert claim(connection, worker="w2", at=NOW + LEASE + timedelta(seconds=1)) == ["d1"]


def test_a_released_claim_is_due_at_once(connection: Connection) -> None:
    """A worker that stops gracefully makes nobody wait for the lease."""
    a_delivery(connection)
    a_delivery(connection, "d2", message_id="m2")
    claim(connection, worker="w1", limit=1)

    claims.release(connection, "w1", now=NOW)

    assert sorted(claim(connection, worker="w2")) == ["d1", "d2"]


def test_releasing_touches_no_claim_of_others(connection: Connection) -> None:
    """Each worker lets go of its own."""
    a_delivery(connection)
    claim(connection, worker="w1")

    claims.release(connection, "w2", now=NOW)

    assert claim(connection, worker="w2") == []


def test_what_is_not_due_is_not_claimed(connection: Connection) -> None:
    """A postponed letter waits for its time."""
    a_delivery(connection)
    claim(connection)
    postpone(connection)

    assert claim(connection) == []
    assert claims.next_due_at(connection) == SOON
    assert claim(connection, at=SOON) == ["d1"]


def test_the_longest_waiting_comes_first(connection: Connection) -> None:
    """Nobody is overtaken for ever."""
    a_delivery(connection, "young", message_id="m1", at=NOW)
    a_delivery(connection, "old", message_id="m2", at=NOW - timedelta(hours=1))

    assert claim(connection, limit=1) == ["old"]


def claim_few(connection: Connection, under_way: dict[str, int], proven: list[str]) -> list[str]:
    """Claim with at most two of a domain that answers under way, and four slots."""
    share = Share(slots=4, per_domain=2, under_way=under_way, proven=proven, unproven_slots=2)
    return [parcel.deliveries[0].id for parcel in take(connection, share)]


def letters(connection: Connection, domain: str, count: int, *, at: datetime = NOW) -> None:
    """Queue letters for a domain."""
    for n in range(count):
        name = f"{domain}{n}"
        a_delivery(connection, name, message_id=name, domain=domain, at=at)


def test_one_domain_gets_no_more_than_its_share(connection: Connection) -> None:
    """An operator with a thousand letters does not use up every connection."""
    letters(connection, "big", 6, at=NOW - timedelta(hours=1))
    letters(connection, "small", 1)
    both = ["big", "small"]

    assert claim_few(connection, {}, both) == ["big0", "small0", "big1"]
    assert claim_few(connection, {"big": 2}, both) == []
    assert claim_few(connection, {"big": 1}, both) == ["big2"]


def test_a_domain_that_has_not_answered_lately_gets_one_at_a_time(connection: Connection) -> None:
    """Whether it is there at all, one letter finds out."""
    letters(connection, "new", 3)

    assert claim_few(connection, {}, []) == ["new0"]
    assert claim_few(connection, {"new": 1}, []) == []
    assert claim_few(connection, {"new": 1}, ["new"]) == ["new1"]


def test_silent_domains_leave_slots_for_those_that_answer(connection: Connection) -> None:
    """However many operators are dead, letters to the others leave."""
    for n in range(20):
        letters(connection, f"silent{n:02}", 1, at=NOW - timedelta(hours=1))
    letters(connection, "alive", 3)

    assert claim_few(connection, {}, ["alive"]) == ["silent000", "silent010", "alive0", "alive1"]
    under_way = {"silent00": 1, "silent01": 1, "alive": 1}
    share = Share(slots=1, per_domain=2, under_way=under_way, proven=["alive"], unproven_slots=0)
    assert [one.domain for one in take(connection, share)] == ["alive"]


def test_every_domain_gets_a_turn_before_one_gets_a_second(connection: Connection) -> None:
    """The letter of a small practice does not wait behind a hospital's thousand."""
    letters(connection, "a", 5, at=NOW - timedelta(hours=3))
    letters(connection, "b", 5, at=NOW - timedelta(hours=2))
    letters(connection, "c", 5, at=NOW - timedelta(hours=1))

    assert claim_few(connection, {}, ["a", "b", "c"]) == ["a0", "b0", "c0", "a1"]


def test_recipients_of_one_message_at_one_place_travel_together(connection: Connection) -> None:
    """The octets cross the network once."""
    for n in range(3):
        a_delivery(connection, f"d{n}", blob_ref="memory:same")
    a_delivery(connection, "other", domain="other.fr", blob_ref="memory:same")

    parcels = take(connection, Share(slots=9, unproven_slots=9))

    assert [[one.id for one in parcel.deliveries] for parcel in parcels] == [
        ["d0", "d1", "d2"],
        ["other"],
    ]


def test_recipients_with_octets_of_their_own_travel_alone(connection: Connection) -> None:
    """What was encrypted for one is not sent to another."""
    a_delivery(connection, "d0", blob_ref="memory:one")
    a_delivery(connection, "d1", blob_ref="memory:two")

    parcels = take(connection, Share(slots=9, per_domain=9, proven=[DOMAIN], unproven_slots=9))

    assert [parcel.blob_ref for parcel in parcels] == ["memory:one", "memory:two"]


def test_a_parcel_has_a_bounded_number_of_recipients(connection: Connection) -> None:
    """Every server takes a hundred (RFC 5321, 4.5.3.1.8); the rest goes next."""
    for n in range(claims.RECIPIENTS + 5):
        a_delivery(connection, f"d{n:03}", blob_ref="memory:same")
    share = Share(slots=1, unproven_slots=1)

    first, second = take(connection, share), take(connection, share)

    assert [len(parcel.deliveries) for parcel in (*first, *second)] == [claims.RECIPIENTS, 5]


# Destinations that fail


def close(connection: Connection, domain: str = DOMAIN, *, retry_at: datetime = SOON) -> None:
    """Find a destination closed."""
    destinations.fail(
        connection,
        domain,
        now=NOW,
        retry_at=retry_at,
        code="host-unreachable",
        detail="TimeoutError",
        host="mx:25",
    )


def test_nothing_leaves_for_a_destination_that_is_closed(connection: Connection) -> None:
    """It waits as a whole; the others do not."""
    letters(connection, DOMAIN, 3)
    letters(connection, "other.fr", 1)
    close(connection)

    assert claim(connection) == ["other.fr0"]
    assert claims.next_due_at(connection) == SOON


def test_one_letter_probes_a_destination_at_a_time(connection: Connection) -> None:
    """Whichever process asks; the others wait for what it finds."""
    letters(connection, DOMAIN, 3)
    close(connection)

    assert claim(connection, worker="w1", at=SOON) == [f"{DOMAIN}0"]
    assert claim(connection, worker="w2", at=SOON) == []
    assert claims.next_due_at(connection) == SOON + LEASE


def test_a_probe_whose_worker_died_is_made_by_another(connection: Connection) -> None:
    """A crash closes no destination for ever."""
    letters(connection, DOMAIN, 3)
    close(connection)
    claim(connection, worker="w1", at=SOON)

    later = SOON + LEASE + timedelta(seconds=1)
    assert len(claim(connection, worker="w2", at=later)) == 1


def test_a_probe_under_way_is_kept_with_its_claim(connection: Connection) -> None:
    """A slow answer is not asked for twice."""
    letters(connection, DOMAIN, 3)
    close(connection)
    claim(connection, worker="w1", at=SOON)

    claims.renew(connection, "w1", until=SOON + 2 * LEASE)

    later = SOON + LEASE + timedelta(seconds=1)
    assert claim(connection, worker="w2", at=later) == []


def test_a_worker_that_stops_gives_the_probe_back(connection: Connection) -> None:
    """A restart costs no waiting."""
    letters(connection, DOMAIN, 3)
    close(connection)
    claim(connection, worker="w1", at=SOON)

    claims.release(connection, "w1", now=SOON)

    assert len(claim(connection, worker="w2", at=SOON)) == 1


def test_a_destination_that_answers_takes_everything_that_waited(connection: Connection) -> None:
    """One letter got through: the rest follows at once."""
    letters(connection, DOMAIN, 3)
    close(connection)
    (probe,) = claim(connection, at=SOON)

    destinations.recover(connection, DOMAIN)

    assert destinations.find_destination(connection, DOMAIN) is None
    assert set(claim(connection, at=SOON)) == {f"{DOMAIN}{n}" for n in range(3)} - {probe}


def test_letters_that_fail_together_count_once(connection: Connection) -> None:
    """Five connections cut at once are one failure, not five steps of the schedule."""
    close(connection)
    close(connection, retry_at=SOON + LEASE)

    found = destinations.find_destination(connection, DOMAIN)

    assert found is not None
    assert (found.failures, found.retry_at, found.failing_since) == (1, SOON, NOW)


def test_a_probe_that_fails_counts(connection: Connection) -> None:
    """The pauses grow by the schedule."""
    close(connection, retry_at=NOW)
    close(connection, retry_at=SOON)

    found = destinations.find_destination(connection, DOMAIN)

    assert found is not None
    assert (found.failures, found.retry_at, found.failing_since) == (2, SOON, NOW)


def test_what_ran_out_behind_a_closed_door_is_found(connection: Connection) -> None:
    """Its sender hears of it although nobody may try."""
    a_delivery(connection, "d1")
    a_delivery(connection, "d2", domain="open.fr")
    over = NOW + timedelta(days=3)
    close(connection, retry_at=over + LEASE)

    stranded = deliveries.list_stranded(connection, now=over, limit=9)

    assert [one.id for one in stranded] == ["d1"]
    assert deliveries.list_stranded(connection, now=NOW, limit=9) == []


def test_the_outcome_of_an_attempt_whose_claim_was_lost_is_not_recorded(
    connection: Connection,
) -> None:
    """A worker that was asleep does not speak for the one that took over."""
    a_delivery(connection)
    claim(connection, worker="w1")
    claim(connection, worker="w2", at=NOW + LEASE + timedelta(seconds=1))

    assert not postpone(connection, worker="w1")

    found = deliveries.find_delivery(connection, "d1")
    assert found is not None
    assert (found.claimed_by, found.last_code) == ("w2", None)


@pytest.mark.parametrize("state", set(DeliveryState) - {DeliveryState.QUEUED})
def test_only_queued_deliveries_are_claimed(connection: Connection, state: DeliveryState) -> None:
    """What is held, done or dropped never leaves."""
    a_delivery(connection, state=state)

    assert claim(connection) == []


async def test_one_delivery_never_goes_to_two_workers(database: Database) -> None:
    """Several claims at the same moment share the queue without an overlap."""
    wanted = [f"d{n:02}" for n in range(30)]
    await database.write(lambda c: [a_delivery(c, one, message_id=one) for one in wanted])

    shares = await asyncio.gather(
        *(database.write(partial(claim, worker=worker)) for worker in ("w1", "w2", "w3", "w4"))
    )

    assert sorted(one for share in shares for one in share) == wanted


@pytest.mark.postgresql
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_claims_in_open_transactions_do_not_overlap(database_url: str) -> None:
    """Two processes that have not committed yet already see different letters."""
    engine = sync_engine(database_url)
    with engine.begin() as connection:
        for n in range(20):
            a_delivery(connection, f"d{n:02}", message_id=f"m{n:02}")
    both = threading.Barrier(2, timeout=10)

    with ThreadPoolExecutor(2) as threads:
        shares = list(threads.map(lambda w: _claim_together(engine, w, both), ("w1", "w2")))

    assert len(shares[0]) == len(shares[1]) == 10
    assert not set(shares[0]) & set(shares[1])
    engine.dispose()


def _claim_together(engine: Engine, worker: str, both: threading.Barrier) -> list[str]:
    with engine.begin() as connection:
        claimed = claim(connection, worker=worker)
        both.wait()
    return claimed
