"""What a door hands to the pipeline, and what it gets back: the values of the one way in."""

from dataclasses import dataclass
from datetime import datetime

from directory.address import MailAddress
from mss.errors import MSSError
from mss.model.envelope import Envelope
from mss.model.message import Origin
from mss.model.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRoute:
    """The recipient is one of our open mailboxes.

    Attributes:
        client_certificate: In PEM, if only the mailbox's client has the key.
    """

    address: MailAddress
    mailbox_id: str
    client_certificate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayRoute:
    """The recipient belongs to another operator of the trust space."""

    address: MailAddress
    domain: str
    is_listed: bool  # the directory knows this very mailbox


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRoute:
    """The recipient cannot be reached from here; *error* says why, and what to do."""

    address: MailAddress
    error: MSSError


Route = LocalRoute | RelayRoute | RefusedRoute


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One message at a door: envelope, octets, who hands it over, through which kind of door.

    Attributes:
        routes: The answers given at RCPT, carried along so that nothing is looked up twice;
            `None` when the door has not asked yet.
        received_by: Text of the `Received` field's `with` and `id` clauses is made from this:
            the protocol name (`ESMTPSA`, `ESMTPS`, `HTTPS`).
        is_released: True if an administrator let it out of the quarantine: nobody looks again.
    """

    envelope: Envelope
    raw: bytes
    principal: Principal
    origin: Origin
    routes: tuple[Route, ...] | None = None
    received_with: str = "ESMTPS"
    is_released: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedDelivery:
    """One recipient of an accepted message."""

    recipient: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Responsibility was taken: body and rows are durable.

    Attributes:
        message_id: Our identifier.
        is_repeat: True if the very same message had been accepted before; nothing was added.
    """

    message_id: str
    internet_message_id: str
    accepted_at: datetime
    deliveries: tuple[AcceptedDelivery, ...]
    is_repeat: bool = False
