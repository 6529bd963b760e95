"""The single way in: take responsibility for a message, or say why not.

`Acceptance.accept` is the table of contents of this folder. It returns only when the message would
survive a crash of everything; until then nothing of it exists. Doors ask `check_sender` at MAIL and
`route` at RCPT, so that most refusals come while the sender can still correct something.

Errors
    Any `MSSError`; none of them leaves anything behind.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from crypto.kinds import is_protected
from directory.address import MailAddress
from mss.clock import Clock
from mss.errors import (
    MessageRefusedError,
    MessageTooLargeError,
    MSSError,
    StoreFullError,
    StoreUnavailableError,
    TooManyRecipientsError,
)
from mss.mime import entity, reports
from mss.mime.addresses import NamedAddress
from mss.mime.errors import MessageSyntaxError
from mss.mime.headers import build_date, build_message_ids, join_fields
from mss.mime.limits import MimeLimits
from mss.mime.parse import ParsedMessage, parse_message
from mss.model.audit import AuditEvent, AuditName
from mss.model.message import SIGNATURE_TYPES, Origin, Participant, PartSummary, Summary
from mss.model.principal import PeerPrincipal, Principal
from mss.pipeline.client_keys import ClientKeys, holders_of
from mss.pipeline.commit import Committer, acceptance_keys
from mss.pipeline.documents import summarise_documents
from mss.pipeline.hygiene import Hygiene
from mss.pipeline.identify import check_author, check_sender, identify
from mss.pipeline.inspection import PutAsideError
from mss.pipeline.protect import Protection, aside
from mss.pipeline.record import Also, Ready, actor_of
from mss.pipeline.route import Router
from mss.pipeline.submission import (
    Accepted,
    LocalRoute,
    RefusedRoute,
    RelayRoute,
    Route,
    Submission,
)
from mss.pipeline.trace import received_field
from mss.settings import LimitSettings
from mss.store import audit, mailboxes


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Takes responsibility for messages."""

    router: Router
    protection: Protection
    hygiene: Hygiene
    committer: Committer
    clock: Clock
    limits: LimitSettings
    host_name: str

    async def check_sender(self, principal: Principal, sender: MailAddress | None) -> None:
        """Let pass an envelope sender at MAIL, or raise the objection."""
        check_sender(principal, sender)
        await self.hygiene.check_sender(principal, actor=actor_of(principal))

    async def route(self, principal: Principal, recipient: MailAddress) -> Route:
        """Decide at RCPT where a recipient's mail goes."""
        objection = self.hygiene.recipient_objection(recipient)
        if objection is not None:
            return RefusedRoute(address=recipient, error=objection)
        return self.client_keys.checked(await self.router.route(principal, recipient))

    async def accept(self, submission: Submission, *, also: Also | None = None) -> Accepted:
        """Take responsibility for a message.

        Args:
            submission: What a door was handed.
            also: A change that must happen in the very transaction that accepts the message.

        Raises:
            MSSError: The message is not accepted, and nothing of it was kept.
        """
        try:
            return await self._accept(submission, also)
        except PutAsideError as verdict:
            keys = await aside(len(submission.raw), acceptance_keys, submission)
            return await self.hygiene.quarantine.put(
                submission, verdict, keys=keys, way_in=self.accept
            )
        except MSSError as error:
            await self._note_refusal(submission, error)
            raise

    def check_size(self, raw: bytes) -> None:
        """Let pass what is not too large; said in these words at every door.

        Raises:
            MessageTooLargeError: It is.
        """
        limit = self.limits.message_octets
        if len(raw) > limit:
            raise MessageTooLargeError(size_octets=len(raw), limit_octets=limit)

    async def _accept(self, submission: Submission, also: Also | None) -> Accepted:
        self.check_size(submission.raw)
        message = await aside(len(submission.raw), parse_message, submission.raw, self.mime_limits)
        identify(submission, message)
        keys = await aside(len(submission.raw), acceptance_keys, submission)
        repeat = await self.committer.find_repeat(keys)
        if repeat is not None:
            return repeat
        actor = actor_of(submission.principal)
        await self.hygiene.check(submission, message, actor=actor)
        routes = reachable(submission.routes or await self._ask_routes(submission))
        ready = await self._prepare(submission, message, keys, routes)
        more = self.hygiene.remembering(submission, message, ready.internet_message_id, also)
        accepted = await self.committer.commit(ready, also=more)
        self.hygiene.rates.accepted(actor, recipients=len(routes))
        return accepted

    async def note_peer_refusal(
        self, error: MSSError, *, subject: str, host: str, left_out: int = 0
    ) -> None:
        """Write into the journal that an operator was turned away at the door."""
        facts = [("code", error.code), ("reason", reason_of(error)), ("host", host)]
        domain = str(getattr(error, "domain", ""))
        facts += [("domain", domain)] if domain else []
        facts += [("left-out", str(left_out))] if left_out else []
        actor = f"peer:{subject or 'unknown'}"
        await self._note(AuditEvent(name=AuditName.PEER_REFUSED, actor=actor, facts=tuple(facts)))

    async def note_peer_recognised(self, peer: PeerPrincipal) -> None:
        """Write into the journal that an operator was let in, and on what grounds."""
        facts = (
            ("fingerprint", peer.fingerprint),
            ("serial", peer.serial),
            ("issuer", peer.issuer),
            ("domains", str(len(peer.domains))),
            ("findings", ",".join(peer.findings)),
            ("host", peer.host),
        )
        event = AuditEvent(
            name=AuditName.PEER_RECOGNISED, actor=f"peer:{peer.subject}", facts=facts
        )
        await self._note(event)

    async def _note_refusal(self, submission: Submission, error: MSSError) -> None:
        sender = submission.envelope.sender
        facts = (
            ("code", error.code),
            ("reason", reason_of(error)),
            ("origin", submission.origin.value),
            ("sender-domain", str(sender.domain) if sender else ""),
            ("size", str(len(submission.raw))),
        )
        actor = actor_of(submission.principal)
        await self._note(AuditEvent(name=AuditName.MESSAGE_REFUSED, actor=actor, facts=facts))

    async def _note(self, event: AuditEvent) -> None:
        """Append to the journal; a store that is full or away must not hide the refusal itself."""
        committer, now = self.committer, self.clock.now()
        with suppress(StoreFullError, StoreUnavailableError):
            await committer.database.write(
                lambda c: audit.append(c, event, chain=committer.recorder.chain, at=now)
            )

    @property
    def client_keys(self) -> ClientKeys:
        """What makes copies for mailboxes whose keys this server does not have."""
        return ClientKeys(protection=self.protection)

    @property
    def mime_limits(self) -> MimeLimits:
        """The ceilings for reading, from the settings."""
        return MimeLimits(
            size_octets=self.limits.message_octets,
            header_octets=self.limits.header_octets,
            parts=self.limits.parts,
            depth=self.limits.depth,
        )

    async def _ask_routes(self, submission: Submission) -> tuple[Route, ...]:
        recipients = submission.envelope.recipients
        if len(recipients) > self.limits.recipients:
            raise TooManyRecipientsError(limit=self.limits.recipients)
        return tuple([await self.route(submission.principal, one.address) for one in recipients])

    async def _prepare(
        self,
        submission: Submission,
        message: ParsedMessage,
        keys: Mapping[str, str],
        routes: tuple[LocalRoute | RelayRoute, ...],
    ) -> Ready:
        """Protect what leaves, open what arrived, and summarise what is kept."""
        internet_message_id = message.internet_message_id or self._new_message_id()
        now = self.clock.now()
        raw = await aside(
            len(submission.raw), self._written, submission, message, internet_message_id, now
        )
        if submission.origin is not Origin.PEER:
            message = replace(message, date=message.date or now)
        if submission.origin is Origin.SUBMISSION:
            raw, message = await self.hygiene.described(raw, message)
        opened = await self.protection.open(raw, submission.principal)
        kept = message
        if submission.origin is Origin.PEER:
            kept = await aside(len(opened.kept), parse_message, opened.kept, self.mime_limits)
            check_author(submission.principal, sender=submission.envelope.sender, message=kept)
            internet_message_id = kept.internet_message_id or internet_message_id
        summary = summarise(kept, internet_message_id)
        seen = await self.hygiene.inspect(submission, kept, summary, opened.security)
        opened = replace(opened, security=seen.security)
        if seen.documents is not None:
            summary = replace(summary, documents=summarise_documents(seen.documents))
        relayed = [one for one in routes if isinstance(one, RelayRoute)]
        own = await self._own_certificate(submission)
        leaving: Mapping[str, bytes] = {}
        if relayed and own is not None and await aside(len(raw), is_protected, raw):
            leaving = self.protection.pass_through(raw, relayed)
        elif relayed:
            leaving = await self.protection.protect(raw, relayed)
        is_kept = submission.origin is not Origin.SYSTEM or len(relayed) < len(routes)
        ready = Ready(
            submission=submission,
            keys=keys,
            routes=routes,
            kept=opened.kept if is_kept else next(iter(leaving.values())),
            leaving=leaving,
            internet_message_id=internet_message_id,
            summary=summary,
            security=await self.protection.bind(
                opened, kept, [one.address for one in submission.envelope.recipients]
            ),
            report=_report(submission, kept),
            documents=seen.documents,
        )
        holders = holders_of(routes, own)
        return await self._with_copies(ready, holders, raw) if holders else ready

    async def _own_certificate(self, submission: Submission) -> tuple[MailAddress, str] | None:
        """Find the certificate of the mailbox that is written as, if its client has the key."""
        sender = submission.envelope.sender
        if submission.origin is not Origin.SUBMISSION or sender is None:
            return None
        pem = await self.committer.database.read(
            lambda c: mailboxes.find_client_certificate(c, sender.key)
        )
        return None if pem is None else (sender, pem)

    async def _with_copies(
        self, ready: Ready, holders: Mapping[str, tuple[MailAddress, str]], raw: bytes
    ) -> Ready:
        """Give mailboxes whose keys only their clients have a body of their own.

        Where nobody else holds the letter, nothing but the closed form of it is stored.
        """
        copies = await self.client_keys.copies(
            holders,
            raw=raw,
            readable=ready.kept,
            security=ready.security,
            summarise=lambda message: summarise(message, ready.internet_message_id),
        )
        keys = {one.address.key for one in ready.routes if isinstance(one, LocalRoute)}
        sender = ready.submission.envelope.sender
        if ready.submission.origin is Origin.SUBMISSION and sender is not None:
            keys.add(sender.key)
        if keys - copies.keys():
            return replace(ready, copies=copies)
        first = next(iter(copies.values()))
        return replace(
            ready,
            copies=copies,
            kept=first.raw,
            summary=first.summary,
            security=first.security,
            documents=None,
        )

    def _written(
        self,
        submission: Submission,
        message: ParsedMessage,
        internet_message_id: str,
        now: datetime,
    ) -> bytes:
        """Write our trace field on top and, for our own users, what their software left out."""
        trace = received_field(
            principal=submission.principal,
            host_name=self.host_name,
            received_with=submission.received_with,
            trace_id=self.clock.new_id(),
            at=self.clock.now(),
        )
        if submission.origin is Origin.PEER:
            # Final delivery is ours: Return-Path is the envelope sender's, whatever came along.
            path = (b"Return-Path", f" <{submission.envelope.sender or ''}>".encode("ascii"))
            above = join_fields([path, trace])
            return entity.without_fields(submission.raw, ["Return-Path"], above=above)
        above = join_fields([trace])
        return completed(submission.raw, message, internet_message_id, at=now, above=above)

    def _new_message_id(self) -> str:
        return f"<{self.clock.new_id()}@{self.host_name}>"


