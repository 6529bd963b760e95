"""Write directories of invented people in the national formats.

For demonstrations, tests and measurements: the names, places and mishaps are distributed like the
real ones (hyphens, particles, accents, people without a place, several mailboxes, stray quotes),
but nobody is real. Numbers begin with 99, which no living professional has, and pass their checks.

The same arguments give the same octets, on every machine.

Errors
    `ValueError` for a stamp that is not AAAAMMJJhhmm, or a negative number of people.
"""

import re
import tomllib
import unicodedata
from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import resources
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any, Final

from directory import columns
from directory.address import MailAddress
from directory.codes import code_lists
from directory.identifiers import FINESS, RPPS, SIREN, SIRET, NationalPersonId, luhn_digit
from directory.model import (
    Coded,
    MailboxEntry,
    MailboxKind,
    Organization,
    PostalAddress,
    PracticeRole,
    Practitioner,
    Skill,
)
from directory.sources import ExtractionKind
from directory.synthetic_finess import write_finess

MAX_PRACTITIONERS: Final = 10_000_000
_STREET_TYPES: Final = frozenset(
    {"Rue", "Avenue", "Place", "Boulevard", "Chemin", "Allée", "Quai", "Route", "Impasse", "Cours"}
)
_PEOPLE_PER_HOSPITAL: Final = 1_500
_PEOPLE_PER_SITE: Final = 7
_ONE_PLACE: Final = 0.4
_TWO_PLACES: Final = 0.75
# The columns of an activity, in blocks that are written again and again.
_WHO: Final = columns.ACTIVITY[:13]
_SKILLS: Final = columns.ACTIVITY[13:17]
_HOW: Final = columns.ACTIVITY[17:19]
_WHERE: Final = columns.ACTIVITY[19:50]
_WHAT: Final = columns.ACTIVITY[50:]
_CIVIL: Final = Coded(code="C", label="Civil")
_STANDARD: Final = Coded(code="GENR01", label="Activité standard de soin ou de pharmacien")
_LIBERAL: Final = Coded(code="L", label="Libéral, indépendant, artisan, commerçant")
_SALARIED: Final = Coded(code="S", label="Salarié")
_ORDINAL: Final = Coded(code="S", label="Spécialité ordinale")


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """The files that were written, and how much is in them."""

    activities: Path
    skills: Path
    mailboxes: Path
    finess: Path | None = None
    practitioner_count: int
    mailbox_count: int


def generate(
    folder: Path,
    *,
    practitioners: int,
    seed: int,
    stamp: str,
    extra_practitioners: Sequence[Practitioner] = (),
    extra_mailboxes: Sequence[MailboxEntry] = (),
    is_national: bool = False,
) -> Generated:
    """Write the three files of a directory, and FINESS for one as dense as the national.

    Args:
        folder: Where to; made if missing. Files of the same stamp are replaced.
        practitioners: Number of invented people.
        seed: Another seed gives other people.
        stamp: AAAAMMJJhhmm, part of the file names.
        extra_practitioners: People to put in as they are, first.
        extra_mailboxes: Mailboxes to put in as they are, first. As in the national file, those of
            the liste rouge are left out.
        is_national: Give people as many situations as they have in the national file (1.9 lines
            each), and write FINESS with as many sites (one for seven people).
    """
    if not re.fullmatch(r"[0-9]{12}", stamp):
        raise ValueError("a stamp is AAAAMMJJhhmm")
    if not 0 <= practitioners <= MAX_PRACTITIONERS:
        raise ValueError(f"0 to {MAX_PRACTITIONERS} people can be invented")
    folder.mkdir(parents=True, exist_ok=True)
    kinds = (ExtractionKind.ACTIVITY, ExtractionKind.SKILL, ExtractionKind.MAILBOX)
    paths = {kind: folder / f"{kind}_{stamp}.txt" for kind in kinds}
    invention = _Invention(seed=seed, practitioners=practitioners)
    taken = {mailbox.address.key: 2 for mailbox in extra_mailboxes}
    shown = [mailbox for mailbox in extra_mailboxes if not mailbox.liste_rouge]
    with ExitStack() as stack:
        activity_file, skill_file, mailbox_file = (
            stack.enter_context(paths[kind].open("w", encoding="utf-8", newline="\n"))
            for kind in kinds
        )
        activity_file.write("|".join(columns.ACTIVITY) + "|\n")
        skill_file.write("|".join(columns.SKILL) + "|\n")
        mailbox_file.write("|".join(columns.MAILBOX) + "\n")
        mailbox_count = 0

        def write_mailboxes(mailboxes: Iterable[MailboxEntry]) -> None:
            nonlocal mailbox_count
            for mailbox in mailboxes:
                mailbox_file.write("|".join(_mailbox_fields(mailbox)) + "\n")
                mailbox_count += 1

        def write_person(person: Practitioner) -> None:
            activity_file.writelines(_activity_lines(person))
            skill_file.writelines("|".join(fields) + "|\n" for fields in _skill_rows(person))

        for person in extra_practitioners:
            write_person(person)
        write_mailboxes(shown)
        write_mailboxes(invention.structure_mailboxes(taken))
        for person in invention.people():
            write_person(invention.with_more_places(person) if is_national else person)
            write_mailboxes(invention.mailboxes_of(person, taken))
    finess = None
    if is_national:
        finess = folder / f"{ExtractionKind.FINESS}-journalier-{stamp[:8]}.json"
        invention.write_finess(finess)
    return Generated(
        finess=finess,
        activities=paths[ExtractionKind.ACTIVITY],
        skills=paths[ExtractionKind.SKILL],
        mailboxes=paths[ExtractionKind.MAILBOX],
        practitioner_count=practitioners + len(extra_practitioners),
        mailbox_count=mailbox_count,
    )


