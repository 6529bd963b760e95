from datetime import datetime, timedelta

from sqlalchemy import Connection

from mss.store import deliveries, notices
from mss.store.notices import NoticeKind
from tests.support.pki import NOW
from tests.support.rows import a_delivery

AGAIN = timedelta(minutes=2)


def owe(
    connection: Connection,
    *names: str,
    kind: NoticeKind = NoticeKind.FAILED,
    message_id: str = "m1",
    due_at: datetime | None = None,
) -> None:
    """Owe notices about the delivery of a message."""
    delivery_id = "d" + message_id[1:]
    if deliveries.find_delivery(connection, delivery_id) is None:
        a_delivery(connection, delivery_id, message_id=message_id)
    for name in names:
        notices.owe(
            connection,
            notice_id=name,
            kind=kind,
            message_id=message_id,
            delivery_id=delivery_id,
            at=NOW,
            due_at=due_at,
        )


def claim(connection: Connection, *, later: timedelta = timedelta(), limit: int = 10) -> list[str]:
    """Claim what is due and name it."""
    at = NOW + later
    claimed = notices.claim_notices(connection, now=at, until=at + AGAIN, limit=limit)
    return sorted(one.id for bundle in claimed for one in bundle)


def test_a_notice_is_claimed_once_until_its_time_runs_out(connection: Connection) -> None:
    """A worker that dies while writing a report leaves it owed."""
    owe(connection, "n1")

    assert claim(connection) == ["n1"]
    assert claim(connection) == []
    assert claim(connection, later=AGAIN) == ["n1"]


def test_every_claim_counts(connection: Connection) -> None:
    """A notice that nobody can take is given up some day."""
    owe(connection, "n1")
    claim(connection)

    ((again,),) = notices.claim_notices(
        connection, now=NOW + AGAIN, until=NOW + AGAIN * 2, limit=10
    )

    assert again.attempts == 2
    assert again.kind is NoticeKind.FAILED
    assert (again.message_id, again.delivery_id, again.mailbox_id) == ("m1", "d1", None)


def test_a_settled_notice_is_owed_no_more(connection: Connection) -> None:
    """The one who settles it sends it; a second one learns that it is done."""
    owe(connection, "n1")

    assert notices.settle(connection, ["n1"])
    assert not notices.settle(connection, ["n1"])
    assert claim(connection) == []


def test_recipients_of_one_message_are_told_of_together(connection: Connection) -> None:
    """A hundred recipients who fail at once make one report, not a hundred."""
    owe(connection, "n1", "n2", "n3")

    (bundle,) = notices.claim_notices(connection, now=NOW, until=NOW + AGAIN, limit=1)

    assert [one.id for one in bundle] == ["n1", "n2", "n3"]


def test_different_news_are_different_reports(connection: Connection) -> None:
    """What failed is not hidden in a report of what is late."""
    owe(connection, "n1")
    owe(connection, "n2", kind=NoticeKind.DELAYED)
    owe(connection, "n3", message_id="m2")

    bundles = notices.claim_notices(connection, now=NOW, until=NOW + AGAIN, limit=9)

    assert [[one.id for one in bundle] for bundle in bundles] == [["n1"], ["n2"], ["n3"]]


def test_a_bundle_of_which_one_was_sent_already_is_not_sent(connection: Connection) -> None:
    """Nobody hears the same thing twice."""
    owe(connection, "n1", "n2")
    notices.settle(connection, ["n2"])

    assert not notices.settle(connection, ["n1", "n2"])


def test_what_is_to_be_told_with_others_waits_for_them(connection: Connection) -> None:
    """A moment, so that one report can tell of all."""
    owe(connection, "n1", due_at=NOW + AGAIN)

    assert notices.next_due_at(connection) == NOW + AGAIN
    assert claim(connection) == []
    assert claim(connection, later=AGAIN) == ["n1"]


def test_a_claim_is_bounded(connection: Connection) -> None:
    """A worker takes what it has room for."""
    for n in range(3):
        owe(connection, f"n{n}", message_id=f"m{n}")

    first = claim(connection, limit=2)
    second = claim(connection, limit=2)

    assert len(first) == 2
    assert len(second) == 1
    assert sorted(first + second) == ["n0", "n1", "n2"]
