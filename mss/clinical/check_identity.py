"""Are the patient, the professionals and the structures of a document who it says?

The INS has a key and must fit its traits; national identifiers have a root, a shape and a check
digit. Nothing here asks anybody: what a number alone can tell is told.

Errors
    None.
Sources
    Référentiel INS; ANS, CI-SIS, volet Structuration minimale; INSEE rule of the key, Corsica
    included; Luhn's rule for RPPS, SIREN and SIRET.
"""

import re
from collections.abc import Iterator
from enum import StrEnum

from directory.errors import IdentifierSyntaxError
from directory.identifiers import NationalPersonId, NationalStructureId
from mss.clinical import finding, vocabulary
from mss.clinical.document import CdaHeader
from mss.clinical.finding import Finding, Severity
from mss.clinical.patient import (
    INS,
    INSAuthority,
    Patient,
    contradicting_traits,
    missing_traits,
)
from mss.clinical.people import (
    ORGANIZATION_OID,
    PERSON_OID,
    SIREN_OID,
    Actor,
    ActorKind,
    Organization,
)

_PATIENT_DOCUMENTS = "1.2.250.1.213.4.1"
_CUSTODIANS = frozenset({ORGANIZATION_OID, _PATIENT_DOCUMENTS})
_STRUCTURES = frozenset({ORGANIZATION_OID, SIREN_OID, _PATIENT_DOCUMENTS})
_STRUCTURE_PREFIXES = "01234"
_BIRTH_PLACE = re.compile(r"(?:\d{2}|2[AB])\d{3}", re.ASCII)


class Environment(StrEnum):
    """Which kind of identities may be met: those of living people, or invented ones."""

    PRODUCTION = "production"
    TEST = "test"


def check_identity(
    header: CdaHeader, environment: Environment | None, where: str
) -> Iterator[Finding]:
    """Say what is wrong with the identities in a header."""
    yield from _patient(header.patient or Patient(), environment, where)
    yield from _people(header, where)


def _patient(patient: Patient, environment: Environment | None, where: str) -> Iterator[Finding]:
    ins = patient.ins
    if ins is None:
        yield finding.of("ins-absent", where=where)
        return
    if _has_several(patient):
        yield finding.of("ins-several", where=where)
    yield from _number(ins, environment, where)
    yield from _world(ins.authority, environment, where)
    for trait in missing_traits(patient):
        yield finding.of("ins-trait-missing", name=trait, where=where)
    for trait in contradicting_traits(ins, patient.traits):
        yield finding.of("ins-trait-differs", name=trait, where=where)
    if not patient.is_qualified:
        yield finding.of("ins-not-qualified", where=where)
    place = patient.traits.birth_place
    if place and not _BIRTH_PLACE.fullmatch(place):
        yield finding.of("birth-place", where=where)


def _has_several(patient: Patient) -> bool:
    authorities = [
        (one.root, one.extension)
        for one in patient.identifiers
        if one.root in set(INSAuthority) and one.extension
    ]
    return len({root for root, _ in authorities}) < len(set(authorities))


def _number(ins: INS, environment: Environment | None, where: str) -> Iterator[Finding]:
    """A wrong number is grave only where it would name another living person."""
    if ins.has_valid_key:
        return
    is_serious = environment is Environment.PRODUCTION and ins.authority.is_production
    severity = Severity.ERROR if is_serious else Severity.WARNING
    has_key = ins.has_valid_shape and len(ins.matricule) > len(ins.body)
    yield finding.of("ins-key" if has_key else "ins-shape", severity=severity, where=where)


def _world(
    authority: INSAuthority, environment: Environment | None, where: str
) -> Iterator[Finding]:
    if environment is Environment.PRODUCTION and not authority.is_production:
        yield finding.of("ins-of-test", where=where)
    if environment is Environment.TEST and authority.is_production:
        yield finding.of("ins-of-production", where=where)


def _people(header: CdaHeader, where: str) -> Iterator[Finding]:
    signer = (header.legal_authenticator,) if header.legal_authenticator else ()
    for actor in dict.fromkeys((*header.authors, *signer)):
        yield from _person(actor, where)
    for actor in header.authors:
        code = actor.specialty
        if code and code.code and not vocabulary.is_specialty(code):
            yield finding.of("specialty-unknown", where=where)
    keeper = header.custodian
    if keeper and (keeper.id is None or keeper.id.root not in _CUSTODIANS):
        yield finding.of("custodian-id", where=where)
    if any(_is_empty(one) for one in header.recipients):
        yield finding.of("recipient-empty", where=where)


def _is_empty(actor: Actor) -> bool:
    return not (
        actor.id
        or (actor.name and (actor.name.family or actor.name.given))
        or (actor.organization and (actor.organization.name or actor.organization.id))
    )


def _person(actor: Actor, where: str) -> Iterator[Finding]:
    if actor.kind is ActorKind.PERSON:
        yield from _person_id(actor, where)
    if actor.organization and actor.kind is not ActorKind.PATIENT:
        yield from _structure_id(actor.organization, where)


def _person_id(actor: Actor, where: str) -> Iterator[Finding]:
    if actor.id is None or actor.id.root != PERSON_OID or not actor.id.extension:
        yield finding.of("person-id", where=where)
        return
    try:
        number = NationalPersonId.parse(actor.id.extension)
    except IdentifierSyntaxError:
        yield finding.of("person-id-shape", where=where)
        return
    if not number.is_checked:
        yield finding.of("person-id-check", where=where)


def _structure_id(organization: Organization, where: str) -> Iterator[Finding]:
    """Judge the number of a structure; a technical one, without prefix, has no grammar."""
    if organization.id is None or organization.id.root not in _STRUCTURES:
        yield finding.of("structure-id", where=where)
        return
    if organization.id.root != ORGANIZATION_OID:
        return
    text = organization.id.extension or ""
    try:
        number = NationalStructureId.parse(text)
    except IdentifierSyntaxError:
        if not text or text[0] in _STRUCTURE_PREFIXES:
            yield finding.of("structure-id-shape", where=where)
        return
    if not number.is_checked:
        yield finding.of("structure-id-check", where=where)
