"""From what a practice knows to a letter: complete, valid, and refused with reasons."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from lxml import etree
from PIL import Image

from directory.identifiers import FINESS, NationalPersonId
from directory.model import (
    Coded,
    Organization,
    PostalAddress,
    PracticeRole,
    Practitioner,
    Skill,
)
from mss.clinical.build_letter import BuiltLetter, build_letter
from mss.clinical.cda import BodyKind, embedded_files, embedded_pdf, parse_cda, read_sections
from mss.clinical.check import Environment, check_archive
from mss.clinical.draft import (
    ActDraft,
    BlockDraft,
    DischargeDraft,
    DocumentDraft,
    DraftAction,
    EncounterDraft,
    FactDraft,
    FileDraft,
    HiddenFrom,
    LetterDraft,
    OrderDraft,
    OrganizationDraft,
    PatientDraft,
    PersonDraft,
    PreviousDraft,
    ProblemDraft,
    RelativeDraft,
    SectionDraft,
    SummaryDraft,
    TreatmentDraft,
)
from mss.clinical.draft_known import Known
from mss.clinical.draft_notes import LetterContentError
from mss.clinical.metadata import Action
from mss.clinical.people import Code, Identifier
from mss.clinical.times import HL7Time
from mss.clinical.xdm import read_archive
from tests.unit.mss.clinical import official

AT = datetime(2026, 3, 12, 14, 30, tzinfo=UTC)
LETTER_ID = UUID("9a1c8a52-6c1d-4b6f-9b0e-0a4d9c1e7f55")
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n<pdfaid:part>1</pdfaid:part>\n%%EOF\n"
PATIENT = PatientDraft(
    ins="254057511404292",
    birth_name="PATIENT-FICTIF",
    given_names="CAMILLE JEANNE",
    birth_date="1954-05-14",
    sex="F",
    birth_place="75114",
)
GP = Practitioner(
    national_id=NationalPersonId("899000000028"),
    family="MODELE",
    given="KARIM",
    title="DR",
    profession=Coded(code="10"),
    skills=(Skill(kind=Coded(code="S"), code="SM26", label="Médecine générale"),),
    roles=(
        PracticeRole(
            profession=Coded(code="10"),
            organization=Organization(
                key="1750000002",
                name="CABINET DES TILLEULS",
                finess=FINESS("750000002"),
                sector=Coded(code="SA07"),
                phone="0100000000",
                address=PostalAddress(street="12 rue des Tilleuls", postcode="75000", city="PARIS"),
            ),
        ),
    ),
)
KNOWN = Known(owner=GP, is_production=False)
REPORT = DocumentDraft(type="11488-4", file=FileDraft(octets=PDF))
ATC = Code("C03CA01", "2.16.840.1.113883.6.73", "Furosémide")
ICD = Code("I10", "2.16.840.1.113883.6.3", "Hypertension essentielle")
DISCHARGE = DischargeDraft(
    reason="Dyspnée",
    summary="Insuffisance cardiaque aiguë.",
    admission=Code("107724000", "2.16.840.1.113883.6.96", "transfert"),
    discharge_text="Retour au domicile",
    adverse_events="Aucun",
    looked_for_bacteria=True,
    bacteria="EPC",
    transfused=True,
    transfusion_events="Aucun",
    blood_products=True,
    treatments=(
        TreatmentDraft(
            name="Furosémide 40 mg",
            dosage="1 le matin",
            start="2026-03-12",
            substance=ATC,
            dose="1",
            unit="{tbl}",
            every_hours=24,
        ),
    ),
    stopped=(TreatmentDraft(name="Ibuprofène", stop="2026-03-06", substance=ATC),),
    results=(BlockDraft(rows=(("TSH", "en attente"),), head=("Examen", "Résultat")),),
    follow_up=(BlockDraft(items=("Biologie", "Consultation"), is_ordered=True),),
    devices=(BlockDraft(text="Stimulateur"),),
    allergies=(),
)
SUMMARY = SummaryDraft(
    problems=(ProblemDraft(name="Hypertension", code=ICD, start="2015-01-01"),),
    history=(ProblemDraft(name="Pyélonéphrite", code=ICD, start="2018", stop="2018"),),
    procedures=(
        ProblemDraft(name="Appendicectomie", code=Code("HHFA001", "1.2.250.1.215.300.1", "App.")),
    ),
    allergies=(ProblemDraft(name="Pénicilline", start="2001-02-03"),),
    family=(
        ProblemDraft(
            name="Diabète", code=ICD, relation=Code("MTH", "2.16.840.1.113883.5.111", "Mère")
        ),
    ),
    lifestyle=(BlockDraft(text="Non fumeur"),),
    watch_points=("Chutes",),
    treatments=(TreatmentDraft(name="Amlodipine", dosage="1/j", substance=ATC),),
)


def made(*documents: DocumentDraft, patient: PatientDraft = PATIENT) -> BuiltLetter:
    """Make a letter as the general practitioner."""
    draft = LetterDraft(patient=patient, documents=documents)
    return build_letter(draft, at=AT, letter_id=LETTER_ID, known=KNOWN)


def refused(draft: LetterDraft, known: Known = KNOWN) -> set[tuple[str, str]]:
    """Make a letter that cannot be made; gives code and field of each error and warning."""
    with pytest.raises(LetterContentError) as caught:
        build_letter(draft, at=AT, letter_id=LETTER_ID, known=known)
    return {(one.code, one.where) for one in caught.value.findings}


def letter(document: DocumentDraft = REPORT, patient: PatientDraft = PATIENT) -> LetterDraft:
    """A letter with one document."""
    return LetterDraft(patient=patient, documents=(document,))


def picture(kind: str) -> bytes:
    """A small picture."""
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(out, kind)
    return out.getvalue()


SUMMARY = replace(SUMMARY, history=(ProblemDraft(name="Pyélonéphrite", code=ICD),))
SECTIONS = (SectionDraft(title="Conclusion", blocks=(BlockDraft(text="Rien à signaler"),)),)
KINDS = {
    "report": REPORT,
    "picture": DocumentDraft(type="11488-4", file=FileDraft(octets=picture("JPEG"))),
    "scan": DocumentDraft(type="11488-4", file=FileDraft(octets=picture("TIFF"))),
    "rtf": DocumentDraft(type="11488-4", file=FileDraft(octets=rb"{\rtf1 Tout va bien}")),
    "text": DocumentDraft(type="11488-4", file=FileDraft(octets="Tout va bien, né".encode())),
    "sections": DocumentDraft(type="11488-4", sections=SECTIONS),
    "discharge": DocumentDraft(type="11490-0", discharge=DISCHARGE),
    "summary": DocumentDraft(type="SYNTH", summary=SUMMARY),
    "everything": replace(
        REPORT,
        treating_physician=PersonDraft(rpps="99000000028"),
        recipients=(PersonDraft(family="AUTRE"),),
        authors=(
            PersonDraft(rpps="99000000028"),
            PersonDraft(
                national_id="3750000002/7", software="Labo", model="Marque",
                organization=OrganizationDraft(finess="750000002", name="Labo", sector="SA25"),
            ),
            PersonDraft(is_patient=True),
        ),
        data_enterer=PersonDraft(family="SAISIE", given="Anne"),
        authenticators=(PersonDraft(family="RELIT"),),
        acts=(
            ActDraft(code=ICD, start="2026-03-10", stop="2026-03-12", translations=(ATC,)),
            ActDraft(code=ATC),
        ),
        encounter=EncounterDraft(
            code=Code("IMP", "2.16.840.1.113883.5.4", "Hospitalisation"),
            ids=(Identifier("1.2.3", "V1"),),
            responsible=PersonDraft(family="CHEF"),
        ),
        orders=(OrderDraft(id=Identifier("1.2.4", "D1"), accession=Identifier("1.2.5", "A1")),),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_made_is_valid_and_faultless(kind: str) -> None:
    """By the schema of CDA, by our own checks, and read back as it was written."""
    schema = etree.XMLSchema(etree.parse(str(official.official_path("xsd/CDA_extended.xsd"))))

    built = made(KINDS[kind])

    (document,) = built.documents
    assert schema.validate(etree.fromstring(document.cda)), schema.error_log
    assert parse_cda(document.cda).header == document.header
    assert document.pdf.startswith(b"%PDF-")
    findings = check_archive(read_archive(built.archive), environment=Environment.TEST, at=AT)
    assert [one for one in findings if one.severity != "info"] == []


def test_a_pdf_a_patient_and_a_type_are_enough() -> None:
    """The directory says who writes, as what and where; the rest has sensible defaults."""
    built = made(REPORT)

    (document,) = built.documents
    header = document.header
    assert built.subject == (
        "XDM/1.0/DDM+CR ou fiche de consultation ou de visite PATIENT-FICTIF CAMILLE 14/05/1954"
    )
    assert built.headers == {"X-MSS-CODECDA": "11488-4", "X-MSS-INS": "O"}
    assert document.pdf == PDF == embedded_pdf(document.cda)
    assert document.pdf_name.startswith("20260312_CR ou fiche de consultation")
    assert header.authors[0].specialty
    assert header.authors[0].specialty.code == "G15_10/SM26"
    assert header.custodian
    assert header.custodian.id == Identifier("1.2.250.1.71.4.2.2", "1750000002")
    assert header.effective_time == HL7Time("20260312153000+0100")
    assert header.encounter
    assert header.encounter.facility
    assert header.encounter.facility.code == "SA07"
    assert built.findings == ()


def test_the_same_arguments_give_the_same_octets() -> None:
    """A request that is repeated after a crash is the same letter."""
    assert made(KINDS["discharge"]) == made(KINDS["discharge"])


def test_the_key_of_the_matricule_is_computed() -> None:
    """Thirteen characters are what some software keeps; Corsica counts as elsewhere."""
    patient = replace(PATIENT, ins="1 85 05 2A 004 012", sex="M", birth_date="1985-05-01")

    header = made(REPORT, patient=patient).documents[0].header

    assert header.patient
    assert header.patient.ins
    assert header.patient.ins.matricule == "185052A00401270"


def test_a_patient_without_ins_is_known_by_a_local_number() -> None:
    """The mail then says that the identity is not qualified."""
    patient = PatientDraft(
        birth_name="INCONNU", local_ids=(Identifier("1.2.250.1.213.1.1.9.1", "42"),)
    )

    built = made(REPORT, patient=patient)

    assert built.headers["X-MSS-INS"] == "N"


def test_a_replacement_goes_on_from_what_was_sent() -> None:
    """The identifier of a document made here says its set and its number."""
    first = made(REPORT).documents[0].header
    assert first.id
    previous = PreviousDraft(id=first.id.xds)

    built = made(replace(REPORT, action=DraftAction.REPLACE, previous=previous))

    header = built.documents[0].header
    assert (header.set_id, header.version, header.replaces) == (first.set_id, 2, (first.id,))
    assert header.id != first.id
    entry = read_archive(built.archive).documents[0].entry
    assert entry.action is Action.REPLACE


def test_a_deletion_is_the_document_once_more() -> None:
    """The receiver finds what to delete by the document's own identifier."""
    first = made(REPORT).documents[0].header
    assert first.id
    previous = PreviousDraft(id=first.id.xds)

    built = made(replace(REPORT, action=DraftAction.DELETE, previous=previous))

    header = built.documents[0].header
    assert (header.id, header.version, header.replaces) == (first.id, 1, ())
    assert read_archive(built.archive).documents[0].entry.action is Action.DELETE


