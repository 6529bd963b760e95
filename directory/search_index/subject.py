"""Make the index entry of a person, or of the mailbox of a structure.

Pure: facts in, words out. Whatever is on the liste rouge must have been left out by the caller: an
index entry knows published mailboxes only.

Shapes
    A *subject* is what a line of a result stands for. Places are where a person practises, or the
    structure of a mailbox.
"""

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise, takewhile
from typing import Final, NamedTuple

from directory.codes import code_lists, speciality_words
from directory.departments import DEPARTMENTS, arrondissement_of, department_of
from directory.folding import MAX_WORD, fold, fold_content, order_key
from directory.phonetics import sound_key
from directory.search_index.cells import cells_of
from directory.search_index.fields import MAX_WEIGHT, CodeKind

MAX_PLACES: Final = 40
MAX_MAILBOXES: Final = 100
_LETTERS: Final = " abcdefghijklmnopqrstuvwxyz"
_LEVELS: Final = len(_LETTERS) ** 3
_PERSON: Final = {True: CodeKind.PERSON.word(), False: ""}
_HAS_MAILBOX: Final = CodeKind.HAS_MAILBOX.word()


class Place(NamedTuple):
    """A place as far as it is searched; the department may be empty, and found by the postcode."""

    name: str = ""
    trade_name: str = ""
    numbers: tuple[str, ...] = ()
    street: str = ""
    postcode: str = ""
    city: str = ""
    department: str = ""
    latitude: float | None = None
    longitude: float | None = None


class Subject(NamedTuple):
    """What is known of a person or of a structure's mailbox.

    Attributes:
        id: The number of the person; minus the number of the mailbox.
        numbers: Identifiers of the person.
        professions: Pairs of code and label.
        specialities: Pairs of code and label.
        label: Service and description, of a structure's mailbox.
        mailboxes: Pairs of kind and address, published ones only.
        is_standard: Ordinary care is among the activities.
    """

    id: int
    family: str = ""
    given: str = ""
    numbers: tuple[str, ...] = ()
    professions: tuple[tuple[str, str], ...] = ()
    specialities: tuple[tuple[str, str], ...] = ()
    places: tuple[Place, ...] = ()
    label: str = ""
    mailboxes: tuple[tuple[str, str], ...] = ()
    is_standard: bool = False


class Entry(NamedTuple):
    """The index entry of a subject.

    Attributes:
        fields: Everything but the place of the names.
        names: What ranking compares with the query: words of the name, first name and town; and
            where the places are.
    """

    fields: dict[str, int | float | str]
    names: bytes


def build_entry(subject: Subject) -> Entry:
    """Make the index entry of a subject."""
    family, given = _name("f", subject.family), _name("g", subject.given)
    jobs = _jobs(subject.professions, subject.specialities)
    where = _places(subject.places[:MAX_PLACES], subject.label)
    kinds, addresses = _mailboxes(subject.mailboxes[:MAX_MAILBOXES])
    fields: dict[str, int | float | str] = {
        "id": subject.id,
        "weight": _weight(subject),
        "family": family.words,
        "given": given.words,
        "whole": f"{family.whole} {given.whole} {where.towns}",
        "family_sound": family.sounds,
        "given_sound": given.sounds,
        "beginning": f"{family.begun} {given.begun} {jobs.begun} {where.begun}",
        "words": f"{jobs.words} {where.words}",
        "city": where.cities,
        "structure": where.structures,
        "street": where.streets,
        "job": jobs.words,
        "postcode": where.postcodes,
        "number": f"{' '.join(subject.numbers)} {where.numbers}",
        "address": addresses,
        "code": f"{jobs.codes} {where.codes} {kinds} {_PERSON[subject.id > 0]}",
        "cell": where.cells,
    }
    names = f"{family.words}|{given.words}|{where.cities}|{where.points}"
    return Entry(fields, names.encode())


class _Name(NamedTuple):
    """A name: its words, how they sound, how they begin, and all of it as one word."""

    words: str
    sounds: str
    begun: str
    whole: str


class _Jobs(NamedTuple):
    """What somebody does: the words for it, how they begin, and the codes."""

    words: str
    begun: str
    codes: str


class _Where(NamedTuple):
    """All places together."""

    words: str
    begun: str
    cities: str
    towns: str
    structures: str
    streets: str
    postcodes: str
    numbers: str
    codes: str
    cells: str
    points: str


def _unique(words: Iterable[str]) -> tuple[str, ...]:
    """Leave out what was there before; a word twice is no mistake in a field, but a slower one."""
    return tuple(dict.fromkeys(words))


@lru_cache(maxsize=65_536)  # names repeat
def _name(letter: str, name: str) -> _Name:
    """Take a name apart: its parts, two of them written together, and all of them."""
    parts = fold(name)
    joined = ["".join(pair)[:MAX_WORD] for pair in pairwise(parts)]
    whole = "".join(parts)[:MAX_WORD]
    words = _unique([*parts, *joined, *([whole] if whole else [])])
    return _Name(
        words=" ".join(words),
        sounds=" ".join(_unique(map(sound_key, words))),
        begun=" ".join(_unique([word[:size] for word in words for size in (1, 2, 3)])),
        whole=f"{letter}:{whole}" if whole else "",
    )


