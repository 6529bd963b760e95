import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from mss.model.mailbox import Flag, Folder
from mss.model.principal import Right
from mss.store import mailboxes
from tests.support.pki import NOW
from tests.support.rows import a_deposit, a_mailbox, a_message, an_account

ANNE = "Anne@cabinets-demo.mssante.fr"
NOTHING = frozenset[Flag]()


def used(connection: Connection, mailbox_id: str) -> int:
    found = mailboxes.find_by_id(connection, mailbox_id)
    assert found is not None
    return found.used_octets


def listed(
    connection: Connection,
    mailbox_id: str,
    *,
    folder: Folder | None = None,
    unread_only: bool = False,
    before_uid: int | None = None,
    limit: int = 10,
) -> list[tuple[int, str]]:
    """List (uid, message) of a mailbox."""
    return [
        (one.deposit.uid, one.message.id)
        for one in mailboxes.list_deposits(
            connection,
            mailbox_id,
            folder=folder,
            unread_only=unread_only,
            before_uid=before_uid,
            limit=limit,
        )
    ]


def flags_of(connection: Connection, message_id: str) -> frozenset[Flag]:
    (deposit,) = mailboxes.deposits_of(connection, message_id, address_keys=[ANNE.lower()])
    return deposit.flags


def test_a_mailbox_is_found_by_its_normalised_address(connection: Connection) -> None:
    """It keeps the spelling that its holder chose."""
    a_mailbox(connection, ANNE)

    found = mailboxes.find_mailbox(connection, ANNE.lower())

    assert found is not None
    assert found.address == ANNE
    assert found.is_open
    assert mailboxes.find_by_id(connection, found.id) == found
    assert mailboxes.find_mailbox(connection, "other@cabinets-demo.mssante.fr") is None


def test_an_address_names_one_mailbox(connection: Connection) -> None:
    """Two holders of one address would read each other's letters."""
    a_mailbox(connection, ANNE)

    with pytest.raises(IntegrityError), connection.begin_nested():
        a_mailbox(connection, ANNE)


def test_a_closed_mailbox_stays_known(connection: Connection) -> None:
    """Its address is never given to somebody else."""
    box = a_mailbox(connection, ANNE)

    mailboxes.close_mailbox(connection, box, at=NOW)

    (found,) = mailboxes.list_mailboxes(connection)
    assert found.closed_at == NOW
    assert not found.is_open


def test_uids_follow_one_another_and_are_never_given_twice(connection: Connection) -> None:
    """A reader that kept a position must not take a new letter for an old one (RFC 9051, 2.3.1)."""
    box = a_mailbox(connection)
    a_deposit(connection, box, "m1")
    a_deposit(connection, box, "m2")
    mailboxes.delete_deposits(connection, mailbox_id=box, message_id="m2", size_octets=100)
    a_deposit(connection, box, "m3")

    assert listed(connection, box) == [(3, "m3"), (1, "m1")]


def test_each_mailbox_counts_for_itself(connection: Connection) -> None:
    """Two mailboxes that receive the same letter have each their own first one."""
    one, other = a_mailbox(connection, ANNE), a_mailbox(connection, "k@cabinets-demo.mssante.fr")
    a_deposit(connection, one, "m1")
    a_deposit(connection, other, "m1")

    assert listed(connection, one) == listed(connection, other) == [(1, "m1")]


def test_the_same_letter_is_deposited_once_per_role(connection: Connection) -> None:
    """Repeating a deposit changes nothing; a letter to oneself is sent and received."""
    box = a_mailbox(connection)
    a_deposit(connection, box, "m1")
    a_deposit(connection, box, "m1")
    a_deposit(connection, box, "m1", role=mailboxes.SENT, folder=Folder.SENT)

    assert listed(connection, box) == [(2, "m1"), (1, "m1")]
    assert used(connection, box) == 200


def test_the_quota_counts_what_lies_there(connection: Connection) -> None:
    """Deposits add, deletions give back, twice the same deletion gives back once."""
    box = a_mailbox(connection)
    a_deposit(connection, box, "m1")
    a_deposit(connection, box, "m2")
    assert used(connection, box) == 200

    assert mailboxes.delete_deposits(connection, mailbox_id=box, message_id="m1", size_octets=100)
    assert not mailboxes.delete_deposits(
        connection, mailbox_id=box, message_id="m1", size_octets=100
    )

    assert used(connection, box) == 100


def test_a_quota_is_changed(connection: Connection) -> None:
    """The administrator's decision is in force at once."""
    box = a_mailbox(connection, quota_octets=10)

    mailboxes.set_quota(connection, box, quota_octets=20)

    found = mailboxes.find_by_id(connection, box)
    assert found is not None
    assert found.quota_octets == 20


def test_lists_are_paged_newest_first(connection: Connection) -> None:
    """A page begins where the last one ended."""
    box = a_mailbox(connection)
    for n in range(1, 6):
        a_deposit(connection, box, f"m{n}")

    first = listed(connection, box, limit=2)
    second = listed(connection, box, limit=2, before_uid=first[-1][0])

    assert [uid for uid, _ in first] == [5, 4]
    assert [uid for uid, _ in second] == [3, 2]


