"""What else a message must satisfy, beside who sends it and where it goes.

One value for the way in: loops, reply addresses, rates, exchanges with patients, documents and
their header fields, content and viruses. Each has a module of its own; this names them in order.

Errors
    `MessageRefusedError` (`mail-loop`), `ReplyAddressNotTrustedError`, `RateLimitedError`,
    `PatientConversationError`, `DocumentRefusedError`, `ContentRefusedError`,
    `ScannerUnavailableError`; `PutAsideError`, which stays in the pipeline.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from directory.address import MailAddress
from mss.blobs.offload import run_by_size
from mss.clinical import letter
from mss.clinical.cda import CdaHeader
from mss.clinical.check import Environment
from mss.clinical.listing import DocumentSet
from mss.errors import (
    DocumentRefusedError,
    MessageRefusedError,
    MSSError,
    ReplyAddressNotTrustedError,
)
from mss.mime import entity
from mss.mime.parse import ParsedMessage
from mss.model.content import Content
from mss.model.message import Origin, Summary
from mss.model.principal import AccountPrincipal, PeerPrincipal, Principal, SystemPrincipal
from mss.model.security import Security, Verdict
from mss.pipeline import covers
from mss.pipeline.documents import CarriedDocuments, Inspected, open_documents
from mss.pipeline.inspection import Inspection
from mss.pipeline.patients import PatientDesk
from mss.pipeline.quarantine import Quarantine
from mss.pipeline.rates import Rates
from mss.pipeline.submission import Submission
from mss.policy.loops import is_looping
from mss.store.engine import Connection
from mss.trust_space import TrustSpace

INLINE_OCTETS = 64 * 1024  # an archive above is opened in a thread
DOCUMENT_INLINE_OCTETS = 4 * 1024  # one whose documents are judged too
Also = Callable[[Connection, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hygiene:
    """Asked by the way in; `quarantine` takes what is put aside.

    Attributes:
        refused_findings: Codes of findings on documents for which a message is refused.
    """

    rates: Rates
    patients: PatientDesk
    inspection: Inspection
    quarantine: Quarantine
    trust: TrustSpace
    domains: frozenset[str]
    host_name: str
    refused_findings: frozenset[str] = frozenset()
    environment: Environment | None = None

    async def check_sender(self, principal: Principal, *, actor: str) -> None:
        """At MAIL: let pass whoever may still send something in this hour."""
        await self._check_rate(principal, actor=actor, recipients=1)

    def recipient_objection(self, recipient: MailAddress) -> MSSError | None:
        """At RCPT: say what is wrong with an address, before anybody is asked about it."""
        return self.patients.recipient_objection(recipient)

    async def check(self, submission: Submission, message: ParsedMessage, *, actor: str) -> None:
        """Let pass a message whose header is in order, from somebody who may still send."""
        self._check_loop(submission, message)
        self._check_answers(submission, message)
        if submission.is_released:
            return
        recipients = len(submission.envelope.recipients)
        await self._check_rate(submission.principal, actor=actor, recipients=recipients)

    async def described(self, raw: bytes, message: ParsedMessage) -> tuple[bytes, ParsedMessage]:
        """Write the fields about documents that software of ours left out."""
        is_complete = {letter.CODES_HEADER, letter.INS_HEADER} <= message.mss_fields.keys()
        if is_complete or not covers.carries_archive(message):
            return raw, message
        documents = await _read_documents(message)
        fields = covers.missing_fields(message, documents)
        if not fields:
            return raw, message
        written = {name.decode(): value.decode().strip() for name, value in fields}
        described = replace(message, mss_fields={**message.mss_fields, **written})
        return entity.prepend_fields(raw, fields), described

    async def inspect(
        self, submission: Submission, message: ParsedMessage, summary: Summary, security: Security
    ) -> Inspected:
        """Look at what can be read, and add what its readers should know to the security facts."""
        await self.patients.check_answer(submission, message)
        is_readable = security.verdict is not Verdict.UNREADABLE
        findings = security.findings
        documents = None
        if is_readable and covers.carries_archive(message):
            found = await self._open_documents(message, at=security.judged_at)
            documents = found.described()
            findings = (*findings, *covers.check_fields(message, found.headers))
            if not submission.is_released and submission.origin is not Origin.SYSTEM:
                self._check_documents(documents)
        if not submission.is_released and submission.origin is not Origin.SYSTEM:
            content = Content(
                origin=submission.origin,
                author_domain=str(message.author.address.domain),
                size_octets=len(message.raw),
                parts=summary.parts,
            )
            marks = await self.inspection.inspect(message.raw, content, is_readable=is_readable)
            findings = (*findings, *marks)
        if findings != security.findings:
            security = replace(security, findings=findings)
        return Inspected(security=security, documents=documents)

    def remembering(
        self,
        submission: Submission,
        message: ParsedMessage,
        internet_message_id: str,
        also: Also | None,
    ) -> Also | None:
        """Give what else is written in the transaction of a message: a letter to patients."""
        remember = self.patients.letter_of(submission, message, internet_message_id)
        if remember is None or also is None:
            return remember or also

        def both(connection: Connection, message_id: str) -> None:
            remember(connection, message_id)
            also(connection, message_id)

        return both

    async def _open_documents(self, message: ParsedMessage, *, at: datetime) -> CarriedDocuments:
        read = partial(open_documents, message, at=at, environment=self.environment)
        return await run_by_size(read, len(message.raw), inline_octets=DOCUMENT_INLINE_OCTETS)

    def _check_documents(self, documents: DocumentSet) -> None:
        """Faults of content never hold up a letter, unless the operator has named them."""
        for one in documents.all_findings if self.refused_findings else ():
            if one.code in self.refused_findings:
                raise DocumentRefusedError(reason=one.code)

    def _check_loop(self, submission: Submission, message: ParsedMessage) -> None:
        is_ours = isinstance(submission.principal, SystemPrincipal)
        if not is_ours and is_looping(
            received=message.values("Received"),
            delivered_to=message.values("Delivered-To"),
            host_name=self.host_name,
            recipients=[one.address for one in submission.envelope.recipients],
        ):
            raise MessageRefusedError(reason="mail-loop")

    def _check_answers(self, submission: Submission, message: ParsedMessage) -> None:
        """Answers to a user's letter stay inside the trust space."""
        if not isinstance(submission.principal, AccountPrincipal):
            return
        for one in message.reply_to:
            domain = str(one.address.domain)
            if domain not in self.domains and not self.trust.is_trusted_domain(domain):
                raise ReplyAddressNotTrustedError(domain=domain)

    async def _check_rate(self, principal: Principal, *, actor: str, recipients: int) -> None:
        if isinstance(principal, SystemPrincipal):
            return
        is_peer = isinstance(principal, PeerPrincipal)
        await self.rates.check(actor, is_peer=is_peer, recipients=recipients)


async def _read_documents(message: ParsedMessage) -> list[CdaHeader]:
    read = partial(covers.read_documents, message)
    return await run_by_size(read, len(message.raw), inline_octets=INLINE_OCTETS)
