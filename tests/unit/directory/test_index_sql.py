from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import ColumnElement, Connection, Table, func, select

from directory import columns, index_sql
from directory.address import Domain, MailAddress
from directory.errors import ExtractionSyntaxError, SnapshotRefusedError
from directory.identifiers import NationalPersonId
from directory.index_sql import tables
from directory.index_sql.keys import practitioner_number
from directory.model import MailboxKind
from directory.search import SearchQuery
from tests.unit.directory.conftest import (
    ANNE,
    ANNE_ADDRESS,
    AT,
    HOSPITAL,
    MAILBOXES,
    PEOPLE,
    STAMP,
    WARD_ADDRESS,
    a_mailbox,
    a_person,
    search,
    write_snapshot,
)

ANNE_MAIL = MailAddress.parse(ANNE_ADDRESS)
NEXT_STAMP = "202611240200"


def load(connection: Connection, folder: Path, *, force: bool = False) -> None:
    index_sql.import_snapshot(connection, folder, at=AT, force=force)


def content_left(connection: Connection, condition: Callable[[Table], ColumnElement[bool]]) -> int:
    """Count the versions of which something is true, in all the tables."""
    return sum(
        connection.execute(
            select(func.count()).select_from(table).where(condition(table))
        ).scalar_one()
        for table in tables.VERSIONED
    )


def test_an_empty_directory_answers_nothing(empty: Connection) -> None:
    """Before the first import, every question has an answer and none an error."""
    assert index_sql.find_mailbox(empty, ANNE_MAIL) is None
    assert not index_sql.is_domain_known(empty, ANNE_MAIL.domain)
    assert index_sql.find_practitioner(empty, ANNE.national_id) is None
    assert index_sql.list_mailboxes_of(empty, ANNE.national_id) == []
    assert search(empty, SearchQuery(text="anne")).hits == ()
    assert index_sql.find_live_generation(empty) is None
    assert index_sql.stats(empty).generation is None


def test_a_mailbox_is_found_with_its_holder(filled: Connection) -> None:
    """Routing asks by address, in any case."""
    found = index_sql.find_mailbox(filled, MailAddress.parse(ANNE_ADDRESS.upper()))

    assert found is not None
    assert found.kind is MailboxKind.PER
    assert found.display_name == "Dr Anne ESSAI-LEROUX"
    assert found.practitioner is not None
    assert found.practitioner.profession == ANNE.profession


def test_a_ward_is_found_with_its_hospital(filled: Connection) -> None:
    """A structure known from its mailbox alone is a structure."""
    found = index_sql.find_mailbox(filled, MailAddress.parse(WARD_ADDRESS))

    assert found is not None
    assert found.practitioner is None
    assert found.organization is not None
    assert found.organization.finess == "750000002"
    assert found.display_name == "CARDIOLOGIE - CH DEMO"


def test_only_exact_domains_are_known(filled: Connection) -> None:
    """A parent or a sub-domain is another domain."""
    assert index_sql.is_domain_known(filled, Domain("ch-demo.mssante.fr"))
    assert not index_sql.is_domain_known(filled, Domain("mssante.fr"))
    assert not index_sql.is_domain_known(filled, Domain("x.ch-demo.mssante.fr"))


def test_a_person_comes_with_roles_and_skills(filled: Connection) -> None:
    """Collapsed from the rows of the file."""
    assert index_sql.find_practitioner(filled, ANNE.national_id) == ANNE


def test_a_structure_is_found_by_its_key(filled: Connection) -> None:
    """The national structure identifier, when it has one."""
    found = index_sql.find_organization(filled, HOSPITAL.key)

    assert found is not None
    assert found.name == "CH DEMO"
    assert index_sql.find_organization(filled, "1999999999") is None


def test_the_mailboxes_of_a_holder_are_listed(filled: Connection) -> None:
    """Of a person, and of a structure."""
    hers = index_sql.list_mailboxes_of(filled, ANNE.national_id)
    its = index_sql.list_mailboxes_of(filled, HOSPITAL.key)

    assert hers[0].address.key == ANNE_ADDRESS
    assert len(hers) == 2
    assert WARD_ADDRESS in {mailbox.address.key for mailbox in its}


