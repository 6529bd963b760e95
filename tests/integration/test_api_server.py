"""The API on a real socket, under the server that will run it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
import uvicorn

from api.app import create_app
from api.http_protocol import MAX_HEAD_OCTETS, BoundedProtocol
from mss.mailboxes.reading import PartContent
from tests.support.api_fakes import ANNE, LETTER_ID, RAW, TOKEN, FakeServices, fake_services

# Starting and stopping a server takes its time.
pytestmark = pytest.mark.slow

MESSAGES = f"/v1/mailboxes/{ANNE}/messages"
TIMEOUT = 20.0


class Serving:
    """A running server: its services, its port, and clients for it."""

    def __init__(self, services: FakeServices, port: int) -> None:
        self.services = services
        self.port = port

    def client(self, *, token: str | None = TOKEN) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=TIMEOUT
        )

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.close()


class ImpatientProtocol(BoundedProtocol):
    """The protocol of the real server, with less time for a head."""

    head_seconds = 0.15


@pytest.fixture
async def serving() -> AsyncIterator[Serving]:
    services = fake_services(message_octets=256 * 1024)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            create_app(services.as_services()),
            http=ImpatientProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
        )
        server = uvicorn.Server(config)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            yield Serving(services, listener.getsockname()[1])
            server.should_exit = True


def head(method: str, path: str, *fields: str, token: str = TOKEN) -> bytes:
    """Write the head of a request."""
    lines = (
        f"{method} {path} HTTP/1.1",
        "Host: api.test",
        f"Authorization: Bearer {token}",
        *fields,
        "",
        "",
    )
    return "\r\n".join(lines).encode()


async def read_head(reader: asyncio.StreamReader) -> str:
    """Read the head of an answer."""
    async with asyncio.timeout(TIMEOUT):
        return (await reader.readuntil(b"\r\n\r\n")).decode()


async def test_a_letter_is_sent_and_read_over_a_socket(serving: Serving) -> None:
    """The whole of a client's day, on one connection."""
    async with serving.client() as client:
        sent = await client.post(MESSAGES, json={"to": ["a@b.fr"], "subject": "été"})
        listed = await client.get(f"/v1/mailboxes/{ANNE.upper().replace('@', '%40')}/messages")
        raw = await client.get(f"/v1/messages/{LETTER_ID}/raw")

    assert sent.status_code == 202
    assert listed.json()["items"][0]["id"] == LETTER_ID
    assert raw.content == RAW


async def test_an_upload_that_is_too_large_is_refused_before_its_end(serving: Serving) -> None:
    """The refusal arrives while the client still sends; the rest has not been asked for."""
    fields = ("Content-Type: message/rfc822", "Transfer-Encoding: chunked")
    chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
    async with serving.connection() as (reader, writer):
        writer.write(head("POST", MESSAGES, *fields))
        writer.write(chunk * 24)
        await writer.drain()
        answer = await read_head(reader)

    assert answer.startswith("HTTP/1.1 413 ")
    assert serving.services.drafting.raw == []


async def test_an_upload_that_asks_first_is_refused_without_being_sent(serving: Serving) -> None:
    """`Expect: 100-continue` saves both sides the octets (RFC 9110, 10.1.1)."""
    fields = ("Content-Type: message/rfc822", "Content-Length: 999999999", "Expect: 100-continue")
    async with serving.connection() as (reader, writer):
        writer.write(head("POST", MESSAGES, *fields))
        answer = await read_head(reader)

    assert answer.startswith("HTTP/1.1 413 ")


async def test_a_stranger_who_asks_first_is_not_asked_to_go_on(serving: Serving) -> None:
    """Who is not known cannot make the server take a body in."""
    fields = ("Content-Type: message/rfc822", "Content-Length: 1000", "Expect: 100-continue")
    async with serving.connection() as (reader, writer):
        writer.write(head("POST", MESSAGES, *fields, token="nobody"))
        answer = await read_head(reader)

    assert answer.startswith("HTTP/1.1 401 ")


