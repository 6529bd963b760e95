"""Derive the metadata of a document from its header, as the national table says.

The same derivation serves to write an archive and to judge one: `check` compares what a sender
wrote with what the document says.

Errors
    None: what the header lacks is left empty, and `metadata.build_metadata` refuses it.
Sources
    ANS, lien entre l'en-tête CDA et les métadonnées XDS.
"""

import hashlib
from datetime import UTC, datetime
from uuid import UUID, uuid5

from mss.clinical import vocabulary
from mss.clinical.document import BodyKind, CdaDocument, CdaHeader
from mss.clinical.metadata import Action, Author, DocumentEntry, SubmissionSet
from mss.clinical.patient import INSAuthority, Patient
from mss.clinical.people import (
    Actor,
    ActorKind,
    Code,
    Identifier,
    build_cx,
    build_specialty,
    build_xcn,
    build_xon,
    clean,
)
from mss.clinical.times import HL7Time

MIME_TYPE = "text/xml"
_IMAGING_REPORT = "18748-4"
_HOSPITALS = frozenset({"SA01", "SA02", "SA03", "SA04"})
_ACTIVITIES = {"IMP": "03", "AMB": "07", "EXTERNE": "07", "EMER": "07", "ACUTE": "03"}


def describe(
    document: CdaDocument, octets: bytes, *, uri: str, action: Action | None = None
) -> DocumentEntry:
    """Write the entry of one document, without the identifier that the archive gives it.

    Args:
        document: The document as read from *octets*.
        octets: The file exactly as it lies in the archive.
        uri: Its file name there.
        action: What to do with it; by default a document that replaces another says so.
    """
    header = document.header
    act, patient = header.main_act, header.patient or Patient()
    kind = type_code(header)
    employer = act.performer.organization if act and act.performer else None
    return DocumentEntry(
        unique_id=header.id.xds if header.id else "",
        uri=uri,
        mime_type=MIME_TYPE,
        hash=sha1(octets),
        size=len(octets),
        title=header.title,
        language=header.language,
        creation_time=_xds(header.effective_time),
        service_start_time=_xds(act.start if act else None),
        service_stop_time=_xds(act.stop if act else None),
        patient_id=patient_id(patient),
        source_patient_id=source_patient_id(patient),
        source_patient_info=source_patient_info(patient),
        legal_authenticator=build_xcn(header.legal_authenticator)
        if header.legal_authenticator
        else "",
        authors=tuple(describe_author(one) for one in header.authors),
        type_code=kind,
        class_code=vocabulary.find_class(kind.code) if kind else None,
        format_code=format_code(document),
        facility=_plain(header.encounter.facility if header.encounter else None),
        practice_setting=_plain(employer.practice_setting if employer else None),
        confidentiality=_all_plain(header.confidentiality),
        events=event_codes(header),
        action=action or (Action.REPLACE if is_replacement(header) else Action.NEW),
    )


def describe_set(
    header: CdaHeader, *, set_uuid: UUID, at: datetime, content_type: Code | None = None
) -> SubmissionSet:
    """Write the submission set around documents of which *header* is the first one's."""
    patient = header.patient or Patient()
    return SubmissionSet(
        entry_uuid=set_uuid.urn,
        unique_id=uuid_oid(set_uuid),
        source_id=source_id(header),
        patient_id=patient_id(patient),
        submission_time=at.astimezone(UTC).strftime("%Y%m%d%H%M%S"),
        title=header.title,
        content_type=content_type or default_content_type(header),
        authors=tuple(describe_author(one) for one in header.authors),
    )


def entry_uuid(set_uuid: UUID, unique_id: str) -> UUID:
    """Derive the identifier of an entry from that of its set."""
    return uuid5(set_uuid, f"document:{unique_id}")


def uuid_oid(value: UUID) -> str:
    """Write a UUID as an OID (ITU-T X.667): digits and dots, at most 44 characters."""
    return f"2.25.{value.int}"


def sha1(octets: bytes) -> str:
    """Compute the fingerprint that metadata carry; it detects accidents, not forgery."""
    return hashlib.sha1(octets, usedforsecurity=False).hexdigest().upper()


def is_replacement(header: CdaHeader) -> bool:
    """Tell whether a document takes the place of an earlier version of itself."""
    return bool(header.replaces) or (header.version or 1) > 1


def patient_id(patient: Patient) -> str:
    """Write the identifier that says who the document is about: the INS, else the local number."""
    if patient.ins:
        return build_cx(patient.ins.identifier, kind="NH")
    return build_cx(patient.local_id, kind="PI") if patient.local_id else ""


def source_patient_id(patient: Patient) -> str:
    """Write the sender's own number for the patient, else the INS."""
    if patient.local_id:
        return build_cx(patient.local_id, kind="PI")
    return patient_id(patient)


