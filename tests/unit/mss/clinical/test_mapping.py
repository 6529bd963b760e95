from dataclasses import replace

import pytest

from mss.clinical.cda import CdaHeader, parse_cda
from mss.clinical.document import Act, BodyKind, CdaDocument, Encounter, Order
from mss.clinical.mapping import (
    default_content_type,
    describe,
    describe_author,
    event_codes,
    references,
    source_id,
    source_patient_info,
)
from mss.clinical.metadata import Action, Author
from mss.clinical.patient import Patient, Traits
from mss.clinical.people import Actor, Code, Device, Identifier, Organization, PersonName
from mss.clinical.times import HL7Time
from tests.unit.mss.clinical import official

LOINC = "2.16.840.1.113883.6.1"
INS = "1.2.250.1.213.1.4.10"
FIXED = (Identifier("2.16.840.1.113883.2.8.2.1"), Identifier("1.2.250.1.213.1.1.1.1"))


def described(
    header: CdaHeader, body: BodyKind = BodyKind.STRUCTURED, media: str = ""
) -> dict[str, object]:
    """What is written about a document, field by field."""
    entry = describe(
        CdaDocument(header=header, body=body, media_type=media), b"x", uri="DOC0001.XML"
    )
    return {name: getattr(entry, name) for name in entry.__dataclass_fields__}


@pytest.mark.parametrize(
    ("code", "template", "body", "media", "expected"),
    [
        ("34112-3", "1.3.6.1.4.1.19376.1.2.20", BodyKind.PDF, "application/pdf",
         ("10", "urn:ihe:iti:xds-sd:pdf:2008")),
        ("85208-7", "1.3.6.1.4.1.19376.1.2.20", BodyKind.TEXT, "text/plain",
         ("10", "urn:ihe:iti:xds-sd:text:2008")),
        ("18748-4", "1.2.250.1.213.1.1.1.45", BodyKind.JPEG, "image/jpeg",
         ("31", "urn:ihe:iti-fr:xds-sd:jpeg:2010")),
        ("18748-4", "1.2.250.1.213.1.1.1.45", BodyKind.STRUCTURED, "",
         ("31", "urn:ihe:rad:CDA:ImagingReportStructuredHeadings:2013")),
        ("96173-0", "1.2.250.1.213.1.1.1.59", BodyKind.STRUCTURED, "",
         ("52", "urn:ans:ci-sis:trod:2024")),
        ("57055-6", "1.2.250.1.213.1.1.1.12.1", BodyKind.STRUCTURED, "",
         ("11", "urn:asip:ci-sis:obp-sap:2023")),
        ("18776-5", "1.2.250.1.213.1.1.1.20", BodyKind.STRUCTURED, "",
         ("44", "urn:asip:ci-sis:pps-paerpa:2017")),
        ("18776-5", "1.2.250.1.213.1.1.1.26", BodyKind.STRUCTURED, "",
         ("44", "urn:asip:ci-sis:pps-cancer:2017")),
        ("60568-3", "1.3.6.1.4.1.19376.1.8.1.1.1", BodyKind.STRUCTURED, "",
         ("10", "urn:ihe:pat:apsr:all:2010")),
        ("EXPPAT_2", "1.3.6.1.4.1.19376.1.2.20", BodyKind.TIFF, "image/tiff",
         ("90", "urn:ihe:iti-fr:xds-sd:tiff:2010")),
        ("0-0", "1.2.3", BodyKind.STRUCTURED, "", (None, None)),
    ],
)  # fmt: skip
def test_class_and_format_follow_from_type_template_and_body(
    code: str, template: str, body: BodyKind, media: str, expected: tuple[str | None, str | None]
) -> None:
    """One row for each branch of the national tables."""
    header = CdaHeader(code=Code(code, LOINC), templates=(*FIXED, Identifier(template, "2024.01")))

    found = described(header, body, media)

    kinds = (found["class_code"], found["format_code"])
    assert tuple(one.code if isinstance(one, Code) else None for one in kinds) == expected


@pytest.mark.parametrize(
    ("change", "action"),
    [
        ({}, Action.NEW),
        ({"version": 1}, Action.NEW),
        ({"version": 2}, Action.REPLACE),
    ],
)
def test_a_later_version_replaces(change: dict[str, int], action: Action) -> None:
    """Half of the examples say so by their number alone."""
    assert described(CdaHeader(**change))["action"] is action  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ids", "patient_id", "source"),
    [
        ([(INS, "1"), ("1.2", "7"), ("1.3", "8")], f"1^^^&{INS}&ISO^NH", "7^^^&1.2&ISO^PI"),
        ([(INS, "1")], f"1^^^&{INS}&ISO^NH", f"1^^^&{INS}&ISO^NH"),
        ([("1.2", "7")], "7^^^&1.2&ISO^PI", "7^^^&1.2&ISO^PI"),
        ([(INS, "1"), ("1.2.250.1.213.1.4.8", "2")], "2^^^&1.2.250.1.213.1.4.8&ISO^NH",
         "2^^^&1.2.250.1.213.1.4.8&ISO^NH"),
        ([], "", ""),
    ],
    ids=["both", "ins", "local", "production-first", "none"],
)  # fmt: skip
def test_the_patient_is_named_by_ins_else_by_the_local_number(
    ids: list[tuple[str, str]], patient_id: str, source: str
) -> None:
    """An archive without INS is possible; the local number then stands for both."""
    patient = Patient(identifiers=tuple(Identifier(*one) for one in ids))

    found = described(CdaHeader(patient=patient))

    assert found["patient_id"] == patient_id
    assert found["source_patient_id"] == source