def test_a_version_made_elsewhere_must_say_its_place() -> None:
    """Its identifier alone does not tell which set it belongs to."""
    document = replace(REPORT, action=DraftAction.REPLACE, previous=PreviousDraft(id="1.2.3.4"))
    assert refused(letter(document)) == {("letter-previous-unknown", "/documents/0/previous")}

    previous = PreviousDraft(id="1.2.3.4^A", set_id="1.2.3", version=7)
    header = made(replace(document, previous=previous)).documents[0].header

    assert (header.version, header.set_id) == (8, Identifier("1.2.3"))
    assert header.replaces == (Identifier("1.2.3.4", "A"),)


def test_a_document_that_is_ready_is_sent_as_it_is() -> None:
    """Its patient, subject and copy are taken from it; nothing in it is touched."""
    ready = made(KINDS["summary"]).documents[0].cda
    draft = LetterDraft(documents=(DocumentDraft(cda=FileDraft(octets=ready)),))

    built = build_letter(draft, at=AT, letter_id=UUID(int=2))

    assert read_archive(built.archive).documents[0].octets == ready
    assert built.headers == {"X-MSS-CODECDA": "SYNTH", "X-MSS-INS": "O"}


def test_nothing_else_is_said_about_a_document_that_is_ready() -> None:
    """Which of the two would be believed?"""
    ready = made(REPORT).documents[0].cda
    document = DocumentDraft(cda=FileDraft(octets=ready), title="Autre", type="11488-4")

    assert refused(letter(document)) == {
        ("letter-cda-said-twice", "/documents/0/title"),
        ("letter-cda-said-twice", "/documents/0/type"),
    }


