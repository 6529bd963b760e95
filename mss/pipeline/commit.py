"""Step 4: make the message ours. Bodies first, then one transaction.

After `commit` returns, the message survives any crash; before, it does not exist. A crash between
the bodies and the transaction leaves bodies that no row refers to, which the sweeper removes.
Deposits in our own mailboxes are rows of the same transaction. What else must happen together with
the message (an Idempotency-Key, a notice that is being sent) joins it as `also`.

Errors
    `StoreFullError`, `StoreUnavailableError`: nothing was accepted, nothing is half-stored.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from crypto.sealing import Sealer
from mss.clock import Clock
from mss.errors import MSSError, StoreUnavailableError
from mss.mime.reports import Report
from mss.model.audit import AuditEvent, AuditName
from mss.model.delivery import DeliveryState
from mss.model.envelope import Notify, Recipient
from mss.model.mailbox import Folder, Mailbox
from mss.model.message import Origin, Summary
from mss.model.principal import AccountPrincipal, PeerPrincipal, Principal
from mss.model.security import Security
from mss.pipeline.correlate import correlate, is_bad_news
from mss.pipeline.submission import Accepted, AcceptedDelivery, LocalRoute, RelayRoute, Submission
from mss.ports import BlobStore
from mss.store import audit, deliveries, mailboxes, messages, notices
from mss.store.engine import Connection, Database
from mss.store.summaries import seal_facts

Also = Callable[[Connection, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A message judged and transformed: what is kept here, and what leaves.

    Attributes:
        keys: For each recipient (normalised address): what a repeated transfer is recognised by.
        kept: What our mailboxes hold: as submitted, or as received and opened.
        leaving: For each recipient of another operator (normalised address): the protected octets.
        report: What the message reports, when it is a DSN or an MDN.
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


class _RepeatError(Exception):
    """Every recipient had accepted these very octets before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committer:
    """Writes what is ready.

    Attributes:
        chain: Name of this process's chain in the journal.
        awake: Set when something was queued, so that the worker of this process looks at once.
    """

    database: Database
    blobs: BlobStore
    sealer: Sealer
    clock: Clock
    chain: str
    expires_after: timedelta
    awake: asyncio.Event

    async def find_repeat(self, keys: Mapping[str, str]) -> Accepted | None:
        """Find the message that these very octets became before, if every recipient has it.

        Args:
            keys: As `acceptance_keys` names them.
        """
        wanted = list(keys.values())
        found = await self.database.read(lambda c: messages.find_accepted(c, wanted))
        if not found or len(found) < len(wanted):
            return None
        return await self.accepted(next(iter(found.values())), is_repeat=True)

    async def commit(self, ready: Ready, *, also: Also | None = None) -> Accepted:
        """Take responsibility for a message."""
        message_id = self.clock.new_id()
        refs = await self._store_bodies(ready)
        at = self.clock.now()
        writing = _Writing(
            ready=ready, message_id=message_id, refs=refs, at=at, committer=self, also=also
        )
        try:
            await self.database.write(writing.run)
        except _RepeatError:
            await self._forget(refs)
            repeat = await self.find_repeat(ready.keys)
            if repeat is None:
                raise
            return repeat
        except StoreUnavailableError:
            # Perhaps it was committed and only the answer was lost: a row may need these bodies.
            raise
        except Exception:
            await self._forget(refs)
            raise
        self.awake.set()
        return Accepted(
            message_id=message_id,
            internet_message_id=ready.internet_message_id,
            accepted_at=at,
            deliveries=tuple(
                AcceptedDelivery(recipient=str(one.address), state=state_of(one).value)
                for one in ready.routes
            ),
        )

    async def _store_bodies(self, ready: Ready) -> dict[bytes, str]:
        """Make every distinct body durable; they share their syncs."""
        bodies = list(dict.fromkeys([ready.kept, *ready.leaving.values()]))
        done = await asyncio.gather(
            *(self.blobs.put(self.clock.new_id(), body) for body in bodies),
            return_exceptions=True,
        )
        refs = [one for one in done if isinstance(one, str)]
        for one in done:
            if isinstance(one, BaseException):
                await self._forget(dict(zip(bodies, refs, strict=False)))
                raise one
        return dict(zip(bodies, refs, strict=True))

    async def _forget(self, refs: Mapping[bytes, str]) -> None:
        """Remove bodies that no row will refer to; the sweeper takes what this misses."""
        for ref in refs.values():
            with suppress(MSSError):
                await self.blobs.delete(ref)

    async def accepted(self, message_id: str, *, is_repeat: bool) -> Accepted:
        """Tell what became of a message that has a row."""

        def ask(connection: Connection) -> Accepted:
            row = messages.find_message(connection, message_id)
            assert row is not None, "a message that was accepted has a row"
            return Accepted(
                message_id=row.id,
                internet_message_id=row.internet_message_id,
                accepted_at=row.accepted_at,
                deliveries=tuple(
                    AcceptedDelivery(recipient=one.recipient, state=one.state.value)
                    for one in deliveries.deliveries_of(connection, row.id)
                ),
                is_repeat=is_repeat,
            )

        return await self.database.read(ask)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writing:
    """The one transaction of one message."""

    ready: Ready
    message_id: str
    refs: Mapping[bytes, str]
    at: datetime
    committer: Committer
    also: Also | None

    def run(self, connection: Connection) -> None:
        """Insert the message, its deposits and deliveries, and what hangs on them."""
        messages.insert_message(connection, self._row())
        keys = self.ready.keys
        fresh = messages.claim_acceptance_keys(
            connection, list(keys.values()), message_id=self.message_id, at=self.at
        )
        if not fresh:
            raise _RepeatError
        own = self._find_own_mailbox(connection)
        received = {one.mailbox_id for one in self.ready.routes if isinstance(one, LocalRoute)}
        mailboxes.reserve(connection, received | ({own.id} if own else set()))
        reported = self._correlate(connection)
        recipients = {one.address.key: one for one in self.ready.submission.envelope.recipients}
        for route in self.ready.routes:
            if keys[route.address.key] in fresh:
                self._deliver(connection, route, recipients[route.address.key], bool(reported))
        if own is not None:
            self._keep_sent_copy(connection, own)
        if self.also is not None:
            self.also(connection, self.message_id)
        # The journal comes last: its lock would make others wait for all that follows it.
        for event in (*reported, self._event()):
            audit.append(connection, event, chain=self.committer.chain, at=self.at)

    def _row(self) -> messages.MessageRow:
        ready, envelope = self.ready, self.ready.submission.envelope
        return messages.MessageRow(
            id=self.message_id,
            origin=ready.submission.origin,
            accepted_at=self.at,
            actor=actor_of(ready.submission.principal),
            sender=str(envelope.sender) if envelope.sender else None,
            sender_key=envelope.sender.key if envelope.sender else None,
            internet_message_id=ready.internet_message_id,
            envelope_id=envelope.envelope_id,
            size_octets=len(ready.kept),
            blob_ref=self.refs[ready.kept],
            verdict=ready.security.verdict.value,
            report=ready.report.kind.value if ready.report else None,
            summary=seal_facts(
                self.committer.sealer,
                message_id=self.message_id,
                summary=ready.summary,
                security=ready.security,
            ),
        )

    def _correlate(self, connection: Connection) -> list[AuditEvent]:
        if self.ready.report is None:
            return []
        return correlate(
            connection, report=self.ready.report, submission=self.ready.submission, at=self.at
        )

    def _deliver(
        self,
        connection: Connection,
        route: LocalRoute | RelayRoute,
        recipient: Recipient,
        is_matched: bool,  # noqa: FBT001 -- private, and named where it is passed
    ) -> None:
        is_local = isinstance(route, LocalRoute)
        delivery_id = self.committer.clock.new_id()
        leaving = None if is_local else self.ready.leaving[route.address.key]
        deliveries.insert_delivery(
            connection,
            deliveries.NewDelivery(
                id=delivery_id,
                message_id=self.message_id,
                recipient=str(route.address),
                recipient_key=route.address.key,
                domain=str(route.address.domain),
                route=deliveries.LOCAL if is_local else deliveries.RELAY,
                state=state_of(route),
                at=self.at,
                expires_at=None if is_local else self.at + self.committer.expires_after,
                blob_ref=None if leaving is None else self.refs[leaving],
                notify=frozenset(one.value for one in recipient.notify),
                original_recipient=recipient.original_recipient,
            ),
        )
        if isinstance(route, LocalRoute):
            self._deposit(connection, route, is_matched=is_matched)
            if Notify.SUCCESS in recipient.notify and self.ready.submission.envelope.sender:
                self._owe_success(connection, delivery_id)

    def _deposit(self, connection: Connection, route: LocalRoute, *, is_matched: bool) -> None:
        is_quiet = is_matched and not is_bad_news(self.ready.report)
        folder = Folder.RECEIPTS if is_quiet else Folder.INBOX
        mailboxes.insert_deposit(
            connection,
            mailbox_id=route.mailbox_id,
            message_id=self.message_id,
            role=mailboxes.RECEIVED,
            folder=folder,
            seen=False,
            size_octets=len(self.ready.kept),
            at=self.at,
        )

    def _owe_success(self, connection: Connection, delivery_id: str) -> None:
        notices.owe(
            connection,
            notice_id=self.committer.clock.new_id(),
            kind=notices.NoticeKind.DELIVERED,
            message_id=self.message_id,
            delivery_id=delivery_id,
            at=self.at,
        )

    def _find_own_mailbox(self, connection: Connection) -> Mailbox | None:
        """Find the mailbox that a user writes as; others keep no copy here."""
        sender = self.ready.submission.envelope.sender
        if self.ready.submission.origin is not Origin.SUBMISSION or sender is None:
            return None
        return mailboxes.find_mailbox(connection, sender.key)

    def _keep_sent_copy(self, connection: Connection, box: Mailbox) -> None:
        """Put what a user sent into the Sent folder of the mailbox they wrote as."""
        mailboxes.insert_deposit(
            connection,
            mailbox_id=box.id,
            message_id=self.message_id,
            role=mailboxes.SENT,
            folder=Folder.SENT,
            seen=True,
            size_octets=len(self.ready.kept),
            at=self.at,
        )

    def _event(self) -> AuditEvent:
        submission = self.ready.submission
        sender = submission.envelope.sender
        return AuditEvent(
            name=AuditName.MESSAGE_ACCEPTED,
            actor=actor_of(submission.principal),
            facts=(
                ("message", self.message_id),
                ("origin", submission.origin.value),
                ("sender-domain", str(sender.domain) if sender else ""),
                ("recipients", str(len(self.ready.routes))),
                ("size", str(len(submission.raw))),
                ("verdict", self.ready.security.verdict.value),
            ),
        )


def state_of(route: LocalRoute | RelayRoute) -> DeliveryState:
    """Tell in which state a delivery begins: what is ours is deposited with the message."""
    return DeliveryState.DELIVERED if isinstance(route, LocalRoute) else DeliveryState.QUEUED


def acceptance_keys(submission: Submission) -> dict[str, str]:
    """Name each (message, recipient) of a submission, by the recipient's normalised address."""
    sender = submission.envelope.sender
    body_digest = hashlib.sha256(submission.raw).digest()
    return {
        one.address.key: messages.acceptance_key(
            sender=sender.key if sender else None,
            body_digest=body_digest,
            recipient_key=one.address.key,
        )
        for one in submission.envelope.recipients
    }


def actor_of(principal: Principal) -> str:
    """Name whoever acts, for the journal."""
    match principal:
        case AccountPrincipal():
            return f"account:{principal.account_id}"
        case PeerPrincipal():
            return f"peer:{principal.subject}"
        case _:
            return "system"
