"""Step 7: attach an incoming report to the delivery that it is about.

A report is believed only from whoever is responsible for the recipient: the operator whose
certificate the trust list allows for the recipient's domain (or this server itself). And it must
come back to the mailbox that sent the message. So nobody can mark somebody else's letter as read.

Shapes
    A report names a message (by our ENVID, or its Message-ID) and recipients. One that names no
    recipient fits when only one can be meant; a bounce in words that names no message, when only
    one letter to that recipient can be meant.
Sources
    RFC 3464 (delivery reports), RFC 8098 (disposition notifications); ANS, Transmission au LPS d'un
    document CDA (integration results).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from mss.mime.reports import Report, ReportedRecipient, ReportKind
from mss.model.audit import AuditEvent, AuditName
from mss.model.delivery import Delivery, DeliveryState, Station
from mss.model.principal import PeerPrincipal, Principal, SystemPrincipal
from mss.pipeline.submission import Submission
from mss.store import deliveries, messages
from mss.store.deliveries import Cause
from mss.store.engine import Connection

BOUNCES_WITHIN = timedelta(days=7)  # after which a bounce in words is about something else
DETAIL_LENGTH = 200
LINES = 30  # of reports in one timeline; a peer that repeats itself fills no disk

# Words of delivery reports (RFC 3464, 2.3.3) and how far they raise a delivery. `delayed` is worth
# a line in the timeline and changes nothing.
_STEPS = {
    "relayed": (DeliveryState.RELAYED, Station.RELAYED),
    "expanded": (DeliveryState.RELAYED, Station.RELAYED),
    "delivered": (DeliveryState.DELIVERED, Station.DELIVERED),
    "failed": (DeliveryState.FAILED, Station.FAILED),
}
_BAD_NEWS = frozenset({"failed", "delayed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """How far a report raises a delivery, if at all, and the line that it is worth."""

    state: DeliveryState | None
    station: Station
    cause: Cause


def is_bad_news(report: Report | None) -> bool:
    """Tell whether a report says that somebody did not get the message, or not into their records.

    A person must see that: they may have to telephone.
    """
    if report is None:
        return False
    if report.integration is not None:
        return not report.integration.succeeded
    return any(one.action in _BAD_NEWS for one in report.recipients)


def correlate(
    connection: Connection, *, report: Report, submission: Submission, at: datetime
) -> list[AuditEvent]:
    """Raise the deliveries that a report is about; give an event for the journal for each."""
    events: list[AuditEvent] = []
    for delivery, about in _matches(connection, report, submission, at=at):
        _record(connection, delivery, _step(report, about), at=at)
        events.append(_event(delivery, about))
    return events


def _matches(
    connection: Connection, report: Report, submission: Submission, *, at: datetime
) -> Iterator[tuple[Delivery, ReportedRecipient]]:
    """Give the deliveries that a report speaks of, and may speak of."""
    rows = _reported_messages(connection, report, submission)
    for row in rows:
        mine = [
            one
            for one in deliveries.deliveries_of(connection, row.id)
            if _may_report(submission.principal, one)
        ]
        yield from _about(report, mine)
    if not rows and not report.is_formal:
        yield from _only_letters(connection, report, submission, at=at)


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


def _about(report: Report, mine: list[Delivery]) -> Iterator[tuple[Delivery, ReportedRecipient]]:
    """Pair deliveries with what a report says of them."""
    by_key = {one.address.key: one for one in report.recipients if one.address}
    named = [
        (one, by_key[one.recipient.lower()]) for one in mine if one.recipient.lower() in by_key
    ]
    if not named and len(mine) == 1 and [one.address for one in report.recipients] == [None]:
        named = [(mine[0], report.recipients[0])]
    yield from named


def _only_letters(
    connection: Connection, report: Report, submission: Submission, *, at: datetime
) -> Iterator[tuple[Delivery, ReportedRecipient]]:
    """Find the one letter that a bounce can mean which quotes no identifier."""
    senders = [one.address.key for one in submission.envelope.recipients]
    for about in report.recipients:
        if about.address is None:
            continue
        found = deliveries.list_unsettled(
            connection,
            senders=senders,
            recipient_key=about.address.key,
            since=at - BOUNCES_WITHIN,
            limit=2,
        )
        if len(found) == 1 and _may_report(submission.principal, found[0]):
            yield found[0], about


def _may_report(principal: Principal, delivery: Delivery) -> bool:
    match principal:
        case PeerPrincipal():
            return delivery.domain in principal.domains
        case SystemPrincipal():
            return True
        case _:
            return False


def _step(report: Report, about: ReportedRecipient) -> _Step:
    """Tell what a report means for a delivery."""
    if report.kind is ReportKind.DELIVERY:
        state, station = _STEPS.get(about.action, (None, Station.REPORTED))
        code = about.reason or about.status or about.action
        detail = about.diagnostic[:DETAIL_LENGTH] or None
        cause = Cause(code=code, detail=detail, status=about.status or None)
        if state is None:
            cause = Cause(code=about.action, detail=detail)
        return _Step(state=state, station=station, cause=cause)
    result = report.integration
    if result is not None and result.succeeded:
        return _Step(
            state=DeliveryState.INTEGRATED,
            station=Station.INTEGRATED,
            cause=Cause(code=about.action),
        )
    if result is not None:
        return _Step(
            state=DeliveryState.NOT_INTEGRATED,
            station=Station.NOT_INTEGRATED,
            cause=Cause(code=result.code or "error", detail=result.label or None),
        )
    if about.action in {"displayed", "processed"}:
        return _Step(state=DeliveryState.READ, station=Station.READ, cause=Cause(code=about.action))
    # Deleted, denied, dispatched, failed at the reader's: it had arrived, and more is not known.
    return _Step(
        state=DeliveryState.DELIVERED, station=Station.DELIVERED, cause=Cause(code=about.action)
    )


def _record(connection: Connection, delivery: Delivery, step: _Step, *, at: datetime) -> None:
    """Raise a delivery, or leave a line for what changes nothing."""
    if step.station in {Station.READ, Station.INTEGRATED, Station.NOT_INTEGRATED}:
        # Who has it in hand has received it: the timeline says both.
        deliveries.advance(
            connection,
            delivery.id,
            to=DeliveryState.DELIVERED,
            station=Station.DELIVERED,
            at=at,
        )
    has_moved = step.state is not None and deliveries.advance(
        connection, delivery.id, to=step.state, station=step.station, at=at, cause=step.cause
    )
    if not has_moved:
        deliveries.add_report_line(
            connection, delivery.id, at=at, code=step.cause.code, limit=LINES
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
