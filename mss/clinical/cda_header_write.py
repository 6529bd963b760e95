"""Write the header of a CDA document, in the order of the schema.

Errors
    None: `cda_write.missing_elements` says beforehand what a header lacks.
Sources
    HL7 CDA R2, order of elements; ANS, CI-SIS, volet Structuration minimale.
"""

from lxml import etree
from lxml.etree import _Element

from mss.clinical.cda_header_read import DICOM, LAB, UNKNOWN
from mss.clinical.cda_values_write import (
    add,
    write_actor,
    write_address,
    write_code,
    write_contact,
    write_identifier,
    write_interval,
    write_name,
    write_organization,
    write_participation_time,
    write_recipient,
    write_telecoms,
    write_time,
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
from mss.clinical.people import Actor, Code

_SEXES = {"M": "Masculin", "F": "Féminin", "UN": "Indifférencié"}
_SEX_SYSTEM = "2.16.840.1.113883.5.1"


def write_header(root: _Element, header: CdaHeader) -> None:
    """Append everything before the body to a `ClinicalDocument`."""
    _write_identity(root, header)
    _write_people(root, header)
    _write_context(root, header)


def _write_identity(root: _Element, header: CdaHeader) -> None:
    add(root, "realmCode", code="FR")
    add(root, "typeId", root="2.16.840.1.113883.1.3", extension="POCD_HD000040")
    for template in header.templates:
        write_identifier(root, "templateId", template)
    write_identifier(root, "id", header.id)
    write_code(root, "code", header.code, header.code_translations)
    add(root, "title", header.title)
    write_time(root, "effectiveTime", header.effective_time)
    write_code(root, "confidentialityCode", header.confidentiality)
    add(root, "languageCode", code=header.language)
    write_identifier(root, "setId", header.set_id)
    add(root, "versionNumber", value=str(header.version))


def _write_people(root: _Element, header: CdaHeader) -> None:
    if header.patient:
        _patient(add(root, "recordTarget"), header.patient)
    for author in header.authors:
        _author(root, author)
    if header.data_enterer:
        _signer(add(root, "dataEnterer"), header.data_enterer)
    for informant in header.informants:
        _informant(add(root, "informant"), informant)
    if header.custodian:
        holder = add(add(root, "custodian"), "assignedCustodian")
        write_organization(holder, "representedCustodianOrganization", header.custodian)
    for recipient in header.recipients:
        made = add(root, "informationRecipient", typeCode=recipient.part)
        write_recipient(add(made, "intendedRecipient"), recipient)
    if header.legal_authenticator:
        _signer(add(root, "legalAuthenticator"), header.legal_authenticator, is_signed=True)
    for authenticator in header.authenticators:
        _signer(add(root, "authenticator"), authenticator, is_signed=True)
    for participant in header.participants:
        _participant(root, participant)


def _write_context(root: _Element, header: CdaHeader) -> None:
    for order in header.orders:
        _order(add(add(root, "inFulfillmentOf"), "order"), order)
    for act in header.acts:
        _act(add(add(root, "documentationOf"), "serviceEvent"), act)
    for related in header.related:
        _related(root, related)
    for consent in header.consents:
        _consent(add(add(root, "authorization"), "consent"), consent)
    if header.encounter:
        _encounter(add(add(root, "componentOf"), "encompassingEncounter"), header.encounter)


def _patient(parent: _Element, patient: Patient) -> None:
    role = add(parent, "patientRole")
    for identifier in patient.identifiers:
        write_identifier(role, "id", identifier)
    for address in patient.addresses:
        write_address(role, address)
    write_telecoms(role, patient.telecoms)
    person = add(role, "patient", classCode="PSN")
    _traits(person, patient.traits)
    for guardian in patient.guardians:
        _guardian(add(person, "guardian"), guardian)
    if patient.traits.birth_place or patient.traits.birth_city:
        place = add(add(add(person, "birthplace"), "place"), "addr")
        for tag, text in (
            ("county", patient.traits.birth_place),
            ("city", patient.traits.birth_city),
        ):
            if text:
                add(place, tag, text)
    if patient.provider:
        write_organization(role, "providerOrganization", patient.provider)


def _traits(person: _Element, traits: Traits) -> None:
    name = add(person, "name")
    for tag, qualifier, text in (
        ("family", "BR", traits.birth_name),
        ("given", "", traits.all_given),
        ("given", "BR", traits.first_given),
        ("family", "CL", traits.used_name),
        ("given", "CL", traits.used_given),
        *traits.other_names,
    ):
        if text:
            add(name, tag, text, qualifier=qualifier)
    if traits.sex:
        sex = Code(traits.sex, _SEX_SYSTEM, _SEXES.get(traits.sex, ""))
        write_code(person, "administrativeGenderCode", sex)
    if traits.birth_date:
        write_time(person, "birthTime", traits.birth_date)
    elif traits.no_birth_date:
        add(person, "birthTime", nullFlavor=traits.no_birth_date)


def _guardian(made: _Element, guardian: Guardian) -> None:
    for identifier in guardian.ids:
        write_identifier(made, "id", identifier)
    write_code(made, "code", guardian.code)
    for address in guardian.addresses:
        write_address(made, address)
    write_telecoms(made, guardian.telecoms)
    if guardian.organization:
        write_organization(made, "guardianOrganization", guardian.organization)
    else:
        person = add(made, "guardianPerson")
        if guardian.name:
            write_name(person, guardian.name)


def _author(root: _Element, author: Actor) -> None:
    made = add(root, "author")
    _templates(made, author)
    write_code(made, "functionCode", author.role)
    write_time(made, "time", author.at)
    _entity(add(made, "assignedAuthor", classCode="ASSIGNED"), author)


def _signer(made: _Element, signer: Actor, *, is_signed: bool = False) -> None:
    """Write a time and an assigned entity, and between them that it is signed."""
    _templates(made, signer)
    write_participation_time(made, signer)
    if is_signed:
        add(made, "signatureCode", code="S")
    _entity(add(made, "assignedEntity"), signer)


def _entity(made: _Element, actor: Actor) -> None:
    if actor.id is None:
        add(made, "id", nullFlavor=UNKNOWN)  # the schema wants one of everybody assigned
    write_actor(made, actor, person="assignedPerson", organization="representedOrganization")


def _informant(made: _Element, informant: Informant) -> None:
    actor = informant.actor
    if not informant.class_code:
        _entity(add(made, "assignedEntity"), actor)
        return
    related = add(made, "relatedEntity", classCode=informant.class_code)
    write_code(related, "code", actor.specialty)
    write_contact(related, actor, default="")
    if actor.name:
        write_name(add(related, "relatedPerson"), actor.name)


def _participant(root: _Element, participant: Participant) -> None:
    made = add(root, "participant", typeCode=participant.type_code)
    actor = participant.actor
    _templates(made, actor)
    write_code(made, "functionCode", actor.role)
    if actor.at or actor.during:
        write_participation_time(made, actor)
    else:
        add(made, "time", nullFlavor=UNKNOWN)
    entity = add(made, "associatedEntity", classCode=participant.class_code)
    write_actor(entity, actor, person="associatedPerson", organization="scopingOrganization")


def _order(made: _Element, order: Order) -> None:
    for identifier in order.ids:
        write_identifier(made, "id", identifier)
    write_code(made, "code", order.code)
    write_code(made, "priorityCode", order.priority)
    for number in order.accession_numbers:
        element = etree.SubElement(
            made, f"{{{DICOM}}}accessionNumber", nsmap={"ps3-20": DICOM}, root=number.root
        )
        if number.extension:
            element.set("extension", number.extension)


def _act(event: _Element, act: Act) -> None:
    for template in act.templates:
        write_identifier(event, "templateId", template)
    for identifier in act.ids:
        write_identifier(event, "id", identifier)
    write_code(event, "code", act.code, act.translations)
    if act.status:
        etree.SubElement(event, f"{{{LAB}}}statusCode", nsmap={"lab": LAB}, code=act.status)
    write_interval(event, act.start, act.stop)
    for performer in (act.performer, *act.other_performers):
        if performer:
            _performer(event, performer)


def _performer(event: _Element, performer: Actor) -> None:
    made = add(event, "performer", typeCode=performer.part or "PRF")
    _templates(made, performer)
    write_code(made, "functionCode", performer.role)
    write_participation_time(made, performer)
    _entity(add(made, "assignedEntity"), performer)


def _related(root: _Element, related: RelatedDocument) -> None:
    parent = add(add(root, "relatedDocument", typeCode=related.type_code), "parentDocument")
    for identifier in related.ids:
        write_identifier(parent, "id", identifier)
    write_code(parent, "code", related.code)
    write_identifier(parent, "setId", related.set_id)
    if related.version is not None:
        add(parent, "versionNumber", value=str(related.version))


def _consent(made: _Element, consent: Consent) -> None:
    for identifier in consent.ids:
        write_identifier(made, "id", identifier)
    write_code(made, "code", consent.code)
    add(made, "statusCode", code=consent.status)


def _encounter(made: _Element, encounter: Encounter) -> None:
    for identifier in encounter.ids:
        write_identifier(made, "id", identifier)
    write_code(made, "code", encounter.code)
    write_interval(made, encounter.start, encounter.stop, missing=encounter.no_time or UNKNOWN)
    write_code(made, "dischargeDispositionCode", encounter.discharge)
    if encounter.responsible:
        _entity(add(add(made, "responsibleParty"), "assignedEntity"), encounter.responsible)
    for participant in encounter.participants:
        _signer(add(made, "encounterParticipant", typeCode=participant.part), participant)
    facility = add(add(made, "location"), "healthCareFacility")
    write_identifier(facility, "id", encounter.facility_id)
    write_code(facility, "code", encounter.facility)
    if encounter.facility_name or encounter.facility_address:
        place = add(facility, "location")
        if encounter.facility_name:
            add(place, "name", encounter.facility_name)
        if encounter.facility_address:
            write_address(place, encounter.facility_address)
    if encounter.provider:
        write_organization(facility, "serviceProviderOrganization", encounter.provider)


def _templates(made: _Element, actor: Actor) -> None:
    for template in actor.templates:
        write_identifier(made, "templateId", template)
