"""One table of refusals, complete."""

import importlib
import inspect

import httpx
import pytest

from api.problems import STATUSES
from mss.errors import MSSError
from tests.support.api_fakes import ANNE, LETTER_ID

# The modules whose errors can reach this door.
REACHING = ("mss.errors", "mss.mime.errors", "mss.blobs.errors", "api.errors")
ERRORS = sorted(
    {
        one
        for name in REACHING
        for _, one in inspect.getmembers(importlib.import_module(name), inspect.isclass)
        if issubclass(one, MSSError)
    },
    key=lambda one: one.__name__,
)


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_has_a_status_and_words(error: type[MSSError]) -> None:
    """An error without a line in the table would look like trouble of ours."""
    assert error.code in STATUSES
    assert error.public_text
    assert error.public_text_fr
    assert error.next_step


@pytest.mark.parametrize("error", ERRORS)
def test_only_temporary_trouble_is_called_temporary(error: type[MSSError]) -> None:
    """503 makes clients try again, 4xx makes them stop: that must agree with `retryable`."""
    status = STATUSES[error.code]

    assert error.retryable or status != 503
    assert error.retryable == (status >= 500) or status in {408, 429, 500}


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/mailboxes/", "/v2/mailboxes", "/docs/", "/%00"]
)
async def test_an_unknown_address_is_a_problem_too(client: httpx.AsyncClient, path: str) -> None:
    """No redirection, no page of the framework's own."""
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", f"/v1/mailboxes/{ANNE}/messages", "GET, HEAD, PATCH, POST"),
        ("DELETE", f"/v1/messages/{LETTER_ID}", "GET, HEAD"),
        ("GET", "/v1/recipients/check", "POST"),
        ("OPTIONS", "/v1/mailboxes", "GET, HEAD"),
        ("PROPFIND", "/v1/mailboxes", "GET, HEAD"),
    ],
)
async def test_a_method_that_is_not_there_is_told_from_those_that_are(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    """All methods of the path, whichever route serves them (RFC 9110, 15.5.6)."""
    answer = await client.request(method, path)

    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert answer.headers["Allow"] == allowed
