"""A daily file: only what changed is written, the generation before stays whole, stubs remain."""

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from directory import index_sql, synthetic
from directory.errors import ImportRunningError, SnapshotRefusedError
from directory.index_sql import tables
from directory.index_sql.locking import import_lock
from directory.model import MailboxEntry, Practitioner
from directory.numbers import practitioner_number
from directory.sources import ExtractionKind
from directory.sync import ImportReport
from tests.unit.directory.conftest import ANNE, AT, HOSPITAL, MAILBOXES, PEOPLE, write_snapshot

TOMORROW = AT + timedelta(days=1)
NEXT = "202611240200"
LAST = "202611250200"
HOUR = timedelta(hours=1)
MOVED = replace(ANNE, family="ESSAI-MARTIN", roles=(replace(ANNE.roles[0], organization=HOSPITAL),))


def load(
    connection: Connection,
    folder: Path,
    stamp: str,
    *,
    people: tuple[Practitioner, ...] = PEOPLE,
    mailboxes: tuple[MailboxEntry, ...] = MAILBOXES,
    keep: timedelta = timedelta(0),
    force: bool = False,
) -> ImportReport:
    """Import a snapshot of these people and a hundred and fifty others."""
    write_snapshot(folder, stamp=stamp, people=people, mailboxes=mailboxes, others=150)
    return index_sql.import_snapshot(
        connection, folder, at=AT if stamp == "202611230200" else TOMORROW, keep=keep, force=force
    )


@pytest.fixture
def loaded(empty: Connection, tmp_path: Path) -> Connection:
    """A directory that may be renewed."""
    load(empty, tmp_path, "202611230200")
    return empty


def born(connection: Connection, number: int) -> dict[str, int]:
    """Count what a generation wrote, table by table."""
    return {
        table.name.removeprefix("directory_"): found
        for table in tables.VERSIONED
        if (
            found := connection.execute(
                select(func.count()).select_from(table).where(table.c.born == number)
            ).scalar_one()
        )
    }


def test_the_same_files_again_write_nothing(loaded: Connection, tmp_path: Path) -> None:
    """Two million lines that say the same cost no row."""
    report = load(loaded, tmp_path, NEXT)

    assert born(loaded, 2) == {}
    assert report.generation.counts.changed == 0
    assert report.generation.counts.practitioners == 155


def test_only_what_changed_is_written(loaded: Connection, tmp_path: Path) -> None:
    """Another name and place: one person, one situation; the skill and the mailboxes stay."""
    report = load(loaded, tmp_path, NEXT, people=(MOVED, *PEOPLE[1:]))

    assert born(loaded, 2) == {"practitioner": 1, "role": 1}
    assert report.generation.counts.changed == 1
    found = index_sql.find_practitioner(loaded, ANNE.national_id)
    assert found is not None
    assert found.family == "ESSAI-MARTIN"
    assert found.roles[0].organization is not None
    assert found.roles[0].organization.key == HOSPITAL.key


def test_a_renewed_directory_is_as_one_loaded_afresh(loaded: Connection, tmp_path: Path) -> None:
    """The way does not matter, only the files."""
    load(loaded, tmp_path, NEXT, people=(MOVED, *PEOPLE[1:-1]), mailboxes=MAILBOXES[1:])
    renewed = contents(loaded)
    for table in tables.metadata.sorted_tables:
        loaded.execute(table.delete())
    loaded.commit()
    index_sql.import_snapshot(loaded, tmp_path, at=TOMORROW)

    assert contents(loaded) == renewed


def contents(connection: Connection) -> dict[str, set[tuple[Any, ...]]]:
    """Return all content in force, without versions."""
    versions = {"born", "gone", "changed_at"}
    return {
        table.name: {
            tuple(row)
            for row in connection.execute(
                select(*(c for c in table.columns if c.name not in versions)).where(
                    table.c.gone == tables.FOREVER
                )
            )
        }
        for table in tables.VERSIONED
    }


def test_the_generation_before_stays_whole_while_it_is_kept(
    loaded: Connection, tmp_path: Path
) -> None:
    """Whoever pages through it loses nothing and sees nothing twice."""
    people = tables.practitioner
    query = select(people.c.id, people.c.family).where(tables.in_force(people, 1))
    before = set(loaded.execute(query).all())
    loaded.commit()
    load(loaded, tmp_path, NEXT, people=(MOVED, *PEOPLE[1:-1]), keep=HOUR)

    assert set(loaded.execute(query).all()) == before
    loaded.commit()

    erased = index_sql.forget_gone(loaded, at=TOMORROW + 2 * HOUR, keep=HOUR)
    assert erased > 0
    assert index_sql.find_practitioner(loaded, PEOPLE[-1].national_id) is None
    left = select(func.count()).select_from(people).where(people.c.gone != tables.FOREVER)
    assert loaded.execute(left).scalar_one() == 0


