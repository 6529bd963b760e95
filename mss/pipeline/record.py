"""The rows of accepted messages: message, deposits, deliveries, notices, journal, together.

Letters that wait for the database at the same moment are written with the same statements, one for
each table. Whatever spoils the group for one of them (another process took the same letter a moment
before) makes each be written alone; see `Database.write_together`.

Errors
    `RepeatError` when the same octets were accepted before for every recipient.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from crypto.sealing import Sealer
from mss.clinical.listing import DocumentSet
from mss.clock import Clock
from mss.mime.reports import Report
from mss.model.audit import AuditEvent, AuditName
from mss.model.delivery import DeliveryState
from mss.model.envelope import Notify, Recipient
from mss.model.mailbox import Folder, OwnBody
from mss.model.message import Origin, Summary
from mss.model.principal import AccountPrincipal, PeerPrincipal, Principal
from mss.model.security import Security
from mss.pipeline.client_keys import OwnCopy
from mss.pipeline.correlate import correlate, is_bad_news
from mss.pipeline.submission import LocalRoute, RelayRoute, Submission
from mss.store import audit, deliveries, mailboxes, messages, notices
from mss.store.deliveries import NewDelivery
from mss.store.documents import DocumentRecord, insert_records, make_record
from mss.store.engine import Connection
from mss.store.mailboxes import NewDeposit
from mss.store.summaries import seal_facts

Also = Callable[[Connection, str], None]
MAX_SOFTWARE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A message judged and transformed: what is kept here, and what leaves.

    Attributes:
        keys: For each recipient (normalised address): what a repeated transfer is recognised by.
        kept: What our mailboxes hold: as submitted, or as received and opened.
        leaving: For each recipient of another operator (normalised address): the protected octets.
        report: What the message reports, when it is a DSN or an MDN.
        copies: What mailboxes hold (normalised address) whose keys only their clients have.
        documents: What was found of its health documents, if it carries any.
    """

    submission: Submission
    keys: Mapping[str, str]
    routes: tuple[LocalRoute | RelayRoute, ...]
    kept: bytes
    leaving: Mapping[str, bytes]
    internet_message_id: str
    summary: Summary
    security: Security
    report: Report | None
    copies: Mapping[str, OwnCopy] = field(default_factory=dict)
    documents: DocumentSet | None = None


