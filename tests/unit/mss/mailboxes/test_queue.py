"""What an administrator does with the queue, by the desk and over HTTP."""

from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from api.app import create_admin_app
from mss.errors import ConflictError, NotFoundError
from mss.mailboxes.queue import QueueDesk
from mss.model.delivery import Deferred, Delivery, DeliveryState, Station
from mss.model.principal import AccountPrincipal
from mss.settings import AdministrationSettings
from mss.store import tables
from tests.support.clock import FixedClock
from tests.support.factories import WARD, InProcessOperator, Pair, a_letter, a_pair

AWAY = Deferred(
    code="starttls-missing", detail="no STARTTLS", host="mx.peer.fr:25", is_general=True
)
ACTOR = "administrator:essai"


async def waiting(pair: Pair, ward: AccountPrincipal) -> tuple[QueueDesk, Delivery]:
    """Let a letter wait for a peer that is away."""
    pair.hospital.relay.answers += [AWAY] * 5
    await pair.hospital.submit(ward, a_letter())
    await pair.hospital.work()
    desk = pair.hospital.services.queue
    (delivery,) = await desk.list_deliveries([DeliveryState.QUEUED], limit=9)
    return desk, delivery


async def journal(operator: InProcessOperator) -> list[tuple[str, str]]:
    """Name the events that somebody has made, and who."""
    rows = await operator.database.read(
        lambda c: c.execute(select(tables.audit.c.name, tables.audit.c.actor)).all()
    )
    return [(row.name, row.actor) for row in rows if row.actor == ACTOR]


async def test_a_letter_is_shown_with_its_timeline_and_its_destination(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """Why it waits, since when, and when it is tried again."""
    desk, delivery = await waiting(pair, ward)

    shown = await desk.get_delivery(delivery.id)

    assert [one.station for one in shown.events] == [Station.ACCEPTED, Station.DEFERRED]
    assert (shown.events[1].code, shown.events[1].host) == ("starttls-missing", "mx.peer.fr:25")
    assert shown.destination is not None
    assert shown.destination.failures == 1
    assert await desk.list_destinations(limit=9) == [shown.destination]


async def test_a_held_letter_waits_until_it_is_released(pair: Pair, ward: AccountPrincipal) -> None:
    """However late it becomes; then it goes at once."""
    desk, delivery = await waiting(pair, ward)
    pair.hospital.relay.answers.clear()
    await desk.hold(delivery.id, actor=ACTOR)
    pair.hospital.clock.advance(days=5)
    await pair.settle()
    assert (await desk.get_delivery(delivery.id)).delivery.state is DeliveryState.HELD

    await desk.retry(delivery.id, actor=ACTOR)
    await pair.settle()

    assert (await desk.get_delivery(delivery.id)).delivery.state is DeliveryState.DELIVERED


async def test_retrying_asks_a_closed_destination_at_once(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """An administrator who has telephoned knows more than the schedule."""
    desk, delivery = await waiting(pair, ward)
    pair.hospital.relay.answers.clear()

    await desk.retry(delivery.id, actor=ACTOR)
    await pair.hospital.work()

    assert (await desk.get_delivery(delivery.id)).delivery.state is DeliveryState.RELAYED
    assert await desk.list_destinations(limit=9) == []


async def test_dropping_a_letter_tells_its_sender(pair: Pair, ward: AccountPrincipal) -> None:
    """Nobody waits for an answer that cannot come."""
    desk, delivery = await waiting(pair, ward)

    dropped = await desk.drop(delivery.id, actor=ACTOR)
    await pair.settle()

    assert dropped.state is DeliveryState.DROPPED
    newest, _ = await pair.hospital.letters("ward", WARD)
    told = await pair.hospital.blobs.get(newest.message.blob_ref)
    assert b"Action: failed" in told
    assert b"X-MSS-Reason: dropped" in told


async def test_a_letter_under_way_is_not_dropped(pair: Pair, ward: AccountPrincipal) -> None:
    """It may be on the other side already."""
    await pair.hospital.submit(ward, a_letter())
    services = pair.hospital.services
    (parcel,) = await services.delivering.claim(slots=1, under_way={}, proven=())
    name = parcel.deliveries[0].id

    with pytest.raises(ConflictError):
        await services.queue.drop(name, actor=ACTOR)
    await services.queue.hold(name, actor=ACTOR)
    await services.delivering.deliver(parcel)

    assert (await services.queue.get_delivery(name)).delivery.state is DeliveryState.RELAYED


async def test_every_change_names_who_made_it(pair: Pair, ward: AccountPrincipal) -> None:
    """An auditor asks who dropped the letter."""
    desk, delivery = await waiting(pair, ward)

    await desk.hold(delivery.id, actor=ACTOR)
    await desk.retry(delivery.id, actor=ACTOR)
    await desk.drop(delivery.id, actor=ACTOR)
    with pytest.raises(ConflictError):
        await desk.hold(delivery.id, actor=ACTOR)
    with pytest.raises(NotFoundError):
        await desk.hold("absent", actor=ACTOR)

    names = [name for name, _ in await journal(pair.hospital)]
    assert sorted(names) == ["delivery-dropped", "delivery-held", "delivery-retried"]


# Over HTTP


async def ask(
    operator: InProcessOperator, method: str, path: str, *, account: str
) -> httpx.Response:
    """Ask the administration application."""
    token = await operator.services.accounts.issue_token(account)
    transport = httpx.ASGITransport(app=create_admin_app(operator.services))
    async with httpx.AsyncClient(transport=transport, base_url="http://admin.test") as client:
        return await client.request(
            method, f"/v1/admin/queue{path}", headers={"Authorization": f"Bearer {token}"}
        )


async def test_an_administrator_holds_and_drops_over_http(homes: Path, clock: FixedClock) -> None:
    """The same desk, the same rules, the account in the journal."""
    named = AdministrationSettings(accounts=("lab",))
    async with a_pair(homes, clock, administration=named) as pair:
        operator = pair.hospital
        _, delivery = await waiting(pair, await operator.log_in("ward"))

        listed = await ask(operator, "GET", "?state=queued", account="lab")
        shown = await ask(operator, "GET", f"/{delivery.id}", account="lab")
        closed = await ask(operator, "GET", "/destinations", account="lab")
        held = await ask(operator, "POST", f"/{delivery.id}/hold", account="lab")
        retried = await ask(operator, "POST", f"/{delivery.id}/retry", account="lab")
        dropped = await ask(operator, "POST", f"/{delivery.id}/drop", account="lab")
        again = await ask(operator, "POST", f"/{delivery.id}/drop", account="lab")
        absent = await ask(operator, "GET", f"/{'0' * 32}", account="lab")

    assert [one["id"] for one in listed.json()["items"]] == [delivery.id]
    assert shown.json()["events"][1]["host"] == "mx.peer.fr:25"
    assert closed.json()["items"][0]["code"] == "starttls-missing"
    states = [one.json()["state"] for one in (held, retried, dropped)]
    assert states == ["held", "queued", "dropped"]
    assert (again.status_code, absent.status_code) == (409, 404)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("GET", "/destinations"), ("POST", f"/{'0' * 32}/drop")]
)
async def test_other_accounts_are_turned_away(
    homes: Path, clock: FixedClock, method: str, path: str
) -> None:
    """Who may write letters may not look at the queue of all."""
    async with a_pair(homes, clock) as pair:
        response = await ask(pair.hospital, method, path, account="ward")

    assert (response.status_code, response.json()["code"]) == (403, "not-administrator")
