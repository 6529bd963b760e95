"""Read a CDA R2 document: its header into values, its body only as far as asked.

Nothing in a header makes reading fail: what is missing or odd is left out, and `check` speaks
about it. A self-presenting document (the root is a style sheet with the document inside) is read
for the document alone; the sheet is never run.

Errors
    `CdaSyntaxError`, on any octets.
Sources
    HL7 CDA R2; ANS, CI-SIS, volet Structuration minimale.
"""

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import TypeVar

from lxml import etree
from lxml.etree import _Element

from mss.clinical import vocabulary
from mss.clinical.document import (
    Act,
    BodyKind,
    CdaDocument,
    CdaHeader,
    CdaSyntaxError,
    EmbeddedFile,
    Encounter,
    Participant,
    RelatedDocument,
)
from mss.clinical.narrative import CDA, Section, read_narrative
from mss.clinical.patient import Patient, Traits
from mss.clinical.people import (
    Actor,
    Address,
    Code,
    Device,
    Identifier,
    Organization,
    PersonName,
    Telecom,
)
from mss.clinical.safe_xml import XMLRefusedError, parse_xml
from mss.clinical.times import HL7Time

XSL = "http://www.w3.org/1999/XSL/Transform"
PDF_COPY_CODE = "55108-5"  # section "Copie du document"
_NS = {"h": CDA}
_ROOT = f"{{{CDA}}}ClinicalDocument"
_SECTION_DEPTH = 12
_T = TypeVar("_T")


def parse_cda(octets: bytes) -> CdaDocument:
    """Read the header of a document and tell what its body is.

    Raises:
        CdaSyntaxError: The octets are not a CDA document, or XML with a forbidden construct.
    """
    root, is_self_presenting = _open(octets)
    kind, media_type = _body(root)
    return CdaDocument(
        header=_header(root),
        body=kind,
        media_type=media_type,
        patients=len(_all(root, "h:recordTarget")),
        is_self_presenting=is_self_presenting,
    )


def clinical_document(octets: bytes) -> bytes:
    """Cut the document out of a self-presenting one; any other is only written again.

    Raises:
        CdaSyntaxError: The octets are not a CDA document.
    """
    root, _ = _open(octets)
    root.tail = None
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def read_sections(octets: bytes) -> tuple[Section, ...]:
    """Read what people read in a structured body: titles, paragraphs, lists and tables.

    Raises:
        CdaSyntaxError: The octets are not a CDA document.
    """
    root, _ = _open(octets)
    found = _all(root, "h:component/h:structuredBody/h:component/h:section")
    return tuple(_section(one, _SECTION_DEPTH) for one in found)


def embedded_files(octets: bytes) -> tuple[EmbeddedFile, ...]:
    """Take out the files inside a document, the copy of the whole first.

    Raises:
        CdaSyntaxError: The octets are not a CDA document, or a file in it is not valid base64.
    """
    root, _ = _open(octets)
    files = [_file(one, is_copy=True) for one in _all(root, "h:component/h:nonXMLBody/h:text")]
    for value in root.iter(f"{{{CDA}}}value"):
        parent = value.getparent()
        if parent is not None and parent.tag == f"{{{CDA}}}observationMedia":
            files.append(_file(value, is_copy=_is_in_copy_section(value)))
    return tuple(sorted((one for one in files if one), key=lambda one: not one.is_copy))


def embedded_pdf(octets: bytes) -> bytes | None:
    """Take out the PDF that shows the document: the body, the copy, or else the first one.

    Raises:
        CdaSyntaxError: The octets are not a CDA document, or a file in it is not valid base64.
    """
    found = (one for one in embedded_files(octets) if one.media_type == "application/pdf")
    first = next(found, None)
    return first.octets if first else None


def _open(octets: bytes) -> tuple[_Element, bool]:
    try:
        root = parse_xml(octets)
    except XMLRefusedError as error:
        raise CdaSyntaxError(error.reason) from error
    if root.tag == _ROOT:
        return root, False
    if root.tag in {f"{{{XSL}}}stylesheet", f"{{{XSL}}}transform"}:
        inside = next(root.iter(_ROOT), None)
        if inside is not None:
            return inside, True
    raise CdaSyntaxError("no-clinical-document")


def _header(root: _Element) -> CdaHeader:
    return CdaHeader(
        id=_identifier(_one(root, "h:id")),
        set_id=_identifier(_one(root, "h:setId")),
        version=_number(_one(root, "h:versionNumber")),
        templates=_identifiers(root, "h:templateId"),
        code=_code(_one(root, "h:code")),
        title=_text(root, "h:title"),
        effective_time=_time(_one(root, "h:effectiveTime")),
        confidentiality=_code(_one(root, "h:confidentialityCode")),
        language=_attribute(_one(root, "h:languageCode"), "code"),
        patient=_maybe(_one(root, "h:recordTarget/h:patientRole"), _patient),
        authors=tuple(_author(one) for one in _all(root, "h:author")),
        custodian=_maybe(
            _one(root, "h:custodian/h:assignedCustodian/h:representedCustodianOrganization"),
            _organization,
        ),
        recipients=tuple(
            _actor(one, person="informationRecipient", organization="receivedOrganization")
            for one in _all(root, "h:informationRecipient/h:intendedRecipient")
        ),
        legal_authenticator=_maybe(_one(root, "h:legalAuthenticator"), _signer),
        participants=tuple(_participant(one) for one in _all(root, "h:participant")),
        acts=tuple(_act(one) for one in _all(root, "h:documentationOf/h:serviceEvent")),
        related=tuple(
            RelatedDocument(
                type_code=one.get("typeCode", ""), ids=_identifiers(one, "h:parentDocument/h:id")
            )
            for one in _all(root, "h:relatedDocument")
        ),
        encounter=_maybe(_one(root, "h:componentOf/h:encompassingEncounter"), _encounter),
    )


