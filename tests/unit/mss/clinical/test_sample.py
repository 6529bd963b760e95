from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from directory.identifiers import NationalPersonId, NationalStructureId
from mss.clinical.cda import CdaHeader, parse_cda, read_sections
from mss.clinical.check import Environment, check_archive
from mss.clinical.patient import INSAuthority
from mss.clinical.people import Identifier
from mss.clinical.sample import (
    CARDIOLOGIST,
    GENERAL_PRACTITIONER,
    HOSPITAL,
    PATIENT,
    Letter,
    discharge_letter,
)
from mss.clinical.xdm import read_archive
from tests.unit.mss.clinical.conftest import AT, LETTER_ID


@pytest.fixture
def header(letter: Letter) -> CdaHeader:
    """The header of the sample letter."""
    return parse_cda(letter.cda).header


def test_the_same_arguments_give_the_same_letter(letter: Letter) -> None:
    """The demo can be run twice and compared."""
    assert discharge_letter(at=AT, letter_id=LETTER_ID) == letter


def test_another_letter_is_another_document(letter: Letter) -> None:
    """Two letters under one identifier would replace each other."""
    other = discharge_letter(at=AT, letter_id=UUID(int=1))

    ids = [parse_cda(one.cda).header for one in (letter, other)]
    assert ids[0].id != ids[1].id
    assert ids[0].set_id != ids[1].set_id
    sets = [read_archive(one.archive).submission_sets[0].unique_id for one in (letter, other)]
    assert sets[0] != sets[1]


def test_nobody_in_it_exists(header: CdaHeader) -> None:
    """A test INS with a right key, and RPPS numbers that no living professional has."""
    assert header.patient
    assert header.patient.ins
    assert header.patient.ins.authority is INSAuthority.NIR_TEST
    assert header.patient.ins.has_valid_key
    assert header.patient.is_qualified
    people = (CARDIOLOGIST, GENERAL_PRACTITIONER)
    numbers = [NationalPersonId.parse(one.id.extension or "") for one in people if one.id]
    assert all(one.startswith("899") and one.is_checked for one in numbers)
    assert HOSPITAL.id
    assert NationalStructureId.parse(HOSPITAL.id.extension or "").is_checked


def test_it_says_what_a_discharge_letter_must_say(letter: Letter) -> None:
    """Reason, course, treatment, results, and who does what next; the practitioner is named."""
    sections = read_sections(letter.cda)
    header = parse_cda(letter.cda).header

    assert [one.title for one in sections] == [
        "Statut du document",
        "Motif de l'hospitalisation",
        "Synthèse médicale du séjour",
        "Traitements arrêtés durant le séjour",
        "Traitements à la sortie",
        "Résultats d'examens",
        "Suites à donner",
    ]
    assert all(one.blocks and one.code and one.templates for one in sections)
    assert [one.id for one in header.recipients] == [GENERAL_PRACTITIONER.id]


def test_every_coded_entry_points_to_words_that_are_there(letter: Letter) -> None:
    """What software reads must be what people read."""
    text = letter.cda.decode()
    targets = {part.split('"')[0] for part in text.split('<reference value="#')[1:]}
    anchors = {part.split('"')[0] for part in text.split('<content ID="')[1:]}

    assert len(targets) == 11
    assert targets <= anchors


@pytest.mark.parametrize(
    "at", [datetime(2024, 2, 29, 23, 59, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)]
)
def test_it_is_faultless_on_any_day(at: datetime) -> None:
    """Every date derives from the day of signature."""
    letter = discharge_letter(at=at, letter_id=LETTER_ID)

    assert check_archive(read_archive(letter.archive), environment=Environment.TEST) == []
    assert letter.pdf_name.startswith(f"{at - timedelta(days=6):%Y%m%d}_")


def test_the_people_can_be_others(letter: Letter) -> None:
    """The demo names the accounts that it created."""
    hospital = replace(HOSPITAL, name="CH Démo", id=Identifier("1.2.250.1.71.4.2.2", "1690123450"))
    patient = replace(PATIENT, traits=replace(PATIENT.traits, birth_name="AUTRE"))
    gp = replace(GENERAL_PRACTITIONER, id=Identifier("1.2.250.1.71.4.2.1", "899000000036"))

    other = discharge_letter(
        at=AT, letter_id=LETTER_ID, author=CARDIOLOGIST, gp=gp, hospital=hospital, patient=patient
    )
    header = parse_cda(other.cda).header

    assert "AUTRE CAMILLE" in other.subject
    assert header.custodian
    assert header.custodian.name == "CH Démo"
    assert header.authors[0].organization == hospital
    assert [one.id for one in header.recipients] == [gp.id]
    assert other.headers == letter.headers
