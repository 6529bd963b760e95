"""Read and write METADATA.XML, the ebRIM 3.0 envelope that says what an archive holds.

Shapes
    `Metadata` is one submission set and its document entries. Fields that the profile defines as
    HL7 v2 text (XCN, XON, CX) stay text. Reading goes by containment and by UUID: it trusts no
    reference attribute, no name and no order, because published archives get all three wrong; what
    it had to overlook becomes findings (`metadata_oversights`). Writing keeps the order of the
    schema: Slot*, Name, Description, VersionInfo, Classification*, ExternalIdentifier*.
Errors
    `MetadataSyntaxError` when reading, on any octets; `MetadataContentError` when writing.
Sources
    OASIS ebRIM 3.0; IHE ITI TF-3, 4.2; ANS, CI-SIS, volet Échange de documents de santé.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import ClassVar, TypeVar
from uuid import UUID, uuid5

from lxml import etree
from lxml.etree import _Element

from mss.clinical.finding import Finding
from mss.clinical.metadata_oversights import RIM, find_oversights, plain_uuid
from mss.clinical.people import Code
from mss.clinical.safe_xml import XMLLimits, XMLRefusedError, parse_xml
from mss.errors import MSSError

LCM = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
XML = "http://www.w3.org/XML/1998/namespace"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
STABLE_DOCUMENT = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
ACTION_SLOT = "urn:action:extraMetadataSlot"
REFERENCES_SLOT = "urn:ihe:iti:xds:2013:referenceIdList"

SET_NODE = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
SET_AUTHOR = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
SET_CONTENT_TYPE = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
SET_PATIENT_ID = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
SET_SOURCE_ID = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832"
SET_UNIQUE_ID = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"
ENTRY_AUTHOR = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
ENTRY_CLASS = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"
ENTRY_CONFIDENTIALITY = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"
ENTRY_EVENT = "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"
ENTRY_FORMAT = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"
ENTRY_FACILITY = "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1"
ENTRY_PRACTICE = "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead"
ENTRY_TYPE = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"
ENTRY_PATIENT_ID = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
ENTRY_UNIQUE_ID = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"

_VALUE_LENGTH = 256  # of a value in a slot, by the schema
_TEXT_LENGTH = 1024  # of a title or a label
_LIMITS = XMLLimits(size_octets=8 * 1024 * 1024, elements=100_000, attributes=100_000, depth=32)

_T = TypeVar("_T")


@dataclass(eq=False)
class MetadataSyntaxError(MSSError):
    """The octets are not metadata of an archive."""

    code: ClassVar[str] = "metadata-syntax"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The metadata of the archive cannot be read."
    public_text_fr: ClassVar[str] = "Les métadonnées de l'archive sont illisibles."
    next_step: ClassVar[str] = "Correct the software that wrote the archive."

    reason: str


@dataclass(eq=False)
class MetadataContentError(MSSError):
    """Metadata cannot be written: obligatory fields are missing."""

    code: ClassVar[str] = "metadata-content"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "Obligatory metadata of a document are missing."
    public_text_fr: ClassVar[str] = "Des métadonnées obligatoires d'un document manquent."
    next_step: ClassVar[str] = "Supply the missing metadata."

    missing: tuple[str, ...]


class Action(StrEnum):
    """What the sender wants done with a document."""

    NEW = "new"
    REPLACE = "replace"
    DELETE = "delete"


ACTIONS = {"C": Action.REPLACE, "D": Action.DELETE}
"""What the French action slot holds; a new document has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """One author: XCN, XONs, roles as text, specialities as `code^label^system`."""

    person: str = ""
    institutions: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    specialties: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionSet:
    """What was submitted together, by whom and about whom."""

    entry_uuid: str = ""
    unique_id: str = ""
    source_id: str = ""
    patient_id: str = ""
    submission_time: str = ""
    title: str = ""
    comments: str = ""
    content_type: Code | None = None
    authors: tuple[Author, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentEntry:
    """What is said about one document."""

    entry_uuid: str = ""
    unique_id: str = ""
    uri: str = ""
    mime_type: str = ""
    hash: str = ""
    size: int | None = None
    title: str = ""
    comments: str = ""
    language: str = ""
    creation_time: str = ""
    service_start_time: str = ""
    service_stop_time: str = ""
    patient_id: str = ""
    source_patient_id: str = ""
    source_patient_info: tuple[str, ...] = ()
    legal_authenticator: str = ""
    authors: tuple[Author, ...] = ()
    type_code: Code | None = None
    class_code: Code | None = None
    format_code: Code | None = None
    facility: Code | None = None
    practice_setting: Code | None = None
    confidentiality: tuple[Code, ...] = ()
    events: tuple[Code, ...] = ()
    references: tuple[str, ...] = ()
    action: Action = Action.NEW


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """One submission set, its entries, and what reading had to overlook.

    Attributes:
        other_sets: Further sets that a reader found in the same file, which the rules do not allow.
    """

    submission_set: SubmissionSet
    entries: tuple[DocumentEntry, ...]
    other_sets: tuple[SubmissionSet, ...] = ()
    findings: tuple[Finding, ...] = ()


def parse_metadata(octets: bytes) -> Metadata:
    """Read the metadata of one submission set.

    Raises:
        MetadataSyntaxError: It is not ebRIM, or has no submission set.
    """
    try:
        root = parse_xml(octets, _LIMITS)
    except XMLRefusedError as error:
        raise MetadataSyntaxError(error.reason) from error
    packages = [one for one in root.iter(_rim("RegistryPackage")) if _is_submission_set(one)]
    if not packages:
        raise MetadataSyntaxError("no-submission-set")
    objects = tuple(root.iter(_rim("ExtrinsicObject")))
    return Metadata(
        submission_set=_submission_set(packages[0]),
        entries=tuple(_entry(one) for one in objects),
        other_sets=tuple(_submission_set(one) for one in packages[1:]),
        findings=tuple(find_oversights(octets, root, packages, objects)),
    )


def build_metadata(metadata: Metadata) -> bytes:
    """Write the metadata of one submission set, valid against the ebRIM schema.

    The identifiers of inner objects derive from those of the set and the entries, so the same
    values always give the same octets.

    Raises:
        MetadataContentError: An obligatory field is missing.
    """
    missing = missing_set_fields(metadata.submission_set)
    for entry in metadata.entries:
        missing += missing_entry_fields(entry)
    if missing or not metadata.entries:
        raise MetadataContentError(missing or ("entries",))
    try:
        root = _write(metadata)
    except ValueError as error:  # an identifier that is no UUID, or a character that XML forbids
        raise MetadataContentError(("well-formed-values",)) from error
    if any(len(one.text or "") > _VALUE_LENGTH for one in root.iter(_rim("Value"))):
        raise MetadataContentError(("values-of-allowed-length",))
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True) + b"\n"


