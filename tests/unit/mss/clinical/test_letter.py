from dataclasses import replace

import pytest

from mss.clinical.cda import CdaHeader, parse_cda
from mss.clinical.letter import build_pdf_name, build_subject, check_cover, cover, readable_subject
from mss.clinical.patient import Patient, Traits
from mss.clinical.people import Code, Identifier
from mss.clinical.sample import Letter
from mss.clinical.times import HL7Time
from mss.clinical.xdm import ArchiveContentError
from tests.unit.mss.clinical import official


@pytest.fixture
def header(letter: Letter) -> CdaHeader:
    """The header of the sample letter."""
    return parse_cda(letter.cda).header


def named(header: CdaHeader, **traits: object) -> CdaHeader:
    """The same document about somebody with other traits."""
    patient = header.patient or Patient()
    return replace(header, patient=replace(patient, traits=replace(patient.traits, **traits)))  # type: ignore[arg-type]


def test_the_cover_of_the_official_letter() -> None:
    """Label of forty characters at most, birth name, given name, birth date."""
    made = cover([parse_cda(official.document("LDL-SES_2022.01")).header])

    assert made.subject == (
        "XDM/1.0/DDM+Lettre de liaison à la sortie d'un établ PAT-TROIS DOMINIQUE 28/03/1979"
    )
    assert made.headers == {"X-MSS-CODECDA": "11490-0", "X-MSS-INS": "O"}
    assert made.pdf_names == (
        "20191029_Lettre de liaison à la sortie d'un établ_PAT-TROIS_DOMINIQUE.pdf",
    )


def test_several_documents_are_counted_in_the_subject(header: CdaHeader) -> None:
    """The types are then in the header, one for each document."""
    other = replace(header, code=Code("PRESC-BIO", "1.2.250.1.213.1.1.4.12"))

    made = cover([header, other, header])

    assert made.subject == "XDM/1.0/DDM+3 documents PATIENT-FICTIF CAMILLE 14/05/1954"
    assert made.headers["X-MSS-CODECDA"] == "11490-0,PRESC-BIO,11490-0"
    assert len(set(made.pdf_names)) == 3
    assert made.pdf_names[2].endswith("_CAMILLE_2.pdf")


def test_names_lose_their_accents_and_the_family_its_small_letters(header: CdaHeader) -> None:
    """The subject is matched by machines of all ages."""
    subject = build_subject([named(header, birth_name="Bœuf-Çédille", first_given="Zoé")])

    assert subject.endswith("établ BOEUF-CEDILLE Zoe 14/05/1954")


def test_an_unknown_birth_date_is_left_out(header: CdaHeader) -> None:
    """A year alone is no birth date to show."""
    assert build_subject([named(header, birth_date=HL7Time("1954"))]).endswith("CAMILLE")


@pytest.mark.parametrize("field", ["birth_name", "first_given"])
@pytest.mark.parametrize("evil", ["A\r\nBcc: x@y", "A\u2028B", "A\x00B", "A\u202eB"])
def test_a_cover_is_made_of_single_printable_lines(
    header: CdaHeader, field: str, evil: str
) -> None:
    """Fields of a document become header fields of a mail: no line may be added."""
    hostile = replace(named(header, **{field: evil}), code=Code("11490-0\r\nX: y", "", "a\nb"))

    made = cover([hostile])

    assert all(one.isprintable() for one in (made.subject, *made.headers.values(), *made.pdf_names))
    assert made.headers["X-MSS-CODECDA"] == "11490-0Xy"


def test_a_file_name_is_safe_on_any_disk(header: CdaHeader) -> None:
    """A name in a document must not become a path."""
    name = build_pdf_name(named(header, birth_name="../..\\A:B*", first_given="x/y_z"))

    assert name == "20260306_Lettre de liaison à la sortie d'un établ_A B_x y z.pdf"


def test_a_file_number_ends_the_name(header: CdaHeader) -> None:
    """For biology it is the registration number of the prescription."""
    assert build_pdf_name(header, file_number="42").endswith("_CAMILLE_42.pdf")


def test_an_identity_that_is_not_qualified_is_said_so(header: CdaHeader) -> None:
    """One document without INS is enough."""
    assert cover([named(header, sex="")]).headers["X-MSS-INS"] == "N"
    assert cover([replace(header, patient=Patient(traits=Traits()))]).headers["X-MSS-INS"] == "N"


def test_a_cover_needs_documents_about_one_patient(header: CdaHeader) -> None:
    """One mail, one patient."""
    other = replace(header, patient=Patient(identifiers=(Identifier("1.2.3", "42"),)))

    with pytest.raises(ArchiveContentError):
        cover([header, other])
    with pytest.raises(ArchiveContentError):
        cover([])


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("XDM/1.0/DDM+Lettre DUPONT", "Lettre DUPONT"),
        (" xdm/1.0/ddm+ Lettre", "Lettre"),
        ("Bonjour", "Bonjour"),
        ("Re: XDM/1.0/DDM+Lettre", "Re: XDM/1.0/DDM+Lettre"),
    ],
)
def test_people_do_not_see_the_technical_prefix(subject: str, shown: str) -> None:
    """ECO.3.1.3: only at the beginning, and only there."""
    assert readable_subject(subject) == shown


def test_a_mail_that_says_what_it_carries_has_no_findings(header: CdaHeader) -> None:
    """Header names are compared without case, as mail does."""
    made = cover([header])
    headers = {name.lower(): value for name, value in made.headers.items()}

    assert check_cover([header], subject=made.subject, headers=headers) == []


def test_a_mail_that_says_something_else_is_found_out(header: CdaHeader) -> None:
    """Senders get these wrong in the field: never more than warnings."""
    found = check_cover([header], subject="Bonjour", headers={"X-MSS-INS": "N"})

    assert [one.code for one in found] == ["subject-prefix", "header-codes", "header-ins"]
    assert {one.severity.value for one in found} == {"warning"}
