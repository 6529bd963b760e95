"""Headers of the official examples: nothing is lost between reading and writing again."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from lxml import etree
from lxml.etree import _Element

from mss.clinical.cda import (
    FileBody,
    Informant,
    Order,
    StructuredBody,
    build_cda,
    clinical_document,
    parse_cda,
)
from mss.clinical.document import CdaHeader
from mss.clinical.narrative import CDA, Paragraph, Section
from mss.clinical.people import Actor, Identifier, Period
from mss.clinical.sample import Letter
from mss.clinical.times import HL7Time
from mss.clinical.vocabulary import UNSTRUCTURED_TEMPLATE
from tests.unit.mss.clinical import official

DOCUMENTS = (*official.ARCHIVES, "PPS-PAERPA_2021.01")
FIXED = {
    "@classCode=ACT", "@classCode=ASSIGNED", "@classCode=CONS", "@classCode=ORG",
    "@determinerCode=INSTANCE", "@moodCode=EVN", "@type=IVL_TS", "@type=c:IVL_TS",
    "@typeCode=AUTH", "@typeCode=CST", "@typeCode=LOC",
}  # fmt: skip
"""Attributes that the schema gives anyway, whether or not a document repeats them."""
ADDED = {
    "@classCode=ASSIGNED", "@codeSystemName=practiceSettingCode",
    "addr/@nullFlavor=NASK", "telecom/@nullFlavor=NASK",
}  # fmt: skip
"""What is written though a document did not say it: it was not asked for."""


def facts(octets: bytes) -> Counter[str]:
    """List every attribute and every text of a header, with the path to it."""
    root = etree.fromstring(
        clinical_document(octets), etree.XMLParser(remove_comments=True, remove_pis=True)
    )
    found: Counter[str] = Counter()
    for child in root:
        if child.tag != f"{{{CDA}}}component":
            found.update(_facts(child, etree.QName(child).localname))
    return found


def _facts(element: _Element, path: str) -> Iterator[str]:
    for name, value in element.attrib.items():
        yield f"{path}/@{etree.QName(name).localname}={' '.join(value.split())}"
    words = " ".join((element.text or "").split())
    if words:
        yield f"{path}={words}"
    for child in element:
        yield from _facts(child, f"{path}/{etree.QName(child).localname}")


def written_again(octets: bytes) -> bytes:
    """Write a header as it was read, with a body of our own."""
    header = parse_cda(octets).header
    if UNSTRUCTURED_TEMPLATE in header.template_roots:
        return build_cda(header, FileBody("application/pdf", b"%PDF-1.4"))
    return build_cda(header, StructuredBody((Section(title="T", blocks=(Paragraph("p"),)),)))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_fact_of_an_official_header_is_lost(name: str) -> None:
    """Every attribute and text is compared by its own path, without our reader."""
    octets = official.document(name)
    before, after = facts(octets), facts(written_again(octets))

    lost = {fact for fact in before - after if not fact.endswith(tuple(FIXED))}
    added = {fact for fact in after - before if not fact.endswith(tuple(ADDED))}

    assert lost == set()
    assert added == set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_header_written_again_is_valid_by_the_schema(name: str) -> None:
    """The order of elements is that of the schema, extensions included."""
    schema = etree.XMLSchema(etree.parse(str(official.official_path("xsd/CDA_extended.xsd"))))

    assert schema.validate(etree.fromstring(written_again(official.document(name)))), (
        schema.error_log
    )


@pytest.fixture
def header(letter: Letter) -> CdaHeader:
    """The header of the sample letter."""
    return parse_cda(letter.cda).header


def round_trip(header: CdaHeader) -> CdaHeader:
    """Write and read a header."""
    return parse_cda(build_cda(header, StructuredBody((Section(title="T"),)))).header


def test_an_accession_number_is_an_extension_of_its_own(header: CdaHeader) -> None:
    """Imaging finds the examination by it; it lies in the namespace of DICOM."""
    order = Order(ids=(Identifier("1.2.3", "D1"),), accession_numbers=(Identifier("1.2.4", "A1"),))

    read = round_trip(replace(header, orders=(order,)))

    assert read.orders == (order,)


@pytest.mark.parametrize("class_code", ["ECON", "NOK", "CON", "CAREGIVER", ""])
def test_who_can_be_asked_is_kept_with_the_link_to_the_patient(
    header: CdaHeader, class_code: str
) -> None:
    """An emergency contact is not a person of trust; a professional is neither."""
    assert header.authors[0].name
    informant = Informant(class_code=class_code, actor=Actor(name=header.authors[0].name))

    assert round_trip(replace(header, informants=(informant,))).informants == (informant,)


@pytest.mark.parametrize(
    "period",
    [
        Period(start=HL7Time("20260101"), stop=HL7Time("20260102")),
        Period(stop=HL7Time("20260102")),
        Period(missing="MSK"),
    ],
)
def test_a_participation_during_a_time_stays_an_interval(header: CdaHeader, period: Period) -> None:
    """A point would say that it began and ended at once."""
    act = header.acts[0]
    assert act.performer
    performer = replace(act.performer, at=None, during=period)
    changed = replace(header, acts=(replace(act, performer=performer),))

    assert round_trip(changed).acts == changed.acts
