"""Who may ask and how often; exports from the first request to the last."""

import gzip
import stat
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from fhir.resources.R4B import get_fhir_model_class

from mss.errors import RateLimitedError
from mss.mailboxes.fhir import CallRate
from tests.unit.api.fhir.conftest import (
    ANNE_ID,
    FOREIGN_HIDDEN,
    HIDDEN,
    KEY,
    OTHER_KEY,
    DirectoryServices,
    connected,
)
from tests.unit.directory.conftest import WARD_ADDRESS

Json = dict[str, Any]
PEOPLE = "/fhir/Practitioner?family=essai"


@pytest.mark.parametrize(
    "headers",
    [
        {"ESANTE-API-KEY": OTHER_KEY},
        {"Authorization": f"Bearer {OTHER_KEY}"},
        {"Authorization": f"bearer {OTHER_KEY}"},
    ],
)
async def test_a_key_is_shown_in_either_field(
    stranger: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    """The national service's own, and that of every other interface here."""
    assert (await stranger.get(PEOPLE, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ESANTE-API-KEY": ""},
        {"ESANTE-API-KEY": "mss_unknown"},
        {"Authorization": "Basic YTpi"},
        {"ESANTE-API-KEY": KEY, "Authorization": f"Bearer {KEY}"},
    ],
)
@pytest.mark.parametrize("path", [PEOPLE, "/fhir/Nothing", "/fhir/Practitioner?nonsense=1"])
async def test_without_a_good_key_nothing_is_answered(
    stranger: httpx.AsyncClient, headers: dict[str, str], path: str
) -> None:
    """The same refusal whatever was asked; it is a resource, and says how to log in."""
    answer = await stranger.get(path, headers=headers)

    assert answer.status_code == 401
    assert answer.json()["issue"][0]["code"] == "login"
    assert "WWW-Authenticate" in answer.headers


async def test_an_open_directory_answers_questions_and_nothing_else(
    stranger: httpx.AsyncClient, own: DirectoryServices
) -> None:
    """The data are public; writing and exporting need somebody to answer for it."""
    opened = own.settings.directory.model_copy(update={"fhir_open": True})
    own.settings = own.settings.model_copy(update={"directory": opened})

    assert (await stranger.get(PEOPLE)).status_code == 200
    assert (await stranger.get("/fhir/$export")).status_code == 401
    assert (await stranger.patch("/fhir/Practitioner/1", json={})).status_code == 401


async def test_too_many_calls_of_a_key_are_told_to_wait(
    client: httpx.AsyncClient, own: DirectoryServices
) -> None:
    """429 with the time to wait; another key is served."""
    own.fhir = replace(own.fhir, rate=CallRate(per_second=2, now=lambda: 0.0))

    statuses = [(await client.get(PEOPLE)).status_code for _ in range(3)]
    refused = await client.get(PEOPLE)
    other = await client.get(PEOPLE, headers={"ESANTE-API-KEY": KEY})

    assert statuses == [200, 200, 429]
    assert refused.headers["Retry-After"] == "1"
    assert refused.json()["issue"][0]["code"] == "throttled"
    assert other.status_code == 200


def test_the_rate_comes_back_with_time() -> None:
    """After a pause as many calls are let through as a second allows, and no more."""
    now = 0.0
    rate = CallRate(per_second=2, now=lambda: now)
    rate.take("key")
    rate.take("key")
    now = 60.0
    rate.take("key")
    rate.take("key")

    with pytest.raises(RateLimitedError):
        rate.take("key")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "POST"])
async def test_other_methods_are_refused_with_those_that_there_are(
    client: httpx.AsyncClient, method: str
) -> None:
    """PUT would overwrite what others have published."""
    answer = await client.request(method, f"/fhir/Practitioner/{ANNE_ID}")

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, PATCH"
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "path",
    ["Patient", "Patient/1", "Practitioner/nobody", "Practitioner/0", "a/b/c/d", "_export/x"],
)
async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    """As a resource, like everything here."""
    answer = await client.get(f"/fhir/{path}")

    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (404, "not-found")


async def test_a_form_that_does_not_exist_is_refused(client: httpx.AsyncClient) -> None:
    """Turtle is not spoken here."""
    assert (await client.get(PEOPLE, headers={"Accept": "text/turtle"})).status_code == 406
    assert (await client.get(f"{PEOPLE}&_format=ttl")).status_code == 406


async def finished(client: httpx.AsyncClient, path: str) -> tuple[str, Json]:
    """Export and return where the job is and its manifest."""
    begun = await client.get(path, headers={"Prefer": "respond-async"})
    assert begun.status_code == 202, begun.text
    place = begun.headers["Content-Location"]
    return place, (await client.get(place)).json()