def reason_of(error: MSSError) -> str:
    """Give the finer kebab-case reason of an error, if it has one; never a value of the message."""
    return str(getattr(error, "reason", ""))


def reachable(routes: Sequence[Route]) -> tuple[LocalRoute | RelayRoute, ...]:
    """Keep the routes if every recipient can be reached; otherwise raise the first objection."""
    if not routes:
        raise MessageRefusedError(reason="no-recipient")
    for route in routes:
        if isinstance(route, RefusedRoute):
            raise route.error
    return tuple(one for one in routes if not isinstance(one, RefusedRoute))


def completed(
    raw: bytes, message: ParsedMessage, internet_message_id: str, *, at: datetime, above: bytes
) -> bytes:
    """Add what a submitted message lacks (RFC 6409, 8), and take blind copies off.

    The octets of a large message are copied once, whatever is added and taken off: a copy holds up
    the other threads.
    """
    unwanted = ["Bcc"] if message.values("Bcc") else []
    if message.date is None:
        if message.values("Date"):  # there is one that nobody can read
            unwanted.append("Date")
        above = build_date("Date", at) + above
    if message.internet_message_id is None:
        above = build_message_ids("Message-ID", [internet_message_id]) + above
    if unwanted:
        return entity.without_fields(raw, unwanted, above=above)
    return above + raw


