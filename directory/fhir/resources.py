"""Write records of the directory as FHIR resources, in the national public profiles.

Plain dictionaries, members in the order of FHIR. What a source did not give is left out, never
empty. `versionId` is a digest of the content, so it is the same in every generation in which the
resource says the same.

Sources
    ANS, Annuaire Santé FHIR guide 1.2.0: as-dp-practitioner, as-dp-practitionerrole,
    as-dp-organization. FHIR R4, 2.27 (meta), 2.6.3 (JSON).
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final, assert_never

import orjson

from directory.fhir import vocabulary
from directory.fhir.contact_points import build_contact_point
from directory.fhir.records import (
    GoneRecord,
    MailboxRecord,
    OrganizationRecord,
    PlaceRecord,
    PractitionerRecord,
    Qualification,
    Record,
    RoleRecord,
)
from directory.model import Coded

Resource = dict[str, object]

MANDATORY: Final = frozenset({"resourceType", "id", "meta"})
"""Members that no selection of elements leaves out."""


def build_resource(record: Record) -> Resource:
    """Write a record as its resource."""
    match record:
        case PractitionerRecord():
            body = _practitioner(record)
            kind = "Practitioner"
        case RoleRecord():
            body = _role(record)
            kind = "PractitionerRole"
        case OrganizationRecord():
            body = _organization(record)
            kind = "Organization"
        case GoneRecord():
            body = {"identifier": _identifiers(record.identifiers), "active": False}
            kind = record.resource_type
        case _:
            assert_never(record)
    body = {name: value for name, value in body.items() if value not in (None, "", [], {})}
    meta = {
        "versionId": _version(body),
        "lastUpdated": instant(record.changed_at),
        "source": vocabulary.SOURCE,
        "profile": [vocabulary.PROFILE[kind]],
    }
    return {"resourceType": kind, "id": record.id, "meta": meta, "language": "fr", **body}


def select_elements(resource: Resource, names: frozenset[str]) -> Resource:
    """Keep some elements of a resource and say so in its tag (FHIR R4, 3.1.1.5.9)."""
    kept = {name: value for name, value in resource.items() if name in names or name in MANDATORY}
    meta = kept["meta"]
    assert isinstance(meta, dict)
    kept["meta"] = {**meta, "tag": [vocabulary.SUBSETTED]}
    return kept


def instant(at: datetime) -> str:
    """Write an instant to the millisecond, as FHIR does."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def version_of(resource: Resource) -> str:
    """Return the version of a resource, for its entity tag."""
    meta = resource["meta"]
    assert isinstance(meta, dict)
    return str(meta["versionId"])


def _version(body: Resource) -> str:
    return hashlib.blake2b(orjson.dumps(body), digest_size=8).hexdigest()


def _practitioner(record: PractitionerRecord) -> Resource:
    name: Resource = {"use": "usual"}
    if record.family:
        name["family"] = record.family
    if record.given:
        name["given"] = [record.given]
    if record.civility:
        name["prefix"] = [record.civility]
    if record.title:
        name["suffix"] = [record.title]
    return {
        "identifier": _identifiers(person_identifiers(record.national_id)),
        "active": True,
        "name": [name] if len(name) > 1 else [],
        "telecom": _mailboxes(record.mailboxes),
        "qualification": [_qualification(one) for one in record.qualifications],
    }


def _role(record: RoleRecord) -> Resource:
    return {
        "identifier": _identifiers(role_identifiers(record.id)),
        "active": True,
        "practitioner": _reference(
            "Practitioner", record.practitioner_id, record.practitioner_name
        ),
        "organization": _reference(
            "Organization", record.organization_id, record.organization_name
        ),
        "code": [{"coding": [_coding(system, code)]} for system, code in record.codes],
        "telecom": _mailboxes(record.mailboxes),
    }


