import pytest

from directory.errors import IdentifierCheckError, IdentifierSyntaxError
from directory.identifiers import (
    ADELI,
    FINESS,
    RPPS,
    SIREN,
    SIRET,
    Identifier,
    NationalPersonId,
    NationalStructureId,
    luhn_digit,
)

VALID = [
    *[(RPPS, n) for n in ("10000000009", "10099999996", "10101010105", "99000000010")],
    *[(ADELI, n) for n in ("759123458", "012800736")],
    *[(FINESS, n) for n in ("750000002", "690123450", "010780195", "970402988")],
    *[(FINESS, n) for n in ("2A0000014", "2B0000020")],
    *[(SIREN, n) for n in ("123456782", "732829320", "356000000")],
    *[(SIRET, n) for n in ("73282932000074", "12345678200010")],
    *[(SIRET, n) for n in ("35600000000048", "35600000049837")],
    *[(NationalPersonId, n) for n in ("899000000010", "0759123458", "3750000002/123")],
    *[(NationalStructureId, n) for n in ("1750000002", "312345678200010", "499000000010001")],
]
WRONG_CHECK = [
    (RPPS, "10102727017"),
    (RPPS, "10107582544"),
    (ADELI, "759123459"),
    (FINESS, "754567860"),
    (SIREN, "123456789"),
    (SIRET, "12345678200011"),
    (NationalPersonId, "898000000010"),
    (NationalStructureId, "1750000003"),
    (NationalStructureId, "499000000011001"),
]


@pytest.mark.parametrize(("kind", "text"), VALID)
def test_a_right_check_digit_leaves_no_finding(kind: type[Identifier], text: str) -> None:
    """The published examples, Corsica and La Poste included."""
    assert kind.parse(text).findings() == []
    assert kind.parse_checked(text) == text


@pytest.mark.parametrize(("kind", "text"), WRONG_CHECK)
def test_national_data_with_a_wrong_check_digit_are_kept_with_a_warning(
    kind: type[Identifier], text: str
) -> None:
    """The national examples fail their own check, and must be found all the same."""
    value = kind.parse(text)

    assert value == text
    assert [finding.code for finding in value.findings()] == ["identifier-check"]


@pytest.mark.parametrize(("kind", "text"), WRONG_CHECK)
def test_a_typed_number_with_a_wrong_check_digit_is_refused(
    kind: type[Identifier], text: str
) -> None:
    """Here it means a mistyped digit."""
    with pytest.raises(IdentifierCheckError):
        kind.parse_checked(text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (RPPS, ""),
        (RPPS, "9900000001"),
        (RPPS, "990000000100"),
        (RPPS, "9900000001O"),
        (RPPS, "٩٩٠٠٠٠٠٠٠١٠"),
        (RPPS, "99000000010\n"),
        (FINESS, "2C0000014"),
        (FINESS, "7A0000014"),
        (FINESS, "A50000002"),
        (FINESS, "2a0000014"),
        (SIRET, "1" * 15),
        (NationalPersonId, "89900000001"),
        (NationalPersonId, "8" * 200),
        (NationalPersonId, "3<script>"),
        (NationalStructureId, "5750000002"),
    ],
)
def test_a_wrong_shape_is_refused_everywhere(kind: type[Identifier], text: str) -> None:
    """A value of the type always has the shape."""
    with pytest.raises(IdentifierSyntaxError):
        kind.parse(text)


def test_a_typed_number_may_have_spaces() -> None:
    """People copy numbers as they are printed."""
    assert RPPS.parse_checked("990 0000 0010") == "99000000010"


def test_the_prefix_of_a_person_tells_the_register() -> None:
    """8 stands before an RPPS number, 0 before an ADELI number."""
    assert NationalPersonId("899000000010").inner == RPPS("99000000010")
    assert isinstance(NationalPersonId("0759123458").inner, ADELI)
    assert NationalPersonId("0759123458").rpps is None
    assert NationalPersonId.of(RPPS("99000000010")) == "899000000010"


def test_the_prefix_of_a_structure_tells_the_register() -> None:
    """1 stands before a FINESS number, 3 before a SIRET number."""
    assert isinstance(NationalStructureId("1750000002").inner, FINESS)
    assert isinstance(NationalStructureId("312345678200010").inner, SIRET)
    assert NationalStructureId.of(SIREN("123456782")) == "2123456782"
    assert NationalStructureId("499000000010001").inner is None
    assert SIRET("12345678200010").siren == "123456782"


def test_the_missing_digit_is_found() -> None:
    """Invented numbers must pass the same check as real ones."""
    assert luhn_digit("9900000001") == "0"
