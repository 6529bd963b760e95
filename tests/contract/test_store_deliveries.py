from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection

from mss.model.delivery import DeliveryState, Station
from mss.store import claims, deliveries
from mss.store.claims import Share
from mss.store.deliveries import Cause
from tests.support.pki import NOW
from tests.support.rows import a_delivery, a_message

LEASE = timedelta(minutes=30)
SOON = NOW + timedelta(minutes=1)


def claim(connection: Connection, *, worker: str = "w1", at: datetime = NOW) -> list[str]:
    """Claim what is due and name it."""
    parcels = claims.claim_due(
        connection, now=at, until=at + LEASE, worker=worker, share=Share(slots=9, unproven_slots=9)
    )
    return [one.id for parcel in parcels for one in parcel.deliveries]


def postpone(connection: Connection, *, worker: str | None) -> bool:
    """End an attempt that failed for now."""
    return deliveries.postpone(
        connection,
        "d1",
        worker=worker,
        at=NOW,
        next_attempt_at=SOON,
        cause=Cause(code="no-host", detail="away", host="mx:25", status="4.4.1"),
    )


def hold(connection: Connection) -> None:
    """Hold a delivery."""
    assert deliveries.advance(connection, "d1", to=DeliveryState.HELD, station=Station.HELD, at=NOW)


def state_of(connection: Connection, delivery_id: str) -> DeliveryState:
    found = deliveries.find_delivery(connection, delivery_id)
    assert found is not None
    return found.state


def stations_of(connection: Connection, message_id: str = "m1") -> list[Station]:
    (tracking,) = deliveries.trackings_of(connection, message_id)
    return [event.station for event in tracking.events]


@pytest.mark.parametrize(
    ("old", "new", "moves"),
    [
        (DeliveryState.QUEUED, DeliveryState.RELAYED, True),
        (DeliveryState.QUEUED, DeliveryState.FAILED, True),
        (DeliveryState.QUEUED, DeliveryState.HELD, True),
        (DeliveryState.HELD, DeliveryState.QUEUED, True),
        (DeliveryState.HELD, DeliveryState.RELAYED, True),
        (DeliveryState.RELAYED, DeliveryState.DELIVERED, True),
        (DeliveryState.RELAYED, DeliveryState.FAILED, True),
        (DeliveryState.RELAYED, DeliveryState.QUEUED, False),
        (DeliveryState.DELIVERED, DeliveryState.READ, True),
        (DeliveryState.DELIVERED, DeliveryState.NOT_INTEGRATED, True),
        (DeliveryState.NOT_INTEGRATED, DeliveryState.INTEGRATED, True),
        (DeliveryState.INTEGRATED, DeliveryState.NOT_INTEGRATED, False),
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

    assert claims.next_due_at(connection) is None
    assert claim(connection, at=NOW + LEASE * 2) == []


def test_postponing_what_has_been_delivered_meanwhile_changes_nothing(
    connection: Connection,
) -> None:
    """A report may come in before the attempt's own outcome is known."""
    a_delivery(connection, state=DeliveryState.DELIVERED)

    is_waiting = postpone(connection, worker=None)

    assert not is_waiting
    assert state_of(connection, "d1") is DeliveryState.DELIVERED
    assert claims.next_due_at(connection) is None
    assert Station.DEFERRED not in stations_of(connection)


def test_the_right_to_tell_a_delay_is_given_once(connection: Connection) -> None:
    """A sender is told once that a letter is late, not at every attempt."""
    a_delivery(connection)

    assert deliveries.tell_delay(connection, "d1")
    assert not deliveries.tell_delay(connection, "d1")


def test_a_retried_delivery_is_due_now(connection: Connection) -> None:
    """An administrator who says now means now."""
    a_delivery(connection)
    claim(connection)
    postpone(connection, worker=None)

    assert deliveries.retry_now(connection, "d1", now=NOW)

    assert claim(connection) == ["d1"]


def test_a_letter_under_way_is_not_started_twice(connection: Connection) -> None:
    """An administrator who says now while it is being sent changes nothing."""
    a_delivery(connection)
    claim(connection)

    assert not deliveries.retry_now(connection, "d1", now=NOW)

    assert claim(connection, worker="w2") == []


def test_holding_a_letter_under_way_keeps_its_claim(connection: Connection) -> None:
    """Who is busy with it can be seen until the attempt is over."""
    a_delivery(connection)
    claim(connection)
    hold(connection)

    found = deliveries.find_delivery(connection, "d1")

    assert found is not None
    assert found.is_under_way(NOW)


def test_what_the_peer_took_while_it_was_held_is_relayed(connection: Connection) -> None:
    """To release it later would send it again."""
    a_delivery(connection)
    claim(connection)
    hold(connection)

    assert deliveries.advance(
        connection, "d1", to=DeliveryState.RELAYED, station=Station.RELAYED, at=SOON
    )


def test_an_attempt_that_failed_while_it_was_held_leaves_it_held(connection: Connection) -> None:
    """It is free for the next decision, and its timeline tells of the attempt."""
    a_delivery(connection)
    claim(connection)
    hold(connection)

    assert not postpone(connection, worker="w1")

    found = deliveries.find_delivery(connection, "d1")
    assert found is not None
    assert (found.state, found.claimed_by, found.last_code) == (
        DeliveryState.HELD,
        None,
        "no-host",
    )
    assert stations_of(connection)[-1] is Station.DEFERRED


def test_senders_who_wait_for_long_are_found_once(connection: Connection) -> None:
    """Until they are told."""
    a_delivery(connection, "d1")
    a_delivery(connection, "d2", at=SOON)

    def late() -> list[str]:
        found = deliveries.list_late(connection, queued_before=NOW, limit=9)
        return [one.id for one in found]

    assert late() == ["d1"]
    deliveries.tell_delay(connection, "d1")
    assert late() == []


def test_retrying_what_is_not_queued_says_no(connection: Connection) -> None:
    """A letter that was relayed is not sent again."""
    a_delivery(connection, state=DeliveryState.RELAYED)

    assert not deliveries.retry_now(connection, "d1", now=NOW)


def test_the_timeline_is_told_in_order_per_recipient(connection: Connection) -> None:
    """Accepted, late, relayed: what happened, and when."""
    a_delivery(connection)
    postpone(connection, worker=None)
    deliveries.advance(connection, "d1", to=DeliveryState.RELAYED, station=Station.RELAYED, at=SOON)

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
    assert claims.next_due_at(connection) is None
    assert deliveries.find_delivery(connection, "d1") is None
    assert deliveries.trackings_of(connection, "m1") == []
