"""Searching under `/fhir`: each parameter that is listed, paging, and what comes along."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fhir.resources.R4B import get_fhir_model_class
from sqlalchemy import update

from directory import index_sql
from directory.fhir.parameters import PARAMETERS, RESOURCES
from directory.index_sql import tables
from mss.store.engine import sync_engine
from tests.unit.api.fhir.conftest import (
    ANNE_ID,
    ANNE_ROLE_ID,
    FOREIGN_HIDDEN,
    HIDDEN,
    HOSPITAL_ID,
    KEY,
    NOW,
    PAUL_ID,
    DirectoryServices,
    connected,
)
from tests.unit.directory.conftest import ANNE_ADDRESS, PEOPLE, WARD_ADDRESS, write_snapshot

Json = dict[str, Any]

HITS = {
    "Organization": {
        "_id": HOSPITAL_ID,
        "_lastUpdated": "ge2026-11-23",
        "active": "true",
        "address": "1 avenue de la fict",
        "address-city": "par",
        "address-insee": "69383",
        "address-line": "12 rue des till",
        "address-postalcode": "690",
        "identifier": "urn:oid:1.2.250.1.71.4.2.2|1750000002",
        "identifier-type": "FINEG",
        "mailbox-mss": "sortie",
        "mailbox-mss-type": "ORG",
        "name": "ch dem",
        "near": "48.85|2.35|5|km",
        "partof": "Organization/1",
        "type": "SA07",
    },
    "Practitioner": {
        "_id": ANNE_ID,
        "_lastUpdated": "gt2026-11-22T02:00:00Z",
        "active": "true",
        "family": "essai leroux",
        "given": "hélène",
        "identifier": ANNE_ID,
        "identifier-type": "RPPS",
        "mailbox-mss": "anne.essai",
        "mailbox-mss-type": "PER",
        "name": "zoe",
        "qualification-code": "SM04",
    },
    "PractitionerRole": {
        "_id": ANNE_ROLE_ID,
        "_lastUpdated": "2026-11-23",
        "active": "true",
        "identifier": f"https://rpps.esante.gouv.fr|{ANNE_ROLE_ID}",
        "identifier-type:not": "RPPS",
        "mailbox-mss:missing": "true",
        "mailbox-mss-type:missing": "true",
        "organization": HOSPITAL_ID,
        "practitioner": f"Practitioner/{ANNE_ID}",
        "role": "GENR01",
    },
}
NO_HITS = {
    "_id": "1",
    "_lastUpdated": "lt2020",
    "active": "false",
    "address": "quay of nowhere",
    "address-city": "atlantis",
    "address-insee": "00000",
    "address-line": "quay of nowhere",
    "address-postalcode": "00000",
    "family": "nobody",
    "given": "nobody",
    "identifier": "https://rpps.esante.gouv.fr|10000000009",
    "identifier-type": "NOTHING",
    "mailbox-mss": "nobody@",
    "mailbox-mss-type": "ZZZ",
    "name": "nobody",
    "near": "-48.85|2.35|5|km",
    "organization": "1",
    "partof": "1",
    "practitioner": "1",
    "qualification-code": "ZZ99",
    "role": "ZZ99",
    "type": "ZZ99",
}
MALFORMED = {
    "_lastUpdated": "yesterday",
    "active": "perhaps",
    "near": "here",
    "organization": "Practitioner/1",
    "partof": "!",
    "practitioner": "Organization/1",
}
UNHIT = {("Organization", "near"), ("Organization", "partof")}
"""The small directory has no positions and no legal entities; their own tests have."""


def ids(bundle: Json, mode: str = "match") -> list[str]:
    return [
        entry["resource"]["id"]
        for entry in bundle.get("entry", [])
        if entry["search"]["mode"] == mode
    ]


async def get(client: httpx.AsyncClient, path: str, **parameters: str) -> Json:
    answer = await client.get(f"/fhir/{path}", params=parameters or None)
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    get_fhir_model_class(body["resourceType"]).model_validate(body)
    return body


def of_kind(name: str) -> list[tuple[str, str]]:
    return [(one, name) for one in RESOURCES if name in PARAMETERS[one]]


ALL = [(resource, name) for resource in RESOURCES for name in PARAMETERS[resource]]


@pytest.mark.parametrize(("resource", "name"), [one for one in ALL if one not in UNHIT])
async def test_each_parameter_finds_something(
    client: httpx.AsyncClient, resource: str, name: str
) -> None:
    """What is listed works; every answer is valid FHIR."""
    parameter, value = next(
        (one, value) for one, value in HITS[resource].items() if one.partition(":")[0] == name
    )

    assert ids(await get(client, resource, **{parameter: value}))


@pytest.mark.parametrize(("resource", "name"), ALL)
async def test_each_parameter_finds_nothing(
    client: httpx.AsyncClient, resource: str, name: str
) -> None:
    """No hit is an empty bundle, not an error."""
    bundle = await get(client, resource, **{name: NO_HITS[name]})

    assert (bundle["total"], ids(bundle)) == (0, [])


@pytest.mark.parametrize(("resource", "name"), ALL)
async def test_each_parameter_refuses_what_it_cannot_read(
    client: httpx.AsyncClient, resource: str, name: str
) -> None:
    """A value that cannot be meant is told, and which one it was."""
    value = MALFORMED.get(name, "x" * 600)
    answer = await client.get(f"/fhir/{resource}", params={name: value})

    assert answer.status_code == 400
    assert answer.json()["issue"][0]["code"] == "value"
    assert repr(name) in answer.json()["issue"][0]["diagnostics"]


async def test_the_description_lists_exactly_what_is_searched_by(
    stranger: httpx.AsyncClient,
) -> None:
    """Who reads /metadata, even without a key, is told the truth, and all of it."""
    statement = await get(stranger, "metadata")
    listed = {
        resource["type"]: {one["name"] for one in resource["searchParam"]}
        for resource in statement["rest"][0]["resource"]
    }

    assert listed == {one: set(PARAMETERS[one]) for one in RESOURCES}


@pytest.mark.parametrize(
    ("path", "parameters", "expected"),
    [
        ("Practitioner", {"family:exact": "ESSAI-LEROUX"}, [ANNE_ID]),
        ("Practitioner", {"family:exact": "essai-leroux"}, []),
        ("Practitioner", {"family:contains": "leroux"}, [ANNE_ID]),
        ("Practitioner", {"name:family": "Essai'Leroux"}, [ANNE_ID]),
        ("Practitioner", {"family": "nobody,essai"}, [ANNE_ID]),
        ("Practitioner", {"family": "essai", "given": "paul"}, []),
        ("Practitioner", {"identifier": "urn:oid:1.2.250.1.71.4.2.1|899000000010"}, [ANNE_ID]),
        ("Practitioner", {"identifier": "899000000010"}, [ANNE_ID]),
        ("Practitioner", {"identifier": "http://rpps.fr|99000000010"}, [ANNE_ID]),
        ("Practitioner", {"identifier": "https://rpps.esante.gouv.fr|0"}, []),
        ("Organization", {"identifier": "http://finess.sante.gouv.fr|750000002"}, [HOSPITAL_ID]),
        ("Organization", {"identifier": "https://finess.esante.gouv.fr|1750000002"}, [HOSPITAL_ID]),
        ("Practitioner", {"mailbox-mss:exact": ANNE_ADDRESS.upper()}, [ANNE_ID]),
        ("Practitioner", {"mailbox-mss:contains": "leroux@second"}, [ANNE_ID]),
        ("Practitioner", {"mailbox-mss:contains": "100%"}, []),
        (
            "PractitionerRole",
            {"practitioner.family": "essai", "organization.address-city": "lyon"},
            [ANNE_ROLE_ID],
        ),
        ("PractitionerRole", {"practitioner:Practitioner.identifier": ANNE_ID}, [ANNE_ROLE_ID]),
        (
            "Practitioner",
            {"_has:PractitionerRole:practitioner:organization.name": "ch demo"},
            [PAUL_ID],
        ),
        (
            "Organization",
            {"_has:PractitionerRole:organization:practitioner": PAUL_ID},
            [HOSPITAL_ID],
        ),
        (
            "Organization",
            {
                "mailbox-mss-type": "https://mos.esante.gouv.fr/NOS/TRE_R256-TypeMessagerie/FHIR/"
                "TRE-R256-TypeMessagerie|ORG",
                "_id": HOSPITAL_ID,
            },
            [HOSPITAL_ID],
        ),
        ("Practitioner", {"_id": f"{ANNE_ID},{PAUL_ID}", "_sort": "-_id"}, [PAUL_ID, ANNE_ID]),
        ("Practitioner", {"_id": f"{ANNE_ID},{PAUL_ID}", "_sort": "-family"}, [PAUL_ID, ANNE_ID]),
        ("Practitioner", {"_id": "", "family": "essai"}, [ANNE_ID]),
    ],
)
async def test_searches_mean_what_fhir_says(
    client: httpx.AsyncClient, path: str, parameters: dict[str, str], expected: list[str]
) -> None:
    """Modifiers, systems and their old names, chains both ways, order."""
    assert ids(await get(client, path, **parameters)) == expected


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("Practitioner?birthdate=1970", "not-supported"),
        ("Practitioner?family:not=x", "not-supported"),
        ("Practitioner?family.given=x", "not-supported"),
        ("PractitionerRole?practitioner.organization=x", "not-supported"),
        ("Practitioner?_has:Device:organization:_id=1", "not-supported"),
        ("Practitioner?_sort=distance", "value"),
        ("Organization?_sort=distance", "value"),
        ("Practitioner?_count=-1", "value"),
        ("Practitioner?_include=Practitioner:organization", "value"),
        ("Practitioner?_summary=text", "value"),
        ("Practitioner?_total=perhaps", "value"),
        ("_page?id=AAAA", "value"),
        ("_page", "value"),
        ("?_type=Patient", "value"),
        ("?family=x", "not-supported"),
        ("Organization?partof.partof.partof.partof.partof.name=x", "value"),
    ],
)
async def test_what_is_not_understood_is_refused(
    client: httpx.AsyncClient, path: str, code: str
) -> None:
    """A misspelt parameter would otherwise find everybody."""
    answer = await client.get(f"/fhir/{path}")

    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, code)


async def test_a_lenient_client_is_told_what_was_ignored(client: httpx.AsyncClient) -> None:
    """The self link and an outcome in the bundle say what the answer answers."""
    answer = await client.get(
        "/fhir/Practitioner?family=essai&shoe-size=43", headers={"Prefer": "handling=lenient"}
    )
    bundle = answer.json()

    assert ids(bundle) == [ANNE_ID]
    assert bundle["link"][0]["url"].endswith("/Practitioner?family=essai")
    assert "shoe-size" in bundle["entry"][-1]["resource"]["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    "start",
    [
        "/fhir/Practitioner?_count=4",
        "/fhir/Practitioner?_count=4&_sort=-family,_lastUpdated",
        "/fhir/Organization?_count=3&_sort=name&active=true",
        "/fhir/PractitionerRole?_count=5&_sort=-_lastUpdated&role=GENR01",
        "/fhir?_count=7",
        "/fhir?_count=8&_type=Practitioner,Organization&_lastUpdated=ge2026",
    ],
)
async def test_pages_hold_each_match_once(client: httpx.AsyncClient, start: str) -> None:
    """Following `next` to the end gives as many as the total says, none of them twice."""
    seen, total = await walk(client, start)

    assert len(seen) == len(set(seen)) == total


async def walk(client: httpx.AsyncClient, start: str) -> tuple[list[str], int]:
    seen: list[str] = []
    bundle: Json = {}
    address: str | None = start
    while address is not None:
        bundle = (await client.get(address)).json()
        seen += [one["fullUrl"] for one in bundle["entry"] if one["search"]["mode"] == "match"]
        address = next((one["url"] for one in bundle["link"] if one["relation"] == "next"), None)
    return seen, bundle["total"]


async def test_a_new_directory_in_mid_paging_loses_and_doubles_nothing(
    client: httpx.AsyncClient, own: DirectoryServices, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A page is read from the directory that its search began in."""
    whole, _ = await walk(client, "/fhir/Practitioner?_count=100")
    first = (await client.get("/fhir/Practitioner?_count=3")).json()
    await replace_directory(own, tmp_path_factory)

    rest, _ = await walk(client, first["link"][1]["url"])
    fresh, _ = await walk(client, "/fhir/Practitioner?active=true")

    assert [entry["fullUrl"] for entry in first["entry"]] + rest == whole
    assert set(fresh) < set(whole)


