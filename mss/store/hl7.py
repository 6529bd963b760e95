"""Rows of hospital software: its routes, its requests, and what is on its way to it.

A request is known by what it says, so a repeated one is recognised; each of its letters is written
down in the transaction that accepts the letter. What is to be told is found by looking at rows that
exist anyway (deliveries, deposits), and written down once: each thing has a subject of its own.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Table,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from mss.store.tables import (
    delivery,
    delivery_event,
    deposit,
    hl7_intake,
    hl7_letter,
    hl7_outgoing,
    hl7_recipient,
    hl7_request,
    hl7_route,
    mailbox,
    message,
)

WAITING = "waiting"
DONE = "done"
DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A piece of hospital software, and the application mailbox that it uses.

    Attributes:
        application: What it calls itself, MSH-3; `facility` is MSH-4.
        destination: Where messages for it go: `mllp://host:port`, `mllps://…`, `https://…`; empty
            for nowhere.
        certificate_name: Normalised subject of the certificate that it shows.
        takes_documents: True if documents that arrive in the mailbox are sent to it.
        last_uid: Of the mailbox; letters above have not been looked at.
        retry_at: Until when it is left alone after it could not be reached.
    """

    id: str
    application: str
    facility: str
    mailbox_key: str
    destination: str
    certificate_name: str | None
    takes_documents: bool
    last_uid: int
    created_at: datetime
    failures: int = 0
    retry_at: datetime | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """A request as it is remembered.

    Attributes:
        answer: The acknowledgement, once every letter was accepted.
    """

    id: str
    digest: str
    route_id: str
    control_id: str
    own_application: str
    own_facility: str
    charset: str
    wants_reception: bool
    wants_reading: bool
    received_at: datetime
    answer: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message for hospital software.

    Attributes:
        kind: `Z02`, `Z03` or `MDM`.
        subject: What it tells of; nothing is told twice.
        number: Of the document in its letter, from 1.
        failure: Why what it tells of did not work, as JSON; `None` if it worked.
    """

    id: str
    route_id: str
    subject: str
    kind: str
    control_id: str
    queued_at: datetime
    request_id: str | None = None
    delivery_id: str | None = None
    message_id: str | None = None
    number: int = 0
    failure: str | None = None
    state: str = WAITING
    attempts: int = 0
    settled_at: datetime | None = None
    verdict: str | None = None
    error_code: str | None = None
    error_text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """A delivery of a request whose state nobody was told of yet."""

    request: RequestRow
    delivery_id: str
    recipient: str
    state: str
    last_code: str | None
    last_detail: str | None
    last_status: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A letter in a mailbox whose documents go to software."""

    uid: int
    message_id: str
    report: str | None


# Routes


def insert_route(connection: Connection, route: Route) -> None:
    """Add a route."""
    connection.execute(insert(hl7_route).values(_values(hl7_route, route)))


def find_route(connection: Connection, *, application: str, facility: str) -> Route | None:
    """Find the route of software by what it calls itself."""
    row = connection.execute(
        select(hl7_route).where(
            hl7_route.c.application == application, hl7_route.c.facility == facility
        )
    ).one_or_none()
    return None if row is None else _route(row)


def get_route(connection: Connection, route_id: str) -> Route | None:
    """Find a route by our identifier."""
    row = connection.execute(select(hl7_route).where(hl7_route.c.id == route_id)).one_or_none()
    return None if row is None else _route(row)


def list_routes(connection: Connection) -> list[Route]:
    """List every route, the oldest first."""
    return [_route(row) for row in connection.execute(select(hl7_route).order_by(hl7_route.c.id))]


def is_in_use(connection: Connection, route_id: str) -> bool:
    """Tell whether something was ever asked of or sent by a route."""
    found = select(
        or_(
            exists().where(hl7_request.c.route_id == route_id),
            exists().where(hl7_outgoing.c.route_id == route_id),
        )
    )
    return bool(connection.execute(found).scalar())


