"""Read the header of a CDA document: who, about whom, to whom, what was done, when and where.

Errors
    None: what is missing or odd is left out, and `check` speaks about it.
Sources
    HL7 CDA R2, POCD_MT000040; ANS, CI-SIS, volet Structuration minimale; DICOM PS3.20
    (accession numbers); IHE PaLM (status of a laboratory act).
"""

from dataclasses import replace
from typing import Final

from lxml.etree import _Element

from mss.clinical.cda_values_read import (
    attribute,
    every,
    first,
    maybe,
    missing_telecom,
    own,
    read_actor,
    read_addresses,
    read_code,
    read_free_code,
    read_identifier,
    read_identifiers,
    read_name,
    read_organization,
    read_telecoms,
    read_time,
    read_translations,
    read_value,
    text,
)
from mss.clinical.document import (
    Act,
    CdaHeader,
    Consent,
    Encounter,
    Informant,
    Order,
    Participant,
    RelatedDocument,
)
from mss.clinical.patient import Guardian, Patient, Traits
from mss.clinical.people import Actor, Period

LAB: Final = "urn:oid:1.3.6.1.4.1.19376.1.3.2"
DICOM: Final = "urn:dicom-org:ps3-20"
UNKNOWN: Final = "UNK"
_MARKED: Final = frozenset({("family", "BR"), ("family", "CL"), ("given", "BR"), ("given", "CL")})


def read_header(root: _Element) -> CdaHeader:
    """Read the header of a `ClinicalDocument`."""
    code = first(root, "h:code")
    return CdaHeader(
        id=read_identifier(first(root, "h:id")),
        set_id=read_identifier(first(root, "h:setId")),
        version=_number(first(root, "h:versionNumber")),
        templates=read_identifiers(root, "h:templateId"),
        code=read_code(code),
        code_translations=read_translations(code),
        title=text(root, "h:title"),
        effective_time=read_time(first(root, "h:effectiveTime")),
        confidentiality=read_code(first(root, "h:confidentialityCode")),
        language=attribute(first(root, "h:languageCode"), "code"),
        patient=maybe(first(root, "h:recordTarget/h:patientRole"), _patient),
        authors=tuple(_author(one) for one in every(root, "h:author")),
        data_enterer=maybe(first(root, "h:dataEnterer"), _signer),
        informants=tuple(_informant(one) for one in every(root, "h:informant")),
        custodian=maybe(
            first(root, "h:custodian/h:assignedCustodian/h:representedCustodianOrganization"),
            read_organization,
        ),
        recipients=tuple(_recipient(one) for one in every(root, "h:informationRecipient")),
        legal_authenticator=maybe(first(root, "h:legalAuthenticator"), _signer),
        authenticators=tuple(_signer(one) for one in every(root, "h:authenticator")),
        participants=tuple(_participant(one) for one in every(root, "h:participant")),
        orders=tuple(_order(one) for one in every(root, "h:inFulfillmentOf/h:order")),
        acts=tuple(_act(one) for one in every(root, "h:documentationOf/h:serviceEvent")),
        related=tuple(_related(one) for one in every(root, "h:relatedDocument")),
        consents=tuple(_consent(one) for one in every(root, "h:authorization/h:consent")),
        encounter=maybe(first(root, "h:componentOf/h:encompassingEncounter"), _encounter),
    )


def _patient(role: _Element) -> Patient:
    person = first(role, "h:patient")
    return Patient(
        identifiers=read_identifiers(role, "h:id"),
        traits=_traits(person) if person is not None else Traits(),
        addresses=read_addresses(role),
        telecoms=read_telecoms(role),
        guardians=tuple(_guardian(one) for one in every(role, "h:patient/h:guardian")),
        provider=maybe(first(role, "h:providerOrganization"), read_organization),
    )


def _traits(person: _Element) -> Traits:
    plain = (one for one in every(person, "h:name/h:given") if one.get("qualifier") is None)
    place = "h:birthplace/h:place"
    return Traits(
        birth_name=text(person, "h:name/h:family[@qualifier='BR']"),
        first_given=text(person, "h:name/h:given[@qualifier='BR']"),
        all_given=" ".join(filter(None, (own(one) for one in plain))),
        used_name=text(person, "h:name/h:family[@qualifier='CL']"),
        used_given=text(person, "h:name/h:given[@qualifier='CL']"),
        birth_date=read_time(first(person, "h:birthTime")),
        no_birth_date=attribute(first(person, "h:birthTime"), "nullFlavor"),
        sex=attribute(first(person, "h:administrativeGenderCode"), "code"),
        birth_place=text(person, f"{place}/h:addr/h:county"),
        birth_city=text(person, f"{place}/h:addr/h:city") or text(person, f"{place}/h:name"),
        other_names=_other_names(person),
    )


def _other_names(person: _Element) -> tuple[tuple[str, str, str], ...]:
    """Read the parts of a name that are neither of birth nor of use, nor plain given names."""
    found = [
        (tag, attribute(part, "qualifier"), own(part))
        for tag in ("family", "given", "prefix", "suffix")
        for part in every(person, f"h:name/h:{tag}")
    ]
    return tuple(
        (tag, mark, words)
        for tag, mark, words in found
        if words and (tag, mark) not in _MARKED and (tag, mark) != ("given", "")
    )


def _guardian(element: _Element) -> Guardian:
    return Guardian(
        name=maybe(first(element, "h:guardianPerson/h:name"), read_name),
        organization=maybe(first(element, "h:guardianOrganization"), read_organization),
        code=read_free_code(first(element, "h:code")),
        ids=read_identifiers(element, "h:id"),
        addresses=read_addresses(element),
        telecoms=read_telecoms(element),
    )


