"""Sending on the wire: a draft, what was accepted, what became of it, who can be reached."""

from datetime import datetime
from typing import Annotated

import pybase64
from pydantic import (
    Field,
    PlainValidator,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from api.schemas.wire import (
    AddressText,
    HeaderText,
    MediaType,
    NamedAddressText,
    Request,
    View,
)
from mss.model.delivery import DeliveryState, Station


def _decode(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("must be base64 in a string")  # noqa: TRY004 -- pydantic's convention
    try:
        return pybase64.b64decode(value, validate=True)
    except ValueError:
        raise ValueError("must be base64 (RFC 4648, 4), without line ends") from None


Base64 = Annotated[
    bytes,
    PlainValidator(_decode),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
Addresses = Annotated[tuple[NamedAddressText, ...], Field(max_length=1000)]
Reference = Annotated[str, Field(max_length=998, pattern=r"^<[^\s<>\x00-\x1f\x7f-\x9f]{1,900}>$")]


class AttachmentHead(Request):
    """What is said about a file."""

    filename: Annotated[HeaderText, Field(min_length=1, max_length=255)]
    content_type: MediaType = "application/octet-stream"


class AttachmentIn(AttachmentHead):
    """A small file inside the draft; send large ones as parts of a form."""

    content: Base64


class UploadedIn(Request):
    """A file that was uploaded before (`POST /v1/uploads`); it is gone from there once sent."""

    upload: Annotated[
        str,
        Field(pattern=r"^[0-9a-f]{32}$", examples=["0192f0c5a1b27c3d8e4f5a6b7c8d9e0f"]),
    ]
    filename: Annotated[HeaderText, Field(max_length=255)] = Field(
        default="", description="Instead of the name that it was uploaded with."
    )
    content_type: MediaType | None = Field(default=None, description="The same.")


class DraftFields(Request):
    """What somebody writes, files apart; an address may carry a name."""

    to: Addresses = ()
    cc: Addresses = ()
    bcc: Addresses = ()
    subject: HeaderText = ""
    text: str = Field(default="", description="Plain text; line ends as you like.")
    html: str | None = Field(default=None, description="The same, in HTML.")
    reply_to: Addresses = ()
    in_reply_to: Reference | None = Field(default=None, description="With its angle brackets.")
    references: Annotated[tuple[Reference, ...], Field(max_length=200)] = ()
    request_read_receipt: bool = False
    request_delivery_receipt: bool = False
    closes_conversation: bool = Field(
        default=False, description="The patient can no longer answer (`X-MSS-MES: FIN`)."
    )
    headers: dict[
        Annotated[str, Field(max_length=76, pattern=r"^[Xx]-[Mm][Ss][Ss]-[A-Za-z0-9-]+$")],
        HeaderText,
    ] = Field(
        default_factory=dict,
        max_length=50,
        description="`X-MSS-…` fields: `X-MSS-NIL`, `X-MSS-MES`, …",
    )


def _either(value: object, _: ValidatorFunctionWrapHandler) -> AttachmentIn | UploadedIn:
    """Judge a file as what it says it is, so that what is wrong is said of that alone."""
    is_reference = isinstance(value, dict) and "upload" in value
    return (UploadedIn if is_reference else AttachmentIn).model_validate(value)


class DraftIn(DraftFields):
    """A message to write and send."""

    attachments: Annotated[
        tuple[Annotated[AttachmentIn | UploadedIn, WrapValidator(_either)], ...],
        Field(max_length=100),
    ] = ()


class DeliveryOut(View):
    """One recipient of an accepted message."""

    recipient: str
    state: DeliveryState


class AcceptedOut(View):
    """The server is responsible now: the message is durable, one delivery per recipient."""

    id: str
    internet_message_id: str
    accepted_at: datetime
    deliveries: list[DeliveryOut]
    is_repeat: bool = Field(description="True if this very message had been accepted before.")
    tracking: str = Field(description="Where to see what becomes of it.")


class TrackingEventOut(View):
    """One line of a timeline."""

    at: datetime
    station: Station
    code: str | None = Field(description="Why, for what failed or waits; permanent names.")
    detail: str | None
    host: str | None = Field(description="The host of the other operator that was spoken to.")


class RecipientTracking(View):
    """What became of the message for one recipient."""

    recipient: str
    state: DeliveryState
    events: list[TrackingEventOut]


class TrackingOut(View):
    """What became of the message, recipient by recipient."""

    id: str
    recipients: list[RecipientTracking]


class RecipientsIn(Request):
    """Addresses to ask about before sending."""

    addresses: Annotated[list[AddressText], Field(min_length=1, max_length=200)]


class RecipientOut(View):
    """Whether one address can be reached, and how."""

    address: str
    is_reachable: bool
    how: str | None = Field(description="`local` or `relay`.")
    protection: str | None = Field(description="`encrypted`, `signed` or `internal`.")
    size_limit_octets: int | None
    code: str | None = Field(description="Why not: the code that sending would give.")
    text: str | None
    text_fr: str | None


class RecipientsOut(View):
    """One answer per address, in the order of the request."""

    recipients: list[RecipientOut]
