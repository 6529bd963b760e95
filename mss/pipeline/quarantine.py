"""Put a message aside, tell its sender, and let it out or throw it away later.

A message that is put aside lies in no mailbox and in no queue; its body is stored like any other,
and its envelope sealed. The sender is told in the very transaction that puts it aside (a delivery
report: delayed), and again if it is thrown away (failed). Nothing is dropped in silence, and nobody
but its authenticated sender is told.

Letting out hands the message in again by the one way in, as whoever handed it over first.

Errors
    `NotFoundError` for what is not, or no longer, there; any `MSSError` of the way in.
"""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import orjson
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass as checked_dataclass

from crypto.sealing import Sealer
from directory.address import MailAddress
from mss.clock import Clock
from mss.errors import MSSError, NotFoundError
from mss.mime.addresses import NamedAddress
from mss.mime.dsn import Action, DeliveryStatus, RecipientStatus, build_dsn
from mss.model.audit import AuditEvent, AuditName
from mss.model.delivery import DeliveryState
from mss.model.envelope import Envelope, Notify, Recipient
from mss.model.message import Origin
from mss.model.principal import AccountPrincipal, PeerPrincipal, SystemPrincipal
from mss.pipeline.inspection import PutAsideError
from mss.pipeline.submission import Accepted, AcceptedDelivery, Submission
from mss.ports import BlobStore
from mss.store import audit, quarantine
from mss.store.engine import Connection, Database
from mss.store.quarantine import PutAside

_WORDS: Final = {
    Action.DELAYED: ("4.7.0", "put aside until an administrator has looked at it"),
    Action.FAILED: ("5.7.1", "thrown away by an administrator after inspection"),
}
Also = Callable[[Connection, str], None]


class WayIn(Protocol):
    """`Acceptance.accept`."""

    async def __call__(self, submission: Submission, *, also: Also | None = None) -> Accepted:
        """Take responsibility for a message."""
        ...


@checked_dataclass(frozen=True, slots=True, kw_only=True)
class SealedRecipient:
    """One recipient, as it is sealed."""

    address: str
    notify: tuple[str, ...]
    original_recipient: str | None


@checked_dataclass(frozen=True, slots=True, kw_only=True)
class SealedSubmission:
    """Everything of a submission but its octets."""

    sender: str | None
    recipients: tuple[SealedRecipient, ...]
    envelope_id: str | None
    returns: Literal["FULL", "HDRS"] | None
    account: AccountPrincipal | None
    peer: PeerPrincipal | None
    reason: str
    origin: Origin
    received_with: str