def test_masks_travel_in_the_metadata() -> None:
    """The document does not carry them."""
    document = replace(REPORT, hidden_from=(HiddenFrom.PATIENT, HiddenFrom.REPRESENTATIVES))

    entry = read_archive(made(document).archive).documents[0].entry

    assert [one.code for one in entry.confidentiality] == [
        "N", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX",
    ]  # fmt: skip


def test_a_document_is_not_sent_to_those_it_is_hidden_from() -> None:
    """A mask that the mail itself lifts is none."""
    document = replace(REPORT, hidden_from=(HiddenFrom.PATIENT,))
    known = replace(KNOWN, goes_to=frozenset({HiddenFrom.PATIENT}))

    assert refused(letter(document), known) == {("letter-hidden", "/documents/0/hidden_from")}


def test_sections_with_codes_need_the_model_that_they_follow() -> None:
    """A PDF cannot carry codes, and a model that is not followed must not be claimed."""
    fact = FactDraft(code=ICD, is_true=True)
    sections = (SectionDraft(title="T", facts=(fact,)),)
    document = DocumentDraft(type="34749-2", sections=sections)
    assert refused(letter(document)) == {("letter-facts-lost", "/documents/0/sections")}

    built = made(replace(document, template=Identifier("1.2.250.1.213.1.1.1.41", "2022.01")))

    read = parse_cda(built.documents[0].cda)
    assert read.body is BodyKind.STRUCTURED
    assert len(read_sections(built.documents[0].cda)[0].entries) == 1


