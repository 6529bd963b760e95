"""Whatever is asked, the answer is one of ours."""

import asyncio
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.api_fakes import TOKEN
from tests.unit.api.conftest import a_client

PIECES = st.one_of(
    st.sampled_from(["v1", "mailboxes", "messages", "directory", "search", "parts", "raw", "docs"]),
    st.text(max_size=12).map(lambda text: quote(text, safe="")),
)
NAMES = st.one_of(st.sampled_from(["limit", "cursor", "folder", "q", "form"]), st.text(max_size=5))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["to", "subject", "attachments", "headers", "ids", "addresses"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
# The application keeps nothing between requests, so one may serve all examples.
quick = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.slow
@quick
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PATCH", "DELETE"]),
    path=st.lists(PIECES, max_size=6),
    query=st.dictionaries(NAMES, st.text(max_size=8), max_size=3),
)
def test_any_address_has_an_answer(
    app: FastAPI, method: str, path: list[str], query: dict[str, str]
) -> None:
    """Never an error of ours, and every refusal is a problem."""
    answer = asyncio.run(ask(app, method, "https://api.test/" + "/".join(path), params=query))

    assert answer.status_code < 500
    assert answer.status_code < 400 or answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.slow
@quick
@given(path=st.sampled_from(["/v1/recipients/check", "/v1/mailboxes/{}/messages"]), body=JSON)
def test_any_json_has_an_answer(app: FastAPI, path: str, body: object) -> None:
    """Accepted, or refused by name; never an error of ours."""
    path = path.format("anne.essai-leroux@cabinets-demo.mssante.fr")
    answers = [asyncio.run(ask(app, one, path, json=body)) for one in ("POST", "PATCH")]

    assert [answer.status_code for answer in answers if answer.status_code >= 500] == []


async def ask(app: FastAPI, method: str, path: str, **request: Any) -> httpx.Response:
    """Send one request as Anne."""
    async with a_client(app, token=TOKEN) as client:
        return await client.request(method, path, **request)
