"""Make a letter that can be sent out of what a practice knows, or say all that is wrong with it.

For each document: a CDA (one file inside, or sections), and its PDF copy under the national name.
For all of them: the archive, the subject, the header fields and a text for people. The same
arguments always give the same octets.

Errors
    `LetterContentError` with every finding at once; nothing is sent, nothing was asked of anybody.
Sources
    ANS, Référentiel #2, ECO.2.1.1 to ECO.2.1.6, ECO.2.4.1, ECO.2.4.2; our ADR 0025.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from mss.clinical import vocabulary
from mss.clinical.cda_read import parse_cda
from mss.clinical.cda_write import build_cda, missing_elements
from mss.clinical.check import Environment, check_cda
from mss.clinical.document import (
    Body,
    CdaHeader,
    CdaSyntaxError,
    FileBody,
    Informant,
    StructuredBody,
)
from mss.clinical.draft import DocumentDraft, DraftAction, HiddenFrom, LetterDraft, SectionDraft
from mss.clinical.draft_discharge import TEMPLATE as DISCHARGE_TEMPLATE
from mss.clinical.draft_discharge import TYPE as DISCHARGE_TYPE
from mss.clinical.draft_discharge import discharge_sections
from mss.clinical.draft_files import PDF, read_file, read_pdf
from mss.clinical.draft_header import HeaderWriter
from mss.clinical.draft_known import Known
from mss.clinical.draft_lengths import check_lengths
from mss.clinical.draft_notes import LetterContentError, Notes
from mss.clinical.draft_patient import read_informants, read_patient
from mss.clinical.draft_summary import TEMPLATE as SUMMARY_TEMPLATE
from mss.clinical.draft_summary import TYPE as SUMMARY_TYPE
from mss.clinical.draft_summary import summary_sections
from mss.clinical.draft_text import TextWriter
from mss.clinical.draft_times import in_france
from mss.clinical.finding import Finding
from mss.clinical.letter import cover, readable_subject
from mss.clinical.mapping import patient_id
from mss.clinical.metadata import Action, MetadataContentError
from mss.clinical.narrative import Section
from mss.clinical.patient import Patient
from mss.clinical.people import Identifier
from mss.clinical.xdm import (
    Application,
    ArchiveContentError,
    OutgoingDocument,
    build_archive,
)

MAX_DOCUMENTS: Final = 100
_CONTENTS: Final = ("file", "cda", "sections", "discharge", "summary")
_WITH_CDA: Final = frozenset({"cda", "pdf", "action", "hidden_from"})
_ACTIONS: Final = {
    DraftAction.NEW: Action.NEW,
    DraftAction.REPLACE: Action.REPLACE,
    DraftAction.DELETE: Action.DELETE,
}
_HIDDEN: Final = {
    HiddenFrom.PROFESSIONALS: "MASQUE_PS",
    HiddenFrom.PATIENT: "INVISIBLE_PATIENT",
    HiddenFrom.REPRESENTATIVES: "INVISIBLE_REPRESENTANTS_LEGAUX",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltDocument:
    """One document of a letter, with its readable copy."""

    header: CdaHeader
    cda: bytes = field(repr=False)
    pdf: bytes = field(repr=False)
    pdf_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltLetter:
    """All that a mail needs.

    Attributes:
        headers: `X-MSS-CODECDA` and `X-MSS-INS`.
        text: A few words for people, without anything that the subject does not say.
        findings: Warnings; there is no error among them.
    """

    documents: tuple[BuiltDocument, ...]
    archive: bytes = field(repr=False)
    subject: str
    headers: Mapping[str, str]
    text: str
    findings: tuple[Finding, ...] = ()


def build_letter(
    draft: LetterDraft,
    *,
    at: datetime,
    letter_id: UUID,
    known: Known | None = None,
    application: Application | None = None,
) -> BuiltLetter:
    """Make the documents, their archive and what the mail says about them.

    Args:
        draft: What the practice knows.
        at: Now; the date of documents that have none.
        letter_id: New for each letter; every other identifier derives from it.
        known: What the directory adds.
        application: The software to name in the archive.

    Raises:
        LetterContentError: Something is missing or wrong.
    """
    known, notes = known or Known(), Notes()
    check_lengths(draft, notes)
    parts = _read(draft, at=at, letter_id=letter_id, known=known, notes=notes)
    _check_together(parts, notes)
    if notes.has_errors:
        raise LetterContentError(tuple(notes.found))
    return _assemble(parts, at=at, letter_id=letter_id, application=application, notes=notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One document, written as far as its draft allows.

    Attributes:
        body: What is to be written; `None` for a document that is ready.
        sections: What people read, where a PDF must be made of it.
    """

    draft: DocumentDraft
    header: CdaHeader
    body: Body | None
    sections: tuple[Section, ...]
    pdf: bytes | None
    where: str


