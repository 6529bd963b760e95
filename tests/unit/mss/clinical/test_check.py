from collections.abc import Callable
from dataclasses import replace

import pytest

from mss.clinical.cda import FileBody, StructuredBody, build_cda, parse_cda, read_sections
from mss.clinical.check import Environment, check_archive, check_cda, has_errors
from mss.clinical.document import CdaHeader
from mss.clinical.finding import Severity
from mss.clinical.metadata import Action, DocumentEntry
from mss.clinical.people import Actor, Code, Identifier
from mss.clinical.sample import Letter
from mss.clinical.times import HL7Time
from mss.clinical.vocabulary import FIXED_TEMPLATES, UNSTRUCTURED_TEMPLATE
from mss.clinical.xdm import Archive, read_archive
from tests.unit.mss.clinical import official

Change = Callable[[CdaHeader], CdaHeader]


def codes(archive: Archive, environment: Environment | None = None) -> dict[str, Severity]:
    """What a check says, by code."""
    return {one.code: one.severity for one in check_archive(archive, environment=environment)}


def altered(letter: Letter, **entry: object) -> Archive:
    """The sample archive, with other metadata."""
    archive = read_archive(letter.archive)
    document = archive.documents[0]
    changed = replace(document.entry, **entry)  # type: ignore[arg-type]
    return replace(archive, documents=(replace(document, entry=changed),))


def rewritten(letter: Letter, change: Change) -> bytes:
    """The sample letter, with another header."""
    header = change(parse_cda(letter.cda).header)
    return build_cda(header, StructuredBody(read_sections(letter.cda)))


def test_the_sample_letter_is_faultless(letter: Letter) -> None:
    """What we write ourselves gives a receiver nothing to remark upon."""
    archive = read_archive(letter.archive)

    assert check_archive(archive, environment=Environment.TEST) == []


@pytest.mark.parametrize("name", official.ARCHIVES)
def test_an_official_archive_has_no_error(name: str) -> None:
    """The published examples break lesser rules only, which are warnings."""
    findings = check_archive(read_archive(official.archive(name)))

    assert not has_errors(findings)


def test_a_known_fault_of_an_official_archive_is_found() -> None:
    """The unstructured imaging report says class 10 where the national table says 31."""
    archive = read_archive(official.archive("IMG_CR_IMG_2024.01_CDA-R2-Niveau-1"))

    assert codes(archive)["metadata-class-code"] is Severity.WARNING


@pytest.mark.parametrize(
    ("entry", "code", "severity"),
    [
        ({"hash": "0" * 40}, "document-hash", Severity.ERROR),
        ({"hash": ""}, "document-hash", Severity.ERROR),
        ({"size": 1}, "document-size", Severity.ERROR),
        ({"size": None}, "document-size", Severity.ERROR),
        ({"unique_id": "1.2.3"}, "metadata-unique-id", Severity.ERROR),
        ({"type_code": Code("34112-3")}, "metadata-type-code", Severity.ERROR),
        ({"type_code": None}, "metadata-type-code", Severity.ERROR),
        ({"confidentiality": (Code("R"),)}, "metadata-confidentiality", Severity.ERROR),
        ({"class_code": Code("11")}, "metadata-class-code", Severity.WARNING),
        ({"format_code": Code("urn:x")}, "metadata-format-code", Severity.WARNING),
        ({"title": "Autre"}, "metadata-title", Severity.WARNING),
        ({"creation_time": "20200101"}, "metadata-creation-time", Severity.WARNING),
        ({"authors": ()}, "metadata-authors", Severity.WARNING),
        ({"events": ()}, "metadata-events", Severity.WARNING),
        ({"source_patient_info": ()}, "metadata-source-patient-info", Severity.WARNING),
        ({"mime_type": "application/octet-stream"}, "metadata-mime-type", Severity.WARNING),
        ({"action": Action.REPLACE}, "action-target", Severity.WARNING),
    ],
)
def test_metadata_that_differ_from_the_document_are_found(
    letter: Letter, entry: dict[str, object], code: str, severity: Severity
) -> None:
    """One change, one finding."""
    assert codes(altered(letter, **entry)) == {code: severity}