async def test_an_export_holds_each_resource_once(
    client: httpx.AsyncClient, own: DirectoryServices
) -> None:
    """The files say what searches say, one valid resource on a line."""
    _, manifest = await finished(client, "/fhir/$export")
    totals = {
        one["type"]: (await client.get(f"/fhir/{one['type']}?_summary=count")).json()["total"]
        for one in manifest["output"]
    }
    files = [(await client.get(one["url"])) for one in manifest["output"]]
    resources = [orjson.loads(line) for file in files for line in file.content.splitlines()]
    for one in resources:
        get_fhir_model_class(one["resourceType"]).model_validate(one)

    assert {one["type"]: one["count"] for one in manifest["output"]} == totals
    assert len({(one["resourceType"], one["id"]) for one in resources}) == sum(totals.values())
    assert manifest["requiresAccessToken"] is True
    assert own.database


async def test_the_liste_rouge_is_in_no_export(
    publisher: httpx.AsyncClient, own: DirectoryServices
) -> None:
    """Not even in that of who may change it: files travel."""
    _, manifest = await finished(publisher, "/fhir/Organization/$export")
    text = (await publisher.get(manifest["output"][0]["url"])).text

    assert WARD_ADDRESS in text
    assert HIDDEN not in text
    assert FOREIGN_HIDDEN not in text
    assert own.database


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_type=Practitioner", {"Practitioner"}),
        ("_type=Practitioner,Organization&_outputFormat=ndjson", {"Organization", "Practitioner"}),
        ("_since=2026-11-23T00:00:00Z", {"Organization", "Practitioner", "PractitionerRole"}),
        ("_since=2026-11-24", set()),
    ],
)
async def test_an_export_may_be_of_a_part(
    client: httpx.AsyncClient, own: DirectoryServices, query: str, expected: set[str]
) -> None:
    """Some types, or what changed since; a type without content has no file."""
    _, manifest = await finished(client, f"/fhir/$export?{query}")

    assert {one["type"] for one in manifest["output"]} == expected
    assert own.database


@pytest.mark.parametrize(
    "query", ["_type=Patient", "_since=yesterday", "_since=gt2026", "_outputFormat=csv", "x=1"]
)
async def test_an_export_that_is_not_understood_is_refused(
    client: httpx.AsyncClient, query: str
) -> None:
    """Nobody waits an hour for the wrong files."""
    assert (await client.get(f"/fhir/$export?{query}")).status_code == 400


async def test_an_export_under_way_is_told_and_not_begun_twice(
    client: httpx.AsyncClient, own: DirectoryServices
) -> None:
    """429 for the second, which another account's export is not; a silent one has failed."""
    principal = own.accounts.principals[OTHER_KEY]
    job = await own.fhir_exports.begin(
        principal, types=("Practitioner",), since=None, request="https://directory.test/fhir"
    )
    place = f"/fhir/_export/{job.id}"

    running = await client.get(place)
    again = await client.get("/fhir/$export")
    other = await client.get("/fhir/$export", headers={"ESANTE-API-KEY": KEY})
    stolen = await client.get(place, headers={"ESANTE-API-KEY": KEY})
    own.clock.advance(minutes=6)
    silent = await client.get(place)

    assert running.status_code == 202
    assert running.headers["X-Progress"]
    assert running.headers["Retry-After"]
    assert (again.status_code, other.status_code, stolen.status_code) == (429, 202, 404)
    assert "Retry-After" in again.headers
    assert silent.status_code == 500


async def test_a_cancelled_export_leaves_nothing(
    client: httpx.AsyncClient, own: DirectoryServices
) -> None:
    """Nor does it come back when its writer goes on."""
    principal = own.accounts.principals[OTHER_KEY]
    job = await own.fhir_exports.begin(principal, types=("Practitioner",), since=None, request="")
    cancelled = await client.delete(f"/fhir/_export/{job.id}")
    await own.fhir_exports.write(job)

    assert cancelled.status_code == 202
    assert (await client.get(f"/fhir/_export/{job.id}")).status_code == 404
    assert list(own.fhir_exports.folder.iterdir()) == []


async def test_files_are_kept_for_a_while_and_for_the_server_alone(
    client: httpx.AsyncClient, own: DirectoryServices
) -> None:
    """They hold names: nobody else on the machine reads them, and they do not stay."""
    place, manifest = await finished(client, "/fhir/Practitioner/$export")
    folder = own.fhir_exports.folder
    paths = [folder, *folder.rglob("*")]
    own.clock.advance(hours=24)

    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in paths)
    assert (await client.get(place)).status_code == 404
    assert (await client.get(manifest["output"][0]["url"])).status_code == 404
    own.fhir_exports.remove_old()
    assert list(folder.iterdir()) == []


async def test_a_file_is_sent_as_it_lies_to_who_reads_gzip(
    app: FastAPI, own: DirectoryServices
) -> None:
    """It is compressed once, when it is written."""
    async with connected(app, OTHER_KEY) as client:
        _, manifest = await finished(client, "/fhir/Practitioner/$export")
        url = manifest["output"][0]["url"]
        plain = await client.get(url, headers={"Accept-Encoding": "identity"})
        async with client.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as packed:
            octets = b"".join([chunk async for chunk in packed.aiter_raw()])

    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(octets) == plain.content
    assert own.fhir_exports.keep == timedelta(hours=24)
