from dataclasses import replace

import pytest
from lxml import etree

from mss.clinical.cda import (
    BodyKind,
    CdaContentError,
    CdaHeader,
    CdaSyntaxError,
    FileBody,
    StructuredBody,
    build_cda,
    clinical_document,
    embedded_files,
    embedded_pdf,
    parse_cda,
    read_sections,
)
from mss.clinical.narrative import Anchor, ItemList, Paragraph, Section, Table
from mss.clinical.people import ActorKind, Identifier
from mss.clinical.sample import Letter
from mss.clinical.times import HL7Time
from mss.clinical.vocabulary import FIXED_TEMPLATES, UNSTRUCTURED_TEMPLATE
from tests.unit.mss.clinical import official

PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n" + b"x" * 500
SECTIONS = (
    Section(
        title="Motif",
        id="2DB3E431-03B4-4FC4-99E5-AA2E3CE1D12A",
        blocks=(
            Paragraph("Dyspnée <b>aiguë</b> & œdèmes\nPrise de 5 kg"),
            ItemList(items=("un", Anchor("deux", "id-2")), is_ordered=True, caption="Liste"),
            Table(head=("A", "B"), rows=(("1", Anchor("2", "cell")), ("3",)), caption="Tableau"),
        ),
        sections=(Section(title="Dedans", blocks=(Paragraph("Texte"),)),),
    ),
)


@pytest.fixture
def header(letter: Letter) -> CdaHeader:
    """The header of the sample letter."""
    return parse_cda(letter.cda).header


def unstructured(header: CdaHeader) -> CdaHeader:
    """The same header, as that of a document whose body is one file."""
    roots = (*FIXED_TEMPLATES, UNSTRUCTURED_TEMPLATE)
    return replace(header, templates=tuple(Identifier(root) for root in roots))


def schema() -> etree.XMLSchema:
    """The official schema of CDA documents."""
    return etree.XMLSchema(etree.parse(str(official.official_path("xsd/CDA_extended.xsd"))))


def test_the_header_of_the_official_discharge_letter() -> None:
    """Values written down by hand from the file."""
    read = parse_cda(official.document("LDL-SES_2022.01"))
    header = read.header

    assert read.body is BodyKind.STRUCTURED
    assert header.id == Identifier("1.2.250.1.213.1.1.1.29.2022.1.1")
    assert header.set_id == Identifier("1.2.250.1.213.1.1.1.29.2022.1")
    assert header.version == 1
    assert header.code
    assert (header.code.code, header.code.system) == ("11490-0", "2.16.840.1.113883.6.1")
    assert header.title == "Lettre de liaison à la sortie de l'établissement de santé"
    assert header.effective_time == HL7Time("20191203133000+0100")
    assert header.language == "fr-FR"
    assert header.templates[2] == Identifier("1.2.250.1.213.1.1.1.29", "2022.01")
    assert header.patient
    assert header.patient.ins
    assert header.patient.ins.matricule == "279035121518989"
    assert header.patient.traits.all_given == "DOMINIQUE MARIE-LOUISE"
    assert header.patient.traits.birth_place == "51215"
    assert [one.name and one.name.full for one in header.authors] == ["Dr Charles DAVID"]
    assert [one.name and one.name.family for one in header.recipients] == ["BOILEAU", "DUCOUT"]
    assert header.custodian
    assert header.custodian.id == Identifier("1.2.250.1.71.4.2.2", "1750803447")
    assert header.legal_authenticator
    assert header.legal_authenticator.name
    assert header.legal_authenticator.name.full == "Pr Léon AUGUIN"
    assert header.participants[0].actor.role
    assert header.participants[0].actor.role.code == "PCP"
    assert header.main_act
    assert header.main_act.stop == HL7Time("20191203133000+0100")
    assert header.encounter
    assert header.encounter.facility
    assert header.encounter.facility.code == "SA01"


def test_the_header_of_the_official_health_plan() -> None:
    """PPS-PAERPA comes without an archive: the document must be read by itself."""
    read = parse_cda(official.document("PPS-PAERPA_2021.01"))

    assert read.header.code
    assert read.header.code.code == "18776-5"
    assert read.header.template_roots[2] == "1.2.250.1.213.1.1.1.20"
    assert read.header.patient
    assert read.header.patient.ins
    assert read.header.patient.ins.authority.is_production
    assert len(read_sections(official.document("PPS-PAERPA_2021.01"))) == 5


def test_an_unstructured_document_gives_its_pdf() -> None:
    """Level 1: the body is the file."""
    octets = official.document("IMG_CR_IMG_2024.01_CDA-R2-Niveau-1")

    read = parse_cda(octets)

    assert read.body is BodyKind.PDF
    assert read.media_type == "application/pdf"
    assert (embedded_pdf(octets) or b"").startswith(b"%PDF-1.7")
    assert read_sections(octets) == ()


def test_the_copy_of_the_document_comes_before_joined_files() -> None:
    """The official example has a joined PDF first and the copy after it."""
    files = embedded_files(official.document("CANCER-PPS_2025.01"))

    assert [one.is_copy for one in files] == [True, False]
    assert {one.media_type for one in files} == {"application/pdf"}


def test_a_document_without_pdf_has_none() -> None:
    """Most structured letters carry no copy of themselves."""
    assert embedded_pdf(official.document("LDL-SES_2022.01")) is None