def missing_set_fields(one: SubmissionSet) -> tuple[str, ...]:
    """Name the obligatory fields that a submission set lacks."""
    optional = {"title", "comments"}
    names = (field.name for field in fields(one) if field.name not in optional)
    return tuple(f"submission-set.{name}" for name in names if not getattr(one, name))


def missing_entry_fields(one: DocumentEntry) -> tuple[str, ...]:
    """Name the obligatory fields that a document entry lacks."""
    optional = {"comments", "service_stop_time", "events", "references"}
    names = (field.name for field in fields(one) if field.name not in optional)
    return tuple(f"document-entry.{name}" for name in names if not getattr(one, name))


# Reading


def _submission_set(package: _Element) -> SubmissionSet:
    return SubmissionSet(
        entry_uuid=package.get("id", ""),
        unique_id=_external(package, SET_UNIQUE_ID),
        source_id=_external(package, SET_SOURCE_ID),
        patient_id=_external(package, SET_PATIENT_ID),
        submission_time=_slot(package, "submissionTime"),
        title=_localized(package, "Name"),
        comments=_localized(package, "Description"),
        content_type=_first(_codes(package, SET_CONTENT_TYPE)),
        authors=_authors(package, SET_AUTHOR),
    )


def _entry(element: _Element) -> DocumentEntry:
    size = _slot(element, "size")
    return DocumentEntry(
        entry_uuid=element.get("id", ""),
        unique_id=_external(element, ENTRY_UNIQUE_ID),
        uri=_slot(element, "URI"),
        mime_type=element.get("mimeType", "").strip(),
        hash=_slot(element, "hash"),
        size=int(size) if size.isascii() and size.isdigit() and len(size) < 16 else None,
        title=_localized(element, "Name"),
        comments=_localized(element, "Description"),
        language=_slot(element, "languageCode"),
        creation_time=_slot(element, "creationTime"),
        service_start_time=_slot(element, "serviceStartTime"),
        service_stop_time=_slot(element, "serviceStopTime"),
        patient_id=_external(element, ENTRY_PATIENT_ID),
        source_patient_id=_slot(element, "sourcePatientId"),
        source_patient_info=_slots(element, "sourcePatientInfo"),
        legal_authenticator=_slot(element, "legalAuthenticator"),
        authors=_authors(element, ENTRY_AUTHOR),
        type_code=_first(_codes(element, ENTRY_TYPE)),
        class_code=_first(_codes(element, ENTRY_CLASS)),
        format_code=_first(_codes(element, ENTRY_FORMAT)),
        facility=_first(_codes(element, ENTRY_FACILITY)),
        practice_setting=_first(_codes(element, ENTRY_PRACTICE)),
        confidentiality=_codes(element, ENTRY_CONFIDENTIALITY),
        events=_codes(element, ENTRY_EVENT),
        references=_slots(element, REFERENCES_SLOT),
        action=ACTIONS.get(_slot(element, ACTION_SLOT).upper(), Action.NEW),
    )


