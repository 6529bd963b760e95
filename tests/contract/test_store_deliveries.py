import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Connection, Engine

from mss.model.delivery import DeliveryState, Station
from mss.store import deliveries
from mss.store.engine import Database, sync_engine
from tests.support.pki import NOW
from tests.support.rows import a_delivery, a_message

LEASE = timedelta(minutes=30)
SOON = NOW + timedelta(minutes=1)


def claim(
    connection: Connection, *, worker: str = "w1", at: object = NOW, limit: int = 10
) -> list[str]:
    """Claim what is due and name it."""
    assert isinstance(at, type(NOW))
    return [
        one.id
        for one in deliveries.claim_due(
            connection, now=at, until=at + LEASE, worker=worker, limit=limit
        )
    ]


def state_of(connection: Connection, delivery_id: str) -> DeliveryState:
    found = deliveries.find_delivery(connection, delivery_id)
    assert found is not None
    return found.state


def stations_of(connection: Connection, message_id: str = "m1") -> list[Station]:
    (tracking,) = deliveries.trackings_of(connection, message_id)
    return [event.station for event in tracking.events]


def test_a_queued_delivery_is_claimed_once(connection: Connection) -> None:
    """A second worker finds nothing to do."""
    a_delivery(connection)

    assert claim(connection, worker="w1") == ["d1"]
    assert claim(connection, worker="w2") == []


def test_a_claim_counts_the_attempt_before_the_network_is_touched(connection: Connection) -> None:
    """A worker that dies in the middle has still made an attempt."""
    a_delivery(connection)

    (claimed,) = deliveries.claim_due(connection, now=NOW, until=NOW + LEASE, worker="w1", limit=10)

    assert claimed.attempts == 1


def test_a_claim_runs_out(connection: Connection) -> None:
    """What a dead worker held is taken by another, and not a moment earlier."""
    a_delivery(connection)
    claim(connection)

    assert claim(connection, worker="w2", at=NOW + LEASE) == []
    assert claim(connection, worker="w2", at=NOW + LEASE + timedelta(seconds=1)) == ["d1"]


def test_a_renewed_claim_lasts(connection: Connection) -> None:
    """A long transfer is not started a second time while its worker lives."""
    a_delivery(connection)
    claim(connection, worker="w1")

    deliveries.renew_claims(connection, "w1", until=NOW + 2 * LEASE)

    assert claim(connection, worker="w2", at=NOW + LEASE + timedelta(seconds=1)) == []
    assert claim(connection, worker="w2", at=NOW + 2 * LEASE + timedelta(seconds=1)) == ["d1"]


def test_only_the_claims_of_a_worker_are_renewed(connection: Connection) -> None:
    """A living worker does not keep what a dead one held."""
    a_delivery(connection)
    claim(connection, worker="w1")

    deliveries.renew_claims(connection, "w2", until=NOW + 2 * LEASE)

    assert claim(connection, worker="w2", at=NOW + LEASE + timedelta(seconds=1)) == ["d1"]


def test_a_released_claim_is_due_at_once(connection: Connection) -> None:
    """A worker that stops gracefully makes nobody wait for the lease."""
    a_delivery(connection)
    a_delivery(connection, "d2")
    claim(connection, worker="w1", limit=1)

    deliveries.release_claims(connection, "w1")

    assert sorted(claim(connection, worker="w2")) == ["d1", "d2"]


def test_releasing_touches_no_claim_of_others(connection: Connection) -> None:
    """Each worker lets go of its own."""
    a_delivery(connection)
    claim(connection, worker="w1")

    deliveries.release_claims(connection, "w2")

    assert claim(connection, worker="w2") == []


def test_what_is_not_due_is_not_claimed(connection: Connection) -> None:
    """A postponed letter waits for its time."""
    a_delivery(connection)
    claim(connection)
    deliveries.postpone(
        connection, "d1", at=NOW, next_attempt_at=SOON, code="no-host", detail="away"
    )

    assert claim(connection) == []
    assert deliveries.next_due_at(connection) == SOON
    assert claim(connection, at=SOON) == ["d1"]


