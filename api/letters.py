"""Read a letter with documents, as JSON or as a form, and show what was made of it.

Wire models and the values of a draft have the same field names; `to_draft` takes one to the other,
and takes each file from where it is: inside the JSON, or in a part of the form.

Errors
    `UnsupportedMediaTypeError`, `MalformedFormError`, those of `api.validation`, and
    `LetterContentError` for a file that is named and not there, or there and not named.
"""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request
from pydantic import BaseModel

from api import bodies, presentation
from api.errors import MalformedFormError
from api.multipart import FormPart, parse_form
from api.schemas import letter as wire
from api.sending import OVERHEAD_OCTETS
from api.validation import parse_model
from mss.clinical import draft
from mss.clinical.build_letter import BuiltLetter
from mss.clinical.draft_notes import LetterContentError, Notes
from mss.clinical.people import Address, Code, Identifier
from mss.mailboxes.letters import OutgoingLetter, SentLetter, UploadedFile

LETTER_PART: Final = "letter"

_VALUES: Final[Mapping[type[BaseModel], type]] = {
    wire.ActIn: draft.ActDraft,
    wire.AddressIn: Address,
    wire.BlockIn: draft.BlockDraft,
    wire.CodeIn: Code,
    wire.DischargeIn: draft.DischargeDraft,
    wire.EncounterIn: draft.EncounterDraft,
    wire.FactIn: draft.FactDraft,
    wire.IdentifierIn: Identifier,
    wire.LetterDocumentIn: draft.DocumentDraft,
    wire.OrderIn: draft.OrderDraft,
    wire.OrganizationIn: draft.OrganizationDraft,
    wire.PatientIn: draft.PatientDraft,
    wire.PersonIn: draft.PersonDraft,
    wire.PreviousIn: draft.PreviousDraft,
    wire.ProblemIn: draft.ProblemDraft,
    wire.RelativeIn: draft.RelativeDraft,
    wire.SectionIn: draft.SectionDraft,
    wire.SummaryIn: draft.SummaryDraft,
    wire.TreatmentIn: draft.TreatmentDraft,
}


async def read_letter(request: Request, *, limit_octets: int) -> OutgoingLetter:
    """Read a letter and its files."""
    kind = bodies.media_type(request, bodies.JSON, bodies.FORM)
    # Base64 inside JSON is a third larger than what it holds.
    limit = limit_octets + OVERHEAD_OCTETS
    octets = await bodies.read_octets(request, limit_octets=limit)
    if kind == bodies.FORM:
        return _from_form(parse_form(octets, request.headers["content-type"]))
    return to_outgoing(parse_model(wire.LetterIn, octets), {})


def to_outgoing(letter: wire.LetterIn, files: Mapping[str, FormPart]) -> OutgoingLetter:
    """Turn a letter on the wire into the value of the use case."""
    reader = _Reader(files)
    patient = reader.value(letter.patient, "/patient")
    documents = reader.value(letter.documents, "/documents")
    reader.finish()
    return OutgoingLetter(
        letter=draft.LetterDraft(patient=patient, documents=documents),
        to=letter.to,
        cc=letter.cc,
        bcc=letter.bcc,
        reply_to=letter.reply_to,
        in_reply_to=letter.in_reply_to,
        references=letter.references,
        text=letter.text,
        request_read_receipt=letter.request_read_receipt,
        request_delivery_receipt=letter.request_delivery_receipt,
        closes_conversation=letter.closes_conversation,
        software=letter.software,
    )


def letter_out(sent: SentLetter) -> wire.LetterOut:
    """Show what was accepted."""
    made = sent.letter
    accepted = presentation.accepted_out(sent.accepted)
    return wire.LetterOut(
        **dict(accepted),
        documents=_documents(made) if made else [],
        findings=[presentation.finding_out(one) for one in made.findings] if made else [],
    )


def preview_out(made: BuiltLetter) -> wire.LetterPreviewOut:
    """Show what would be sent."""
    return wire.LetterPreviewOut(
        subject=made.subject,
        headers=dict(made.headers),
        text=made.text,
        archive_octets=len(made.archive),
        documents=_documents(made),
        findings=[presentation.finding_out(one) for one in made.findings],
    )


def _documents(made: BuiltLetter) -> list[wire.LetterDocumentOut]:
    return [
        wire.LetterDocumentOut(
            unique_id=one.header.id.xds if one.header.id else "",
            set_id=one.header.set_id.xds if one.header.set_id else "",
            version=one.header.version or 1,
            type_code=one.header.code.code if one.header.code else "",
            title=one.header.title,
            pdf_name=one.pdf_name,
            cda_octets=len(one.cda),
            pdf_octets=len(one.pdf),
        )
        for one in made.documents
    ]


def _from_form(parts: tuple[FormPart, ...]) -> OutgoingLetter:
    letters = [part for part in parts if part.name == LETTER_PART]
    files = [part for part in parts if part.name != LETTER_PART]
    if len(letters) != 1:
        raise MalformedFormError("there must be one part named letter")
    if len({part.name for part in files}) < len(files):
        raise MalformedFormError("two parts have the same name")
    named = {part.name: part for part in files}
    return to_outgoing(parse_model(wire.LetterIn, letters[0].octets), named)


class _Reader:
    """Takes wire models to values, and remembers which files were asked for."""

    def __init__(self, files: Mapping[str, FormPart]) -> None:
        self._files = files
        self._used: set[str] = set()
        self._notes = Notes()

    def value(self, given: Any, where: str) -> Any:  # noqa: ANN401 -- as many types as models
        """Turn a model, or a tuple of them, into values; anything else stays as it is."""
        match given:
            case wire.FileIn():
                return self._file(given, where)
            case BaseModel():
                fields = type(given).model_fields
                return _VALUES[type(given)](
                    **{name: self.value(getattr(given, name), f"{where}/{name}") for name in fields}
                )
            case tuple():
                return tuple(
                    self.value(one, f"{where}/{number}") for number, one in enumerate(given)
                )
            case _:
                return given

    def finish(self) -> None:
        """Refuse files that are named and not there, or there and not named."""
        for name in self._files:
            if name not in self._used:
                self._notes.add("letter-file-name", "/documents")
        if self._notes.found:
            raise LetterContentError(tuple(self._notes.found))

    def _file(self, given: wire.FileIn, where: str) -> draft.FileDraft:
        part = self._files.get(given.part) if given.part else None
        self._used.add(given.part)
        if given.part and (part is None or given.content is not None):
            self._notes.add("letter-file-name", f"{where}/part")
        if given.upload is not None:
            if given.part or given.content is not None:
                self._notes.add("letter-file-name", f"{where}/upload")
            return UploadedFile(upload_id=given.upload, content_type=given.content_type)
        if part is None:
            return draft.FileDraft(octets=given.content or b"", content_type=given.content_type)
        said = given.content_type or part.content_type or ""
        return draft.FileDraft(octets=part.octets, content_type=said)