def change_route(connection: Connection, route_id: str, **values: object) -> None:
    """Change what a route says."""
    connection.execute(update(hl7_route).where(hl7_route.c.id == route_id).values(**values))


def remove_route(connection: Connection, route_id: str) -> None:
    """Remove a route, and all that is known of it."""
    requests = select(hl7_request.c.id).where(hl7_request.c.route_id == route_id)
    connection.execute(delete(hl7_outgoing).where(hl7_outgoing.c.route_id == route_id))
    connection.execute(delete(hl7_intake).where(hl7_intake.c.route_id == route_id))
    for table in (hl7_letter, hl7_recipient):
        connection.execute(delete(table).where(table.c.request_id.in_(requests)))
    connection.execute(delete(hl7_request).where(hl7_request.c.route_id == route_id))
    connection.execute(delete(hl7_route).where(hl7_route.c.id == route_id))


def last_uid(connection: Connection, mailbox_key: str) -> int:
    """Tell the number of the newest letter in a mailbox."""
    found = connection.execute(
        select(mailbox.c.next_uid).where(mailbox.c.address_key == mailbox_key)
    ).scalar()
    return int(found or 1) - 1


# Requests


def find_request(connection: Connection, digest: str) -> RequestRow | None:
    """Find a request by what it says."""
    row = connection.execute(
        select(hl7_request).where(hl7_request.c.digest == digest)
    ).one_or_none()
    return None if row is None else _request(row)


def get_request(connection: Connection, request_id: str) -> RequestRow | None:
    """Find a request by our identifier."""
    row = connection.execute(
        select(hl7_request).where(hl7_request.c.id == request_id)
    ).one_or_none()
    return None if row is None else _request(row)


def ensure_request(
    connection: Connection, new: RequestRow, recipients: Collection[tuple[str, str]]
) -> RequestRow:
    """Write a request down, unless the same one is there; give the one that is there then."""
    added = _insert_once(connection, hl7_request, _values(hl7_request, new), ["digest"])
    if added:
        for key, identifier in dict(recipients).items():
            connection.execute(
                insert(hl7_recipient).values(
                    request_id=new.id, recipient_key=key, identifier=identifier[:64]
                )
            )
    found = find_request(connection, new.digest)
    assert found is not None, "it was there or was added"
    return found


def answer_request(connection: Connection, request_id: str, answer: bytes) -> bytes:
    """Keep the acknowledgement of a request; the first one stays."""
    connection.execute(
        update(hl7_request)
        .where(hl7_request.c.id == request_id, hl7_request.c.answer.is_(None))
        .values(answer=answer)
    )
    row = get_request(connection, request_id)
    return row.answer if row is not None and row.answer is not None else answer


def letters_of(connection: Connection, request_id: str) -> dict[str, str]:
    """Map the audiences whose letters were accepted to their messages."""
    rows = connection.execute(select(hl7_letter).where(hl7_letter.c.request_id == request_id))
    return {row.audience: row.message_id for row in rows}


def claim_letter(
    connection: Connection, *, request_id: str, audience: str, message_id: str
) -> bool:
    """Write down that a letter was accepted; False if it had been before."""
    values = {"request_id": request_id, "audience": audience, "message_id": message_id}
    return _insert_once(connection, hl7_letter, values, ["request_id", "audience"])


def identifier_of(connection: Connection, request_id: str, recipient: str) -> str:
    """Tell by which number a request named a recipient."""
    found = connection.execute(
        select(hl7_recipient.c.identifier).where(
            hl7_recipient.c.request_id == request_id,
            hl7_recipient.c.recipient_key == recipient.lower(),
        )
    ).scalar()
    return str(found or "")