def test_all_traits_are_lines_and_further_numbers_follow() -> None:
    """Names as born, names as used, date, sex, place, numbers of other structures."""
    patient = Patient(
        identifiers=(Identifier(INS, "1"), Identifier("1.2", "7"), Identifier("1.3", "8")),
        traits=Traits(birth_name="D^ARC", first_given="Jeanne", all_given="Jeanne Marie",
                      used_name="DUPONT", used_given="Jo", birth_date=HL7Time("19500101"),
                      sex="F", birth_place="2A004"),
    )  # fmt: skip

    assert source_patient_info(patient) == (
        "PID-5|D ARC^Jeanne^Jeanne Marie^^^^L",
        "PID-5|DUPONT^Jo^^^^^D",
        "PID-7|19500101",
        "PID-8|F",
        "PID-11|^^^^^^BDL^^2A004",
        "PID-3|8^^^&1.3&ISO^PI",
    )


def test_a_patient_a_device_and_a_company_write_as_the_profile_says() -> None:
    """A patient has no institution; a company outside health has a SIREN."""
    patient = Actor(
        id=Identifier(INS, "279035121518989"),
        name=PersonName(family="NESSI", given="Ruth"),
        organization=Organization(name="X"),
    )
    device = Actor(
        id=Identifier("1.2.3", "4"),
        device=Device(software="Logiciel", model="Modèle"),
        organization=Organization(name="Société", id=Identifier("1.3.2", "123456789")),
    )

    assert describe_author(patient) == Author(
        person=f"279035121518989^NESSI^Ruth^^^^^^&{INS}&ISO^D^^^NH"
    )
    assert describe_author(device) == Author(
        person="4^Logiciel^Modèle^^^^^^&1.2.250.1.71.4.2.1&ISO^U^^^RI",
        institutions=("Société^^^^^&1.3.2&ISO^SIREN^^^123456789",),
    )


def test_only_imaging_names_the_translations_of_an_act() -> None:
    """Procedure, modality and region of each act; elsewhere the act alone."""
    act = Act(code=Code("A"), translations=(Code("B"), Code("", missing="UNK")))
    imaging = CdaHeader(code=Code("18748-4"), acts=(act, Act(code=Code("C"))))

    assert [one.code for one in event_codes(imaging)] == ["A", "B", "C"]
    assert [one.code for one in event_codes(replace(imaging, code=Code("x")))] == ["A", "C"]


def test_a_code_that_only_says_why_it_is_missing_is_none() -> None:
    """A null flavor is no code of the metadata."""
    nothing = Code("", missing="UNK")
    header = CdaHeader(code=nothing, confidentiality=nothing, encounter=Encounter(facility=nothing))

    found = described(header)

    assert [found[one] for one in ("type_code", "class_code", "facility")] == [None] * 3
    assert found["confidentiality"] == ()


@pytest.mark.parametrize(
    ("facility", "stay", "expected"),
    [
        ("SA07", "AMB", "SA07"),
        ("SA01", "IMP", "03"),
        ("SA01", "AMB", "07"),
        ("SA04", "", "97"),
    ],
)
def test_the_activity_is_the_facility_unless_it_is_a_hospital(
    facility: str, stay: str, expected: str
) -> None:
    """The list of activities holds no kind of hospital, though examples write one."""
    place = Encounter(facility=Code(facility), code=Code(stay) if stay else None)
    found = default_content_type(CdaHeader(encounter=place))

    assert found is not None
    assert found.code == expected


def test_the_source_is_the_structure_that_keeps_the_document() -> None:
    """Its root and number, as one OID."""
    keeper = Organization(id=Identifier("1.2.250.1.71.4.2.2", "1750803447"))

    assert source_id(CdaHeader(custodian=keeper)) == "1.2.250.1.71.4.2.2.1750803447"
    assert source_id(CdaHeader()) == ""


def test_orders_and_examinations_can_be_referred_to() -> None:
    """From an official imaging report: two orders, two accession numbers."""
    header = parse_cda(official.document("IMG_CR_IMG_2024.01")).header

    found = references(header)

    assert found[0] == ("984375862^^^&1.2.250.1.748.12345678.12&ISO^urn:ihe:iti:xds:2013:order")
    assert len([one for one in found if one.endswith(":accession")]) == 2
    assert references(CdaHeader(orders=(Order(ids=(Identifier("1.2.3"),)),))) == (
        "1.2.3^^^^urn:ihe:iti:xds:2013:order",
    )
