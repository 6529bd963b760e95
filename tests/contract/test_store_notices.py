from datetime import timedelta

from sqlalchemy import Connection

from mss.store import notices
from mss.store.notices import NoticeKind
from tests.support.pki import NOW
from tests.support.rows import a_delivery

AGAIN = timedelta(minutes=2)


def owe(connection: Connection, *names: str) -> None:
    """Owe notices about one delivery."""
    a_delivery(connection)
    for name in names:
        notices.owe(
            connection,
            notice_id=name,
            kind=NoticeKind.FAILED,
            message_id="m1",
            delivery_id="d1",
            at=NOW,
        )


def claim(connection: Connection, *, later: timedelta = timedelta(), limit: int = 10) -> list[str]:
    """Claim what is due and name it."""
    at = NOW + later
    claimed = notices.claim_notices(connection, now=at, until=at + AGAIN, limit=limit)
    return sorted(one.id for one in claimed)


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

    (again,) = notices.claim_notices(connection, now=NOW + AGAIN, until=NOW + AGAIN * 2, limit=10)

    assert again.attempts == 2
    assert again.kind is NoticeKind.FAILED
    assert (again.message_id, again.delivery_id, again.mailbox_id) == ("m1", "d1", None)


def test_a_settled_notice_is_owed_no_more(connection: Connection) -> None:
    """The one who settles it sends it; a second one learns that it is done."""
    owe(connection, "n1")

    assert notices.settle(connection, "n1")
    assert not notices.settle(connection, "n1")
    assert claim(connection) == []


def test_a_claim_is_bounded(connection: Connection) -> None:
    """A worker takes what it has room for."""
    owe(connection, "n1", "n2", "n3")

    first = claim(connection, limit=2)
    second = claim(connection, limit=2)

    assert len(first) == 2
    assert len(second) == 1
    assert sorted(first + second) == ["n1", "n2", "n3"]