def test_provenance_is_kept(filled: Connection) -> None:
    """Where every part of the directory came from, and how much of it was read."""
    stats = index_sql.stats(filled)
    generation = stats.generation

    assert generation is not None
    assert generation.loaded_at == AT
    assert [source.stamp for source in generation.sources] == [STAMP] * 3
    assert all(len(source.sha256) == 64 for source in generation.sources)
    assert generation.counts.practitioners == 65
    assert generation.counts.mailboxes == sum(stats.mailboxes_by_kind.values())
    assert set(stats.mailboxes_by_kind) == {"PER", "ORG"}


def test_a_person_known_from_a_mailbox_only_is_found(empty: Connection, tmp_path: Path) -> None:
    """The two national files are not of the same hour."""
    orphan = a_person("99000000077", "SOLITAIRE", "LÉA", place=None)
    boxes = (*MAILBOXES, a_mailbox("lea@x-demo.mssante.fr", holder=orphan))
    load(empty, write_snapshot(tmp_path, mailboxes=boxes))

    assert search(empty, SearchQuery(text="solitaire lea")).total == 1
    generation = index_sql.find_live_generation(empty)
    assert generation is not None
    assert generation.counts.orphans == 1


def test_whoever_vanished_is_erased_everywhere(empty: Connection, tmp_path: Path) -> None:
    """A person may have been withdrawn for their safety."""
    load(empty, write_snapshot(tmp_path, others=100))
    boxes = tuple(box for box in MAILBOXES if box.practitioner is not ANNE)
    write_snapshot(tmp_path, stamp=NEXT_STAMP, people=PEOPLE[1:], mailboxes=boxes, others=100)
    load(empty, tmp_path)

    assert index_sql.find_practitioner(empty, ANNE.national_id) is None
    assert index_sql.find_mailbox(empty, ANNE_MAIL) is None
    assert search(empty, SearchQuery(text="essai-leroux anne")).hits == ()
    assert content_left(empty, lambda table: table.c.gone != tables.FOREVER) == 0
    assert [state for state, _ in index_sql.list_generations(empty)] == ["live", "erased"]


def test_an_implausible_shrink_is_refused(empty: Connection, tmp_path: Path) -> None:
    """Half a file must not become half a directory; what was loaded of it is thrown away."""
    load(empty, write_snapshot(tmp_path, others=40))
    write_snapshot(tmp_path, stamp=NEXT_STAMP)

    with pytest.raises(SnapshotRefusedError) as caught:
        load(empty, tmp_path)

    assert {finding.code for finding in caught.value.findings} == {"snapshot-shrinks"}
    assert content_left(empty, lambda table: table.c.born == 2) == 0
    generation = index_sql.find_live_generation(empty)
    assert generation is not None
    assert (generation.number, generation.counts.practitioners) == (1, 45)


def test_an_implausible_shrink_can_be_forced(empty: Connection, tmp_path: Path) -> None:
    """One explicit override, whose reasons stay in the report."""
    load(empty, write_snapshot(tmp_path, others=40))
    write_snapshot(tmp_path, stamp=NEXT_STAMP)
    report = index_sql.import_snapshot(empty, tmp_path, at=AT, force=True)

    assert report.replaced is not None
    assert {finding.code for finding in report.findings} == {"snapshot-shrinks"}
    assert report.generation.counts.practitioners == 5


def test_an_older_file_is_refused_before_it_is_loaded(empty: Connection, tmp_path: Path) -> None:
    """Yesterday's file would bring back who was withdrawn today."""
    load(empty, write_snapshot(tmp_path / "new", stamp=NEXT_STAMP))

    with pytest.raises(SnapshotRefusedError) as caught:
        load(empty, write_snapshot(tmp_path / "old"))

    assert {finding.code for finding in caught.value.findings} == {"snapshot-older"}


def test_a_missing_file_is_refused(empty: Connection, tmp_path: Path) -> None:
    """Mailboxes without people would erase everybody who has no mailbox."""
    load(empty, write_snapshot(tmp_path))
    (mailboxes,) = tmp_path.glob("Extraction_*")

    with pytest.raises(SnapshotRefusedError) as caught:
        load(empty, mailboxes)

    assert "snapshot-file-missing" in {finding.code for finding in caught.value.findings}


def test_a_file_of_nobody_is_refused(empty: Connection, tmp_path: Path) -> None:
    """Even for the first time, and nothing is left in force."""
    path = tmp_path / f"Extraction_Correspondance_MSSante_{STAMP}.txt"
    path.write_text("|".join(columns.MAILBOX) + "\nbroken\n", "utf-8")

    with pytest.raises(SnapshotRefusedError) as caught:
        load(empty, tmp_path)

    codes = {finding.code for finding in caught.value.findings}
    assert codes == {"snapshot-empty", "snapshot-rejects"}
    assert index_sql.find_live_generation(empty) is None


