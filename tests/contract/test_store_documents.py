"""Records of documents: sealed, found by keyed digests, and gone with their message."""

from dataclasses import replace

import pytest
from sqlalchemy import Connection, func, select

from crypto.errors import SealError
from crypto.sealing import Sealer
from mss.clinical import finding
from mss.clinical.listing import DocumentSet, DocumentView
from mss.store import documents, messages, tables
from mss.store.documents import KeyKind
from tests.support.api_fakes import a_document
from tests.support.pki import NOW
from tests.support.rows import a_deposit, a_mailbox, a_message

OLD_KEY, NEW_KEY = b"o" * 32, b"n" * 32
SEALER = Sealer({1: OLD_KEY}, 1)
ROTATED = Sealer({1: OLD_KEY, 2: NEW_KEY}, 2)
DOCUMENT = {(KeyKind.DOCUMENT, "1.2.3")}


def a_set(**changes: object) -> DocumentSet:
    """Find one document."""
    remark = finding.warning("ins-key", "The key is wrong.", "La clé est fausse.", where="INS")
    view: DocumentView = replace(a_document(), findings=(remark,), **changes)  # type: ignore[arg-type]
    return DocumentSet(documents=(view,), findings=(remark,))


def keep(
    connection: Connection, found: DocumentSet, *, message_id: str = "m1", sealer: Sealer = SEALER
) -> None:
    """Keep what was found of a message, in a fresh row."""
    a_message(connection, message_id)
    record = documents.make_record(sealer, message_id=message_id, found=found)
    documents.insert_records(connection, [record])


def related(connection: Connection, mailbox_id: str, *, sealer: Sealer = SEALER) -> list[str]:
    """Find the messages of a mailbox that name the document."""
    found = documents.find_related(connection, sealer, DOCUMENT, mailbox_ids={mailbox_id})
    return [message_id for message_id, _ in found]


def test_what_was_kept_comes_back(connection: Connection) -> None:
    """Every field of it, findings too."""
    keep(connection, a_set())

    assert documents.find_record(connection, SEALER, "m1") == a_set()
    assert documents.find_record(connection, SEALER, "m2") is None


def test_a_record_opens_for_its_own_message_only(connection: Connection) -> None:
    """Whoever can write to the database cannot give a patient another one's letter."""
    keep(connection, a_set())
    a_message(connection, "m2")
    moved = select(tables.document_record.c.sealed)
    sealed = connection.execute(moved).scalar_one()
    row = documents.DocumentRecord(message_id="m2", sealed=sealed, keys=frozenset())
    documents.insert_records(connection, [row])

    with pytest.raises(SealError):
        documents.find_record(connection, SEALER, "m2")


@pytest.mark.parametrize(
    "changes",
    [{}, {"unique_id": "9", "replaces": ("8", "1.2.3")}, {"unique_id": "9", "set_id": "1.2.3"}],
    ids=["document", "replaced", "set"],
)
def test_a_key_names_one_kind_of_identifier(
    connection: Connection, changes: dict[str, object]
) -> None:
    """The number of a set is not that of a document, even if they look alike."""
    keep(connection, a_set(**changes))
    box = a_mailbox(connection)
    a_deposit(connection, box, "m1")

    assert related(connection, box) == ([] if changes else ["m1"])


def test_only_messages_of_the_mailboxes_are_found_oldest_first(connection: Connection) -> None:
    """What others received is nobody's business."""
    box, other = a_mailbox(connection), a_mailbox(connection, "other@ch-demo.mssante.fr")
    for name in ("m1", "m2", "m3"):
        keep(connection, a_set(), message_id=name)
    a_deposit(connection, box, "m3")
    a_deposit(connection, other, "m2")
    a_deposit(connection, box, "m1")

    assert related(connection, box) == ["m3", "m1"]


def test_documents_are_found_after_the_key_was_changed(connection: Connection) -> None:
    """Old digests were made under the old key, which stays."""
    box = a_mailbox(connection)
    keep(connection, a_set(), message_id="m1")
    keep(connection, a_set(), message_id="m2", sealer=ROTATED)
    a_deposit(connection, box, "m1")
    a_deposit(connection, box, "m2")

    assert related(connection, box, sealer=ROTATED) == ["m1", "m2"]


def test_a_digest_says_nothing_without_the_key(connection: Connection) -> None:
    """Numbers of documents are easily guessed: a plain digest would not hide them."""
    keep(connection, a_set(), message_id="m1")
    keep(connection, a_set(), message_id="m2", sealer=Sealer({1: NEW_KEY}, 1))
    keys = connection.execute(select(tables.document_key.c.key)).scalars().all()

    assert len(set(keys)) == len(keys) == 4


def test_what_nobody_holds_any_more_is_let_go(connection: Connection) -> None:
    """With the body of the message."""
    keep(connection, a_set())

    messages.release_bodies(connection, before=NOW.replace(year=NOW.year + 1), limit=9)

    counts = [
        connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in (tables.document_record, tables.document_key)
    ]
    assert counts == [0, 0]


def test_a_message_with_countless_documents_costs_a_bounded_number_of_rows(
    connection: Connection,
) -> None:
    """Anybody may write an archive of ten thousand documents, and ask for all their versions."""
    views = tuple(replace(a_document(), unique_id=f"1.{number}") for number in range(3000))
    keep(connection, DocumentSet(documents=views, findings=()))
    names = {(KeyKind.DOCUMENT, f"1.{number}") for number in range(40_000)}

    kept = connection.execute(select(func.count()).select_from(tables.document_key)).scalar_one()
    assert kept <= documents.MAX_IDENTIFIERS
    assert documents.find_related(connection, SEALER, names, mailbox_ids={"none"}) == []
