"""Hold what one resource says, whoever asks: the rows of an answer, gathered.

Between the tables and the resources, so that neither knows the other. Codes keep their labels; a
mailbox of the liste rouge is in a record only if its reader may see it.

Units
    Instants are aware UTC.
"""

from dataclasses import dataclass, field
from datetime import datetime

from directory.model import Coded


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxRecord:
    """A mailbox on its carrier.

    Attributes:
        address: As published.
        kind: TRE_R257 code, perhaps one that is not known here.
        rank: 1 for the preferred one.
        paperless: Dématérialisation, as published.
        changed_at: When it last changed; `None` for one that is not stored yet.
    """

    address: str
    kind: str
    service: str = ""
    description: str = ""
    responsible: str = ""
    liste_rouge: bool = False
    rank: int | None = None
    paperless: str = ""
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Qualification:
    """What somebody is trained for: a code, and the code that says of what list or category."""

    code: Coded
    code_system: str
    kind: Coded | None
    kind_system: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PractitionerRecord:
    """A person."""

    id: str
    changed_at: datetime
    national_id: str
    family: str
    given: str
    civility: str = ""
    title: str = ""
    qualifications: tuple[Qualification, ...] = ()
    mailboxes: tuple[MailboxRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRecord:
    """A situation d'exercice.

    Attributes:
        codes: Each with its code system, in the order of the profile's slices.
    """

    id: str
    changed_at: datetime
    practitioner_id: str
    practitioner_name: str = ""
    organization_id: str = ""
    organization_name: str = ""
    codes: tuple[tuple[str, Coded], ...] = ()
    mailboxes: tuple[MailboxRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRecord:
    """Where a structure is.

    Attributes:
        position: Latitude and longitude, WGS 84, in degrees.
    """

    street: str = ""
    complement: str = ""
    postcode: str = ""
    city: str = ""
    commune: str = ""
    country: str = ""
    position: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationRecord:
    """A structure: a site or a legal entity.

    Attributes:
        identifiers: System, type code and value of each.
        active: False once FINESS has closed it: then only its name and identifiers are shown.
        is_site: True for a geographical entity, `None` when the source does not say.
        types: Flag of the profile's slice, code system and code of each further type.
        parent_id: The legal entity that a site belongs to.
    """

    id: str
    changed_at: datetime
    name: str
    trade_name: str = ""
    active: bool = True
    identifiers: tuple[tuple[str, str, str], ...] = ()
    is_site: bool | None = None
    types: tuple[tuple[str, str, Coded], ...] = ()
    phones: tuple[str, ...] = ()
    fax: str = ""
    place: PlaceRecord = field(default_factory=PlaceRecord)
    parent_id: str = ""
    mailboxes: tuple[MailboxRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneRecord:
    """What vanished from the national files, for those who follow changes: no name, no content.

    Attributes:
        resource_type: `Practitioner`, `PractitionerRole` or `Organization`.
        identifiers: System, type code and value of each.
    """

    resource_type: str
    id: str
    changed_at: datetime
    identifiers: tuple[tuple[str, str, str], ...] = ()


Record = PractitionerRecord | RoleRecord | OrganizationRecord | GoneRecord