def _is_submission_set(package: _Element) -> bool:
    inside = package.iterchildren(_rim("Classification"))
    if any(plain_uuid(one.get("classificationNode", "")) == SET_NODE for one in inside):
        return True
    return bool(_external(package, SET_UNIQUE_ID))


def _authors(element: _Element, scheme: str) -> tuple[Author, ...]:
    return tuple(
        Author(
            person=_slot(one, "authorPerson"),
            institutions=_slots(one, "authorInstitution"),
            roles=_slots(one, "authorRole"),
            specialties=_slots(one, "authorSpecialty"),
        )
        for one in _classifications(element, scheme)
    )


def _codes(element: _Element, scheme: str) -> tuple[Code, ...]:
    return tuple(
        Code(
            one.get("nodeRepresentation", "").strip(),
            _slot(one, "codingScheme"),
            _localized(one, "Name"),
        )
        for one in _classifications(element, scheme)
        if one.get("nodeRepresentation", "").strip()
    )


def _classifications(element: _Element, scheme: str) -> Iterator[_Element]:
    for one in element.iterchildren(_rim("Classification")):
        if plain_uuid(one.get("classificationScheme", "")) == scheme:
            yield one


def _external(element: _Element, scheme: str) -> str:
    for one in element.iterchildren(_rim("ExternalIdentifier")):
        if plain_uuid(one.get("identificationScheme", "")) == scheme:
            return one.get("value", "").strip()
    return ""


def _slots(element: _Element, name: str) -> tuple[str, ...]:
    return tuple(
        (value.text or "").strip()
        for slot in element.iterchildren(_rim("Slot"))
        if slot.get("name", "").strip() == name
        for value in slot.iter(_rim("Value"))
        if (value.text or "").strip()
    )


def _slot(element: _Element, name: str) -> str:
    return _first(_slots(element, name)) or ""


def _localized(element: _Element, name: str) -> str:
    for holder in element.iterchildren(_rim(name)):
        for text in holder.iterchildren(_rim("LocalizedString")):
            return " ".join(text.get("value", "").split())
    return ""


def _first(values: tuple[_T, ...]) -> _T | None:
    return values[0] if values else None


# Writing


def _write(metadata: Metadata) -> _Element:
    root = etree.Element(f"{{{LCM}}}SubmitObjectsRequest", nsmap={"lcm": LCM, "rim": RIM})
    objects = _add(root, "RegistryObjectList")
    _write_set(objects, metadata.submission_set)
    for entry in metadata.entries:
        _write_entry(objects, entry)
    for entry in metadata.entries:
        _write_association(objects, metadata.submission_set, entry)
    etree.indent(root, space=" ")
    return root


def _write_set(objects: _Element, one: SubmissionSet) -> None:
    made = _add(objects, "RegistryPackage", id=one.entry_uuid, status=APPROVED)
    _write_slot(made, "submissionTime", one.submission_time)
    _write_localized(made, "Name", one.title)
    _write_localized(made, "Description", one.comments)
    _add(
        made,
        "Classification",
        id=_inner(one.entry_uuid, "node"),
        classificationNode=SET_NODE,
        classifiedObject=one.entry_uuid,
        nodeRepresentation="",
    )
    for number, author in enumerate(one.authors):
        _write_author(made, one.entry_uuid, SET_AUTHOR, author, number)
    _write_codes(made, one.entry_uuid, SET_CONTENT_TYPE, (one.content_type,))
    for scheme, name, value in (
        (SET_PATIENT_ID, "patientId", one.patient_id),
        (SET_SOURCE_ID, "sourceId", one.source_id),
        (SET_UNIQUE_ID, "uniqueId", one.unique_id),
    ):
        _write_external(made, one.entry_uuid, scheme, f"XDSSubmissionSet.{name}", value)