def test_a_self_presenting_document_is_cut_out() -> None:
    """The root is a style sheet, which is never run; the document inside is valid alone."""
    octets = official.document("BIO-CR-BIO_2021.01_Auto-Presentable")

    read = parse_cda(octets)
    inside = clinical_document(octets)

    assert read.is_self_presenting
    assert read.header.id == Identifier("1.2.250.1.213.1.1.1.55.2021.1.1")
    assert schema().validate(etree.fromstring(inside))
    assert parse_cda(inside).header == read.header


def test_a_built_letter_is_valid_by_the_schema(letter: Letter) -> None:
    """The schema is the official one, with the French extensions."""
    checked = schema()

    assert checked.validate(etree.fromstring(letter.cda)), checked.error_log


def test_a_built_file_document_is_valid_by_the_schema(header: CdaHeader) -> None:
    """Level 1 is how most hospital reports travel."""
    checked = schema()
    octets = build_cda(unstructured(header), FileBody("application/pdf", PDF))

    assert checked.validate(etree.fromstring(octets)), checked.error_log


@pytest.mark.parametrize("name", [name for name in official.ARCHIVES if "Auto" not in name])
def test_an_official_header_can_be_written_again(name: str) -> None:
    """Reading loses nothing that writing needs, and writing nothing that was read."""
    header = parse_cda(official.document(name)).header
    body = (
        FileBody("application/pdf", PDF)
        if UNSTRUCTURED_TEMPLATE in header.template_roots
        else StructuredBody(SECTIONS)
    )

    octets = build_cda(header, body)

    assert parse_cda(octets).header == header


def test_header_and_narrative_survive_a_round_trip(header: CdaHeader) -> None:
    """Mark-up in a text stays text, line breaks stay line breaks, anchors keep their ids."""
    octets = build_cda(header, StructuredBody(SECTIONS))

    assert parse_cda(octets).header == header
    assert read_sections(octets) == SECTIONS


def test_a_file_survives_a_round_trip(header: CdaHeader) -> None:
    """Base64 is folded in lines when written and joined when read."""
    octets = build_cda(unstructured(header), FileBody("application/pdf", PDF))

    assert embedded_pdf(octets) == PDF
    assert parse_cda(octets).body is BodyKind.PDF


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"title": ""}, "title"),
        ({"set_id": None}, "setId"),
        ({"legal_authenticator": None}, "legalAuthenticator"),
        ({"authors": ()}, "author"),
        ({"effective_time": HL7Time("20260312")}, "effectiveTime"),
        ({"templates": ()}, "templateId"),
    ],
)
def test_an_incomplete_header_is_not_written(
    header: CdaHeader, change: dict[str, object], missing: str
) -> None:
    """The sender learns what is missing, in the words of the CDA."""
    with pytest.raises(CdaContentError) as caught:
        build_cda(replace(header, **change), StructuredBody(SECTIONS))  # type: ignore[arg-type]

    assert caught.value.missing == (missing,)


def test_a_model_that_contradicts_the_body_is_not_written(header: CdaHeader) -> None:
    """A receiver chooses its reader by the declared model."""
    with pytest.raises(CdaContentError):
        build_cda(header, FileBody("application/pdf", PDF))


def test_characters_that_xml_forbids_are_dropped(header: CdaHeader) -> None:
    """Copied text brings control characters along; a letter must not fail for one."""
    octets = build_cda(replace(header, title="A\x00\x0bB"), StructuredBody(SECTIONS))

    assert parse_cda(octets).header.title == "AB"


def test_a_device_is_told_from_a_person() -> None:
    """The metadata write the two differently."""
    octets = (
        b'<ClinicalDocument xmlns="urn:hl7-org:v3"><author><assignedAuthor>'
        b'<id root="1.2.3" extension="9"/><assignedAuthoringDevice>'
        b"<manufacturerModelName>M</manufacturerModelName><softwareName>S</softwareName>"
        b"</assignedAuthoringDevice></assignedAuthor></author></ClinicalDocument>"
    )

    author = parse_cda(octets).header.authors[0]

    assert author.kind is ActorKind.DEVICE
    assert author.device
    assert (author.device.software, author.device.model) == ("S", "M")


def test_an_empty_document_is_read_without_complaint() -> None:
    """Faults of content are for the check, not for the reader."""
    read = parse_cda(b'<ClinicalDocument xmlns="urn:hl7-org:v3"/>')

    assert read.header == CdaHeader()
    assert read.body is BodyKind.NONE
    assert read.patients == 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'representation="B64">!!!!', "bad-base64"),
        (b'representation="B64">QUJD\xc3\xa9', "bad-base64"),
        (b'representation="B64" compression="DF">QUJD', "compressed-file"),
    ],
)
def test_a_file_that_cannot_be_taken_out_is_a_syntax_error(body: bytes, reason: str) -> None:
    """Half a PDF is worse than none; compression would be a bomb of its own."""
    octets = (
        b'<ClinicalDocument xmlns="urn:hl7-org:v3"><component><nonXMLBody>'
        b'<text mediaType="application/pdf" ' + body + b"</text></nonXMLBody></component>"
        b"</ClinicalDocument>"
    )
    with pytest.raises(CdaSyntaxError) as caught:
        embedded_pdf(octets)

    assert caught.value.reason == reason