@pytest.mark.parametrize(
    "entry",
    [
        {"hash": "lower"},
        {"title": "  LETTRE de liaison à la sortie de l'établissement de santé "},
        {"mime_type": "application/xslt+xml"},
    ],
)
def test_differences_of_form_alone_are_no_findings(letter: Letter, entry: dict[str, str]) -> None:
    """Case of the fingerprint, blanks, the other media type that one text asks for."""
    archive = read_archive(letter.archive)
    values = {name: archive.documents[0].sha1.lower() if value == "lower" else value
              for name, value in entry.items()}  # fmt: skip

    assert codes(altered(letter, **values)) == {}


def test_another_patient_in_the_metadata_is_found_twice(letter: Letter) -> None:
    """The archive speaks of two people, and the entry names the wrong one."""
    other = altered(letter, patient_id="184112A00400528^^^&1.2.250.1.213.1.4.10&ISO^NH")

    assert codes(other) == {
        "several-patients": Severity.ERROR,
        "metadata-patient-id": Severity.ERROR,
    }


def test_a_document_that_is_none_is_an_error(letter: Letter) -> None:
    """Everything else about it is still said."""
    archive = read_archive(letter.archive)
    broken = replace(archive.documents[0], octets=b"%PDF-1.4", sha1="0" * 40)

    found = codes(replace(archive, documents=(broken,)))

    assert found == dict.fromkeys(
        ("document-hash", "document-size", "document-not-cda"), Severity.ERROR
    )


def test_an_archive_without_documents_is_an_error(letter: Letter) -> None:
    """Metadata alone are of no use to anybody."""
    assert codes(replace(read_archive(letter.archive), documents=())) == {
        "archive-empty": Severity.ERROR
    }


def test_the_same_document_listed_twice_is_found(letter: Letter) -> None:
    """It would be filed twice."""
    archive = read_archive(letter.archive)

    assert "document-twice" in codes(replace(archive, documents=archive.documents * 2))


def test_a_replacement_that_the_metadata_hide_is_found(letter: Letter) -> None:
    """The older version would stay in the record beside the newer one."""
    archive = read_archive(official.archive("BIO-CR-BIO_2024.01_Microbiologie_V2"))
    entry = replace(archive.documents[0].entry, action=Action.NEW)
    document = replace(archive.documents[0], entry=entry)

    found = codes(replace(archive, documents=(document,)))

    assert found["action-missing"] is Severity.WARNING


def with_ins(matricule: str, authority: str) -> Change:
    """Give the patient another INS."""

    def change(header: CdaHeader) -> CdaHeader:
        assert header.patient
        return replace(
            header,
            patient=replace(header.patient, identifiers=(Identifier(authority, matricule),)),
        )

    return change


@pytest.mark.parametrize(
    ("authority", "environment", "severity"),
    [
        ("1.2.250.1.213.1.4.10", None, Severity.WARNING),
        ("1.2.250.1.213.1.4.10", Environment.PRODUCTION, Severity.WARNING),
        ("1.2.250.1.213.1.4.8", None, Severity.WARNING),
        ("1.2.250.1.213.1.4.8", Environment.TEST, Severity.WARNING),
        ("1.2.250.1.213.1.4.8", Environment.PRODUCTION, Severity.ERROR),
    ],
)
def test_a_wrong_key_is_an_error_only_for_living_people(
    letter: Letter, authority: str, environment: Environment | None, severity: Severity
) -> None:
    """Published examples hold wrong keys; a wrong key in production is another person."""
    octets = rewritten(letter, with_ins("254057511404293", authority))

    found = {one.code: one.severity for one in check_cda(octets, environment=environment)}

    assert found["ins-key"] is severity


@pytest.mark.parametrize(
    ("authority", "environment", "code", "severity"),
    [
        ("1.2.250.1.213.1.4.10", Environment.PRODUCTION, "ins-of-test", Severity.WARNING),
        ("1.2.250.1.213.1.4.11", Environment.PRODUCTION, "ins-of-test", Severity.WARNING),
        ("1.2.250.1.213.1.4.8", Environment.TEST, "ins-of-production", Severity.WARNING),
    ],
)
def test_an_ins_of_the_other_world_is_found(
    letter: Letter, authority: str, environment: Environment, code: str, severity: Severity
) -> None:
    """An invented patient must not enter a record, nor a living one a test."""
    octets = rewritten(letter, with_ins("254057511404292", authority))

    found = {one.code: one.severity for one in check_cda(octets, environment=environment)}

    assert found == {code: severity}


