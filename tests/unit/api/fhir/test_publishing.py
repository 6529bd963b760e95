"""FHIR PATCH of mailboxes: the examples of the national draft, and every refusal."""

from typing import Any

import httpx
import pytest
from fhir.resources.R4B import get_fhir_model_class
from sqlalchemy import func, select

from directory.index_sql import tables
from tests.unit.api.fhir.conftest import (
    ANNE_ID,
    ANNE_ROLE_ID,
    FOREIGN_HIDDEN,
    HELENE_ID,
    HIDDEN,
    HOSPITAL_ID,
    DirectoryServices,
)
from tests.unit.directory.conftest import ANNE_ADDRESS, WARD_ADDRESS

Json = dict[str, Any]

METADATA = (
    "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/"
    "as-ext-mailbox-mss-metadata"
)
R257 = "https://mos.esante.gouv.fr/NOS/TRE_R257-TypeBAL/FHIR/TRE-R257-TypeBAL"
R256 = "https://mos.esante.gouv.fr/NOS/TRE_R256-TypeMessagerie/FHIR/TRE-R256-TypeMessagerie"
HELENE_ADDRESS = "helene.legoff@cabinets-demo.mssante.fr"
NEW_ADDRESS = "nouvelle.boite@ch-demo.mssante.fr"
VALUES = {bool: "valueBoolean", int: "valueInteger", str: "valueString", dict: "valueContactPoint"}


def operation(verb: str, path: str, value: object = None, index: int | None = None) -> Json:
    """Write one operation as the draft does."""
    parts: list[Json] = [
        {"name": "type", "valueCode": verb},
        {"name": "path", "valueString": path},
    ]
    if index is not None:
        parts.append({"name": "index", "valueInteger": index})
    if value is not None:
        parts.append({"name": "value", VALUES[type(value)]: value})
    return {"name": "operation", "part": parts}


def patch_of(*operations: Json) -> Json:
    return {"resourceType": "Parameters", "parameter": list(operations)}


def mailbox(address: str, kind: str | None = "ORG", **parts: object) -> Json:
    """Write a ContactPoint as the draft does, `valueCode` and no emailType included."""
    children: list[Json] = [] if kind is None else [{"url": "type", "valueCode": kind}]
    for name, value in parts.items():
        children.append({"url": name, VALUES[type(value)]: value})
    extension = {"url": METADATA, "extension": children}
    return {"system": "email", "value": address, "extension": [extension]}


def at(carrier: str, address: str, member: str = "") -> str:
    """Write the path to a mailbox or to a part of its metadata."""
    path = f"{carrier}.telecom.where(value = '{address}')"
    return f"{path}.extension('{METADATA}').extension('{member}').value" if member else path


async def send(client: httpx.AsyncClient, target: str, *operations: Json) -> httpx.Response:
    answer = await client.patch(
        f"/fhir/{target}",
        json=patch_of(*operations),
        headers={"Content-Type": "application/fhir+json"},
    )
    body = answer.json()
    get_fhir_model_class(body["resourceType"]).model_validate(body)
    return answer


def mailboxes(resource: Json) -> dict[str, Json]:
    """Gather the mailboxes of a resource by address: their metadata, and rank."""
    found: dict[str, Json] = {}
    for point in resource.get("telecom", []):
        for extension in point.get("extension", []):
            if extension["url"] == METADATA:
                parts = {
                    one["url"]: next(value for key, value in one.items() if key != "url")
                    for one in extension["extension"]
                }
                found[point["value"]] = parts | {"rank": point.get("rank")}
    return found