def test_a_missing_column_leaves_the_directory_as_it_was(empty: Connection, tmp_path: Path) -> None:
    """It cannot be forced: there is nothing to read."""
    load(empty, write_snapshot(tmp_path))
    write_snapshot(tmp_path, stamp=NEXT_STAMP)
    path = tmp_path / f"Extraction_Correspondance_MSSante_{NEXT_STAMP}.txt"
    path.write_text(path.read_text("utf-8").replace("Adresse BAL", "Adresse"), "utf-8")

    with pytest.raises(ExtractionSyntaxError):
        load(empty, tmp_path, force=True)

    assert index_sql.find_mailbox(empty, ANNE_MAIL) is not None


def test_the_old_directory_answers_until_the_swap(empty: Connection, tmp_path: Path) -> None:
    """Mail is routed while two million lines are read."""
    load(empty, write_snapshot(tmp_path))
    seen: list[int] = []

    def watch(_stage: str, _done: int, _total: int) -> None:
        generation = index_sql.find_live_generation(empty)
        assert generation is not None
        assert index_sql.find_mailbox(empty, ANNE_MAIL) is not None
        seen.append(generation.number)

    write_snapshot(tmp_path, stamp=NEXT_STAMP)
    index_sql.import_snapshot(empty, tmp_path, at=AT, progress=watch)

    assert set(seen) == {1}
    assert len(seen) >= 4


def test_others_may_write_between_two_batches(empty: Connection, tmp_path: Path) -> None:
    """SQLite has one writer; mail must not wait for the directory."""
    load(empty, write_snapshot(tmp_path))
    write_snapshot(tmp_path, stamp=NEXT_STAMP)
    written: list[bool] = []

    def write(stage: str, _done: int, _total: int) -> None:
        with empty.engine.begin() as other:
            written.append(publish(other, ANNE_MAIL, stage.encode()).is_new)

    index_sql.import_snapshot(empty, tmp_path, at=AT, progress=write)

    assert written
    assert len(index_sql.find_certificates(empty, ANNE_MAIL)) == sum(written)


def test_what_a_crash_left_is_thrown_away_by_the_next_import(
    empty: Connection, tmp_path: Path
) -> None:
    """A generation in the making is never in force."""
    store = index_sql.SqlGenerationStore(empty)
    number = store.begin(AT)
    store.add_structure_mailboxes([box for box in MAILBOXES if box.practitioner is None])
    load(empty, write_snapshot(tmp_path))

    assert content_left(empty, lambda table: table.c.born == number) == 0
    states = [state for state, _ in index_sql.list_generations(empty)]
    assert states == ["live", "discarded"]


def test_a_mailbox_that_changed_hands_is_counted(empty: Connection, tmp_path: Path) -> None:
    """A transfer may be an error, or worse (threat 44)."""
    load(empty, write_snapshot(tmp_path))
    thief = a_mailbox(ANNE_ADDRESS, holder=PEOPLE[4])
    write_snapshot(tmp_path, stamp=NEXT_STAMP, mailboxes=(thief, *MAILBOXES[1:]))
    report = index_sql.import_snapshot(empty, tmp_path, at=AT)

    assert report.generation.counts.transferred == 1
    assert [finding.code for finding in report.findings] == ["mailboxes-transferred"]


def test_a_hidden_mailbox_is_delivered_to_and_never_shown(
    empty: Connection, tmp_path: Path
) -> None:
    """Liste rouge: searching the exact address answers as if it did not exist."""
    write_snapshot(tmp_path)
    path = tmp_path / f"Extraction_Correspondance_MSSante_{STAMP}.txt"
    lines = path.read_text("utf-8").splitlines()
    hidden = [lines[0] + "|Liste rouge", *(line + "|O" for line in lines[1:])]
    path.write_text("\n".join(hidden) + "\n", "utf-8")
    load(empty, tmp_path)
    hit = search(empty, SearchQuery(text="essai-leroux")).hits[0]

    assert index_sql.find_mailbox(empty, ANNE_MAIL) is not None
    assert index_sql.find_mailbox(empty, ANNE_MAIL, published_only=True) is None
    assert index_sql.list_mailboxes_of(empty, ANNE.national_id) == []
    assert search(empty, SearchQuery(text=ANNE_ADDRESS)).total == 0
    assert search(empty, SearchQuery(text="cardiologie ch demo")).total == 0
    assert (hit.mailbox, hit.others) == (None, ())
    assert index_sql.stats(empty).mailboxes_by_kind == {}