def summarise(message: ParsedMessage, internet_message_id: str) -> Summary:
    """Take out of a message what a list of messages shows."""
    return Summary(
        subject=message.subject,
        author=Participant(address=str(message.author.address), name=message.author.display_name),
        to=_participants(message.to),
        cc=_participants(message.cc),
        reply_to=_participants(message.reply_to),
        sent_at=message.date,
        internet_message_id=internet_message_id,
        in_reply_to=message.in_reply_to,
        references=message.references,
        receipt_to=_receipt_to(message),
        parts=tuple(
            PartSummary(
                path=part.path,
                content_type=part.content_type,
                filename=part.filename,
                disposition=part.disposition,
                size_octets=_decoded_size(part.transfer_encoding, *part.body_span),
            )
            for part in message.parts()
            if not part.is_multipart and part.content_type not in SIGNATURE_TYPES
        ),
        headers=tuple(sorted(message.mss_fields.items())),
    )


def _participants(addresses: Sequence[NamedAddress]) -> tuple[Participant, ...]:
    return tuple(Participant(address=str(one.address), name=one.display_name) for one in addresses)


def _receipt_to(message: ParsedMessage) -> str | None:
    wanted = message.disposition_notification_to
    return str(wanted[0].address) if len(wanted) == 1 else None


def _decoded_size(transfer_encoding: str, start: int, stop: int) -> int:
    """Estimate how large a body is once decoded: base64 is 78 octets of text for 57."""
    return (stop - start) * 57 // 78 if transfer_encoding == "base64" else stop - start


def _report(submission: Submission, message: ParsedMessage) -> reports.Report | None:
    """Recognise a report; one that cannot be read is ordinary mail for a person to read."""
    if submission.origin is Origin.SUBMISSION:
        return None  # what a user writes is never believed about a delivery
    try:
        return reports.find_report(message)
    except MessageSyntaxError:
        return None
