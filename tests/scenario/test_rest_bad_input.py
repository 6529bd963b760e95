"""Bad requests to the real REST door: a problem with a stable code, and nothing stored."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import httpx
import pytest
import pytest_asyncio

from tests.support.operators import (
    HOSPITAL,
    AddressBook,
    Ground,
    Home,
    Running,
    Software,
    note,
    operating,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
READER = HOSPITAL.red_list
MESSAGES = f"/v1/mailboxes/{HOSPITAL.mailbox}/messages"
JSON = {"Content-Type": "application/json"}
RFC822 = {"Content-Type": "message/rfc822"}
LIMIT = 2**20
GOOD = {"to": [READER], "subject": "Essai", "text": "Bonjour."}


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A hospital that takes small messages only, and its software."""

    running: Running
    writer: Software


@pytest.fixture(scope="module")
def home(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A hospital that takes small messages only."""
    folder = tmp_path_factory.mktemp("rest")
    return ground.copy(HOSPITAL, folder, {"limits": {"message_octets": LIMIT}})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_house(home: Home) -> AsyncIterator[House]:
    """That hospital, open for all of these tests."""
    async with (
        operating(home, book=AddressBook()) as running,
        Software(home, running.ports) as writer,
    ):
        yield House(running=running, writer=writer)


@pytest_asyncio.fixture(loop_scope="module")
async def house(open_house: House) -> AsyncIterator[House]:
    """The same; after each test an ordinary draft still passes."""
    yield open_house
    assert (await open_house.writer.http.post(MESSAGES, json=GOOD)).status_code == 202


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """A request, and the problem that it gets."""

    status: int
    code: str
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"
    path: str = MESSAGES


BAD = {
    "unknown mailbox": Bad(
        status=404,
        code="not-found",
        path=f"/v1/mailboxes/personne@{HOSPITAL.domain}/messages",
        content=b'{"to": ["a@b.fr"]}',
        headers=JSON,
    ),
    "somebody else's mailbox": Bad(
        status=404,
        code="not-found",
        path=f"/v1/mailboxes/{HOSPITAL.other}/messages",
        content=note(HOSPITAL.other, READER),
        headers=RFC822,
    ),
    "From of somebody else": Bad(
        status=403,
        code="sender-not-allowed",
        content=note(HOSPITAL.other, READER),
        headers=RFC822,
    ),
    "malformed JSON": Bad(status=400, code="malformed-json", content=b'{"to": [', headers=JSON),
    "JSON that is not UTF-8": Bad(
        status=400, code="malformed-json", content=b'{"to": ["\xff"]}', headers=JSON
    ),
    "JSON nested without end": Bad(
        status=422, code="json-too-complex", content=b"[" * 100_000, headers=JSON
    ),
    "not the JSON that is wanted": Bad(
        status=422, code="invalid-request", content=b'{"too": []}', headers=JSON
    ),
    "bare line ends": Bad(
        status=422,
        code="message-syntax",
        content=note(HOSPITAL.mailbox, READER).replace(b"Bonjour.", b"one\ntwo"),
        headers=RFC822,
    ),
    "a second From": Bad(
        status=422,
        code="message-syntax",
        content=b"From: <x@example.org>\r\n" + note(HOSPITAL.mailbox, READER),
        headers=RFC822,
    ),
    "not a message": Bad(
        status=422, code="message-syntax", content=b"\x00\xff" * 100, headers=RFC822
    ),
    "oversize": Bad(
        status=413, code="message-too-large", content=b"x" * (LIMIT + 1), headers=RFC822
    ),
    "far too large": Bad(
        status=413, code="request-too-large", content=b"x" * (LIMIT * 4), headers=RFC822
    ),
    "too large a draft": Bad(
        status=413,
        code="message-too-large",
        content=b'{"to": ["%s"], "text": "%s"}' % (READER.encode(), b"x\\r\\n" * (LIMIT // 3)),
        headers=JSON,
    ),
    "another type": Bad(
        status=415,
        code="unsupported-media-type",
        content=b"<x/>",
        headers={"Content-Type": "text/xml"},
    ),
    "no such resource": Bad(status=404, code="not-found", path="/v1/nothing", method="GET"),
    "no such method": Bad(status=405, code="method-not-allowed", method="DELETE"),
}


@pytest.mark.slow
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_a_bad_request_gets_its_problem(house: House, bad: Bad) -> None:
    """Software branches on the code; a person reads the sentence."""
    before = await house.running.count()

    response = await house.writer.http.request(
        bad.method, bad.path, content=bad.content, headers=bad.headers
    )

    assert_problem(response, bad.status, bad.code)
    assert await house.running.count() == before


def assert_problem(response: httpx.Response, status: int, code: str) -> None:
    """It is a whole problem (RFC 9457), in both languages."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, code), problem
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["detail_fr"]


INJECTED: dict[str, Callable[[str], object]] = {
    "subject": lambda bad: f"Essai{bad}",
    "to": lambda bad: [f"{READER}{bad}"],
    "cc": lambda bad: [f"Anne{bad} <{READER}>"],
    "reply_to": lambda bad: [f"{READER}{bad}"],
    "in_reply_to": lambda bad: f"<a{bad}@b.fr>",
    "attachments": lambda bad: [
        {"filename": f"a{bad}.txt", "content_type": "text/plain", "content": "eA=="}
    ],
    "headers": lambda bad: {"X-MSS-NIL": f"1{bad}"},
}


@pytest.mark.slow
@pytest.mark.parametrize("octets", ["\r\nBcc: x@example.org", "\nX: y", "\r", "\0"])
@pytest.mark.parametrize("name", INJECTED)
async def test_no_field_can_carry_another_header(house: House, name: str, octets: str) -> None:
    """Header injection: the field is named, and nothing is sent."""
    before = await house.running.count()

    response = await house.writer.http.post(MESSAGES, json={**GOOD, name: INJECTED[name](octets)})

    assert_problem(response, 422, "invalid-request")
    assert any(one["field"].startswith(name) for one in response.json()["errors"])
    assert await house.running.count() == before