LATER = AT + timedelta(days=365)


def publish(
    connection: Connection, subject: MailAddress | Domain, der: bytes, *, day: int = 0
) -> index_sql.Publication:
    """Publish octets that stand for a certificate; this package never opens them."""
    return index_sql.publish_certificate(
        connection,
        subject=subject,
        der=der,
        fingerprint=der.hex(),
        not_after_at=LATER,
        published_at=AT + timedelta(days=day),
    )


def test_the_certificate_of_a_mailbox_comes_before_that_of_its_domain(empty: Connection) -> None:
    """The domain's is for those who have none of their own."""
    publish(empty, ANNE_MAIL.domain, b"domain")
    assert index_sql.find_certificates(empty, ANNE_MAIL) == [b"domain"]
    publish(empty, ANNE_MAIL, b"own")

    assert index_sql.find_certificates(empty, ANNE_MAIL) == [b"own"]
    assert index_sql.find_certificates(empty, MailAddress.parse("a@other.fr")) == []


def test_the_last_published_certificate_comes_first(empty: Connection) -> None:
    """While a key is being replaced, both are there."""
    publish(empty, ANNE_MAIL, b"old")
    publish(empty, ANNE_MAIL, b"new", day=1)

    assert index_sql.find_certificates(empty, ANNE_MAIL) == [b"new", b"old"]


def test_a_change_of_key_is_told_to_the_caller(empty: Connection) -> None:
    """A swapped certificate is how a directory is poisoned (threat 44)."""
    first = publish(empty, ANNE_MAIL, b"old")
    again = publish(empty, ANNE_MAIL, b"old", day=1)
    other = publish(empty, ANNE_MAIL, b"new", day=2)

    assert (first.is_new, first.beside) == (True, ())
    assert not again.is_new
    assert other.beside == (b"old".hex(),)


def test_certificates_end_and_are_withdrawn(empty: Connection) -> None:
    """An ended one is left out on request, purged later; a withdrawn one is gone."""
    publish(empty, ANNE_MAIL, b"own")

    assert index_sql.find_certificates(empty, ANNE_MAIL, at=LATER) == [b"own"]
    assert index_sql.find_certificates(empty, ANNE_MAIL, at=LATER + timedelta(seconds=1)) == []
    assert index_sql.withdraw_certificate(empty, subject=ANNE_MAIL, fingerprint=b"own".hex())
    assert not index_sql.withdraw_certificate(empty, subject=ANNE_MAIL, fingerprint=b"own".hex())
    publish(empty, ANNE_MAIL.domain, b"domain")
    assert index_sql.purge_certificates(empty, ended_before=LATER) == 0
    assert index_sql.purge_certificates(empty, ended_before=LATER + timedelta(days=1)) == 1


def test_an_import_leaves_certificates_alone(empty: Connection, tmp_path: Path) -> None:
    """They are not in the national files."""
    publish(empty, ANNE_MAIL, b"own")
    empty.commit()
    load(empty, write_snapshot(tmp_path))

    assert index_sql.find_certificates(empty, ANNE_MAIL) == [b"own"]


def test_a_naive_instant_is_refused(empty: Connection) -> None:
    """An instant without a zone is a different instant on each machine."""
    with pytest.raises(Exception, match="aware"):
        index_sql.find_certificates(empty, ANNE_MAIL, at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_instants_come_back_aware(filled: Connection) -> None:
    """SQLite forgets the zone."""
    generation = index_sql.find_live_generation(filled)

    assert generation is not None
    assert generation.loaded_at.tzinfo is UTC


def test_the_number_of_a_person_is_stable_and_their_own() -> None:
    """Whoever has no RPPS number gets one that no RPPS number can be."""
    assert practitioner_number(ANNE.national_id) == 99000000010
    other = practitioner_number(NationalPersonId("0759123458"))
    assert other >= 1 << 62
    assert other < 1 << 63
    assert other == practitioner_number(NationalPersonId("0759123458"))


def test_all_tables_bear_the_prefix_of_the_package() -> None:
    """They live beside the server's own tables in one database."""
    assert all(name.startswith("directory_") for name in index_sql.metadata.tables)
