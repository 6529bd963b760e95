"""Write and read delivery status notifications: what became of a message, per recipient.

A notification travels back over ground that the message itself may not have covered, so it shows no
more than its reader needs: never the subject, never other recipients, never the content.

Errors
    `parse_delivery_status` raises `MessageSyntaxError`; builders raise `HeaderValueError`.
Sources
    RFC 3464 (fields); RFC 6522 (multipart/report); RFC 3461, 6 (what a host sends);
    RFC 3834, 5 (Auto-Submitted).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from directory.address import MailAddress
from directory.errors import AddressSyntaxError
from mss.mime.addresses import NamedAddress
from mss.mime.build import Draft, boundary_stem, build_header, multipart, text_entity
from mss.mime.entity import split_entity
from mss.mime.errors import MessageLimitError, MessageSyntaxError
from mss.mime.headers import (
    Field,
    build_date,
    build_folded,
    build_text,
    decode_text,
    join_fields,
    parse_date,
    parse_message_id,
    split_fields,
)
from mss.mime.limits import DEFAULT_LIMITS, MimeLimits


class Action(StrEnum):
    """What was done for a recipient (RFC 3464, 2.3.3)."""

    DELIVERED = "delivered"
    RELAYED = "relayed"
    FAILED = "failed"
    DELAYED = "delayed"
    EXPANDED = "expanded"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientStatus:
    """What became of the message for one recipient; addresses are as the reporting host wrote them.

    Attributes:
        status: Enhanced status code, such as `5.1.1`.
        remote_mta: Host that gave the answer.
        diagnostic_code: Its answer, without the type that comes first.
        reason: Our own permanent code for the cause; software may rely on it.
        texts: The cause for a person, in French and in English; not in the machine-readable part.
        will_retry_until: When a delayed message will be given up.
    """

    final_recipient: str
    action: Action
    status: str
    original_recipient: str | None = None
    remote_mta: str | None = None
    diagnostic_code: str | None = None
    reason: str | None = None
    texts: tuple[str, str] | None = None
    last_attempt_at: datetime | None = None
    will_retry_until: datetime | None = None

    @property
    def address(self) -> MailAddress | None:
        """The address that the sender wrote to, as well as the report tells."""
        return read_address(self.original_recipient) or read_address(self.final_recipient)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryStatus:
    """The machine-readable part of a notification.

    Attributes:
        reporting_mta: Host that speaks.
        recipients: One status each.
        original_envelope_id: `ENVID` of the original envelope, decoded.
        arrival_at: When the message had reached the host.
    """

    reporting_mta: str
    recipients: tuple[RecipientStatus, ...]
    original_envelope_id: str | None = None
    arrival_at: datetime | None = None


def read_address(text: str | None) -> MailAddress | None:
    """Read an address that a report gives, if it is one."""
    try:
        return None if text is None else MailAddress.parse(text.strip().strip("<>"))
    except AddressSyntaxError:
        return None


# Writing

_WORDS = {
    Action.DELIVERED: (
        "Message remis / Message delivered",
        "Votre message a été remis dans la boîte aux lettres de :",
        "Your message was delivered to the mailbox of:",
    ),
    Action.RELAYED: (
        "Message transmis / Message relayed",
        "Votre message a été transmis à un serveur qui ne rend pas compte de la remise, pour :",
        "Your message was relayed to a server that does not report delivery, for:",
    ),
    Action.FAILED: (
        "Message non remis / Message not delivered",
        "Votre message n'a pas pu être remis à :",
        "Your message could not be delivered to:",
    ),
    Action.DELAYED: (
        "Remise retardée / Delivery delayed",
        "Votre message n'a pas encore pu être remis ; d'autres essais suivront pour :",
        "Your message could not be delivered yet; it will be tried again for:",
    ),
    Action.EXPANDED: (
        "Message remis à une liste / Message delivered to a list",
        "Votre message a été remis à une liste de diffusion :",
        "Your message was delivered to a distribution list:",
    ),
}
_GRAVITY = (Action.FAILED, Action.DELAYED, Action.RELAYED, Action.EXPANDED, Action.DELIVERED)


def build_dsn(
    status: DeliveryStatus,
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

    Args:
        status: What to report; at least one recipient.
        original: The message it is about, or its header block alone.
        author: Who the notification is from, such as the postmaster.
        to: Envelope sender of the original message.
        message_id: Identifier of the notification, with angle brackets.
        at: Aware instant for `Date`.
        return_content: True to give the whole message back, because its sender asked for it.
        boundary: Stem of the boundary; drawn from *message_id* when it is not given.
    """
    gravest = min((item.action for item in status.recipients), key=_GRAVITY.index)
    return build_report(
        "delivery-status",
        [
            text_entity(_human_text(status.recipients)),
            b"Content-Type: message/delivery-status\r\n\r\n" + build_delivery_status(status),
            returned_message(original) if return_content else safe_headers(original),
        ],
        original=original,
        subject=_WORDS[gravest][0],
        author=author,
        to=to,
        message_id=message_id,
        at=at,
        boundary=boundary,
    )


