"""Write a CDA R2 document: a header, and a structured body or a file.

The result is valid against the CDA schema and holds what the French header rules ask for; writing
and reading are inverse: `parse_cda(build_cda(header, body)).header == header`.

Errors
    `CdaContentError` when the header lacks something that every French document must have.
Sources
    HL7 CDA R2, order of elements; ANS, CI-SIS, volet Structuration minimale.
"""

import base64
import re
from collections.abc import Iterable

from lxml import etree
from lxml.etree import _Element

from mss.clinical import vocabulary
from mss.clinical.document import (
    Act,
    Body,
    CdaContentError,
    CdaHeader,
    Encounter,
    FileBody,
    Participant,
    StructuredBody,
)
from mss.clinical.entries import XSI, write_entry
from mss.clinical.narrative import CDA, Section, write_narrative
from mss.clinical.patient import Patient
from mss.clinical.people import (
    Actor,
    Address,
    Code,
    Identifier,
    Organization,
    PersonName,
    Telecom,
)
from mss.clinical.times import HL7Time

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PRACTICE_SETTINGS = "practiceSettingCode"
_BASE64_LINE = 76


def build_cda(header: CdaHeader, body: Body) -> bytes:
    """Write a document; the same values always give the same octets.

    Raises:
        CdaContentError: The header lacks an obligatory element, or the templates contradict the
            kind of body.
    """
    missing = missing_elements(header, body)
    if missing:
        raise CdaContentError(missing)
    root = etree.Element(f"{{{CDA}}}ClinicalDocument", nsmap={None: CDA, "xsi": XSI})
    _write_identity(root, header)
    _write_people(root, header)
    _write_context(root, header)
    _write_body(root, body)
    etree.indent(root, space=" ") if isinstance(body, FileBody) else None
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True) + b"\n"


def missing_elements(header: CdaHeader, body: Body) -> tuple[str, ...]:
    """Name what a header lacks to be written, in the words of the CDA."""
    act, place = header.main_act, header.encounter
    performer = act.performer if act else None
    employer = performer.organization if performer else None
    signer = header.legal_authenticator
    present = {
        "id": header.id,
        "code": header.code and header.code.system,
        "title": header.title,
        "effectiveTime": header.effective_time and header.effective_time.instant,
        "confidentialityCode": header.confidentiality,
        "languageCode": header.language,
        "setId": header.set_id,
        "versionNumber": header.version,
        "recordTarget": header.patient and header.patient.identifiers,
        "author": header.authors and all(one.at and one.id for one in header.authors),
        "custodian": header.custodian and header.custodian.id,
        "legalAuthenticator": signer and signer.at and signer.id,
        "documentationOf": act and act.start,
        "standardIndustryClassCode": employer and employer.practice_setting,
        "healthCareFacility": place and place.facility,
        "templateId": _templates_fit(header, body),
    }
    return tuple(name for name, there in present.items() if not there)


def _templates_fit(header: CdaHeader, body: Body) -> bool:
    roots = header.template_roots
    is_unstructured = vocabulary.UNSTRUCTURED_TEMPLATE in roots
    return (
        roots[:2] == vocabulary.FIXED_TEMPLATES
        and len(roots) > 2
        and is_unstructured == isinstance(body, FileBody)
    )


def _write_identity(root: _Element, header: CdaHeader) -> None:
    _add(root, "realmCode", code="FR")
    _add(root, "typeId", root="2.16.840.1.113883.1.3", extension="POCD_HD000040")
    for template in header.templates:
        _identifier(root, "templateId", template)
    _identifier(root, "id", header.id)
    _code(root, "code", header.code)
    _add(root, "title", header.title)
    _time(root, "effectiveTime", header.effective_time)
    _code(root, "confidentialityCode", header.confidentiality)
    _add(root, "languageCode", code=header.language)
    _identifier(root, "setId", header.set_id)
    _add(root, "versionNumber", value=str(header.version))


