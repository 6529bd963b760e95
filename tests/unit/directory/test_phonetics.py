"""How French names sound."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.phonetics import sound_key

FAMILIES = [
    "phillipot filipeau philippot filippo",
    "gaultier gautier gothier gauthier gautiez",
    "leroux leroue lerou lerout",
    "martineau martinot martinaud martino martinaux",
    "durand durant duran durrand",
    "lefevre lefebvre lefaivre lefeivre",
    "dupont dupond dupon",
    "bernard bernar bernart bernhard",
    "blanchard blanchart blenchard",
    "rousseau roussot rouceau",
    "henry henri enry anri",
    "tessier teissier texier tescier",
    "garnier garnie garniez",
    "lacroix lacroi lacroit",
    "mathieu matieu mathieux matthieu",
    "montagne montaigne montanie",
    "poulain poulin poullain poulein",
    "clement clemen clemant",
    "quentin kentin quentain",
    "laurent lauren loran laurant",
    "vincent vinsent vincen vinssent",
    "leblanc leblan",
    "gonzalez gonzales gonsalez",
    "beaumont bomont baumont",
    "deschamps dechamp dechan",
    "besson baisson beson",
    "picard pikard piccard",
    "fontaine fontene fonteine",
    "reignier renier regnier reinier",
    "boulanger boulangez",
]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_sounds_alike_has_one_key(family: str) -> None:
    """Whoever only heard the name spells it one way or another."""
    assert len({sound_key(name) for name in family.split()}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("martin", "morin"),
        ("dubois", "dupuis"),
        ("durand", "dupont"),
        ("rousseau", "russo"),
        ("leroy", "leroux"),
        ("guerin", "gerin"),
        ("petit", "potot"),
        ("blanc", "brun"),
    ],
)
def test_what_sounds_different_has_different_keys(one: str, other: str) -> None:
    """A key that joins everything finds nobody."""
    assert sound_key(one) != sound_key(other)


@settings(max_examples=50)
@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=40))
def test_every_word_has_a_key_without_spaces(word: str) -> None:
    """Keys are words of an index."""
    key = sound_key(word)

    assert key.isalnum()
    assert len(key) <= 2 * len(word)
