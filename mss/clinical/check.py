"""Say what is wrong with an archive or a document; a fault of content never raises.

Three layers: the file is what the metadata announce (fingerprint, size, one patient); the metadata
say what the document says (`check_metadata`); the document keeps the national rules of the header
and its files can be read (`check_header`, `check_identity`, `check_body`). An *error* means that
whoever receives the document should not rely on it as it is. Published examples break lesser
rules, so those are warnings; a message is never refused for them. docs/document-findings.md lists
every code.

Errors
    None.
Sources
    ANS, CI-SIS, volets Structuration minimale and Échange de documents de santé; the examples of
    documents that ANS publishes.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from mss.clinical import finding
from mss.clinical.cda_read import parse_cda
from mss.clinical.check_body import check_body
from mss.clinical.check_header import check_header
from mss.clinical.check_identity import Environment, check_identity
from mss.clinical.check_metadata import check_entry, check_set
from mss.clinical.document import CdaDocument, CdaHeader, CdaSyntaxError
from mss.clinical.finding import Finding, Severity
from mss.clinical.patient import Patient
from mss.clinical.people import Identifier, parse_cx
from mss.clinical.xdm import Archive, ArchiveDocument

__all__ = ["Environment", "check_archive", "check_cda", "check_document", "has_errors"]

_XML_TYPES = frozenset({"text/xml", "application/xml", "application/xslt+xml"})
_NOBODY = ("", "")


Read = CdaDocument | CdaSyntaxError | None


def check_archive(
    archive: Archive,
    *,
    environment: Environment | None = None,
    at: datetime | None = None,
    documents: Sequence[Read] | None = None,
) -> list[Finding]:
    """List everything worth saying about an archive and each of its documents.

    Args:
        archive: The archive, as read.
        environment: If given, an INS of the other world is remarked upon.
        at: If given, dates later than this instant are remarked upon.
        documents: What `read_document` made of each, if that is known already.
    """
    found = list(archive.findings)
    if not archive.documents:
        found.append(finding.of("archive-empty"))
    if documents is None:
        documents = [read_document(one) for one in archive.documents]
    read = list(zip(archive.documents, documents, strict=True))
    found += _one_patient(archive, [cda for _, cda in read if isinstance(cda, CdaDocument)])
    found += _distinct(archive)
    for number, one in enumerate(archive.submission_sets, start=1):
        found += check_set(one, f"SubmissionSet{number:02d}")
    for document, cda in read:
        found += document.findings
        found += _as_announced(document)
        if isinstance(cda, CdaSyntaxError):
            found.append(_not_cda(cda, document.path))
        elif cda is not None:
            found += check_entry(document.entry, cda, document.octets, document.path)
            found += check_document(
                cda, document.octets, environment=environment, at=at, where=document.path
            )
    return list(dict.fromkeys(found))


def check_cda(
    octets: bytes,
    *,
    environment: Environment | None = None,
    at: datetime | None = None,
    where: str = "",
) -> list[Finding]:
    """List everything worth saying about one document outside any archive."""
    try:
        cda = parse_cda(octets)
    except CdaSyntaxError as error:
        return [_not_cda(error, where)]
    found = check_document(cda, octets, environment=environment, at=at, where=where)
    return list(dict.fromkeys(found))


def check_document(
    cda: CdaDocument,
    octets: bytes,
    *,
    environment: Environment | None = None,
    at: datetime | None = None,
    where: str = "",
) -> Iterator[Finding]:
    """Say what is wrong with a document that has been read from *octets*."""
    yield from check_header(cda, at, where)
    yield from check_identity(cda.header, environment, where)
    yield from check_body(cda, octets, where)


def has_errors(findings: Iterable[Finding]) -> bool:
    """Tell whether one of the findings is an error."""
    return any(one.severity is Severity.ERROR for one in findings)


def read_document(document: ArchiveDocument) -> Read:
    """Read a document; `None` for a listed file that is of another kind, such as a style sheet."""
    if not document.is_cda:
        return None
    try:
        return parse_cda(document.octets)
    except CdaSyntaxError as error:
        return error


def _not_cda(error: CdaSyntaxError, where: str) -> Finding:
    return finding.of("document-not-cda", name=error.reason, where=where)


def _one_patient(archive: Archive, read: list[CdaDocument]) -> Iterator[Finding]:
    announced = [one.patient_id for one in archive.submission_sets]
    announced += [one.entry.patient_id for one in archive.documents]
    people = {_person(parse_cx(text)) for text in announced}
    people |= {_person(_subject(one.header)) for one in read}
    if len(people - {_NOBODY}) > 1:
        yield finding.of("several-patients")


def _subject(header: CdaHeader) -> Identifier | None:
    """The identifier that stands for the patient: the INS, else the local number."""
    patient = header.patient or Patient()
    return patient.ins.identifier if patient.ins else patient.local_id


def _person(identifier: Identifier | None) -> tuple[str, str]:
    return (identifier.root, identifier.extension or "") if identifier else _NOBODY


def _distinct(archive: Archive) -> Iterator[Finding]:
    ids = [one.entry.unique_id for one in archive.documents if one.entry.unique_id]
    paths = [one.path for one in archive.documents]
    if len(set(ids)) < len(ids) or len(set(paths)) < len(paths):
        yield finding.of("document-twice")


def _as_announced(document: ArchiveDocument) -> Iterator[Finding]:
    if not document.has_declared_hash:
        yield finding.of("document-hash", where=document.path)
    if not document.has_declared_size:
        yield finding.of("document-size", where=document.path)
    if not document.is_cda:
        yield finding.of("document-other-kind", where=document.path)
    elif document.entry.mime_type.lower().partition(";")[0].strip() not in _XML_TYPES:
        yield finding.of("metadata-mime-type", where=document.path)
