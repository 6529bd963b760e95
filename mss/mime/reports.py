"""Recognise mail that speaks of other mail, and say what it is about.

A report is a claim by whoever sent it: anybody can write one. What is extracted here says which
message and which recipients it claims to be about; whether to believe it is decided by whoever
knows the signature, the peer and the delivery.

Errors
    `MessageSyntaxError`, when a message says that it is a report and cannot be read as one.
Sources
    RFC 3464 and 8098 (reports); RFC 6522 (their envelope); RFC 6533 (the `global` types); ANS,
    Transmission au LPS d'un document CDA (ordinary mail with a bracketed code).
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from directory.address import MailAddress
from mss.mime.bounces import find_bounce
from mss.mime.dsn import DeliveryStatus, parse_delivery_status
from mss.mime.entity import split_entity
from mss.mime.errors import MessageSyntaxError
from mss.mime.headers import parse_message_id
from mss.mime.limits import DEFAULT_LIMITS, MimeLimits
from mss.mime.mdn import (
    Disposition,
    DispositionNotification,
    IntegrationResult,
    parse_disposition_notification,
)
from mss.mime.parse import ParsedMessage, Part, part_octets


class ReportKind(StrEnum):
    """Which sort of report a message is."""

    DELIVERY = "delivery"
    DISPOSITION = "disposition"
    INTEGRATION = "integration"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedRecipient:
    """What a report says of one recipient.

    Attributes:
        address: The address that the sender had written to, when the report gives a readable one.
        action: Word of the report: `delivered`, `failed`, `displayed`, `processed` and so on.
        status: Enhanced status code; empty in a disposition.
        diagnostic: What the remote host said; empty when it did not say.
        reason: A permanent code for the cause, when the report gives or its words tell one.
    """

    address: MailAddress | None
    action: str
    status: str = ""
    diagnostic: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an incoming message reports, and of which message.

    Attributes:
        original_envelope_id: `ENVID` that we had given, when the peer kept it.
        original_message_id: Identifier of the message, with angle brackets.
        disposition: How the message was disposed of, in a disposition notification.
        integration: Whether software took the documents in, when it says so.
        is_formal: False for a bounce in words for people, which is read with less trust.
    """

    kind: ReportKind
    original_envelope_id: str | None
    original_message_id: str | None
    recipients: tuple[ReportedRecipient, ...]
    disposition: Disposition | None = None
    integration: IntegrationResult | None = None
    is_formal: bool = True


_DELIVERY_TYPES = ("message/delivery-status", "message/global-delivery-status")
_DISPOSITION_TYPES = (
    "message/disposition-notification",
    "message/global-disposition-notification",
)
_RETURNED_TYPES = (
    "text/rfc822-headers",
    "message/rfc822",
    "message/global-headers",
    "message/global",
)


def find_report(message: ParsedMessage, limits: MimeLimits = DEFAULT_LIMITS) -> Report | None:
    """Say what *message* reports, or `None` if it is ordinary mail.

    The report may be inside a signature that is kept as evidence (`multipart/signed`).

    Raises:
        MessageSyntaxError: It claims to be a report and cannot be read.
    """
    root = message.root
    if root.content_type == "multipart/signed" and root.children:
        root = root.children[0]
    if root.content_type != "multipart/report":
        return _mixed(message, root, limits) or _ordinary_mail(message) or _bounce(message)
    returned_id = _returned_message_id(message, root, limits)
    if part := _child(root, _DELIVERY_TYPES):
        octets = part_octets(message.raw, part, limits.report_octets)
        return _delivery(parse_delivery_status(octets, limits), returned_id or message.in_reply_to)
    if part := _child(root, _DISPOSITION_TYPES):
        octets = part_octets(message.raw, part, limits.report_octets)
        notification = parse_disposition_notification(octets, limits)
        return _disposition(notification, returned_id or message.in_reply_to)
    return _bounce(message)


