"""Documents of received messages: found once, linked in a mailbox, shown in every form."""

from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from mss.clinical.metadata import Action
from mss.errors import DocumentRefusedError, NotFoundError
from mss.mailboxes.document_links import DocumentPlace
from mss.mailboxes.documents import LinkedDocument
from mss.model.principal import AccountPrincipal
from mss.settings import DocumentSettings
from mss.store import tables
from tests.support.clock import FixedClock
from tests.support.factories import GP, LAB, WARD, InProcessOperator, Pair, a_letter, a_pair
from tests.support.operators import compose, the_letter
from tests.support.shown import read_page, words_of
from tests.support.versions import a_mail, a_version, set_id, unique_id


@pytest.fixture
async def lab(pair: Pair) -> AccountPrincipal:
    return await pair.hospital.log_in("lab")


async def send(pair: Pair, ward: AccountPrincipal, *mails: bytes, to: str = LAB) -> list[str]:
    """Send mails one after the other; tell their identifiers."""
    return [(await pair.hospital.submit(ward, one, to)).message_id for one in mails]


async def only_document(
    operator: InProcessOperator, principal: AccountPrincipal, message_id: str
) -> LinkedDocument:
    """Describe the one document of a message."""
    found = await operator.services.documents.list_documents(principal, message_id)
    (document,) = found.documents
    return document


async def text(pair: Pair, principal: AccountPrincipal, message_id: str) -> str:
    """Read the page of a document."""
    desk = pair.hospital.services.documents
    page = await desk.get_document(principal, message_id, 1, form="html")
    return words_of(read_page(page.octets))


async def test_a_document_is_described_from_its_record(
    pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal
) -> None:
    """Computed once, at receipt: the body is not opened again."""
    (message_id,) = await send(pair, ward, compose(WARD, LAB))
    nowhere = update(tables.message).values(blob_ref="gone")
    await pair.hospital.database.write(lambda c: c.execute(nowhere))

    view = (await only_document(pair.hospital, lab, message_id)).view

    assert (view.type_code, view.class_code, view.body) == ("11490-0", "10", "structured")
    assert view.type_label == "Lettre de liaison à la sortie d'un établissement de soins"
    assert (view.unique_id, view.set_id, view.version) == (unique_id(1), set_id(), "1")
    assert view.has_pdf  # the copy that goes beside the archive


async def test_a_message_from_before_there_were_records_is_opened(
    pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal
) -> None:
    """With the same answer."""
    (message_id,) = await send(pair, ward, compose(WARD, LAB))
    recorded = await only_document(pair.hospital, lab, message_id)
    await pair.hospital.database.write(lambda c: c.execute(delete(tables.document_key)))
    await pair.hospital.database.write(lambda c: c.execute(delete(tables.document_record)))

    assert await only_document(pair.hospital, lab, message_id) == recorded


async def test_a_list_of_messages_names_what_they_carry(pair: Pair, ward: AccountPrincipal) -> None:
    """So that a reader finds the letter among the notes."""
    await send(pair, ward, compose(WARD, LAB), a_letter())

    documents = {
        view.message.summary.subject: [one.type_code for one in view.message.summary.documents]
        for view in await pair.hospital.letters("lab", LAB)
    }
    assert documents == {the_letter().subject: ["11490-0"], "Lettre de liaison": []}