async def test_a_connection_survives_a_refusal(serving: Serving) -> None:
    """What was not read of the refused body is not taken for the next request."""
    body = b"GET /v1/mailboxes HTTP/1.1\r\nHost: smuggled\r\n\r\n"
    fields = ("Content-Type: message/rfc822", f"Content-Length: {len(body)}")
    async with serving.connection() as (reader, writer):
        writer.write(head("POST", MESSAGES, *fields, token="nobody") + body)
        first = await read_head(reader)
        await reader.readexactly(_length(first))
        writer.write(head("GET", "/health/live"))
        second = await read_head(reader)

    assert first.startswith("HTTP/1.1 401 ")
    assert second.startswith("HTTP/1.1 200 ")
    assert serving.services.accounts.asked == ["nobody"]


@pytest.mark.parametrize(
    "flood",
    [
        b"X-A: " + b"a" * 2000 + b"\r\n",
        b"a" * 2000,
    ],
    ids=["many fields", "one endless field"],
)
async def test_a_head_has_a_bound(serving: Serving, flood: bytes) -> None:
    """It is held in memory until it is complete, and nobody has logged in yet."""
    sent = 0
    async with serving.connection() as (reader, writer):
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: a\r\nX-B: c")
        with suppress(ConnectionError):
            async with asyncio.timeout(TIMEOUT):
                while not reader.at_eof():
                    writer.write(flood)
                    sent += len(flood)
                    await writer.drain()
                    await asyncio.sleep(0)

    assert MAX_HEAD_OCTETS < sent < 100 * MAX_HEAD_OCTETS


@pytest.mark.parametrize("begun", [b"", b"GET /health/live HTTP/1.1\r\nHost: a\r\n"])
async def test_a_head_that_does_not_come_is_not_waited_for(serving: Serving, begun: bytes) -> None:
    """Connections that only wait would use up all places (slowloris)."""
    async with serving.connection() as (reader, writer):
        writer.write(begun)
        async with asyncio.timeout(TIMEOUT):
            assert await reader.read() == b""


async def test_a_second_head_is_not_waited_for_either(serving: Serving) -> None:
    """The clock starts with each request of a connection."""
    async with serving.connection() as (reader, writer):
        writer.write(head("GET", "/health/live"))
        first = await read_head(reader)
        writer.write(b"GET /health")
        async with asyncio.timeout(TIMEOUT):
            rest = await reader.read()

    assert first.startswith("HTTP/1.1 200 ")
    assert len(rest) == _length(first)


async def test_head_leaves_the_connection_in_step(serving: Serving) -> None:
    """The length of the body is told, no octet of it is sent."""
    async with serving.connection() as (reader, writer):
        writer.write(head("HEAD", f"/v1/messages/{LETTER_ID}/raw"))
        first = await read_head(reader)
        writer.write(head("GET", "/health/live"))
        second = await read_head(reader)

    assert _length(first) == len(RAW)
    assert second.startswith("HTTP/1.1 200 ")


async def test_a_server_survives_an_unforeseen_error(serving: Serving) -> None:
    """One answer of 500, and the next request is served."""
    async with serving.client() as client:
        serving.services.reading.trouble = RuntimeError("boom")
        first = await client.get("/v1/mailboxes")
        serving.services.reading.trouble = None
        second = await client.get("/v1/mailboxes")

    assert (first.status_code, first.json()["code"]) == (500, "internal")
    assert second.status_code == 200


async def test_a_hostile_file_name_arrives_as_one_harmless_field(serving: Serving) -> None:
    """On the wire, where a line end would count."""
    serving.services.reading.part = PartContent(
        content_type="text/html\r\nX-Evil: 1", filename="a\r\nX-Evil: 1\r\n\r\n<b>é", octets=b"x"
    )
    async with serving.client() as client:
        answer = await client.get(f"/v1/messages/{LETTER_ID}/parts/3")

    assert "X-Evil" not in answer.headers
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.content == b"x"


async def test_a_client_that_leaves_during_its_upload_leaves_nothing(serving: Serving) -> None:
    """Half a message is no message."""
    fields = ("Content-Type: message/rfc822", "Content-Length: 100000")
    async with serving.connection() as (_, writer):
        writer.write(head("POST", MESSAGES, *fields) + b"From: a@b.fr\r\n")
        await writer.drain()
    async with serving.client() as client:
        answer = await client.get("/v1/mailboxes")

    assert answer.status_code == 200
    assert serving.services.drafting.raw == []


def _length(answer: str) -> int:
    fields: dict[str, Any] = dict(
        line.lower().split(": ", 1) for line in answer.split("\r\n")[1:] if line
    )
    return int(fields["content-length"])
