"""Searching the directory."""

from typing import Any

import httpx
import pytest

from directory.errors import CursorExpiredError, CursorSyntaxError
from directory.search import SearchQuery
from mss.errors import StoreUnavailableError
from tests.support.api_fakes import ANNE, FakeServices

SEARCH = "/v1/directory/search"


async def test_a_line_shows_the_person_and_the_mailbox_to_prefer(
    client: httpx.AsyncClient,
) -> None:
    """All that a person needs to choose a recipient."""
    answer = await client.get(SEARCH, params={"q": "essai"})
    page = answer.json()
    (item,) = page["items"]

    assert item["display_name"] == "Dr Anne ESSAI-LEROUX"
    assert item["match"] == "exact"
    assert item["practitioner"]["rpps"] == "99900000009"
    assert item["mailbox"]["address"] == ANNE
    assert item["mailbox"]["kind"] == "PER"
    assert (page["total"], page["total_is_exact"], page["next"]) == (41, True, "1.20")
    assert answer.headers["Link"] == f'<{SEARCH}?q=essai&cursor=1.20>; rel="next"'


async def test_every_filter_is_passed_on(client: httpx.AsyncClient, services: FakeServices) -> None:
    """Each one under its own name."""
    texts: dict[str, Any] = {
        "family": "essai",
        "given": "anne",
        "city": "lyon",
        "postcode": "69",
        "department": "69",
        "organization": "ch",
        "street": "rue",
        "profession": "10",
        "speciality": "SM04",
        "mailbox_kind": "PER",
        "cursor": "1.20",
    }
    await client.get(SEARCH, params={"q": "x", "with_mailbox": "true", "limit": 5, **texts})

    assert services.directory.queries == [
        SearchQuery(text="x", with_mailbox=True, limit=5, **texts)
    ]


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=101", "q=" + "x" * 201, "with_mailbox=si", "nom=essai"),
        *("near=x", "near=91,2", "near=1,181", "radius_km=0", "radius_km=201", "sort=name"),
    ],
)
async def test_a_wrong_filter_is_refused(client: httpx.AsyncClient, query: str) -> None:
    """A filter that we do not know would widen the result in silence."""
    answer = await client.get(f"{SEARCH}?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        (CursorSyntaxError(), 422, "invalid-request"),
        (CursorExpiredError(), 410, "cursor-expired"),
    ],
)
async def test_a_cursor_that_is_over_is_told_from_a_wrong_one(
    client: httpx.AsyncClient, services: FakeServices, trouble: Exception, status: int, code: str
) -> None:
    """The directory is replaced every night, and software must then begin again."""
    services.directory.trouble = trouble
    answer = await client.get(f"{SEARCH}?cursor=x")

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_professional_is_found_by_number(client: httpx.AsyncClient) -> None:
    """As one line of a search, so that software reads one shape."""
    answer = await client.get("/v1/directory/practitioners/99900000009")

    assert answer.json()["practitioner"]["family"] == "ESSAI-LEROUX"


@pytest.mark.parametrize("rpps", ["99900000017", "essai", "1", "9" * 12, "9990000000x", "%00"])
async def test_a_number_of_nobody_is_not_found(
    client: httpx.AsyncClient, services: FakeServices, rpps: str
) -> None:
    """A name in its place must not become a search."""
    answer = await client.get(f"/v1/directory/practitioners/{rpps}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_a_structure_is_described_by_its_number(client: httpx.AsyncClient) -> None:
    """A hospital is written to by way of its services."""
    answer = await client.get("/v1/directory/organizations/750000002")

    assert (answer.status_code, answer.json()["organization"]["name"]) == (200, "CH DEMO")


@pytest.mark.parametrize(
    ("identifier", "status"),
    [("750000010", 404), ("ch%20demo", 422), ("x" * 65, 422), ("%00", 422)],
)
async def test_a_structure_that_nobody_knows_is_not_found(
    client: httpx.AsyncClient, identifier: str, status: int
) -> None:
    """What cannot be a number is told from the number of nobody."""
    answer = await client.get(f"/v1/directory/organizations/{identifier}")

    assert answer.status_code == status


async def test_an_index_that_is_being_made_is_asked_again_later(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """Software waits as long as it is told to."""
    services.directory.trouble = StoreUnavailableError(reason="directory-search-not-ready")
    answer = await client.get(f"{SEARCH}?q=essai")

    assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")
    assert int(answer.headers["Retry-After"]) > 0