def build_report(
    report_type: str,
    entities: Sequence[bytes],
    *,
    original: bytes,
    subject: str,
    author: NamedAddress,
    to: MailAddress,
    message_id: str,
    at: datetime,
    boundary: str | None,
) -> bytes:
    """Write a `multipart/report` message around its parts, in the thread of *original*."""
    thread = _message_id(split_entity(original)[0])
    draft = Draft(
        author=author,
        to=(NamedAddress(address=to),),
        subject=subject,
        in_reply_to=thread,
        references=(thread,) if thread else (),
        auto_submitted="auto-replied",
    )
    body = multipart(
        "report",
        entities,
        boundary=boundary or boundary_stem(message_id),
        parameters={"report-type": report_type},
    )
    return build_header(draft, message_id=message_id, at=at) + body


def build_delivery_status(status: DeliveryStatus) -> bytes:
    """Write the machine-readable part: one group for the message, one for each recipient."""
    lines = []
    if status.original_envelope_id is not None:
        lines.append(build_text("Original-Envelope-Id", status.original_envelope_id))
    lines.append(build_folded("Reporting-MTA", ["dns;", _ascii(status.reporting_mta)]))
    if status.arrival_at is not None:
        lines.append(build_date("Arrival-Date", status.arrival_at))
    groups = [b"".join(lines), *map(_recipient_group, status.recipients)]
    return b"\r\n".join(groups)


def _recipient_group(item: RecipientStatus) -> bytes:
    lines = []
    if item.original_recipient is not None:
        lines.append(typed_address("Original-Recipient", item.original_recipient))
    lines += [
        typed_address("Final-Recipient", item.final_recipient),
        build_text("Action", item.action.value),
        build_text("Status", item.status),
    ]
    if item.remote_mta is not None:
        lines.append(build_folded("Remote-MTA", ["dns;", _ascii(item.remote_mta)]))
    if item.diagnostic_code is not None:
        words = _ascii(item.diagnostic_code)[:_DIAGNOSTIC_LENGTH].split()
        lines.append(build_folded("Diagnostic-Code", ["smtp;", *words]))
    if item.reason is not None:
        lines.append(build_text(REASON_FIELD, item.reason))
    if item.last_attempt_at is not None:
        lines.append(build_date("Last-Attempt-Date", item.last_attempt_at))
    if item.will_retry_until is not None:
        lines.append(build_date("Will-Retry-Until", item.will_retry_until))
    return b"".join(lines)


_DIAGNOSTIC_LENGTH = 500
REASON_FIELD = "X-MSS-Reason"
_NOT_PRINTABLE = re.compile(r"[^ -~]+")


def _ascii(text: str) -> str:
    """Make a foreign host's words fit for a field: printable ASCII on one line."""
    return _NOT_PRINTABLE.sub(" ", text).strip()


def typed_address(name: str, address: str) -> bytes:
    """Write an address field of a report with its type."""
    return build_folded(name, ["rfc822;", _ascii(address).replace(" ", "")])


def _human_text(recipients: Iterable[RecipientStatus]) -> str:
    lines: list[str] = []
    statuses = list(recipients)
    for language in (1, 2):
        for action in _GRAVITY:
            concerned = [item for item in statuses if item.action is action]
            if concerned:
                lines += [_WORDS[action][language], ""]
                for item in concerned:
                    lines.append(f"    {_ascii(_shown(item))}  ({_ascii(item.status)})")
                    lines += [f"        {item.texts[language - 1]}"] if item.texts else []
                lines.append("")
    return "\n".join(lines)


def _shown(item: RecipientStatus) -> str:
    return item.original_recipient or item.final_recipient


# Enough to recognise the message, and nothing that says what or whom it was about.
_SAFE_FIELDS = frozenset(
    (b"from", b"date", b"message-id", b"in-reply-to", b"references", b"x-mss-nil")
)


def safe_headers(original: bytes) -> bytes:
    """Write the third part of a report: the fields of *original* that a stranger may read."""
    fields = [item for item in split_entity(original)[0] if item[0].lower() in _SAFE_FIELDS]
    block = join_fields(fields)
    encoding = b"" if block.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
    return b"Content-Type: text/rfc822-headers\r\n%b\r\n%b" % (encoding, block)