def _body(root: _Element) -> tuple[BodyKind, str]:
    if _one(root, "h:component/h:structuredBody") is not None:
        return BodyKind.STRUCTURED, ""
    text = _one(root, "h:component/h:nonXMLBody/h:text")
    if text is None:
        return BodyKind.NONE, ""
    media_type = text.get("mediaType", "text/plain").strip().lower()
    return BodyKind(vocabulary.find_body_kind(media_type) or "other"), media_type


def _patient(role: _Element) -> Patient:
    person = _one(role, "h:patient")
    return Patient(
        identifiers=_identifiers(role, "h:id"),
        traits=_traits(person) if person is not None else Traits(),
        addresses=_addresses(role),
        telecoms=_telecoms(role),
    )


def _traits(person: _Element) -> Traits:
    plain = (one for one in _all(person, "h:name/h:given") if one.get("qualifier") is None)
    return Traits(
        birth_name=_text(person, "h:name/h:family[@qualifier='BR']"),
        first_given=_text(person, "h:name/h:given[@qualifier='BR']"),
        all_given=" ".join(filter(None, (_own(one) for one in plain))),
        used_name=_text(person, "h:name/h:family[@qualifier='CL']"),
        used_given=_text(person, "h:name/h:given[@qualifier='CL']"),
        birth_date=_time(_one(person, "h:birthTime")),
        sex=_attribute(_one(person, "h:administrativeGenderCode"), "code"),
        birth_place=_text(person, "h:birthplace/h:place/h:addr/h:county"),
    )


def _author(author: _Element) -> Actor:
    assigned = _one(author, "h:assignedAuthor")
    if assigned is None:
        return Actor(at=_time(_one(author, "h:time")))
    return _actor(
        assigned,
        person="assignedPerson",
        organization="representedOrganization",
        role=_code(_one(author, "h:functionCode")),
        at=_time(_one(author, "h:time")),
    )


def _signer(signer: _Element) -> Actor:
    """Read a legal authenticator or a performer: a time, and an assigned entity."""
    assigned = _one(signer, "h:assignedEntity")
    at = _time(_one(signer, "h:time"))
    if assigned is None:
        return Actor(at=at)
    role = _code(_one(signer, "h:functionCode"))
    return _actor(
        assigned, person="assignedPerson", organization="representedOrganization", at=at, role=role
    )


def _participant(participant: _Element) -> Participant:
    entity = _one(participant, "h:associatedEntity")
    return Participant(
        type_code=participant.get("typeCode", ""),
        class_code=_attribute(entity, "classCode"),
        actor=Actor()
        if entity is None
        else _actor(
            entity,
            person="associatedPerson",
            organization="scopingOrganization",
            role=_code(_one(participant, "h:functionCode")),
            at=_time(_one(participant, "h:time")),
        ),
    )


def _actor(
    element: _Element,
    *,
    person: str,
    organization: str,
    role: Code | None = None,
    at: HL7Time | None = None,
) -> Actor:
    addresses = _addresses(element)
    return Actor(
        id=_identifier(_one(element, "h:id")),
        name=_maybe(_one(element, f"h:{person}/h:name"), _name),
        device=_maybe(_one(element, "h:assignedAuthoringDevice"), _device),
        role=role,
        specialty=_code(_one(element, "h:code")),
        telecoms=_telecoms(element),
        address=addresses[0] if addresses else None,
        organization=_maybe(_one(element, f"h:{organization}"), _organization),
        at=at,
    )


def _device(device: _Element) -> Device:
    return Device(
        software=_text(device, "h:softwareName"), model=_text(device, "h:manufacturerModelName")
    )


def _name(name: _Element) -> PersonName:
    return PersonName(
        family=_text(name, "h:family") or (_own(name) if not len(name) else ""),
        given=_text(name, "h:given"),
        prefix=_text(name, "h:prefix"),
        suffix=_text(name, "h:suffix"),
    )


def _organization(element: _Element) -> Organization:
    addresses = _addresses(element)
    return Organization(
        name=_text(element, "h:name"),
        id=_identifier(_one(element, "h:id")),
        telecoms=_telecoms(element),
        address=addresses[0] if addresses else None,
        practice_setting=_code(_one(element, "h:standardIndustryClassCode")),
    )


