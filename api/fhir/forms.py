"""Write a resource as the client wants it: JSON or XML, plain or compressed.

Errors
    `NotAcceptableError`: the client accepts neither form.
Sources
    FHIR R4, 3.1.0.1.11 (`_format`, `_pretty`), 2.21.0.4 (media types); RFC 9110, 12.5.3.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson
from fastapi import Request, Response

from api.errors import NotAcceptableError
from api.negotiation import parse_accept, quality_of
from directory.fhir.xml import build_xml

COMPRESS_FROM_OCTETS: Final = 1024


class Form(StrEnum):
    """The forms of a resource, by media type."""

    JSON = "application/fhir+json"
    XML = "application/fhir+xml"


_NAMES: Final[Mapping[str, Form]] = {
    "json": Form.JSON,
    "application/json": Form.JSON,
    "application/fhir+json": Form.JSON,
    "application/fhir json": Form.JSON,  # a plus that was not escaped arrives as a space
    "application/json+fhir": Form.JSON,
    "text/json": Form.JSON,
    "xml": Form.XML,
    "application/xml": Form.XML,
    "text/xml": Form.XML,
    "application/fhir+xml": Form.XML,
    "application/fhir xml": Form.XML,
    "application/xml+fhir": Form.XML,
}
_ACCEPTED: Final[Mapping[Form, tuple[str, ...]]] = {
    Form.JSON: ("application/fhir+json", "application/json", "text/json"),
    Form.XML: ("application/fhir+xml", "application/xml", "text/xml"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How the answers of one request are written."""

    form: Form = Form.JSON
    pretty: bool = False
    compressed: bool = False

    @classmethod
    def of(cls, request: Request) -> "Writing":
        """Read what a request asks for."""
        return cls(
            form=_choose(request.query_params.get("_format"), request.headers.get("accept")),
            pretty=request.query_params.get("_pretty") == "true",
            compressed=accepts_gzip(request),
        )

    def respond(
        self,
        resource: Mapping[str, object],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Write a resource as the body of an answer."""
        if self.form is Form.JSON:
            return self.respond_json(resource, status=status, headers=headers)
        return self._respond(build_xml(resource), Form.XML, status, headers)

    def respond_json(
        self,
        content: Mapping[str, object],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Write what has no other form than JSON."""
        body = orjson.dumps(content, option=orjson.OPT_INDENT_2 if self.pretty else None)
        return self._respond(body, Form.JSON, status, headers)

    def _respond(
        self, body: bytes, form: Form, status: int, headers: Mapping[str, str] | None
    ) -> Response:
        fields = {"Vary": "Accept, Accept-Encoding", **(headers or {})}
        if self.compressed and len(body) >= COMPRESS_FROM_OCTETS:
            body = gzip.compress(body, compresslevel=1, mtime=0)
            fields["Content-Encoding"] = "gzip"
        media_type = f"{form}; charset=utf-8"
        return Response(body, status_code=status, headers=fields, media_type=media_type)


def accepts_gzip(request: Request) -> bool:
    """Tell whether the client reads gzip."""
    ranges = parse_accept(request.headers.get("accept-encoding", ""))
    return ranges.get("gzip", ranges.get("*", 0)) > 0


def _choose(named: str | None, accept: str | None) -> Form:
    if named is not None:
        try:
            return _NAMES[named.partition(";")[0].strip().lower()]
        except KeyError:
            raise NotAcceptableError from None
    ranges = parse_accept(accept or "*/*")
    best = max(Form, key=lambda form: max(quality_of(kind, ranges) for kind in _ACCEPTED[form]))
    if not any(quality_of(kind, ranges) for kind in _ACCEPTED[best]):
        raise NotAcceptableError
    return best