INSERTED = mailbox(NEW_ADDRESS, "PER", listeRouge=False)
EXAMPLES = {
    "list flag": (
        f"Practitioner/{HELENE_ID}",
        [operation("replace", at("Practitioner", HELENE_ADDRESS, "listeRouge"), True)],
        {HELENE_ADDRESS: True},
    ),
    "whole telecom": (
        f"Practitioner/{HELENE_ID}",
        [
            operation(
                "replace",
                at("Practitioner", HELENE_ADDRESS),
                mailbox(HELENE_ADDRESS, "PER", listeRouge=True),
            )
        ],
        {HELENE_ADDRESS: True},
    ),
    "description of a structure's mailbox": (
        f"Organization/{HOSPITAL_ID}",
        [operation("replace", at("Organization", WARD_ADDRESS, "description"), "Principale")],
        {WARD_ADDRESS: False, HIDDEN: True},
    ),
    "insert of a personal mailbox": (
        f"Practitioner/{HELENE_ID}",
        [operation("insert", "Practitioner.telecom", INSERTED, 0)],
        {NEW_ADDRESS: False, HELENE_ADDRESS: False},
    ),
    "conditional insert by FINESS": (
        "Organization?identifier=https://finess.esante.gouv.fr|750000002",
        [
            operation(
                "insert",
                "Organization.telecom",
                mailbox(NEW_ADDRESS, "ORG", listeRouge=False, description="Principale"),
                0,
            )
        ],
        {NEW_ADDRESS: False, WARD_ADDRESS: False, HIDDEN: True},
    ),
    "delete": (
        f"Practitioner/{HELENE_ID}",
        [operation("delete", at("Practitioner", HELENE_ADDRESS))],
        {},
    ),
    "conditional by RPPS": (
        "Practitioner?identifier=urn:oid:1.2.250.1.71.4.2.1|899000000028",
        [operation("replace", at("Practitioner", HELENE_ADDRESS, "listeRouge"), True)],
        {HELENE_ADDRESS: True},
    ),
    "combined": (
        f"Practitioner/{HELENE_ID}",
        [
            operation("insert", "Practitioner.telecom", INSERTED, 0),
            operation("replace", at("Practitioner", NEW_ADDRESS, "listeRouge"), True),
            operation("delete", at("Practitioner", HELENE_ADDRESS)),
        ],
        {NEW_ADDRESS: True},
    ),
}


@pytest.mark.parametrize(("target", "operations", "expected"), EXAMPLES.values(), ids=EXAMPLES)
async def test_the_examples_of_the_draft_do_what_they_say(
    publisher: httpx.AsyncClient,
    own: DirectoryServices,
    target: str,
    operations: list[Json],
    expected: dict[str, bool],
) -> None:
    """The answer is the resource as it is now, and the next reader sees the same."""
    answer = await send(publisher, target, *operations)
    changed = answer.json()
    again = (await publisher.get(f"/fhir/{changed['resourceType']}/{changed['id']}")).json()

    assert answer.status_code == 200
    assert {one: parts["listeRouge"] for one, parts in mailboxes(changed).items()} == expected
    assert again == changed
    assert own.clock.at.isoformat()[:19] in changed["meta"]["lastUpdated"]


async def test_what_is_published_is_found_at_once_and_what_is_withdrawn_is_not(
    publisher: httpx.AsyncClient, client: httpx.AsyncClient, own: DirectoryServices
) -> None:
    """By everybody, in searches as in reads."""
    insert = operation("insert", "Practitioner.telecom", INSERTED, 0)
    await send(publisher, f"Practitioner/{HELENE_ID}", insert)
    found = (await client.get(f"/fhir/Practitioner?mailbox-mss={NEW_ADDRESS}")).json()
    await send(
        publisher, f"Practitioner/{HELENE_ID}", operation("delete", at("Practitioner", NEW_ADDRESS))
    )
    lost = (await client.get(f"/fhir/Practitioner?mailbox-mss={NEW_ADDRESS}")).json()

    assert (found["total"], lost["total"]) == (1, 0)
    assert own.accounts.asked


async def test_a_mailbox_hangs_on_a_situation(
    publisher: httpx.AsyncClient, own: DirectoryServices
) -> None:
    """Named by the person and the place, as the draft allows."""
    answer = await send(
        publisher,
        "PractitionerRole?practitioner.identifier=99000000010&organization.name=cabinet",
        operation("insert", "PractitionerRole.telecom", INSERTED, 0),
    )
    person = (await publisher.get(f"/fhir/Practitioner/{ANNE_ID}")).json()

    assert answer.json()["id"] == ANNE_ROLE_ID
    assert set(mailboxes(answer.json())) == {NEW_ADDRESS}
    assert NEW_ADDRESS not in mailboxes(person)
    assert own.database


