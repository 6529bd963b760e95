"""Read JSON into a wire model, or say which fields are wrong without repeating their values.

The parser reads the octets once, straight into the model; its depth is bounded, so hostile nesting
costs no more than its length.

Errors
    `MalformedJSONError`, `JSONTooDeepError`, `InvalidFieldsError`: one of them for any octets.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from api.errors import FieldError, InvalidFieldsError, JSONTooDeepError, MalformedJSONError

Model = TypeVar("Model", bound=BaseModel)

MAX_ERRORS: Final = 50
MAX_FIELD: Final = 200
# Where FastAPI says that a value was found; our field names stand alone.
PLACES: Final = frozenset({"body", "query", "path", "header"})


def parse_model(model: type[Model], octets: bytes) -> Model:
    """Read one JSON text into *model*."""
    try:
        return model.model_validate_json(octets)
    except ValidationError as error:
        findings = error.errors(include_url=False, include_input=False)
    # Raised outside the handler: the library's error quotes the input, and must not be chained.
    if findings[0]["type"] != "json_invalid":
        raise InvalidFieldsError(field_errors(findings))
    if "recursion" in findings[0]["msg"]:
        raise JSONTooDeepError
    raise MalformedJSONError


def field_errors(
    findings: Iterable[Mapping[str, Any]], *, prefix: tuple[str | int, ...] = ()
) -> tuple[FieldError, ...]:
    """Translate the validation library's findings, a bounded number of them."""
    return tuple(
        FieldError(field=_name((*prefix, *finding["loc"])), reason=_reason(finding))
        for finding in islice(findings, MAX_ERRORS)
    )


def _name(place: tuple[str | int, ...]) -> str:
    steps = place[1:] if place and place[0] in PLACES else place
    return ".".join(str(step) for step in steps)[:MAX_FIELD] or "body"


def _reason(finding: Mapping[str, Any]) -> str:
    text: str = finding["msg"]
    return text.removeprefix("Value error, ")