def _mixed(message: ParsedMessage, root: Part, limits: MimeLimits) -> Report | None:
    """Read the reports of OpenSMTPD, which are whole but say that they are `multipart/mixed`."""
    part = _child(root, _DELIVERY_TYPES)
    if root.content_type != "multipart/mixed" or part is None:
        return None
    if message.author.address.local.lower() != "mailer-daemon":
        return None  # a person who sends a report on, as a file
    try:
        octets = part_octets(message.raw, part, limits.report_octets)
        status = parse_delivery_status(octets, limits)
    except MessageSyntaxError:
        return None
    return _delivery(status, _returned_message_id(message, root, limits) or message.in_reply_to)


def _delivery(status: DeliveryStatus, message_id: str | None) -> Report:
    return Report(
        kind=ReportKind.DELIVERY,
        original_envelope_id=status.original_envelope_id,
        original_message_id=message_id,
        recipients=tuple(
            ReportedRecipient(
                address=item.address,
                action=item.action.value,
                status=item.status,
                diagnostic=item.diagnostic_code or "",
                reason=item.reason or "",
            )
            for item in status.recipients
        ),
    )


def _disposition(notification: DispositionNotification, message_id: str | None) -> Report:
    recipient = ReportedRecipient(
        address=notification.address, action=notification.disposition.type.value
    )
    return Report(
        kind=ReportKind.DISPOSITION,
        original_envelope_id=None,
        original_message_id=_identifier(notification.original_message_id) or message_id,
        recipients=(recipient,),
        disposition=notification.disposition,
        integration=notification.integration,
    )


# "[KO Intégration système !][902] XDM/1.0/DDM+…" or "[Erreur d'intégration !][902] …": the words
# have changed between versions of the guide, so the bracketed code behind them decides.
_INTEGRATION_SUBJECT = re.compile(
    r"\[[^\[\]]*int[ée]gration[^\[\]]*\]\s*\[(\d{1,5})\]", re.IGNORECASE | re.ASCII
)


def _ordinary_mail(message: ParsedMessage) -> Report | None:
    """Read the form used when no notification was asked for: an ordinary reply."""
    match = _INTEGRATION_SUBJECT.match(message.subject.strip()[:200])
    if match is None or message.in_reply_to is None:
        return None
    recipient = ReportedRecipient(address=message.author.address, action="processed")
    return Report(
        kind=ReportKind.INTEGRATION,
        original_envelope_id=None,
        original_message_id=message.in_reply_to,
        recipients=(recipient,),
        integration=IntegrationResult(succeeded=False, code=match[1]),
    )


def _bounce(message: ParsedMessage) -> Report | None:
    """Read a bounce in words; one that names nobody may still fit a single letter."""
    bounce = find_bounce(message)
    if bounce is None:
        return None
    return Report(
        kind=ReportKind.DELIVERY,
        original_envelope_id=None,
        original_message_id=bounce.message_id,
        recipients=tuple(
            ReportedRecipient(
                address=address, action="failed", status=bounce.status, reason=bounce.reason
            )
            for address in bounce.addresses or (None,)
        ),
        is_formal=False,
    )


def _child(root: Part, types: Collection[str]) -> Part | None:
    return next((part for part in root.children if part.content_type in types), None)


def _returned_message_id(message: ParsedMessage, root: Part, limits: MimeLimits) -> str | None:
    """Read the identifier in the returned header, without reading the returned body."""
    part = _child(root, _RETURNED_TYPES)
    if part is None:
        return None
    start = part.body_span.start
    stop = min(part.body_span.stop, start + limits.header_octets)
    try:
        fields, _ = split_entity(_header_octets(message.raw, part, start, stop))
    except MessageSyntaxError:
        return None  # a damaged copy does not make the report worthless
    values = (value for name, value in fields if name.lower() == b"message-id")
    return next(_identifiers(values), None)


def _header_octets(raw: bytes, part: Part, start: int, stop: int) -> bytes:
    if part.transfer_encoding in ("base64", "quoted-printable"):
        return part_octets(raw, part)
    return raw[start:stop]


def _identifiers(values: Iterator[bytes]) -> Iterator[str]:
    for value in values:
        try:
            yield parse_message_id(value)
        except MessageSyntaxError:
            continue


def _identifier(text: str | None) -> str | None:
    if text is None:
        return None
    return next(_identifiers(iter([text.encode("utf-8", "replace")])), None)