class RepeatError(Exception):
    """Every recipient had accepted these very octets before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Where the bodies of a message are.

    Attributes:
        leaving: For each recipient of another operator (normalised address).
        copies: For each mailbox that has its own (normalised address).
    """

    kept: str
    leaving: Mapping[str, str]
    copies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message whose bodies are durable, ready to be written down."""

    ready: Ready
    row: messages.MessageRow
    stored: Stored
    also: Also | None
    own_bodies: Mapping[str, OwnBody] = field(default_factory=dict)
    documents: DocumentRecord | None = None

    @property
    def own_key(self) -> str | None:
        """The mailbox that a user writes as; others keep no copy here."""
        is_ours = self.ready.submission.origin is Origin.SUBMISSION
        return self.row.sender_key if is_ours else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Writes letters down; one value per process.

    Attributes:
        chain: Name of this process's chain in the journal.
    """

    sealer: Sealer
    clock: Clock
    chain: str
    expires_after: timedelta

    def prepare(
        self, ready: Ready, *, message_id: str, stored: Stored, also: Also | None
    ) -> Letter:
        """Do what needs no database."""
        envelope = ready.submission.envelope
        row = messages.MessageRow(
            id=message_id,
            origin=ready.submission.origin,
            accepted_at=self.clock.now(),
            actor=actor_of(ready.submission.principal),
            sender=str(envelope.sender) if envelope.sender else None,
            sender_key=envelope.sender.key if envelope.sender else None,
            internet_message_id=ready.internet_message_id,
            envelope_id=envelope.envelope_id,
            size_octets=len(ready.kept),
            blob_ref=stored.kept,
            verdict=ready.security.verdict.value,
            report=ready.report.kind.value if ready.report else None,
            software=_software(ready.summary),
            summary=seal_facts(
                self.sealer, message_id=message_id, summary=ready.summary, security=ready.security
            ),
        )
        own_bodies = {
            key: OwnBody(
                blob_ref=stored.copies[key],
                summary=seal_facts(
                    self.sealer,
                    message_id=message_id,
                    summary=copy.summary,
                    security=copy.security,
                ),
                size_octets=len(copy.raw),
            )
            for key, copy in ready.copies.items()
        }
        documents = None
        if ready.documents is not None:
            documents = make_record(self.sealer, message_id=message_id, found=ready.documents)
        return Letter(
            ready=ready,
            row=row,
            stored=stored,
            also=also,
            own_bodies=own_bodies,
            documents=documents,
        )

    def record(self, connection: Connection, letters: Sequence[Letter]) -> list[None]:
        """Write letters down.

        Raises:
            RepeatError: One of them was accepted before, for every recipient.
        """
        messages.insert_messages(connection, [one.row for one in letters])
        owners = self._claim_keys(connection, letters)
        own = mailboxes.find_ids(
            connection, {one.own_key for one in letters if one.own_key is not None}
        )
        mailboxes.reserve(connection, set(self._touched(letters, own)))
        events: list[tuple[AuditEvent, datetime]] = []
        added: list[NewDelivery] = []
        deposits: list[NewDeposit] = []
        for one in letters:
            reported = self._correlate(connection, one)
            events += [(event, one.row.accepted_at) for event in (*reported, _event(one))]
            routes = [
                route
                for route in one.ready.routes
                if owners.get(one.ready.keys[route.address.key]) == one.row.id
            ]
            added += [self._delivery(one, route) for route in routes]
            deposits += _received(one, routes, is_matched=bool(reported))
            deposits += _sent(one, own)
        deliveries.insert_deliveries(connection, added)
        mailboxes.insert_deposits(connection, deposits)
        insert_records(connection, [one.documents for one in letters if one.documents])
        self._owe_successes(connection, letters, added)
        for one in letters:
            if one.also is not None:
                one.also(connection, one.row.id)
        # The journal comes last: its lock would make others wait for all that follows it.
        audit.append_all(connection, events, chain=self.chain)
        return [None] * len(letters)

    @staticmethod
    def _claim_keys(connection: Connection, letters: Sequence[Letter]) -> dict[str, str]:
        """Give each key that nobody has yet to the first letter that wants it.

        Returns:
            The keys that are new, with the identifiers of their letters.
        """
        claims: dict[str, str] = {}
        for one in letters:
            for key in one.ready.keys.values():
                claims.setdefault(key, one.row.id)
        at = letters[0].row.accepted_at
        won = messages.claim_acceptance_keys(connection, claims, at=at)
        owners = {key: claims[key] for key in won}
        if set(owners.values()) != {one.row.id for one in letters}:
            raise RepeatError
        return owners

    @staticmethod
    def _touched(letters: Sequence[Letter], own: Mapping[str, str]) -> Iterator[str]:
        yield from own.values()
        for one in letters:
            yield from (r.mailbox_id for r in one.ready.routes if isinstance(r, LocalRoute))

    @staticmethod
    def _correlate(connection: Connection, letter: Letter) -> list[AuditEvent]:
        ready = letter.ready
        if ready.report is None:
            return []
        return correlate(
            connection,
            report=ready.report,
            submission=ready.submission,
            at=letter.row.accepted_at,
        )

    def _delivery(self, letter: Letter, route: LocalRoute | RelayRoute) -> NewDelivery:
        is_local = isinstance(route, LocalRoute)
        recipient = _recipient(letter, route)
        at = letter.row.accepted_at
        return NewDelivery(
            id=self.clock.new_id(),
            message_id=letter.row.id,
            recipient=str(route.address),
            recipient_key=route.address.key,
            domain=str(route.address.domain),
            route=deliveries.LOCAL if is_local else deliveries.RELAY,
            state=state_of(route),
            at=at,
            expires_at=None if is_local else at + self.expires_after,
            blob_ref=None if is_local else letter.stored.leaving[route.address.key],
            notify=frozenset(one.value for one in recipient.notify),
            original_recipient=recipient.original_recipient,
            returns=letter.ready.submission.envelope.returns,
        )

    def _owe_successes(
        self, connection: Connection, letters: Sequence[Letter], added: Sequence[NewDelivery]
    ) -> None:
        """Owe the reports of delivery that were asked for, about what was deposited here."""
        senders = {one.row.id: one.row.sender for one in letters}
        for one in added:
            is_wanted = Notify.SUCCESS in one.notify and senders[one.message_id] is not None
            if one.state is DeliveryState.DELIVERED and is_wanted:
                notices.owe(
                    connection,
                    notice_id=self.clock.new_id(),
                    kind=notices.NoticeKind.DELIVERED,
                    message_id=one.message_id,
                    delivery_id=one.id,
                    at=one.at,
                )


