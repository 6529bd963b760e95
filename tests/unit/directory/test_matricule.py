import pytest

from directory.errors import IdentifierCheckError, IdentifierSyntaxError
from directory.matricule import Matricule, matricule_key


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ("2790351215189", 89),
        ("279032A215189", None),
        ("2790X51215189", None),
        ("279035121518", None),
    ],
)
def test_the_key_of_a_body(body: str, key: int | None) -> None:
    """The published example; what is no body has none."""
    found = matricule_key(body)

    assert found == key if key else found != 89


@pytest.mark.parametrize("department", ["2A", "2B"])
def test_corsica_counts_as_a_number(department: str) -> None:
    """19 and 18 take the place of the letters."""
    plain = {"2A": "19", "2B": "18"}[department]
    body = f"27903{department}215189"

    assert matricule_key(body) == matricule_key(f"27903{plain}215189")
    assert Matricule.parse_checked(f"{body}{matricule_key(body):02d}")


@pytest.mark.parametrize("place", range(15))
def test_one_wrong_digit_is_found(place: int) -> None:
    """It would be somebody else's number."""
    good = "279035121518989"
    digit = str((int(good[place]) + 1) % 10 or 1)
    wrong = good[:place] + digit + good[place + 1 :]

    with pytest.raises((IdentifierCheckError, IdentifierSyntaxError)):
        Matricule.parse_checked(wrong)


@pytest.mark.parametrize(
    "text",
    ["", "279035121518", "2790351215189", "27903512151898", "2790351215189891", "a" * 15,
     "079035121518989", "2790351215189é9", "27903512151898٩", "2790352C2151898"],
)  # fmt: skip
def test_what_is_no_matricule(text: str) -> None:
    """Fifteen characters, the key included."""
    with pytest.raises(IdentifierSyntaxError):
        Matricule.parse_checked(text)