@pytest.mark.parametrize(
    "kind",
    [
        {"url": "type", "valueCode": "PER"},
        {"url": "type", "valueCodeableConcept": {"coding": [{"system": R257, "code": "PER"}]}},
        {"url": "type", "valueCodeableConcept": {"coding": [{"system": R256, "code": "PER"}]}},
        {"url": "type", "valueCoding": {"code": "PER"}},
    ],
)
async def test_the_type_is_read_in_every_way_that_the_drafts_write_it(
    publisher: httpx.AsyncClient, own: DirectoryServices, kind: Json
) -> None:
    """And written in one."""
    point = mailbox(NEW_ADDRESS, None)
    point["extension"][0]["extension"].append(kind)
    answer = await send(
        publisher,
        f"Practitioner/{HELENE_ID}",
        operation("insert", "Practitioner.telecom", point, 0),
    )

    assert mailboxes(answer.json())[NEW_ADDRESS]["type"] == {
        "coding": [{"system": R257, "code": "PER"}]
    }
    assert own.database


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("Organization.telecom.where(value='{ward}').rank", 1, ("rank", 1)),
        ("telecom.where( value = '{ward}' ).rank", 2, ("rank", 2)),
        (
            (
                "Organization.telecom.where(system = 'email' and value = '{ward}')"
                ".extension.where(url = '{url}').extension.where(url = 'service').value"
            ),
            "URGENCES",
            ("service", "URGENCES"),
        ),
    ],
)
async def test_paths_may_be_written_in_more_ways_than_one(
    publisher: httpx.AsyncClient,
    own: DirectoryServices,
    path: str,
    value: object,
    expected: tuple[str, object],
) -> None:
    """FHIRPath has several ways to say the same."""
    text = path.format(ward=WARD_ADDRESS, url=METADATA)
    answer = await send(publisher, f"Organization/{HOSPITAL_ID}", operation("replace", text, value))

    assert mailboxes(answer.json())[WARD_ADDRESS][expected[0]] == expected[1]
    assert own.database


PERSON, PLACE = f"Practitioner/{HELENE_ID}", f"Organization/{HOSPITAL_ID}"
WARD = at("Organization", WARD_ADDRESS)
REFUSALS = {
    "another type": (PLACE, operation("replace", WARD, mailbox(WARD_ADDRESS, "APP")), 422),
    "the type alone": (
        PLACE,
        operation("replace", at("Organization", WARD_ADDRESS, "type"), "APP"),
        422,
    ),
    "another address": (PLACE, operation("replace", WARD, mailbox(NEW_ADDRESS)), 422),
    "the address alone": (PLACE, operation("replace", f"{WARD}.value", NEW_ADDRESS), 422),
    "a type that a person does not carry": (
        PERSON,
        operation("insert", "Practitioner.telecom", mailbox(NEW_ADDRESS, "ORG"), 0),
        422,
    ),
    "no type": (
        PERSON,
        operation("insert", "Practitioner.telecom", mailbox(NEW_ADDRESS, None), 0),
        422,
    ),
    "a description of a personal mailbox": (
        PERSON,
        operation("replace", at("Practitioner", HELENE_ADDRESS, "description"), "x"),
        422,
    ),
    "a domain of somebody else": (
        PERSON,
        operation(
            "insert", "Practitioner.telecom", mailbox("a@ailleurs-demo.mssante.fr", "PER"), 0
        ),
        403,
    ),
    "a hidden mailbox of somebody else": (
        PLACE,
        operation("delete", at("Organization", FOREIGN_HIDDEN)),
        403,
    ),
    "an address that is there": (
        PERSON,
        operation("insert", "Practitioner.telecom", mailbox(HELENE_ADDRESS, "PER"), 0),
        422,
    ),
    "an address that is elsewhere": (
        PERSON,
        operation("insert", "Practitioner.telecom", mailbox(ANNE_ADDRESS, "PER"), 0),
        422,
    ),
    "a place beyond the end": (
        PERSON,
        operation("insert", "Practitioner.telecom", INSERTED, 9),
        422,
    ),
    "an index below nothing": (
        PERSON,
        operation("insert", "Practitioner.telecom", INSERTED, -1),
        400,
    ),
    "a name": (PERSON, operation("replace", "Practitioner.name.family", "X"), 400),
    "a path of another type": (PERSON, operation("delete", WARD), 400),
    "a move": (PERSON, operation("move", "Practitioner.telecom"), 400),
    "a mailbox that is not there": (
        PERSON,
        operation("delete", at("Practitioner", NEW_ADDRESS)),
        404,
    ),
    "somebody who is not there": (
        "Practitioner/1",
        operation("delete", at("Practitioner", HELENE_ADDRESS)),
        404,
    ),
    "nobody": (
        "Practitioner?identifier=10000000009",
        operation("delete", at("Practitioner", HELENE_ADDRESS)),
        404,
    ),
    "several": (
        "Practitioner?given=paul,anne",
        operation("delete", at("Practitioner", HELENE_ADDRESS)),
        412,
    ),
    "everybody": ("Practitioner", operation("delete", at("Practitioner", HELENE_ADDRESS)), 400),
    "no value": (PLACE, operation("replace", WARD), 400),
    "a flag that is a word": (
        PLACE,
        operation("replace", at("Organization", WARD_ADDRESS, "listeRouge"), "true"),
        422,
    ),
    "the flag left out": (
        PLACE,
        operation("delete", at("Organization", WARD_ADDRESS, "listeRouge")),
        422,
    ),
    "an extension of another kind": (
        PLACE,
        operation(
            "replace", WARD, mailbox(WARD_ADDRESS) | {"extension": [{"url": "https://other"}]}
        ),
        422,
    ),
}


