"""What do people type when they look for somebody? Queries drawn from the rows, and spoiled.

Mistakes are made by rules of their own, which know nothing of the keys of the server: letters are
lost, added, exchanged and mistyped anywhere; spellings are changed for others that sound alike.

Shapes
    An `Asked` holds what is typed, the same in fields for engines that need them, and whom it is
    about. A line is right if the query cannot tell it from that person: whoever types `Martin Lyon`
    is answered by any Martin who works somewhere in Lyon, whatever the arrondissement.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from directory.folding import fold

LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
VOWELS: Final = "aeiouy"

SOUNDS: Final = (
    ("ph", "f"),
    ("f", "ph"),
    ("eau", "o"),
    ("eau", "au"),
    ("(?<!e)au", "o"),
    ("o$", "eau"),
    ("ck", "k"),
    ("qu", "k"),
    ("c(?=[aou])", "k"),
    ("ss(?=[ei])", "c"),
    ("c(?=[ei])", "ss"),
    ("([lnrtmp])\\1", "\\1"),
    ("(?<=[aeiou])([lnrtm])(?=[aeiou])", "\\1\\1"),
    ("(?<=[a-z]{3})[tdsx]$", ""),
    ("(?<=[aeiou]r)$", "d"),
    ("(?<=[ou])$", "t"),
    ("(?<=[a-z]{2})e$", ""),
    ("y", "i"),
    ("i(?=[a-z]?$)", "y"),
    ("^h", ""),
    ("th", "t"),
    ("t(?=[aeiou])", "th"),
    ("er$", "ez"),
    ("er$", "et"),
    ("ez$", "er"),
    ("en(?=[cdgqst])", "an"),
    ("an(?=[cdgqst])", "en"),
    ("ain(?![aeiou])", "in"),
    ("in$", "ain"),
    ("ein(?![aeiou])", "ain"),
    ("ai(?=[^nm])", "ei"),
    ("gn", "ni"),
    ("tion", "ssion"),
)
"""Spellings that a French ear cannot tell apart, as a secretary knows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A person as the rows have it, with everything that the person has several of."""

    number: int
    family: str
    given: str
    cities: tuple[str, ...] = ()
    postcodes: tuple[str, ...] = ()
    specialities: tuple[str, ...] = ()
    """Labels."""

    @property
    def towns(self) -> frozenset[str]:
        """The cities as people type them."""
        return frozenset(plain(town_of(city)) for city in self.cities)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One query.

    Attributes:
        fields: What is typed, by field.
        is_right: Says whether a line is an answer.
    """

    text: str
    target: Target
    fields: tuple[tuple[str, str], ...]
    is_right: Callable[[Target], bool]


def queries(kind: str, targets: list[Target], *, number: int, seed: int) -> Iterator[Asked]:
    """Draw queries of a kind."""
    chance = random.Random(f"{kind} {seed}")
    made = 0
    for _ in range(number * 1_000):
        asked = KINDS[kind](chance.choice(targets), chance)
        if asked is not None:
            yield asked
            made += 1
        if made == number:
            return


def plain(text: str) -> str:
    """Take the accents off, letter by letter."""
    table = str.maketrans("àâäçéèêëîïôöùûüÿñ", "aaaceeeeiioouuuyn")
    return text.lower().replace("œ", "oe").translate(table)


def town_of(city: str) -> str:
    """Leave out an arrondissement and a cedex."""
    return re.sub(r"\s\d.*|\s(cedex|arrondissement).*", "", city, flags=re.IGNORECASE)


def _has_names_of(target: Target) -> Callable[[Target], bool]:
    names = fold(target.family), fold(target.given)
    return lambda line: (fold(line.family), fold(line.given)) == names


def _by_name(target: Target, family: str, given: str) -> Asked:
    fields = (("family", family), ("given", given))
    return Asked(
        text=f"{family} {given}", target=target, fields=fields, is_right=_has_names_of(target)
    )


def _exact(target: Target, _chance: random.Random) -> Asked:
    return _by_name(target, target.family, target.given)


def _no_accents(target: Target, _chance: random.Random) -> Asked | None:
    whole = f"{target.family} {target.given}".lower()
    if plain(whole) == whole:
        return None
    return _by_name(target, plain(target.family), plain(target.given))


def _hyphen(target: Target, chance: random.Random) -> Asked | None:
    if not re.search(r"[-' ]", target.family):
        return None
    family = re.sub(r"[-' ]", chance.choice(["-", " ", ""]), target.family.lower())
    return _by_name(target, family, target.given)


def _swapped(target: Target, _chance: random.Random) -> Asked:
    fields = (("family", target.given), ("given", target.family))
    return Asked(
        text=f"{target.given} {target.family}",
        target=target,
        fields=fields,
        is_right=_has_names_of(target),
    )


def _edited(word: str, chance: random.Random) -> str:
    place = chance.randrange(len(word))
    letter = chance.choice(LETTERS)
    match chance.choice(["lost", "added", "wrong", "exchanged"]):
        case "lost":
            return word[:place] + word[place + 1 :]
        case "added":
            return word[:place] + letter + word[place:]
        case "wrong":
            return word[:place] + letter + word[place + 1 :]
        case _:
            return word[:place] + word[place + 1 : place + 2] + word[place] + word[place + 2 :]


def _edits(number: int, shortest: int) -> Callable[[Target, random.Random], Asked | None]:
    def make(target: Target, chance: random.Random) -> Asked | None:
        word = plain(target.family)
        if len(word) < shortest or not word.isalpha():
            return None
        spoiled = word
        for _ in range(number):
            spoiled = _edited(spoiled, chance)
        return None if spoiled == word else _by_name(target, spoiled, target.given)

    return make


def _sounds_alike(target: Target, chance: random.Random) -> Asked | None:
    word = plain(target.family)
    if not word.isalpha() or len(word) < 4:
        return None
    spoiled = word
    for pattern, letters in chance.sample(SOUNDS, len(SOUNDS)):
        changed = re.sub(pattern, letters, spoiled, count=1)
        if changed != spoiled:
            if spoiled != word:
                spoiled = changed
                break
            spoiled = changed
    return None if spoiled == word else _by_name(target, spoiled, target.given)


def _in_town(target: Target, chance: random.Random) -> Asked | None:
    if not target.cities:
        return None
    town = town_of(chance.choice(target.cities))
    family = fold(target.family)
    return Asked(
        text=f"{target.family} {town}",
        target=target,
        fields=(("family", target.family), ("city", town)),
        is_right=lambda line: fold(line.family) == family and plain(town) in line.towns,
    )


def _speciality(target: Target, chance: random.Random) -> Asked | None:
    if not (target.specialities and target.postcodes):
        return None
    label, postcode = chance.choice(target.specialities), chance.choice(target.postcodes)
    return Asked(
        text=f"{label} {postcode}",
        target=target,
        fields=(("speciality", label), ("postcode", postcode)),
        is_right=lambda line: label in line.specialities and postcode in line.postcodes,
    )


KINDS: Final[dict[str, Callable[[Target, random.Random], Asked | None]]] = {
    "exact": _exact,
    "accent-less": _no_accents,
    "hyphen": _hyphen,
    "swapped": _swapped,
    "one edit": _edits(1, 4),
    "two edits": _edits(2, 7),
    "phonetic": _sounds_alike,
    "name + city": _in_town,
    "speciality + postcode": _speciality,
}