def _write_people(root: _Element, header: CdaHeader) -> None:
    if header.patient:
        _patient(_add(root, "recordTarget"), header.patient)
    for author in header.authors:
        _author(root, author)
    if header.custodian:
        holder = _add(_add(root, "custodian"), "assignedCustodian")
        _organization(holder, "representedCustodianOrganization", header.custodian)
    for recipient in header.recipients:
        made = _add(_add(root, "informationRecipient"), "intendedRecipient")
        _actor(made, recipient, "informationRecipient", "receivedOrganization", is_short=True)
    signer = header.legal_authenticator
    if signer:
        made = _add(root, "legalAuthenticator")
        _time(made, "time", signer.at)
        _add(made, "signatureCode", code="S")
        _actor(_add(made, "assignedEntity"), signer, "assignedPerson", "representedOrganization")
    for participant in header.participants:
        _participant(root, participant)


def _write_context(root: _Element, header: CdaHeader) -> None:
    for act in header.acts:
        _act(_add(_add(root, "documentationOf"), "serviceEvent"), act)
    for related in header.related:
        parent = _add(_add(root, "relatedDocument", typeCode=related.type_code), "parentDocument")
        for identifier in related.ids:
            _identifier(parent, "id", identifier)
    if header.encounter:
        _encounter(_add(_add(root, "componentOf"), "encompassingEncounter"), header.encounter)


def _write_body(root: _Element, body: Body) -> None:
    component = _add(root, "component")
    match body:
        case StructuredBody(sections):
            made = _add(component, "structuredBody")
            for section in sections:
                _section(_add(made, "component"), section)
        case FileBody(media_type, octets):
            text = base64.b64encode(octets).decode("ascii")
            lines = [text[at : at + _BASE64_LINE] for at in range(0, len(text), _BASE64_LINE)]
            made = _add(_add(component, "nonXMLBody"), "text", "\n".join(lines))
            made.set("mediaType", media_type)
            made.set("representation", "B64")


def _section(parent: _Element, section: Section) -> None:
    made = _add(parent, "section")
    for template in section.templates:
        _add(made, "templateId", root=template)
    if section.id:
        _add(made, "id", root=section.id)
    _code(made, "code", section.code)
    _add(made, "title", section.title)
    write_narrative(made, section.blocks)
    for entry in section.entries:
        write_entry(made, entry)
    for inner in section.sections:
        _section(_add(made, "component"), inner)


def _patient(parent: _Element, patient: Patient) -> None:
    role = _add(parent, "patientRole")
    for identifier in patient.identifiers:
        _identifier(role, "id", identifier)
    _contact(role, patient.addresses, patient.telecoms, is_short=True)
    traits = patient.traits
    person = _add(role, "patient", classCode="PSN")
    name = _add(person, "name")
    for tag, qualifier, text in (
        ("family", "BR", traits.birth_name),
        ("given", "", traits.all_given),
        ("given", "BR", traits.first_given),
        ("family", "CL", traits.used_name),
        ("given", "CL", traits.used_given),
    ):
        if text:
            _add(name, tag, text, qualifier=qualifier)
    if traits.sex:
        labels = {"M": "Masculin", "F": "Féminin", "UN": "Indifférencié"}
        sex = Code(traits.sex, "2.16.840.1.113883.5.1", labels.get(traits.sex, ""))
        _code(person, "administrativeGenderCode", sex)
    _time(person, "birthTime", traits.birth_date)
    if traits.birth_place:
        place = _add(_add(_add(person, "birthplace"), "place"), "addr")
        _add(place, "county", traits.birth_place)


def _author(root: _Element, author: Actor) -> None:
    made = _add(root, "author")
    _code(made, "functionCode", author.role)
    _time(made, "time", author.at)
    assigned = _add(made, "assignedAuthor", classCode="ASSIGNED")
    _actor(assigned, author, "assignedPerson", "representedOrganization")


def _participant(root: _Element, participant: Participant) -> None:
    made = _add(root, "participant", typeCode=participant.type_code)
    _code(made, "functionCode", participant.actor.role)
    if participant.actor.at:
        _time(made, "time", participant.actor.at)
    else:
        _add(made, "time", nullFlavor="NA")
    entity = _add(made, "associatedEntity", classCode=participant.class_code)
    _actor(entity, participant.actor, "associatedPerson", "scopingOrganization")


def _actor(
    made: _Element, actor: Actor, person: str, organization: str, *, is_short: bool = False
) -> None:
    _identifier(made, "id", actor.id)
    if not is_short:
        _code(made, "code", actor.specialty)
    _contact(made, (actor.address,), actor.telecoms, is_short=is_short)
    if actor.name:
        _name(_add(_add(made, person), "name"), actor.name)
    if actor.device:
        device = _add(made, "assignedAuthoringDevice")
        _add(device, "manufacturerModelName", actor.device.model)
        _add(device, "softwareName", actor.device.software)
    if actor.organization:
        _organization(made, organization, actor.organization)