def list_untold(
    connection: Connection,
    *,
    states: Collection[str],
    suffix: str,
    wish: str | None,
    line: tuple[str, str] | None = None,
    limit: int,
) -> list[Untold]:
    """List deliveries in these states of which nobody was told with this kind and result.

    Args:
        connection: To ask.
        states: Of deliveries.
        suffix: Kind and result, as subjects end: `Z02:Y`.
        wish: Of the request, to be told of this: `reception` or `reading`; `None` for any.
        line: Station and beginning of the code of a line that the timeline must have.
        limit: How many at the most.
    """
    conditions = [
        delivery.c.state.in_(states),
        ~exists().where(hl7_outgoing.c.subject == delivery.c.id + f":{suffix}"),
    ]
    if wish is not None:
        conditions.append(hl7_request.c[f"wants_{wish}"])
    if line is not None:
        station, code = line
        conditions.append(
            exists().where(
                delivery_event.c.delivery_id == delivery.c.id,
                delivery_event.c.station == station,
                delivery_event.c.code.like(f"{code}%"),
            )
        )
    rows = connection.execute(
        select(
            hl7_request,
            delivery.c.id.label("delivery_id"),
            delivery.c.recipient,
            delivery.c.state,
            delivery.c.last_code,
            delivery.c.last_detail,
            delivery.c.last_status,
        )
        .join(hl7_letter, hl7_letter.c.request_id == hl7_request.c.id)
        .join(delivery, delivery.c.message_id == hl7_letter.c.message_id)
        .where(*conditions)
        .order_by(delivery.c.id)
        .limit(limit)
    )
    return [
        Untold(
            request=_request(row),
            delivery_id=row.delivery_id,
            recipient=row.recipient,
            state=row.state,
            last_code=row.last_code,
            last_detail=row.last_detail,
            last_status=row.last_status,
        )
        for row in rows
    ]


