"""Read what is to be sent, in any of the three forms that a client may choose.

JSON with small attachments inside or named by their uploads, a form with one JSON part `draft` and
a part per file, or a complete `message/rfc822`. Octets of a form are never copied through base64.

Errors
    `UnsupportedMediaTypeError`, `MalformedFormError`, and those of `api.validation`.
"""

from typing import Final

from fastapi import Request
from pydantic import ValidationError

from api import bodies
from api.errors import InvalidFieldsError, MalformedFormError
from api.multipart import FormPart, parse_form
from api.schemas.sending import AttachmentHead, AttachmentIn, DraftFields, DraftIn, UploadedIn
from api.validation import field_errors, parse_model
from mss.mailboxes.drafting import OutgoingAttachment, OutgoingDraft, UploadedAttachment

DRAFT_PART: Final = "draft"
# Escapes and the draft's own syntax make a request a little larger than the message it becomes.
OVERHEAD_OCTETS: Final = 1024 * 1024


async def read_sending(request: Request, *, limit_octets: int) -> OutgoingDraft | bytes:
    """Read a draft, or the octets of a message that is complete already."""
    kind = bodies.media_type(request, bodies.JSON, bodies.FORM, bodies.MESSAGE)
    octets = await bodies.read_octets(request, limit_octets=limit_octets + OVERHEAD_OCTETS)
    if kind == bodies.MESSAGE:
        return octets
    if kind == bodies.FORM:
        return _from_form(parse_form(octets, request.headers["content-type"]))
    return _draft(parse_model(DraftIn, octets), ())


def _from_form(parts: tuple[FormPart, ...]) -> OutgoingDraft:
    drafts = [part for part in parts if part.name == DRAFT_PART]
    files = [part for part in parts if part.name != DRAFT_PART]
    if len(drafts) != 1:
        raise MalformedFormError("there must be one part named draft")
    if any(part.filename is None for part in files):
        raise MalformedFormError("a part beside the draft is not a file")
    attachments = tuple(_attachment(part, number=n) for n, part in enumerate(files))
    return _draft(parse_model(DraftIn, drafts[0].octets), attachments)


def _attachment(part: FormPart, *, number: int) -> OutgoingAttachment:
    said = {"filename": part.filename, "content_type": part.content_type}
    given = {name: value for name, value in said.items() if value is not None}
    try:
        head = AttachmentHead.model_validate(given)
    except ValidationError as error:
        findings = error.errors(include_url=False, include_input=False)
    else:
        return OutgoingAttachment(
            filename=head.filename, content_type=head.content_type, octets=part.octets
        )
    raise InvalidFieldsError(field_errors(findings, prefix=("files", number)))


def _draft(draft: DraftIn, files: tuple[OutgoingAttachment, ...]) -> OutgoingDraft:
    return outgoing(draft, (*map(_given, draft.attachments), *files))


def _given(one: AttachmentIn | UploadedIn) -> OutgoingAttachment | UploadedAttachment:
    if isinstance(one, UploadedIn):
        return uploaded(one)
    return OutgoingAttachment(
        filename=one.filename, content_type=one.content_type, octets=one.content
    )


def uploaded(one: UploadedIn) -> UploadedAttachment:
    """Take a reference to an upload off the wire."""
    return UploadedAttachment(
        upload_id=one.upload, filename=one.filename, content_type=one.content_type or ""
    )


def outgoing(
    draft: DraftFields, files: tuple[OutgoingAttachment | UploadedAttachment, ...]
) -> OutgoingDraft:
    """Take what somebody wrote off the wire."""
    return OutgoingDraft(
        to=draft.to,
        cc=draft.cc,
        bcc=draft.bcc,
        subject=draft.subject,
        text=draft.text,
        html=draft.html,
        reply_to=draft.reply_to,
        in_reply_to=draft.in_reply_to,
        references=draft.references,
        request_read_receipt=draft.request_read_receipt,
        request_delivery_receipt=draft.request_delivery_receipt,
        closes_conversation=draft.closes_conversation,
        attachments=files,
        headers=tuple(draft.headers.items()),
    )