def returned_message(original: bytes) -> bytes:
    """Write the third part of a report that gives the whole message back."""
    encoding = b"" if original.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
    return b"Content-Type: message/rfc822\r\n%b\r\n%b" % (encoding, original)


def _message_id(fields: Iterable[Field]) -> str | None:
    for name, value in fields:
        if name.lower() == b"message-id":
            try:
                text = parse_message_id(value)
            except MessageSyntaxError:
                return None
            return text if "@" in text else None
    return None


# Reading

_STATUS = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}", re.ASCII)
_ACTIONS = {action.value: action for action in Action}
_IMPLIED_ACTION = {"2": Action.DELIVERED, "4": Action.DELAYED, "5": Action.FAILED}
_REASON = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
_IMPLIED_STATUS = {Action.FAILED: "5.0.0", Action.DELAYED: "4.0.0"}


def parse_delivery_status(octets: bytes, limits: MimeLimits = DEFAULT_LIMITS) -> DeliveryStatus:
    """Read the machine-readable part, already decoded.

    Raises:
        MessageSyntaxError: A recipient lacks its address or its action, or no recipient is named.
        MessageLimitError: It is longer than *limits* allow.
    """
    if len(octets) > limits.report_octets:
        raise MessageLimitError(reason="report-octets", ceiling=limits.report_octets)
    groups = [report_values(group, limits) for group in _groups(octets, limits)]
    message = groups.pop(0) if groups and not _is_recipient(groups[0]) else {}
    recipients = [group for group in groups if _is_recipient(group)]
    if not recipients:
        raise MessageSyntaxError(reason="report-recipients")
    return DeliveryStatus(
        reporting_mta=after_type(message.get(b"reporting-mta", "")),
        recipients=tuple(map(_recipient, recipients)),
        original_envelope_id=message.get(b"original-envelope-id"),
        arrival_at=_date(message.get(b"arrival-date")),
    )


def _groups(octets: bytes, limits: MimeLimits) -> list[bytes]:
    """Cut the part into its groups of fields; some hosts write LF, or blanks between groups."""
    lines = [line.rstrip(b" \t\r") for line in octets.split(b"\n")]
    text = b"\r\n".join(lines).strip(b"\r\n")
    groups = [one.strip(b"\r\n") for one in text.split(b"\r\n\r\n", 2 * limits.addresses + 2)]
    groups = [one for one in groups if one]
    if len(groups) > limits.addresses + 1:
        raise MessageLimitError(reason="addresses", ceiling=limits.addresses)
    return groups


def _is_recipient(values: dict[bytes, str]) -> bool:
    return b"final-recipient" in values or b"original-recipient" in values


def report_values(group: bytes, limits: MimeLimits) -> dict[bytes, str]:
    """Read a group of report fields, the first of each name, by lower-case name."""
    values: dict[bytes, str] = {}
    for name, value in split_fields(group, limits):
        values.setdefault(name.lower(), decode_text(value))
    return values


def _recipient(values: dict[bytes, str]) -> RecipientStatus:
    """Read a group; what a host forgot follows from what it said."""
    final = values.get(b"final-recipient") or values.get(b"original-recipient") or ""
    status = _STATUS.search(values.get(b"status", ""))
    action_word = values.get(b"action", "").partition(" ")[0].lower()
    action = _ACTIONS.get(action_word) or (_IMPLIED_ACTION[status[0][0]] if status else None)
    if action is None:
        raise MessageSyntaxError(reason="report-recipient")
    return RecipientStatus(
        final_recipient=after_type(final),
        action=action,
        status=status[0] if status else _IMPLIED_STATUS.get(action, "2.0.0"),
        reason=_reason(values.get(REASON_FIELD.lower().encode())),
        original_recipient=_optional(values.get(b"original-recipient")),
        remote_mta=_optional(values.get(b"remote-mta")),
        diagnostic_code=_optional(values.get(b"diagnostic-code")),
        last_attempt_at=_date(values.get(b"last-attempt-date")),
        will_retry_until=_date(values.get(b"will-retry-until")),
    )


def after_type(text: str) -> str:
    """Give what follows the type of a typed value, such as `rfc822;`."""
    kind, mark, rest = text.partition(";")
    return rest.strip() if mark else kind.strip()


def _reason(text: str | None) -> str | None:
    """Take a reason of our own kind, as another operator with this software writes it."""
    return text if text and len(text) <= 64 and _REASON.fullmatch(text) else None


def _optional(text: str | None) -> str | None:
    return None if text is None else after_type(text) or None


def _date(text: str | None) -> datetime | None:
    try:
        return None if text is None else parse_date(text.encode("utf-8", "replace"))
    except MessageSyntaxError:
        return None
