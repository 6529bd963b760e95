"""Name people, structures and identifiers as documents and their metadata do.

Shapes
    `Identifier` is an HL7 v3 II (an OID, and often an extension); `Code` a coded value. In the
    metadata the same facts are written as HL7 v2 fields: XCN for a person, XON for a structure,
    CX for an identifier of a patient, CE for a speciality. Components are separated by `^`,
    sub-components by `&`.
Errors
    None: what is missing is left out, and a text that is no such field is read as `None`.
Sources
    IHE ITI TF-3, 4.2.3.1.7; ANS, CI-SIS, profile of the metadata.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from mss.clinical.times import HL7Time

PERSON_OID = "1.2.250.1.71.4.2.1"  # national identifiers of professionals
ORGANIZATION_OID = "1.2.250.1.71.4.2.2"  # national identifiers of structures
SIREN_OID = "1.3.2"  # companies that are not health structures

_OID = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*))+", re.ASCII)
_FORBIDDEN = re.compile(r"[\^|&~\\\r\n\t]+")


NULL_FLAVORS = frozenset({"UNK", "NASK", "ASKU", "NAV", "MSK"})
"""Why a value may be missing from a French header: unknown, not asked, asked, later, masked."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """An object identifier, with the number that its owner gave and, rarely, the owner's name."""

    root: str
    extension: str | None = None
    authority: str = ""

    @property
    def xds(self) -> str:
        """The form of `uniqueId`: `root`, or `root^extension`."""
        return f"{self.root}^{self.extension}" if self.extension else self.root


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value: the code, the code system's OID, and the label for people.

    Attributes:
        text: What somebody wrote instead of a code, or beside it.
        reference: The narrative that says so, as `#id`.
        missing: Why there is no code (a null flavor); then `code` is empty.
        system_name: A courtesy to readers, which makes no difference to what is meant.
        qualifiers: Pairs of a role and its value, in imaging for instance.
    """

    code: str
    system: str = ""
    display: str = ""
    text: str = ""
    reference: str = ""
    missing: str = ""
    system_name: str = field(default="", compare=False)
    qualifiers: tuple[tuple["Code", "Code | None"], ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """What makes two codes the same, whatever their labels."""
        return self.code, self.system


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonName:
    """The name of somebody who is not the patient; *missing* says why there is none."""

    family: str
    given: str = ""
    prefix: str = ""
    suffix: str = ""
    missing: str = ""

    @property
    def full(self) -> str:
        """How a letter names this person: `Dr Claire MARTIN`."""
        title = {"DR": "Dr", "PR": "Pr", "MME": "Mme", "M": "M."}
        shown = self.suffix or self.prefix
        parts = (title.get(shown.upper(), shown), self.given.strip(), self.family.strip())
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telecom:
    """A telephone number or an address, as a URL with a prefix (`tel:`, `mailto:` …)."""

    value: str
    use: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From when to when; either end may be open, and *missing* says why nothing is known."""

    start: HL7Time | None = None
    stop: HL7Time | None = None
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A postal address.

    Attributes:
        free_lines: Lines that nobody took apart.
        others: Further parts, each with its name in the CDA (`additionalLocator`, `county` …).
        missing: Why there is none (a null flavor).
    """

    house_number: str = ""
    street: str = ""
    unit: str = ""
    post_box: str = ""
    postal_code: str = ""
    city: str = ""
    country: str = ""
    use: str = ""
    free_lines: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    missing: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """The address as written on an envelope."""
        found = (
            *(text for _, text in self.others),
            self.unit,
            f"{self.house_number} {self.street}".strip(),
            *self.free_lines,
            self.post_box,
            f"{self.postal_code} {self.city}".strip(),
            self.country,
        )
        return tuple(line for line in found if line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """A structure, with its national identifier when it has one.

    Attributes:
        other_ids: What others call it: an accreditation, an internal number.
        no_telecom: Why it has no number (a null flavor).
        part_of: The structure that it belongs to.
    """

    name: str = ""
    id: Identifier | None = None
    other_ids: tuple[Identifier, ...] = ()
    telecoms: tuple[Telecom, ...] = ()
    no_telecom: str = ""
    address: Address | None = None
    practice_setting: Code | None = None
    part_of: "Organization | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A system that wrote a document by itself."""

    software: str = ""
    model: str = ""
    code: Code | None = None


