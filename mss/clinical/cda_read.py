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
from itertools import islice

from lxml import etree
from lxml.etree import _Element

from mss.clinical import vocabulary
from mss.clinical.cda_header_read import read_header
from mss.clinical.cda_values_read import attribute, every, first, read_code, read_identifiers
from mss.clinical.cda_values_read import text as text_at
from mss.clinical.document import BodyKind, CdaDocument, CdaSyntaxError, EmbeddedFile
from mss.clinical.entries import XSI, OpaqueEntry
from mss.clinical.header_form import odd_forms
from mss.clinical.narrative import CDA, Section, read_narrative
from mss.clinical.safe_xml import XMLRefusedError, parse_xml

XSL = "http://www.w3.org/1999/XSL/Transform"
PDF_COPY_CODE = "55108-5"  # section "Copie du document"
_ROOT = f"{{{CDA}}}ClinicalDocument"
_SECTION_DEPTH = 12
_MAX_HEADER_ELEMENTS = 10_000  # twenty times the largest official one
_MAX_FILES = 1_000


def parse_cda(octets: bytes) -> CdaDocument:
    """Read the header of a document and tell what its body is.

    Raises:
        CdaSyntaxError: The octets are not a CDA document, or XML with a forbidden construct.
    """
    return open_cda(octets)[1]


def open_cda(octets: bytes) -> tuple[_Element, CdaDocument]:
    """Read a document and keep its tree, for those who show the body.

    Raises:
        CdaSyntaxError: The octets are not a CDA document, or XML with a forbidden construct.
    """
    root, is_self_presenting = _open(octets)
    _refuse_endless_header(root)
    kind, media_type = _body(root)
    return root, CdaDocument(
        header=read_header(root),
        body=kind,
        media_type=media_type,
        patients=len(every(root, "h:recordTarget")),
        is_self_presenting=is_self_presenting,
        odd_forms=odd_forms(root),
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
    found = every(root, "h:component/h:structuredBody/h:component/h:section")
    return tuple(_section(one, _SECTION_DEPTH) for one in found)


def embedded_files(octets: bytes) -> tuple[EmbeddedFile, ...]:
    """Take out the files inside a document, the copy of the whole first.

    Raises:
        CdaSyntaxError: The octets are not a CDA document, or a file in it is not valid base64.
    """
    root, _ = _open(octets)
    files = [_file(one, is_copy=True) for one in every(root, "h:component/h:nonXMLBody/h:text")]
    for value in root.iter(f"{{{CDA}}}value"):
        parent = value.getparent()
        if parent is not None and parent.tag == f"{{{CDA}}}observationMedia":
            files.append(_file(value, is_copy=_is_in_copy_section(value)))
        if len(files) > _MAX_FILES:
            raise CdaSyntaxError("too-many-files")
    return tuple(sorted((one for one in files if one), key=lambda one: not one.is_copy))


def embedded_pictures(entry: bytes) -> dict[str, EmbeddedFile]:
    """Take the pictures out of an entry (`OpaqueEntry.xml`), each under its id.

    Raises:
        CdaSyntaxError: A picture is not valid base64.
    """
    found = {}
    for media in parse_xml(entry).iter(f"{{{CDA}}}observationMedia"):
        value = first(media, "h:value")
        if value is None or not value.get("mediaType", "").lower().startswith("image/"):
            continue
        picture = _file(value, is_copy=False)
        if picture and media.get("ID"):
            found[media.get("ID", "")] = picture
    return found


def embedded_pdf(octets: bytes) -> bytes | None:
    """Take out the PDF that shows the document: the body, the copy, or else the first one.

    Raises:
        CdaSyntaxError: The octets are not a CDA document, or a file in it is not valid base64.
    """
    found = (one for one in embedded_files(octets) if one.media_type == "application/pdf")
    pdf = next(found, None)
    return pdf.octets if pdf else None


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


def _refuse_endless_header(root: _Element) -> None:
    """Refuse ten thousand authors: each is read, described, checked and shown."""
    count = 0
    for child in root.iterchildren():
        if child.tag != f"{{{CDA}}}component":
            count += sum(1 for _ in islice(child.iter(), _MAX_HEADER_ELEMENTS))
        if count > _MAX_HEADER_ELEMENTS:
            raise CdaSyntaxError("header-too-large")


def _body(root: _Element) -> tuple[BodyKind, str]:
    if first(root, "h:component/h:structuredBody") is not None:
        return BodyKind.STRUCTURED, ""
    text = first(root, "h:component/h:nonXMLBody/h:text")
    if text is None:
        return BodyKind.NONE, ""
    media_type = text.get("mediaType", "text/plain").strip().lower()
    return BodyKind(vocabulary.find_body_kind(media_type) or "other"), media_type


def _section(element: _Element, depth: int) -> Section:
    text = first(element, "h:text")
    inner = every(element, "h:component/h:section") if depth > 0 else []
    return Section(
        title=text_at(element, "h:title"),
        blocks=read_narrative(text) if text is not None else (),
        code=read_code(first(element, "h:code")),
        templates=tuple(one.root for one in read_identifiers(element, "h:templateId")),
        id=attribute(first(element, "h:id"), "root"),
        entries=tuple(OpaqueEntry(_alone(one)) for one in every(element, "h:entry")),
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
    return section is not None and attribute(first(section, "h:code"), "code") == PDF_COPY_CODE


def _alone(entry: _Element) -> bytes:
    """Write an entry as a document of its own, with the namespaces that it uses."""
    types = (one.get(f"{{{XSI}}}type", "") for one in entry.iter())
    prefixes = sorted({name.partition(":")[0].strip() for name in types if ":" in name})
    return etree.tostring(
        entry,
        method="c14n",
        exclusive=True,
        inclusive_ns_prefixes=[one for one in prefixes if one in entry.nsmap],
    )
