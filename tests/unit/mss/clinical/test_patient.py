from dataclasses import replace

import pytest

from directory.matricule import matricule_key
from mss.clinical.patient import (
    INS,
    INSAuthority,
    Patient,
    Traits,
    contradicting_traits,
    find_ins,
    missing_traits,
)
from mss.clinical.people import Identifier
from mss.clinical.times import HL7Time

COMPLETE = Traits(
    birth_name="X", first_given="Y", all_given="Y Z", birth_date=HL7Time("19790328"), sex="F",
    birth_place="51215",
)  # fmt: skip
TEST_INS = Identifier("1.2.250.1.213.1.4.10", "279035121518989")


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ("2790351215189", 89),
        ("2770763220829", 10),
        ("185052A004012", 70),
        ("279032B033007", 26),
        ("1840178006084", 76),
        ("2550814168025", 38),
        ("2690549588157", 80),
        ("184112A004005", 28),
        ("185072B033010", 37),
        ("2920599352001", 86),
    ],
)
def test_the_key_of_a_matricule(body: str, key: int) -> None:
    """Reference vectors, Corsica among them."""
    assert matricule_key(body) == key
    assert INS(f"{body}{key:02d}", INSAuthority.NIR).has_valid_key
    assert not INS(f"{body}{key % 97 + 1:02d}", INSAuthority.NIR).has_valid_key


@pytest.mark.parametrize(
    "body",
    ["", "279035121518", "27903512151890", "279032C033007", "2A90351215189", "٢790351215189"],
)
def test_what_is_no_matricule_has_no_key(body: str) -> None:
    """Other letters than those of Corsica, other lengths, other digits."""
    assert matricule_key(body) is None


@pytest.mark.parametrize(
    ("matricule", "shape", "key"),
    [
        ("279035121518989", True, True),
        ("2790351215189", True, False),
        ("2790351215189AB", False, False),
        ("27903512151898", False, False),
        ("2790351215189²²", False, False),
    ],
)
def test_a_matricule_may_come_without_its_key(matricule: str, shape: bool, key: bool) -> None:  # noqa: FBT001
    """Thirteen characters are a number, fifteen a checked one."""
    ins = INS(matricule, INSAuthority.NIR)

    assert (ins.has_valid_shape, ins.has_valid_key) == (shape, key)


def test_production_comes_before_test_and_old_numbers_are_no_ins() -> None:
    """The order of search is national; INS-C is not an INS."""
    found = find_ins(
        (
            Identifier("1.2.250.1.213.1.4.2", "0123456789"),
            Identifier("1.2.3", "42"),
            TEST_INS,
            Identifier("1.2.250.1.213.1.4.8", "277076322082910"),
        )
    )

    assert found == INS("277076322082910", INSAuthority.NIR)
    assert find_ins((Identifier("1.2.250.1.213.1.4.2", "0123456789"),)) is None


@pytest.mark.parametrize("missing", ["birth_name", "first_given", "sex", "birth_date"])
def test_an_identity_is_qualified_only_with_the_four_traits(missing: str) -> None:
    """The header X-MSS-INS may not promise what the document does not hold."""
    lacking = {missing: None if missing == "birth_date" else ""}
    complete = Patient(identifiers=(TEST_INS,), traits=COMPLETE)

    assert complete.is_qualified
    assert not replace(complete, identifiers=()).is_qualified
    assert not replace(complete, traits=replace(COMPLETE, **lacking)).is_qualified  # type: ignore[arg-type]


def test_a_document_needs_more_traits_than_the_mail_header() -> None:
    """Birth place and all given names are asked of the document only."""
    patient = Patient(
        identifiers=(TEST_INS,), traits=replace(COMPLETE, all_given="", birth_place="")
    )

    assert patient.is_qualified
    assert missing_traits(patient) == ("given-names", "birth-place")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, ()),
        ({"sex": "M"}, ("sex",)),
        ({"sex": "UN"}, ()),
        ({"birth_date": HL7Time("19800428")}, ("birth-year", "birth-month")),
        ({"birth_date": HL7Time("1979")}, ()),
    ],
)
def test_a_matricule_says_sex_year_and_month(
    change: dict[str, object], found: tuple[str, ...]
) -> None:
    """A difference is worth a look, and no more."""
    ins = INS("279035121518989", INSAuthority.NIR_TEST)

    assert contradicting_traits(ins, replace(COMPLETE, **change)) == found  # type: ignore[arg-type]


def test_an_unknown_birth_month_contradicts_nothing() -> None:
    """Months of 20 and above stand for unknown dates and people born abroad."""
    assert contradicting_traits(INS("279205121518900", INSAuthority.NIR), COMPLETE) == ()
