"""Make the index entry of a person, or of the mailbox of a structure.

Pure: facts in, words out. Whatever is on the liste rouge must have been left out by the caller: an
index entry knows published mailboxes only.

Shapes
    A *subject* is what a line of a result stands for. Places are where a person practises, or the
    structure of a mailbox.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from directory.codes import code_lists, speciality_words
from directory.departments import DEPARTMENTS, arrondissement_of, department_of
from directory.folding import MAX_WORD, fold, fold_content, order_key
from directory.phonetics import sound_key
from directory.search_index.cells import cells_of
from directory.search_index.fields import MAX_WEIGHT, CodeKind, Field

MAX_PLACES: Final = 40
MAX_MAILBOXES: Final = 100
_LETTERS: Final = " abcdefghijklmnopqrstuvwxyz"
_LEVELS: Final = len(_LETTERS) ** 3


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
    family, given = _name_words(subject.family), _name_words(subject.given)
    places = subject.places[:MAX_PLACES]
    jobs = _unique(word for pair in _jobs(subject) for word in pair)
    cities = _unique(word for place in places for word in _city_words(place.city, place.postcode))
    structures = _unique(word for place in places for word in _structure_words(place))
    structures = _unique([*fold_content(subject.label), *structures])
    streets = _unique(word for place in places for word in fold_content(place.street))
    postcodes = _unique(word for place in places for word in fold(place.postcode))
    departments = _unique(place.department or department_of(place.postcode) for place in places)
    mailboxes = subject.mailboxes[:MAX_MAILBOXES]
    words = _unique(
        [*cities, *jobs, *structures, *postcodes, *_department_words(departments), *streets]
    )
    fields: dict[str, int | float | str] = {
        Field.ID: subject.id,
        Field.WEIGHT: _weight(subject),
        Field.FAMILY: " ".join(family),
        Field.GIVEN: " ".join(given),
        Field.WHOLE: " ".join(_wholes(subject)),
        Field.FAMILY_SOUND: " ".join(_unique(map(sound_key, family))),
        Field.GIVEN_SOUND: " ".join(_unique(map(sound_key, given))),
        Field.BEGINNING: " ".join(_beginnings((*family, *given), words)),
        Field.WORDS: " ".join(words),
        Field.CITY: " ".join(cities),
        Field.STRUCTURE: " ".join(structures),
        Field.STREET: " ".join(streets),
        Field.JOB: " ".join(jobs),
        Field.POSTCODE: " ".join(postcodes),
        Field.NUMBER: " ".join(_unique(_numbers(subject))),
        Field.ADDRESS: " ".join(_addresses(mailboxes)),
        Field.CODE: " ".join(_codes(subject, departments)),
        Field.CELL: " ".join(_unique(_cells(places))),
    }
    points = (f"{p.latitude},{p.longitude}" for p in places if None not in p[-2:])
    names = "|".join(map(" ".join, (family, given, cities, points)))
    return Entry({name: value for name, value in fields.items() if value != ""}, names.encode())


def _unique(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


@lru_cache(maxsize=65_536)
def _name_words(name: str) -> tuple[str, ...]:
    """List the parts of a name, two of them written together, and the whole written together."""
    words = fold(name)
    if len(words) < 2:
        return words
    joined = ["".join(pair)[:MAX_WORD] for pair in zip(words, words[1:], strict=False)]
    return _unique([*words, *joined, "".join(words)[:MAX_WORD]])


def _wholes(subject: Subject) -> Iterator[str]:
    for letter, name in (("f", subject.family), ("g", subject.given)):
        whole = "".join(fold(name))[:MAX_WORD]
        if whole:
            yield f"{letter}:{whole}"


@lru_cache(maxsize=4_096)
def _profession(code: str, label: str) -> tuple[str, ...]:
    lists = code_lists()
    words = lists.profession_words.get(code, ())
    return fold_content(" ".join((label or lists.professions.get(code, ""), *words)))


@lru_cache(maxsize=4_096)
def _speciality(code: str, label: str) -> tuple[str, ...]:
    known = label or code_lists().specialities.get(code, "")
    return fold_content(" ".join((known, *speciality_words(code))))


def _jobs(subject: Subject) -> Iterator[tuple[str, ...]]:
    for code, label in subject.professions:
        yield _profession(code, label)
    for code, label in subject.specialities:
        yield _speciality(code, label)


@lru_cache(maxsize=65_536)
def _city_words(city: str, postcode: str) -> tuple[str, ...]:
    """List the words of a town; an arrondissement is `15` and `15e`, whoever wrote the town."""
    words = [word for word in fold_content(city) if not word.isdigit()]
    number = arrondissement_of(postcode)
    return _unique([*words, str(number), f"{number}e"] if number else words)


def _structure_words(place: Place) -> tuple[str, ...]:
    return (*fold_content(place.name), *fold_content(place.trade_name))


@lru_cache(maxsize=1_024)
def _department_words(codes: tuple[str, ...]) -> tuple[str, ...]:
    return _unique(
        word
        for code in codes
        if code
        for word in (code.lower(), *fold_content(DEPARTMENTS.get(code.upper(), "")))
    )


@lru_cache(maxsize=65_536)
def _name_beginnings(word: str) -> tuple[str, ...]:
    return tuple(word[:size] for size in range(1, min(3, len(word)) + 1))


def _beginnings(names: Iterable[str], words: Iterable[str]) -> tuple[str, ...]:
    found = dict.fromkeys(begun for name in names for begun in _name_beginnings(name))
    found.update(dict.fromkeys(["~" + word[:3] for word in words]))
    return tuple(found)


def _numbers(subject: Subject) -> Iterator[str]:
    yield from subject.numbers
    for place in subject.places[:MAX_PLACES]:
        yield from (number.lower() for number in place.numbers if number)


def _addresses(mailboxes: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for _, address in mailboxes:
        plain = address.lower()
        found[plain] = None
        found[plain[plain.rindex("@") :]] = None
    return tuple(found)


def _codes(subject: Subject, departments: Iterable[str]) -> tuple[str, ...]:
    codes = [CodeKind.DEPARTMENT.word(code) for code in departments if code]
    codes += [CodeKind.PROFESSION.word(code) for code, _ in subject.professions]
    codes += [CodeKind.SPECIALITY.word(code) for code, _ in subject.specialities]
    codes += [CodeKind.MAILBOX_KIND.word(kind) for kind, _ in subject.mailboxes]
    if subject.mailboxes:
        codes.append(CodeKind.HAS_MAILBOX.word())
    if subject.id > 0:
        codes.append(CodeKind.PERSON.word())
    return _unique(codes)


def _cells(places: Iterable[Place]) -> Iterator[str]:
    for place in places:
        if place.latitude is not None and place.longitude is not None:
            yield from cells_of(place.latitude, place.longitude)


def _weight(subject: Subject) -> float:
    """Put who can be written to first, then ordinary care, then the order of first names."""
    level = 2 * bool(subject.mailboxes) + subject.is_standard
    first, second, third = f"{order_key(subject.given)[:2]:2}{order_key(subject.family)[:1]:1}"
    place = 0
    for letter in (first, second, third):
        place = place * len(_LETTERS) + max(_LETTERS.find(letter), 0)
    return MAX_WEIGHT * (level + 1 - place / _LEVELS) / 4
