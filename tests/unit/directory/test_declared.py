"""Mailboxes that our operator declares: seen at once, and laid over the national ones."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from directory import index_sql
from directory.address import Domain, MailAddress
from directory.index_sql import DeclaredMailbox
from directory.model import MailboxKind
from tests.unit.directory.conftest import (
    ANNE,
    ANNE_ADDRESS,
    AT,
    CARDIOLOGIST,
    HOSPITAL,
    WARD_ADDRESS,
    write_snapshot,
)

NEW = MailAddress.parse("accueil@ch-demo.mssante.fr")
OURS = DeclaredMailbox(
    address=NEW,
    kind=MailboxKind.ORG,
    organization_key=HOSPITAL.key,
    service="ACCUEIL",
    changed_at=AT,
)
NEXT_STAMP = "202611240200"


@pytest.fixture
def loaded(empty: Connection, tmp_path: Path) -> Connection:
    """A directory that may be changed."""
    index_sql.import_snapshot(empty, write_snapshot(tmp_path), at=AT)
    return empty


def test_a_declared_mailbox_is_seen_at_once(loaded: Connection) -> None:
    """The national file would know it tomorrow."""
    assert not index_sql.has_mailbox(loaded, NEW)

    assert index_sql.declare_mailbox(loaded, OURS) == 0

    assert index_sql.has_mailbox(loaded, NEW)
    found = index_sql.find_mailbox(loaded, NEW)
    assert found is not None
    assert found.display_name == "ACCUEIL - CH DEMO"
    assert index_sql.find_declared(loaded, NEW) == OURS


def test_one_is_seen_before_the_first_import(empty: Connection) -> None:
    """A new operator routes between its own mailboxes."""
    index_sql.declare_mailbox(empty, OURS)

    assert index_sql.is_domain_known(empty, NEW.domain) is True
    assert index_sql.has_mailbox(empty, NEW) is True


def test_a_declared_mailbox_survives_the_next_import(loaded: Connection, tmp_path: Path) -> None:
    """It is not in the national file, which is the whole rest."""
    index_sql.declare_mailbox(loaded, OURS)
    loaded.commit()
    index_sql.import_snapshot(loaded, write_snapshot(tmp_path, stamp=NEXT_STAMP), at=AT)

    assert index_sql.has_mailbox(loaded, NEW)


def test_a_mailbox_put_on_the_liste_rouge_here_is_hidden_though_the_national_file_lists_it(
    loaded: Connection, tmp_path: Path
) -> None:
    """The operator knows better, and earlier; the next national file changes nothing about it."""
    ward = MailAddress.parse(WARD_ADDRESS)
    hidden = replace(OURS, address=ward, liste_rouge=True)
    index_sql.declare_mailbox(loaded, hidden)

    assert index_sql.find_mailbox(loaded, ward, published_only=True) is None
    assert index_sql.has_mailbox(loaded, ward)
    assert index_sql.list_mailboxes_of(loaded, HOSPITAL.key)
    assert ward.key not in {
        box.address.key for box in index_sql.list_mailboxes_of(loaded, HOSPITAL.key)
    }

    loaded.commit()
    index_sql.import_snapshot(loaded, write_snapshot(tmp_path, stamp=NEXT_STAMP), at=AT)
    assert index_sql.find_mailbox(loaded, ward, published_only=True) is None


def test_a_closed_mailbox_is_gone_though_the_national_file_lists_it(
    loaded: Connection,
) -> None:
    """Nobody writes to a mailbox that its operator closed."""
    ward = MailAddress.parse(WARD_ADDRESS)
    index_sql.declare_mailbox(loaded, replace(OURS, address=ward))

    assert index_sql.withdraw_mailbox(loaded, ward, at=AT) is True
    assert index_sql.withdraw_mailbox(loaded, ward, at=AT) is False
    assert not index_sql.has_mailbox(loaded, ward)
    assert index_sql.withdraw_mailbox(loaded, NEW, at=AT) is False


def test_the_national_file_says_whose_a_mailbox_is(loaded: Connection) -> None:
    """The declaration says the rest, and the conflict is counted."""
    address = MailAddress.parse(ANNE_ADDRESS)
    stranger = DeclaredMailbox(
        address=address,
        kind=MailboxKind.PER,
        holder=CARDIOLOGIST.national_id,
        rank=1,
        changed_at=AT,
    )

    assert index_sql.declare_mailbox(loaded, stranger) == 1

    found = index_sql.find_mailbox(loaded, address)
    assert found is not None
    assert found.rank == 1
    assert found.practitioner is not None
    assert found.practitioner.national_id == ANNE.national_id


def test_declared_mailboxes_are_listed_for_export(loaded: Connection) -> None:
    """By domain, since an instant, a page at a time."""
    later = AT + timedelta(hours=1)
    other = replace(OURS, address=MailAddress.parse("a@other-demo.mssante.fr"), changed_at=later)
    index_sql.declare_mailbox(loaded, OURS)
    index_sql.declare_mailbox(loaded, other)

    assert index_sql.list_declared(loaded) == [other, OURS]
    assert index_sql.list_declared(loaded, domain=Domain("ch-demo.mssante.fr")) == [OURS]
    assert index_sql.list_declared(loaded, changed_since=later) == [other]
    assert index_sql.list_declared(loaded, after=other.address.key) == [OURS]
    assert index_sql.list_declared(loaded, limit=1) == [other]