_SEALED: Final = TypeAdapter(SealedSubmission)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """Keeps what was put aside.

    Attributes:
        postmaster: In whose name senders are told.
    """

    database: Database
    blobs: BlobStore
    sealer: Sealer
    clock: Clock
    chain: str
    host_name: str
    postmaster: NamedAddress

    async def put(
        self,
        submission: Submission,
        verdict: PutAsideError,
        *,
        keys: Mapping[str, str],
        way_in: WayIn,
    ) -> Accepted:
        """Take responsibility for a message without delivering it, and tell its sender.

        Args:
            submission: As a door was handed it.
            verdict: Why.
            keys: What a repeated transfer is recognised by.
            way_in: Where the report to the sender goes.
        """
        quarantine_id = hashlib.sha256("".join(sorted(keys.values())).encode()).hexdigest()[:32]
        known = await self.database.read(lambda c: quarantine.find_put_aside(c, quarantine_id))
        if known is not None:
            return _accepted(submission, known, is_repeat=True)
        sender = submission.envelope.sender
        one = PutAside(
            id=quarantine_id,
            put_aside_at=self.clock.now(),
            cause=verdict.cause,
            detail=verdict.detail,
            origin=submission.origin.value,
            sender_domain=str(sender.domain) if sender else "",
            recipients=len(submission.envelope.recipients),
            size_octets=len(submission.raw),
            blob_ref=await self.blobs.put(self.clock.new_id(), submission.raw),
            submission=self.sealer.seal(_sealed(submission), context=quarantine_id.encode()),
        )
        event = self._event(AuditName.MESSAGE_QUARANTINED, one, actor="system")

        def change(connection: Connection, _: str = "") -> None:
            quarantine.insert_put_aside(connection, one)
            audit.append(connection, event, chain=self.chain, at=one.put_aside_at)

        try:
            await self._tell(submission, one, Action.DELAYED, change, way_in)
        except MSSError:
            with suppress(MSSError):
                await self.blobs.delete(one.blob_ref)
            raise
        return _accepted(submission, one, is_repeat=False)

    async def release(self, quarantine_id: str, *, way_in: WayIn) -> Accepted:
        """Let a message out: it goes where it was meant to go, without another look at it.

        Raises:
            NotFoundError: There is none of that name.
        """
        one, submission = await self._open(quarantine_id)
        change = self._removal(one, AuditName.QUARANTINE_RELEASED)
        accepted = await way_in(submission, also=change)
        if accepted.is_repeat:  # its sender sent it again, and it passed: only the row is left
            await self.database.write(lambda c: change(c, ""))
        await self.blobs.delete(one.blob_ref)
        return accepted

    async def drop(self, quarantine_id: str, *, way_in: WayIn) -> None:
        """Throw a message away for good, and tell its sender.

        Raises:
            NotFoundError: There is none of that name.
        """
        one, submission = await self._open(quarantine_id)
        change = self._removal(one, AuditName.QUARANTINE_DROPPED)
        await self._tell(submission, one, Action.FAILED, change, way_in)
        await self.blobs.delete(one.blob_ref)

    async def list(self, *, limit: int = 1000) -> list[PutAside]:
        """List what was put aside, oldest first."""
        return await self.database.read(lambda c: quarantine.list_put_aside(c, limit=limit))

    async def show(self, quarantine_id: str) -> tuple[PutAside, Submission]:
        """Show one, envelope and octets included.

        Raises:
            NotFoundError: There is none of that name.
        """
        return await self._open(quarantine_id)

    async def _open(self, quarantine_id: str) -> tuple[PutAside, Submission]:
        one = await self.database.read(lambda c: quarantine.find_put_aside(c, quarantine_id))
        if one is None:
            raise NotFoundError(what="message in quarantine")
        plain = self.sealer.open(one.submission, context=one.id.encode())
        return one, _opened(plain, await self.blobs.get(one.blob_ref))

    def _removal(self, one: PutAside, name: AuditName) -> Also:
        event = self._event(name, one, actor="administrator")
        now = self.clock.now()

        def change(connection: Connection, _: str) -> None:
            if not quarantine.delete_put_aside(connection, one.id):
                raise NotFoundError(what="message in quarantine")
            audit.append(connection, event, chain=self.chain, at=now)

        return change

    async def _tell(
        self, submission: Submission, one: PutAside, action: Action, change: Also, way_in: WayIn
    ) -> None:
        """Make a change together with the report about it, if there is somebody to tell."""
        sender = submission.envelope.sender
        if sender is None or submission.origin is Origin.SYSTEM:
            await self.database.write(lambda c: change(c, ""))
            return
        report = Submission(
            envelope=Envelope(
                sender=None,
                recipients=(Recipient(address=sender, notify=frozenset({Notify.NEVER})),),
            ),
            raw=self._report(submission, one, action, sender),
            principal=SystemPrincipal(reason="quarantine"),
            origin=Origin.SYSTEM,
            received_with="LOCAL",
        )
        try:
            await way_in(report, also=change)
        except MSSError as error:
            if error.retryable:
                raise
            # The sender cannot be reached (a mailbox that was closed): the change counts more.
            await self.database.write(lambda c: change(c, ""))

    def _report(
        self, submission: Submission, one: PutAside, action: Action, sender: MailAddress
    ) -> bytes:
        now = self.clock.now()
        status, words = _WORDS[action]
        recipients = tuple(
            RecipientStatus(
                final_recipient=str(each.address),
                action=action,
                status=status,
                diagnostic_code=f"{status} {words} ({one.cause})",
                last_attempt_at=now,
            )
            for each in submission.envelope.recipients
        )
        return build_dsn(
            DeliveryStatus(
                reporting_mta=self.host_name,
                original_envelope_id=submission.envelope.envelope_id or one.id,
                arrival_at=one.put_aside_at,
                recipients=recipients,
            ),
            original=submission.raw,
            author=self.postmaster,
            to=sender,
            message_id=f"<{self.clock.new_id()}@{self.host_name}>",
            at=now,
        )

    @staticmethod
    def _event(name: AuditName, one: PutAside, *, actor: str) -> AuditEvent:
        facts = (
            ("quarantine", one.id),
            ("cause", one.cause),
            ("origin", one.origin),
            ("sender-domain", one.sender_domain),
            ("size", str(one.size_octets)),
        )
        return AuditEvent(name=name, actor=actor, facts=facts)


def _accepted(submission: Submission, one: PutAside, *, is_repeat: bool) -> Accepted:
    return Accepted(
        message_id=one.id,
        internet_message_id="",
        accepted_at=one.put_aside_at,
        deliveries=tuple(
            AcceptedDelivery(recipient=str(each.address), state=DeliveryState.HELD.value)
            for each in submission.envelope.recipients
        ),
        is_repeat=is_repeat,
    )


def _sealed(submission: Submission) -> bytes:
    envelope, principal = submission.envelope, submission.principal
    sealed = SealedSubmission(
        sender=str(envelope.sender) if envelope.sender else None,
        recipients=tuple(
            SealedRecipient(
                address=str(one.address),
                notify=tuple(sorted(wish.value for wish in one.notify)),
                original_recipient=one.original_recipient,
            )
            for one in envelope.recipients
        ),
        envelope_id=envelope.envelope_id,
        returns=envelope.returns,
        account=principal if isinstance(principal, AccountPrincipal) else None,
        peer=principal if isinstance(principal, PeerPrincipal) else None,
        reason=principal.reason if isinstance(principal, SystemPrincipal) else "",
        origin=submission.origin,
        received_with=submission.received_with,
    )
    return orjson.dumps(_SEALED.dump_python(sealed, mode="json"))


def _opened(plain: bytes, raw: bytes) -> Submission:
    sealed = _SEALED.validate_json(plain)
    return Submission(
        envelope=Envelope(
            sender=MailAddress.parse(sealed.sender) if sealed.sender else None,
            recipients=tuple(
                Recipient(
                    address=MailAddress.parse(one.address),
                    notify=frozenset(map(Notify, one.notify)),
                    original_recipient=one.original_recipient,
                )
                for one in sealed.recipients
            ),
            envelope_id=sealed.envelope_id,
            returns=sealed.returns,
        ),
        raw=raw,
        principal=sealed.account or sealed.peer or SystemPrincipal(reason=sealed.reason),
        origin=sealed.origin,
        received_with=sealed.received_with,
        is_released=True,
    )
