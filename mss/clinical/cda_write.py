"""Write a CDA R2 document: a header, and a structured body or a file.

The result is valid against the CDA schema and holds what the French header rules ask for; writing
and reading are inverse: `parse_cda(build_cda(header, body)).header == header`.

Errors
    `CdaContentError` when the header lacks something that every French document must have.
Sources
    HL7 CDA R2, order of elements; ANS, CI-SIS, volet Structuration minimale.
"""

import base64

from lxml import etree
from lxml.etree import _Element

from mss.clinical import vocabulary
from mss.clinical.cda_header_write import write_header
from mss.clinical.cda_values_write import add, write_code
from mss.clinical.document import Body, CdaContentError, CdaHeader, FileBody, StructuredBody
from mss.clinical.entries import XSI, write_entry
from mss.clinical.narrative import CDA, Section, write_narrative

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
    write_header(root, header)
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


def _write_body(root: _Element, body: Body) -> None:
    component = add(root, "component")
    match body:
        case StructuredBody(sections):
            made = add(component, "structuredBody")
            for section in sections:
                _section(add(made, "component"), section)
        case FileBody(media_type, octets):
            text = base64.b64encode(octets).decode("ascii")
            lines = [text[at : at + _BASE64_LINE] for at in range(0, len(text), _BASE64_LINE)]
            made = add(add(component, "nonXMLBody"), "text", "\n".join(lines))
            made.set("mediaType", media_type)
            made.set("representation", "B64")


def _section(parent: _Element, section: Section) -> None:
    made = add(parent, "section")
    for template in section.templates:
        add(made, "templateId", root=template)
    if section.id:
        add(made, "id", root=section.id)
    write_code(made, "code", section.code)
    add(made, "title", section.title)
    if section.blocks or not section.sections:  # else the text is in the sections inside
        write_narrative(made, section.blocks)
    for entry in section.entries:
        write_entry(made, entry)
    for inner in section.sections:
        _section(add(made, "component"), inner)