@lru_cache(maxsize=8_192)  # there are few combinations
def _jobs(
    professions: tuple[tuple[str, str], ...], specialities: tuple[tuple[str, str], ...]
) -> _Jobs:
    lists = code_lists()
    texts: list[str] = []
    for code, label in professions:
        texts += [label or lists.professions.get(code, ""), *lists.profession_words.get(code, ())]
    for code, label in specialities:
        texts += [label or lists.specialities.get(code, ""), *speciality_words(code)]
    words = fold_content(" ".join(texts))
    codes = [CodeKind.PROFESSION.word(code) for code, _ in professions]
    codes += [CodeKind.SPECIALITY.word(code) for code, _ in specialities]
    return _Jobs(" ".join(words), _begun(words), " ".join(codes))


@lru_cache(maxsize=16_384)  # many people work in one place, and in no other
def _places(places: tuple[Place, ...], label: str) -> _Where:
    cities: dict[str, None] = {}
    towns: dict[str, None] = {}
    structures: dict[str, None] = dict.fromkeys(fold_content(label)) if label else {}
    streets: dict[str, None] = {}
    departments: dict[str, None] = {}
    for place in places:
        cities.update(dict.fromkeys(_city_words(place.city, place.postcode)))
        towns[_town(place.city)] = None
        structures.update(dict.fromkeys(fold_content(place.name)))
        structures.update(dict.fromkeys(fold_content(place.trade_name)))
        streets.update(dict.fromkeys(fold_content(place.street)))
        departments[place.department or department_of(place.postcode)] = None
    postcodes = [word for place in places for word in fold(place.postcode)]
    area = _departments(tuple(departments))
    points = [
        (place.latitude, place.longitude)
        for place in places
        if place.latitude is not None and place.longitude is not None
    ]
    words = {**cities, **structures, **dict.fromkeys([*postcodes, *area[0]]), **streets}
    return _Where(
        words=" ".join(words),
        begun=_begun(words),
        cities=" ".join(cities),
        towns=" ".join(towns),
        structures=" ".join(structures),
        streets=" ".join(streets),
        postcodes=" ".join(postcodes),
        numbers=" ".join([number.lower() for place in places for number in place.numbers]),
        codes=" ".join(area[1]),
        cells=" ".join(_unique(cell for point in points for cell in cells_of(*point))),
        points=" ".join([f"{latitude},{longitude}" for latitude, longitude in points]),
    )


def _begun(words: Iterable[str]) -> str:
    """Write how words that are no names begin."""
    return " ".join(_unique(["~" + word[:3] for word in words]))


@lru_cache(maxsize=65_536)
def _city_words(city: str, postcode: str) -> tuple[str, ...]:
    """List the words of a town; an arrondissement is `15` and `15e`, whoever wrote the town."""
    words = [word for word in fold_content(city) if not word.isdigit()]
    number = arrondissement_of(postcode)
    return _unique([*words, str(number), f"{number}e"] if number else words)


@lru_cache(maxsize=65_536)
def _town(city: str) -> str:
    """Write the name of a town as one word, up to an arrondissement or a cedex."""
    is_name = takewhile(lambda word: not (word[0].isdigit() or word == "cedex"), fold(city))
    whole = "".join(is_name)[:MAX_WORD]
    return f"c:{whole}" if whole else ""


@lru_cache(maxsize=1_024)
def _departments(codes: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """List the words and the codes of some départements."""
    known = [code.upper() for code in codes if code]
    names = (fold_content(DEPARTMENTS.get(code, "")) for code in known)
    words = [
        word for code, name in zip(known, names, strict=True) for word in (code.lower(), *name)
    ]
    return _unique(words), _unique(map(CodeKind.DEPARTMENT.word, known))


def _mailboxes(mailboxes: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    """List the codes and the addresses of mailboxes."""
    if not mailboxes:
        return "", ""
    kinds = _unique(_kind(kind) for kind, _ in mailboxes)
    addresses = [address.lower() for _, address in mailboxes]
    addresses += [address[address.rindex("@") :] for address in addresses]
    return " ".join((*kinds, _HAS_MAILBOX)), " ".join(_unique(addresses))


@lru_cache(maxsize=256)
def _kind(kind: str) -> str:
    return CodeKind.MAILBOX_KIND.word(kind)


def _weight(subject: Subject) -> float:
    """Put who can be written to first, then ordinary care, then the order of first names."""
    level = 2 * bool(subject.mailboxes) + subject.is_standard
    place = _order(subject.given) * len(_LETTERS) + _order(subject.family) // len(_LETTERS)
    return MAX_WEIGHT * (level + 1 - place / _LEVELS) / 4


@lru_cache(maxsize=65_536)
def _order(name: str) -> int:
    """Return the place of a name in the order of its first two letters."""
    first, second = tuple(f"{order_key(name)[:2]:2}")
    return max(_LETTERS.find(first), 0) * len(_LETTERS) + max(_LETTERS.find(second), 0)