def test_what_vanished_leaves_a_stub_without_a_name_for_thirty_days(
    loaded: Connection, tmp_path: Path
) -> None:
    """Clients that follow changes must learn of it; the name is nobody's business any more."""
    load(loaded, tmp_path, NEXT, people=PEOPLE[1:], mailboxes=MAILBOXES[2:])
    stubs = loaded.execute(select(tables.gone)).all()
    loaded.commit()

    person = next(row for row in stubs if row.kind == "practitioner")
    assert person.id == practitioner_number(ANNE.national_id)
    assert person.gone_at == TOMORROW
    assert {row.kind for row in stubs} >= {"practitioner", "role"}
    assert "ESSAI" not in repr(stubs)

    index_sql.forget_gone(loaded, at=TOMORROW + timedelta(days=31), keep=HOUR)
    assert loaded.execute(select(tables.gone)).all() == []


def test_whoever_comes_back_is_no_stub(loaded: Connection, tmp_path: Path) -> None:
    """A file of one bad day took them out."""
    load(loaded, tmp_path, NEXT, people=PEOPLE[1:], mailboxes=MAILBOXES[2:])
    load(loaded, tmp_path, LAST)
    gone = tables.gone
    number = practitioner_number(ANNE.national_id)
    stub = loaded.execute(select(gone).where(gone.c.kind == "practitioner")).one()

    assert (stub.id, stub.gone) == (number, 3)
    assert index_sql.find_practitioner(loaded, ANNE.national_id) == ANNE


def test_a_refused_import_leaves_every_row_as_it_was(loaded: Connection, tmp_path: Path) -> None:
    """What ended for it is in force again."""
    before = contents(loaded)
    loaded.commit()
    write_snapshot(tmp_path, stamp=NEXT, others=100)

    with pytest.raises(SnapshotRefusedError):
        index_sql.import_snapshot(loaded, tmp_path, at=TOMORROW)

    assert contents(loaded) == before
    assert born(loaded, 2) == {}


def test_too_many_changes_are_refused_unless_overridden(loaded: Connection, tmp_path: Path) -> None:
    """A file in which everybody moved is a mistake of somebody's."""
    write_snapshot(tmp_path, stamp=NEXT, others=150)
    path = tmp_path / f"PS_LibreAcces_Personne_activite_{NEXT}.txt"
    text = path.read_text("utf-8")
    path.write_text(text.replace("|DR|Docteur|", "|PR|Professeur|"), "utf-8")

    with pytest.raises(SnapshotRefusedError) as caught:
        index_sql.import_snapshot(loaded, tmp_path, at=TOMORROW)

    assert "snapshot-changes" in {finding.code for finding in caught.value.findings}
    report = index_sql.import_snapshot(loaded, tmp_path, at=TOMORROW, force=True)
    kept = index_sql.find_live_generation(loaded)
    assert kept is not None
    assert "snapshot-changes" in {finding.code for finding in kept.findings}
    assert kept.findings == report.findings


def test_one_import_at_a_time(loaded: Connection, tmp_path: Path) -> None:
    """The scheduled one and the administrator's exclude each other, in whatever process."""
    caught: list[type[BaseException]] = []

    def second() -> None:
        with loaded.engine.connect() as other:
            try:
                load(other, tmp_path, NEXT)
            except ImportRunningError as error:
                caught.append(type(error))

    with import_lock(loaded):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()

    assert caught == [ImportRunningError]
    load(loaded, tmp_path, NEXT)


def places(connection: Connection) -> set[tuple[Any, ...]]:
    """Return the structures in force, without the generation that they are from."""
    table = tables.organization
    kept = [column for column in table.c if column.name not in ("born", "gone", "changed_at")]
    return {
        tuple(row)
        for row in connection.execute(select(*kept).where(table.c.gone == tables.FOREVER))
    }


@pytest.mark.slow
def test_structures_are_not_read_again_while_their_file_is_the_same(
    empty: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FINESS is the slowest file to read, and changes least; telephones still follow the others."""
    synthetic.generate(tmp_path, practitioners=60, seed=5, stamp="202611230200", is_national=True)
    index_sql.import_snapshot(empty, tmp_path, at=AT)
    path = next(tmp_path.glob("*Personne_activite*"))
    lines = path.read_text("utf-8").splitlines(keepends=True)
    phone = lines[0].split("|").index("Téléphone (coord. structure)")
    changed = [line.split("|") for line in lines[1:]]
    for fields in changed:
        fields[phone] = "0199000000"
    path.write_text(lines[0] + "".join("|".join(fields) for fields in changed), "utf-8")
    with monkeypatch.context() as patched:
        again = "directory.sync.read_finess"
        patched.setattr(again, lambda *_: pytest.fail("FINESS was read again"))
        report = index_sql.import_snapshot(empty, tmp_path, at=TOMORROW, force=True)
    renewed = places(empty)
    finess = next(tmp_path.glob("finess*"))
    finess.write_text(finess.read_text("utf-8") + "\n", "utf-8")
    index_sql.import_snapshot(empty, tmp_path, at=TOMORROW, force=True)

    assert report.generation.source(ExtractionKind.FINESS) is not None
    assert any("0199000000" in row for row in renewed)
    assert renewed == places(empty)
