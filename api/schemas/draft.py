"""Saved drafts on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from api.schemas.sending import DraftFields, UploadedIn
from api.schemas.wire import Request, View
from mss.model.draft import DraftState


class SavedDraftIn(DraftFields):
    """A draft to keep; its files were uploaded before. It need not be complete."""

    attachments: Annotated[tuple[UploadedIn, ...], Field(max_length=100)] = ()


class SendIn(Request):
    """When to send a draft."""

    send_at: AwareDatetime | None = Field(
        default=None,
        strict=False,
        description="The hour, with its offset; without it the draft is sent now.",
        examples=["2026-03-02T08:00:00+01:00"],
    )


class DraftAttachmentOut(View):
    """A file of a draft."""

    upload: str
    filename: str = Field(description="Empty: as it was uploaded.")
    content_type: str


class DraftOut(View):
    """A draft as it is kept."""

    id: str
    version: int = Field(description="Rises with every change; also the `ETag`.")
    folder: str = Field(description="Always `drafts`.", examples=["drafts"])
    state: DraftState = Field(
        description="`open`; `scheduled` for `send_at`; `failed`: it could not be sent then, for "
        "the reason of `code`."
    )
    created_at: datetime
    updated_at: datetime
    send_at: datetime | None
    code: str | None
    to: list[str]
    cc: list[str]
    bcc: list[str]
    subject: str
    text: str
    html: str | None
    reply_to: list[str]
    in_reply_to: str | None
    references: list[str]
    request_read_receipt: bool
    request_delivery_receipt: bool
    closes_conversation: bool
    headers: dict[str, str]
    attachments: list[DraftAttachmentOut]


class DraftList(View):
    """Some drafts, newest first."""

    items: list[DraftOut]
    next: str | None = Field(description="Cursor of the next page; null on the last.")