def state_of(route: LocalRoute | RelayRoute) -> DeliveryState:
    """Tell in which state a delivery begins: what is ours is deposited with the message."""
    return DeliveryState.DELIVERED if isinstance(route, LocalRoute) else DeliveryState.QUEUED


def _software(summary: Summary) -> str | None:
    """Tell which product wrote a letter, as it says itself: counted, never believed."""
    return dict(summary.headers).get("X-MSS-NIL", "").strip()[:MAX_SOFTWARE] or None


def actor_of(principal: Principal) -> str:
    """Name whoever acts, for the journal."""
    match principal:
        case AccountPrincipal():
            return f"account:{principal.account_id}"
        case PeerPrincipal():
            return f"peer:{principal.subject}"
        case _:
            return "system"


def _recipient(letter: Letter, route: LocalRoute | RelayRoute) -> Recipient:
    recipients = letter.ready.submission.envelope.recipients
    return next(one for one in recipients if one.address.key == route.address.key)


def _received(
    letter: Letter, routes: Sequence[LocalRoute | RelayRoute], *, is_matched: bool
) -> list[NewDeposit]:
    """Lay a letter into the mailboxes of its recipients here."""
    is_quiet = is_matched and not is_bad_news(letter.ready.report)
    folder = Folder.RECEIPTS if is_quiet else Folder.INBOX
    return [
        _deposit(
            letter,
            route.mailbox_id,
            role=mailboxes.RECEIVED,
            folder=folder,
            seen=False,
            own_body=letter.own_bodies.get(route.address.key),
        )
        for route in routes
        if isinstance(route, LocalRoute)
    ]


def _sent(letter: Letter, own: Mapping[str, str]) -> list[NewDeposit]:
    """Put what a user sent into the Sent folder of the mailbox they wrote as."""
    mailbox_id = own.get(letter.own_key or "")
    if mailbox_id is None:
        return []
    own_body = letter.own_bodies.get(letter.own_key or "")
    return [
        _deposit(
            letter,
            mailbox_id,
            role=mailboxes.SENT,
            folder=Folder.SENT,
            seen=True,
            own_body=own_body,
        )
    ]


def _deposit(
    letter: Letter,
    mailbox_id: str,
    *,
    role: str,
    folder: Folder,
    seen: bool,
    own_body: OwnBody | None,
) -> NewDeposit:
    return NewDeposit(
        mailbox_id=mailbox_id,
        message_id=letter.row.id,
        role=role,
        folder=folder,
        seen=seen,
        size_octets=letter.row.size_octets,
        at=letter.row.accepted_at,
        own_body=own_body,
    )


def _event(letter: Letter) -> AuditEvent:
    submission = letter.ready.submission
    sender = submission.envelope.sender
    return AuditEvent(
        name=AuditName.MESSAGE_ACCEPTED,
        actor=letter.row.actor,
        facts=(
            ("message", letter.row.id),
            ("origin", submission.origin.value),
            ("sender-domain", str(sender.domain) if sender else ""),
            ("recipients", str(len(letter.ready.routes))),
            ("size", str(len(submission.raw))),
            ("verdict", letter.row.verdict),
        ),
    )
