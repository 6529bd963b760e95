"""The addresses under `/fhir`.

Every answer is a FHIR resource, refusals included: whatever is asked below `/fhir` ends here, and
not with the problems of the rest of the API.
"""

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, Response

from api.bodies import media_type, read_octets
from api.errors import MethodNotAllowedError
from api.fhir import exporting, searching
from api.fhir.batch import MAX_OCTETS as MAX_BATCH_OCTETS
from api.fhir.batch import answer_batch
from api.fhir.calls import PATH, Call, answering
from api.fhir.capability import build_statement
from directory.fhir.criteria import FhirSearch
from directory.fhir.errors import (
    ParameterValueError,
    ResourceAbsentError,
    UnknownParameterError,
)
from directory.fhir.parameters import RESOURCES
from directory.fhir.patch_reading import MAX_OCTETS, parse_patch
from directory.fhir.resources import Resource, build_resource, select_elements, version_of
from directory.fhir.search import parse_search

router = APIRouter(prefix=PATH, include_in_schema=False)

_ANY: Final = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_JSON: Final = ("application/fhir+json", "application/json")
_READ_PARAMETERS: Final = frozenset({"_elements", "_format", "_pretty", "_summary"})
# Clients may keep what they were given, and ask each time whether it still holds.
_KEPT: Final = {"Cache-Control": "private, no-cache"}


async def show_capabilities(call: Call) -> Response:
    """Describe what is answered here."""
    return call.writing.respond(build_statement(call.base))


async def search_system(call: Call) -> Response:
    """Search several types."""
    return call.writing.respond(await searching.search_system(call, call.pairs()))


async def search_system_form(call: Call) -> Response:
    """Search several types, the parameters in the body."""
    return call.writing.respond(
        await searching.search_system(call, await searching.read_form(call))
    )


async def show_page(call: Call) -> Response:
    """Show a further page of a search."""
    return call.writing.respond(await searching.search_page(call, call.pairs()))


async def search_type(call: Call) -> Response:
    """Search one type."""
    resource = _resource(call)
    return call.writing.respond(await searching.search_type(call, resource, call.pairs()))


async def search_type_form(call: Call) -> Response:
    """Search one type, the parameters in the body."""
    resource = _resource(call)
    pairs = await searching.read_form(call)
    return call.writing.respond(await searching.search_type(call, resource, pairs))


async def read_resource(call: Call) -> Response:
    """Read one resource, or learn that it is the version that the client has."""
    resource = await _read(call, _resource(call), _number(call), call.pairs())
    headers = _validators(resource)
    if _is_known(call, headers):
        return Response(status_code=304, headers=headers)
    return call.writing.respond(resource, headers=headers)


async def patch_resource(call: Call) -> Response:
    """Change the mailboxes of one resource."""
    return await _patch(call, _resource(call), _number(call))


async def patch_matching(call: Call) -> Response:
    """Change the mailboxes of the one resource that the parameters name."""
    resource = _resource(call)
    query = parse_search(resource, call.pairs())
    if not query.conditions:
        raise ParameterValueError(parameter="identifier", reason="name one resource")
    return await _patch(call, resource, query)


async def run_batch(call: Call) -> Response:
    """Answer several questions."""
    media_type(call.request, *_JSON)
    octets = await read_octets(call.request, limit_octets=MAX_BATCH_OCTETS)
    return call.writing.respond(await answer_batch(call, octets, _answer))


async def export_system(call: Call) -> Response:
    """Begin an export of every type."""
    return await exporting.begin_export(call, RESOURCES)


async def export_type(call: Call) -> Response:
    """Begin an export of one type."""
    return await exporting.begin_export(call, (_resource(call),))


async def show_export(call: Call) -> Response:
    """Tell how an export stands."""
    return await exporting.show_export(call, call.request.path_params["job"])


async def cancel_export(call: Call) -> Response:
    """Cancel an export."""
    return await exporting.cancel_export(call, call.request.path_params["job"])


async def fetch_export(call: Call) -> Response:
    """Fetch a file of an export."""
    parameters = call.request.path_params
    return await exporting.fetch_export(call, parameters["job"], parameters["file"])


async def refuse(call: Call) -> Response:
    """Refuse what is not there: another method of what is, or nothing at all."""
    methods = sorted(_methods_at(call.request.url.path))
    if methods:
        raise MethodNotAllowedError(tuple(methods))
    raise ResourceAbsentError


