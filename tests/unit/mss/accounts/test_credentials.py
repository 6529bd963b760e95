from datetime import timedelta

import pytest
from sqlalchemy import update

from mss.accounts.credentials import Accounts
from mss.errors import ConflictError, InvalidRequestError, NotAuthenticatedError, NotFoundError
from mss.model.principal import Right
from mss.store import audit, mailboxes, tables
from mss.store.engine import Database
from tests.support.clock import FixedClock
from tests.support.pki import NOW
from tests.support.rows import a_mailbox

HOST = "192.0.2.7"


@pytest.fixture
def accounts(database: Database, clock: FixedClock) -> Accounts:
    return Accounts(database=database, clock=clock, chain="c1")


async def journal(accounts: Accounts) -> list[audit.AuditRow]:
    return await accounts.database.read(lambda c: list(audit.iter_rows(c)))


@pytest.mark.slow
async def test_the_right_password_opens(accounts: Accounts) -> None:
    """The principal carries the rights of this moment."""
    account = await accounts.add("anne", password="correct horse")
    await accounts.database.write(
        lambda c: mailboxes.grant(
            c,
            mailbox_id=a_mailbox(c, "anne@x.mssante.fr"),
            account_id=account.id,
            rights=frozenset({Right.READ}),
        )
    )

    principal = await accounts.authenticate_password("anne", "correct horse", host=HOST)

    assert principal.account_id == account.id
    assert principal.means == "password"
    assert principal.has_right("anne@x.mssante.fr", Right.READ)
    assert not principal.has_right("anne@x.mssante.fr", Right.SEND)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("anne", "wrong"),
        ("anne", ""),
        ("Anne", "correct horse"),
        ("nobody", "correct horse"),
        ("tokens-only", ""),
        ("tokens-only", "none"),
        ("anne", "x" * 100_000),
        ("anne", "\udcff"),
        ("anne\x00", "correct horse"),
        ("\udcff", "correct horse"),
    ],
)
async def test_every_refusal_is_the_same(accounts: Accounts, name: str, password: str) -> None:
    """A stranger does not learn which names exist; the journal keeps from where it came."""
    await accounts.add("anne", password="correct horse")
    await accounts.add("tokens-only", password=None)

    with pytest.raises(NotAuthenticatedError) as refusal:
        await accounts.authenticate_password(name, password, host=HOST)

    *_, row = await journal(accounts)
    assert str(refusal.value) == "not-authenticated"
    assert (row.name, row.actor, row.facts) == ("login-refused", "unknown", {"host": HOST})


@pytest.mark.slow
async def test_a_closed_account_is_refused_both_ways(accounts: Accounts) -> None:
    """Who has left has left."""
    await accounts.add("anne", password="correct horse")
    token = await accounts.issue_token("anne")
    await accounts.database.write(lambda c: c.execute(update(tables.account).values(closed_at=NOW)))

    with pytest.raises(NotAuthenticatedError):
        await accounts.authenticate_password("anne", "correct horse", host=HOST)
    with pytest.raises(NotAuthenticatedError):
        await accounts.authenticate_token(token, host=HOST)
    with pytest.raises(NotFoundError):
        await accounts.issue_token("anne")


async def test_a_token_opens_until_it_is_over(accounts: Accounts, clock: FixedClock) -> None:
    """Short-lived ones limit what a leak is worth."""
    await accounts.add("his", password=None)
    token = await accounts.issue_token("his", valid_for=timedelta(days=1))

    assert (await accounts.authenticate_token(token, host=HOST)).means == "token"

    clock.advance(days=1)
    with pytest.raises(NotAuthenticatedError):
        await accounts.authenticate_token(token, host=HOST)


@pytest.mark.parametrize("token", ["", "mss_", "mss_" + "x" * 43, "\udcff", "é" * 1000], ids=ascii)
async def test_any_other_token_is_refused(accounts: Accounts, token: str) -> None:
    """Whatever characters a stranger sends."""
    await accounts.add("his", password=None)
    await accounts.issue_token("his")

    with pytest.raises(NotAuthenticatedError):
        await accounts.authenticate_token(token, host=HOST)


async def test_secrets_are_not_kept(accounts: Accounts) -> None:
    """A copy of the database opens no mailbox, and the journal tells nothing."""
    await accounts.add("his", password=None)
    token = await accounts.issue_token("his")

    rows = await accounts.database.read(
        lambda c: [
            *c.execute(tables.account_token.select()),
            *c.execute(tables.audit.select()),
        ]
    )

    assert token not in repr(rows)
    assert token.removeprefix("mss_") not in repr(rows)


async def test_a_name_is_given_once(accounts: Accounts) -> None:
    """The second one is told so."""
    await accounts.add("his", password=None)

    with pytest.raises(ConflictError):
        await accounts.add("his", password=None)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x00b", "a" * 255], ids=ascii)
async def test_what_is_no_name_is_refused(accounts: Accounts, name: str) -> None:
    """It would be unreadable in a list and unusable in a login."""
    with pytest.raises(InvalidRequestError):
        await accounts.add(name, password=None)
