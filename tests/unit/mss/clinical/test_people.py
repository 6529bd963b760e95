import pytest

from mss.clinical.people import (
    Actor,
    Code,
    Device,
    Identifier,
    Organization,
    PersonName,
    build_cx,
    build_specialty,
    build_xcn,
    build_xon,
    is_oid,
    parse_cx,
    same_field,
)

PERSON = "1.2.250.1.71.4.2.1"


@pytest.mark.parametrize(
    ("actor", "xcn"),
    [
        (
            Actor(
                id=Identifier(PERSON, "801234567897"),
                name=PersonName(family="DAVID", given="Charles"),
            ),
            "801234567897^DAVID^Charles^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS",
        ),
        (
            Actor(id=Identifier(PERSON, "3750000002/17"), name=PersonName(family="A", given="B")),
            "3750000002/17^A^B^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^EI",
        ),
        (
            Actor(id=Identifier("1.2.3", "42"), device=Device(software="Labo", model="X1")),
            "42^Labo^X1^^^^^^&1.2.250.1.71.4.2.1&ISO^U^^^RI",
        ),
        (
            Actor(
                id=Identifier("1.2.250.1.213.1.4.10", "279035121518989"),
                name=PersonName(family="PAT", given="DO"),
            ),
            "279035121518989^PAT^DO^^^^^^&1.2.250.1.213.1.4.10&ISO^D^^^NH",
        ),
        (Actor(), "^^^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"),
    ],
)
def test_an_actor_is_written_as_the_metadata_want_it(actor: Actor, xcn: str) -> None:
    """A person, a person numbered by a structure, a device, a patient, and nobody known."""
    assert build_xcn(actor) == xcn


@pytest.mark.parametrize(
    ("organization", "xon"),
    [
        (
            Organization(name="Labo", id=Identifier("1.2.250.1.71.4.2.2", "1120459876")),
            "Labo^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^1120459876",
        ),
        (
            Organization(name="Société", id=Identifier("1.3.2", "123456782")),
            "Société^^^^^&1.3.2&ISO^SIREN^^^123456782",
        ),
        (Organization(), "^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^"),
    ],
)
def test_a_structure_is_written_as_the_metadata_want_it(
    organization: Organization, xon: str
) -> None:
    """Health structures, other companies, and parts that are not known."""
    assert build_xon(organization) == xon


def test_separators_inside_a_name_do_not_break_the_field() -> None:
    """A name with a caret would move every later component."""
    name = PersonName(family="A^B&C|D", given="E\r\nF")

    assert build_xcn(Actor(name=name)).startswith("^A B C D^E F^^^^^^&")
    assert build_specialty(Code("a^b", "1.2", "c|d")) == "a b^c d^1.2"


def test_a_patient_identifier_survives_a_round_trip() -> None:
    """What identifies the patient of a mail."""
    identifier = Identifier("1.2.250.1.213.1.4.10", "279035121518989")

    assert build_cx(identifier, kind="NH") == "279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"
    assert parse_cx(build_cx(identifier, kind="NH")) == identifier


def test_the_other_spelling_of_an_ins_is_read() -> None:
    """HL7 v2 messages name the authority as well and use another type."""
    text = "279035121518989^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS^^20101207"

    assert parse_cx(text) == Identifier("1.2.250.1.213.1.4.10", "279035121518989")


@pytest.mark.parametrize("text", ["", "^^^&1.2&ISO^NH", "42", "42^^^ISO^NH", "42^^^&^NH"])
def test_what_names_nobody_is_no_identifier(text: str) -> None:
    """A number without an authority could be anyone's."""
    assert parse_cx(text) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [("1.2.250", True), ("2.25.0", True), ("3.1", False), ("1.02", False), ("1", False),
     ("1." + "9" * 70, False), ("\u0661.\u0662", False)],
)  # fmt: skip
def test_an_oid_is_told_from_other_text(text: str, answer: bool) -> None:  # noqa: FBT001
    """Digits and dots, no leading zero, at most 64 characters."""
    assert is_oid(text) is answer


def test_fields_are_compared_without_regard_to_blanks_and_case() -> None:
    """Published archives keep a blank after a given name."""
    assert same_field("8^AUGUIN^Léon ^^^", "8^Auguin^Léon")
    assert not same_field("8^AUGUIN^Léon", "8^AUGUIN^Louis")
