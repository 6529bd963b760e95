import pytest
from sqlalchemy import Connection, select, update

from crypto.errors import SealError
from mss.errors import InvalidRequestError, NotFoundError
from mss.model.mailbox import Flag, Folder
from mss.model.principal import AccountPrincipal
from mss.store import audit
from mss.store.tables import message
from tests.support.factories import GP, LAB, WARD, Pair, a_letter

NOTHING = frozenset[Flag]()


@pytest.fixture
async def lab(pair: Pair) -> AccountPrincipal:
    """The laboratory's software."""
    return await pair.hospital.log_in("lab")


async def send(pair: Pair, ward: AccountPrincipal, *texts: str) -> list[str]:
    """Send letters to the laboratory and name them."""
    sent = [
        await pair.hospital.submit(ward, a_letter(to=LAB, subject=one, text=one), LAB)
        for one in texts
    ]
    return [one.message_id for one in sent]


async def test_a_list_is_paged_to_its_end(
    pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal
) -> None:
    """Newest first, each letter once."""
    await send(pair, ward, "1", "2", "3")
    reading = pair.hospital.services.reading

    first = await reading.list_messages(lab, LAB, folder=None, limit=2, cursor=None)
    second = await reading.list_messages(lab, LAB, folder=None, limit=2, cursor=first.next_cursor)

    assert [one.message.summary.subject for one in first.items] == ["3", "2"]
    assert [one.message.summary.subject for one in second.items] == ["1"]
    assert second.next_cursor is None


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.0", "²", "9" * 19, "1\n"], ids=ascii)
async def test_a_cursor_that_is_none_is_refused(
    pair: Pair, lab: AccountPrincipal, cursor: str
) -> None:
    """It comes from outside."""
    with pytest.raises(InvalidRequestError):
        await pair.hospital.services.reading.list_messages(
            lab, LAB, folder=None, limit=2, cursor=cursor
        )


@pytest.mark.parametrize("address", [WARD, GP, "nobody@ch-demo.mssante.fr", "", "%"])
async def test_a_mailbox_of_others_does_not_exist(
    pair: Pair, lab: AccountPrincipal, address: str
) -> None:
    """The answer is the same for what is not there and what is not yours."""
    reading = pair.hospital.services.reading

    with pytest.raises(NotFoundError):
        await reading.get_mailbox(lab, address)
    with pytest.raises(NotFoundError):
        await reading.list_messages(lab, address, folder=None, limit=2, cursor=None)
    with pytest.raises(NotFoundError):
        await reading.mark(lab, address, ["x"], add=frozenset({Flag.SEEN}))


async def test_a_letter_of_others_does_not_exist(
    pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal, gp: AccountPrincipal
) -> None:
    """By any of the ways to ask for it."""
    accepted = await pair.hospital.submit(ward, a_letter(), GP)
    reading = pair.hospital.services.reading

    for ask in (
        reading.get_message(lab, accepted.message_id),
        reading.get_raw(lab, accepted.message_id),
        reading.get_part(lab, accepted.message_id, "1"),
        pair.hospital.services.documents.list_documents(lab, accepted.message_id),
        pair.hospital.services.documents.get_document(lab, accepted.message_id, 1, form="xml"),
        reading.get_message(lab, "0" * 32),
    ):
        with pytest.raises(NotFoundError):
            await ask


async def test_marking_has_a_result_for_each(
    pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal
) -> None:
    """One unknown letter does not stop the others; a repeated one counts once."""
    (one,) = await send(pair, ward, "1")
    other = (await pair.hospital.submit(ward, a_letter(), GP)).message_id

    results = await pair.hospital.services.reading.mark(
        lab, LAB, [one, "absent", other, one], add=frozenset({Flag.SEEN, Flag.FLAGGED})
    )

    view = await pair.hospital.services.reading.get_message(lab, one)
    assert [(each.message_id, each.status) for each in results] == [
        (one, "done"),
        ("absent", "not-found"),
        (other, "not-found"),
    ]
    assert view.deposits[0].flags == {Flag.SEEN, Flag.FLAGGED}


async def test_the_journal_knows_who_read_what(
    pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal
) -> None:
    """Author, time and action; never content."""
    (one,) = await send(pair, ward, "CANARI")
    await pair.hospital.services.reading.mark(lab, LAB, [one], add=frozenset({Flag.SEEN}))

    *_, row = await pair.hospital.database.read(lambda c: list(audit.iter_rows(c)))

    assert (row.name, row.actor) == ("message-read", f"account:{lab.account_id}")
    assert row.facts["message"] == one
    assert "CANARI" not in repr(row)


async def test_a_deleted_letter_is_gone_for_its_reader_alone(
    pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal
) -> None:
    """The sender's copy stays, and the room is given back."""
    (one,) = await send(pair, ward, "1")
    reading = pair.hospital.services.reading

    (result,) = await reading.mark(lab, LAB, [one], delete=True)
    (again,) = await reading.mark(lab, LAB, [one], delete=True)

    assert (result.status, again.status) == ("done", "not-found")
    assert (await reading.get_mailbox(lab, LAB)).mailbox.used_octets == 0
    assert (await reading.get_message(ward, one)).message.id == one
    with pytest.raises(NotFoundError):
        await reading.get_message(lab, one)


async def test_a_letter_is_moved(pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal) -> None:
    """And listed where it went."""
    (one,) = await send(pair, ward, "1")
    reading = pair.hospital.services.reading
    await reading.mark(lab, LAB, [one], folder=Folder.ARCHIVE)

    archived = await reading.list_messages(lab, LAB, folder=Folder.ARCHIVE, limit=5, cursor=None)

    assert [view.message.id for view in archived.items] == [one]


async def test_an_identity_sees_its_mailboxes(pair: Pair, lab: AccountPrincipal) -> None:
    """And no others, with what it may do there."""
    views = await pair.hospital.services.reading.list_mailboxes(lab)

    assert [(one.mailbox.address, one.unread) for one in views] == [(LAB, 0)]
    assert views[0].rights == lab.rights[LAB]


async def test_a_row_that_was_swapped_is_not_shown(
    pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal
) -> None:
    """Somebody with the database cannot put one patient's subject on another's letter."""
    one, other = await send(pair, ward, "1", "2")

    def swap(connection: Connection) -> None:
        foreign = connection.execute(select(message.c.summary).where(message.c.id == other))
        connection.execute(
            update(message).where(message.c.id == one).values(summary=foreign.scalar_one())
        )

    await pair.hospital.database.write(swap)

    with pytest.raises(SealError):
        await pair.hospital.services.reading.get_message(lab, one)