def _author(author: _Element) -> Actor:
    assigned = first(author, "h:assignedAuthor")
    if assigned is None:
        return Actor(at=read_time(first(author, "h:time")))
    return read_actor(
        assigned, person="assignedPerson", organization="representedOrganization", around=author
    )


def _signer(signer: _Element) -> Actor:
    """Read whoever takes part with an assigned entity: signs, enters, did."""
    assigned = first(signer, "h:assignedEntity")
    if assigned is None:
        return Actor(at=read_time(first(signer, "h:time")))
    return read_actor(
        assigned, person="assignedPerson", organization="representedOrganization", around=signer
    )


def _performer(performer: _Element) -> Actor:
    return _with_part(_signer(performer), performer, usual="PRF")


def _recipient(recipient: _Element) -> Actor:
    intended = first(recipient, "h:intendedRecipient")
    if intended is None:
        return Actor()
    found = read_actor(
        intended,
        person="informationRecipient",
        organization="receivedOrganization",
        around=recipient,
        is_short=True,
    )
    return _with_part(found, recipient, usual="PRCP")


def _with_part(actor: Actor, element: _Element, *, usual: str) -> Actor:
    """Note the kind of participation where it is not the usual one."""
    part = attribute(element, "typeCode")
    return actor if part in {"", usual} else replace(actor, part=part)


def _informant(informant: _Element) -> Informant:
    related = first(informant, "h:relatedEntity")
    if related is None:
        return Informant(actor=_signer(informant))
    addresses = read_addresses(related)
    return Informant(
        class_code=attribute(related, "classCode"),
        actor=Actor(
            name=maybe(first(related, "h:relatedPerson/h:name"), read_name),
            specialty=read_free_code(first(related, "h:code")),
            address=addresses[0] if addresses else None,
            other_addresses=addresses[1:],
            telecoms=read_telecoms(related),
            no_telecom=missing_telecom(related),
        ),
    )


def _participant(participant: _Element) -> Participant:
    entity = first(participant, "h:associatedEntity")
    actor = (
        Actor()
        if entity is None
        else read_actor(
            entity,
            person="associatedPerson",
            organization="scopingOrganization",
            around=participant,
        )
    )
    return Participant(
        type_code=participant.get("typeCode", ""),
        class_code=attribute(entity, "classCode"),
        # Nothing known and nothing said are the same; the former is what is written.
        actor=replace(actor, during=None) if actor.during == Period(missing=UNKNOWN) else actor,
    )


def _order(element: _Element) -> Order:
    return Order(
        ids=read_identifiers(element, "h:id"),
        code=read_free_code(first(element, "h:code")),
        priority=read_free_code(first(element, "h:priorityCode")),
        accession_numbers=read_identifiers(element, f"{{{DICOM}}}accessionNumber"),
    )


def _act(event: _Element) -> Act:
    code = first(event, "h:code")
    performers = tuple(_performer(one) for one in every(event, "h:performer"))
    return Act(
        code=read_code(code),
        translations=read_translations(code),
        ids=read_identifiers(event, "h:id"),
        templates=read_identifiers(event, "h:templateId"),
        status=attribute(first(event, f"{{{LAB}}}statusCode"), "code"),
        start=read_value(event, "h:effectiveTime/h:low") or read_value(event, "h:effectiveTime"),
        stop=read_value(event, "h:effectiveTime/h:high"),
        performer=performers[0] if performers else None,
        other_performers=performers[1:],
    )


def _related(element: _Element) -> RelatedDocument:
    parent = "h:parentDocument"
    return RelatedDocument(
        type_code=element.get("typeCode", ""),
        ids=read_identifiers(element, f"{parent}/h:id"),
        code=read_code(first(element, f"{parent}/h:code")),
        set_id=read_identifier(first(element, f"{parent}/h:setId")),
        version=_number(first(element, f"{parent}/h:versionNumber")),
    )


def _consent(element: _Element) -> Consent:
    return Consent(
        ids=read_identifiers(element, "h:id"),
        code=read_free_code(first(element, "h:code")),
        status=attribute(first(element, "h:statusCode"), "code"),
    )


def _encounter(element: _Element) -> Encounter:
    facility = "h:location/h:healthCareFacility"
    addresses = [
        one for place in every(element, f"{facility}/h:location") for one in read_addresses(place)
    ]
    no_time = attribute(first(element, "h:effectiveTime"), "nullFlavor")
    return Encounter(
        ids=read_identifiers(element, "h:id"),
        code=read_code(first(element, "h:code")),
        start=read_value(element, "h:effectiveTime/h:low")
        or read_value(element, "h:effectiveTime"),
        stop=read_value(element, "h:effectiveTime/h:high"),
        no_time=no_time if no_time != UNKNOWN else "",
        discharge=read_code(first(element, "h:dischargeDispositionCode")),
        responsible=maybe(first(element, "h:responsibleParty"), _signer),
        participants=tuple(
            _with_part(_signer(one), one, usual="")
            for one in every(element, "h:encounterParticipant")
        ),
        facility=read_code(first(element, f"{facility}/h:code")),
        facility_id=read_identifier(first(element, f"{facility}/h:id")),
        facility_name=text(element, f"{facility}/h:location/h:name"),
        facility_address=addresses[0] if addresses else None,
        provider=maybe(
            first(element, f"{facility}/h:serviceProviderOrganization"), read_organization
        ),
    )


def _number(element: _Element | None) -> int | None:
    found = attribute(element, "value")
    return int(found) if found.isascii() and found.isdigit() and len(found) < 10 else None