class _Invention:
    """Makes up people, one after the other, from one stream of random numbers."""

    def __init__(self, *, seed: int, practitioners: int) -> None:
        self.random = Random(seed)  # noqa: S311 - reproducible data, not a secret
        self.more = Random(seed + 1)  # noqa: S311 - of what only a national file has
        self.seed = seed
        self.number = practitioners
        self.words = _words()
        self.professions = _Shares(self.words["professions"])
        self.specialities = _Shares(self.words["specialities"])
        families = len(self.words["families"])
        self.family_ranks = list(accumulate(1 / (rank + 5) for rank in range(families)))
        self.hospitals = [
            self._hospital(number) for number in range(2 + practitioners // _PEOPLE_PER_HOSPITAL)
        ]
        self.practices = 0
        self.practice = self._practice()

    def people(self) -> Iterator[Practitioner]:
        """Yield the people in the order of their numbers."""
        for number in range(self.number):
            if number % 3 == 0:
                self.practice = self._practice()
            yield self._person(number)

    def with_more_places(self, person: Practitioner) -> Practitioner:
        """Add situations at hospitals: none for four in ten, two for one in four."""
        roll = self.more.random()
        if roll < _ONE_PLACE or person.profession is None:
            return person
        more = tuple(
            PracticeRole(
                profession=person.profession,
                category=_CIVIL,
                mode=_SALARIED,
                activity=_STANDARD,
                organization=self.hospitals[int(self.more.random() * len(self.hospitals))],
            )
            for _ in range(1 if roll < _TWO_PLACES else 2)
        )
        return replace(person, roles=tuple(dict.fromkeys((*person.roles, *more))))

    def write_finess(self, path: Path) -> None:
        """Write the hospitals and as many other sites as the country has."""
        write_finess(
            path,
            hospitals=self.hospitals,
            sites=self.number // _PEOPLE_PER_SITE,
            towns=self.words["towns"],
            positions=self.words["positions"],
            number=lambda rank: _with_key(f"98{rank:06d}"),
            seed=self.seed,
        )

    def structure_mailboxes(self, taken: dict[str, int]) -> Iterator[MailboxEntry]:
        """Yield the mailboxes of the services of each hospital."""
        for hospital in self.hospitals:
            town = _slug(hospital.address.city)
            for service in self.random.sample(self.words["services"], 8):
                local = _slug(service).replace("-", ".")
                yield MailboxEntry(
                    address=_free(local, f"ch-{town}-essai.mssante.fr", taken),
                    kind=MailboxKind.ORG,
                    organization=hospital,
                    service=service.upper(),
                    paperless="O",
                )

    def mailboxes_of(self, person: Practitioner, taken: dict[str, int]) -> Iterator[MailboxEntry]:
        """Yield the mailboxes of a person: none for six in ten, sometimes two."""
        roll = self.random.random()
        if roll > 0.4:
            return
        place = person.roles[0].organization if person.roles else None
        local = f"{_slug(person.given)}.{_slug(person.family)}"
        profession = person.profession.code if person.profession else ""
        domains = ["pro-essai.mssante.fr"]
        if profession == "10":
            domains = ["medecin-essai.mssante.fr"]
        if place is not None and place.finess is not None:
            domains = [f"ch-{_slug(place.address.city)}-essai.mssante.fr"]
        elif place is not None and roll < 0.25:
            domains = [f"cabinets-{place.address.department.lower()}-essai.mssante.fr"]
        if roll < 0.03:
            domains.append("medimail-essai.mssante.fr")
        for domain in domains:
            yield MailboxEntry(
                address=_free(local, domain, taken),
                kind=MailboxKind.PER,
                practitioner=_without_places(person),
                organization=place if place is not None and place.finess else None,
                paperless="O",
            )

    def _person(self, number: int) -> Practitioner:
        body = f"99{10_000_000 + number:08d}"
        is_female = self.random.random() < 0.6
        given = self.random.choice(self.words["given_female" if is_female else "given_male"])
        code = self.professions.pick(self.random)
        profession = Coded(code=code, label=code_lists().professions[code])
        return Practitioner(
            national_id=NationalPersonId.of(RPPS(body + luhn_digit(body))),
            family=self._upper(self._family()),
            given=self._upper(given),
            civility="MME" if is_female else "M",
            title=self._title(code),
            profession=profession,
            category=_CIVIL,
            skills=self._skills(code),
            roles=tuple(self._roles(profession)),
        )

    def _family(self) -> str:
        roll = self.random.random()
        if roll < 0.06:
            return f"{self._simple_family()}-{self._simple_family()}"
        if roll < 0.10:
            return f"{self._simple_family()} {self._simple_family()}"
        if roll < 0.15:
            return f"{self.random.choice(self.words['particles'])}{self._simple_family()}"
        return self._simple_family()

    def _simple_family(self) -> str:
        if self.random.random() < 0.6:
            place = self.random.random() * self.family_ranks[-1]
            return str(self.words["families"][bisect(self.family_ranks, place)])
        parts = [self.random.choice(self.words["syllables_first"])]
        if self.random.random() < 0.7:
            parts.append(self.random.choice(self.words["syllables_middle"]))
        parts.append(self.random.choice(self.words["syllables_last"]))
        return "".join(parts).capitalize()

    def _upper(self, name: str) -> str:
        """Write in capitals, as the file does: mostly without accents, not always."""
        return name.upper() if self.random.random() < 0.3 else _plain(name).upper()

    def _title(self, profession: str) -> str:
        if profession not in ("10", "40", "21"):
            return ""
        return "PR" if self.random.random() < 0.02 else "DR"

    def _skills(self, profession: str) -> tuple[Skill, ...]:
        if profession != "10":
            return ()
        code = self.specialities.pick(self.random)
        return (Skill(kind=_ORDINAL, code=code, label=code_lists().specialities[code]),)

    def _roles(self, profession: Coded) -> Iterator[PracticeRole]:
        roll = self.random.random()
        if roll < 0.08:
            return  # retired, student, or between two places
        places: list[tuple[Coded, Organization]] = []
        if roll < 0.6:
            places.append((_LIBERAL, self.practice))
        if roll > 0.5:
            places.append((_SALARIED, self.random.choice(self.hospitals)))
        for mode, place in places:
            yield PracticeRole(
                profession=profession,
                category=_CIVIL,
                mode=mode,
                activity=_STANDARD,
                organization=place,
            )

    def _practice(self) -> Organization:
        self.practices += 1
        body = f"9{self.practices:07d}"
        siren = body + luhn_digit(body)
        siret = f"{siren}0001"
        name = f"CABINET {self._simple_family()}".upper()
        if self.random.random() < 0.01:
            name += ' "LE PHARE'  # the file has unbalanced quotes, and no quoting
        number = SIRET(siret + luhn_digit(siret))
        return Organization(
            key="3" + number,
            name=name,
            siret=number,
            siren=SIREN(siren),
            technical_id=f"R9900{self.practices:010d}",
            sector=Coded(code="SA07", label="Cabinet individuel"),
            phone=f"0199{self.random.randrange(1_000_000):06d}",
            address=self._address(self.random.choice(self.words["towns"])),
        )

    def _hospital(self, number: int) -> Organization:
        towns = self.words["towns"]
        town = towns[number % len(towns)]
        body = f"99{number:06d}"
        finess = FINESS(body + luhn_digit(body))
        rank = number // len(towns)
        name = f"CH {_plain(town[2]).upper()} ESSAI" + (f" {rank + 1}" if rank else "")
        return Organization(
            key="1" + finess,
            name=name,
            finess=finess,
            technical_id=f"F{finess}",
            sector=Coded(code="SA01", label="Etablissement public de santé"),
            phone=f"0198{number:06d}",
            address=self._address(town),
        )

    def _address(self, town: Sequence[str]) -> PostalAddress:
        postcode, commune, city, department = town
        street = self.random.choice(self.words["streets"])
        return PostalAddress(
            street=f"{self.random.randrange(1, 150)} {street}",
            postcode=postcode,
            city=city,
            commune=commune,
            department=department,
            country="France",
        )


class _Shares:
    """Picks a code with the probability of its share."""

    def __init__(self, shares: Mapping[str, int]) -> None:
        self.codes = list(shares)
        self.bounds = list(accumulate(shares.values()))

    def pick(self, random: Random) -> str:
        return self.codes[bisect(self.bounds, random.random() * self.bounds[-1])]


def _activity_lines(person: Practitioner) -> Iterator[str]:
    """Yield a line for each role and skill; one without either for who has none."""
    identity = _person_fields(person) | {
        "Code civilité d'exercice": person.title,
        "Libellé civilité d'exercice": {"DR": "Docteur", "PR": "Professeur"}.get(person.title, ""),
        "Code civilité": person.civility,
        "Libellé civilité": {"M": "Monsieur", "MME": "Madame"}.get(person.civility, ""),
    }
    for role in person.roles or (None,):
        values = identity
        if role is not None:
            # A person with several professions has them in the roles.
            values = identity | _coded("profession", role.profession)
            values |= _coded("catégorie professionnelle", role.category)
        who = _text(values, _WHO)
        how, where, what = _role_texts(role)
        for skill in person.skills or (None,):
            yield f"{who}|{_skill_text(skill)}|{how}|{where}|{what}|\n"


def _role_texts(role: PracticeRole | None) -> tuple[str, str, str]:
    """Return what the columns of the mode, the place and the activity hold."""
    if role is None:
        return _text({}, _HOW), _place_text(None), _text({}, _WHAT)
    return (
        _mode_text(role.mode),
        _place_text(role.organization),
        _activity_text(role.function, role.activity),
    )


@lru_cache(maxsize=1024)
def _skill_text(skill: Skill | None) -> str:
    return _text(_skill_fields(skill), _SKILLS)


@lru_cache(maxsize=64)
def _mode_text(mode: Coded | None) -> str:
    return _text(_coded("mode exercice", mode), _HOW)


@lru_cache(maxsize=1024)
def _activity_text(function: Coded | None, activity: Coded | None) -> str:
    return _text(_coded("rôle", function) | _coded("genre activité", activity), _WHAT)


@lru_cache(maxsize=4096)
def _place_text(place: Organization | None) -> str:
    return _text(_place_fields(place), _WHERE)


def _text(values: Mapping[str, str], names: Sequence[str]) -> str:
    return "|".join(_field(values.get(name, "")) for name in names)


def _skill_rows(person: Practitioner) -> Iterator[list[str]]:
    for skill in person.skills:
        values = _person_fields(person) | _skill_fields(skill)
        yield [_field(values.get(name, "")) for name in columns.SKILL]


def _person_fields(person: Practitioner) -> dict[str, str]:
    return {
        "Type d'identifiant PP": person.national_id[0],
        "Identifiant PP": person.national_id[1:],
        "Identification nationale PP": person.national_id,
        "Nom d'exercice": person.family,
        "Prénom d'exercice": person.given,
        **_coded("profession", person.profession),
        **_coded("catégorie professionnelle", person.category),
    }


def _skill_fields(skill: Skill | None) -> dict[str, str]:
    if skill is None:
        return {}
    return {
        "Code type savoir-faire": skill.kind.code,
        "Libellé type savoir-faire": skill.kind.label,
        "Code savoir-faire": skill.code,
        "Libellé savoir-faire": skill.label,
    }


def _place_fields(place: Organization | None) -> dict[str, str]:
    if place is None:
        return {}
    address = place.address
    number, kind, street = _split_street(address.street)
    located = {
        "Complément destinataire": address.complement,
        "Numéro Voie": number,
        "Libellé type de voie": kind,
        "Libellé Voie": street,
        "Bureau cedex": f"{address.postcode} {address.city.upper()}".strip(),
        "Code postal": address.postcode,
        "Code commune": address.commune,
        "Libellé commune": address.city,
        "Libellé pays": address.country,
        "Téléphone": place.phone,
    }
    return {
        "Numéro SIRET site": place.siret or "",
        "Numéro SIREN site": place.siren or "",
        "Numéro FINESS site": place.finess or "",
        "Numéro FINESS établissement juridique": place.finess_legal or "",
        "Identifiant technique de la structure": place.technical_id,
        "Raison sociale site": place.name,
        "Enseigne commerciale site": place.trade_name,
        "Code Département (structure)": address.department,
        **_coded("secteur d'activité", place.sector),
        **{f"{name} (coord. structure)": value for name, value in located.items()},
    }


def _mailbox_fields(mailbox: MailboxEntry) -> list[str]:
    values = {
        "Type de BAL": str(mailbox.kind),
        "Adresse BAL": str(mailbox.address),
        "Service de rattachement": mailbox.service,
        "Dématérialisation": mailbox.paperless,
    }
    person, place = mailbox.practitioner, mailbox.organization
    if person is not None:
        skill = person.skills[0] if person.skills else None
        values |= {
            "Type Identifiant PP": person.national_id[0],
            "Identifiant PP": person.national_id[1:],
            "Identification nationale PP": person.national_id,
            "Civilité d'exercice": person.title,
            "Nom d'exercice": person.family,
            "Prénom d'exercice": person.given,
            "Catégorie profession": person.category.code if person.category else "",
            "Libellé de catégorie profession": person.category.label if person.category else "",
            "Code Profession": person.profession.code if person.profession else "",
            "Libellé Profession": person.profession.label if person.profession else "",
            "Code savoir-faire": skill.code if skill else "",
            "Libellé savoir-faire": skill.label if skill else "",
        }
    if place is not None:
        values |= _mailbox_place_fields(place)
    return [_field(values.get(name, "")) for name in columns.MAILBOX]


def _mailbox_place_fields(place: Organization) -> dict[str, str]:
    address = place.address
    number, kind, street = _split_street(address.street)
    national_id = place.national_id
    fields = {
        "Raison Sociale": place.name,
        "Enseigne commerciale": place.trade_name,
        "L2COMPLEMENTLOCALISATION": address.complement,
        "L4NUMEROVOIE": number,
        "NL4TYPEVOIE": kind,
        "L4LIBELLEVOIE": street,
        "L6LIGNEACHEMINEMENT": f"{address.postcode} {address.city}".strip(),
        "Code postal": address.postcode,
        "Département": address.department,
        "Pays": address.country,
    }
    return {
        "Type identifiant structure": national_id[0] if national_id else "",
        "Identification Structure": national_id[1:] if national_id else place.technical_id,
        **{f"{name} structure BAL": value for name, value in fields.items()},
    }


def _coded(name: str, coded: Coded | None) -> dict[str, str]:
    return {f"Code {name}": coded.code, f"Libellé {name}": coded.label} if coded else {}


def _split_street(line: str) -> tuple[str, str, str]:
    """Split `12 Rue des Tilleuls` the way the files do."""
    number, _, rest = line.partition(" ")
    if not number.isdigit():
        number, rest = "", line
    kind, _, street = rest.partition(" ")
    return (number, kind, street) if kind in _STREET_TYPES else (number, "", rest)


def _field(text: str) -> str:
    """A field can hold anything but the separator and a line end."""
    if text.isprintable() and "|" not in text:
        return text.strip()
    return re.sub(r"[|\x00-\x1f\x7f]+", " ", text).strip()


def _without_places(person: Practitioner) -> Practitioner:
    return Practitioner(
        national_id=person.national_id,
        family=person.family,
        given=person.given,
        title=person.title,
        profession=person.profession,
        category=person.category,
        skills=person.skills,
    )


def _free(local: str, domain: str, taken: dict[str, int]) -> MailAddress:
    """Return an address of this form that nobody has; *taken* keeps the next number to try."""
    base = f"{local[:50]}@{domain}"
    number = taken.get(base, 1)
    while number > 1 and f"{local[:50]}{number}@{domain}" in taken:
        number += 1
    taken[base] = number + 1
    address = MailAddress.parse(base if number == 1 else f"{local[:50]}{number}@{domain}")
    taken.setdefault(address.key, 2)
    return address


def _with_key(body: str) -> str:
    return body + luhn_digit(body)


@lru_cache(maxsize=65_536)
def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.replace("œ", "oe").replace("Œ", "Oe"))
    return "".join(c for c in decomposed if not unicodedata.combining(c))


@lru_cache(maxsize=65_536)
def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", _plain(text).lower()).strip("-")


@cache
def _words() -> dict[str, Any]:
    text = resources.files("directory.data").joinpath("synthetic.toml").read_text("utf-8")
    return tomllib.loads(text)
