"""What is to be told to hospital software? Found by looking at what became of its letters.

What a delivery went through is written down by those who carried it, in their own transactions. So
nothing is written twice: here is looked for what nobody was told of yet, and each thing is written
down once, under a subject that names it. A crash anywhere loses nothing.

Shapes
    Z02 tells how a letter came to the recipient's operator, Z03 what its reader did with it. A
    failure that follows a success is told as well: the last word counts.
Sources
    ANS, Transmission d'un document CDA-R2 en HL7v2 2.1 (ZAM); RFC 3464; RFC 8098.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Final

import orjson

from mss.clock import Clock
from mss.hl7.answers import Failure, ReportKind, build_report
from mss.hl7.gateway import new_control_id
from mss.hl7.translation import application_failure, smtp_failure
from mss.hl7.writing import Heading, known_charset
from mss.model.delivery import DeliveryState, Station
from mss.settings import HL7Settings
from mss.store import deliveries, hl7
from mss.store.engine import Connection, Database
from mss.store.hl7 import Outgoing, RequestRow, Route, Untold

AT_ONCE: Final = 200
_ARRIVED: Final = (
    DeliveryState.DELIVERED,
    DeliveryState.NOT_INTEGRATED,
    DeliveryState.INTEGRATED,
    DeliveryState.READ,
)
_LOST: Final = (DeliveryState.FAILED, DeliveryState.DROPPED)


def _smtp(connection: Connection, one: Untold) -> Failure:
    del connection
    return smtp_failure(code=one.last_code, detail=one.last_detail, status=one.last_status)


def _application(connection: Connection, one: Untold) -> Failure:
    line = hl7.last_line(connection, one.delivery_id, Station.NOT_INTEGRATED.value)
    code, label = line or ("", "")
    return application_failure(code=code, label=label)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One thing to look for.

    Attributes:
        wish: What the request must have asked for; a failure may be told all the same.
        failure: Says why it did not work; `None` where it did.
        line: Station and beginning of a code that the timeline must have.
    """

    kind: ReportKind
    states: tuple[DeliveryState, ...]
    wish: str
    failure: Callable[[Connection, Untold], Failure] | None = None
    line: tuple[str, str] | None = None

    @property
    def suffix(self) -> str:
        """How subjects of this end."""
        return f"{self.kind.value}:{'N' if self.failure else 'Y'}"


LOOKS: Final = (
    _Look(kind=ReportKind.RECEPTION, states=_ARRIVED, wish="reception"),
    # A peer that will not report further has taken it: our own report of that is in the timeline.
    _Look(
        kind=ReportKind.RECEPTION,
        states=(DeliveryState.RELAYED,),
        wish="reception",
        line=(Station.REPORTED.value, "2."),
    ),
    _Look(kind=ReportKind.RECEPTION, states=_LOST, wish="reception", failure=_smtp),
    _Look(
        kind=ReportKind.READING,
        states=(DeliveryState.READ, DeliveryState.INTEGRATED),
        wish="reading",
    ),
    _Look(
        kind=ReportKind.READING,
        states=(DeliveryState.NOT_INTEGRATED,),
        wish="reading",
        failure=_application,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    """Finds what is to be told, and writes it when its turn has come."""

    database: Database
    clock: Clock
    settings: HL7Settings

    async def look(self) -> int:
        """Write down what nobody was told of yet; tell how much it was."""
        found = 0
        for one in LOOKS:
            if await self.database.read(partial(self._untold, look=one)):
                found += await self.database.write(partial(self._queue, look=one))
        return found

    def _untold(self, connection: Connection, look: _Look) -> list[Untold]:
        is_always = look.failure is not None and self.settings.tell_failures
        return hl7.list_untold(
            connection,
            states=[one.value for one in look.states],
            suffix=look.suffix,
            wish=None if is_always else look.wish,
            line=look.line,
            limit=AT_ONCE,
        )

    def _queue(self, connection: Connection, look: _Look) -> int:
        queued = 0
        for one in self._untold(connection, look):
            why = look.failure(connection, one) if look.failure else None
            queued += hl7.queue(
                connection,
                Outgoing(
                    id=self.clock.new_id(),
                    route_id=one.request.route_id,
                    subject=f"{one.delivery_id}:{look.suffix}",
                    kind=look.kind.value,
                    request_id=one.request.id,
                    delivery_id=one.delivery_id,
                    failure=orjson.dumps(asdict(why)).decode() if why else None,
                    control_id=new_control_id(self.clock),
                    queued_at=self.clock.now(),
                ),
            )
        return queued

    async def build(self, route: Route, one: Outgoing) -> bytes | None:
        """Write a message that was queued; `None` if what it tells of is forgotten."""
        facts = await self.database.read(lambda c: _facts(c, one))
        if facts is None:
            return None
        request, recipient, identifier = facts
        heading = Heading(
            # What software called us is what it expects to hear from.
            sender=(request.own_application, request.own_facility),
            receiver=(route.application, route.facility),
            kind=("ZAM", one.kind, "ZAM_Z01"),
            control_id=one.control_id,
            version="2.6",
            at=self.clock.now(),
            charset=known_charset(request.charset.upper()),
            profile=("2.1", "CISIS_CDA_HL7_V2"),
        )
        return build_report(
            ReportKind(one.kind),
            heading,
            answered=request.control_id,
            identifier=identifier,
            address=recipient,
            failure=Failure(**orjson.loads(one.failure)) if one.failure else None,
            happened_at=one.queued_at,
        )


def _facts(connection: Connection, one: Outgoing) -> tuple[RequestRow, str, str] | None:
    request = hl7.get_request(connection, one.request_id or "")
    delivery = deliveries.find_delivery(connection, one.delivery_id or "")
    if request is None or delivery is None:
        return None
    identifier = hl7.identifier_of(connection, request.id, delivery.recipient)
    return request, delivery.recipient, identifier
