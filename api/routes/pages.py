"""The pages for people and the document for software that tell how to use the API.

They need no token, no script and nothing from elsewhere; one stylesheet stands inside each page and
is allowed by its digest.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.reference import STYLE, render_front, render_reference

_DIGEST: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_FIELDS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """The ready octets of each page; they change with the program only."""

    document: bytes
    front: bytes
    reference: bytes

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Render every page from the description of the API."""
        return cls(
            document=orjson.dumps(document),
            front=render_front(document).encode(),
            reference=render_reference(document).encode(),
        )


@router.get("/")
async def front(request: Request) -> Response:
    """Name the server, and point to the documentation."""
    return Response(_pages(request).front, media_type="text/html", headers=_FIELDS)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Explain the API to people."""
    return Response(_pages(request).reference, media_type="text/html", headers=_FIELDS)


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """Describe the API to software."""
    document = _pages(request).document
    return Response(document, media_type="application/json", headers={"Cache-Control": "no-cache"})


def _pages(request: Request) -> Pages:
    pages: Pages = request.app.state.pages
    return pages
