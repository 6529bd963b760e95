"""The description of the API, for software and for people."""

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from api.app import bare_app
from api.description import FILE, build_document, load_document
from api.problems import STATUSES

DOCUMENT = load_document()


@pytest.mark.slow
def test_the_committed_document_is_up_to_date() -> None:
    """A change of the interface is seen in review; `python -m api.openapi` writes it anew."""
    assert build_document(bare_app()) == FILE.read_bytes()


async def test_the_committed_document_is_the_one_that_is_served(
    stranger: httpx.AsyncClient,
) -> None:
    """Software must not be told anything else."""
    answer = await stranger.get("/openapi.json")

    assert answer.json() == DOCUMENT
    assert answer.headers["Content-Type"] == "application/json"


def test_the_document_is_openapi_3_1() -> None:
    """The version that generators of today read."""
    assert DOCUMENT["openapi"].startswith("3.1.")


def test_every_reference_leads_somewhere() -> None:
    """Bodies are described by hand, where the framework would not notice a slip."""
    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', FILE.read_text(encoding="utf-8")))

    assert wanted <= set(DOCUMENT["components"]["schemas"])


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        (method, path, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ],
)
def test_every_operation_says_what_it_does_and_how_it_refuses(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    """Refusals are problems, in one shape; whoever writes has a body described."""
    refusals = [one for status, one in operation["responses"].items() if status.startswith("4")]
    is_open = path.startswith("/health/")

    assert operation["description"]
    assert all("application/problem+json" in one["content"] for one in refusals)
    assert is_open or "401" in operation["responses"]
    assert is_open != ("security" in operation)
    assert (method in {"post", "patch", "put"}) == ("requestBody" in operation)


def test_names_are_in_one_case() -> None:
    """snake_case throughout, except the national header fields and HTTP's own."""
    names = {
        name
        for schema in DOCUMENT["components"]["schemas"].values()
        for name in schema.get("properties", {})
    }

    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9_]*", name)] == []


class Page(HTMLParser):
    """Reads a page: its anchors, its links, what it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.anchors: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = {name: value or "" for name, value in attrs}
        self.anchors += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        self.fetched += [given[name] for name in ("src", "srcset") if name in given]
        self.fetched += [given["href"]] if tag == "link" else []


def read_page(text: str) -> Page:
    """Read a page of ours."""
    page = Page()
    page.feed(text)
    return page


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_a_page_needs_no_script_and_nothing_from_elsewhere(
    stranger: httpx.AsyncClient, path: str
) -> None:
    """Hospitals have no way out to a content network, and nothing of ours should need one."""
    answer = await stranger.get(path)
    page = read_page(answer.text)

    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "script" not in page.tags
    assert page.fetched == []
    assert "@import" not in answer.text
    assert "url(" not in answer.text
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


async def test_the_reference_shows_every_operation_and_every_problem(
    stranger: httpx.AsyncClient,
) -> None:
    """The `type` of each problem leads to its row."""
    page = read_page((await stranger.get("/docs")).text)
    operations = {
        operation["operationId"]
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
    }

    assert operations <= set(page.anchors)
    assert {f"problem-{code}" for code in STATUSES} <= set(page.anchors)


async def test_every_link_inside_the_reference_leads_somewhere(
    stranger: httpx.AsyncClient,
) -> None:
    """And no anchor is there twice."""
    page = read_page((await stranger.get("/docs")).text)
    inside = {link[1:] for link in page.links if link.startswith("#")}

    assert inside <= set(page.anchors)
    assert len(page.anchors) == len(set(page.anchors))


async def test_the_stylesheet_is_allowed_by_its_digest(stranger: httpx.AsyncClient) -> None:
    """A browser computes the same one, or the page would be plain."""
    import base64
    import hashlib

    answer = await stranger.get("/docs")
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"style-src 'sha256-{digest}'" in answer.headers["Content-Security-Policy"]


async def test_the_front_page_points_to_the_reference(stranger: httpx.AsyncClient) -> None:
    """Whoever opens the server in a browser learns what it is."""
    assert "/docs" in read_page((await stranger.get("/")).text).links
