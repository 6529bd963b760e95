"""The desk of one machine: its indexes, what changes beneath it, and what stays hidden."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from directory import index_sql
from directory.address import MailAddress
from directory.errors import SearchNotReadyError
from directory.index_sql import DeclaredMailbox, SearchDesk, searching
from directory.index_sql.indexing import build_search_index
from directory.model import MailboxKind
from directory.search import SearchPage, SearchQuery
from directory.search_index.folder import IndexBuilder, IndexFolder
from directory.search_index.subject import Subject
from tests.unit.directory.conftest import (
    ANNE_ADDRESS,
    AT,
    HOSPITAL,
    MAILBOXES,
    write_snapshot,
)

NEXT_STAMP = "202611240200"
HIDDEN = MailAddress.parse("hidden.ward@ch-demo.mssante.fr")


@pytest.fixture
def loaded(empty: Connection, tmp_path: Path) -> Connection:
    """A directory that may be changed, with its index."""
    index_sql.import_snapshot(
        empty, write_snapshot(tmp_path / "files", others=40), at=AT, search_folder=tmp_path
    )
    return empty


@pytest.fixture
def desk(tmp_path: Path) -> SearchDesk:
    """The desk of the machine."""
    return SearchDesk(tmp_path)


def shown(page: SearchPage) -> list[str]:
    """Return what tells the lines of a page apart."""
    return [
        hit.practitioner.national_id
        if hit.practitioner
        else str(hit.mailbox and hit.mailbox.address)
        for hit in page.hits
    ]


@pytest.mark.parametrize(
    "query",
    [
        SearchQuery(text=str(HIDDEN)),
        SearchQuery(text="hidden.ward@"),
        SearchQuery(text="hidden ward"),
        SearchQuery(text="secret"),
        SearchQuery(mailbox_address="ch-demo.mssante.fr"),
        SearchQuery(organization="secret", mailbox_kind="ORG"),
        SearchQuery(structure_identifier="750000002"),
        SearchQuery(text="ch demo", with_mailbox=True),
    ],
    ids=range(8),
)
def test_who_is_on_the_liste_rouge_is_answered_like_who_does_not_exist(
    loaded: Connection, desk: SearchDesk, query: SearchQuery
) -> None:
    """Lines, totals and further pages are those of a directory without the mailbox."""
    before = desk.search(loaded, query)
    declared = DeclaredMailbox(
        address=HIDDEN,
        kind=MailboxKind.ORG,
        organization_key=HOSPITAL.key,
        service="SECRET",
        liste_rouge=True,
        changed_at=AT,
    )
    index_sql.declare_mailbox(loaded, declared)
    loaded.commit()

    after = desk.search(loaded, query)

    assert after == before


def test_a_mailbox_that_goes_onto_the_liste_rouge_is_gone_at_once(
    loaded: Connection, desk: SearchDesk
) -> None:
    """The control of the test before: the same mailbox, shown, is found."""
    declared = DeclaredMailbox(
        address=HIDDEN,
        kind=MailboxKind.ORG,
        organization_key=HOSPITAL.key,
        service="SECRET",
        changed_at=AT,
    )
    index_sql.declare_mailbox(loaded, declared)
    query = SearchQuery(text=str(HIDDEN))
    assert shown(desk.search(loaded, query)) == [str(HIDDEN)]

    later = AT + timedelta(seconds=1)
    index_sql.declare_mailbox(loaded, replace(declared, liste_rouge=True, changed_at=later))

    assert (shown(desk.search(loaded, query)), desk.search(loaded, query).total) == ([], 0)


def test_pages_begun_before_an_import_end_in_the_directory_they_began_in(
    loaded: Connection, desk: SearchDesk, tmp_path: Path
) -> None:
    """Whoever reads page two during the nightly change loses nobody and sees nobody twice."""
    query = SearchQuery(profession="10", limit=7)
    whole = shown(desk.search(loaded, replace(query, limit=100)))
    page = desk.search(loaded, query)
    seen = shown(page)
    index_sql.import_snapshot(
        loaded,
        write_snapshot(tmp_path / "new", stamp=NEXT_STAMP, others=39, mailboxes=MAILBOXES[1:]),
        at=AT + timedelta(days=1),
        keep=timedelta(hours=1),
        search_folder=tmp_path,
        force=True,
    )
    fresh = desk.search(loaded, replace(query, text=ANNE_ADDRESS))

    for _ in range(len(whole)):
        if page.next_cursor is None:
            break
        page = desk.search(loaded, replace(query, cursor=page.next_cursor))
        seen += shown(page)

    assert seen == whole
    assert len(whole) > query.limit
    assert (page.generation, fresh.generation, shown(fresh)) == (1, 2, [])


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let no index be made before the event, and none be under way after the test."""
    opened = threading.Event()
    builders: list[threading.Thread] = []
    build = build_search_index

    def wait(*arguments: object, **named: object) -> IndexFolder:
        builders.append(threading.current_thread())
        opened.wait(60)
        return build(*arguments, **named)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(searching, "build_search_index", wait)
    yield opened
    opened.set()
    me = threading.current_thread()
    for builder in [one for one in builders if one is not me]:
        builder.join(60)