def _act(event: _Element) -> Act:
    code = _one(event, "h:code")
    translations = () if code is None else (_code(one) for one in _all(code, "h:translation"))
    return Act(
        code=_code(code),
        translations=tuple(one for one in translations if one),
        ids=_identifiers(event, "h:id"),
        start=_time(_one(event, "h:effectiveTime/h:low")) or _value(event, "h:effectiveTime"),
        stop=_time(_one(event, "h:effectiveTime/h:high")),
        performer=_maybe(_one(event, "h:performer"), _signer),
    )


def _encounter(element: _Element) -> Encounter:
    facility = "h:location/h:healthCareFacility"
    return Encounter(
        code=_code(_one(element, "h:code")),
        start=_time(_one(element, "h:effectiveTime/h:low")) or _value(element, "h:effectiveTime"),
        stop=_time(_one(element, "h:effectiveTime/h:high")),
        facility=_code(_one(element, f"{facility}/h:code")),
        facility_id=_identifier(_one(element, f"{facility}/h:id")),
        facility_name=_text(element, f"{facility}/h:location/h:name"),
    )


def _section(element: _Element, depth: int) -> Section:
    text = _one(element, "h:text")
    inner = _all(element, "h:component/h:section") if depth > 0 else []
    return Section(
        title=_text(element, "h:title"),
        blocks=read_narrative(text) if text is not None else (),
        code=_code(_one(element, "h:code")),
        templates=tuple(one.root for one in _identifiers(element, "h:templateId")),
        id=_attribute(_one(element, "h:id"), "root"),
        sections=tuple(_section(one, depth - 1) for one in inner),
    )


def _file(element: _Element, *, is_copy: bool) -> EmbeddedFile | None:
    media_type = element.get("mediaType", "text/plain").strip().lower()
    text = "".join(element.itertext())
    if element.get("representation", "TXT").upper() != "B64":
        octets = text.encode("utf-8")
        return EmbeddedFile(media_type=media_type, octets=octets, is_copy=is_copy) if text else None
    if element.get("compression"):
        raise CdaSyntaxError("compressed-file")
    packed = "".join(text.split())
    try:
        octets = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CdaSyntaxError("bad-base64") from error
    return EmbeddedFile(media_type=media_type, octets=octets, is_copy=is_copy) if octets else None


def _is_in_copy_section(element: _Element) -> bool:
    section = next(element.iterancestors(f"{{{CDA}}}section"), None)
    return section is not None and _attribute(_one(section, "h:code"), "code") == PDF_COPY_CODE


def _addresses(parent: _Element) -> tuple[Address, ...]:
    return tuple(one for one in map(_address, _all(parent, "h:addr")) if one is not None)


def _address(element: _Element) -> Address | None:
    street = _text(element, "h:streetName") or ", ".join(
        filter(None, (_own(one) for one in _all(element, "h:streetAddressLine")))
    )
    made = Address(
        house_number=_text(element, "h:houseNumber"),
        street=street,
        unit=_text(element, "h:unitID"),
        post_box=_text(element, "h:postBox"),
        postal_code=_text(element, "h:postalCode"),
        city=_text(element, "h:city"),
        country=_text(element, "h:country"),
        use=element.get("use", ""),
    )
    return made if made.lines else None


def _telecoms(parent: _Element) -> tuple[Telecom, ...]:
    return tuple(
        Telecom(value=one.get("value", ""), use=one.get("use", ""))
        for one in _all(parent, "h:telecom")
        if one.get("value")
    )


def _identifiers(parent: _Element, path: str) -> tuple[Identifier, ...]:
    return tuple(one for one in map(_identifier, _all(parent, path)) if one is not None)


def _identifier(element: _Element | None) -> Identifier | None:
    root = _attribute(element, "root")
    return Identifier(root, _attribute(element, "extension") or None) if root else None


def _code(element: _Element | None) -> Code | None:
    value = _attribute(element, "code")
    if not value:
        return None
    return Code(value, _attribute(element, "codeSystem"), _attribute(element, "displayName"))


def _time(element: _Element | None) -> HL7Time | None:
    """Read a time, or the last bound of an interval that stands where a time should."""
    if element is None:
        return None
    for one in (element, _one(element, "h:high"), _one(element, "h:low")):
        if _attribute(one, "value"):
            return HL7Time(_attribute(one, "value"))
    return None


def _value(parent: _Element, path: str) -> HL7Time | None:
    text = _attribute(_one(parent, path), "value")
    return HL7Time(text) if text else None


def _number(element: _Element | None) -> int | None:
    text = _attribute(element, "value")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _attribute(element: _Element | None, name: str) -> str:
    return "" if element is None else " ".join(element.get(name, "").split())


def _text(parent: _Element, path: str) -> str:
    found = _one(parent, path)
    return "" if found is None else _own(found)


def _own(element: _Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _maybe(element: _Element | None, read: Callable[[_Element], _T]) -> _T | None:
    return None if element is None else read(element)


def _one(parent: _Element, path: str) -> _Element | None:
    return next(_each(parent, path), None)


def _all(parent: _Element, path: str) -> list[_Element]:
    return list(_each(parent, path))


def _each(parent: _Element, path: str) -> Iterator[_Element]:
    return parent.iterfind(path, _NS)
