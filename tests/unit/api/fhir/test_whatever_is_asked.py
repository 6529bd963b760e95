"""Requests made from the description of the interface: whatever is asked, the server stands."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from api.description import load_document
from directory.fhir.parameters import PARAMETERS, RESOURCES
from directory.fhir.search import RESULT_PARAMETERS
from tests.unit.api.fhir.conftest import ANNE_ID, KEY

Json = dict[str, Any]
SAMPLES = [ANNE_ID, "essai", "ge2026-01-01", "48.85|2.35|10|km", "true", "PER", "*", "-_id"]


def _parameter(name: str) -> Json:
    values = {"anyOf": [{"type": "string"}, {"enum": SAMPLES}]}
    return {"name": name, "in": "query", "schema": values}


def _search(names: list[str]) -> Json:
    return {"parameters": [_parameter(name) for name in names], "responses": {"200": {}}}


def _named(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def describe() -> Json:
    """Describe `/fhir` by the same table that it is answered by."""
    paths: Json = {}
    for resource in RESOURCES:
        names = [*PARAMETERS[resource], *sorted(RESULT_PARAMETERS), "_has:PractitionerRole:x:y"]
        read = {"parameters": [_named("number")], "responses": {"200": {}}}
        body: Json = {"content": {"application/fhir+json": {"schema": {}}}}
        paths[f"/fhir/{resource}"] = {"get": _search(names)}
        paths[f"/fhir/{resource}/{{number}}"] = {
            "get": read,
            "patch": {**read, "requestBody": body},
        }
    batch: Json = {"requestBody": {"content": {"application/json": {"schema": {}}}}}
    paths["/fhir"] = {"get": _search(["_type", "_id"]), "post": {**batch, "responses": {"200": {}}}}
    paths["/fhir/_page"] = {"get": _search(["id"])}
    paths["/fhir/_export/{job}"] = {"get": {"parameters": [_named("job")], "responses": {}}}
    return {"openapi": "3.1.0", "info": {"title": "fhir", "version": "1"}, "paths": paths}


OPERATIONS = [
    (path, method, schema[path][method])
    for schema, start in (
        (schemathesis.openapi.from_dict(describe()), "/fhir"),
        (schemathesis.openapi.from_dict(load_document()), "/v1/directory"),
    )
    for path, methods in schema.raw_schema["paths"].items()
    if path.startswith(start)
    for method in methods
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "method", "operation"), OPERATIONS, ids=[f"{m} {p}" for p, m, _ in OPERATIONS]
)
async def test_no_request_makes_the_directory_fail(
    publisher: httpx.AsyncClient, path: str, method: str, operation: Any
) -> None:
    """No answer says that the fault was ours."""
    cases: list[Any] = []

    @settings(
        max_examples=12,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy())
    def gather(case: Any) -> None:
        cases.append(case)

    gather()
    answers = [await _send(publisher, case) for case in cases]

    assert answers
    assert [one.status_code for one in answers if one.status_code >= 500] == []


async def _send(client: httpx.AsyncClient, case: Any) -> httpx.Response:
    sent: Mapping[str, Any] = case.as_transport_kwargs(base_url="https://directory.test")
    headers = {
        name: value for name, value in sent["headers"].items() if name.lower() != "user-agent"
    }
    is_fhir = case.path.startswith("/fhir")
    key = {"ESANTE-API-KEY": KEY} if is_fhir else {"Authorization": f"Bearer {KEY}"}
    request = httpx.Request(
        sent["method"],
        sent["url"],
        params=sent.get("params"),
        headers=headers | key,
        json=sent.get("json"),
    )
    return await client.send(request)
