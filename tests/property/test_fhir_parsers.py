"""What reads FHIR requests answers or raises its one error, whatever it is given."""

from contextlib import suppress

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from api.fhir.links import PageLink, build_link, parse_link
from directory.fhir.contact_points import (
    ContactPointError,
    build_contact_point,
    parse_contact_point,
)
from directory.fhir.errors import FhirError, ParameterValueError, PatchSyntaxError
from directory.fhir.parameters import PARAMETERS, RESOURCES
from directory.fhir.patch_reading import parse_patch
from directory.fhir.records import MailboxRecord
from directory.fhir.search import RESULT_PARAMETERS, parse_search
from directory.fhir.xml import build_xml

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=12,
)
NAMES = sorted({name for one in PARAMETERS.values() for name in one} | RESULT_PARAMETERS)
PATHS = st.one_of(
    st.text(max_size=80),
    st.builds("Practitioner.telecom.where(value = '{}'){}".format, st.text(), st.text()),
)


@settings(max_examples=80)
@given(st.binary(max_size=200) | JSON.map(orjson.dumps))
def test_octets_are_a_patch_or_none(octets: bytes) -> None:
    """A client's body is a stranger's octets."""
    with suppress(PatchSyntaxError):
        parse_patch(octets, carrier="Practitioner")


@settings(max_examples=80)
@given(PATHS, st.sampled_from(["insert", "replace", "delete", "add", "x"]), JSON)
def test_a_path_is_read_or_refused(path: str, verb: str, value: object) -> None:
    """Paths are a small language, and all of it is the client's to write."""
    parts = [
        {"name": "type", "valueCode": verb},
        {"name": "path", "valueString": path},
        {"name": "value", "valueString": value},
    ]
    body = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    with suppress(PatchSyntaxError):
        parse_patch(orjson.dumps(body), carrier="Practitioner")


@settings(max_examples=100)
@given(
    st.sampled_from(RESOURCES),
    st.lists(
        st.tuples(
            st.sampled_from(NAMES) | st.text(max_size=20),
            st.text(max_size=40) | st.from_regex(r"(ge|lt)?[0-9]{4}-[0-9]{2}-[0-9]{2}.*"),
        ),
        max_size=4,
    ),
)
def test_parameters_are_a_search_or_none(resource: str, pairs: list[tuple[str, str]]) -> None:
    """Every name and value is either understood or named in an error."""
    with suppress(FhirError):
        parse_search(resource, pairs)


@settings(max_examples=80)
@given(JSON)
def test_a_contact_point_is_a_mailbox_or_none(value: object) -> None:
    """What is inserted may be anything."""
    with suppress(ContactPointError):
        parse_contact_point(value)


@given(
    st.builds(
        MailboxRecord,
        address=st.just("a.b@ch-demo.mssante.fr"),
        kind=st.sampled_from(["PER", "ORG", "APP", "CAB"]),
        service=st.sampled_from(["", "CARDIOLOGIE"]),
        description=st.sampled_from(["", "Secrétariat & accueil"]),
        liste_rouge=st.booleans(),
        rank=st.none() | st.integers(1, 9),
    )
)
def test_what_is_written_is_read_back(mailbox: MailboxRecord) -> None:
    """A client may send back what it was given."""
    found = parse_contact_point(build_contact_point(mailbox))

    assert (str(found.address), found.kind) == (mailbox.address, mailbox.kind)
    assert (found.liste_rouge, found.rank) == (mailbox.liste_rouge, mailbox.rank)
    assert (found.service or "", found.description or "") == (mailbox.service, mailbox.description)


@given(st.text(max_size=300))
def test_a_link_is_ours_or_refused(text: str) -> None:
    """Nothing of a link is believed before its signature."""
    with suppress(ParameterValueError):
        parse_link(text, secret=b"secret")


@given(
    st.lists(st.tuples(st.text(max_size=10), st.text(max_size=10)), max_size=3),
    st.lists(st.text(max_size=5) | st.integers(0, 2**62) | st.floats(0, 9), max_size=3),
)
def test_a_link_is_read_as_it_was_written(
    pairs: list[tuple[str, str]], after: list[object]
) -> None:
    """Sort values keep every digit, or a page would begin elsewhere."""
    link = PageLink(
        types=("Practitioner",),
        place=0,
        pairs=tuple(pairs),
        generation=7,
        after=tuple(after),
        total=None,
    )

    assert parse_link(build_link(link, secret=b"secret"), secret=b"secret") == link


@given(st.text(max_size=60))
def test_any_text_is_well_formed_in_xml(text: str) -> None:
    """Names in national files hold what they hold."""
    name = [{"family": text}]

    etree.fromstring(build_xml({"resourceType": "Practitioner", "id": "1", "name": name}))
