"""Messages on the wire: in a list, whole, marked."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from api.paging import DEFAULT_LIMIT, Cursor, Limit
from api.schemas.wire import Filter, Request, View
from mss.model.mailbox import Flag, Folder
from mss.model.security import Binding, Verdict

MessageId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class ParticipantOut(View):
    """A name and an address from a header field."""

    name: str
    address: str


class DocumentItem(View):
    """A health document, as a list of messages shows it."""

    type_code: str | None
    type_label: str | None = Field(description="In French.")
    action: str = Field(description="`new`, `replace` or `delete`.")


class MessageItem(View):
    """A message as a list shows it."""

    id: str
    internet_message_id: str
    subject: str = Field(description="As written, prefix for software included.")
    display_subject: str = Field(description="For people: without the prefix `XDM/1.0/DDM+`.")
    author: ParticipantOut
    to: list[ParticipantOut]
    cc: list[ParticipantOut]
    sent_at: datetime | None = Field(description="As the author says.")
    received_at: datetime = Field(description="When this server took it.")
    size_octets: int
    folder: Folder | None = Field(description="`null` when it is in none of the caller's folders.")
    flags: list[Flag]
    verdict: Verdict = Field(description="What its protection was worth when it arrived.")
    encrypted: bool
    encrypted_for_client: bool = Field(
        description="Only the software with the mailbox's key can read it: the subject is the one "
        "outside, and parts and documents cannot be shown. Fetch `raw` and decrypt it."
    )
    has_documents: bool = Field(description="True if it carries an IHE_XDM archive.")
    documents: list[DocumentItem] = Field(
        description="What it carries; empty for messages received before this was noted."
    )
    attachments: int
    report: str | None = Field(
        description="What a notification is: `delivery`, `disposition` or `integration`."
    )


class MessageList(View):
    """One page of a folder, newest first."""

    items: list[MessageItem]
    next: str | None = Field(description="Cursor of the following page; `null` on the last.")


class PartOut(View):
    """One leaf of the message's tree."""

    path: str
    content_type: str
    filename: str | None
    disposition: str | None
    size_octets: int = Field(description="Decoded size, estimated.")
    href: str


class SecurityFindingOut(View):
    """Something about the protection that a careful reader should know."""

    code: str
    severity: str
    text: str


class SecurityLayerOut(View):
    """One signature or encryption that was taken off."""

    kind: str
    algorithm: str | None
    signer: str | None = Field(description="Subject of the signing certificate.")
    error: str | None = Field(description="Why the layer is not good; absent if it is.")


class SecurityOut(View):
    """What was signed or encrypted, by whom, and what it was worth at receipt."""

    verdict: Verdict
    judged_at: datetime
    encrypted: bool
    encrypted_for_client: bool = Field(
        description="What is stored is encrypted for a key that only the mailbox's software has."
    )
    content_algorithm: str | None
    signed_at: datetime | None
    signature_algorithm: str | None
    signer: str | None
    signer_subject: str | None
    signer_fingerprint: str | None
    binding: Binding
    peer_subject: str | None
    findings: list[SecurityFindingOut]
    layers: list[SecurityLayerOut] = Field(description="Outermost first.")


class DepositOut(View):
    """Where the message lies among the caller's mailboxes."""

    mailbox: str
    folder: Folder
    flags: list[Flag]
    deposited_at: datetime


class HeaderOut(View):
    """One `X-MSS-…` field, as it came."""

    name: str
    value: str


class MessageLinks(View):
    """What hangs on the message."""

    raw: str
    documents: str
    tracking: str


class MessageOut(MessageItem):
    """A message with everything but its octets."""

    reply_to: list[ParticipantOut]
    in_reply_to: str | None
    references: list[str]
    receipt_to: str | None = Field(description="Where the author wants a read receipt sent.")
    origin: str
    headers: list[HeaderOut]
    parts: list[PartOut]
    security: SecurityOut
    deposits: list[DepositOut]
    links: MessageLinks


class MessageFilter(Filter):
    """Which messages of a mailbox to list."""

    folder: Folder | None = Field(default=None, description="Only this folder; else all of them.")
    unread: bool = Field(default=False, description="Only messages without the flag `seen`.")
    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor = None


class MarkRequest(Request):
    """What to change about some messages of one mailbox."""

    ids: list[MessageId] = Field(min_length=1, max_length=500)
    add_flags: frozenset[Flag] = frozenset()
    remove_flags: frozenset[Flag] = frozenset()
    folder: Folder | None = Field(default=None, description="Move them there.")
    delete: bool = Field(default=False, description="Remove them from the mailbox for good.")
    send_receipt: bool = Field(
        default=False, description="Send the read receipt that the author asked for."
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> "MarkRequest":
        if self.add_flags & self.remove_flags:
            raise ValueError("a flag cannot be added and removed at once")
        if self.delete and (self.add_flags or self.remove_flags or self.folder):
            raise ValueError("a message cannot be deleted and changed at once")
        if not (
            self.add_flags or self.remove_flags or self.folder or self.delete or self.send_receipt
        ):
            raise ValueError("there is nothing to change")
        return self


class MarkResultOut(View):
    """What became of one of them."""

    id: str
    status: str = Field(description="`done`, or the code of the problem.")


class MarkResponse(View):
    """One result per message, in the order of the request."""

    results: list[MarkResultOut]
