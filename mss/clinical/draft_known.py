"""What the server itself knows about the people and structures that a letter names.

Shapes
    `Known` is looked up before a letter is written: professionals by RPPS number, structures by
    national number, and who owns the mailbox that sends. Writing itself asks nobody.
Errors
    None.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from directory.model import Organization as DirectoryOrganization
from directory.model import PracticeRole, Practitioner
from mss.clinical import vocabulary
from mss.clinical.draft import HiddenFrom
from mss.clinical.people import (
    ORGANIZATION_OID,
    PERSON_OID,
    Actor,
    Address,
    Code,
    Identifier,
    Organization,
    PersonName,
    Telecom,
)

SPECIALTY_OID: Final = "1.2.250.1.213.1.1.4.5"
_PRACTICE: Final = "SA07"
_EMPLOYED: Final = "S"
HOSPITAL_SECTORS: Final = frozenset({"SA01", "SA02", "SA03", "SA04", "SA30", "SA34", "SA36"})
_SOCIAL_SECTORS: Final = frozenset({"SA16", "SA17", "SA18", "SA20", "SA21", "SA41"})
_AMBULATORY_SECTORS: Final = frozenset(
    {"SA05", "SA06", "SA07", "SA08", "SA09", "SA12", "SA15", "SA25", "SA29", "SA33", "SA39",
     "SA50", "SA51", "SA52", "SA54", "SA56", "SA57", "SA59", "SA63", "SA64", "SA65", "SA67",
     "SA69"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Facts that complete a draft.

    Attributes:
        owner: Who owns the mailbox that sends, if it is one professional.
        structure: The structure that the mailbox belongs to.
        people: Professionals by RPPS number.
        structures: Structures by national number.
        recipients: Professionals whom the mail goes to and the directory shows.
        goes_to: `HiddenFrom` values of those whom the mail goes to.
        is_production: False for a server that carries invented identities.
    """

    owner: Practitioner | None = None
    structure: DirectoryOrganization | None = None
    people: Mapping[str, Practitioner] = field(default_factory=dict)
    structures: Mapping[str, DirectoryOrganization] = field(default_factory=dict)
    recipients: tuple[Practitioner, ...] = ()
    goes_to: frozenset[HiddenFrom] = frozenset()
    is_production: bool = True

    def find_person(self, number: str) -> Practitioner | None:
        """Find a professional by national number, with its first digit."""
        if self.owner is not None and number == str(self.owner.national_id):
            return self.owner
        return self.people.get(number[1:]) if number.startswith("8") else None

    def workplace_of(self, person: Practitioner) -> "Workplace | None":
        """Find where somebody works: as the directory says, else where the mailbox is."""
        place = known_workplace_of(person)
        is_owner = self.owner is not None and person.national_id == self.owner.national_id
        if place is None and is_owner and self.structure is not None:
            return _of_ones_own(known_workplace(self.structure))
        return place

    def actor(self, person: Practitioner) -> Actor:
        """Name a professional of the directory as a document does."""
        return known_actor(person, self.workplace_of(person))


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """A structure as a document names it, with the kind of facility that it is.

    Attributes:
        is_assumed: The directory does not say the kind; the practice of somebody who is not
            employed is taken for one of their own.
    """

    organization: Organization
    sector: str = ""
    setting: str = ""
    is_assumed: bool = False


def known_actor(person: Practitioner, place: Workplace | None) -> Actor:
    """Name a professional of the directory as a document does, at one workplace."""
    return Actor(
        id=Identifier(PERSON_OID, str(person.national_id)),
        name=PersonName(
            family=person.family, given=person.given, prefix=person.civility, suffix=person.title
        ),
        specialty=known_specialty(person),
        telecoms=place.organization.telecoms if place else (),
        address=place.organization.address if place else None,
        organization=place.organization if place else None,
    )


def known_workplace_of(person: Practitioner) -> Workplace | None:
    """Name the first structure where a professional works that has a number."""
    role = _main_role(person)
    if role is None or role.organization is None:
        return None
    place = known_workplace(role.organization)
    is_employed = role.mode is not None and role.mode.code == _EMPLOYED
    return place if is_employed else _of_ones_own(place)


def _of_ones_own(place: Workplace) -> Workplace:
    """Take a workplace of no known kind for a practice of one's own."""
    if place.sector:
        return place
    return replace(place, sector=_PRACTICE, setting=setting_of(_PRACTICE), is_assumed=True)


def known_workplace(place: DirectoryOrganization) -> Workplace:
    """Name a structure of the directory as a document does."""
    number = place.national_id or place.technical_id or place.key
    address = place.address
    sector = place.sector.code if place.sector else ""
    return Workplace(
        organization=Organization(
            name=place.trade_name or place.name,
            id=Identifier(ORGANIZATION_OID, str(number)) if number else None,
            telecoms=(Telecom(value=f"tel:{place.phone}", use="WP"),) if place.phone else (),
            address=Address(
                free_lines=tuple(filter(None, (address.complement, address.street))),
                postal_code=address.postcode,
                city=address.city,
            )
            if address.city or address.street
            else None,
        ),
        sector=sector,
        setting=setting_of(sector),
    )


def setting_of(sector: str) -> str:
    """Say which practice setting belongs to a kind of facility; empty if none does by itself."""
    if sector in HOSPITAL_SECTORS:
        return "ETABLISSEMENT"
    if sector in _SOCIAL_SECTORS:
        return "ESSMS"
    return "AMBULATOIRE" if sector in _AMBULATORY_SECTORS else ""


def known_specialty(person: Practitioner) -> Code | None:
    """Name profession and speciality: the first combination that the national list has."""
    if person.profession is None:
        return None
    profession = f"G15_{person.profession.code}"
    candidates = [f"{profession}/{skill.code}" for skill in person.skills]
    for code in (*candidates, profession):
        found = vocabulary.find_specialty(code, SPECIALTY_OID)
        if found is not None:
            return found
    return None


def _main_role(person: Practitioner) -> PracticeRole | None:
    placed = [role for role in person.roles if role.organization is not None]
    return next((one for one in placed if one.organization and one.organization.national_id),
                placed[0] if placed else None)  # fmt: skip