def test_relatives_are_called_trusted_or_represent() -> None:
    """Each kind has its own place in the header."""
    kinds = ("emergency", "trusted", "guardian")
    relatives = tuple(RelativeDraft(kind=kind, family=kind.upper()) for kind in kinds)

    header = made(REPORT, patient=replace(PATIENT, relatives=relatives)).documents[0].header

    assert [one.class_code for one in header.informants] == ["ECON", "NOK"]
    assert header.patient
    assert [one.name and one.name.family for one in header.patient.guardians] == ["GUARDIAN"]


def test_everything_wrong_is_said_at_once() -> None:
    """One round trip for the whole form, not one for each field."""
    draft = LetterDraft(
        patient=PatientDraft(
            ins="254057511404299", birth_date="1954-14-05", sex="Z", birth_place="Paris", phone="?"
        ),
        documents=(
            DocumentDraft(type="zzz", file=FileDraft(octets=b"\x00\x01"), confidentiality="Q"),
            DocumentDraft(),
            DocumentDraft(type="11490-0", discharge=DischargeDraft(), action=DraftAction.REPLACE),
        ),
    )

    found = refused(draft, Known())

    assert found >= {
        ("letter-ins-key", "/patient/ins"),
        ("letter-date", "/patient/birth_date"),
        ("letter-sex", "/patient/sex"),
        ("letter-birth-place", "/patient/birth_place"),
        ("letter-telecom", "/patient/phone"),
        ("letter-ins-trait-missing", "/patient/birth_name"),
        ("letter-ins-trait-missing", "/patient/given_names"),
        ("letter-type-unknown", "/documents/0/type"),
        ("letter-file-kind", "/documents/0/file"),
        ("letter-choice", "/documents/0/confidentiality"),
        ("letter-author-missing", "/documents/0/authors"),
        ("letter-content-missing", "/documents/1"),
        ("letter-previous-missing", "/documents/2/previous"),
        ("letter-text-missing", "/documents/2/discharge/summary"),
        ("letter-text-missing", "/documents/2/discharge/transfused"),
        ("letter-text-missing", "/documents/2/discharge/treatments"),
    }