def test_the_longest_waiting_comes_first(connection: Connection) -> None:
    """Nobody is overtaken for ever."""
    a_delivery(connection, "young", at=NOW)
    a_delivery(connection, "old", at=NOW - timedelta(hours=1))

    assert claim(connection, limit=1) == ["old"]


def claim_few(connection: Connection, under_way: dict[str, int]) -> list[str]:
    """Claim with at most two of one domain under way."""
    claimed = deliveries.claim_due(
        connection,
        now=NOW,
        until=NOW + LEASE,
        worker="w1",
        limit=4,
        per_domain=2,
        under_way=under_way,
    )
    return [one.id for one in claimed]


def test_one_domain_gets_no_more_than_its_share(connection: Connection) -> None:
    """A dead operator with a thousand letters does not use up every connection."""
    for n in range(6):
        a_delivery(connection, f"slow{n}", domain="slow.fr", at=NOW - timedelta(hours=1))
    a_delivery(connection, "quick", domain="quick.fr")

    assert claim_few(connection, {}) == ["slow0", "slow1"]
    assert claim_few(connection, {"slow.fr": 2}) == ["quick"]
    assert claim_few(connection, {"slow.fr": 1, "quick.fr": 1}) == ["slow2"]


@pytest.mark.parametrize("state", set(DeliveryState) - {DeliveryState.QUEUED})
def test_only_queued_deliveries_are_claimed(connection: Connection, state: DeliveryState) -> None:
    """What is held, done or dropped never leaves."""
    a_delivery(connection, state=state)

    assert claim(connection) == []


async def test_one_delivery_never_goes_to_two_workers(database: Database) -> None:
    """Several claims at the same moment share the queue without an overlap."""
    wanted = [f"d{n:02}" for n in range(30)]
    await database.write(lambda c: [a_delivery(c, one) for one in wanted])

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
            a_delivery(connection, f"d{n:02}")
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


@pytest.mark.parametrize(
    ("old", "new", "moves"),
    [
        (DeliveryState.QUEUED, DeliveryState.RELAYED, True),
        (DeliveryState.QUEUED, DeliveryState.FAILED, True),
        (DeliveryState.QUEUED, DeliveryState.HELD, True),
        (DeliveryState.HELD, DeliveryState.QUEUED, True),
        (DeliveryState.HELD, DeliveryState.RELAYED, False),
        (DeliveryState.RELAYED, DeliveryState.DELIVERED, True),
        (DeliveryState.RELAYED, DeliveryState.FAILED, True),
        (DeliveryState.RELAYED, DeliveryState.QUEUED, False),
        (DeliveryState.DELIVERED, DeliveryState.READ, True),
        (DeliveryState.DELIVERED, DeliveryState.FAILED, False),
        (DeliveryState.READ, DeliveryState.DELIVERED, False),
        (DeliveryState.FAILED, DeliveryState.QUEUED, False),
        (DeliveryState.FAILED, DeliveryState.RELAYED, False),
        (DeliveryState.DROPPED, DeliveryState.QUEUED, False),
    ],
)
def test_a_delivery_moves_only_where_its_state_allows(
    connection: Connection, old: DeliveryState, new: DeliveryState, *, moves: bool
) -> None:
    """A late report never raises the dead, and a final state stays final."""
    a_delivery(connection, state=old)

    has_moved = deliveries.advance(connection, "d1", to=new, station=Station.REPORTED, at=SOON)

    assert has_moved is moves
    assert state_of(connection, "d1") is (new if moves else old)
    assert (Station.REPORTED in stations_of(connection)) is moves


def test_moving_what_does_not_exist_says_no(connection: Connection) -> None:
    """An identifier that was mistyped harms nothing."""
    assert not deliveries.advance(
        connection, "absent", to=DeliveryState.RELAYED, station=Station.RELAYED, at=NOW
    )


def test_a_delivery_that_moved_on_is_no_longer_claimed(connection: Connection) -> None:
    """Its lease ends with the attempt, and nothing is due."""
    a_delivery(connection)
    claim(connection)

    deliveries.advance(connection, "d1", to=DeliveryState.RELAYED, station=Station.RELAYED, at=NOW)

    assert deliveries.next_due_at(connection) is None
    assert claim(connection, at=NOW + LEASE * 2) == []


