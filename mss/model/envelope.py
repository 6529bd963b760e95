"""Who a message is handed over from and to: SMTP's envelope, never the header fields.

Sources
    RFC 5321, 2.3.1 (envelope and content); RFC 3461, 4 (NOTIFY, ORCPT, RET, ENVID).
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from directory.address import MailAddress


class Notify(StrEnum):
    """What a sender wants to be told about one recipient (RFC 3461, 4.1)."""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


DEFAULT_NOTIFY = frozenset({Notify.FAILURE, Notify.DELAY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One recipient of an envelope, with its delivery notification wishes."""

    address: MailAddress
    notify: frozenset[Notify] = DEFAULT_NOTIFY
    original_recipient: str | None = None  # ORCPT, as given: "rfc822;name@example.org"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Sender (`None` for the null one) and recipients.

    Attributes:
        envelope_id: ENVID of the submitter or peer; returned in reports about this message.
        returns: RET, whether a failure report carries the whole message or its header fields.
    """

    sender: MailAddress | None
    recipients: tuple[Recipient, ...] = field(default=())
    envelope_id: str | None = None
    returns: Literal["FULL", "HDRS"] | None = None