def last_line(connection: Connection, delivery_id: str, station: str) -> tuple[str, str] | None:
    """Tell code and detail of the last line of a station."""
    row = connection.execute(
        select(delivery_event.c.code, delivery_event.c.detail)
        .where(delivery_event.c.delivery_id == delivery_id, delivery_event.c.station == station)
        .order_by(delivery_event.c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else (row.code or "", row.detail or "")


# What is on its way


def queue(connection: Connection, new: Outgoing) -> bool:
    """Write down something to tell; False if it had been before."""
    return _insert_once(connection, hl7_outgoing, _values(hl7_outgoing, new), ["subject"])


def get_outgoing(connection: Connection, outgoing_id: str) -> Outgoing | None:
    """Find a message by our identifier."""
    row = connection.execute(
        select(hl7_outgoing).where(hl7_outgoing.c.id == outgoing_id)
    ).one_or_none()
    return None if row is None else _outgoing(row)


def list_outgoing(connection: Connection, *, states: Collection[str], limit: int) -> list[Outgoing]:
    """List messages in the given states, the oldest first."""
    rows = connection.execute(
        select(hl7_outgoing)
        .where(hl7_outgoing.c.state.in_(states))
        .order_by(hl7_outgoing.c.id)
        .limit(limit)
    )
    return [_outgoing(row) for row in rows]


def next_outgoing(connection: Connection, route_id: str) -> Outgoing | None:
    """Find what a route is to get next: the oldest that waits."""
    row = connection.execute(
        select(hl7_outgoing)
        .where(hl7_outgoing.c.state == WAITING, hl7_outgoing.c.route_id == route_id)
        .order_by(hl7_outgoing.c.id)
        .limit(1)
    ).one_or_none()
    return None if row is None else _outgoing(row)


def claim_routes(
    connection: Connection, *, by: str, now: datetime, until: datetime, limit: int
) -> list[Route]:
    """Take routes that something waits for, and that nobody else is busy with."""
    rows = list(
        connection.execute(
            select(hl7_route)
            .where(
                hl7_route.c.destination != "",
                or_(hl7_route.c.retry_at.is_(None), hl7_route.c.retry_at <= now),
                or_(hl7_route.c.claimed_until.is_(None), hl7_route.c.claimed_until <= now),
                exists().where(
                    hl7_outgoing.c.state == WAITING, hl7_outgoing.c.route_id == hl7_route.c.id
                ),
            )
            .order_by(hl7_route.c.retry_at, hl7_route.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )
    connection.execute(
        update(hl7_route)
        .where(hl7_route.c.id.in_([row.id for row in rows]))
        .values(claimed_by=by, claimed_until=until)
    )
    return [_route(row) for row in rows]


def renew_claim(connection: Connection, route_id: str, *, by: str, until: datetime) -> bool:
    """Stay busy with a route; False if somebody else is by now."""
    changed = connection.execute(
        update(hl7_route)
        .where(hl7_route.c.id == route_id, hl7_route.c.claimed_by == by)
        .values(claimed_until=until)
    )
    return changed.rowcount > 0


def release_route(connection: Connection, route_id: str, *, by: str) -> None:
    """Let go of a route."""
    connection.execute(
        update(hl7_route)
        .where(hl7_route.c.id == route_id, hl7_route.c.claimed_by == by)
        .values(claimed_by=None, claimed_until=None)
    )


def note_attempt(connection: Connection, outgoing_id: str) -> None:
    """Count an attempt before it is made."""
    connection.execute(
        update(hl7_outgoing)
        .where(hl7_outgoing.c.id == outgoing_id)
        .values(attempts=hl7_outgoing.c.attempts + 1)
    )


def settle(
    connection: Connection,
    outgoing_id: str,
    *,
    state: str,
    at: datetime,
    verdict: str | None,
    error_code: str | None = None,
    error_text: str | None = None,
) -> None:
    """Write down what came of a message that waited."""
    connection.execute(
        update(hl7_outgoing)
        .where(hl7_outgoing.c.id == outgoing_id, hl7_outgoing.c.state == WAITING)
        .values(
            state=state,
            settled_at=at,
            verdict=verdict,
            error_code=error_code and error_code[:64],
            error_text=error_text,
        )
    )


def wake(connection: Connection, outgoing_id: str) -> bool:
    """Let a dead message wait again, and its route be tried at once; False if it is not dead."""
    changed = connection.execute(
        update(hl7_outgoing)
        .where(hl7_outgoing.c.id == outgoing_id, hl7_outgoing.c.state == DEAD)
        .values(state=WAITING, settled_at=None, verdict=None, error_code=None, error_text=None)
    )
    if changed.rowcount == 0:
        return False
    route = select(hl7_outgoing.c.route_id).where(hl7_outgoing.c.id == outgoing_id)
    connection.execute(
        update(hl7_route)
        .where(hl7_route.c.id == route.scalar_subquery())
        .values(retry_at=None, failures=0)
    )
    return True


def count_waiting(connection: Connection) -> dict[str, int]:
    """Count what waits or is dead, by route and state: `route:state`."""
    rows = connection.execute(
        select(hl7_outgoing.c.route_id, hl7_outgoing.c.state, func.count())
        .where(hl7_outgoing.c.state != DONE)
        .group_by(hl7_outgoing.c.route_id, hl7_outgoing.c.state)
    )
    return {f"{row[0]}:{row[1]}": int(row[2]) for row in rows}


# Mailboxes whose documents go to software


def list_arrived(connection: Connection, route: Route, *, limit: int) -> list[Arrived]:
    """List letters that a route's mailbox received and that were not looked at."""
    rows = connection.execute(
        select(deposit.c.uid, deposit.c.message_id, message.c.report)
        .join(mailbox, mailbox.c.id == deposit.c.mailbox_id)
        .join(message, message.c.id == deposit.c.message_id)
        .where(
            mailbox.c.address_key == route.mailbox_key,
            deposit.c.uid > route.last_uid,
            deposit.c.role == "received",
        )
        .order_by(deposit.c.uid)
        .limit(limit)
    )
    return [Arrived(uid=row.uid, message_id=row.message_id, report=row.report) for row in rows]


def take_in(
    connection: Connection,
    route: Route,
    arrived: Arrived,
    documents: Sequence[Outgoing],
    *,
    at: datetime,
) -> None:
    """Write down the documents of a letter, and that it was looked at."""
    moved = connection.execute(
        update(hl7_route)
        .where(hl7_route.c.id == route.id, hl7_route.c.last_uid < arrived.uid)
        .values(last_uid=arrived.uid)
    )
    if moved.rowcount == 0 or not documents:
        return
    values = {
        "route_id": route.id,
        "message_id": arrived.message_id,
        "documents": len(documents),
        "is_answered": False,
        "taken_at": at,
    }
    if _insert_once(connection, hl7_intake, values, ["route_id", "message_id"]):
        for one in documents:
            queue(connection, one)


def list_integrated(connection: Connection, *, limit: int) -> list[tuple[str, str]]:
    """List letters all of whose documents were answered, and the sender not: route, message."""
    open_one = exists().where(
        hl7_outgoing.c.route_id == hl7_intake.c.route_id,
        hl7_outgoing.c.message_id == hl7_intake.c.message_id,
        hl7_outgoing.c.kind == "MDM",
        hl7_outgoing.c.state != DONE,
    )
    rows = connection.execute(
        select(hl7_intake.c.route_id, hl7_intake.c.message_id)
        .where(~hl7_intake.c.is_answered, ~open_one)
        .order_by(hl7_intake.c.taken_at)
        .limit(limit)
    )
    return [(row.route_id, row.message_id) for row in rows]


def results_of(connection: Connection, route_id: str, message_id: str) -> list[Outgoing]:
    """List the documents of a letter with what software said of each."""
    rows = connection.execute(
        select(hl7_outgoing)
        .where(
            hl7_outgoing.c.route_id == route_id,
            hl7_outgoing.c.message_id == message_id,
            hl7_outgoing.c.kind == "MDM",
        )
        .order_by(hl7_outgoing.c.number)
    )
    return [_outgoing(row) for row in rows]


def answer_intake(connection: Connection, route_id: str, message_id: str) -> bool:
    """Write down that the sender of a letter was told; False if that had been done."""
    changed = connection.execute(
        update(hl7_intake)
        .where(
            hl7_intake.c.route_id == route_id,
            hl7_intake.c.message_id == message_id,
            ~hl7_intake.c.is_answered,
        )
        .values(is_answered=True)
    )
    return changed.rowcount > 0


def forget_old(connection: Connection, *, before: datetime) -> None:
    """Forget what is settled and older."""
    old = select(hl7_request.c.id).where(
        hl7_request.c.received_at < before,
        ~exists().where(
            hl7_outgoing.c.request_id == hl7_request.c.id, hl7_outgoing.c.state != DONE
        ),
    )
    gone = list(connection.execute(old).scalars())
    for table in (hl7_outgoing, hl7_letter, hl7_recipient):
        connection.execute(delete(table).where(table.c.request_id.in_(gone)))
    connection.execute(delete(hl7_request).where(hl7_request.c.id.in_(gone)))
    connection.execute(
        delete(hl7_outgoing).where(
            hl7_outgoing.c.queued_at < before,
            hl7_outgoing.c.state == DONE,
            hl7_outgoing.c.request_id.is_(None),
        )
    )
    connection.execute(
        delete(hl7_intake).where(hl7_intake.c.taken_at < before, hl7_intake.c.is_answered)
    )


def _insert_once(
    connection: Connection,
    table: Table,
    values: Mapping[str, object],
    columns: list[str],
) -> bool:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(values)
    done = connection.execute(statement.on_conflict_do_nothing(index_elements=columns))
    return bool(done.rowcount > 0)


def _values(table: Table, value: object) -> dict[str, object]:
    return {
        column.name: getattr(value, column.name)
        for column in table.c
        if hasattr(value, column.name)
    }


def _route(row: Row[Any]) -> Route:
    return Route(**{name: getattr(row, name) for name in Route.__slots__})


def _request(row: Row[Any]) -> RequestRow:
    return RequestRow(**{name: getattr(row, name) for name in RequestRow.__slots__})


def _outgoing(row: Row[Any]) -> Outgoing:
    return Outgoing(**{name: getattr(row, name) for name in Outgoing.__slots__})