@pytest.mark.parametrize(
    ("document", "code", "where"),
    [
        (replace(REPORT, at="2027-01-01T10:00:00Z"), "letter-date-future", "at"),
        (replace(REPORT, at="2026-01-01"), "letter-date", "at"),
        (replace(REPORT, language="French"), "letter-language", "language"),
        (replace(REPORT, id="1.02"), "letter-oid", "id"),
        (replace(REPORT, previous=PreviousDraft(id="1.2")), "letter-previous-unneeded", "previous"),
        (replace(REPORT, sections=SECTIONS), "letter-content-twice", ""),
        (
            replace(REPORT, acts=(ActDraft(start="2026-03-02", stop="2026-03-01"),)),
            "letter-dates-reversed",
            "acts/0/stop",
        ),
        (
            replace(REPORT, acts=(ActDraft(code=Code("X")),)),
            "letter-code-system",
            "acts/0/code/system",
        ),
        (
            replace(REPORT, authors=(PersonDraft(rpps="1234"),)),
            "letter-number-shape",
            "authors/0/rpps",
        ),
        (
            replace(REPORT, authors=(PersonDraft(rpps="99000000010"),)),
            "letter-person-unknown",
            "authors/0",
        ),
        (
            replace(REPORT, authors=(PersonDraft(is_patient=True),)),
            "letter-signer-missing",
            "legal_authenticator",
        ),
        (
            replace(REPORT, encounter=EncounterDraft(sector="SA99")),
            "letter-code-unknown",
            "encounter/sector",
        ),
        (
            DocumentDraft(type="34749-2", sections=SECTIONS, template=Identifier("1.2.3")),
            "letter-template",
            "template",
        ),
        (
            DocumentDraft(
                type="11488-4", sections=(SectionDraft(title="T", blocks=(BlockDraft(),)),)
            ),
            "letter-block",
            "sections/0/blocks/0",
        ),
        (
            replace(REPORT, file=FileDraft(octets=PDF, content_type="image/jpeg")),
            "letter-file-differs",
            "file/content_type",
        ),
        (
            replace(REPORT, file=FileDraft(octets=PDF + b"trailer <</Encrypt 9 0 R>>")),
            "letter-file-encrypted",
            "file",
        ),
        (
            replace(REPORT, type="SYNTH", file=None, discharge=DISCHARGE),
            "letter-type-differs",
            "type",
        ),
    ],
)  # fmt: skip
def test_each_fault_names_its_field(document: DocumentDraft, code: str, where: str) -> None:
    """A form shows the sentence beside the field that the pointer names."""
    pointer = f"/documents/0/{where}".rstrip("/")

    assert (code, pointer) in refused(letter(document))


