from datetime import timedelta

import pytest
from sqlalchemy import Connection, func, select

from mss.model.delivery import DeliveryState
from mss.store import messages, notices, retention, tables
from mss.store.notices import NoticeKind
from tests.support.pki import NOW
from tests.support.rows import a_delivery, a_deposit, a_mailbox

LATER = NOW + timedelta(days=1)


def release(connection: Connection) -> None:
    """Let go of the bodies that nobody needs."""
    messages.release_bodies(connection, before=LATER, limit=9)


def forget(connection: Connection) -> int:
    return retention.forget_settled(connection, before=LATER, limit=9)


def count(connection: Connection, table: str) -> int:
    found = tables.metadata.tables[table]
    return connection.execute(select(func.count()).select_from(found)).scalar_one()


@pytest.mark.parametrize("state", [DeliveryState.RELAYED, DeliveryState.READ, DeliveryState.FAILED])
def test_a_letter_settled_long_ago_is_forgotten_with_its_timeline(
    connection: Connection, state: DeliveryState
) -> None:
    """A table that only grows ends as a full disk."""
    a_delivery(connection, state=state)
    messages.claim_acceptance_keys(connection, {"k1": "m1"}, at=NOW)
    release(connection)

    assert forget(connection) == 1

    names = ("message", "delivery", "delivery_event", "acceptance")
    assert [count(connection, one) for one in names] == [0, 0, 0, 0]


@pytest.mark.parametrize("state", [DeliveryState.QUEUED, DeliveryState.HELD])
def test_a_letter_that_waits_is_never_forgotten(
    connection: Connection, state: DeliveryState
) -> None:
    """However long it is held."""
    a_delivery(connection, state=state)
    release(connection)

    assert forget(connection) == 0


def test_a_letter_in_a_mailbox_keeps_its_timeline(connection: Connection) -> None:
    """Who still has it may still ask."""
    a_delivery(connection, state=DeliveryState.READ)
    a_deposit(connection, a_mailbox(connection), "m1")
    release(connection)

    assert forget(connection) == 0
    assert count(connection, "delivery_event") > 0


def test_a_letter_that_a_notice_is_owed_about_stays(connection: Connection) -> None:
    """Its sender has not been told yet."""
    a_delivery(connection, state=DeliveryState.FAILED)
    release(connection)
    notices.owe(
        connection,
        notice_id="n1",
        kind=NoticeKind.FAILED,
        message_id="m1",
        delivery_id="d1",
        at=NOW,
    )

    assert forget(connection) == 0


def test_young_letters_stay(connection: Connection) -> None:
    """A sender may ask for as long as the settings say."""
    a_delivery(connection, state=DeliveryState.RELAYED)
    release(connection)

    assert retention.forget_settled(connection, before=NOW, limit=9) == 0


def test_forgetting_goes_in_steps(connection: Connection) -> None:
    """No transaction holds up the server for long."""
    for n in range(3):
        a_delivery(connection, f"d{n}", message_id=f"m{n}", state=DeliveryState.RELAYED)
    release(connection)

    steps = [retention.forget_settled(connection, before=LATER, limit=2) for _ in range(3)]

    assert steps == [2, 1, 0]