async def test_who_vanished_is_an_inactive_stub_without_a_name(
    client: httpx.AsyncClient, own: DirectoryServices, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Those who follow changes learn that somebody has gone, and nothing else."""
    await replace_directory(own, tmp_path_factory)

    stub = await get(client, f"Practitioner/{PAUL_ID}")
    inactive = await get(client, "Practitioner", active="false", _id=PAUL_ID)

    assert stub["active"] is False
    assert {"name", "telecom", "qualification"}.isdisjoint(stub)
    assert ids(inactive) == [PAUL_ID]
    assert ids(await get(client, "Practitioner", family="martin", _id=PAUL_ID)) == []


async def test_a_link_into_an_erased_directory_is_gone(
    client: httpx.AsyncClient, own: DirectoryServices
) -> None:
    """410 tells the client to begin again; a page of something else would mislead it."""
    first = (await client.get("/fhir/Practitioner?_count=3")).json()
    table = tables.generation
    await own.database.write(lambda c: c.execute(update(table).values(state="erased")))

    answer = await client.get(first["link"][1]["url"])

    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (410, "expired")


async def test_a_link_that_was_changed_is_refused(client: httpx.AsyncClient) -> None:
    """Nobody but this server writes what a link says."""
    first = (await client.get("/fhir/Practitioner?_count=3")).json()
    address = first["link"][1]["url"]

    assert (await client.get(address[:-2] + "xx")).status_code == 400


async def test_what_comes_along_is_there_once(client: httpx.AsyncClient) -> None:
    """Two people of one place include it once; `*` and `:iterate` do no harm."""
    bundle = await get(client, "PractitionerRole", _include="*")
    included = ids(bundle, "include")

    assert len(included) == len(set(included))
    assert {ANNE_ID, HOSPITAL_ID} <= set(included)


@pytest.mark.parametrize(
    ("path", "parameter", "value", "expected"),
    [
        ("Practitioner", "_revinclude", "PractitionerRole:practitioner", ANNE_ROLE_ID),
        ("PractitionerRole", "_include", "PractitionerRole:organization:Organization", None),
        ("PractitionerRole", "_include:iterate", "Organization:partof", None),
        ("Organization", "_revinclude", "HealthcareService:organization", None),
    ],
)
async def test_includes_are_understood(
    client: httpx.AsyncClient, path: str, parameter: str, value: str, expected: str | None
) -> None:
    """Both directions, with the target spelt out or not, and those that have nothing to give."""
    bundle = await get(client, path, **{parameter: value})

    assert expected is None or expected in ids(bundle, "include")


async def test_the_shape_of_the_answer_can_be_chosen(client: httpx.AsyncClient) -> None:
    """A count alone; some elements, and a tag that says so; no total."""
    count = await get(client, "Practitioner", _summary="count")
    some = await get(client, "Practitioner", _elements="name", family="essai", _total="none")
    one = some["entry"][0]["resource"]

    assert "entry" not in count
    assert count["total"] == len(PEOPLE) + 12
    assert set(one) == {"resourceType", "id", "meta", "name"}
    assert one["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert "total" not in some


async def test_a_page_is_never_larger_than_the_cap(client: httpx.AsyncClient) -> None:
    """The cap is applied silently and stated in the self link."""
    bundle = await get(client, "Practitioner", _count="5000")

    assert bundle["link"][0]["url"].endswith("_count=1000")


async def test_parameters_may_come_in_a_form(client: httpx.AsyncClient) -> None:
    """A name in a body is in no log of a proxy."""
    answer = await client.post("/fhir/Practitioner/_search", data={"family": "essai"})

    assert ids(answer.json()) == [ANNE_ID]


async def test_an_answer_in_xml_says_the_same(client: httpx.AsyncClient) -> None:
    """XML for clients that read nothing else, asked for either way."""
    by_field = await client.get(
        "/fhir/Practitioner?family=essai", headers={"Accept": "application/fhir+xml"}
    )
    by_name = await client.get("/fhir/Practitioner?family=essai&_format=xml")

    assert by_field.headers["Content-Type"].startswith("application/fhir+xml")
    assert by_field.content == by_name.content
    assert f'<id value="{ANNE_ID}"/>'.encode() in by_name.content


async def test_a_large_answer_is_compressed_for_who_reads_that(client: httpx.AsyncClient) -> None:
    """Directories are downloaded over slow lines."""
    plain = await client.get("/fhir/Practitioner", headers={"Accept-Encoding": "identity"})
    packed = await client.get("/fhir/Practitioner", headers={"Accept-Encoding": "gzip"})

    assert (plain.headers.get("Content-Encoding"), packed.headers["Content-Encoding"]) == (
        None,
        "gzip",
    )
    assert plain.json()["entry"] == packed.json()["entry"]


async def test_a_resource_that_the_client_has_is_not_sent_again(client: httpx.AsyncClient) -> None:
    """The entity tag is of the content, so it holds over imports."""
    first = await client.get(f"/fhir/Practitioner/{ANNE_ID}")
    again = await client.get(
        f"/fhir/Practitioner/{ANNE_ID}", headers={"If-None-Match": first.headers["ETag"]}
    )

    assert (again.status_code, again.content) == (304, b"")


async def test_questions_may_come_in_a_batch(client: httpx.AsyncClient) -> None:
    """Each is answered by itself, in order; what changes something is not."""
    entry = [
        {"request": {"method": "GET", "url": "Practitioner?family=essai"}},
        {"request": {"method": "GET", "url": f"Practitioner/{ANNE_ID}"}},
        {"request": {"method": "GET", "url": "Practitioner?nonsense=1"}},
        {"request": {"method": "DELETE", "url": f"Practitioner/{ANNE_ID}"}},
    ]
    answer = await client.post(
        "/fhir", json={"resourceType": "Bundle", "type": "batch", "entry": entry}
    )
    body = answer.json()
    get_fhir_model_class("Bundle").model_validate(body)

    assert [one["response"]["status"] for one in body["entry"]] == ["200", "200", "400", "400"]


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("Organization", {"mailbox-mss": "{hidden}"}),
        ("Organization", {"mailbox-mss:exact": "{hidden}"}),
        ("Organization", {"mailbox-mss:contains": "{hidden}"}),
        ("PractitionerRole", {"organization.mailbox-mss": "{hidden}"}),
        (
            "Practitioner",
            {"_has:PractitionerRole:practitioner:organization.mailbox-mss": "{hidden}"},
        ),
        ("Organization", {"mailbox-mss": "{hidden}", "_summary": "count"}),
    ],
)
@pytest.mark.parametrize("hidden", [HIDDEN, FOREIGN_HIDDEN])
async def test_the_liste_rouge_finds_nothing(
    client: httpx.AsyncClient, path: str, parameters: dict[str, str], hidden: str
) -> None:
    """Searching a hidden address by any way answers like an address that does not exist."""
    bundle = await get(
        client, path, **{name: value.format(hidden=hidden) for name, value in parameters.items()}
    )

    assert (bundle["total"], ids(bundle)) == (0, [])


@pytest.mark.parametrize(
    "path",
    [
        f"Organization/{HOSPITAL_ID}",
        "PractitionerRole?_include=*",
        "Organization?_sort=-_lastUpdated",
        "?_type=Organization",
    ],
)
async def test_the_liste_rouge_is_not_shown(client: httpx.AsyncClient, path: str) -> None:
    """Neither read nor included nor sorted in; only its own operator's publisher sees it."""
    text = (await client.get(f"/fhir/{path}")).text

    assert WARD_ADDRESS in text
    assert HIDDEN not in text
    assert FOREIGN_HIDDEN not in text


async def test_the_liste_rouge_is_shown_to_who_publishes_for_its_domain(
    app: FastAPI,
) -> None:
    """They could not change it otherwise; that of others stays hidden from them too."""
    async with connected(app, KEY) as publisher:
        text = (await publisher.get(f"/fhir/Organization/{HOSPITAL_ID}")).text

    assert HIDDEN in text
    assert FOREIGN_HIDDEN not in text


async def test_sites_are_found_around_a_point(
    client: httpx.AsyncClient, own: DirectoryServices
) -> None:
    """Nearest first; the position is in the address."""
    table = tables.organization

    def place(key: str, latitude: float) -> Any:
        return update(table).where(table.c.key == key).values(latitude=latitude, longitude=4.85)

    await own.database.write(lambda c: c.execute(place("1750000002", 45.80)))
    await own.database.write(lambda c: c.execute(place("R99000000000001", 45.76)))

    bundle = await get(client, "Organization", near="45.75|4.85|20|km", _sort="distance")
    close = await get(client, "Organization", near="45.75|4.85|2|km")
    page = await get(client, "Organization", near="45.75|4.85|20|km", _sort="-distance", _count="1")
    second = (await client.get(page["link"][1]["url"])).json()

    assert ids(bundle)[1:] == [HOSPITAL_ID] == ids(page)
    assert ids(close) == ids(bundle)[:1] == ids(second)


async def replace_directory(own: DirectoryServices, folders: pytest.TempPathFactory) -> None:
    """Bring a directory into force that some people have left."""
    folder = write_snapshot(
        folders.mktemp("newer"), stamp="202611240200", people=PEOPLE[:2], mailboxes=(), others=12
    )
    engine = sync_engine(f"sqlite:///{own.settings.home / 'mss.db'}")
    with engine.connect() as connection:
        index_sql.import_snapshot(connection, folder, at=NOW, force=True, keep=timedelta(hours=1))
    engine.dispose()