class ActorKind(StrEnum):
    """What sort of author this is; the metadata write each differently."""

    PERSON = "person"
    DEVICE = "device"
    PATIENT = "patient"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Somebody or something that wrote, signed, did or receives.

    Attributes:
        address: The first one; a professional without any has one marked as not asked for.
        no_telecom: Why there is no number, where that is not merely "not asked".
        at: When; a participant or a performer may have taken part *during* a time instead.
        part: Kind of participation (typeCode) where it is not the usual one.
        templates: Models that the participation follows.
    """

    id: Identifier | None = None
    other_ids: tuple[Identifier, ...] = ()
    name: PersonName | None = None
    device: Device | None = None
    role: Code | None = None
    specialty: Code | None = None
    telecoms: tuple[Telecom, ...] = ()
    no_telecom: str = ""
    address: Address | None = None
    other_addresses: tuple[Address, ...] = ()
    organization: Organization | None = None
    at: HL7Time | None = None
    during: Period | None = None
    part: str = ""
    templates: tuple[Identifier, ...] = ()

    @property
    def kind(self) -> ActorKind:
        """Tell a professional from a device and from the patient."""
        if self.device is not None:
            return ActorKind.DEVICE
        if self.id is not None and self.id.root.startswith("1.2.250.1.213.1.4."):
            return ActorKind.PATIENT
        return ActorKind.PERSON


def is_oid(text: str) -> bool:
    """Tell whether a text is a complete OID of at most 64 characters."""
    return len(text) <= 64 and _OID.fullmatch(text) is not None


def clean(text: str) -> str:
    """Remove what would break a field apart: separators and line ends become one space."""
    return " ".join(_FORBIDDEN.sub(" ", text).split())


def build_cx(identifier: Identifier, *, kind: str) -> str:
    """Write an identifier of a patient; *kind* is `NH` for an INS, `PI` for a local number."""
    return f"{clean(identifier.extension or '')}^^^&{identifier.root}&ISO^{kind}"


def parse_cx(text: str) -> Identifier | None:
    """Read an identifier of a patient: number and assigning authority."""
    components = text.split("^")
    if len(components) < 4 or not components[0].strip():
        return None
    authority = components[3].split("&")
    root = authority[1].strip() if len(authority) > 1 else ""
    return Identifier(root, components[0].strip()) if root else None


def build_xcn(actor: Actor) -> str:
    """Write a professional, a patient or a device as the metadata want it."""
    number = clean(actor.id.extension or "") if actor.id else ""
    family, given = _names(actor)
    match actor.kind:
        case ActorKind.DEVICE:
            root, name_type, id_type = PERSON_OID, "U", "RI"
        case ActorKind.PATIENT:
            root, name_type, id_type = (actor.id.root if actor.id else ""), "D", "NH"
        case ActorKind.PERSON:
            root, name_type, id_type = PERSON_OID, "D", "EI" if "/" in number else "IDNPS"
        case other:
            assert_never(other)
    return f"{number}^{family}^{given}^^^^^^&{root}&ISO^{name_type}^^^{id_type}"


def build_xon(organization: Organization) -> str:
    """Write a structure as the metadata want it."""
    number = clean(organization.id.extension or "") if organization.id else ""
    is_siren = organization.id is not None and organization.id.root == SIREN_OID
    root, kind = (SIREN_OID, "SIREN") if is_siren else (ORGANIZATION_OID, "IDNST")
    return f"{clean(organization.name)}^^^^^&{root}&ISO^{kind}^^^{number}"


def build_specialty(code: Code) -> str:
    """Write a profession or speciality as the metadata want it."""
    return f"{clean(code.code)}^{clean(code.display)}^{clean(code.system)}"


def same_field(left: str, right: str) -> bool:
    """Compare two HL7 v2 fields, blind to blanks around components and to letter case."""
    return _normal(left) == _normal(right)


def _normal(text: str) -> list[str]:
    return [" ".join(part.split()).casefold() for part in text.rstrip("^").split("^")]


def _names(actor: Actor) -> tuple[str, str]:
    if actor.device is not None:
        return clean(actor.device.software), clean(actor.device.model)
    return (clean(actor.name.family), clean(actor.name.given)) if actor.name else ("", "")
