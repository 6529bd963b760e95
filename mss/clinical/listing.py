"""What does each document say about itself, in the few facts that a list shows?

By the document's own header first, then by the metadata of the archive around it.

Shapes
    A `DocumentView` is one line of a list, with the findings that are about this document alone.
    It holds values only, so it can be stored.
Errors
    None: whatever is wrong with a file is a finding.
Sources
    CI-SIS, volets Échange de documents de santé and Structuration minimale.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mss.clinical import finding, vocabulary
from mss.clinical.cda import CdaDocument, CdaSyntaxError, parse_cda
from mss.clinical.check import Environment, check_archive, check_cda, read_document
from mss.clinical.document import BodyKind
from mss.clinical.finding import Finding
from mss.clinical.mapping import describe, sha1
from mss.clinical.metadata import Action, SubmissionSet
from mss.clinical.people import Actor, Code
from mss.clinical.xdm import ArchiveDocument, ArchiveError, read_archive

ZIP_MARK = b"PK\x03\x04"
PDF = "application/pdf"

Check = Callable[[bytes], Sequence[Finding]]


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
    """One document; `number` counts from 1 over all archives of a message.

    Attributes:
        archive_part: The path of its archive among the parts of the message; empty for none.
        replaces: Identifiers of the documents that it takes the place of.
        has_pdf: A readable copy is inside it, or goes beside it.
        has_html: It can be shown as a page.
    """

    number: int
    archive_part: str
    file: str
    media_type: str
    size_octets: int
    sha1: str
    type_code: str | None
    type_label: str | None
    class_code: str | None
    class_label: str | None = None
    format_code: str | None
    unique_id: str | None
    set_id: str | None
    version: str | None
    action: str
    replaces: tuple[str, ...] = ()
    title: str | None
    creation_time: str | None
    confidentiality: str | None
    patient: PatientView | None
    authors: tuple[AuthorView, ...]
    body: str
    has_pdf: bool
    has_html: bool = True
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSet:
    """Some documents, and what there is to say about them all; theirs are with them."""

    documents: tuple[DocumentView, ...]
    findings: tuple[Finding, ...]

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """What there is to say about anything here."""
        own = (one for document in self.documents for one in document.findings)
        return (*self.findings, *own)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedDocument:
    """One document where it lies, read once.

    Attributes:
        cda: `None` if its octets are no CDA document.
        twin: The PDF copy that goes beside the archive, as the part that holds it is called.
    """

    part: str = ""
    document: ArchiveDocument
    cda: CdaDocument | None
    findings: tuple[Finding, ...] = ()
    twin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedArchive:
    """The documents of one archive, and the findings that are about none of them alone."""

    documents: tuple[CarriedDocument, ...]
    findings: tuple[Finding, ...]


def open_archive(
    octets: bytes,
    *,
    part: str = "",
    where: str = "",
    at: datetime | None = None,
    environment: Environment | None = None,
) -> OpenedArchive:
    """Open an archive and judge everything in it.

    Args:
        octets: The archive.
        part: The path of the part of a message that it was.
        where: What to call it if it cannot be opened.
        at: If given, dates later than this instant are remarked upon.
        environment: If given, an INS of the other world is remarked upon.
    """
    try:
        archive = read_archive(octets)
    except ArchiveError as error:
        problem = finding.error(error.code, error.public_text, error.public_text_fr, where=where)
        return OpenedArchive(documents=(), findings=(problem,))
    read = [read_document(one) for one in archive.documents]
    findings = check_archive(archive, environment=environment, at=at, documents=read)
    paths = [one.path for one in archive.documents]
    return OpenedArchive(
        documents=tuple(
            CarriedDocument(
                part=part,
                document=one,
                cda=cda if isinstance(cda, CdaDocument) else None,
                findings=tuple(each for each in findings if _is_about(each, one.path)),
            )
            for one, cda in zip(archive.documents, read, strict=True)
        ),
        findings=tuple(one for one in findings if not any(_is_about(one, path) for path in paths)),
    )


def describe_file(name: str, octets: bytes, *, more: Check | None = None) -> DocumentSet:
    """Describe an archive, or a single document, outside of any message.

    Args:
        name: What to call it.
        octets: The file.
        more: A further check of each document that can be read.
    """
    if octets.startswith(ZIP_MARK):
        opened = open_archive(octets, where=name)
    else:
        opened = _alone(name, octets)
    carried = opened.documents
    if more is not None:
        carried = tuple(
            replace(one, findings=(*one.findings, *_located(more, one))) for one in carried
        )
    return DocumentSet(documents=describe_all(carried), findings=opened.findings)


def read_file(name: str, octets: bytes) -> tuple[bytes, ...]:
    """Take the documents out of a file, in the order in which `describe_file` describes them."""
    opened = open_archive(octets) if octets.startswith(ZIP_MARK) else _alone(name, octets)
    return tuple(one.document.octets for one in opened.documents)


def describe_all(carried: Sequence[CarriedDocument]) -> tuple[DocumentView, ...]:
    """Describe documents in the order in which they are carried."""
    return tuple(_view(number, one) for number, one in enumerate(carried, start=1))


def _is_about(one: Finding, path: str) -> bool:
    """Tell whether a finding is about this document, or a place in it."""
    return one.where == path or one.where.startswith((f"{path}:", f"{path}#", f"{path}/"))


def _located(check: Check, one: CarriedDocument) -> tuple[Finding, ...]:
    if one.cda is None:
        return ()
    found = check(one.document.octets)
    return tuple(each if each.where else replace(each, where=one.document.path) for each in found)


def _alone(name: str, octets: bytes) -> OpenedArchive:
    """Give a document the metadata that it would have in an archive."""
    findings = tuple(check_cda(octets, where=name))
    cda = _parsed(octets)
    if cda is None:
        return OpenedArchive(documents=(), findings=findings)
    document = ArchiveDocument(
        path=name,
        octets=octets,
        sha1=sha1(octets),
        entry=describe(cda, octets, uri=name),
        submission_set=SubmissionSet(),
    )
    carried = CarriedDocument(document=document, cda=cda, findings=findings)
    return OpenedArchive(documents=(carried,), findings=())


def _parsed(octets: bytes) -> CdaDocument | None:
    try:
        return parse_cda(octets)
    except CdaSyntaxError:
        return None  # the check has said so


def _has_pdf(one: CarriedDocument) -> bool:
    """Tell whether there is a copy to read; the check has decoded what is inside."""
    if one.cda is None:
        return one.document.octets.startswith(b"%PDF-")
    if one.twin is not None or one.cda.body is BodyKind.PDF:
        return True
    octets = one.document.octets
    is_readable = all(each.code != "body-unreadable" for each in one.findings)
    return is_readable and b"observationMedia" in octets and PDF.encode() in octets


def _view(number: int, one: CarriedDocument) -> DocumentView:
    entry, document = one.document.entry, one.document
    header = one.cda.header if one.cda else None
    code = header.code if header and header.code else entry.type_code
    class_code = entry.class_code or (vocabulary.find_class(code.code) if code else None)
    return DocumentView(
        number=number,
        archive_part=one.part,
        file=document.file_name,
        media_type=entry.mime_type or "text/xml",
        size_octets=document.size_octets,
        sha1=document.sha1,
        type_code=code.code if code else None,
        type_label=vocabulary.label(code) if code else None,
        class_code=class_code.code if class_code else None,
        class_label=_label(class_code),
        format_code=entry.format_code.code if entry.format_code else None,
        unique_id=(header.id.xds if header and header.id else entry.unique_id) or None,
        set_id=header.set_id.xds if header and header.set_id else None,
        version=str(header.version) if header and header.version else None,
        action=entry.action.value,
        replaces=tuple(each.xds for each in header.replaces) if header else (),
        title=(header.title if header else "") or entry.title or None,
        creation_time=entry.creation_time or None,
        confidentiality=entry.confidentiality[0].code if entry.confidentiality else None,
        patient=_patient(one.cda),
        authors=tuple(_author(actor) for actor in header.authors) if header else (),
        body=one.cda.body.value if one.cda else "none",
        has_pdf=_has_pdf(one),
        has_html=one.cda is not None,
        findings=one.findings,
    )


def is_deletion(view: DocumentView) -> bool:
    """Tell whether the sender asks for the document to be deleted."""
    return view.action == Action.DELETE.value


def _label(code: Code | None) -> str | None:
    return (code.display or None) if code else None


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
