"""Each rule by itself: one change of a faultless header, one finding."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mss.clinical.cda import CdaHeader, parse_cda
from mss.clinical.check import check_cda
from mss.clinical.check_body import check_body
from mss.clinical.check_header import check_header
from mss.clinical.check_identity import Environment, check_identity
from mss.clinical.check_metadata import check_entry, check_set
from mss.clinical.document import Act, BodyKind, CdaDocument, RelatedDocument
from mss.clinical.metadata import Action
from mss.clinical.patient import Patient
from mss.clinical.people import Actor, Code, Identifier, Organization, PersonName
from mss.clinical.sample import Letter
from mss.clinical.times import HL7Time
from mss.clinical.xdm import read_archive

AT = datetime(2026, 3, 12, 14, 30, tzinfo=UTC)
PERSON = "1.2.250.1.71.4.2.1"
STRUCTURE = "1.2.250.1.71.4.2.2"
NIR_TEST = "1.2.250.1.213.1.4.10"
Change = Callable[[CdaHeader], CdaHeader]


def fields(**values: object) -> Change:
    """Change fields of the header."""
    return lambda header: replace(header, **values)  # type: ignore[arg-type]


def patient(change: Callable[[Patient], Patient]) -> Change:
    """Change the patient."""
    return lambda header: replace(header, patient=change(header.patient or Patient()))


def traits(**values: object) -> Change:
    """Change the traits of the patient."""
    return patient(lambda one: replace(one, traits=replace(one.traits, **values)))  # type: ignore[arg-type]


def ins(*matricules: str, root: str = NIR_TEST) -> Change:
    """Give the patient these numbers."""
    ids = tuple(Identifier(root, one) for one in matricules)
    return patient(lambda one: replace(one, identifiers=ids))


def author(**values: object) -> Change:
    """Change the author."""
    return lambda header: replace(header, authors=(replace(header.authors[0], **values),))  # type: ignore[arg-type]


def facility(code: Code) -> Change:
    """Change the kind of facility."""

    def change(header: CdaHeader) -> CdaHeader:
        assert header.encounter
        return replace(header, encounter=replace(header.encounter, facility=code))

    return change


def replaces(root: str, *, version: int, kind: str = "RPLC") -> Change:
    """Make the document a version of another."""
    related = (RelatedDocument(type_code=kind, ids=(Identifier(root),)),)
    return fields(related=related, version=version, id=Identifier("1.2.3"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (fields(), set()),
        (replaces("1.2.2", version=2), set()),
        (replaces("1.2.2", version=1), {"version-first"}),
        (replaces("1.2.3", version=2), {"version-self"}),
        (replaces("1.2.2", version=2, kind="APND"), {"version-relation"}),
        (fields(version=0), {"version-number"}),
        (fields(version=None), {"header-missing"}),
        (fields(set_id=None, title=""), {"header-missing"}),
        (fields(code=Code("", missing="UNK")), {"header-missing"}),
        (fields(language="fr"), {"header-language"}),
        (fields(confidentiality=Code("X")), {"header-confidentiality"}),
        (fields(confidentiality=Code("N", "1.2.3")), {"header-confidentiality"}),
        (fields(code=Code("11490-0", "1.2.3")), {"type-system"}),
        (fields(templates=()), {"template-missing", "template-unknown"}),
        (facility(Code("SA99", "1.2.250.1.71.4.2.4")), {"facility-unknown"}),
        (facility(Code("EXP_PATIENT", "1.2.250.1.213.1.1.4.6")), set()),
        (fields(acts=(Act(),)), {"practice-setting-missing"}),
        (traits(birth_date=HL7Time("19541399")), {"date-unreadable"}),
        (traits(birth_date=HL7Time("20990101")), {"date-future", "date-order"}),
        (fields(effective_time=HL7Time("20260312")), {"date-zone"}),
        (fields(effective_time=HL7Time("20260320120000+0100")), {"date-future"}),
        (fields(effective_time=HL7Time("20260313100000+0100")), set()),
    ],
)
def test_a_broken_rule_of_the_header_is_one_finding(
    letter: Letter, change: Change, expected: set[str]
) -> None:
    """Nothing else is said, so nobody has to search for the cause."""
    cda = parse_cda(letter.cda)

    found = check_header(replace(cda, header=change(cda.header)), AT + timedelta(hours=1), "X")

    assert {one.code for one in found} == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (fields(), set()),
        (ins("254057511404292"), set()),
        (ins("2540575114042"), {"ins-shape"}),
        (ins("25405751140429X"), {"ins-shape"}),
        (ins("254057511404293"), {"ins-key"}),
        (ins("254057511404292", "279035121518989"), {"ins-several"}),
        (ins("254052A11404281"), {"ins-key"}),
        (ins("42", root="1.2.250.1.213.1.4.2"), {"ins-absent"}),
        (traits(birth_place="7511"), {"birth-place"}),
        (traits(birth_place="2A004"), set()),
        (traits(birth_place="99100"), set()),
        (traits(first_given=""), {"ins-trait-missing", "ins-not-qualified"}),
        (traits(birth_place=""), {"ins-trait-missing"}),
        (traits(sex="U"), {"ins-trait-missing"}),
        (author(id=Identifier("1.2.3", "4")), {"person-id"}),
        (author(id=Identifier(PERSON)), {"person-id"}),
        (author(id=Identifier(PERSON, "8 12")), {"person-id-shape"}),
        (author(id=Identifier(PERSON, "899000000011")), {"person-id-check"}),
        (author(id=Identifier(PERSON, "3750803447/123")), set()),
        (author(organization=Organization(name="X")), {"structure-id"}),
        (author(organization=Organization(id=Identifier(STRUCTURE, "18012"))),
         {"structure-id-shape"}),
        (author(organization=Organization(id=Identifier(STRUCTURE, "1750803448"))),
         {"structure-id-check"}),
        (author(organization=Organization(id=Identifier(STRUCTURE, "TECHNIQUE-7"))), set()),
        (author(organization=Organization(id=Identifier("1.3.2", "123456789"))), set()),
        (author(specialty=Code("G99", "1.2.250.1.213.1.1.4.5")), {"specialty-unknown"}),
        (fields(custodian=Organization(name="X")), {"custodian-id"}),
        (fields(recipients=(Actor(),)), {"recipient-empty"}),
        (fields(recipients=(Actor(name=PersonName(family="X")),)), set()),
    ],
)  # fmt: skip
def test_a_broken_rule_of_identity_is_one_finding(
    letter: Letter, change: Change, expected: set[str]
) -> None:
    """Numbers are judged by what they alone can tell."""
    header = change(parse_cda(letter.cda).header)

    found = check_identity(header, Environment.TEST, "X")

    assert {one.code for one in found} == expected


@pytest.mark.parametrize(
    ("mime", "content", "expected"),
    [
        ("application/pdf", b"%PDF-1.4 %%EOF", set()),
        ("application/pdf", b"%PDF-1.4", {"pdf-truncated"}),
        ("application/pdf", b"MZ", {"pdf-unreadable"}),
        ("application/pdf", b"%PDF-1.4 /Encrypt 5 0 R %%EOF", {"pdf-encrypted"}),
        ("application/pdf", b"%PDF-1.4 /JS(x) %%EOF", {"pdf-active"}),
        ("application/pdf", b"", {"body-missing"}),
        ("image/jpeg", b"\xff\xd8\xff\xe0", set()),
        ("image/jpeg", b"\x89PNG\r\n\x1a\n", {"file-mismatch"}),
        ("image/tiff", b"II*\x00", set()),
        ("text/rtf", b"%PDF-1.4", {"file-mismatch"}),
        ("text/plain", b"Bonjour", set()),
        ("text/plain", b"\x00\x01", {"file-mismatch"}),
        ("application/msword", b"x", {"body-media-type"}),
    ],
)
def test_a_file_is_what_it_is_called(mime: str, content: bytes, expected: set[str]) -> None:
    """By its first octets, whatever the sender says."""
    octets = (
        f'<ClinicalDocument xmlns="urn:hl7-org:v3"><component><nonXMLBody><text mediaType="{mime}" '
        f'representation="B64">{base64.b64encode(content).decode()}</text></nonXMLBody>'
        "</component></ClinicalDocument>"
    ).encode()

    assert {one.code for one in check_body(parse_cda(octets), octets, "X")} == expected


def test_a_document_without_a_body_is_an_error() -> None:
    """There is nothing to show."""
    cda = CdaDocument(header=CdaHeader(), body=BodyKind.NONE)
    octets = b'<ClinicalDocument xmlns="urn:hl7-org:v3"/>'

    assert [one.code for one in check_body(cda, octets, "X")] == ["body-missing"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, set()),
        ({"unique_id": "not an oid"}, {"metadata-oid"}),
        ({"source_id": "1." + "2" * 80}, {"metadata-oid"}),
        ({"content_type": None}, {"metadata-missing"}),
        ({"authors": ()}, {"metadata-missing"}),
        ({"title": ""}, set()),
    ],
)
def test_a_submission_set_says_who_and_what(
    letter: Letter, change: dict[str, object], expected: set[str]
) -> None:
    """A title is optional, all else is not."""
    one = replace(read_archive(letter.archive).submission_sets[0], **change)  # type: ignore[arg-type]

    assert {each.code for each in check_set(one, "X")} == expected


MASKS = "1.2.250.1.213.1.1.4.13"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, set()),
        ({"confidentiality": (Code("N"), Code("MASQUE_PS", MASKS))}, set()),
        ({"confidentiality": (Code("N"), Code("SECRET"))}, {"metadata-visibility"}),
        ({"confidentiality": (Code("N"), Code("MASQUE_PS"), Code("MASQUE_PS"))},
         {"metadata-visibility"}),
        ({"format_code": None}, {"metadata-format-code"}),
        ({"action": Action.DELETE}, set()),
        ({"uri": ""}, {"metadata-missing"}),
        ({"practice_setting": None}, {"metadata-practice-setting"}),
    ],
)  # fmt: skip
def test_an_entry_says_what_the_document_says(
    letter: Letter, change: dict[str, object], expected: set[str]
) -> None:
    """And what only the sender can say, in the words that are provided for it."""
    entry = replace(read_archive(letter.archive).documents[0].entry, **change)  # type: ignore[arg-type]

    found = check_entry(entry, parse_cda(letter.cda), letter.cda, "X")

    assert {one.code for one in found} == expected


@pytest.mark.parametrize(
    ("format_code", "expected"),
    [
        ("urn:asip:ci-sis:obp-sap:2023", set()),
        ("urn:asip:ci-sis:sap:2012", set()),
        ("urn:asip:ci-sis:snm:2012", {"metadata-format-code"}),
    ],
)
def test_both_formats_of_a_model_are_accepted(
    letter: Letter, format_code: str, expected: set[str]
) -> None:
    """The national table and the examples of the same year disagree about obstetrics."""
    cda = parse_cda(letter.cda)
    templates = (*cda.header.templates[:2], Identifier("1.2.250.1.213.1.1.1.12.1", "2024.01"))
    other = replace(cda, header=replace(cda.header, templates=templates))
    entry = replace(read_archive(letter.archive).documents[0].entry, format_code=Code(format_code))

    found = check_entry(entry, other, letter.cda, "X")

    assert {one.code for one in found} == expected


@pytest.mark.parametrize(
    ("before", "after", "part"),
    [
        (b'<realmCode code="FR"/>', b'<realmCode code="DE"/>', "realmCode"),
        (b'<realmCode code="FR"/>', b"", "realmCode"),
        (b'extension="POCD_HD000040"', b'extension="POCD_HD000041"', "typeId"),
        (b"<setId ", b'<setId nullFlavor="UNK" ', "setId/@nullFlavor"),
        (b'qualifier="BR"', b'qualifier="SP"', "recordTarget//name"),
        (b"<patient ", b'<telecom value="0144534551"/><patient ', "recordTarget//telecom"),
        (b"<patient ", b'<telecom value="tel:01" use="ZZ"/><patient ', "recordTarget//telecom"),
        (b"<patient ", b'<telecom value="tel:01" use="H WP"/><patient ', None),
        (b"<patient ", b'<telecom nullFlavor="UNK"/><patient ', None),
        (
            b"<patient ",
            b'<telecom value="tel:1" nullFlavor="UNK"/><patient ',
            "recordTarget//telecom",
        ),
        (b"<patient ", b"<telecom/><patient ", "recordTarget//telecom"),
    ],
)
def test_the_form_of_a_header_is_the_national_one(
    letter: Letter, before: bytes, after: bytes, part: str | None
) -> None:
    """What values do not carry is remarked upon under the name of the part that it stands in."""
    assert before in letter.cda

    found = check_cda(letter.cda.replace(before, after, 1))

    texts = [one.text for one in found if one.code == "header-form"]
    assert [part is not None and f"{part}." in text for text in texts] == [True] * bool(part)
