"""Write and read disposition notifications: a message was read, or taken in by software.

In the French space software answers a clinical message with the result of its integration, in one
of two forms: since version 1.1.3 of the guide, `processed/error` and an `Error` field; before, the
error inside `Disposition`. Both are read; the newer one is written.

Errors
    `parse_disposition_notification` raises `MessageSyntaxError`; builders raise `HeaderValueError`.
Sources
    RFC 8098 (3.1 fields, 2.1 when none may be sent); RFC 6522; ANS, Transmission au LPS d'un
    document CDA, 1.1.3 and before (integration result).
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from directory.address import MailAddress
from mss.mime.addresses import NamedAddress
from mss.mime.build import text_entity
from mss.mime.dsn import (
    after_type,
    build_report,
    read_address,
    report_values,
    returned_message,
    safe_headers,
    typed_address,
)
from mss.mime.entity import split_entity
from mss.mime.errors import HeaderValueError, MessageLimitError, MessageSyntaxError
from mss.mime.headers import build_folded, build_message_ids, build_text, decode_text
from mss.mime.limits import DEFAULT_LIMITS, MimeLimits


class DispositionType(StrEnum):
    """What was done with the message (RFC 8098, 3.2.6.2; the last two from RFC 3798)."""

    DISPLAYED = "displayed"
    DELETED = "deleted"
    DISPATCHED = "dispatched"
    PROCESSED = "processed"
    DENIED = "denied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposition:
    """How a message was disposed of, and whether a person decided it.

    Attributes:
        automatic: True if software disposed of it, without a person.
        sent_automatically: True if the notification was sent without asking a person.
        modifiers: Lower-case words behind the type, such as `error`.
    """

    type: DispositionType
    automatic: bool = False
    sent_automatically: bool = False
    modifiers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationResult:
    """Whether the recipient's software took the documents in.

    Attributes:
        code: Application error code, such as `902`; empty when it succeeded.
        label: Its text in French.
    """

    succeeded: bool
    code: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DispositionNotification:
    """The machine-readable part of a disposition notification.

    Attributes:
        errors: Texts of the `Error` field, or of the older form inside `Disposition`.
    """

    final_recipient: str
    disposition: Disposition
    original_recipient: str | None = None
    original_message_id: str | None = None
    reporting_ua: str | None = None
    errors: tuple[str, ...] = ()

    @property
    def address(self) -> MailAddress | None:
        """The address that the sender wrote to, as well as the notification tells."""
        return read_address(self.original_recipient) or read_address(self.final_recipient)

    @property
    def integration(self) -> IntegrationResult | None:
        """The integration result, when software speaks of its own processing."""
        if self.disposition.type is not DispositionType.PROCESSED:
            return None
        if self.errors:
            return read_integration_error(self.errors[0])
        if "error" in self.disposition.modifiers:
            return IntegrationResult(succeeded=False)
        return IntegrationResult(succeeded=True) if self.disposition.automatic else None


def read_integration_error(text: str) -> IntegrationResult:
    """Read `902^Identifiant de patient inconnu^…`."""
    code, _, rest = text.partition("^")
    match = _CODE.fullmatch(code.strip())
    label = rest.partition("^")[0] if match else text
    return IntegrationResult(
        succeeded=False, code=match[0] if match else "", label=label.strip()[:_LABEL_LENGTH]
    )


_CODE = re.compile(r"[A-Za-z0-9_.-]{1,20}")
_LABEL_LENGTH = 200


# Writing

_WORDS = {
    DispositionType.DISPLAYED: (
        "Accusé de lecture / Read receipt",
        "Votre message a été affiché au destinataire ; rien ne dit qu'il a été compris.",
        "Your message was displayed to the recipient; this does not mean that it was understood.",
    ),
    DispositionType.DELETED: (
        "Message supprimé sans lecture / Message deleted unread",
        "Votre message a été supprimé sans avoir été affiché.",
        "Your message was deleted without being displayed.",
    ),
    DispositionType.DISPATCHED: (
        "Message transféré / Message forwarded",
        "Votre message a été transféré sans avoir été affiché.",
        "Your message was forwarded without being displayed.",
    ),
    DispositionType.PROCESSED: (
        "Message traité / Message processed",
        "Votre message a été traité par le logiciel du destinataire.",
        "Your message was processed by the recipient's software.",
    ),
    DispositionType.DENIED: (
        "Accusé refusé / Receipt denied",
        "Le destinataire ne souhaite pas dire ce qu'il a fait de votre message.",
        "The recipient does not wish to say what became of your message.",
    ),
    DispositionType.FAILED: (
        "Traitement en échec / Processing failed",
        "Votre message n'a pas pu être traité.",
        "Your message could not be processed.",
    ),
}
_NOT_INTEGRATED = (
    "Le logiciel du destinataire n'a pas pu intégrer votre message :",
    "The recipient's software could not take your message in; the error is given above.",
)


def build_mdn(
    notification: DispositionNotification,
    *,
    original: bytes,
    author: NamedAddress,
    to: MailAddress,
    message_id: str,
    at: datetime,
    return_content: bool = False,
    boundary: str | None = None,
) -> bytes:
    """Write a complete notification; it must be sent with the null envelope sender.

    The subject of an integration result is that of the original message, marked when it failed, as
    the national guide asks; any other notification has a subject of its own.

    Args:
        notification: What to say.
        original: The message it is about, or its header block alone.
        author: The mailbox that the message had reached.
        to: Address of `Disposition-Notification-To`.
        message_id: Identifier of the notification, with angle brackets.
        at: Aware instant for `Date`.
        return_content: True to give the whole message back rather than a few header fields.
        boundary: Stem of the boundary; drawn from *message_id* when it is not given.
    """
    machine = b"Content-Type: message/disposition-notification\r\n\r\n"
    return build_report(
        "disposition-notification",
        [
            text_entity(_human_text(notification)),
            machine + build_disposition_notification(notification),
            returned_message(original) if return_content else safe_headers(original),
        ],
        original=original,
        subject=_subject(notification, original),
        author=author,
        to=to,
        message_id=message_id,
        at=at,
        boundary=boundary,
    )


def build_disposition_notification(notification: DispositionNotification) -> bytes:
    """Write the machine-readable part."""
    lines = []
    if notification.reporting_ua is not None:
        lines.append(build_text("Reporting-UA", notification.reporting_ua))
    if notification.original_recipient is not None:
        lines.append(typed_address("Original-Recipient", notification.original_recipient))
    lines.append(typed_address("Final-Recipient", notification.final_recipient))
    if notification.original_message_id is not None:
        lines.append(build_message_ids("Original-Message-ID", [notification.original_message_id]))
    lines.append(_disposition_field(notification.disposition))
    lines += [build_text("Error", error) for error in notification.errors]
    return b"".join(lines)


_MODIFIER = re.compile(r"[a-z0-9-]{1,40}")


def _disposition_field(disposition: Disposition) -> bytes:
    if not all(map(_MODIFIER.fullmatch, disposition.modifiers)):
        raise HeaderValueError(field="Disposition", reason="modifier")
    action = "automatic-action" if disposition.automatic else "manual-action"
    sending = "MDN-sent-automatically" if disposition.sent_automatically else "MDN-sent-manually"
    modifiers = "/" + ",".join(disposition.modifiers) if disposition.modifiers else ""
    return build_folded("Disposition", [f"{action}/{sending};", disposition.type + modifiers])


def _human_text(notification: DispositionNotification) -> str:
    _, french, english = _WORDS[notification.disposition.type]
    result = notification.integration
    if result is not None and not result.succeeded:
        french, english = _NOT_INTEGRATED
        error = f"{result.code} {result.label}".strip()
        return f"{french}\n{error}\n\n{english}\n"
    return f"{french}\n\n{english}\n"


def _subject(notification: DispositionNotification, original: bytes) -> str:
    result = notification.integration
    if result is None:
        return _WORDS[notification.disposition.type][0]
    values = (value for name, value in split_entity(original)[0] if name.lower() == b"subject")
    subject = decode_text(next(values, b""))
    return subject if result.succeeded else f"[KO Intégration système !][{result.code}] {subject}"


# Reading

_TYPES = {kind.value: kind for kind in DispositionType}
_DISPOSITION = re.compile(
    r"\s*(manual|automatic)-action\s*/\s*MDN-sent-(manually|automatically)\s*;"
    r"\s*([a-z]+)\s*(?:/(.*))?",
    re.IGNORECASE | re.ASCII,
)


def parse_disposition_notification(
    octets: bytes, limits: MimeLimits = DEFAULT_LIMITS
) -> DispositionNotification:
    """Read the machine-readable part, already decoded.

    Raises:
        MessageSyntaxError: It lacks the recipient or the disposition.
        MessageLimitError: It is longer than *limits* allow.
    """
    if len(octets) > limits.report_octets:
        raise MessageLimitError(reason="report-octets", ceiling=limits.report_octets)
    values = report_values(octets.strip(b"\r\n").partition(b"\r\n\r\n")[0], limits)
    final = values.get(b"final-recipient") or values.get(b"original-recipient")
    if final is None:
        raise MessageSyntaxError(reason="report-recipient")
    disposition, older_error = _parse_disposition(values.get(b"disposition", ""))
    errors = [text for text in (values.get(b"error"), older_error) if text]
    original = values.get(b"original-recipient")
    return DispositionNotification(
        final_recipient=after_type(final),
        disposition=disposition,
        original_recipient=after_type(original) if original else None,
        original_message_id=values.get(b"original-message-id") or None,
        reporting_ua=values.get(b"reporting-ua"),
        errors=tuple(errors),
    )


def _parse_disposition(text: str) -> tuple[Disposition, str | None]:
    """Read the value of `Disposition`, and the error that its older national form holds."""
    match = _DISPOSITION.fullmatch(text)
    kind = _TYPES.get(match[3].lower()) if match else None
    if match is None or kind is None:
        raise MessageSyntaxError(reason="disposition")
    rest = (match[4] or "").strip()
    word, colon, error = rest.partition(":")
    if colon and word.strip().lower() == "error":
        modifiers: tuple[str, ...] = ("error",)
    else:
        error = ""
        modifiers = tuple(item.strip().lower() for item in rest.split(",") if item.strip())
    disposition = Disposition(
        type=kind,
        automatic=match[1].lower() == "automatic",
        sent_automatically=match[2].lower() == "automatically",
        modifiers=modifiers,
    )
    return disposition, error.strip() or None