def _act(event: _Element, act: Act) -> None:
    for identifier in act.ids:
        _identifier(event, "id", identifier)
    if act.code:
        code = _code(event, "code", act.code)
        for translation in act.translations:
            _code(code, "translation", translation)
    _interval(event, act.start, act.stop)
    if act.performer:
        made = _add(event, "performer", typeCode="PRF")
        _time(made, "time", act.performer.at)
        entity = _add(made, "assignedEntity")
        _actor(entity, act.performer, "assignedPerson", "representedOrganization")


def _encounter(made: _Element, encounter: Encounter) -> None:
    _code(made, "code", encounter.code)
    if encounter.start or encounter.stop:
        _interval(made, encounter.start, encounter.stop)
    else:
        _add(made, "effectiveTime", nullFlavor="NA")
    facility = _add(_add(made, "location"), "healthCareFacility")
    _identifier(facility, "id", encounter.facility_id)
    _code(facility, "code", encounter.facility)
    if encounter.facility_name:
        _add(_add(facility, "location"), "name", encounter.facility_name)


def _organization(parent: _Element, tag: str, organization: Organization) -> None:
    made = _add(parent, tag)
    _identifier(made, "id", organization.id)
    if organization.name:
        _add(made, "name", organization.name)
    for telecom in organization.telecoms:
        _telecom(made, telecom)
    if organization.address:
        _address(made, organization.address)
    if organization.practice_setting:
        code = _code(made, "standardIndustryClassCode", organization.practice_setting)
        code.set("codeSystemName", _PRACTICE_SETTINGS)


def _contact(
    parent: _Element,
    addresses: Iterable[Address | None],
    telecoms: Iterable[Telecom],
    *,
    is_short: bool,
) -> None:
    """Write addresses and numbers; a professional without one has it marked as not asked for."""
    known = [one for one in addresses if one is not None]
    for address in known:
        _address(parent, address)
    if not known and not is_short:
        _add(parent, "addr", nullFlavor="NASK")
    numbers = list(telecoms)
    for telecom in numbers:
        _telecom(parent, telecom)
    if not numbers and not is_short:
        _add(parent, "telecom", nullFlavor="NASK")


def _address(parent: _Element, address: Address) -> None:
    made = _add(parent, "addr", use=address.use)
    for tag, text in (
        ("houseNumber", address.house_number),
        ("streetName", address.street),
        ("unitID", address.unit),
        ("postBox", address.post_box),
        ("postalCode", address.postal_code),
        ("city", address.city),
        ("country", address.country),
    ):
        if text:
            _add(made, tag, text)


def _name(made: _Element, name: PersonName) -> None:
    for tag in ("prefix", "given", "family", "suffix"):
        text: str = getattr(name, tag)
        if text or tag == "family":
            _add(made, tag, text)


def _telecom(parent: _Element, telecom: Telecom) -> None:
    _add(parent, "telecom", value=telecom.value, use=telecom.use)


def _interval(parent: _Element, start: HL7Time | None, stop: HL7Time | None) -> None:
    made = _add(parent, "effectiveTime")
    _time(made, "low", start)
    _time(made, "high", stop)


def _time(parent: _Element, tag: str, time: HL7Time | None) -> None:
    if time:
        _add(parent, tag, value=time.text)


def _identifier(parent: _Element, tag: str, identifier: Identifier | None) -> None:
    if identifier:
        _add(parent, tag, root=identifier.root, extension=identifier.extension or "")


def _code(parent: _Element, tag: str, code: Code | None) -> _Element:
    """Append a code; without one the parent itself comes back, unchanged."""
    if code is None:
        return parent
    return _add(parent, tag, code=code.code, displayName=code.display, codeSystem=code.system)


def _add(parent: _Element, tag: str, text: str | None = None, **attributes: str) -> _Element:
    """Append an element; empty attributes are left out, characters that XML forbids dropped."""
    made = etree.SubElement(parent, f"{{{CDA}}}{tag}")
    for name, value in attributes.items():
        if value:
            made.set(name, _ILLEGAL.sub("", value))
    if text is not None:
        made.text = _ILLEGAL.sub("", text)
    return made