def _organization(record: OrganizationRecord) -> Resource:
    if not record.active:
        return {
            "identifier": _identifiers(record.identifiers),
            "active": False,
            "name": record.name or record.trade_name,
        }
    types = []
    if record.is_site is not None:
        code = Coded(code="GEOGRAPHICAL-ENTITY" if record.is_site else "LEGAL-ENTITY")
        types.append(_type("organizationType", vocabulary.ORGANIZATION_TYPE, code))
    types += [_type(flag, system, code) for flag, system, code in record.types]
    telecom: list[Resource] = [
        {"system": "phone", "value": phone} for phone in record.phones if phone
    ]
    if record.fax:
        telecom.append({"system": "fax", "value": record.fax})
    address = _address(record.place)
    return {
        "identifier": _identifiers(record.identifiers),
        "active": True,
        "type": types,
        "name": record.name or record.trade_name,
        "alias": [record.trade_name] if record.trade_name and record.name else [],
        "telecom": [*telecom, *_mailboxes(record.mailboxes)],
        "address": [address] if address else [],
        "partOf": _reference("Organization", record.parent_id, ""),
    }


def person_identifiers(national_id: str) -> tuple[tuple[str, str, str], ...]:
    """List the identifiers of a person: the national one, and the register's own."""
    found = [(vocabulary.PERSON, "IDNPS", national_id)]
    if national_id.startswith("8"):
        found.append((vocabulary.RPPS, "RPPS", national_id[1:]))
    elif national_id.startswith("0"):
        found.append((vocabulary.ADELI, "ADELI", national_id[1:]))
    return tuple(found)


def role_identifiers(role_id: str) -> tuple[tuple[str, str, str], ...]:
    """List the identifiers of a situation d'exercice."""
    return ((vocabulary.RPPS, "", role_id),)


def _identifiers(found: Iterable[tuple[str, str, str]]) -> list[Resource]:
    return [
        {
            "use": "official",
            **({"type": _concept(vocabulary.IDENTIFIER_TYPE, Coded(code=kind))} if kind else {}),
            "system": system,
            "value": value,
        }
        for system, kind, value in found
    ]


def _mailboxes(mailboxes: Iterable[MailboxRecord]) -> list[Resource]:
    return [build_contact_point(mailbox) for mailbox in mailboxes]


def _qualification(one: Qualification) -> Resource:
    codings = [_coding(one.code_system, one.code)]
    if one.kind is not None:
        codings.append(_coding(one.kind_system, one.kind))
    return {"code": {"coding": codings}}


def _type(flag: str, system: str, code: Coded) -> Resource:
    extension = {"url": vocabulary.ORGANIZATION_TYPES, "valueCode": flag}
    return {"extension": [extension], **_concept(system, code)}


def _address(place: PlaceRecord) -> Resource:
    extensions: list[Resource] = []
    if place.position is not None:
        latitude, longitude = place.position
        extensions.append(
            {
                "extension": [
                    {"url": "latitude", "valueDecimal": latitude},
                    {"url": "longitude", "valueDecimal": longitude},
                ],
                "url": vocabulary.GEOLOCATION,
            }
        )
    if place.commune:
        coding = {"system": vocabulary.COMMUNE, "code": place.commune}
        extensions.append({"url": vocabulary.INSEE_CODE, "valueCoding": coding})
    lines = [line for line in (place.complement, place.street) if line]
    address = {
        "extension": extensions,
        "line": lines,
        "city": place.city,
        "postalCode": place.postcode,
        "country": place.country,
    }
    return {name: value for name, value in address.items() if value}


def _reference(kind: str, identifier: str, display: str) -> Resource:
    if not identifier:
        return {}
    reference: Resource = {"reference": f"{kind}/{identifier}"}
    if display:
        reference["display"] = display
    return reference


def _concept(system: str, code: Coded) -> Resource:
    return {"coding": [_coding(system, code)]}


def _coding(system: str, code: Coded) -> Resource:
    coding: Resource = {"system": system, "code": code.code}
    if code.label:
        coding["display"] = code.label
    return coding
