"""Step 6: write the reports that are owed, and hand them in by the one way in.

What is owed was written down in the transaction of the event (`mss/store/notices.py`); the
transaction that accepts the report removes it. So each report is sent once, whatever crashes.
Reports have the null sender, and nothing with the null sender ever causes a report.

Sources
    RFC 3461, 6 and RFC 3464 (delivery reports); RFC 8098, 2.1 (read receipts).
"""

import logging
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
from mss.ports import BlobStore
from mss.store import deliveries, mailboxes, messages, notices
from mss.store.engine import Connection, Database
from mss.store.messages import MessageRow
from mss.store.notices import Notice, NoticeKind
from mss.store.summaries import open_facts

AGAIN = timedelta(minutes=2)  # when a notice is tried again after a failure
GIVE_UP = 500  # tries, most of a day: a notice that nobody takes is dropped
_ACTIONS = {
    NoticeKind.DELIVERED: (Action.DELIVERED, "2.0.0"),
    NoticeKind.RELAYED: (Action.RELAYED, "2.0.0"),
    NoticeKind.DELAYED: (Action.DELAYED, "4.0.0"),
    NoticeKind.FAILED: (Action.FAILED, "5.0.0"),
}
_log = logging.getLogger("mss.notify")


class _SettledError(Exception):
    """Another worker sent this notice; the transaction must leave no trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What a report is written from."""

    row: MessageRow
    delivery: Delivery | None
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

    async def claim(self, *, limit: int) -> list[Notice]:
        """Take notices that are due."""
        now = self.clock.now()
        return await self.database.write(
            lambda c: notices.claim_notices(c, now=now, until=now + AGAIN, limit=limit)
        )

    async def send(self, notice: Notice) -> None:
        """Write one report and have it accepted; what cannot be sent now stays owed."""
        try:
            await self._send(notice)
        except _SettledError:
            return
        except (MSSError, DirectoryError, CryptoError) as error:
            retryable = isinstance(error, MSSError) and error.retryable
            _log.warning("notice %s not sent: %s", notice.id, error.code)
            if not retryable or notice.attempts >= GIVE_UP:
                await self.database.write(lambda c: notices.settle(c, notice.id))

    async def _send(self, notice: Notice) -> None:
        facts = await self.database.read(lambda c: _facts(c, notice))
        at = self.clock.now()
        original = await self.blobs.get(facts.row.blob_ref)
        if notice.kind is NoticeKind.READ:
            to, raw = self._read_receipt(facts, original, at)
        else:
            to, raw = self._delivery_report(notice, facts, original, at)
        await self.acceptance.accept(
            Submission(
                envelope=Envelope(
                    sender=None,
                    recipients=(Recipient(address=to, notify=frozenset({Notify.NEVER})),),
                ),
                raw=raw,
                principal=SystemPrincipal(reason=notice.kind.value),
                origin=Origin.SYSTEM,
                received_with="LOCAL",
            ),
            also=lambda connection, _: _settle(connection, notice.id),
        )

    def _delivery_report(
        self, notice: Notice, facts: _Facts, original: bytes, at: datetime
    ) -> tuple[MailAddress, bytes]:
        """Write a DSN to the envelope sender."""
        delivery = facts.delivery
        assert delivery is not None, "a delivery report is about a delivery"
        assert facts.row.sender is not None, "the null sender is never told anything"
        action, status = _ACTIONS[notice.kind]
        to = MailAddress.parse(facts.row.sender)
        report = DeliveryStatus(
            reporting_mta=self.host_name,
            original_envelope_id=facts.row.envelope_id or facts.row.id,
            arrival_at=facts.row.accepted_at,
            recipients=(
                RecipientStatus(
                    final_recipient=delivery.recipient,
                    original_recipient=_plain(delivery.original_recipient),
                    action=action,
                    status=status,
                    diagnostic_code=_diagnostic(delivery) if status[0] != "2" else None,
                    last_attempt_at=at,
                    will_retry_until=(delivery.expires_at if action is Action.DELAYED else None),
                ),
            ),
        )
        raw = build_dsn(
            report,
            original=original,
            author=self.postmaster,
            to=to,
            message_id=self._message_id(),
            at=at,
        )
        return to, raw

    def _read_receipt(
        self, facts: _Facts, original: bytes, at: datetime
    ) -> tuple[MailAddress, bytes]:
        """Write an MDN to the address that asked for one, from the mailbox that was read."""
        assert facts.mailbox is not None, "a read receipt is about a mailbox"
        sealed = open_facts(
            self.acceptance.committer.sealer, message_id=facts.row.id, sealed=facts.row.summary
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


def _facts(connection: Connection, notice: Notice) -> _Facts:
    row = messages.find_message(connection, notice.message_id)
    assert row is not None, "a notice keeps its message"
    return _Facts(
        row=row,
        delivery=(
            deliveries.find_delivery(connection, notice.delivery_id) if notice.delivery_id else None
        ),
        mailbox=(
            mailboxes.find_by_id(connection, notice.mailbox_id) if notice.mailbox_id else None
        ),
    )


def _settle(connection: Connection, notice_id: str) -> None:
    if not notices.settle(connection, notice_id):
        raise _SettledError


def _plain(original_recipient: str | None) -> str | None:
    """Take the type off an ORCPT: `rfc822;name@example.org`."""
    return original_recipient.rpartition(";")[2] if original_recipient else None


def _diagnostic(delivery: Delivery) -> str | None:
    words = [one for one in (delivery.last_code, delivery.last_detail) if one]
    return ": ".join(words) or None
