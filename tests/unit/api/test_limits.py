"""Bounds, security fields, HEAD and the log line of every request."""

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_admin_app, create_app
from mss.errors import StoreUnavailableError
from tests.support.api_fakes import ANNE, LETTER_ID, MESSAGE_LIMIT, PAUL, TOKEN, FakeServices
from tests.unit.api.conftest import a_client

MESSAGES = f"/v1/mailboxes/{ANNE}/messages"
CEILING = MESSAGE_LIMIT + 1024 * 1024
MAIL = {"Content-Type": "message/rfc822"}


class Source:
    """A body that counts how much of it was taken."""

    def __init__(self, chunks: int, size: int = 64 * 1024) -> None:
        self.chunks = chunks
        self.size = size
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.chunks):
            self.taken += self.size
            yield bytes(self.size)


async def test_a_body_is_not_read_beyond_its_limit(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """Without a declared length it is counted as it comes, and the rest is never taken."""
    source = Source(chunks=1000)
    answer = await client.post(MESSAGES, content=source, headers=MAIL)

    assert (answer.status_code, answer.json()["code"]) == (413, "request-too-large")
    assert source.taken <= CEILING + 2 * source.size
    assert services.drafting.raw == []


async def test_a_body_that_says_it_is_too_large_is_not_read_at_all(
    client: httpx.AsyncClient,
) -> None:
    """The answer comes before the first octet is asked for."""
    source = Source(chunks=1000)
    headers = {**MAIL, "Content-Length": str(CEILING + 1)}
    answer = await client.post(MESSAGES, content=source, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (413, "request-too-large")
    assert source.taken <= 2 * source.size


async def test_a_body_of_the_limit_is_read(client: httpx.AsyncClient) -> None:
    """The limit itself is allowed."""
    answer = await client.post(MESSAGES, content=bytes(CEILING), headers=MAIL)

    assert answer.status_code == 202


async def test_a_body_that_lies_about_its_length_is_counted(client: httpx.AsyncClient) -> None:
    """A server in front may pass on a wrong length."""
    headers = {**MAIL, "Content-Length": "1"}
    answer = await client.post(MESSAGES, content=Source(chunks=100), headers=headers)

    assert answer.status_code == 413


async def test_a_small_request_may_not_be_large(client: httpx.AsyncClient) -> None:
    """Asking about recipients needs no megabyte."""
    body = b'{"addresses": ["' + b"a" * 300_000 + b'"]}'
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/v1/recipients/check", content=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (413, "request-too-large")


async def test_a_query_has_a_bound(client: httpx.AsyncClient) -> None:
    """Millions of unknown parameters would each be looked at."""
    answer = await client.get(f"{MESSAGES}?{'a=&' * 20_000}")

    assert (answer.status_code, answer.json()["code"]) == (414, "address-too-long")


async def test_a_body_that_does_not_come_is_not_waited_for_for_ever(
    services: FakeServices,
) -> None:
    """Whoever sends one octet a minute must not hold a place for days."""
    limits = services.settings.limits.model_copy(update={"data_seconds": 0.05})
    services.settings = services.settings.model_copy(update={"limits": limits})

    async def stalling() -> AsyncIterator[bytes]:
        yield b"From: a@b.fr"
        await asyncio.Event().wait()

    async with a_client(create_app(services.as_services()), token=TOKEN) as client:
        answer = await client.post(MESSAGES, content=stalling(), headers=MAIL)

    assert (answer.status_code, answer.json()["code"]) == (408, "request-timeout")
    assert services.drafting.raw == []


async def test_a_strangers_body_is_not_read(stranger: httpx.AsyncClient) -> None:
    """Only who is known can make the server take anything in."""
    source = Source(chunks=4)
    answer = await stranger.post(MESSAGES, content=source, headers=MAIL)

    assert answer.status_code == 401
    # The transport of the test gives the first chunk before it is asked.
    assert source.taken <= source.size


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, identity", "x"])
async def test_a_compressed_body_is_refused(client: httpx.AsyncClient, coding: str) -> None:
    """A thousand octets could stand for a gigabyte; nothing is inflated."""
    headers = {**MAIL, "Content-Encoding": coding}
    answer = await client.post(MESSAGES, content=b"\x1f\x8b", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")
    assert answer.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    "path", ["/v1/mailboxes", "/v1/nothing", "/health/live", f"/v1/messages/{LETTER_ID}/raw"]
)
async def test_every_answer_carries_the_security_fields(
    client: httpx.AsyncClient, path: str
) -> None:
    """Also those that the framework gives."""
    headers = (await client.get(path)).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "Access-Control-Allow-Origin" not in headers


async def test_each_request_has_an_identifier_of_its_own(client: httpx.AsyncClient) -> None:
    """It joins an answer to a line of the log; what the client sends is not used for that."""
    forged = {"X-Request-Id": "forged"}
    first = await client.get("/health/live", headers=forged)
    second = await client.get("/health/live", headers=forged)

    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]
    assert "forged" not in first.headers["X-Request-Id"]


@pytest.mark.parametrize("path", ["/v1/mailboxes", f"/v1/messages/{LETTER_ID}/raw", "/docs", "/"])
async def test_head_answers_as_get_without_a_body(client: httpx.AsyncClient, path: str) -> None:
    """RFC 9110, 9.1: all servers support HEAD."""
    whole, head = await client.get(path), await client.head(path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"]


async def test_the_log_tells_the_route_and_no_secret(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """No address, no token, no search, no cursor: the pattern of the route is enough."""
    caplog.set_level(logging.DEBUG, logger="api")
    await client.get(f"/v1/mailboxes/{PAUL}/messages?cursor=canary")
    await client.get("/v1/directory/search?q=canary")
    await client.get("/canary")
    await client.request("CANARY", "/v1/mailboxes")
    lines = [record.getMessage() for record in caplog.records if record.name == "api.access"]

    assert [line.split(" octets")[0].rsplit(" ", 1)[0] for line in lines] == [
        "GET /v1/mailboxes/{address}/messages 404 not-found",
        "GET /v1/directory/search 200 -",
        "GET - 404 not-found",
        "? /v1/mailboxes 405 method-not-allowed",
    ]
    assert TOKEN not in caplog.text
    assert PAUL not in caplog.text
    assert "canary" not in caplog.text.lower().replace("?", "")


async def test_an_unforeseen_error_is_answered_and_logged_without_its_words(
    client: httpx.AsyncClient, services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    """Its message may quote a subject; where it happened is enough to mend it."""
    services.reading.trouble = RuntimeError("Madame PAT-TROIS has a secret")
    answer = await client.get(f"/v1/messages/{LETTER_ID}")

    assert answer.status_code == 500
    assert answer.json() == {
        "type": "/docs#problem-internal",
        "title": "Internal",
        "status": 500,
        "detail": "The server had an internal problem.",
        "code": "internal",
        "detail_fr": "Le serveur a rencontré un problème interne.",
        "next_step": "Try again later; tell the administrator if it lasts.",
        "retryable": True,
    }
    assert "X-Content-Type-Options" in answer.headers
    assert "RuntimeError" in caplog.text
    assert "_fail" in caplog.text
    assert "PAT-TROIS" not in caplog.text


async def test_trouble_of_the_server_is_logged_by_its_kind(
    client: httpx.AsyncClient, services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    """The facts of an error may hold a row of the database."""
    services.reading.trouble = StoreUnavailableError(reason="INSERT 'PAT-TROIS'")
    answer = await client.get("/v1/mailboxes")

    assert answer.status_code == 503
    assert "store-unavailable" in caplog.text
    assert "PAT-TROIS" not in caplog.text + answer.text


async def test_an_answer_that_breaks_off_is_not_completed(
    app: FastAPI, services: FakeServices
) -> None:
    """A second answer after the first octets would be taken for the rest of the file."""
    started = []

    async def broken_send(message: dict[str, object]) -> None:
        started.append(message["type"])
        raise OSError("gone")

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/health/live",
        "scheme": "https",
        "query_string": b"",
        "headers": [],
    }
    await app(scope, receive, broken_send)  # type: ignore[arg-type]

    assert started == ["http.response.start"]


async def test_an_administrators_application_shows_no_mailbox(services: FakeServices) -> None:
    """Its listener has other neighbours; health is all it offers today."""
    async with a_client(create_admin_app(services.as_services()), token=TOKEN) as client:
        assert (await client.get("/v1/mailboxes")).status_code == 404
        assert (await client.get("/health/live")).status_code == 200