def test_postponing_what_has_been_delivered_meanwhile_changes_nothing(
    connection: Connection,
) -> None:
    """A report may come in before the attempt's own outcome is known."""
    a_delivery(connection, state=DeliveryState.DELIVERED)

    is_waiting = deliveries.postpone(
        connection, "d1", at=NOW, next_attempt_at=SOON, code="reply-lost", detail="broken"
    )

    assert not is_waiting
    assert state_of(connection, "d1") is DeliveryState.DELIVERED
    assert deliveries.next_due_at(connection) is None
    assert Station.DEFERRED not in stations_of(connection)


def test_the_right_to_tell_a_delay_is_given_once(connection: Connection) -> None:
    """A sender is told once that a letter is late, not at every attempt."""
    a_delivery(connection)

    assert deliveries.tell_delay(connection, "d1")
    assert not deliveries.tell_delay(connection, "d1")


def test_a_retried_delivery_is_due_now_whoever_holds_it(connection: Connection) -> None:
    """An administrator who says now means now."""
    a_delivery(connection)
    claim(connection)
    deliveries.postpone(
        connection, "d1", at=NOW, next_attempt_at=SOON, code="no-host", detail="away"
    )

    assert deliveries.retry_now(connection, "d1", now=NOW)

    assert claim(connection) == ["d1"]


def test_retrying_what_is_not_queued_says_no(connection: Connection) -> None:
    """A letter that was relayed is not sent again."""
    a_delivery(connection, state=DeliveryState.RELAYED)

    assert not deliveries.retry_now(connection, "d1", now=NOW)


def test_the_timeline_is_told_in_order_per_recipient(connection: Connection) -> None:
    """Accepted, late, relayed: what happened, and when."""
    a_delivery(connection)
    deliveries.postpone(
        connection, "d1", at=NOW, next_attempt_at=SOON, code="no-host", detail="away"
    )
    deliveries.advance(
        connection, "d1", to=DeliveryState.RELAYED, station=Station.RELAYED, at=SOON, detail="250"
    )

    (tracking,) = deliveries.trackings_of(connection, "m1")

    assert tracking.recipient == "Anne@cabinets-demo.mssante.fr"
    assert [(one.station, one.at, one.code) for one in tracking.events] == [
        (Station.ACCEPTED, NOW, None),
        (Station.DEFERRED, NOW, "no-host"),
        (Station.RELAYED, SOON, None),
    ]


def test_a_letter_for_one_of_ours_is_delivered_from_the_start(connection: Connection) -> None:
    """It was deposited in the transaction that accepted it."""
    a_delivery(connection, state=DeliveryState.DELIVERED)

    assert stations_of(connection) == [Station.ACCEPTED, Station.DELIVERED]


def test_a_delivery_reads_back_as_it_was_written(connection: Connection) -> None:
    """What the queue carries is what was decided at acceptance."""
    a_delivery(connection)

    found = deliveries.find_delivery(connection, "d1")

    assert found is not None
    assert found.sender == "ward@ch-demo.mssante.fr"
    assert found.envelope_id == "m1"  # our own, when the submitter gave none
    assert found.notify == {"FAILURE", "DELAY"}
    assert found.expires_at == NOW + timedelta(days=2)
    assert found.blob_ref == "memory:d1"


def test_deliveries_are_listed_and_counted_by_state(connection: Connection) -> None:
    """The administrator's view of the queue."""
    a_delivery(connection, "d1")
    a_delivery(connection, "d2", at=NOW - timedelta(hours=1))
    a_delivery(connection, "d3", state=DeliveryState.FAILED)

    listed = deliveries.list_deliveries(connection, states=[DeliveryState.QUEUED], limit=10)

    assert [one.id for one in listed] == ["d2", "d1"]
    assert deliveries.count_by_state(connection) == {"queued": 2, "failed": 1}


def test_an_empty_queue_has_an_answer_for_everything(connection: Connection) -> None:
    """The first minute of a new operator."""
    a_message(connection)

    assert claim(connection) == []
    assert deliveries.next_due_at(connection) is None
    assert deliveries.find_delivery(connection, "d1") is None
    assert deliveries.trackings_of(connection, "m1") == []
