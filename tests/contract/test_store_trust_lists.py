from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection, func, select

from mss.store import tables, trust_lists
from mss.store.trust_lists import KeptTrustList, PolledSource
from tests.support.pki import NOW

FIRST = KeptTrustList(
    sha256="1" * 64, generated_at=NOW, loaded_at=NOW, source="a.xml", entries=2, xml=b"<a/>"
)
SECOND = replace(FIRST, sha256="2" * 64, source="b.xml", xml=b"<b/>")


def test_nothing_is_in_force_before_the_first_list(connection: Connection) -> None:
    """Then nobody can be told from a stranger."""
    assert trust_lists.find_current(connection) is None
    assert trust_lists.current_digest(connection) is None


def test_the_last_list_put_in_force_is_in_force(connection: Connection) -> None:
    """One list at a time; the earlier ones are kept."""
    trust_lists.put_in_force(connection, FIRST)
    trust_lists.put_in_force(connection, SECOND)

    assert trust_lists.find_current(connection) == SECOND
    assert trust_lists.current_digest(connection) == SECOND.sha256
    assert connection.execute(select(func.count()).select_from(tables.trust_list)).scalar() == 2


def test_the_same_list_again_only_renews_its_date(connection: Connection) -> None:
    """Loading twice is harmless."""
    renewed = replace(FIRST, loaded_at=NOW + timedelta(days=1), source="again.xml")
    trust_lists.put_in_force(connection, FIRST)
    trust_lists.put_in_force(connection, renewed)

    assert trust_lists.find_current(connection) == renewed
    assert connection.execute(select(func.count()).select_from(tables.trust_list)).scalar() == 1


def test_an_earlier_list_can_come_back_into_force(connection: Connection) -> None:
    """An administrator may force an older list after a bad one."""
    trust_lists.put_in_force(connection, FIRST)
    trust_lists.put_in_force(connection, SECOND)
    trust_lists.put_in_force(connection, FIRST)

    assert trust_lists.find_current(connection) == FIRST


def test_a_confirmation_renews_the_list_in_force_only(connection: Connection) -> None:
    """Its age is counted from there."""
    later = NOW + timedelta(hours=1)
    trust_lists.put_in_force(connection, FIRST)
    trust_lists.put_in_force(connection, SECOND)

    trust_lists.confirm_current(connection, at=later)

    current = trust_lists.find_current(connection)
    assert current == replace(SECOND, loaded_at=later)
    trust_lists.put_in_force(connection, FIRST)
    assert trust_lists.find_current(connection) == FIRST


def test_the_last_poll_of_an_address_is_remembered(connection: Connection) -> None:
    """Its validators make the next poll cheap; its failure is told once."""
    polled = PolledSource(url="https://a.example/", sha256="1" * 64, etag='"x"', checked_at=NOW)
    failed = replace(polled, checked_at=NOW + timedelta(hours=1), failure="timeout")
    trust_lists.keep_source(connection, polled)
    trust_lists.keep_source(connection, failed)

    assert trust_lists.find_source(connection, polled.url) == failed
    assert trust_lists.find_source(connection, "https://b.example/") is None