@pytest.mark.parametrize(("target", "wrong", "status"), REFUSALS.values(), ids=REFUSALS)
async def test_what_must_not_change_is_refused_and_nothing_changes(
    publisher: httpx.AsyncClient, own: DirectoryServices, target: str, wrong: Json, status: int
) -> None:
    """Not even what the operation before asked for; the reason is given in two tongues."""
    carrier = target.partition("/")[0].partition("?")[0]
    address = WARD_ADDRESS if carrier == "Organization" else HELENE_ADDRESS
    right = operation("replace", f"{at(carrier, address)}.rank", 7)
    before = await _declared(own)

    answer = await send(publisher, target, right, wrong)
    issue = answer.json()["issue"][0]

    assert answer.status_code == status
    assert issue["details"]["text"] != issue["diagnostics"]
    assert await _declared(own) == before


async def _declared(own: DirectoryServices) -> int:
    table = tables.declared_mailbox
    return await own.database.read(
        lambda c: c.execute(select(func.count()).select_from(table)).scalar_one()
    )


async def test_without_a_right_on_it_a_mailbox_stays_as_it_is(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, own: DirectoryServices
) -> None:
    """A key to read is no key to write; without one the question is who asks."""
    flag = operation("replace", at("Practitioner", HELENE_ADDRESS, "listeRouge"), True)

    assert (await send(client, PERSON, flag)).status_code == 403
    assert (await send(stranger, PERSON, flag)).status_code == 401
    assert await _declared(own) == 2


async def test_a_version_that_is_over_is_not_changed(
    publisher: httpx.AsyncClient, own: DirectoryServices
) -> None:
    """Two who edit at once do not overwrite each other."""
    body = patch_of(operation("replace", at("Practitioner", HELENE_ADDRESS, "listeRouge"), True))
    tag = (await publisher.get(f"/fhir/{PERSON}")).headers["ETag"]
    first = await publisher.patch(f"/fhir/{PERSON}", json=body, headers={"If-Match": tag})
    second = await publisher.patch(f"/fhir/{PERSON}", json=body, headers={"If-Match": tag})

    assert (first.status_code, second.status_code) == (200, 412)
    assert own.database


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"resourceType":"Parameters"}', 400),
        (b'{"resourceType":"Parameters","parameter":[7]}', 400),
        (b'{"resourceType":"Parameters","parameter":[{"name":"operation","part":[7]}]}', 400),
        (b'{"resourceType":"Parameters","parameter":[{"name":"operation","part":null}]}', 400),
        (b'{"resourceType":"Patient"}', 400),
        (b" " * 300_000, 413),
    ],
)
async def test_a_body_that_is_no_patch_is_refused(
    publisher: httpx.AsyncClient, own: DirectoryServices, body: bytes, status: int
) -> None:
    """Whatever the octets are, the answer is a resource."""
    headers = {"Content-Type": "application/fhir+json"}
    answer = await publisher.patch(f"/fhir/{PERSON}", content=body, headers=headers)

    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert own.database


async def test_a_patch_of_another_kind_is_refused(publisher: httpx.AsyncClient) -> None:
    """JSON Patch would name mailboxes by their place, which is nobody's to know."""
    headers = {"Content-Type": "application/json-patch+json"}
    answer = await publisher.patch(f"/fhir/{PERSON}", content=b"[]", headers=headers)

    assert answer.status_code == 415
