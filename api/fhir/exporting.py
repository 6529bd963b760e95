"""Begin, follow, fetch and cancel exports over HTTP.

Sources
    HL7 Bulk Data Access 2.0: kick-off request, status request, manifest, delete request.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask

from api.fhir.calls import Call
from api.fhir.forms import accepts_gzip
from api.fhir.outcomes import build_outcome
from directory.fhir.criteria import Criterion, TimeMatch
from directory.fhir.errors import ParameterValueError, UnknownParameterError
from directory.fhir.parameters import RESOURCES
from directory.fhir.resources import instant
from directory.fhir.search import parse_search
from mss.errors import NotFoundError
from mss.mailboxes.fhir_export import ExportJob, ExportState

FOLDER: Final = "_export"
NDJSON: Final = "application/fhir+ndjson"
POLL_SECONDS: Final = 2
_FORMATS: Final = frozenset({NDJSON, "application/fhir ndjson", "application/ndjson", "ndjson"})


async def begin_export(call: Call, types: Sequence[str]) -> Response:
    """Accept an export; it is written once the answer is sent."""
    wanted, since = _parameters(call, types)
    job = await call.exports.begin(
        call.principal, types=wanted, since=since, request=str(call.request.url)
    )
    return Response(
        status_code=202,
        headers={"Content-Location": f"{call.base}/{FOLDER}/{job.id}"},
        background=BackgroundTask(call.exports.write, job),
    )


async def show_export(call: Call, job_id: str) -> Response:
    """Tell how an export stands: 202 while it is written, then where its files are."""
    job = await call.exports.find(job_id, principal=call.principal)
    match job.state:
        case ExportState.RUNNING:
            headers = {
                "Retry-After": str(POLL_SECONDS),
                "X-Progress": f"{job.written} resources written",
            }
            return Response(status_code=202, headers=headers)
        case ExportState.FAILED:
            outcome = build_outcome(
                "error",
                "exception",
                "L'export a échoué : recommencez.",
                "The export failed: begin again.",
            )
            return call.writing.respond(outcome, status=500)
        case ExportState.DONE:
            expires = format_datetime(call.exports.expires_at(job).astimezone(UTC), usegmt=True)
            return _json(call, _manifest(call, job), {"Expires": expires})


async def cancel_export(call: Call, job_id: str) -> Response:
    """Stop an export and remove its files."""
    await call.exports.cancel(job_id, principal=call.principal)
    return Response(status_code=202)


async def fetch_export(call: Call, job_id: str, name: str) -> Response:
    """Stream one file of an export."""
    resource, _, extension = name.partition(".")
    if extension != "ndjson":
        raise NotFoundError(what="export")
    compressed = accepts_gzip(call.request)
    content = await call.exports.open_file(
        job_id, resource, principal=call.principal, compressed=compressed
    )
    headers = {"Vary": "Accept-Encoding"}
    if compressed:
        headers["Content-Encoding"] = "gzip"
    return StreamingResponse(content, media_type=NDJSON, headers=headers)


def _manifest(call: Call, job: ExportJob) -> dict[str, object]:
    return {
        "transactionTime": instant(job.started_at),
        "request": job.request,
        "requiresAccessToken": True,
        "output": [
            {
                "type": one.type,
                "url": f"{call.base}/{FOLDER}/{job.id}/{one.type}.ndjson",
                "count": one.count,
            }
            for one in job.files
        ],
        "deleted": [],
        "error": [],
    }


def _json(call: Call, content: dict[str, object], headers: dict[str, str]) -> Response:
    response = call.writing.respond_json(content, headers=headers)
    response.headers["Content-Type"] = "application/json"
    return response


def _parameters(call: Call, types: Sequence[str]) -> tuple[list[str], datetime | None]:
    wanted, since = list(types), None
    for name, value in call.pairs():
        match name:
            case "_type":
                named = {one for one in value.split(",") if one}
                if not named or not named <= set(RESOURCES):
                    raise ParameterValueError(parameter="_type", reason="no such type here")
                wanted = [one for one in wanted if one in named]
            case "_since":
                since = _instant(value)
            case "_outputFormat":
                if value not in _FORMATS:
                    raise ParameterValueError(parameter="_outputFormat", reason=NDJSON)
            case _:
                if not call.lenient and name not in {"_format", "_pretty"}:
                    raise UnknownParameterError(parameter=name[:64])
    return wanted, since


def _instant(value: str) -> datetime:
    """Read the instant of `_since`, as precise or not as the client has it."""
    if value[:1].isalpha():
        raise ParameterValueError(parameter="_since", reason="not an instant")
    try:
        query = parse_search("Practitioner", [("_lastUpdated", "ge" + value)])
    except ParameterValueError:
        raise ParameterValueError(parameter="_since", reason="not an instant") from None
    (condition,) = query.conditions
    assert isinstance(condition, Criterion)
    assert isinstance(condition.match, TimeMatch)
    start = condition.match.intervals[0].start
    assert start is not None
    return start
