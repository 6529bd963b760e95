from typing import Any

import pytest

from directory.address import MailAddress
from directory.model import MailboxKind
from mss.accounts.credentials import Accounts
from mss.errors import ConflictError, InvalidRequestError, NotFoundError
from mss.mailboxes.lifecycle import Mailboxes
from mss.model.principal import Right
from mss.store import audit, mailboxes
from mss.store.engine import Database
from tests.support.clock import FixedClock

ANNE = MailAddress.parse("Anne.ESSAI@cabinets-demo.mssante.fr")
RPPS = "99000000010"


@pytest.fixture
def desk(database: Database, clock: FixedClock) -> Mailboxes:
    return Mailboxes(
        database=database,
        clock=clock,
        chain="c1",
        domains=frozenset({"cabinets-demo.mssante.fr"}),
        quota_octets=1000,
    )


async def journal(desk: Mailboxes) -> list[str]:
    return [one.name for one in await desk.database.read(lambda c: list(audit.iter_rows(c)))]


async def test_a_mailbox_is_opened_as_it_was_spelt(desk: Mailboxes) -> None:
    """And found however it is spelt."""
    opened = await desk.open(ANNE, kind=MailboxKind.PER, display_name="Dr Anne ESSAI", rpps=RPPS)

    assert opened.address == "Anne.ESSAI@cabinets-demo.mssante.fr"
    assert opened.quota_octets == 1000
    assert await desk.get(MailAddress.parse(str(ANNE).lower())) == opened
    assert await desk.list() == [opened]
    assert await journal(desk) == ["chain-started", "mailbox-opened"]


@pytest.mark.parametrize(
    ("address", "facts", "field"),
    [
        ("anne@ch-demo.mssante.fr", {"rpps": RPPS}, "address"),
        ("anne@sub.cabinets-demo.mssante.fr", {"rpps": RPPS}, "address"),
        (str(ANNE), {}, "rpps"),
        (str(ANNE), {"rpps": "99000000011"}, "rpps"),
        (str(ANNE), {"rpps": "9900000001"}, "rpps"),
        (str(ANNE), {"rpps": "x" * 500}, "rpps"),
        (str(ANNE), {"rpps": RPPS, "finess": "750000003"}, "finess"),
        (str(ANNE), {"rpps": RPPS, "display_name": "Dr\r\nBcc: x@y.fr"}, "display_name"),
        (str(ANNE), {"rpps": RPPS, "display_name": "x" * 300}, "display_name"),
    ],
)
async def test_what_cannot_be_a_mailbox_is_refused(
    desk: Mailboxes, address: str, facts: dict[str, Any], field: str
) -> None:
    """A mistyped number would be published under a colleague's name."""
    with pytest.raises(InvalidRequestError) as refusal:
        await desk.open(MailAddress.parse(address), kind=MailboxKind.PER, **facts)

    assert refusal.value.field == field
    assert await desk.list() == []


async def test_an_address_is_never_given_again(desk: Mailboxes) -> None:
    """A letter must not reach another person than the one it was meant for."""
    await desk.open(ANNE, kind=MailboxKind.PER, rpps=RPPS)
    await desk.close(ANNE)

    with pytest.raises(ConflictError):
        await desk.open(ANNE, kind=MailboxKind.PER, rpps=RPPS)
    with pytest.raises(NotFoundError):
        await desk.close(ANNE)


async def test_rights_are_delegated_and_taken_back(desk: Mailboxes) -> None:
    """A secretary reads the shared mailbox as long as the doctor wants."""
    await desk.open(ANNE, kind=MailboxKind.PER, rpps=RPPS)
    accounts = Accounts(database=desk.database, clock=desk.clock, chain="c1")
    secretary = await accounts.add("secretary", password=None)

    await desk.delegate(ANNE, "secretary", frozenset({Right.READ}))
    given = await desk.database.read(lambda c: mailboxes.rights_of(c, secretary.id))
    await desk.delegate(ANNE, "secretary", frozenset())
    left = await desk.database.read(lambda c: mailboxes.rights_of(c, secretary.id))

    assert given == {ANNE.key: {Right.READ}}
    assert left == {}
    assert (await journal(desk)).count("mailbox-delegated") == 2


async def test_nothing_is_done_to_what_does_not_exist(desk: Mailboxes) -> None:
    """Each answer names what was missing."""
    with pytest.raises(NotFoundError):
        await desk.get(ANNE)
    with pytest.raises(NotFoundError):
        await desk.set_quota(ANNE, 1)
    with pytest.raises(NotFoundError):
        await desk.delegate(ANNE, "anne", frozenset())
    await desk.open(ANNE, kind=MailboxKind.PER, rpps=RPPS)
    with pytest.raises(NotFoundError):
        await desk.delegate(ANNE, "nobody", frozenset())
