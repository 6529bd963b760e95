"""Say in the OpenAPI document how each route can refuse."""

from typing import Any, Final

from api.problems import MEDIA_TYPE

MEANINGS: Final = {
    400: "The body cannot be read.",
    401: "The token is missing or not valid.",
    403: "The caller may see this, but not do that.",
    404: "There is no such thing, or it is not the caller's to see.",
    406: "There is no form of it that the request accepts.",
    408: "The body did not arrive in time.",
    409: "The request contradicts an earlier one.",
    410: "The reference was good and is over.",
    412: "It was changed in the meantime, or another version of the protocol is spoken.",
    413: "The body is too large.",
    415: "The body is of a kind that is not read here.",
    422: "A field is not valid, or a rule of secure health mail forbids it.",
    460: "The octets do not match their checksum; nothing of them was kept.",
    503: "Temporary trouble of the server; `Retry-After` says when to try again.",
    507: "There is no room left for it.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the refusals of a route; each is a problem (RFC 9457)."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": MEANINGS[status], "content": content}
        for status in sorted({401, 422, 503, *statuses})
    }


def octets(description: str, *media_types: str) -> dict[int | str, dict[str, Any]]:
    """Describe an answer that is a file."""
    schema = {"type": "string", "format": "binary"}
    return {
        200: {
            "description": description,
            "content": {kind: {"schema": schema} for kind in media_types},
        }
    }