async def _answer(call: Call, path: list[str], pairs: list[tuple[str, str]]) -> Resource:
    """Answer one question of a batch."""
    match path:
        case ["metadata"]:
            return build_statement(call.base)
        case [""]:
            return await searching.search_system(call, pairs)
        case [resource] if resource in RESOURCES:
            return await searching.search_type(call, resource, pairs)
        case [resource, number] if resource in RESOURCES:
            return await _read(call, resource, number, pairs)
        case _:
            raise ResourceAbsentError


async def _read(call: Call, resource: str, number: str, pairs: list[tuple[str, str]]) -> Resource:
    names: set[str] = set()
    for name, value in pairs:
        if name not in _READ_PARAMETERS and not call.lenient:
            raise UnknownParameterError(parameter=name[:64])
        names |= {one for one in value.split(",") if one and name == "_elements"}
    built = build_resource(await call.desk.read(resource, number, principal=call.caller))
    return select_elements(built, frozenset(names)) if names else built


async def _patch(call: Call, resource: str, target: str | FhirSearch) -> Response:
    principal = call.principal
    media_type(call.request, *_JSON)
    octets = await read_octets(call.request, limit_octets=MAX_OCTETS)
    record = await call.desk.patch(
        resource,
        target,
        parse_patch(octets, carrier=resource),
        principal=principal,
        version=_tag(call.request.headers.get("if-match")),
    )
    changed = build_resource(record)
    return call.writing.respond(changed, headers=_validators(changed))


def _resource(call: Call) -> str:
    resource: str = call.request.path_params["resource"]
    if resource not in RESOURCES:
        raise ResourceAbsentError
    return resource


def _number(call: Call) -> str:
    number: str = call.request.path_params["number"]
    return number


def _validators(resource: Resource) -> dict[str, str]:
    return {"ETag": f'W/"{version_of(resource)}"', **_KEPT}


def _is_known(call: Call, headers: Mapping[str, str]) -> bool:
    tags = call.request.headers.get("if-none-match", "")
    known = {one.strip().removeprefix("W/") for one in tags.split(",")}
    return "*" in known or headers["ETag"].removeprefix("W/") in known


def _tag(field: str | None) -> str | None:
    """Take the version out of an If-Match field; any will do if it says so."""
    if field is None or field.strip() == "*":
        return None
    return field.strip().removeprefix("W/").strip('"')


_ROUTES: Final = (
    ("GET", "/metadata", show_capabilities),
    ("GET", "", search_system),
    ("GET", "/", search_system),
    ("POST", "", run_batch),
    ("POST", "/", run_batch),
    ("POST", "/_search", search_system_form),
    ("GET", "/_page", show_page),
    ("GET", "/$export", export_system),
    ("GET", "/_export/{job}", show_export),
    ("DELETE", "/_export/{job}", cancel_export),
    ("GET", "/_export/{job}/{file}", fetch_export),
    ("GET", "/{resource}", search_type),
    ("PATCH", "/{resource}", patch_matching),
    ("POST", "/{resource}/_search", search_type_form),
    ("GET", "/{resource}/$export", export_type),
    ("GET", "/{resource}/{number}", read_resource),
    ("PATCH", "/{resource}/{number}", patch_resource),
)
for _method, _path, _handler in _ROUTES:
    _endpoint = answering(_handler, is_open=_handler is show_capabilities)
    router.add_api_route(
        _path, _endpoint, methods=[_method], response_model=None, name=_handler.__name__
    )
router.add_api_route(
    "/{rest:path}", answering(refuse), methods=_ANY, response_model=None, name="refuse"
)


def _methods_at(path: str) -> set[str]:
    """List the methods that a path answers to."""
    wanted = path.removeprefix(PATH).split("/")
    return {
        method
        for method, pattern, _ in _ROUTES
        if len(pattern.split("/")) == len(wanted)
        and all(
            (mine.startswith("{") and _is_name(mine, theirs)) or mine == theirs
            for mine, theirs in zip(pattern.split("/"), wanted, strict=True)
        )
    }


def _is_name(pattern: str, text: str) -> bool:
    return text in RESOURCES if pattern == "{resource}" else bool(text)
