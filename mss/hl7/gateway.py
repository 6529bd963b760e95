"""Carry out what hospital software asks for, and answer when it is safe.

One function takes the octets of a message and gives those of its acknowledgement, whatever door
they came through. AA means that every letter of the request was accepted: it would survive a crash
of everything.

A request is the same one if route, control id and content are: it gets the same answer, and nothing
is sent twice. A control id alone does not make it so, because software begins to count anew.

Errors
    None leave: trouble becomes AE or AR, with the reasons in ERR.
Sources
    HL7 v2.6, 2.9.2 (original mode); docs/adr/0026.
"""

import asyncio
import hashlib
import ipaddress
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid5

from crypto.errors import CryptoError
from directory.address import MailAddress
from directory.errors import DirectoryError
from mss.clinical.metadata import Action
from mss.clock import Clock
from mss.errors import MSSError, NotFoundError
from mss.hl7.agreement import check_agreement
from mss.hl7.answers import Verdict, build_ack, build_blind_ack, verdict_on
from mss.hl7.destinations import audiences_of
from mss.hl7.errors import Condition, HL7RefusedError, HL7SyntaxError, Objection
from mss.hl7.letters import Plan, build_enclosures, build_letter, plan_letters
from mss.hl7.message import HL7Message, parse_hl7
from mss.hl7.request import Flag, Request, read_request
from mss.hl7.translation import objections_to, syntax_objection
from mss.mime.addresses import NamedAddress
from mss.model.mailbox import Mailbox
from mss.model.message import Origin
from mss.model.principal import AccountPrincipal, Right
from mss.pipeline.accept import Acceptance
from mss.pipeline.protect import aside
from mss.pipeline.submission import RefusedRoute, Submission
from mss.settings import HL7Settings
from mss.store import hl7, mailboxes
from mss.store.engine import Connection, Database
from mss.store.hl7 import RequestRow, Route

