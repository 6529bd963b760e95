"""Say who a document is about: the INS, the traits, and whether the identity is qualified.

The INS (identité nationale de santé) is a matricule, the authority that assigned it, and five
traits of the birth record. A matricule is 13 characters, the NIR or NIA, followed by a key of two.

Errors
    None.
Sources
    Référentiel INS; INSEE rule of the key, Corsica included; IHE ITI TF-3, 4.2.3.1.7.
"""

from dataclasses import dataclass
from enum import StrEnum

from directory.matricule import matricule_key
from mss.clinical.people import (
    Address,
    Code,
    Identifier,
    Organization,
    PersonName,
    Telecom,
)
from mss.clinical.times import HL7Time

_MEN = frozenset("137")
_WOMEN = frozenset("248")


class INSAuthority(StrEnum):
    """Who assigned a matricule; the order is that in which documents are searched."""

    NIR = "1.2.250.1.213.1.4.8"
    NIA = "1.2.250.1.213.1.4.9"
    NIR_TEST = "1.2.250.1.213.1.4.10"
    NIR_DEMO = "1.2.250.1.213.1.4.11"

    @property
    def is_production(self) -> bool:
        """True if the matricule can be that of a living person."""
        return self in {INSAuthority.NIR, INSAuthority.NIA}


@dataclass(frozen=True, slots=True)
class INS:
    """A matricule and the authority that assigned it."""

    matricule: str
    authority: INSAuthority

    @property
    def body(self) -> str:
        """The thirteen characters before the key."""
        return self.matricule[:13]

    @property
    def has_valid_shape(self) -> bool:
        """True for thirteen characters, or thirteen and a key, of the right kind."""
        key = self.matricule[13:]
        return matricule_key(self.body) is not None and (
            not key or (len(key) == 2 and key.isascii() and key.isdigit())
        )

    @property
    def has_valid_key(self) -> bool:
        """True if the key is there and is the one computed from the rest."""
        key = matricule_key(self.body)
        return key is not None and self.matricule[13:] == f"{key:02d}"

    @property
    def identifier(self) -> Identifier:
        """The same thing as a document writes it."""
        return Identifier(self.authority.value, self.matricule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What the birth record says, and the names used in life.

    Attributes:
        birth_place: INSEE code of the place of birth; 99 and three digits abroad.
        birth_city: Its name, for people.
        other_names: Names with another mark, each `(part, mark, text)`: `("family", "SP", …)`.
        no_birth_date: Why it is not known (a null flavor).
    """

    birth_name: str = ""
    first_given: str = ""
    all_given: str = ""
    used_name: str = ""
    used_given: str = ""
    birth_date: HL7Time | None = None
    sex: str = ""
    birth_place: str = ""
    birth_city: str = ""
    other_names: tuple[tuple[str, str, str], ...] = ()
    no_birth_date: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardian:
    """Who represents the patient: a parent, a guardian, an institution."""

    name: PersonName | None = None
    organization: Organization | None = None
    code: Code | None = None
    ids: tuple[Identifier, ...] = ()
    addresses: tuple[Address, ...] = ()
    telecoms: tuple[Telecom, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """The one person that a document is about."""

    identifiers: tuple[Identifier, ...] = ()
    traits: Traits = Traits()
    addresses: tuple[Address, ...] = ()
    telecoms: tuple[Telecom, ...] = ()
    guardians: tuple[Guardian, ...] = ()
    provider: Organization | None = None

    @property
    def ins(self) -> INS | None:
        """The INS, if one of the identifiers is one."""
        return find_ins(self.identifiers)

    @property
    def local_id(self) -> Identifier | None:
        """The first number that a structure gave (IPP), which is not an INS."""
        roots = {authority.value for authority in INSAuthority}
        others = (one for one in self.identifiers if one.root not in roots and one.extension)
        return next(others, None)

    @property
    def is_qualified(self) -> bool:
        """True if a mail about this patient may say `X-MSS-INS: O`.

        The test of the mail header: matricule, authority and four traits are all there. The rule
        for documents asks for more; see `missing_traits`.
        """
        traits = self.traits
        return (
            self.ins is not None
            and bool(traits.birth_name and traits.first_given and traits.sex)
            and traits.birth_date is not None
            and traits.birth_date.is_valid
        )


def find_ins(identifiers: tuple[Identifier, ...]) -> INS | None:
    """Find the INS among a patient's identifiers, production before test."""
    for authority in INSAuthority:
        for identifier in identifiers:
            if identifier.root == authority.value and identifier.extension:
                return INS(identifier.extension, authority)
    return None


def missing_traits(patient: Patient) -> tuple[str, ...]:
    """Name the traits that a document with an INS must have and this one has not."""
    traits = patient.traits
    present = {
        "birth-name": bool(traits.birth_name),
        "first-given-name": bool(traits.first_given),
        "given-names": bool(traits.all_given),
        "birth-date": traits.birth_date is not None and traits.birth_date.is_valid,
        "birth-place": bool(traits.birth_place),
        "sex": traits.sex in {"M", "F", "UN"},
    }
    return tuple(name for name, there in present.items() if not there)


def contradicting_traits(ins: INS, traits: Traits) -> tuple[str, ...]:
    """Name the traits that do not fit the matricule: sex, birth year, birth month.

    A person may differ from the number for good reasons, so this is never more than a warning.
    """
    if not ins.has_valid_shape:
        return ()
    found = []
    allowed = {"M": _MEN, "F": _WOMEN}.get(traits.sex)
    if allowed is not None and ins.body[0] in "123478" and ins.body[0] not in allowed:
        found.append("sex")
    born = traits.birth_date.text if traits.birth_date else ""
    if len(born) >= 4 and born[2:4] != ins.body[1:3]:
        found.append("birth-year")
    month = ins.body[3:5]
    if len(born) >= 6 and "01" <= month <= "12" and born[4:6] != month:
        found.append("birth-month")
    return tuple(found)
