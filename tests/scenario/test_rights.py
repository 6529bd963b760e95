"""Whose letters are whose: each route of the API, asked by the wrong person."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from api.app import create_app
from tests.support.letter_requests import a_letter_request
from tests.support.operators import (
    ACCOUNT,
    HOSPITAL,
    NEIGHBOUR,
    SECRETARY,
    AddressBook,
    Ground,
    Home,
    Running,
    Software,
    accepted_id,
    compose,
    note,
    operating,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
MAILBOX = "/v1/mailboxes/{address}"
MESSAGE = "/v1/messages/{message_id}"
# Every route that names something, and what to send along.
NAMING: dict[tuple[str, str], object] = {
    ("GET", MAILBOX): None,
    ("GET", f"{MAILBOX}/messages"): None,
    ("POST", f"{MAILBOX}/messages"): {"to": [HOSPITAL.red_list], "subject": "x", "text": "x"},
    ("POST", f"{MAILBOX}/letters"): a_letter_request(HOSPITAL.red_list),
    ("PATCH", f"{MAILBOX}/messages"): {"ids": ["0" * 32], "add_flags": ["seen"]},
    ("GET", MESSAGE): None,
    ("GET", f"{MESSAGE}/raw"): None,
    ("GET", f"{MESSAGE}/parts/{{path}}"): None,
    ("GET", f"{MESSAGE}/documents"): None,
    ("GET", f"{MESSAGE}/documents/{{number}}"): None,
    ("GET", f"{MESSAGE}/documents/{{number}}/{{form}}"): None,
    ("GET", f"{MESSAGE}/tracking"): None,
}
# Those that name nothing of anybody's.
GENERAL: dict[tuple[str, str], object] = {
    ("GET", "/v1/mailboxes"): None,
    ("POST", "/v1/recipients/check"): {"addresses": [HOSPITAL.mailbox]},
    ("GET", "/v1/directory/search"): None,
    ("GET", "/v1/directory/practitioners/{rpps}"): None,
    ("GET", "/v1/directory/organizations/{identifier}"): None,
    ("POST", "/v1/hl7"): None,
    ("OPTIONS", "/v1/uploads"): None,
    ("POST", "/v1/uploads"): None,
}
# Drafts and uploads: the wrong person asks in tests/integration/drafts, each of these routes.
DRAFT = f"{MAILBOX}/drafts/{{draft_id}}"
UPLOAD = "/v1/uploads/{upload_id}"
ELSEWHERE = {
    *(("GET", f"{MAILBOX}/drafts"), ("POST", f"{MAILBOX}/drafts")),
    *(("GET", DRAFT), ("PUT", DRAFT), ("DELETE", DRAFT)),
    *(("POST", f"{DRAFT}/send"), ("DELETE", f"{DRAFT}/schedule")),
    *(("GET", UPLOAD), ("PATCH", UPLOAD), ("DELETE", UPLOAD)),
}
routes = pytest.mark.parametrize(("method", "path"), NAMING, ids=[" ".join(one) for one in NAMING])


@dataclass(frozen=True, slots=True)
class House:
    """A hospital in which one letter lies, and three accounts that look at it."""

    running: Running
    message_id: str
    owner: Software
    neighbour: Software
    secretary: Software

    def path(self, template: str) -> str:
        """Fill in the names of the letter and its mailbox."""
        return template.format(
            address=HOSPITAL.mailbox,
            message_id=self.message_id,
            path="2",
            number=1,
            form="html",
            rpps="99000000028",
            identifier="750000002",
            draft_id="0" * 32,
            upload_id="0" * 32,
        )


@pytest.fixture(scope="module")
def home(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The hospital of these tests."""
    return ground.copy(HOSPITAL, tmp_path_factory.mktemp("rights"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(home: Home) -> AsyncIterator[House]:
    """A letter from the cardiologists to themselves: it lies in their Inbox and in Sent."""
    async with operating(home, book=AddressBook()) as running:
        owner, neighbour, secretary = (
            Software(home, running.ports, account=name) for name in (ACCOUNT, NEIGHBOUR, SECRETARY)
        )
        async with owner, neighbour, secretary:
            raw = compose(HOSPITAL.mailbox, HOSPITAL.mailbox)
            sent = accepted_id(await owner.submit(raw, HOSPITAL.mailbox))
            yield House(running, sent, owner, neighbour, secretary)


async def ask(house: House, who: Software, method: str, path: str) -> httpx.Response:
    """Ask a route about that letter."""
    body = {**NAMING, **GENERAL}[method, path]
    return await who.http.request(method, house.path(path), json=body)


async def test_every_route_is_in_these_tables(house: House) -> None:
    """A new route must be tried by the wrong person too."""
    document = create_app(house.running.operator.services).openapi()
    found = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith("/v1/")
    }

    assert found == set(NAMING) | set(GENERAL) | ELSEWHERE


@pytest.mark.slow
@routes
async def test_what_is_somebody_elses_does_not_exist(house: House, method: str, path: str) -> None:
    """404 and never 403: that there is something is nobody's business."""
    before = await house.running.count()

    stranger = await ask(house, house.neighbour, method, path)

    assert (stranger.status_code, stranger.json()["code"]) == (404, "not-found")
    assert stranger.headers["content-type"] == "application/problem+json"
    assert await house.running.count() == before


@pytest.mark.slow
@routes
async def test_the_owner_is_answered(house: House, method: str, path: str) -> None:
    """What the refusals are measured against: the same questions have answers."""
    assert (await ask(house, house.owner, method, path)).status_code in {200, 202}


@pytest.mark.slow
async def test_somebody_elses_letter_cannot_be_marked_through_ones_own_mailbox(
    house: House,
) -> None:
    """The mailbox is one's own, the identifiers are not."""
    response = await house.neighbour.http.patch(
        f"/v1/mailboxes/{HOSPITAL.other}/messages",
        json={"ids": [house.message_id], "delete": True},
    )

    assert [one["status"] for one in response.json()["results"]] == ["not-found"]
    assert (await house.owner.http.get(f"/v1/messages/{house.message_id}")).status_code == 200


@pytest.mark.slow
async def test_a_list_holds_ones_own_mailboxes_only(house: House) -> None:
    """Nobody learns which other mailboxes there are."""
    listed = {
        name: [one["address"] for one in (await software.get("/v1/mailboxes"))["items"]]
        for name, software in (("neighbour", house.neighbour), ("secretary", house.secretary))
    }

    assert listed == {"neighbour": [HOSPITAL.other], "secretary": [HOSPITAL.mailbox]}


@pytest.mark.slow
@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer wrong", "Bearer mss_" + "x" * 43, "Basic bG9naWNpZWw6eA==", "Bearer", "é"],
)
async def test_without_a_right_token_every_route_says_the_same(
    house: House, authorization: str | None
) -> None:
    """401, the same words whatever was wrong, and how to log in."""
    fields = {b"Authorization": authorization.encode()} if authorization else {}
    answers = set()
    async with httpx.AsyncClient(
        base_url=house.owner.http.base_url, verify=house.owner.tls, trust_env=False
    ) as nobody:
        for method, path in {*NAMING, *GENERAL, *ELSEWHERE}:
            response = await nobody.request(method, house.path(path), headers=fields)
            answers.add((response.status_code, response.headers["WWW-Authenticate"], response.text))

    ((status, challenge, text),) = answers
    assert (status, challenge.startswith("Bearer")) == (401, True)
    assert '"not-authenticated"' in text


@pytest.mark.slow
async def test_a_secretary_reads_the_shared_mailbox(house: House) -> None:
    """The delegated right shows everything of that mailbox, and nothing of another."""
    (item,) = await house.secretary.listed()

    assert item["id"] == house.message_id
    assert (await ask(house, house.secretary, "GET", f"{MESSAGE}/documents")).status_code == 200
    other = await house.secretary.http.get(f"/v1/mailboxes/{HOSPITAL.red_list}/messages")
    assert other.status_code == 404


@pytest.mark.slow
async def test_a_secretary_does_not_send_from_it(house: House) -> None:
    """Reading is not writing: neither a draft nor a whole message leaves."""
    before = await house.running.count()

    draft = await ask(house, house.secretary, "POST", f"{MAILBOX}/messages")
    whole = await house.secretary.post(note(HOSPITAL.mailbox, HOSPITAL.red_list))

    for response in (draft, whole):
        # To write as it, there is no such mailbox.
        assert (response.status_code, response.json()["code"]) == (404, "not-found")
    assert await house.running.count() == before
