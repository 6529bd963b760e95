"""Page through a list with opaque cursors, in the body and in the Link field.

Sources
    RFC 8288 (Link); RFC 3986, 4.2 (the link is relative, so a proxy's name does not matter).
"""

from typing import Annotated, Final
from urllib.parse import quote, urlencode

from fastapi import Request, Response
from pydantic import Field

MAX_LIMIT: Final = 200
DEFAULT_LIMIT: Final = 50

Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Items in one page.")]
Cursor = Annotated[
    Annotated[str, Field(min_length=1, max_length=512)] | None,
    Field(description="`next` of the page before, as it was."),
]


def link_next(request: Request, response: Response, cursor: str | None) -> None:
    """Point to the next page, when there is one, with the same filters."""
    if cursor is not None:
        filters = [item for item in request.query_params.multi_items() if item[0] != "cursor"]
        query = urlencode([*filters, ("cursor", cursor)])
        path = quote(request.scope["path"], safe="/@")
        response.headers["Link"] = f'<{path}?{query}>; rel="next"'
