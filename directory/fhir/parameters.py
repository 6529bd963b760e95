"""List the search parameters that exist, by type of resource: what is described is what is read.

Sources
    ANS, Annuaire Santé FHIR guide 1.2.0, search parameters; FHIR R4, 3.1.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

RESOURCES: Final = ("Organization", "Practitioner", "PractitionerRole")


class ParameterKind(StrEnum):
    """How the value of a parameter is read; the names are FHIR's."""

    STRING = "string"
    TOKEN = "token"  # noqa: S105 -- a type of search parameter
    DATE = "date"
    REFERENCE = "reference"
    SPECIAL = "special"


MODIFIERS: Final[Mapping[ParameterKind, frozenset[str]]] = {
    ParameterKind.STRING: frozenset({"contains", "exact", "missing"}),
    ParameterKind.TOKEN: frozenset({"not", "missing"}),
    ParameterKind.DATE: frozenset({"missing"}),
    ParameterKind.REFERENCE: frozenset({"missing"}),
    ParameterKind.SPECIAL: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One search parameter.

    Attributes:
        target: The type that a reference leads to.
        modifiers: Beside those of its kind.
    """

    name: str
    kind: ParameterKind
    text: str
    target: str = ""
    modifiers: frozenset[str] = frozenset()

    @property
    def allowed_modifiers(self) -> frozenset[str]:
        """Every modifier that this parameter takes."""
        return MODIFIERS[self.kind] | self.modifiers | ({self.target} if self.target else set())


def _string(name: str, text: str) -> Parameter:
    return Parameter(name=name, kind=ParameterKind.STRING, text=text)


def _token(name: str, text: str) -> Parameter:
    return Parameter(name=name, kind=ParameterKind.TOKEN, text=text)


def _reference(name: str, target: str, text: str) -> Parameter:
    return Parameter(name=name, kind=ParameterKind.REFERENCE, text=text, target=target)


COMMON: Final = (
    _token("_id", "Logical identifier."),
    Parameter(
        name="_lastUpdated",
        kind=ParameterKind.DATE,
        text="When the content last changed; withdrawn resources are kept for 30 days.",
    ),
    _token("active", "false for what was withdrawn during the last 30 days."),
    _token("identifier", "National or register identifier, with or without its system."),
    _token("identifier-type", "Type of an identifier: IDNPS, RPPS, IDNST, FINEG, FINEJ, SIRET…"),
    _string("mailbox-mss", "Address of a secure mailbox of the resource."),
    _token("mailbox-mss-type", "Type of a secure mailbox of the resource: PER, ORG, APP, CAB."),
)
PARAMETERS: Final[Mapping[str, Mapping[str, Parameter]]] = {
    resource: {one.name: one for one in sorted((*COMMON, *own), key=lambda one: one.name)}
    for resource, own in (
        (
            "Organization",
            (
                _string("address", "Any part of the address."),
                _string("address-city", "City."),
                _string("address-line", "Street."),
                _string("address-postalcode", "Postcode."),
                _token("address-insee", "INSEE code of the commune."),
                _string("name", "Name or trade name."),
                _reference("partof", "Organization", "The legal entity of a site."),
                _token("type", "Kind of entity, sector of activity or category."),
                Parameter(
                    name="near",
                    kind=ParameterKind.SPECIAL,
                    text="`latitude|longitude|distance|km`, of sites whose position is known.",
                ),
            ),
        ),
        (
            "Practitioner",
            (
                _string("family", "Nom d'exercice."),
                _string("given", "Prénom d'exercice."),
                Parameter(
                    name="name",
                    kind=ParameterKind.STRING,
                    text="Name or first name.",
                    modifiers=frozenset({"family", "given"}),
                ),
                _token("qualification-code", "Profession, category or savoir-faire."),
            ),
        ),
        (
            "PractitionerRole",
            (
                _reference("organization", "Organization", "Where."),
                _reference("practitioner", "Practitioner", "Who."),
                _token("role", "Kind of activity, mode of exercise or function."),
            ),
        ),
    )
}
SORT_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "Organization": frozenset({"_id", "_lastUpdated", "distance", "name"}),
    "Practitioner": frozenset({"_id", "_lastUpdated", "family"}),
    "PractitionerRole": frozenset({"_id", "_lastUpdated"}),
}
INCLUDES: Final[Mapping[str, Mapping[str, str]]] = {
    resource: {
        one.name: one.target for one in parameters.values() if one.kind is ParameterKind.REFERENCE
    }
    for resource, parameters in PARAMETERS.items()
}
"""Reference parameters by type, each with the type that it leads to."""

REVINCLUDES: Final[Mapping[str, frozenset[tuple[str, str]]]] = {
    resource: frozenset(
        (source, name)
        for source, references in INCLUDES.items()
        for name, target in references.items()
        if target == resource
    )
    for resource in RESOURCES
}
"""By type, what refers to it: the other type and its reference parameter."""

HARMLESS_REVINCLUDES: Final = frozenset(
    {("Device", "organization"), ("HealthcareService", "organization")}
)
"""What the national server has and this directory has none of: accepted, nothing comes along."""

DEFAULT_COUNT: Final = 50
MAX_COUNT: Final = 1000
