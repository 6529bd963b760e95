"""Name what the directory holds: people, where they practise, structures, mailboxes, operators.

Values only, in the words of FHIR where it has them. The national files repeat a person on each row;
here a person exists once and has roles.

Shapes
    Codes keep the national code and label as they came: an unknown code is data, not an error.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from directory.address import MailAddress
from directory.distinguished_name import DistinguishedName
from directory.identifiers import FINESS, RPPS, SIREN, SIRET, NationalPersonId, NationalStructureId


class FinessKind(StrEnum):
    """What a structure of FINESS is."""

    EJ = "EJ"
    """Entité juridique: the legal entity."""
    EG = "EG"
    """Entité géographique: one of its sites."""


class MailboxKind(StrEnum):
    """Type de BAL (TRE_R257). A code that is not here is kept raw, as a `str`."""

    PER = "PER"
    """Of one professional."""
    ORG = "ORG"
    """Of a service of a structure, shared."""
    APP = "APP"
    """Of a software."""
    CAB = "CAB"
    """Of a practice, with one person responsible and others."""

    @classmethod
    def of(cls, code: str) -> "MailboxKind | str":
        """Return the kind of a national code, or the code itself when it is unknown."""
        try:
            return cls(code)
        except ValueError:
            return code


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A code of a national list and its label; the label may be missing."""

    code: str
    label: str = ""

    @classmethod
    def of(cls, code: str, label: str) -> Self | None:
        """Pair the two, or return `None` when there is no code."""
        return cls(code=code, label=label) if code else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """A savoir-faire: a speciality, a competence, a capacity."""

    kind: Coded
    code: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostalAddress:
    """Where a structure is.

    Attributes:
        street: Number, type and name of the street, in one line.
        complement: Building, floor, distribution mention.
        city: As delivered (`LYON CEDEX 03`) or as a commune (`Lyon 3e Arrondissement`).
        commune: INSEE code of the commune.
        department: Code of the département (`69`, `2A`, `971`).
    """

    street: str = ""
    complement: str = ""
    postcode: str = ""
    city: str = ""
    commune: str = ""
    department: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A point on the ground, in degrees of WGS 84."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """A structure: a site, a legal entity or a practice.

    Attributes:
        key: What identifies it in this directory: the national identifier (`1` + FINESS,
            `3` + SIRET) when it has one, else the technical identifier of the RPPS.
        finess_legal: FINESS of the legal entity that the site belongs to.
        old_id: Ancien identifiant de la structure (`1` + FINESS, `3` + SIRET, `4` + RPPS rank).
        kind: What it is in FINESS; `None` for a practice.
        parent_key: Key of its legal entity; empty if unknown.
        is_active: False once FINESS has closed it.
        in_finess: True if FINESS describes it, and not only a file that mentions it.
        category: Of FINESS (355 Centre hospitalier, 620 Pharmacie d'officine…).
    """

    key: str
    name: str
    trade_name: str = ""
    finess: FINESS | None = None
    finess_legal: FINESS | None = None
    siret: SIRET | None = None
    siren: SIREN | None = None
    technical_id: str = ""
    old_id: str = ""
    kind: FinessKind | None = None
    parent_key: str = ""
    is_active: bool = True
    in_finess: bool = False
    sector: Coded | None = None
    category: Coded | None = None
    legal_status: Coded | None = None
    ape: str = ""
    phone: str = ""
    phone2: str = ""
    fax: str = ""
    email: str = ""
    address: PostalAddress = field(default_factory=PostalAddress)
    position: Position | None = None

    @property
    def national_id(self) -> NationalStructureId | None:
        """The national structure identifier, FINESS first."""
        if self.finess is not None:
            return NationalStructureId.of(self.finess)
        return NationalStructureId.of(self.siret) if self.siret is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeRole:
    """Situation d'exercice: as what a person works, how and where. Skills belong to the person."""

    profession: Coded | None
    category: Coded | None = None
    mode: Coded | None = None
    activity: Coded | None = None
    function: Coded | None = None
    section: Coded | None = None
    organization: Organization | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Practitioner:
    """A professional of health, once.

    Attributes:
        family: Nom d'exercice.
        given: Prénom d'exercice.
        civility: `M`, `MME`.
        title: Civilité d'exercice: `DR`, `PR`…
        profession: The first one found; a person can have others in `roles`.
    """

    national_id: NationalPersonId
    family: str
    given: str
    civility: str = ""
    title: str = ""
    profession: Coded | None = None
    category: Coded | None = None
    skills: tuple[Skill, ...] = ()
    roles: tuple[PracticeRole, ...] = ()

    @property
    def rpps(self) -> RPPS | None:
        """The RPPS number, for those who have one."""
        return self.national_id.rpps

    @property
    def display_name(self) -> str:
        """Title, first name, name, as one writes them on an envelope: `Dr Anne ESSAI-LEROUX`."""
        words = (self.title.capitalize(), self.given.title(), self.family.upper())
        return " ".join(word for word in words if word)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxEntry:
    """A mailbox as the directory publishes it (boîte aux lettres, BAL).

    Attributes:
        practitioner: Who holds it, without roles; `None` for a mailbox of a structure.
        organization: The structure it hangs on, if any.
        service: Service de rattachement, of a structure's mailbox.
        paperless: Dématérialisation, as text: the national value set is not published.
        liste_rouge: True if it must not be shown to anyone; mail to it is still delivered.
        rank: 1 for the preferred mailbox of its holder.
    """

    address: MailAddress
    kind: MailboxKind | str
    practitioner: Practitioner | None = None
    organization: Organization | None = None
    service: str = ""
    description: str = ""
    responsible: str = ""
    paperless: str = ""
    liste_rouge: bool = False
    rank: int | None = None

    @property
    def display_name(self) -> str:
        """A name to show beside the address: the person, or the service and its structure."""
        if self.practitioner is not None:
            return self.practitioner.display_name
        place = self.organization
        names = (
            self.service or self.description,
            (place.trade_name or place.name) if place else "",
        )
        return " - ".join(name for name in names if name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An MSSanté operator as the trust list shows it: one certificate name and its domains."""

    name: DistinguishedName
    domains: frozenset[str]

    @property
    def host(self) -> str | None:
        """The mail host, which the common name gives."""
        return self.name.common_name
