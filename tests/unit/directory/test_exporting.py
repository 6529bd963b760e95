"""The extraction of our mailboxes: read by our own import, and written again the same."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

from directory import index_sql
from directory.address import Domain, MailAddress
from directory.columns import MAILBOX
from directory.identifiers import NationalPersonId
from directory.index_sql.declared import DeclaredMailbox, declare_mailbox, withdraw_mailbox
from directory.index_sql.exporting import iter_extraction
from directory.model import MailboxKind
from tests.unit.directory.conftest import AT, HOSPITAL, write_snapshot

OURS = (Domain("ch-demo.mssante.fr"), Domain("cabinets-demo.mssante.fr"))
WARD = DeclaredMailbox(
    address=MailAddress.parse("nouveau@ch-demo.mssante.fr"),
    kind=MailboxKind.ORG,
    organization_key=HOSPITAL.key,
    service="Urgences",
    changed_at=AT,
)


def exported(connection: Connection) -> str:
    return "".join(iter_extraction(connection, domains=OURS))


def test_what_is_written_is_read_and_written_again_the_same(
    empty: Connection, tmp_path: Path
) -> None:
    """Octet for octet, from a directory that knows the mailboxes only from the file."""
    folder = write_snapshot(tmp_path / "national")
    index_sql.import_snapshot(empty, folder, at=AT)
    with empty.begin():
        declare_mailbox(empty, WARD)
        first = exported(empty)
        withdrawn = MailAddress.parse("nouveau@ch-demo.mssante.fr")
        withdraw_mailbox(empty, withdrawn, at=AT)
        table = index_sql.metadata.tables["directory_declared_mailbox"]
        empty.execute(table.delete())
    (file,) = folder.glob("Extraction_*")
    file.write_text(first, encoding="utf-8")

    index_sql.import_snapshot(empty, folder, at=AT, force=True)

    assert "nouveau@ch-demo.mssante.fr" in first
    assert exported(empty) == first


def test_the_liste_rouge_and_what_is_closed_are_not_in_it(empty: Connection) -> None:
    """The file has no way to say that a mailbox is hidden."""
    declare_mailbox(empty, replace(WARD, liste_rouge=True))
    closed = replace(WARD, address=MailAddress.parse("ancien@ch-demo.mssante.fr"))
    declare_mailbox(empty, replace(closed, is_closed=True))

    assert exported(empty).count("\n") == 1


def test_a_mailbox_of_somebody_else_is_not_in_it(empty: Connection) -> None:
    """Its operator tells of it."""
    declare_mailbox(empty, replace(WARD, address=MailAddress.parse("x@ailleurs.mssante.fr")))

    assert exported(empty).count("\n") == 1


def test_carriers_that_no_file_knows_are_named_by_their_numbers(empty: Connection) -> None:
    """A new colleague has a mailbox before the register has them."""
    holder = NationalPersonId("899000000010")
    address = MailAddress.parse("neuve@cabinets-demo.mssante.fr")
    declare_mailbox(
        empty, replace(WARD, address=address, kind=MailboxKind.PER, holder=holder, service="")
    )

    line = exported(empty).splitlines()[1].split("|")

    assert line[:7] == ["PER", str(address), "8", "99000000010", str(holder), "1", HOSPITAL.key[1:]]


@pytest.mark.parametrize("hostile", ["a|b", "a\nPER|x@y.fr", "a\r\x1c\u2028b"])
def test_nothing_in_a_field_makes_another(empty: Connection, hostile: str) -> None:
    """There is no quoting: what would separate is a space."""
    declare_mailbox(empty, replace(WARD, service=hostile))

    lines = exported(empty).split("\n")

    assert [len(line.split("|")) for line in lines] == [len(MAILBOX) + 1] * 2 + [1]
    assert not re.search(r"[\r\x1c\u2028]", lines[1])
