import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from mss.model.delivery import DeliveryState
from mss.store import messages, notices
from tests.support.pki import NOW
from tests.support.rows import a_delivery, a_deposit, a_mailbox, a_message, a_row, an_account

RAW = b"From: ward@ch-demo.mssante.fr\r\n\r\nBonjour\r\n"


def key(*, sender: str | None = "ward@x.fr", raw: bytes = RAW, recipient: str = "a@y.fr") -> str:
    return messages.acceptance_key(
        sender=sender, body_digest=hashlib.sha256(raw).digest(), recipient_key=recipient
    )


@pytest.mark.parametrize(
    "other",
    [
        key(sender=None),
        key(sender="lab@x.fr"),
        key(raw=RAW + b"."),
        key(recipient="b@y.fr"),
        key(sender="ward@x.fra", recipient="@y.fr"),
    ],
    ids=["null sender", "sender", "octets", "recipient", "shifted between fields"],
)
def test_a_change_of_anything_is_another_message(other: str) -> None:
    """Only the same octets, from the same sender, for the same recipient are a repeat."""
    assert other != key()


def test_the_same_transfer_has_the_same_key() -> None:
    """A peer that did not hear our answer sends the very same again."""
    assert key() == key()


def test_keys_belong_to_whoever_came_first(connection: Connection) -> None:
    """The second message gets only the recipients that are new."""
    a_message(connection, "m1")
    a_message(connection, "m2")
    keys = [key(recipient="a@y.fr"), key(recipient="b@y.fr"), key(recipient="c@y.fr")]

    first = messages.claim_acceptance_keys(connection, dict.fromkeys(keys[:2], "m1"), at=NOW)
    second = messages.claim_acceptance_keys(connection, dict.fromkeys(keys, "m2"), at=NOW)

    assert first == set(keys[:2])
    assert second == {keys[2]}
    assert messages.find_accepted(connection, keys) == {
        keys[0]: "m1",
        keys[1]: "m1",
        keys[2]: "m2",
    }


def test_forgetting_makes_room_for_the_same_message_again(connection: Connection) -> None:
    """Repeats are recognised for a week, keys of requests for a day, and no longer."""
    a_message(connection, "m1")
    account = an_account(connection)
    old, young = key(recipient="a@y.fr"), key(recipient="b@y.fr")
    week_ago = NOW - timedelta(days=7, seconds=1)
    messages.claim_acceptance_keys(connection, {old: "m1"}, at=week_ago)
    messages.claim_acceptance_keys(connection, {young: "m1"}, at=NOW)
    _remember(connection, account, "old", at=NOW - timedelta(days=2))
    _remember(connection, account, "young", at=NOW)

    messages.forget_old(
        connection, duplicates=NOW - timedelta(days=7), idempotent=NOW - timedelta(days=1)
    )

    assert messages.find_accepted(connection, [old, young]) == {young: "m1"}
    assert messages.find_idempotent(connection, account, "old") is None
    assert messages.find_idempotent(connection, account, "young") == ("digest", "m1")


def _remember(connection: Connection, account: str, name: str, *, at: object = NOW) -> bool:
    assert isinstance(at, type(NOW))
    return messages.remember_idempotent(
        connection,
        account_id=account,
        key=name,
        request_digest="digest",
        message_id="m1",
        at=at,
    )


def test_an_idempotency_key_belongs_to_one_account(connection: Connection) -> None:
    """Two programs may choose the same word."""
    a_message(connection)
    mine, theirs = an_account(connection, "mine"), an_account(connection, "theirs")
    _remember(connection, mine, "word")

    assert messages.find_idempotent(connection, theirs, "word") is None


def test_an_idempotency_key_is_used_once(connection: Connection) -> None:
    """Two requests at the same moment cannot both own it."""
    a_message(connection)
    account = an_account(connection)

    assert _remember(connection, account, "word")
    assert not _remember(connection, account, "word")


def test_a_message_reads_back_as_it_was_written(connection: Connection) -> None:
    """Instants keep their microseconds, addresses their spelling."""
    row = a_row(sender="Ward.A@CH-demo.mssante.fr", at=NOW + timedelta(microseconds=123457))
    messages.insert_message(connection, row)

    assert messages.find_message(connection, "m1") == row
    assert messages.find_message(connection, "m2") is None


