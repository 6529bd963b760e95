"""Who may call."""

import httpx
import pytest

from api.description import load_document
from tests.support.api_fakes import (
    ANNE,
    LETTER_ID,
    PAUL,
    PAULS_LETTER_ID,
    TOKEN,
    FakeServices,
)

OPERATIONS = [
    (method, path)
    for path, methods in load_document()["paths"].items()
    for method in methods
    if path.startswith("/v1/")
]
BAD_CREDENTIALS = [
    "Bearer unknown",
    "Bearer",
    "Bearer ",
    "Basic YW5uZTphbm5l",
    f"Token {TOKEN}",
    f"Bearer {TOKEN} {TOKEN}",
    f"Bearer {TOKEN}\x00",
    "Bearer " + "a" * 5000,
    "Bearer =",
    TOKEN,
]


async def test_a_known_token_opens_the_door(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """The token is handed on as it was, without its scheme."""
    answer = await client.get("/v1/mailboxes")

    assert answer.status_code == 200
    assert services.accounts.asked == [TOKEN]


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer  "])
async def test_the_scheme_is_read_in_any_case(stranger: httpx.AsyncClient, scheme: str) -> None:
    """Schemes are case-insensitive (RFC 9110, 11.1)."""
    headers = {"Authorization": f"{scheme} {TOKEN}"}

    assert (await stranger.get("/v1/mailboxes", headers=headers)).status_code == 200


@pytest.mark.parametrize("credentials", BAD_CREDENTIALS)
async def test_all_bad_credentials_get_one_and_the_same_answer(
    stranger: httpx.AsyncClient, credentials: str
) -> None:
    """The answer must not tell a missing token from a wrong or expired one."""
    missing = await stranger.get("/v1/mailboxes")
    wrong = await stranger.get("/v1/mailboxes", headers={b"Authorization": credentials.encode()})

    assert (wrong.status_code, wrong.content) == (401, missing.content)
    assert wrong.headers["WWW-Authenticate"] == 'Bearer realm="mss"'
    assert wrong.json()["code"] == "not-authenticated"


async def test_two_credentials_are_none(stranger: httpx.AsyncClient) -> None:
    """A proxy and we could each believe another one of them."""
    both = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer other")]

    assert (await stranger.get("/v1/mailboxes", headers=both)).status_code == 401


async def test_a_token_in_the_address_is_not_believed(stranger: httpx.AsyncClient) -> None:
    """Addresses end in logs and histories (RFC 6750, 2.3)."""
    assert (await stranger.get(f"/v1/mailboxes?access_token={TOKEN}")).status_code == 401


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_every_route_of_the_api_asks_for_a_token(
    stranger: httpx.AsyncClient, method: str, path: str
) -> None:
    """Generated from the description, so a new route cannot be forgotten."""
    url = _fill(path, address=ANNE, message_id=LETTER_ID)
    answer = await stranger.request(method, url, content=b"{}")

    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("method", "path"), [one for one in OPERATIONS if "{address}" in one[1] or "{message" in one[1]]
)
async def test_what_belongs_to_somebody_else_does_not_exist(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    """404 with the body of something that exists nowhere: nothing can be enumerated."""
    theirs = _fill(path, address=PAUL, message_id=PAULS_LETTER_ID)
    nobodys = _fill(path, address="nobody@nowhere.fr", message_id="0" * 32)
    body = {
        "patch": f'{{"ids": ["{PAULS_LETTER_ID}"], "delete": true}}',
        "post": "{}" if path.endswith("/send") else '{"to": ["a@b.fr"]}',
        "put": '{"to": ["a@b.fr"]}',
    }
    headers = {"Content-Type": "application/json"}

    answer = await client.request(method, theirs, headers=headers, content=body.get(method))
    other = await client.request(method, nobodys, headers=headers, content=body.get(method))

    assert (answer.status_code, answer.content) == (404, other.content)
    assert answer.json()["code"] == "not-found"


def _fill(path: str, *, address: str, message_id: str) -> str:
    return path.format(
        address=address,
        message_id=message_id,
        draft_id=message_id,
        upload_id=message_id,
        path="3",
        number="1",
        form="xml",
        rpps="1" * 11,
        identifier="1" * 9,
    )
