"""Answer a batch: several questions in one request, each with its own answer.

Questions only: what changes something is sent by itself. The entries are answered one after
another, in order; one that fails is an answer as well.

Errors
    `BatchError` when the body is no batch.
Sources
    FHIR R4, 3.1.0.11 (batch) and 3.1.0.11.4 (its answer).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final
from urllib.parse import urlsplit

import orjson
from starlette.datastructures import QueryParams

from api.fhir.calls import PATH, Call
from api.fhir.outcomes import outcome_of, status_of
from directory.fhir.errors import FhirError, ResourceAbsentError
from directory.fhir.resources import Resource
from mss.errors import MSSError

MAX_ENTRIES: Final = 50
MAX_OCTETS: Final = 256 * 1024

Answerer = Callable[[Call, list[str], list[tuple[str, str]]], Awaitable[Resource]]


@dataclass(eq=False)
class BatchError(FhirError):
    """The body is not a batch that is answered here."""

    code: ClassVar[str] = "fhir-batch-syntax"
    issue: ClassVar[str] = "invalid"
    public_text: ClassVar[str] = "The body is not a batch of questions."
    public_text_fr: ClassVar[str] = "Le corps n'est pas un lot de questions."

    reason: str


@dataclass(eq=False)
class BatchMethodError(FhirError):
    """An entry of a batch asks for a change."""

    code: ClassVar[str] = "fhir-batch-method"
    issue: ClassVar[str] = "not-supported"
    public_text: ClassVar[str] = "Only GET is answered in a batch."
    public_text_fr: ClassVar[str] = "Seul GET est traité dans un lot."


def parse_batch(octets: bytes) -> list[Mapping[str, object]]:
    """Read the entries of a batch.

    Raises:
        BatchError: It is none.
    """
    try:
        body = orjson.loads(octets)
    except orjson.JSONDecodeError:
        raise BatchError(reason="not JSON") from None
    if not isinstance(body, dict) or body.get("resourceType") != "Bundle":
        raise BatchError(reason="not a Bundle")
    if body.get("type") != "batch":
        raise BatchError(reason="type")
    entries = body.get("entry", [])
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        raise BatchError(reason="number of entries")
    if not all(isinstance(entry, dict) for entry in entries):
        raise BatchError(reason="entry")
    return entries


async def answer_batch(call: Call, octets: bytes, answer: Answerer) -> Resource:
    """Answer each entry of a batch with *answer*."""
    entries = [await _answer(call, entry, answer) for entry in parse_batch(octets)]
    bundle: Resource = {"resourceType": "Bundle", "type": "batch-response"}
    if entries:
        bundle["entry"] = entries
    return bundle


async def _answer(call: Call, entry: Mapping[str, object], answer: Answerer) -> Resource:
    try:
        path, pairs = _question(entry)
        resource = await answer(call, path, pairs)
    except (FhirError, MSSError) as error:
        refused = {"status": str(status_of(error)), "outcome": outcome_of(error)}
        return {"response": refused}
    meta = resource.get("meta")
    response: Resource = {"status": "200"}
    if isinstance(meta, dict):
        response |= {"etag": f'W/"{meta["versionId"]}"', "lastModified": meta["lastUpdated"]}
    return {"resource": resource, "response": response}


def _question(entry: Mapping[str, object]) -> tuple[list[str], list[tuple[str, str]]]:
    request = entry.get("request")
    if not isinstance(request, dict) or not isinstance(request.get("url"), str):
        raise BatchError(reason="request")
    if request.get("method") != "GET":
        raise BatchMethodError
    try:
        parts = urlsplit(request["url"])
    except ValueError:
        raise ResourceAbsentError from None
    path = parts.path.removeprefix(PATH).strip("/")
    return path.split("/"), QueryParams(parts.query).multi_items()
