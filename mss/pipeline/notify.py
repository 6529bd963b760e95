"""Step 6: write the reports that are owed, and hand them in by the one way in.

What is owed was written down in the transaction of the event (`mss/store/notices.py`); the
transaction that accepts the report removes it. So each report is sent once, whatever crashes.
Recipients of one message that the same thing happened to are told of in one report.
Reports have the null sender, and nothing with the null sender ever causes a report.

Sources
    RFC 3461, 6 and RFC 3464 (delivery reports); RFC 8098, 2.1 (read receipts).
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from crypto.errors import CryptoError
from directory.address import MailAddress
from directory.errors import DirectoryError
from mss.clock import Clock
from mss.errors import MSSError
from mss.mime.addresses import NamedAddress
from mss.mime.dsn import Action, DeliveryStatus, RecipientStatus, build_dsn
from mss.mime.mdn import Disposition, DispositionNotification, DispositionType, build_mdn
from mss.model.delivery import Delivery
from mss.model.envelope import Envelope, Notify, Recipient
from mss.model.mailbox import Mailbox
from mss.model.message import Origin
from mss.model.principal import SystemPrincipal
from mss.pipeline.accept import Acceptance
from mss.pipeline.submission import Submission
from mss.policy.reasons import Reason, reason_for
from mss.ports import BlobStore
from mss.store import deliveries, mailboxes, messages, notices
from mss.store.engine import Connection, Database
from mss.store.messages import MessageRow
from mss.store.notices import Notice, NoticeKind
from mss.store.summaries import open_facts

AGAIN = timedelta(minutes=2)  # when a notice is tried again after a failure
GIVE_UP = 500  # tries, most of a day: a notice that nobody takes is dropped
RETURNED_OCTETS = 1024 * 1024  # the largest letter that comes back whole (RFC 3461, 4.3)
_ACTIONS = {
    NoticeKind.DELIVERED: Action.DELIVERED,
    NoticeKind.RELAYED: Action.RELAYED,
    NoticeKind.DELAYED: Action.DELAYED,
    NoticeKind.FAILED: Action.FAILED,
}
Bundle = tuple[Notice, ...]
_log = logging.getLogger("mss.notify")


class _SettledError(Exception):
    """Another worker sent this notice; the transaction must leave no trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What a report is written from."""

    row: MessageRow
    deliveries: tuple[Delivery, ...]
    mailbox: Mailbox | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifier:
    """Sends what is owed; one value per worker process."""

    database: Database
    blobs: BlobStore
    acceptance: Acceptance
    clock: Clock
    host_name: str
    postmaster: NamedAddress

    async def next_due_at(self) -> datetime | None:
        """Tell when something becomes due."""
        return await self.database.read(notices.next_due_at)

    async def claim(self, *, limit: int) -> list[Bundle]:
        """Take what is due: notices that one report tells of, for each report."""
        now = self.clock.now()
        return await self.database.write(
            lambda c: notices.claim_notices(c, now=now, until=now + AGAIN, limit=limit)
        )

    async def send(self, bundle: Bundle) -> None:
        """Write one report and have it accepted; what cannot be sent now stays owed."""
        try:
            await self._send(bundle)
        except _SettledError:
            return
        except (MSSError, DirectoryError, CryptoError) as error:
            retryable = isinstance(error, MSSError) and error.retryable
            _log.warning("notice %s not sent: %s", bundle[0].id, error.code)
            given_up = [one.id for one in bundle if not retryable or one.attempts >= GIVE_UP]
            if given_up:
                await self.database.write(lambda c: notices.settle(c, given_up))

    async def _send(self, bundle: Bundle) -> None:
        facts = await self.database.read(lambda c: _facts(c, bundle))
        at = self.clock.now()
        original = await self.blobs.get(facts.row.blob_ref)
        kind = bundle[0].kind
        if kind is NoticeKind.READ:
            to, raw = self._read_receipt(facts, original, at)
        else:
            to, raw = self._delivery_report(kind, facts, original, at)
        ids = [one.id for one in bundle]
        await self.acceptance.accept(
            Submission(
                envelope=Envelope(
                    sender=None,
                    recipients=(Recipient(address=to, notify=frozenset({Notify.NEVER})),),
                ),
                raw=raw,
                principal=SystemPrincipal(reason=kind.value),
                origin=Origin.SYSTEM,
                received_with="LOCAL",
            ),
            also=lambda connection, _: _settle(connection, ids),
        )

    def _delivery_report(
        self, kind: NoticeKind, facts: _Facts, original: bytes, at: datetime
    ) -> tuple[MailAddress, bytes]:
        """Write a DSN to the envelope sender."""
        assert facts.deliveries, "a delivery report is about deliveries"
        assert facts.row.sender is not None, "the null sender is never told anything"
        to = MailAddress.parse(facts.row.sender)
        report = DeliveryStatus(
            reporting_mta=self.host_name,
            original_envelope_id=facts.row.envelope_id or facts.row.id,
            arrival_at=facts.row.accepted_at,
            recipients=tuple(_recipient_status(kind, one) for one in facts.deliveries),
        )
        wants_all = any(one.returns == "FULL" for one in facts.deliveries)
        raw = build_dsn(
            report,
            original=original,
            author=self.postmaster,
            to=to,
            message_id=self._message_id(),
            at=at,
            return_content=(
                wants_all and kind is NoticeKind.FAILED and len(original) <= RETURNED_OCTETS
            ),
        )
        return to, raw

    def _read_receipt(
        self, facts: _Facts, original: bytes, at: datetime
    ) -> tuple[MailAddress, bytes]:
        """Write an MDN to the address that asked for one, from the mailbox that was read."""
        assert facts.mailbox is not None, "a read receipt is about a mailbox"
        sealed = open_facts(
            self.acceptance.committer.recorder.sealer,
            message_id=facts.row.id,
            sealed=facts.row.summary,
        )
        to = MailAddress.parse(sealed.summary.receipt_to or "")
        mailbox = MailAddress.parse(facts.mailbox.address)
        notification = DispositionNotification(
            final_recipient=str(mailbox),
            original_message_id=facts.row.internet_message_id,
            reporting_ua=f"{self.host_name}; mss",
            disposition=Disposition(type=DispositionType.DISPLAYED),
        )
        raw = build_mdn(
            notification,
            original=original,
            author=NamedAddress(address=mailbox, display_name=facts.mailbox.display_name),
            to=to,
            message_id=self._message_id(),
            at=at,
        )
        return to, raw

    def _message_id(self) -> str:
        return f"<{self.clock.new_id()}@{self.host_name}>"


def _facts(connection: Connection, bundle: Bundle) -> _Facts:
    first = bundle[0]
    row = messages.find_message(connection, first.message_id)
    assert row is not None, "a notice keeps its message"
    found = (
        deliveries.find_delivery(connection, one.delivery_id) for one in bundle if one.delivery_id
    )
    return _Facts(
        row=row,
        deliveries=tuple(one for one in found if one is not None),
        mailbox=mailboxes.find_by_id(connection, first.mailbox_id) if first.mailbox_id else None,
    )


def _settle(connection: Connection, notice_ids: Sequence[str]) -> None:
    if not notices.settle(connection, notice_ids):
        raise _SettledError


def _recipient_status(kind: NoticeKind, delivery: Delivery) -> RecipientStatus:
    """Say what became of one recipient, in words and in codes."""
    action = _ACTIONS[kind]
    if action in {Action.DELIVERED, Action.RELAYED}:
        return RecipientStatus(
            final_recipient=delivery.recipient,
            original_recipient=_plain(delivery.original_recipient),
            action=action,
            status="2.0.0",
            remote_mta=_host_name(delivery.last_host),
            last_attempt_at=delivery.last_attempt_at,
        )
    reason = reason_for(delivery.last_code)
    return RecipientStatus(
        final_recipient=delivery.recipient,
        original_recipient=_plain(delivery.original_recipient),
        action=action,
        status=_status(action, delivery.last_status, reason),
        remote_mta=_host_name(delivery.last_host),
        diagnostic_code=_diagnostic(delivery.last_detail),
        reason=delivery.last_code,
        texts=(reason.text_fr, reason.text),
        last_attempt_at=delivery.last_attempt_at,
        will_retry_until=delivery.expires_at if action is Action.DELAYED else None,
    )


def _status(action: Action, given: str | None, reason: Reason) -> str:
    """Give a status whose class agrees with the action (RFC 3464, 2.3.4)."""
    about = given.partition(".")[2] if given else reason.status
    if about == "0.0":
        about = reason.status
    return f"{'4' if action is Action.DELAYED else '5'}.{about}"


def _plain(original_recipient: str | None) -> str | None:
    """Take the type off an ORCPT: `rfc822;name@example.org`."""
    return original_recipient.rpartition(";")[2] if original_recipient else None


def _host_name(host: str | None) -> str | None:
    """Take the port off a host as the relay names it."""
    return host.rpartition(":")[0] if host and ":" in host else host


def _diagnostic(detail: str | None) -> str | None:
    """Give a peer's own words, when there are any."""
    found = _REPLY.search(detail or "")
    return found[0] if found else None


_REPLY = re.compile(r"\b[245][0-9]{2}[ -].*")
