"""Take the body of a request: its kind first, then its octets up to a bound, then its meaning.

Routes call these after the caller is known, so a stranger cannot make the server read or parse
anything. (A body declared as a FastAPI parameter would be parsed before authentication.)

Errors
    `UnsupportedMediaTypeError`, `RequestTooLargeError`, and those of `api.validation`.
"""

from typing import Final

from fastapi import Request
from pydantic import BaseModel

from api.errors import RequestTooLargeError, UnsupportedMediaTypeError
from api.validation import Model, parse_model

SMALL_BODY_OCTETS: Final = 256 * 1024

JSON: Final = "application/json"
FORM: Final = "multipart/form-data"
MESSAGE: Final = "message/rfc822"


def media_type(request: Request, *accepted: str) -> str:
    """Tell which of the *accepted* kinds the body is."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in accepted:
        raise UnsupportedMediaTypeError(accepted=accepted)
    return kind


async def read_octets(request: Request, *, limit_octets: int) -> bytes:
    """Read the body, and stop as soon as it is longer than it may be."""
    chunks: list[bytes] = []
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > limit_octets:
            raise RequestTooLargeError(limit_octets=limit_octets)
        chunks.append(chunk)
    return b"".join(chunks)


async def read_model(
    request: Request, model: type[Model], *, limit_octets: int = SMALL_BODY_OCTETS
) -> Model:
    """Read a small JSON body into a wire model."""
    media_type(request, JSON)
    return parse_model(model, await read_octets(request, limit_octets=limit_octets))


def describe(model: type[BaseModel]) -> dict[str, object]:
    """Say in the OpenAPI document that a route reads this model as JSON (`openapi_extra`)."""
    return {"requestBody": {"required": True, "content": {JSON: {"schema": _reference(model)}}}}


def describe_sending(draft: type[BaseModel]) -> dict[str, object]:
    """Say that a route reads a draft as JSON or in a form with files, or a whole message."""
    octets = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "required": ["draft"],
        "properties": {"draft": _reference(draft)},
        "additionalProperties": octets,
        "description": "One JSON part named `draft`, and one part with a file name per file.",
    }
    content = {
        JSON: {"schema": _reference(draft)},
        FORM: {"schema": form, "encoding": {"draft": {"contentType": JSON}}},
        MESSAGE: {"schema": octets},
    }
    return {"requestBody": {"required": True, "content": content}}


def describe_letter(letter: type[BaseModel]) -> dict[str, object]:
    """Say that a route reads a letter as JSON, or in a form with the files that it names."""
    form = {
        "type": "object",
        "required": ["letter"],
        "properties": {"letter": _reference(letter)},
        "additionalProperties": {"type": "string", "format": "binary"},
        "description": "One JSON part named `letter`, and the parts that its `part` fields name.",
    }
    content = {
        JSON: {"schema": _reference(letter)},
        FORM: {"schema": form, "encoding": {"letter": {"contentType": JSON}}},
    }
    return {"requestBody": {"required": True, "content": content}}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