def headless(header: CdaHeader) -> CdaHeader:
    """Take the traits away that an INS must be accompanied by."""
    assert header.patient
    traits = replace(header.patient.traits, birth_place="", sex="M")
    return replace(header, patient=replace(header.patient, traits=traits))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda header: replace(header, code=Code("34112-3", "2.16.840.1.113883.6.1")),
         {"template-type"}),
        (lambda header: replace(header, code=Code("0-0", "2.16.840.1.113883.6.1")),
         {"template-type", "type-unknown"}),
        (lambda header: replace(header, id=Identifier("not an oid")), {"header-id"}),
        (lambda header: replace(header, effective_time=HL7Time("20250312143000+0100")), set()),
        (lambda header: replace(header, effective_time=HL7Time("19500312143000+0100")),
         {"date-order"}),
        (lambda header: replace(header, authors=(Actor(id=Identifier("1.2.3", "9"),
                                                       at=HL7Time("2026")),)), {"person-id"}),
        (lambda header: replace(header, authors=(Actor(id=Identifier("1.2.250.1.71.4.2.1",
                                                       "899000000011"), at=HL7Time("2026")),)),
         {"person-id-check"}),
        (headless, {"ins-trait-missing", "ins-trait-differs"}),
        (with_ins("42", "1.2.3.4"), {"ins-absent"}),
    ],
)  # fmt: skip
def test_a_broken_rule_of_the_header_is_found(
    letter: Letter, change: Change, expected: set[str]
) -> None:
    """Rules that no schema and no schematron checks."""
    assert {one.code for one in check_cda(rewritten(letter, change))} == expected


def test_a_pdf_that_is_none_is_an_error(letter: Letter) -> None:
    """The media type is what the sender says, the octets are what the reader gets."""
    header = replace(
        parse_cda(letter.cda).header,
        templates=tuple(Identifier(one) for one in (*FIXED_TEMPLATES, UNSTRUCTURED_TEMPLATE)),
    )
    octets = build_cda(header, FileBody("application/pdf", b"MZ\x90\x00"))

    assert {one.code for one in check_cda(octets)} == {"pdf-unreadable"}


def test_active_content_in_a_pdf_is_found(letter: Letter) -> None:
    """Quarantine is for the policy to decide; the finding says why."""
    header = replace(
        parse_cda(letter.cda).header,
        templates=tuple(Identifier(one) for one in (*FIXED_TEMPLATES, UNSTRUCTURED_TEMPLATE)),
    )
    octets = build_cda(
        header, FileBody("application/pdf", b"%PDF-1.4 /S /JavaScript /JS (x) %%EOF")
    )

    assert {one.code for one in check_cda(octets)} == {"pdf-active"}


def test_an_empty_document_is_said_to_be_one() -> None:
    """Vital elements are errors, usual ones warnings."""
    found = check_cda(b'<ClinicalDocument xmlns="urn:hl7-org:v3"/>')

    assert has_errors(found)
    assert {one.code for one in found if one.severity is Severity.ERROR} == {
        "header-missing",
        "header-patient",
        "body-missing",
    }


def test_no_finding_repeats_what_a_document_says_about_people(letter: Letter) -> None:
    """Findings go to logs and back to senders."""
    octets = rewritten(letter, with_ins("254057511404293", "1.2.250.1.213.1.4.8"))
    archive = altered(letter, title="X", authors=(), patient_id="x^^^&1.2&ISO^NH", hash="")

    said = " ".join(
        f"{one.text} {one.text_fr} {one.where}"
        for one in (*check_cda(octets), *check_archive(archive))
    )

    assert said
    assert not [word for word in ("25405", "FICTIF", "CAMILLE", "ESSAI", "8990") if word in said]


def test_every_finding_speaks_both_languages(letter: Letter) -> None:
    """Software shows one or the other to people."""
    found = check_archive(altered(letter, **dict.fromkeys(("title", "hash", "unique_id"), "")))

    assert len(found) == 3
    assert all(one.text.endswith(".") and one.text_fr.endswith(".") for one in found)


def test_every_field_of_an_entry_is_compared_or_meant_not_to_be() -> None:
    """A field that is added must be added to the comparison, or here."""
    from mss.clinical.check_metadata import _FIELDS

    compared = {field.name for field in _FIELDS}
    otherwise = {"entry_uuid", "uri", "mime_type", "hash", "size", "comments", "patient_id",
                 "references", "action"}  # fmt: skip

    assert compared | otherwise == set(DocumentEntry.__dataclass_fields__)
