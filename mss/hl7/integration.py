"""Tell the sender of documents whether the hospital's software took them in.

When software has answered for every document of a letter, the sender gets a notification with the
result, if a receipt was asked for and is asked for by whoever sent the letter. Otherwise a mailbox
of the settings is told of a failure by ordinary mail. Either is accepted in the transaction that
notes that it was done, so it goes once.

Sources
    ANS, CI-SIS, Transmission au LPS 1.1 (MDN, courriel standard); RFC 8098, 2.1.
"""

import logging
from dataclasses import dataclass, replace
from typing import Final

from crypto.errors import CryptoError
from crypto.sealing import Sealer
from directory.address import MailAddress
from directory.errors import DirectoryError
from mss.blobs.errors import BlobDamagedError, BlobMissingError
from mss.clock import Clock
from mss.errors import MSSError
from mss.hl7.translation import APPLICATION_LABELS
from mss.mime.addresses import NamedAddress
from mss.mime.build import Attachment, Draft, build_message
from mss.mime.mdn import Disposition, DispositionNotification, DispositionType, build_mdn
from mss.model.envelope import Envelope, Notify, Recipient
from mss.model.mailbox import Mailbox
from mss.model.message import Origin
from mss.model.principal import SystemPrincipal
from mss.pipeline.accept import Acceptance
from mss.pipeline.submission import Submission
from mss.ports import BlobStore
from mss.settings import HL7Settings
from mss.store import hl7, mailboxes, messages
from mss.store.engine import Connection, Database
from mss.store.hl7 import Outgoing
from mss.store.messages import MessageRow
from mss.store.summaries import open_facts

_log = logging.getLogger("mss.hl7")
AT_ONCE: Final = 50
RETURNED_OCTETS: Final = 20 * 1024 * 1024  # a larger letter is named, and not sent back whole
_ACCEPTED: Final = "AA"


