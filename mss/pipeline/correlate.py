"""Step 7: attach an incoming report to the delivery that it is about.

A report is believed only from whoever is responsible for the recipient: the operator whose
certificate the trust list allows for the recipient's domain (or this server itself). And it must
come back to the mailbox that sent the message. So nobody can mark somebody else's letter as read.

Sources
    RFC 3464 (delivery reports), RFC 8098 (disposition notifications).
"""

from datetime import datetime

from mss.mime.reports import Report, ReportedRecipient
from mss.model.audit import AuditEvent, AuditName
from mss.model.delivery import Delivery, DeliveryState, Station
from mss.model.principal import PeerPrincipal, Principal, SystemPrincipal
from mss.pipeline.submission import Submission
from mss.store import deliveries, messages
from mss.store.engine import Connection

# Words of reports (RFC 3464, 2.3.3; RFC 8098, 3.2.6.2) and how far they raise a delivery. Others
# (`delayed`, `deleted`, `denied`…) are worth a line in the timeline and change nothing.
_STEPS = {
    "relayed": (DeliveryState.RELAYED, Station.RELAYED),
    "expanded": (DeliveryState.RELAYED, Station.RELAYED),
    "delivered": (DeliveryState.DELIVERED, Station.DELIVERED),
    "displayed": (DeliveryState.READ, Station.READ),
    "processed": (DeliveryState.READ, Station.READ),
    "failed": (DeliveryState.FAILED, Station.FAILED),
}
_BAD_NEWS = frozenset({"failed", "delayed"})


def is_bad_news(report: Report | None) -> bool:
    """Tell whether a report says that somebody did not get the message, or not yet.

    A person must see that: they may have to telephone.
    """
    return report is not None and any(one.action in _BAD_NEWS for one in report.recipients)


def correlate(
    connection: Connection, *, report: Report, submission: Submission, at: datetime
) -> list[AuditEvent]:
    """Raise the deliveries that a report is about; give an event for the journal for each."""
    events: list[AuditEvent] = []
    for row in _reported_messages(connection, report, submission):
        for delivery in deliveries.deliveries_of(connection, row.id):
            about = _about(report, delivery)
            if about is None or not _may_report(submission.principal, delivery):
                continue
            _record(connection, delivery, about, at=at)
            events.append(_event(delivery, about))
    return events


def _reported_messages(
    connection: Connection, report: Report, submission: Submission
) -> list[messages.MessageRow]:
    """Find what a report may be about: messages sent by the mailbox that it comes back to."""
    senders = {one.address.key for one in submission.envelope.recipients}
    found: list[messages.MessageRow] = []
    if report.original_envelope_id:
        row = messages.find_message(connection, report.original_envelope_id)
        found = [row] if row else []
        found += messages.find_by_envelope_id(connection, report.original_envelope_id)
    if not found and report.original_message_id:
        found = messages.find_by_internet_id(connection, report.original_message_id)
    return [row for row in found if row.sender_key in senders]


def _about(report: Report, delivery: Delivery) -> ReportedRecipient | None:
    """Find what a report says of one delivery's recipient."""
    key = delivery.recipient.lower()
    named = [one for one in report.recipients if one.address and one.address.key == key]
    return named[0] if named else None


def _may_report(principal: Principal, delivery: Delivery) -> bool:
    match principal:
        case PeerPrincipal():
            return delivery.domain in principal.domains
        case SystemPrincipal():
            return True
        case _:
            return False


def _record(
    connection: Connection, delivery: Delivery, about: ReportedRecipient, *, at: datetime
) -> None:
    step = _STEPS.get(about.action)
    if step is None:  # delayed: worth a line, changes nothing
        deliveries.add_event(
            connection, delivery.id, at=at, station=Station.REPORTED, code=about.action
        )
        return
    state, station = step
    if state is DeliveryState.READ and delivery.state in {
        DeliveryState.QUEUED,
        DeliveryState.RELAYED,
    }:
        # Who has read it has received it: the timeline says both.
        deliveries.advance(
            connection,
            delivery.id,
            to=DeliveryState.DELIVERED,
            station=Station.DELIVERED,
            at=at,
        )
    deliveries.advance(
        connection, delivery.id, to=state, station=station, at=at, code=about.status or about.action
    )


def _event(delivery: Delivery, about: ReportedRecipient) -> AuditEvent:
    return AuditEvent(
        name=AuditName.DELIVERY_REPORTED,
        actor="peer",
        facts=(
            ("delivery", delivery.id),
            ("message", delivery.message_id),
            ("action", about.action),
            ("status", about.status),
        ),
    )