async def test_nothing_of_a_document_is_in_the_database_in_clear(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """Neither what it says nor the identifiers that it is found by."""
    await send(pair, ward, compose(WARD, LAB))

    def everything(connection: object) -> str:
        rows = [
            connection.execute(select(table)).all()  # type: ignore[attr-defined]
            for table in (tables.document_record, tables.document_key)
        ]
        return str(rows)

    found = await pair.hospital.database.read(everything)
    assert "b'MSS1" in found
    assert not any(one in found for one in (unique_id(1), set_id(), "PATIENT-FICTIF", "11490-0"))


# Versions


@pytest.mark.parametrize("named", [1, None], ids=["named", "by set and version"])
async def test_a_new_version_and_the_one_it_replaces_are_linked(
    pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal, named: int | None
) -> None:
    """Most senders raise the version, and many name no document."""
    first, second = await send(
        pair,
        ward,
        a_mail(WARD, LAB, a_version(1)),
        a_mail(WARD, LAB, a_version(2, replaces=named), action=Action.REPLACE),
    )

    old = await only_document(pair.hospital, lab, first)
    new = await only_document(pair.hospital, lab, second)

    assert new.links.replaces == (DocumentPlace(first, 1),)
    assert old.links.replaced_by == (DocumentPlace(second, 1),)
    assert (old.links.replaces, new.links.replaced_by) == ((), ())
    assert "remplace une version antérieure" in await text(pair, lab, second) or named is None


async def test_links_never_tell_of_a_mailbox_that_the_reader_cannot_open(
    pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal
) -> None:
    """The second version went to somebody else only."""
    (first,) = await send(pair, ward, a_mail(WARD, LAB, a_version(1)))
    await send(pair, ward, a_mail(WARD, GP, a_version(2, replaces=1)), to=GP)

    assert (await only_document(pair.hospital, lab, first)).links.replaced_by == ()


async def test_the_same_document_again_is_recognised(
    pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal
) -> None:
    """The later one points to the earlier one, never the other way."""
    first, second = await send(
        pair, ward, *[a_mail(WARD, LAB, a_version(1))] * 1, compose(WARD, LAB)
    )

    assert (await only_document(pair.hospital, lab, first)).links.duplicate_of is None
    document = await only_document(pair.hospital, lab, second)
    assert document.links.duplicate_of == DocumentPlace(first, 1)


async def test_a_deletion_is_linked_and_shown(
    pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal
) -> None:
    """The same document comes once more, to be taken back."""
    first, second = await send(
        pair,
        ward,
        a_mail(WARD, LAB, a_version(1)),
        a_mail(WARD, LAB, a_version(1), action=Action.DELETE),
    )

    document = await only_document(pair.hospital, lab, first)
    assert document.links.deleted_by == DocumentPlace(second, 1)
    assert "suppression" in await text(pair, lab, second)


async def test_documents_about_different_people_are_never_linked(
    pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal
) -> None:
    """A number that two senders use, or somebody who wants another's letter to look outdated."""
    first, second = await send(
        pair,
        ward,
        a_mail(WARD, LAB, a_version(1)),
        a_mail(WARD, LAB, a_version(2, replaces=1, matricule="179035121518947")),
    )

    assert (await only_document(pair.hospital, lab, first)).links.replaced_by == ()
    assert (await only_document(pair.hospital, lab, second)).links.replaces == ()


# Forms


async def test_every_form_of_a_document_can_be_fetched(
    pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal
) -> None:
    """The file itself, the copy of its author, and our page."""
    (message_id,) = await send(pair, ward, compose(WARD, LAB))
    desk = pair.hospital.services.documents

    xml = await desk.get_document(lab, message_id, 1, form="xml")
    pdf = await desk.get_document(lab, message_id, 1, form="pdf")
    assert (xml.octets, xml.filename) == (the_letter().cda, "DOC0001.XML")
    assert (pdf.octets, pdf.filename) == (the_letter().pdf, the_letter().pdf_name)
    assert "PATIENT-FICTIF CAMILLE" in await text(pair, lab, message_id)
    with pytest.raises(NotFoundError):  # its body is not one file
        await desk.get_document(lab, message_id, 1, form="file")
    with pytest.raises(NotFoundError):
        await desk.get_document(lab, message_id, 2, form="xml")


async def test_an_archive_without_any_name_is_found(
    pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal
) -> None:
    """Senders omit the name, and the type, and the disposition."""
    raw = compose(WARD, LAB)
    raw = raw.replace(b"application/zip", b"application/octet-stream").replace(
        b"IHE_XDM.ZIP", b"data"
    )
    (message_id,) = await send(pair, ward, raw)

    assert (await only_document(pair.hospital, lab, message_id)).view.type_code == "11490-0"


async def test_a_broken_archive_is_a_finding_on_the_message(
    pair: Pair, ward: AccountPrincipal, lab: AccountPrincipal
) -> None:
    """The letter is delivered all the same."""
    (message_id,) = await send(pair, ward, compose(WARD, LAB, archive=b"PK\x03\x04 no archive"))

    found = await pair.hospital.services.documents.list_documents(lab, message_id)
    assert found.documents == ()
    assert [one.code for one in found.findings] == ["archive-syntax"]


# Policy


async def test_an_operator_can_refuse_messages_for_a_finding(
    homes: Path, clock: FixedClock
) -> None:
    """Only for those that the settings name; the reason is the code of the finding."""
    policy = DocumentSettings(refuse=("archive-syntax",))
    async with a_pair(homes, clock, documents=policy) as pair:
        ward = await pair.hospital.log_in("ward")
        with pytest.raises(DocumentRefusedError) as refusal:
            await pair.hospital.submit(ward, compose(WARD, LAB, archive=b"PK\x03\x04"), LAB)

        assert refusal.value.reason == "archive-syntax"
        assert await pair.hospital.submit(ward, compose(WARD, LAB), LAB)