def test_a_search_does_not_wait_for_an_index_of_the_whole_country(
    empty: Connection, tmp_path: Path, gate: threading.Event
) -> None:
    """It is told to come again, and answered when the index is there."""
    index_sql.import_snapshot(empty, write_snapshot(tmp_path / "files"), at=AT)
    impatient = SearchDesk(tmp_path, patience=0.01)
    with pytest.raises(SearchNotReadyError):
        impatient.search(empty, SearchQuery(text=ANNE_ADDRESS))
    with pytest.raises(SearchNotReadyError):
        impatient.search(empty, SearchQuery(text=ANNE_ADDRESS))

    gate.set()
    patient = SearchDesk(tmp_path, patience=60)

    assert patient.search(empty, SearchQuery(text=ANNE_ADDRESS)).total == 1


def test_the_directory_before_answers_while_the_next_index_is_made(
    loaded: Connection, desk: SearchDesk, tmp_path: Path, gate: threading.Event
) -> None:
    """Another machine has imported; this one goes on with what it has."""
    query = SearchQuery(text=ANNE_ADDRESS)
    assert desk.search(loaded, query).generation == 1
    index_sql.import_snapshot(
        loaded,
        write_snapshot(tmp_path / "new", stamp=NEXT_STAMP, others=40),
        at=AT + timedelta(days=1),
        keep=timedelta(hours=1),
    )

    page = desk.search(loaded, query)
    gate.set()

    assert (page.generation, page.total) == (1, 1)


def test_a_failed_index_is_told_and_tried_again(
    empty: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is no reason to be silent, nor to give up."""
    index_sql.import_snapshot(empty, write_snapshot(tmp_path / "files"), at=AT)
    desk = SearchDesk(tmp_path, patience=60)
    query = SearchQuery(text=ANNE_ADDRESS)

    def fail(*_arguments: object, **_named: object) -> IndexFolder:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(searching, "build_search_index", fail)
        with pytest.raises(OSError, match="No space"):
            desk.search(empty, query)

    assert desk.search(empty, query).total == 1


def test_a_draft_of_a_builder_who_died_is_removed(tmp_path: Path) -> None:
    """It may be as large as the index; the draft of somebody at work stays."""
    left = tmp_path / "search-draft-0123"
    left.mkdir()
    (left / "names").touch()

    with (
        IndexBuilder(IndexFolder(tmp_path, 1)) as first,
        IndexBuilder(IndexFolder(tmp_path, 2)) as second,
    ):
        first.add([Subject(id=1, family="MARTIN")])
        second.add([Subject(id=2, family="DURAND")])

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        IndexFolder(tmp_path, 1).path.name,
        IndexFolder(tmp_path, 2).path.name,
    ]


def test_an_index_of_an_older_kind_is_removed(tmp_path: Path) -> None:
    """Nobody reads it after an upgrade, and it names people who may have vanished since."""
    (tmp_path / "search-1-7").mkdir()
    (tmp_path / "search-other-7").mkdir()

    IndexFolder(tmp_path, 7).remove_older()

    assert [path.name for path in tmp_path.iterdir()] == ["search-other-7"]
