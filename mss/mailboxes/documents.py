"""Which health documents does a message carry, and what do they say about themselves?

A message carries documents in one or more archives (`IHE_XDM.ZIP`) and a readable PDF copy of each
beside them. Archives are recognised by name, type or content, since senders omit any of the three.
Whatever is wrong with an archive or a document is a finding: the message stays readable.

Pure: octets in, values out; safe to run in a thread.

Sources
    CI-SIS, volet Échange de documents de santé; référentiel #2, ECO.2.1.1 and ECO.2.1.5.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mss.clinical import finding
from mss.clinical.cda import CdaDocument, CdaSyntaxError, embedded_pdf, parse_cda
from mss.clinical.check import check_archive, check_cda
from mss.clinical.finding import Finding
from mss.clinical.mapping import describe, sha1
from mss.clinical.metadata import SubmissionSet
from mss.clinical.people import Actor
from mss.clinical.xdm import Archive, ArchiveDocument, ArchiveError, read_archive
from mss.errors import NotFoundError
from mss.mime.limits import MimeLimits
from mss.mime.parse import ParsedMessage, Part, parse_message, part_octets
from mss.pipeline.covers import MAX_ARCHIVES, is_named_archive

ZIP_MARK = b"PK\x03\x04"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientView:
    """Whom a document is about, as it says itself."""

    ins: str | None
    oid: str | None
    birth_name: str | None
    given_name: str | None
    birth_date: str | None
    sex: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorView:
    """Who wrote a document."""

    name: str
    organization: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentView:
    """One document; `number` counts from 1 over all archives of the message."""

    number: int
    archive_part: str
    file: str
    media_type: str
    size_octets: int
    sha1: str
    type_code: str | None
    type_label: str | None
    class_code: str | None
    format_code: str | None
    unique_id: str | None
    set_id: str | None
    version: str | None
    action: str
    title: str | None
    creation_time: str | None
    confidentiality: str | None
    patient: PatientView | None
    authors: tuple[AuthorView, ...]
    body: str
    has_pdf: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSet:
    """The documents of a message, and what there is to say about them."""

    documents: tuple[DocumentView, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Carried:
    """One document where it lies."""

    part: Part | None
    document: ArchiveDocument
    cda: CdaDocument | None


def list_documents(raw: bytes, limits: MimeLimits) -> DocumentSet:
    """Open every archive of a message and describe what is inside."""
    message = parse_message(raw, limits)
    findings: list[Finding] = []
    carried = list(_carried(message, findings))
    twins = _twins(message)
    return DocumentSet(
        documents=tuple(
            _view(number, one, has_twin=_twin_of(number, len(carried), twins) is not None)
            for number, one in enumerate(carried, start=1)
        ),
        findings=tuple(findings),
    )


def document_xml(raw: bytes, limits: MimeLimits, number: int) -> tuple[str, bytes]:
    """Fetch a document as it lies in its archive: (file name, octets).

    Raises:
        NotFoundError: The message has no such document.
    """
    carried = list(_carried(parse_message(raw, limits), []))
    if not 1 <= number <= len(carried):
        raise NotFoundError(what="document")
    document = carried[number - 1].document
    return document.file_name, document.octets


def document_pdf(raw: bytes, limits: MimeLimits, number: int) -> tuple[str, bytes]:
    """Fetch the readable form of a document: inside it, or beside the archive.

    Raises:
        NotFoundError: The message has no such document, or no PDF of it.
    """
    message = parse_message(raw, limits)
    carried = list(_carried(message, []))
    if not 1 <= number <= len(carried):
        raise NotFoundError(what="document")
    document = carried[number - 1].document
    inside = _embedded(document)
    if inside is not None:
        return f"{document.file_name.rpartition('.')[0]}.pdf", inside
    twin = _twin_of(number, len(carried), _twins(message))
    if twin is None:
        raise NotFoundError(what="document")
    return twin.filename or "document.pdf", part_octets(raw, twin)


def explain_file(name: str, octets: bytes) -> DocumentSet:
    """Describe an archive or a single CDA document outside of any message."""
    findings: list[Finding] = []
    if octets.startswith(ZIP_MARK):
        try:
            archive = read_archive(octets)
        except ArchiveError as error:
            problem = finding.error(error.code, error.public_text, error.public_text_fr, where=name)
            return DocumentSet(documents=(), findings=(problem,))
        findings = check_archive(archive)
        carried = [_Carried(part=None, document=one, cda=_parsed(one)) for one in archive.documents]
    else:
        findings = check_cda(octets, where=name)
        try:
            cda = parse_cda(octets)
        except CdaSyntaxError:
            return DocumentSet(documents=(), findings=tuple(findings))
        carried = [_Carried(part=None, document=_alone(name, octets, cda), cda=cda)]
    return DocumentSet(
        documents=tuple(
            _view(number, one, has_twin=False) for number, one in enumerate(carried, start=1)
        ),
        findings=tuple(findings),
    )


def _alone(name: str, octets: bytes, cda: CdaDocument) -> ArchiveDocument:
    """Give a document the metadata that it would have in an archive."""
    entry = describe(cda, octets, uri=name)
    return ArchiveDocument(
        path=name,
        octets=octets,
        sha1=sha1(octets),
        entry=entry,
        submission_set=SubmissionSet(),
    )


def _carried(message: ParsedMessage, findings: list[Finding]) -> Iterator[_Carried]:
    archives = [part for part in message.parts() if _may_be_archive(message, part)]
    for part in archives[:MAX_ARCHIVES]:
        archive = _open(message, part, findings)
        if archive is None:
            continue
        for document in archive.documents:
            yield _Carried(part=part, document=document, cda=_parsed(document))


def _may_be_archive(message: ParsedMessage, part: Part) -> bool:
    if is_named_archive(part):
        return True
    if part.content_type != "application/octet-stream":
        return False
    return part_octets(message.raw, part).startswith(ZIP_MARK)


def _open(message: ParsedMessage, part: Part, findings: list[Finding]) -> Archive | None:
    try:
        archive = read_archive(part_octets(message.raw, part))
    except ArchiveError as error:
        findings.append(
            finding.error(
                error.code, error.public_text, error.public_text_fr, where=f"part {part.path}"
            )
        )
        return None
    findings += check_archive(archive)
    return archive


def _parsed(document: ArchiveDocument) -> CdaDocument | None:
    try:
        return parse_cda(document.octets)
    except CdaSyntaxError:
        return None  # check_archive has said so


def _embedded(document: ArchiveDocument) -> bytes | None:
    try:
        return embedded_pdf(document.octets)
    except CdaSyntaxError:
        return None


def _twins(message: ParsedMessage) -> list[Part]:
    """Find the PDF copies that go beside the archives."""
    return [part for part in message.parts() if part.content_type == "application/pdf"]


def _twin_of(number: int, documents: int, twins: list[Part]) -> Part | None:
    """Pair documents and copies by their order, when there is one copy for each."""
    return twins[number - 1] if len(twins) == documents else None


def _view(number: int, one: _Carried, *, has_twin: bool) -> DocumentView:
    """Describe a document: by its own header, then by the metadata of the archive."""
    entry, document = one.document.entry, one.document
    header = one.cda.header if one.cda else None
    code = header.code if header and header.code else entry.type_code
    confidentiality = entry.confidentiality[0].code if entry.confidentiality else None
    return DocumentView(
        number=number,
        archive_part=one.part.path if one.part else "",
        file=document.file_name,
        media_type=entry.mime_type or "text/xml",
        size_octets=document.size_octets,
        sha1=document.sha1,
        type_code=code.code if code else None,
        type_label=(code.display or None) if code else None,
        class_code=entry.class_code.code if entry.class_code else None,
        format_code=entry.format_code.code if entry.format_code else None,
        unique_id=entry.unique_id or None,
        set_id=header.set_id.xds if header and header.set_id else None,
        version=str(header.version) if header and header.version else None,
        action=entry.action.value,
        title=(header.title if header else "") or entry.title or None,
        creation_time=entry.creation_time or None,
        confidentiality=confidentiality,
        patient=_patient(one.cda),
        authors=tuple(_author(actor) for actor in header.authors) if header else (),
        body=one.cda.body.value if one.cda else "none",
        has_pdf=has_twin or _embedded(document) is not None,
    )


def _patient(cda: CdaDocument | None) -> PatientView | None:
    patient = cda.header.patient if cda else None
    if patient is None:
        return None
    ins, traits = patient.ins, patient.traits
    return PatientView(
        ins=ins.matricule if ins else None,
        oid=ins.authority.value if ins else None,
        birth_name=traits.birth_name or None,
        given_name=traits.first_given or None,
        birth_date=traits.birth_date.text if traits.birth_date else None,
        sex=traits.sex or None,
    )


def _author(actor: Actor) -> AuthorView:
    if actor.name is not None:
        name = actor.name.full
    else:
        name = actor.device.software if actor.device else ""
    return AuthorView(
        name=name, organization=actor.organization.name if actor.organization else None
    )