def _read(
    draft: LetterDraft, *, at: datetime, letter_id: UUID, known: Known, notes: Notes
) -> list[_Part]:
    if not 0 < len(draft.documents) <= MAX_DOCUMENTS:
        notes.add("letter-documents", "/documents")
    patient, informants = _patient(draft, at=at, known=known, notes=notes)
    found = (
        _document(
            one,
            patient=patient,
            informants=informants,
            known=known,
            at=at,
            identity=uuid5(letter_id, f"document:{number}"),
            notes=notes,
            where=f"/documents/{number}",
        )
        for number, one in enumerate(draft.documents[:MAX_DOCUMENTS])
    )
    return [one for one in found if one is not None]


def _patient(
    draft: LetterDraft, *, at: datetime, known: Known, notes: Notes
) -> tuple[Patient, tuple[Informant, ...]]:
    if draft.patient is None:
        if any(one.cda is None for one in draft.documents):
            notes.add("letter-field-missing", "/patient")
        return Patient(), ()
    patient = read_patient(draft.patient, is_production=known.is_production, at=at, notes=notes)
    return patient, read_informants(draft.patient.relatives, notes=notes)


def _document(
    draft: DocumentDraft,
    *,
    patient: Patient,
    informants: tuple[Informant, ...],
    known: Known,
    at: datetime,
    identity: UUID,
    notes: Notes,
    where: str,
) -> _Part | None:
    _check_visibility(draft, known, notes, where)
    pdf = read_pdf(draft.pdf, notes=notes, where=f"{where}/pdf") if draft.pdf else None
    contents = [name for name in _CONTENTS if getattr(draft, name)]
    if len(contents) != 1:
        notes.add("letter-content-twice" if contents else "letter-content-missing", where)
    if contents[:1] == ["cda"]:
        part = _ready(draft, pdf, notes, where)
        if part is not None:
            _check_ready(part, patient, known=known, at=at, notes=notes)
        return part
    _check_type(draft, notes, where)
    writer = HeaderWriter(
        draft=draft,
        patient=patient,
        informants=informants,
        known=known,
        at=at,
        identity=identity,
        notes=notes,
        where=where,
    )
    text = TextWriter(identity=identity, written=in_france(at), notes=notes)
    template, body, sections = _content(draft, text, notes, where)
    header = writer.write(_templates(template))
    return _Part(draft=draft, header=header, body=body, sections=sections, pdf=pdf, where=where)


def _check_type(draft: DocumentDraft, notes: Notes, where: str) -> None:
    code = notes.require(draft.type, f"{where}/type")
    if code and vocabulary.find_type(code) is None:
        notes.add("letter-type-unknown", f"{where}/type")
    for content, only in (("discharge", DISCHARGE_TYPE), ("summary", SUMMARY_TYPE)):
        if getattr(draft, content) and code != only:
            notes.add("letter-type-differs", f"{where}/type", name=only)
        elif code == only and not getattr(draft, content):
            notes.add("letter-type-model", f"{where}/type", name=content)


def _check_visibility(draft: DocumentDraft, known: Known, notes: Notes, where: str) -> None:
    """Remark a recipient from whom the document is hidden."""
    if known.goes_to.intersection(draft.hidden_from):
        notes.add("letter-hidden", f"{where}/hidden_from")


def _templates(template: Identifier) -> tuple[Identifier, ...]:
    return (*(Identifier(one) for one in vocabulary.FIXED_TEMPLATES), template)


def _content(
    draft: DocumentDraft, text: TextWriter, notes: Notes, where: str
) -> tuple[Identifier, Body | None, tuple[Section, ...]]:
    """Write what the document says: its model, its body, and the sections to show people."""
    unstructured = Identifier(vocabulary.UNSTRUCTURED_TEMPLATE)
    if draft.discharge is not None:
        found = discharge_sections(draft.discharge, write=text, where=f"{where}/discharge")
        return DISCHARGE_TEMPLATE, StructuredBody(found), found
    if draft.summary is not None:
        found = summary_sections(draft.summary, write=text, where=f"{where}/summary")
        return SUMMARY_TEMPLATE, StructuredBody(found), found
    if draft.file is not None:
        file = read_file(draft.file, notes=notes, where=f"{where}/file")
        return unstructured, FileBody(*file) if file else None, ()
    found = tuple(
        text.free_section(one, f"{where}/sections/{number}")
        for number, one in enumerate(draft.sections)
    )
    if draft.template is None:
        if any(map(_has_codes, draft.sections)):
            notes.add("letter-facts-lost", f"{where}/sections")
        return unstructured, None, found  # becomes a PDF once the header is known
    model = vocabulary.find_model((draft.template.root,))
    if model is None or (model.types and draft.type not in model.types):
        notes.add("letter-template", f"{where}/template")
    return draft.template, StructuredBody(found), found


def _has_codes(section: SectionDraft) -> bool:
    is_coded = bool(section.facts or section.templates)
    return is_coded or any(map(_has_codes, section.sections))