class _ToldError(Exception):
    """Somebody else told the sender; the transaction must leave no trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A letter that software has answered for."""

    route_id: str
    row: MessageRow
    box: Mailbox
    receipt_to: str | None
    subject: str
    failed: Outgoing | None

    @property
    def error(self) -> tuple[str, str]:
        """Code and label of what went wrong."""
        assert self.failed is not None, "asked of a failure"
        code = self.failed.error_code or "906"
        return code, self.failed.error_text or APPLICATION_LABELS.get(code, "Autre erreur")


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """Sends the results."""

    database: Database
    blobs: BlobStore
    acceptance: Acceptance
    sealer: Sealer
    clock: Clock
    settings: HL7Settings

    async def look(self) -> int:
        """Tell the senders of letters that software has answered for; give how many."""
        ready = await self.database.read(lambda c: hl7.list_integrated(c, limit=AT_ONCE))
        for route_id, message_id in ready:
            try:
                await self._tell(route_id, message_id)
            except _ToldError:
                continue
            except (MSSError, DirectoryError, CryptoError) as error:
                _log.warning("the result of %s was not sent: %s", message_id, error.code)
                if not getattr(error, "retryable", False):
                    await self._done(route_id, message_id)
        return len(ready)

    async def _done(self, route_id: str, message_id: str) -> None:
        await self.database.write(lambda c: hl7.answer_intake(c, route_id, message_id))

    async def _tell(self, route_id: str, message_id: str) -> None:
        case = await self.database.read(lambda c: self._case(c, route_id, message_id))
        letter = None if case is None else await self._written(case)
        if case is None or letter is None:
            await self._done(route_id, message_id)
            return
        to, raw = letter

        def also(connection: Connection, _: str) -> None:
            if not hl7.answer_intake(connection, route_id, message_id):
                raise _ToldError

        await self.acceptance.accept(
            Submission(
                envelope=Envelope(
                    sender=None,
                    recipients=(Recipient(address=to, notify=frozenset({Notify.NEVER})),),
                ),
                raw=raw,
                principal=SystemPrincipal(reason="integration"),
                origin=Origin.SYSTEM,
                received_with="LOCAL",
            ),
            also=also,
        )

    def _case(self, connection: Connection, route_id: str, message_id: str) -> _Case | None:
        row = messages.find_message(connection, message_id)
        route = hl7.get_route(connection, route_id)
        box = mailboxes.find_mailbox(connection, route.mailbox_key) if route else None
        if row is None or box is None or not row.blob_ref:
            return None
        facts = open_facts(self.sealer, message_id=row.id, sealed=row.summary)
        results = hl7.results_of(connection, route_id, message_id)
        failed = next((one for one in results if one.verdict != _ACCEPTED), None)
        return _Case(
            route_id=route_id,
            row=row,
            box=box,
            receipt_to=facts.summary.receipt_to,
            subject=facts.summary.subject,
            failed=failed,
        )

    async def _written(self, case: _Case) -> tuple[MailAddress, bytes] | None:
        """Write what the sender, or somebody here, is to be told; `None` for nothing."""
        try:
            original = await self.blobs.get(case.row.blob_ref)
        except (BlobMissingError, BlobDamagedError):
            return None
        if case.receipt_to is not None:
            # Whoever asks for receipts to another address may be somebody who wants a loop.
            is_own = (case.row.sender_key or "") == case.receipt_to.lower()
            return self._notification(case, original) if is_own else None
        if case.failed is None or not self.settings.results_mailbox:
            return None
        return self._ordinary(case, original)

    def _notification(self, case: _Case, original: bytes) -> tuple[MailAddress, bytes]:
        to = MailAddress.parse(case.receipt_to or "")
        notification = DispositionNotification(
            final_recipient=case.box.address,
            original_recipient=case.box.address,
            original_message_id=case.row.internet_message_id,
            reporting_ua=f"{self.acceptance.host_name}; mss",
            disposition=Disposition(
                type=DispositionType.PROCESSED, automatic=True, sent_automatically=True
            ),
        )
        if case.failed is not None:
            code, label = case.error
            text = f"{code}^{_plain(label)}^applicationErrorCondition| E^Error^errorSeverity"
            notification = replace(
                notification,
                disposition=replace(notification.disposition, modifiers=("error",)),
                errors=(text,),
            )
        raw = build_mdn(
            notification,
            original=original,
            author=_author(case.box),
            to=to,
            message_id=self._message_id(),
            at=self.clock.now(),
            return_content=len(original) <= RETURNED_OCTETS,
        )
        return to, raw

    def _ordinary(self, case: _Case, original: bytes) -> tuple[MailAddress, bytes]:
        to = MailAddress.parse(self.settings.results_mailbox)
        code, label = case.error
        files = (
            Attachment(
                filename="message_original.eml", content_type="application/octet-stream",
                octets=original,
            ),
        )  # fmt: skip
        draft = Draft(
            author=_author(case.box),
            to=(NamedAddress(address=to),),
            subject=f"[KO Intégration système !][{code}] {case.subject}",
            text=(
                "Le message ci-joint n'a pas pu être intégré automatiquement pour la raison "
                f"suivante :\n\n{code} {_plain(label)}\n"
            ),
            attachments=files if len(original) <= RETURNED_OCTETS else (),
            in_reply_to=case.row.internet_message_id,
            references=(case.row.internet_message_id,),
            auto_submitted="auto-generated",
        )
        raw = build_message(draft, message_id=self._message_id(), at=self.clock.now())
        return to, raw

    def _message_id(self) -> str:
        return f"<{self.clock.new_id()}@{self.acceptance.host_name}>"


def _author(box: Mailbox) -> NamedAddress:
    return NamedAddress(address=MailAddress.parse(box.address), display_name=box.display_name)


def _plain(text: str) -> str:
    """Keep what separates out of a text, and control characters."""
    kept = "".join(one if one.isprintable() and one not in "^|" else " " for one in text)
    return " ".join(kept.split())[:200]