def test_messages_are_found_by_what_reports_name(connection: Connection) -> None:
    """Anybody may choose a Message-ID or ENVID, so there may be several; the newest comes first."""
    for n in range(3):
        at = NOW + timedelta(minutes=n)
        row = a_row(f"m{n}", internet_message_id="<same@x>", envelope_id="ENV", at=at)
        messages.insert_message(connection, row)

    by_message_id = messages.find_by_internet_id(connection, "<same@x>")
    by_envelope = messages.find_by_envelope_id(connection, "ENV")

    assert [one.id for one in by_message_id] == ["m2", "m1", "m0"]
    assert [one.id for one in by_envelope] == ["m2", "m1", "m0"]
    assert messages.find_by_internet_id(connection, "<other@x>") == []


def test_a_flood_of_equal_identifiers_stays_bounded(connection: Connection) -> None:
    """A stranger who repeats an identifier cannot make a report cost more and more."""
    for n in range(20):
        messages.insert_message(connection, a_row(f"m{n}", internet_message_id="<same@x>"))

    assert len(messages.find_by_internet_id(connection, "<same@x>")) == 16


def test_bodies_are_referenced_by_messages_and_by_deliveries(connection: Connection) -> None:
    """The sweeper keeps both the kept copy and what still has to leave."""
    a_delivery(connection, "d1", message_id="m1")

    found = messages.referenced_blobs(connection, ["memory:m1", "memory:d1", "memory:orphan"])

    assert found == {"memory:m1", "memory:d1"}


def test_a_moved_body_is_found_at_its_new_place(connection: Connection) -> None:
    """Compaction moves bodies; every row follows, and it learns whether anybody cared."""
    a_delivery(connection, "d1", message_id="m1")

    assert messages.move_blob(connection, "memory:m1", "memory:new")
    assert messages.move_blob(connection, "memory:d1", "memory:leaving")
    assert not messages.move_blob(connection, "memory:orphan", "memory:nowhere")

    assert messages.referenced_blobs(connection, ["memory:new", "memory:leaving"]) == {
        "memory:new",
        "memory:leaving",
    }


LATER = NOW + timedelta(hours=1)


def test_a_body_that_somebody_needs_is_kept(connection: Connection) -> None:
    """A mailbox, a delivery that waits, or a notice that is owed each keep it."""
    box = a_mailbox(connection)
    a_deposit(connection, box, "in-a-mailbox")
    a_delivery(connection, "d1", message_id="on-its-way")
    a_delivery(connection, "d2", message_id="held", state=DeliveryState.HELD)
    a_message(connection, "m1")
    notices.owe(connection, notice_id="n1", kind=notices.NoticeKind.READ, message_id="m1", at=NOW)

    assert messages.release_bodies(connection, before=LATER, limit=10) == set()


def test_bodies_that_nobody_needs_are_given_back_once(connection: Connection) -> None:
    """What was carried needs no protected copy; what was deleted everywhere leaves no text."""
    a_delivery(connection, "d1", message_id="m1", state=DeliveryState.RELAYED)

    assert messages.release_bodies(connection, before=LATER, limit=10) == {"memory:m1", "memory:d1"}
    assert messages.release_bodies(connection, before=LATER, limit=10) == set()

    row = messages.find_message(connection, "m1")
    assert row is not None
    assert row.summary == b""


def test_a_young_body_is_left_alone(connection: Connection) -> None:
    """It may be on its way through."""
    a_message(connection, "m1", at=NOW)

    assert messages.release_bodies(connection, before=NOW, limit=10) == set()


def test_a_body_that_another_row_still_needs_is_kept(connection: Connection) -> None:
    """A report that only left has one body for its row and its delivery."""
    a_delivery(connection, "d1", message_id="m1")
    a_delivery(connection, "d2", message_id="m1", state=DeliveryState.RELAYED)
    messages.move_blob(connection, "memory:d2", "memory:d1")

    assert messages.release_bodies(connection, before=LATER, limit=10) == set()
    assert messages.referenced_blobs(connection, ["memory:d1"]) == {"memory:d1"}