def test_a_document_that_is_ready_is_about_the_patient_that_is_named() -> None:
    """A wrong file picked beside the right patient would go to the wrong record."""
    ready = DocumentDraft(cda=FileDraft(octets=made(REPORT).documents[0].cda))
    other = replace(PATIENT, ins="185052A004012", birth_date="1985-05-12", sex="M")

    found = refused(LetterDraft(patient=other, documents=(ready,)))

    assert found == {("letter-other-patient", "/documents/0/cda")}


def test_a_document_that_is_ready_is_judged_before_it_is_sent() -> None:
    """What its receiver will be told, its sender learns first."""
    faultless = made(REPORT).documents[0].cda
    unsure = faultless.replace(b'<confidentialityCode code="N"', b'<confidentialityCode code="X"')

    sent = made(DocumentDraft(cda=FileDraft(octets=unsure)))

    assert [(one.code, one.where) for one in sent.findings] == [
        ("header-confidentiality", "/documents/0/cda")
    ]


@pytest.mark.parametrize(
    ("draft", "where"),
    [
        (letter(patient=replace(PATIENT, birth_name="N" * 300)), "/patient/birth_name"),
        (letter(patient=replace(PATIENT, given_names="A " * 60)), "/patient/given_names"),
        (
            letter(replace(REPORT, authors=(PersonDraft(family="N" * 71),))),
            "/documents/0/authors/0/family",
        ),
        (
            letter(
                replace(
                    REPORT,
                    legal_authenticator=PersonDraft(organization=OrganizationDraft(name="N" * 151)),
                )
            ),
            "/documents/0/legal_authenticator/organization/name",
        ),
    ],
)
def test_a_text_that_metadata_cannot_hold_is_named(draft: LetterDraft, where: str) -> None:
    """The limit is that of the archive; whoever wrote the request knows fields only."""
    assert ("letter-too-long", where) in refused(draft)


def test_two_patients_do_not_share_a_letter() -> None:
    """The receiver files the whole letter under one identity."""
    ready = made(REPORT).documents[0].cda
    other = (
        made(REPORT, patient=PatientDraft(birth_name="X", local_ids=(Identifier("1.2.3", "9"),)))
        .documents[0]
        .cda
    )
    documents = tuple(DocumentDraft(cda=FileDraft(octets=one)) for one in (ready, other))

    assert ("letter-several-patients", "/documents") in refused(LetterDraft(documents=documents))


def test_no_finding_repeats_a_value() -> None:
    """Findings may be logged and shown to whoever looks on."""
    secret = "SECRETISSIME"
    patient = replace(PATIENT, ins=secret, birth_date=secret, sex=secret, birth_place=secret)
    draft = letter(DocumentDraft(type=secret, at=secret, language=secret), patient)

    with pytest.raises(LetterContentError) as caught:
        build_letter(draft, at=AT, letter_id=LETTER_ID, known=KNOWN)

    assert secret not in repr(caught.value.findings)


@pytest.mark.parametrize("kind", ["picture", "scan", "rtf", "text"])
def test_the_copy_of_a_file_shows_the_file(kind: str) -> None:
    """Somebody without software for documents reads the same thing."""
    (document,) = made(KINDS[kind]).documents
    (body,) = embedded_files(document.cda)

    bare = made(replace(KINDS[kind], file=FileDraft(octets=b" "))).documents[0]

    assert body.octets == KINDS[kind].file.octets  # type: ignore[union-attr]
    assert document.pdf != bare.pdf
    assert document.pdf.startswith(b"%PDF-1.4")