def _write_entry(objects: _Element, one: DocumentEntry) -> None:
    made = _add(
        objects,
        "ExtrinsicObject",
        id=one.entry_uuid,
        objectType=STABLE_DOCUMENT,
        mimeType=one.mime_type,
        status=APPROVED,
    )
    _write_entry_slots(made, one)
    _write_localized(made, "Name", one.title)
    _write_localized(made, "Description", one.comments)
    _write_codes(made, one.entry_uuid, ENTRY_EVENT, one.events)
    for number, author in enumerate(one.authors):
        _write_author(made, one.entry_uuid, ENTRY_AUTHOR, author, number)
    for scheme, codes in (
        (ENTRY_CLASS, (one.class_code,)),
        (ENTRY_CONFIDENTIALITY, one.confidentiality),
        (ENTRY_FORMAT, (one.format_code,)),
        (ENTRY_FACILITY, (one.facility,)),
        (ENTRY_PRACTICE, (one.practice_setting,)),
        (ENTRY_TYPE, (one.type_code,)),
    ):
        _write_codes(made, one.entry_uuid, scheme, codes)
    for scheme, name, value in (
        (ENTRY_PATIENT_ID, "patientId", one.patient_id),
        (ENTRY_UNIQUE_ID, "uniqueId", one.unique_id),
    ):
        _write_external(made, one.entry_uuid, scheme, f"XDSDocumentEntry.{name}", value)


def _write_entry_slots(made: _Element, one: DocumentEntry) -> None:
    action = next((slot for slot, known in ACTIONS.items() if known is one.action), "")
    for name, values in (
        ("hash", (one.hash,)),
        ("size", (str(one.size),)),
        ("URI", (one.uri,)),
        ("creationTime", (one.creation_time,)),
        ("languageCode", (one.language,)),
        ("legalAuthenticator", (one.legal_authenticator,)),
        ("serviceStartTime", (one.service_start_time,)),
        ("serviceStopTime", (one.service_stop_time,)),
        ("sourcePatientId", (one.source_patient_id,)),
        ("sourcePatientInfo", one.source_patient_info),
        (REFERENCES_SLOT, one.references),
        (ACTION_SLOT, (action,)),
    ):
        _write_slot(made, name, *values)


def _write_association(objects: _Element, one: SubmissionSet, entry: DocumentEntry) -> None:
    made = _add(
        objects,
        "Association",
        id=_inner(one.entry_uuid, f"member:{entry.entry_uuid}"),
        associationType=HAS_MEMBER,
        sourceObject=one.entry_uuid,
        targetObject=entry.entry_uuid,
    )
    _write_slot(made, "SubmissionSetStatus", "Original")


def _write_author(parent: _Element, own: str, scheme: str, author: Author, number: int) -> None:
    made = _add(
        parent,
        "Classification",
        id=_inner(own, f"author:{number}"),
        classificationScheme=scheme,
        classifiedObject=own,
        nodeRepresentation="",
    )
    _write_slot(made, "authorInstitution", *author.institutions)
    _write_slot(made, "authorPerson", author.person)
    _write_slot(made, "authorRole", *author.roles)
    _write_slot(made, "authorSpecialty", *author.specialties)


def _write_codes(parent: _Element, own: str, scheme: str, codes: tuple[Code | None, ...]) -> None:
    for number, code in enumerate(codes):
        if code is None:
            continue
        made = _add(
            parent,
            "Classification",
            id=_inner(own, f"{scheme}:{number}"),
            classificationScheme=scheme,
            classifiedObject=own,
            nodeRepresentation=code.code,
        )
        _write_slot(made, "codingScheme", code.system)
        _write_localized(made, "Name", code.display)


def _write_external(parent: _Element, own: str, scheme: str, name: str, value: str) -> None:
    made = _add(
        parent,
        "ExternalIdentifier",
        id=_inner(own, scheme),
        registryObject=own,
        identificationScheme=scheme,
        value=value,
    )
    _write_localized(made, "Name", name)


def _write_slot(parent: _Element, name: str, *values: str) -> None:
    present = [value for value in values if value]
    if not present:
        return
    holder = _add(_add(parent, "Slot", name=name), "ValueList")
    for value in present:
        _add(holder, "Value").text = value


def _write_localized(parent: _Element, name: str, text: str) -> None:
    made = _add(parent, name)
    if text:
        line = _add(made, "LocalizedString")
        line.set(f"{{{XML}}}lang", "FR")
        line.set("charset", "UTF8")
        line.set("value", text[:_TEXT_LENGTH])


def _inner(own: str, role: str) -> str:
    """Derive the identifier of an object inside another, so that writing needs no randomness."""
    return uuid5(UUID(plain_uuid(own).removeprefix("urn:uuid:")), role).urn


def _add(parent: _Element, tag: str, **attributes: str) -> _Element:
    return etree.SubElement(parent, _rim(tag), attributes)


def _rim(tag: str) -> str:
    return f"{{{RIM}}}{tag}"
