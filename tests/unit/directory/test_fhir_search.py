"""FHIR searches say the same on both engines."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection

from directory.address import MailAddress
from directory.fhir.errors import ResourceAbsentError, SeveralMatchesError
from directory.fhir.patch_reading import Operation, Verb
from directory.fhir.records import PractitionerRecord
from directory.fhir.search import parse_search
from directory.index_sql.fhir_conditions import Reader
from directory.index_sql.fhir_patch import Publisher, patch
from directory.index_sql.fhir_search import Position, find_one, read, search
from tests.unit.directory.conftest import AT

ANNE, HELENE, PAUL, MARTIN, ZOE = (
    "99000000010",
    "99000000028",
    "99000000036",
    "99000000044",
    "99000000051",
)


def found(connection: Connection, resource: str, query: str) -> list[str]:
    pairs = [(name, value) for name, _, value in (one.partition("=") for one in query.split("&"))]
    return [one.id for one in search(connection, parse_search(resource, pairs)).matches]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("family=essai leroux", [ANNE]),
        ("family:contains=LEROUX", [ANNE]),
        ("family:contains=100%", []),
        ("given:exact=HÉLÈNE", [HELENE]),
        ("name=zoe&family=dupont&_id=99000000051", [ZOE]),
        ("name=martin&qualification-code=10&_id=99000000036,99000000044", [PAUL, MARTIN]),
        ("identifier=https://rpps.esante.gouv.fr|99000000010", [ANNE]),
        ("identifier:not=99000000010&_id=99000000010", []),
        ("qualification-code=SM04&family=le goff", [HELENE]),
        ("qualification-code=zz&family=le goff", []),
        ("mailbox-mss=anne.&mailbox-mss-type=PER", [ANNE]),
        ("mailbox-mss:missing=true&family=dupont&given=zoe", [ZOE]),
        ("mailbox-mss-type:not=PER&family=dupont&given=zoe", [ZOE]),
        ("_lastUpdated=ge2026-11-23T02:00:00Z&_lastUpdated=lt2026-11-24&family=essai", [ANNE]),
        ("_lastUpdated=ne2026-11-23&family=essai", []),
        ("_has:PractitionerRole:practitioner:organization.name=ch demo", [PAUL]),
        ("_has:PractitionerRole:practitioner:role=GENR01&family=essai", [ANNE]),
        ("_id=99000000010,99000000036&_sort=-family,_id", [PAUL, ANNE]),
        ("_id=99999999999999999999", []),
        ("active=false", []),
    ],
)
def test_people_are_found_alike(filled: Connection, query: str, expected: list[str]) -> None:
    """Each kind of condition, as SQLite and PostgreSQL read it."""
    assert found(filled, "Practitioner", query) == expected


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("identifier=1750000002", 1),
        ("identifier=https://finess.esante.gouv.fr|750000002", 1),
        ("identifier=https://rppsrang.esante.gouv.fr|R99000000000001", 1),
        ("identifier=https://sirene.fr|12345678200010&name=ch demo", 0),
        ("address=12 Rue des till", 1),
        ("address-city=lyon&address-postalcode=69003&name=cabinet du dr essai", 1),
        ("type=SA07&name=cabinet du dr essai", 1),
        ("near=48.85|2.35|5|km", 0),
        ("partof:missing=false&name=ch demo", 0),
        ("mailbox-mss=sortie.cardiologie", 1),
        ("name=ch demo&_sort=-_lastUpdated,name", 1),
    ],
)
def test_structures_are_found_alike(filled: Connection, query: str, number: int) -> None:
    """Identifiers in any of their forms, addresses, kinds."""
    assert len(found(filled, "Organization", query)) == number


@pytest.mark.parametrize("sort", ["_id", "-_id", "family", "-family,_id", "-_lastUpdated,family"])
def test_pages_follow_one_another(filled: Connection, sort: str) -> None:
    """In every order, whatever repeats."""
    pairs = [("_sort", sort), ("_count", "9")]
    query = parse_search("Practitioner", pairs)
    whole = search(filled, parse_search("Practitioner", [("_sort", sort), ("_count", "1000")]))
    page = search(filled, query)
    seen = [one.id for one in page.matches]
    for _ in range(len(whole.matches) // 9):
        assert page.after is not None
        page = search(
            filled, query, position=Position(generation=page.generation, after=page.after)
        )
        seen += [one.id for one in page.matches]

    assert seen == [one.id for one in whole.matches]
    assert page.after is None


def test_what_comes_along_is_loaded_alike(filled: Connection) -> None:
    """The people and places of situations; the situations of people."""
    roles = search(
        filled, parse_search("PractitionerRole", [("practitioner", ANNE), ("_include", "*")])
    )
    person = search(filled, parse_search("Practitioner", [("_id", ANNE), ("_revinclude", "*")]))

    assert len(roles.included) == 2
    assert [one.id for one in person.included] == [one.id for one in roles.matches]


def test_one_resource_is_named_or_refused(filled: Connection) -> None:
    """A conditional change must know whom it changes."""
    one = find_one(filled, parse_search("Practitioner", [("identifier", ANNE)]))

    assert str(one) == ANNE
    with pytest.raises(SeveralMatchesError):
        find_one(filled, parse_search("Practitioner", [("_id", f"{ANNE},{PAUL}")]))
    with pytest.raises(ResourceAbsentError):
        find_one(filled, parse_search("Practitioner", [("_id", "1")]))
    with pytest.raises(ResourceAbsentError):
        read(filled, "Practitioner", "nobody")


def test_a_published_mailbox_is_read_alike(filled: Connection) -> None:
    """Undone at the end: the directory is shared."""
    address = MailAddress.parse("nouvelle@ch-demo.mssante.fr")
    point = {
        "system": "email",
        "value": str(address),
        "extension": [
            {
                "url": "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/"
                "as-ext-mailbox-mss-metadata",
                "extension": [{"url": "type", "valueCode": "PER"}],
            }
        ],
    }
    operation = Operation(number=1, verb=Verb.INSERT, address=None, index=0, value=point)
    publisher = Publisher(
        may_publish=lambda one: one == address, reader=Reader(domains=frozenset({"ch-demo"}))
    )
    savepoint = filled.begin_nested()
    done = patch(
        filled,
        "Practitioner",
        int(ZOE),
        [operation],
        publisher=publisher,
        at=AT + timedelta(days=1),
    )
    seen = found(filled, "Practitioner", "mailbox-mss=nouvelle&_lastUpdated=gt2026-11-23")
    savepoint.rollback()

    assert isinstance(done.record, PractitionerRecord)
    assert [box.address for box in done.record.mailboxes] == [str(address)]
    assert seen == [ZOE]
    assert found(filled, "Practitioner", "mailbox-mss=nouvelle") == []