def test_lists_are_filtered_by_folder_and_by_reading(connection: Connection) -> None:
    """Unread letters of the inbox are what a secretary opens first."""
    box = a_mailbox(connection)
    a_deposit(connection, box, "read", seen=True)
    a_deposit(connection, box, "unread")
    a_deposit(connection, box, "sent", role=mailboxes.SENT, folder=Folder.SENT)

    assert listed(connection, box, folder=Folder.INBOX) == [(2, "unread"), (1, "read")]
    assert listed(connection, box, folder=Folder.INBOX, unread_only=True) == [(2, "unread")]
    assert mailboxes.count_messages(connection, box) == (3, 1)


def test_an_empty_mailbox_counts_nothing(connection: Connection) -> None:
    """A sum over no rows is zero, not nothing."""
    assert mailboxes.count_messages(connection, a_mailbox(connection)) == (0, 0)


def test_marks_are_set_and_taken_off(connection: Connection) -> None:
    """Each flag by itself; the others stay."""
    box = a_mailbox(connection)
    a_deposit(connection, box, "m1")

    def mark(add: frozenset[Flag], remove: frozenset[Flag] = NOTHING) -> bool:
        return mailboxes.mark_deposits(
            connection, mailbox_id=box, message_id="m1", add=add, remove=remove, folder=None
        )

    assert mark(frozenset({Flag.SEEN, Flag.FLAGGED}))
    assert flags_of(connection, "m1") == {Flag.SEEN, Flag.FLAGGED}
    assert mark(frozenset({Flag.ANSWERED}), frozenset({Flag.SEEN}))
    assert flags_of(connection, "m1") == {Flag.ANSWERED, Flag.FLAGGED}


@pytest.mark.parametrize("add", [NOTHING, frozenset({Flag.SEEN})], ids=["nothing", "seen"])
def test_marking_what_lies_elsewhere_says_no(connection: Connection, add: frozenset[Flag]) -> None:
    """A message in another mailbox is not in this one, whatever is asked."""
    box, other = a_mailbox(connection), a_mailbox(connection, "k@cabinets-demo.mssante.fr")
    a_deposit(connection, other, "m1")

    marked = mailboxes.mark_deposits(
        connection, mailbox_id=box, message_id="m1", add=add, remove=NOTHING, folder=None
    )

    assert not marked


def test_a_letter_is_moved_to_another_folder(connection: Connection) -> None:
    """Its place in the order of the mailbox stays."""
    box = a_mailbox(connection)
    a_deposit(connection, box, "m1")

    mailboxes.mark_deposits(
        connection,
        mailbox_id=box,
        message_id="m1",
        add=NOTHING,
        remove=NOTHING,
        folder=Folder.ARCHIVE,
    )

    assert listed(connection, box, folder=Folder.ARCHIVE) == [(1, "m1")]
    assert listed(connection, box, folder=Folder.INBOX) == []


def test_deposits_are_found_only_in_the_mailboxes_named(connection: Connection) -> None:
    """Who asks for a message sees it only where they may look."""
    box, other = a_mailbox(connection, ANNE), a_mailbox(connection, "k@cabinets-demo.mssante.fr")
    a_deposit(connection, box, "m1")
    a_deposit(connection, other, "m1")

    def places(*keys: str) -> list[str]:
        found = mailboxes.deposits_of(connection, "m1", address_keys=keys)
        return [one.mailbox_address for one in found]

    assert places(ANNE.lower()) == [ANNE]
    assert places() == []


def test_the_right_to_a_read_receipt_is_given_once(connection: Connection) -> None:
    """A receipt is sent once, however often a letter is marked as read (RFC 8098, 2.1)."""
    box = a_mailbox(connection)
    a_deposit(connection, box, "m1")

    assert mailboxes.claim_receipt(connection, mailbox_id=box, message_id="m1", at=NOW)
    assert not mailboxes.claim_receipt(connection, mailbox_id=box, message_id="m1", at=NOW)


def test_nobody_owes_a_receipt_for_what_they_sent(connection: Connection) -> None:
    """The sent copy is not a letter received."""
    box = a_mailbox(connection)
    a_deposit(connection, box, "m1", role=mailboxes.SENT, folder=Folder.SENT)

    assert not mailboxes.claim_receipt(connection, mailbox_id=box, message_id="m1", at=NOW)


def test_rights_are_replaced_not_added(connection: Connection) -> None:
    """What is granted is exactly what is written down; nothing takes all away."""
    box, account = a_mailbox(connection, ANNE), an_account(connection)

    def grant(*rights: Right) -> dict[str, frozenset[Right]]:
        mailboxes.grant(connection, mailbox_id=box, account_id=account, rights=frozenset(rights))
        return mailboxes.rights_of(connection, account)

    assert grant(Right.READ, Right.SEND) == {ANNE.lower(): {Right.READ, Right.SEND}}
    assert grant(Right.READ) == {ANNE.lower(): {Right.READ}}
    assert grant() == {}


def test_rights_belong_to_one_account(connection: Connection) -> None:
    """A colleague's rights are not mine."""
    box, account, other = (
        a_mailbox(connection, ANNE),
        an_account(connection, "anne"),
        an_account(connection, "karim"),
    )
    mailboxes.grant(connection, mailbox_id=box, account_id=account, rights=frozenset({Right.READ}))

    assert mailboxes.rights_of(connection, other) == {}


def test_a_deposit_needs_its_message(connection: Connection) -> None:
    """No line of a list may lead to nothing."""
    box = a_mailbox(connection)
    a_message(connection, "m1")
    a_deposit(connection, box, "m1")

    with pytest.raises(IntegrityError), connection.begin_nested():
        connection.exec_driver_sql("delete from message where id = 'm1'")