def _ready(draft: DocumentDraft, pdf: bytes | None, notes: Notes, where: str) -> _Part | None:
    """Take a document that is ready; nothing else may be said about it."""
    for one in fields(draft):
        if one.name not in _WITH_CDA and getattr(draft, one.name) != one.default:
            notes.add("letter-cda-said-twice", f"{where}/{one.name}")
    assert draft.cda is not None  # the caller has looked
    try:
        read = parse_cda(draft.cda.octets)
    except CdaSyntaxError:
        notes.add("letter-cda-unreadable", f"{where}/cda")
        return None
    return _Part(draft=draft, header=read.header, body=None, sections=(), pdf=pdf, where=where)


def _check_ready(
    part: _Part, patient: Patient, *, known: Known, at: datetime, notes: Notes
) -> None:
    """Judge a document that is ready as its receiver will, and whether it is about the patient."""
    assert part.draft.cda is not None  # the caller has looked
    said = patient_id(part.header.patient or Patient())
    if patient.identifiers and patient_id(patient) != said:
        notes.add("letter-other-patient", f"{part.where}/cda")
    environment = Environment.PRODUCTION if known.is_production else Environment.TEST
    notes.found += check_cda(
        part.draft.cda.octets, environment=environment, at=at, where=f"{part.where}/cda"
    )


def _check_together(parts: list[_Part], notes: Notes) -> None:
    """Remark what only shows when all documents are seen: one patient, each document once."""
    if notes.has_errors:
        return
    if len({patient_id(part.header.patient or Patient()) for part in parts}) > 1:
        notes.add("letter-several-patients", "/documents")
    if len({part.header.id for part in parts}) < len(parts):
        notes.add("letter-document-twice", "/documents")
    for part in parts:
        if part.draft.cda is None:
            body = part.body or FileBody(PDF, b"")
            for name in missing_elements(part.header, body):
                notes.add("letter-cda-incomplete", part.where, name=name)


def _assemble(
    parts: list[_Part],
    *,
    at: datetime,
    letter_id: UUID,
    application: Application | None,
    notes: Notes,
) -> BuiltLetter:
    around = cover([part.header for part in parts])
    made = [_finish(part, name) for part, name in zip(parts, around.pdf_names, strict=True)]
    outgoing = [
        OutgoingDocument(
            octets=document.cda,
            action=_action(part),
            hidden_from=tuple(
                vocabulary.code("visibility", _HIDDEN[one]) for one in part.draft.hidden_from
            ),
        )
        for part, document in zip(parts, made, strict=True)
    ]
    try:
        archive = build_archive(
            outgoing, set_uuid=uuid5(letter_id, "submission"), at=at, application=application
        )
    except MetadataContentError as error:
        for name in error.missing:
            notes.add("letter-cda-incomplete", "/documents", name=name)
        raise LetterContentError(tuple(notes.found)) from error
    except (ArchiveContentError, CdaSyntaxError) as error:
        notes.add("letter-cda-unreadable", "/documents")
        raise LetterContentError(tuple(notes.found)) from error
    return BuiltLetter(
        documents=tuple(made),
        archive=archive,
        subject=around.subject,
        headers=around.headers,
        text=_text(around.subject, made),
        findings=tuple(notes.found),
    )


def _action(part: _Part) -> Action | None:
    """Say what to do; a document that is ready and replaces another says so itself."""
    is_ready = part.draft.cda is not None
    return (
        None if is_ready and part.draft.action is DraftAction.NEW else _ACTIONS[part.draft.action]
    )


def _finish(part: _Part, pdf_name: str) -> BuiltDocument:
    """Write a document and its copy; of a level 1 PDF the copy is the very file inside."""
    from mss.clinical.pdf import build_copy, build_pdf  # noqa: PLC0415 -- mail doors load no drawing

    draft, header, body = part.draft, part.header, part.body
    if draft.cda is not None:
        cda = draft.cda.octets
        return BuiltDocument(
            header=header, cda=cda, pdf=part.pdf or build_copy(cda), pdf_name=pdf_name
        )
    if body is None:
        body = FileBody(PDF, build_pdf(header, part.sections))
    cda = build_cda(header, body)
    if isinstance(body, FileBody) and body.media_type == PDF:
        pdf = body.octets
    else:
        pdf = part.pdf or build_copy(cda)
    return BuiltDocument(header=header, cda=cda, pdf=pdf, pdf_name=pdf_name)


def _text(subject: str, documents: list[BuiltDocument]) -> str:
    """Write a few words for whoever opens the mail without software for documents."""
    what = "Le document est joint" if len(documents) == 1 else "Les documents sont joints"
    names = "".join(f"  - {one.pdf_name}\n" for one in documents)
    return (
        f"{readable_subject(subject)}\n\n{what} au format PDF, lisible par tous :\n{names}\n"
        "L'archive IHE_XDM.ZIP contient les mêmes documents pour les logiciels de santé.\n"
    )