def source_patient_info(patient: Patient) -> tuple[str, ...]:
    """Write the traits, one PID field a value; a trait that is missing has no value."""
    traits = patient.traits
    lines = []
    if traits.birth_name or traits.first_given or traits.all_given:
        names = map(clean, (traits.birth_name, traits.first_given, traits.all_given))
        lines.append(f"PID-5|{'^'.join(names)}^^^^L")
    if traits.used_name or traits.used_given:
        lines.append(f"PID-5|{clean(traits.used_name)}^{clean(traits.used_given)}^^^^^D")
    if traits.birth_date:
        lines.append(f"PID-7|{clean(traits.birth_date.text)}")
    if traits.sex:
        lines.append(f"PID-8|{clean(traits.sex)}")
    if traits.birth_place:
        lines.append(f"PID-11|^^^^^^BDL^^{clean(traits.birth_place)}")
    lines += [f"PID-3|{build_cx(one, kind='PI')}" for one in further_local_ids(patient)]
    return tuple(lines)


def further_local_ids(patient: Patient) -> tuple[Identifier, ...]:
    """List the numbers of other structures, beside the one that `sourcePatientId` carries."""
    roots, first = set(INSAuthority), patient.local_id
    others = (one for one in patient.identifiers if one.root not in roots and one.extension)
    return tuple(one for one in others if one != first)


def source_id(header: CdaHeader) -> str:
    """Write the OID of who keeps the document: the structure's root and number."""
    keeper = header.custodian.id if header.custodian else None
    if keeper is None:
        return ""
    return ".".join(filter(None, (keeper.root, keeper.extension)))


def describe_author(actor: Actor) -> Author:
    """Write one author; a patient has no institution."""
    has_institution = actor.organization is not None and actor.kind is not ActorKind.PATIENT
    return Author(
        person=build_xcn(actor),
        institutions=(build_xon(actor.organization),)
        if actor.organization and has_institution
        else (),
        roles=(clean(actor.role.display),) if actor.role and actor.role.display else (),
        specialties=(build_specialty(actor.specialty),) if actor.specialty else (),
    )


def event_codes(header: CdaHeader) -> tuple[Code, ...]:
    """List the acts; an imaging report also names procedure, modality and region of each."""
    is_imaging = header.code is not None and header.code.code == _IMAGING_REPORT
    found: list[Code | None] = []
    for act in header.acts:
        found.append(act.code)
        found += act.translations if is_imaging else ()
    return _all_plain(*found)


def references(header: CdaHeader) -> tuple[str, ...]:
    """List the numbers by which a receiver may link the document to a request or examination.

    Orders, accession numbers and, in imaging, the studies. Published archives carry none, so
    `describe` leaves them out; a sender that wants them hands them to the archive.
    """
    found = [
        *((one, "urn:ihe:iti:xds:2013:order") for order in header.orders for one in order.ids),
        *(
            (one, "urn:ihe:iti:xds:2013:accession")
            for order in header.orders
            for one in order.accession_numbers
        ),
    ]
    if header.code is not None and header.code.code == _IMAGING_REPORT:
        found += [
            (one, "urn:ihe:iti:xds:2016:studyInstanceUID") for act in header.acts for one in act.ids
        ]
    return tuple(dict.fromkeys(_reference(one, kind) for one, kind in found))


def _reference(identifier: Identifier, kind: str) -> str:
    """Write a CXi; a number without an extension is its own, without an authority."""
    if identifier.extension is None:
        return f"{clean(identifier.root)}^^^^{kind}"
    return build_cx(identifier, kind=kind)


def type_code(header: CdaHeader) -> Code | None:
    """Write the type with its official label, which documents often spell in their own way."""
    own = _plain(header.code)
    known = vocabulary.find_type(own.code) if own else None
    return known.code if known and own and known.code.key == own.key else own


def format_code(document: CdaDocument) -> Code | None:
    """Find the format: by media type for one file, by template for a structured body."""
    if document.body is BodyKind.STRUCTURED:
        model = vocabulary.find_model(document.header.template_roots)
        return model.formats[0] if model and model.formats else None
    return vocabulary.find_unstructured_format(document.media_type)


def default_content_type(header: CdaHeader) -> Code | None:
    """Choose the activity that led to the set.

    Outside hospitals it is the kind of facility. The hospital kinds are not allowed here, so there
    the kind of stay decides.
    """
    place = header.encounter
    facility = _plain(place.facility if place else None)
    if place is None or facility is None:
        return None
    if facility.code not in _HOSPITALS:
        return facility
    act = header.main_act
    kind = place.code or (act.code if act else None)
    return vocabulary.code("content_types", _ACTIVITIES.get(kind.code if kind else "", "97"))


def _plain(code: Code | None) -> Code | None:
    """Keep what metadata carry of a code; one that only says why it is missing is none."""
    return Code(code.code, code.system, code.display) if code and code.code else None


def _all_plain(*codes: Code | None) -> tuple[Code, ...]:
    return tuple(one for one in map(_plain, codes) if one is not None)


def _xds(time: HL7Time | None) -> str:
    return time.xds if time else ""
