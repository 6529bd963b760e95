from datetime import timedelta

import pytest
from sqlalchemy import Connection, update
from sqlalchemy.exc import IntegrityError

from mss.store import accounts
from mss.store.tables import account
from tests.support.pki import NOW
from tests.support.rows import an_account


def give_token(connection: Connection, account_id: str, *, hours: int | None = None) -> str:
    """Remember a token and return its digest."""
    digest = "d" * 64
    accounts.insert_token(
        connection,
        digest=digest,
        account_id=account_id,
        at=NOW,
        expires_at=None if hours is None else NOW + timedelta(hours=hours),
    )
    return digest


def test_an_account_is_found_by_its_exact_name(connection: Connection) -> None:
    """Names are what somebody types to log in."""
    an_account(connection, "anne")

    found = accounts.find_account(connection, "anne")

    assert found is not None
    assert found.created_at == NOW
    assert accounts.find_account(connection, "ann") is None
    assert [one.name for one in accounts.list_accounts(connection)] == ["anne"]


def test_a_name_belongs_to_one_account(connection: Connection) -> None:
    """Otherwise a password would open one of two, by chance."""
    an_account(connection, "anne")

    with pytest.raises(IntegrityError), connection.begin_nested():
        an_account(connection, "anne")


def test_a_password_is_replaced(connection: Connection) -> None:
    """Only the hash is kept, and the old one is gone."""
    mine = an_account(connection, "anne")

    accounts.set_password(connection, mine, password_hash="new")

    found = accounts.find_account(connection, "anne")
    assert found is not None
    assert found.password_hash == "new"


@pytest.mark.parametrize(
    ("hours", "later", "is_found"),
    [(None, 100_000, True), (1, 0.99, True), (1, 1, False), (1, 2, False)],
)
def test_a_token_is_good_until_it_is_over(
    connection: Connection, hours: int | None, later: float, *, is_found: bool
) -> None:
    """At the very instant of its end it is over."""
    digest = give_token(connection, an_account(connection), hours=hours)

    found = accounts.find_by_token(connection, digest, now=NOW + timedelta(hours=later))

    assert (found is not None) is is_found


def test_a_closed_account_has_no_tokens(connection: Connection) -> None:
    """Who has left cannot come back with what they kept."""
    mine = an_account(connection)
    digest = give_token(connection, mine)
    connection.execute(update(account).values(closed_at=NOW))

    assert accounts.find_by_token(connection, digest, now=NOW) is None


def test_an_unknown_token_finds_nobody(connection: Connection) -> None:
    """Guessing costs a look-up and gives nothing."""
    give_token(connection, an_account(connection))

    assert accounts.find_by_token(connection, "e" * 64, now=NOW) is None
