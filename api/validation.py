"""Read JSON into a wire model, or say which fields are wrong without repeating their values.

The parser reads the octets straight into the model. Its depth is bounded, and the number of
elements is bounded before it starts: it would note an error for each of millions.

Errors
    `MalformedJSONError`, `JSONTooComplexError`, `InvalidFieldsError`: one of them for any octets.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from api.errors import FieldError, InvalidFieldsError, JSONTooComplexError, MalformedJSONError

Model = TypeVar("Model", bound=BaseModel)

MAX_ELEMENTS: Final = 10_000
MAX_ERRORS: Final = 50
MAX_FIELD: Final = 200
# Possessive: a string without an end is given up at once, not tried again from within.
_STRING_OR_COMMA: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|,', re.DOTALL)
# Where FastAPI says that a value was found; our field names stand alone.
PLACES: Final = frozenset({"body", "query", "path", "header"})


def parse_model(model: type[Model], octets: bytes) -> Model:
    """Read one JSON text into *model*."""
    if not _is_sober(octets):
        raise JSONTooComplexError
    try:
        return model.model_validate_json(octets)
    except ValidationError as error:
        findings = error.errors(include_url=False, include_input=False)
    # Raised outside the handler: the library's error quotes the input, and must not be chained.
    if findings[0]["type"] != "json_invalid":
        raise InvalidFieldsError(field_errors(findings))
    if "recursion" in findings[0]["msg"]:
        raise JSONTooComplexError
    raise MalformedJSONError


def _is_sober(octets: bytes) -> bool:
    """Say whether the text has a reasonable number of elements; each but the first has a comma.

    Most texts are cleared by counting all commas. Where there are many, those inside strings do not
    count; the search for the others stops at the first one too many.
    """
    if octets.count(b",") <= MAX_ELEMENTS:
        return True
    commas = (found for found in _STRING_OR_COMMA.finditer(octets) if found[0] == b",")
    return next(islice(commas, MAX_ELEMENTS, None), None) is None


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