_log = logging.getLogger("mss.hl7")
_SETS: Final = UUID(
    "5b0f3c39-6f0c-5f2f-9a3c-0d6f6a1f7c26"
)  # where set identifiers are derived from


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who hands a message over, and how that is known.

    Attributes:
        host: Network address.
        certificate_name: Normalised subject of the certificate that was shown and judged.
        account: Who logged in, at a door where software logs in.
        protocol: For the trace field of the letter.
    """

    host: str
    protocol: str
    certificate_name: str | None = None
    account: AccountPrincipal | None = None


class _TakenError(Exception):
    """The same request is being carried out elsewhere and was quicker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request that may be carried out."""

    request: Request
    route: Route
    box: Mailbox = field(repr=False)
    principal: AccountPrincipal
    action: Action
    plans: tuple[Plan, ...]
    digest: str
    protocol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Answers the messages of hospital software."""

    database: Database
    acceptance: Acceptance
    clock: Clock
    settings: HL7Settings
    patient_domain: str

    async def answer(self, octets: bytes, caller: Caller) -> bytes:
        """Do what a message asks for and give its acknowledgement."""
        if len(octets) > self.settings.frame_octets:
            return self.refuse_octets(octets, "too-large")
        try:
            message = await aside(len(octets), parse_hl7, octets)
        except HL7SyntaxError as error:
            return self.refuse_octets(octets, error.reason)
        try:
            return await self._answer(message, caller)
        except (MSSError, DirectoryError, CryptoError) as error:
            return self._refusal(message, error)
        except Exception:  # noqa: BLE001 -- software that gets no answer sends the same for ever
            _log.exception("a request failed unexpectedly")
            return self._refusal(message, MSSError())

    async def answer_account(self, octets: bytes, account: AccountPrincipal, *, host: str) -> bytes:
        """Do what a message of somebody who has logged in asks for."""
        return await self.answer(octets, Caller(host=host, protocol="HTTPS", account=account))

    def refuse_octets(self, octets: bytes, reason: str) -> bytes:
        """Answer what is no message."""
        return build_blind_ack(
            octets,
            syntax_objection(reason),
            control_id=new_control_id(self.clock),
            at=self.clock.now(),
        )

    def _refusal(self, message: HL7Message, error: Exception) -> bytes:
        known = error if isinstance(error, MSSError) else MSSError()
        verdict, objections = objections_to(known)
        if isinstance(error, HL7RefusedError):
            verdict = verdict_on(objections)
        _log.info(
            "request refused: %s %s",
            verdict.value,
            ",".join(sorted({one.code for one in objections})),
        )
        return self._ack(message, verdict, objections)

    def _ack(
        self, message: HL7Message, verdict: Verdict, objections: Iterable[Objection] = ()
    ) -> bytes:
        return build_ack(
            message,
            verdict,
            tuple(objections),
            control_id=new_control_id(self.clock),
            at=self.clock.now(),
        )

    async def _answer(self, message: HL7Message, caller: Caller) -> bytes:
        route = await self._route(message, caller)
        digest = request_digest(route, message)
        known = await self.database.read(lambda c: hl7.find_request(c, digest))
        if known is not None and known.answer is not None:
            return known.answer
        asked = await self._judge(message, route, caller, digest)
        row = await self._carry_out(asked)
        answer = self._ack(message, Verdict.ACCEPTED)
        return await self.database.write(lambda c: hl7.answer_request(c, row.id, answer))

    async def _route(self, message: HL7Message, caller: Caller) -> Route:
        """Find whose software this is, and whether it is that software."""
        header = message.header
        application, facility = header.text(3), header.text(4)
        route = await self.database.read(
            lambda c: hl7.find_route(c, application=application, facility=facility)
        )
        if route is None:
            raise _refused("application-unknown", header.where(3), "MSH-3 and MSH-4 are not known")
        if not self._may_use(route, caller):
            # The same words: who may not, need not learn which software there is.
            _log.warning("%s is not the software of route %s", caller.host, route.id)
            raise _refused("application-unknown", header.where(3), "MSH-3 and MSH-4 are not known")
        return route

    def _may_use(self, route: Route, caller: Caller) -> bool:
        if caller.account is not None:
            return caller.account.has_right(route.mailbox_key, Right.SEND)
        if route.certificate_name is not None or caller.certificate_name is not None:
            return route.certificate_name == caller.certificate_name
        return is_inside(caller.host, self.settings.networks)

    async def _judge(
        self, message: HL7Message, route: Route, caller: Caller, digest: str
    ) -> _Asked:
        """Read a request and decide what is to be done; nothing is done yet.

        Raises:
            HL7RefusedError: It cannot be done.
        """
        settings = self.settings
        size = len(message.body)
        request = await aside(size, read_request, message, processing=settings.processing_ids)
        agreement = check_agreement(request, strict=settings.strict)
        audiences = audiences_of(request.flags, strict=settings.strict)
        objections = list(agreement.objections)
        if isinstance(audiences, Objection):
            objections.append(audiences)
        if objections or isinstance(audiences, Objection):
            raise HL7RefusedError(objections=tuple(objections))
        plans = plan_letters(request, audiences, patient_domain=self.patient_domain)
        box = await self.database.read(lambda c: mailboxes.find_mailbox(c, route.mailbox_key))
        if box is None or not box.is_open:
            raise NotFoundError(what="mailbox")
        principal = caller.account or AccountPrincipal(
            account_id=route.id,
            name=f"hl7:{route.id}",
            rights={route.mailbox_key: frozenset({Right.SEND})},
            means="certificate" if caller.certificate_name else "network",
        )
        await self._check_recipients(principal, plans)
        return _Asked(
            request=request,
            route=route,
            box=box,
            principal=principal,
            action=agreement.action,
            plans=plans,
            digest=digest,
            protocol=caller.protocol,
        )

    async def _check_recipients(self, principal: AccountPrincipal, plans: tuple[Plan, ...]) -> None:
        """Find out that everybody can be written to, before anybody is."""
        objections: list[Objection] = []
        for plan in plans:
            for address, _ in plan.recipients:
                route = await self.acceptance.route(principal, address)
                if isinstance(route, RefusedRoute):
                    if route.error.retryable:
                        raise route.error
                    objections += objections_to(route.error)[1]
        if objections:
            raise HL7RefusedError(objections=tuple(objections))

    async def _carry_out(self, asked: _Asked) -> RequestRow:
        """Have every letter accepted that was not yet."""
        now, request = self.clock.now(), asked.request
        enclosures = await asyncio.to_thread(
            build_enclosures,
            request,
            asked.action,
            set_uuid=uuid5(_SETS, asked.digest),
            at=now,
        )
        new = RequestRow(
            id=self.clock.new_id(),
            digest=asked.digest,
            route_id=asked.route.id,
            control_id=request.control_id[:199],
            own_application=request.message.header.text(5)[:227],
            own_facility=request.message.header.text(6)[:227],
            charset=request.message.charset[:16],
            wants_reception=request.wants(Flag.ACK_RECEPTION),
            wants_reading=request.wants(Flag.ACK_LECTURE_MSS),
            received_at=now,
        )
        named = [(a.key, number) for plan in asked.plans for a, number in plan.recipients]
        row = await self.database.write(lambda c: hl7.ensure_request(c, new, named))
        done = await self.database.read(lambda c: hl7.letters_of(c, row.id))
        author = NamedAddress(
            address=MailAddress.parse(asked.box.address), display_name=asked.box.display_name
        )
        for plan in asked.plans:
            if plan.audience.value in done:
                continue
            envelope, raw = await asyncio.to_thread(
                build_letter,
                request,
                plan,
                enclosures,
                action=asked.action,
                author=author,
                product=self.settings.product,
                message_id=f"<{self.clock.new_id()}@{self.acceptance.host_name}>",
                at=now,
            )
            submission = Submission(
                envelope=envelope,
                raw=raw,
                principal=asked.principal,
                origin=Origin.SUBMISSION,
                received_with=asked.protocol,
            )
            await self._accept(submission, row, plan.audience.value)
        return row

    async def _accept(self, submission: Submission, row: RequestRow, audience: str) -> None:
        """Have one letter accepted, and written down as one of the request, in one transaction."""

        def also(connection: Connection, message_id: str) -> None:
            is_first = hl7.claim_letter(
                connection, request_id=row.id, audience=audience, message_id=message_id
            )
            if not is_first:
                raise _TakenError

        try:
            accepted = await self.acceptance.accept(submission, also=also)
        except _TakenError:
            return
        # What was put aside for an administrator was kept without the change above.
        await self.database.write(
            lambda c: hl7.claim_letter(
                c, request_id=row.id, audience=audience, message_id=accepted.message_id
            )
        )


def request_digest(route: Route, message: HL7Message) -> str:
    """Say what makes two requests the same: software, control id, message type and content."""
    header = message.header
    parts = (route.id, header.text(10), header.text(9, 1), header.text(9, 2), message.body)
    digest = hashlib.sha256()
    for part in parts:
        octets = part.encode()
        digest.update(len(octets).to_bytes(8, "big") + octets)
    return digest.hexdigest()


def new_control_id(clock: Clock) -> str:
    """Invent a control id of 20 characters, as version 2.5 allows: time, then chance."""
    fresh = clock.new_id()
    return (fresh[:11] + fresh[-9:]).upper()


def is_inside(host: str, networks: Iterable[str]) -> bool:
    """Tell whether a network address lies in one of some networks."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return any(address in ipaddress.ip_network(one, strict=False) for one in networks)


def _refused(code: str, where: str, text: str) -> HL7RefusedError:
    objection = Objection(condition=Condition.TABLE, where=where, code=code, text=text)
    return HL7RefusedError(objections=(objection,))
