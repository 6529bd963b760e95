"""Write a message: a draft to canonical octets, CRLF line ends, nothing a gateway would touch.

Text is UTF-8 in quoted-printable or base64 and attachments are base64, so lines stay within 76
columns, no line begins with `From ` or a single dot, and no boundary can occur in a part: `=_` is
in neither encoding. `parse.parse_message` reads back what is written here.

Errors
    `HeaderValueError`, when a value would break the header; the content is never refused.
Sources
    RFC 5322, 3.6; RFC 2045, 6.7 and 6.8; RFC 2046, 5.1; RFC 8551, 3.1.1 (text before signing).
"""

import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pybase64

from mss.mime.addresses import NamedAddress, build_addresses
from mss.mime.errors import HeaderValueError
from mss.mime.headers import CRLF, build_date, build_message_ids, build_text
from mss.mime.parameters import build_parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file sent along.

    Attributes:
        filename: Shown to the recipient; any characters but controls.
        content_type: Type and subtype.
        octets: Content, not encoded.
        inline: True if it is to be shown with the text rather than beside it.
        content_id: Identifier with angle brackets, when the HTML text refers to it.
    """

    filename: str
    content_type: str
    octets: bytes = field(repr=False)
    inline: bool = False
    content_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What an author wants to send; the names are those of `ParsedMessage`.

    Attributes:
        mss_fields: `X-MSS-…` fields by name.
        text: Plain text, any line ends.
        html: The same as HTML, when there is one; the text goes with it.
    """

    author: NamedAddress
    to: tuple[NamedAddress, ...]
    cc: tuple[NamedAddress, ...] = ()
    reply_to: tuple[NamedAddress, ...] = ()
    sender: NamedAddress | None = None
    subject: str = field(default="", repr=False)
    text: str = field(default="", repr=False)
    html: str | None = field(default=None, repr=False)
    attachments: tuple[Attachment, ...] = ()
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    disposition_notification_to: tuple[NamedAddress, ...] = ()
    auto_submitted: str | None = None
    mss_fields: Mapping[str, str] = field(default_factory=dict, hash=False)


def build_message(
    draft: Draft, *, message_id: str, at: datetime, boundary: str | None = None
) -> bytes:
    """Write *draft* as a complete message.

    Args:
        draft: What to send.
        message_id: Identifier with angle brackets; unique for ever.
        at: Aware instant for `Date`.
        boundary: Stem of the boundaries; drawn from *message_id* when it is not given.

    Raises:
        HeaderValueError: A value cannot stand in a header field.
    """
    stem = boundary or boundary_stem(message_id)
    entity = text_entity(draft.text)
    if draft.html is not None:
        html = text_entity(draft.html, subtype="html")
        entity = multipart("alternative", [entity, html], boundary=f"{stem}-a")
    if draft.attachments:
        parts = [entity, *map(attachment_entity, draft.attachments)]
        entity = multipart("mixed", parts, boundary=f"{stem}-m")
    return build_header(draft, message_id=message_id, at=at) + entity


def build_header(draft: Draft, *, message_id: str, at: datetime) -> bytes:
    """Write the header fields of *draft* up to `MIME-Version`; an entity must follow."""
    lines = [build_addresses("From", [draft.author])]
    if draft.sender is not None:
        lines.append(build_addresses("Sender", [draft.sender]))
    lines += [
        build_addresses(name, addresses)
        for name, addresses in (
            ("Reply-To", draft.reply_to),
            ("To", draft.to),
            ("Cc", draft.cc),
            ("Disposition-Notification-To", draft.disposition_notification_to),
        )
        if addresses
    ]
    lines += [
        build_text("Subject", draft.subject),
        build_date("Date", at),
        build_message_ids("Message-ID", [message_id]),
    ]
    if draft.in_reply_to is not None:
        lines.append(build_message_ids("In-Reply-To", [draft.in_reply_to]))
    if draft.references:
        lines.append(build_message_ids("References", draft.references))
    if draft.auto_submitted is not None:
        lines.append(build_text("Auto-Submitted", draft.auto_submitted))
    lines += [_mss_field(name, value) for name, value in draft.mss_fields.items()]
    lines.append(b"MIME-Version: 1.0\r\n")
    return b"".join(lines)


_MSS_FIELD = re.compile(r"X-MSS-[A-Z0-9-]{1,40}", re.IGNORECASE | re.ASCII)


def _mss_field(name: str, value: str) -> bytes:
    if _MSS_FIELD.fullmatch(name) is None:
        raise HeaderValueError(field="X-MSS", reason="field-name")
    return build_text(name, value)


# Entities

_CONTENT_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,80}/[A-Za-z0-9!#$&^_.+-]{1,80}")
_LINE_END = re.compile(r"\r\n|\r|\n")
_FROM_LINE = re.compile(rb"^From ", re.MULTILINE)


def text_entity(text: str, *, subtype: str = "plain") -> bytes:
    """Write *text* as a UTF-8 entity in the shorter of the two encodings."""
    octets = _LINE_END.sub("\r\n", text).encode("utf-8", "replace")
    if octets and not octets.endswith(CRLF):
        octets += CRLF
    head = b"Content-Type: text/%b; charset=utf-8\r\n" % subtype.encode("ascii")
    accented = sum(len(run) for run in re.findall(rb"[^\t\r\n -~]+", octets))
    if accented * 6 > len(octets):
        return head + _base64_body(octets)
    return head + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + _quoted_printable(octets)


def attachment_entity(attachment: Attachment) -> bytes:
    """Write *attachment* as a base64 entity with its name in both customary places."""
    if _CONTENT_TYPE.fullmatch(attachment.content_type) is None:
        raise HeaderValueError(field="Content-Type", reason="content-type")
    name = attachment.filename
    disposition = "inline" if attachment.inline else "attachment"
    lines = [
        build_parameters("Content-Type", attachment.content_type, {"name": name}),
        build_parameters("Content-Disposition", disposition, {"filename": name}),
    ]
    if attachment.content_id is not None:
        lines.append(build_message_ids("Content-ID", [attachment.content_id]))
    return b"".join(lines) + _base64_body(attachment.octets)


def multipart(
    subtype: str,
    entities: Sequence[bytes],
    *,
    boundary: str,
    parameters: Mapping[str, str] | None = None,
) -> bytes:
    """Put entities together; *boundary* must not occur in them as a delimiter.

    Raises:
        HeaderValueError: It does occur.
    """
    delimiter = b"--" + boundary.encode("ascii")
    if any(delimiter in entity for entity in entities):
        raise HeaderValueError(field="Content-Type", reason="boundary")
    values = {**(parameters or {}), "boundary": boundary}
    pieces = [build_parameters("Content-Type", f"multipart/{subtype}", values)]
    for entity in entities:
        pieces += [CRLF, delimiter, CRLF, entity]
    pieces += [CRLF, delimiter, b"--\r\n"]
    return b"".join(pieces)


def boundary_stem(seed: str) -> str:
    """Draw a boundary from *seed* that no quoted-printable or base64 text can contain."""
    return "=_" + hashlib.sha256(seed.encode("utf-8", "replace")).hexdigest()[:32]


def _base64_body(octets: bytes) -> bytes:
    body = pybase64.encodebytes(octets).replace(b"\n", CRLF)
    return b"Content-Transfer-Encoding: base64\r\n\r\n" + body


def _quoted_printable(octets: bytes) -> bytes:
    body = binascii.b2a_qp(octets, istext=True)
    # Mailbox files and old relays change a line that begins with "From ". The soft line break keeps
    # the line within 76 columns.
    return _FROM_LINE.sub(b"=46rom=\r\n ", body)
