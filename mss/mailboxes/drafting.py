"""Write a message from what software knows, and hand it in by the one way in.

A draft is a person's fields (recipients, subject, text, files); `raw` is a complete message. Both
become one submission whose sender is the mailbox that is written as.

Errors
    `InvalidRequestError` names the field that is wrong; `NotFoundError` for somebody else's
    mailbox; whatever `Acceptance.accept` refuses.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from weakref import WeakValueDictionary

from directory.address import MailAddress
from directory.errors import AddressSyntaxError
from mss.clock import Clock
from mss.errors import (
    ConflictError,
    InvalidRequestError,
    MessageTooLargeError,
    MSSError,
    NotFoundError,
)
from mss.mailboxes.uploads import Uploads, removed
from mss.mime.addresses import NamedAddress, parse_address, parse_addresses
from mss.mime.build import Attachment, Draft, build_message
from mss.mime.errors import HeaderValueError, MessageSyntaxError
from mss.mime.parse import ParsedMessage, parse_message
from mss.model.envelope import DEFAULT_NOTIFY, Envelope, Notify, Recipient
from mss.model.mailbox import Mailbox
from mss.model.message import Origin
from mss.model.principal import AccountPrincipal, Right
from mss.pipeline.accept import Acceptance
from mss.pipeline.record import Also
from mss.pipeline.submission import Accepted, LocalRoute, RefusedRoute, RelayRoute, Submission
from mss.policy.patients import CLOSING_FIELD, CLOSING_VALUE
from mss.store import mailboxes, messages
from mss.store.engine import Connection, Database

_OCTETS: Final = "application/octet-stream"
_CLOSING: Final = CLOSING_FIELD.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingAttachment:
    """A file of a draft."""

    filename: str
    content_type: str
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedAttachment:
    """A file of a draft that was uploaded before.

    Attributes:
        filename: Instead of the one that was said when it was uploaded.
        content_type: The same.
    """

    upload_id: str
    filename: str = ""
    content_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingDraft:
    """A message as software gives it; addresses may carry a name: `Anne ESSAI <a@b.fr>`.

    Attributes:
        closes_conversation: The patient can no longer answer (`X-MSS-MES: FIN`).
    """

    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    subject: str = field(default="", repr=False)
    text: str = field(default="", repr=False)
    html: str | None = field(default=None, repr=False)
    reply_to: tuple[str, ...] = ()
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    request_read_receipt: bool = False
    request_delivery_receipt: bool = False
    closes_conversation: bool = False
    attachments: tuple[OutgoingAttachment | UploadedAttachment, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def uploads(self) -> tuple[str, ...]:
        """The identifiers of the uploads that are attached, each once."""
        found = (one.upload_id for one in self.attachments if isinstance(one, UploadedAttachment))
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientAnswer:
    """Whether a recipient can be reached, how protected, or why not."""

    address: str
    is_reachable: bool
    how: str | None = None
    protection: str | None = None
    size_limit_octets: int | None = None
    code: str | None = None
    text: str | None = None
    text_fr: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What one request to send stands on, and what must happen together with it.

    Attributes:
        made_from: The request, if the draft was made from another, with new identifiers and dates
            that a repetition would not share.
        uploads: Further uploads that are in the message, and are gone once it is accepted.
        draft_id: The saved draft that the uploads may belong to.
        then: A change of the transaction that accepts the message.
    """

    idempotency_key: str | None = None
    made_from: bytes | None = None
    uploads: tuple[str, ...] = ()
    draft_id: str | None = None
    then: Also | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafting:
    """The writer's desk.

    Attributes:
        turns: Requests with the same key wait for each other, as the later ones need no work.
    """

    database: Database
    acceptance: Acceptance
    clock: Clock
    uploads: Uploads
    turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = field(
        default_factory=WeakValueDictionary
    )

    async def send_draft(
        self,
        principal: AccountPrincipal,
        address: str,
        draft: OutgoingDraft,
        *,
        idempotency_key: str | None,
        made_from: bytes | None = None,
    ) -> Accepted:
        """Send a draft from one of the principal's mailboxes.

        Args:
            principal: Who sends.
            address: The mailbox that is written as.
            draft: What is sent.
            idempotency_key: Names the request, so that its repetition is no second message.
            made_from: The request, if the draft was made from another, with new identifiers and
                dates that a repetition would not share.
        """
        sending = Sending(idempotency_key=idempotency_key, made_from=made_from)
        return await self.send(principal, address, draft, sending)

    async def send(
        self, principal: AccountPrincipal, address: str, draft: OutgoingDraft, sending: Sending
    ) -> Accepted:
        """Send a draft together with whatever else must happen, all or nothing."""
        box = await self.require_mailbox(principal, address)
        request = sending.made_from or repr(_fingerprint(draft)).encode()
        digest = _digest(address, request)
        async with self._turn(principal, sending.idempotency_key):
            repeat = await self._find_repeat(principal, sending.idempotency_key, digest)
            if repeat is not None:
                return repeat
            raw, recipients = await self._written(principal, box, draft, sending)
            notify = DEFAULT_NOTIFY | (
                {Notify.SUCCESS} if draft.request_delivery_receipt else frozenset()
            )
            sending = replace(sending, uploads=(*draft.uploads, *sending.uploads))
            sender = MailAddress.parse(box.address)
            submission = _submission(principal, sender, raw, recipients, notify)
            return await self._submit(principal, submission, sending, digest=digest)

    async def _written(
        self, principal: AccountPrincipal, box: Mailbox, draft: OutgoingDraft, sending: Sending
    ) -> tuple[bytes, list[MailAddress]]:
        """Write the message of a draft, and tell whom it goes to."""
        author = MailAddress.parse(box.address)
        named = NamedAddress(address=author, display_name=box.display_name)
        files = await self._files(principal, draft, sending.draft_id)
        message = _message(draft, named, files)
        message_id = f"<{self.clock.new_id()}@{self.acceptance.host_name}>"
        try:
            raw = await asyncio.to_thread(
                build_message, message, message_id=message_id, at=self.clock.now()
            )
        except HeaderValueError as error:
            raise InvalidRequestError(field=error.field.lower(), reason=error.reason) from error
        recipients = [one.address for one in (*message.to, *message.cc)]
        return raw, recipients + [_address("bcc", one).address for one in draft.bcc]

    async def _files(
        self, principal: AccountPrincipal, draft: OutgoingDraft, draft_id: str | None
    ) -> tuple[Attachment, ...]:
        """Read the files of a draft; those that were uploaded only if they fit together."""
        size = await self.uploads.measure(principal, draft.uploads, draft_id=draft_id)
        self.check_uploads(size)
        return tuple(
            [await self._file(principal, one, draft_id=draft_id) for one in draft.attachments]
        )

    def check_uploads(self, size_octets: int) -> None:
        """Let pass files that fit into a message once they are encoded.

        Raises:
            MessageTooLargeError: They do not.
        """
        limit = self.acceptance.limits.message_octets
        encoded = size_octets * 4 // 3
        if encoded > limit:
            raise MessageTooLargeError(size_octets=encoded, limit_octets=limit)

    async def _file(
        self,
        principal: AccountPrincipal,
        given: OutgoingAttachment | UploadedAttachment,
        *,
        draft_id: str | None,
    ) -> Attachment:
        if isinstance(given, OutgoingAttachment):
            return Attachment(
                filename=given.filename, content_type=given.content_type, octets=given.octets
            )
        found = await self.uploads.load(principal, given.upload_id, draft_id=draft_id)
        return Attachment(
            filename=given.filename or found.name.filename or "document",
            content_type=given.content_type or found.name.content_type or _OCTETS,
            octets=found.octets,
        )

    async def send_raw(
        self,
        principal: AccountPrincipal,
        address: str,
        raw: bytes,
        *,
        recipients: tuple[str, ...] | None,
        idempotency_key: str | None,
    ) -> Accepted:
        """Send a complete message; without *recipients*, to those that its header names."""
        box = await self.require_mailbox(principal, address)
        self.acceptance.check_size(raw)
        digest = _digest(address, raw)
        async with self._turn(principal, idempotency_key):
            repeat = await self._find_repeat(principal, idempotency_key, digest)
            if repeat is not None:
                return repeat
            message = await asyncio.to_thread(parse_message, raw, self.acceptance.mime_limits)
            wanted = (
                [_address("recipients", one).address for one in recipients]
                if recipients is not None
                else _named_recipients(message)
            )
            sender = MailAddress.parse(box.address)
            submission = _submission(principal, sender, raw, wanted, DEFAULT_NOTIFY)
            sending = Sending(idempotency_key=idempotency_key)
            return await self._submit(principal, submission, sending, digest=digest)

    async def find_repeat(
        self,
        principal: AccountPrincipal,
        address: str,
        request: bytes,
        *,
        idempotency_key: str | None,
    ) -> Accepted | None:
        """Find what the same request, under the same key, led to before.

        Raises:
            ConflictError: The key was used for another request.
        """
        return await self._find_repeat(principal, idempotency_key, _digest(address, request))

    async def check_recipients(
        self, principal: AccountPrincipal, addresses: Sequence[str]
    ) -> tuple[RecipientAnswer, ...]:
        """Say of each recipient, before anything is sent, whether and how it can be reached."""
        return tuple([await self._check_recipient(principal, one) for one in addresses])

    async def _check_recipient(self, principal: AccountPrincipal, address: str) -> RecipientAnswer:
        try:
            recipient = MailAddress.parse(address)
        except AddressSyntaxError:
            return _unreachable(address, InvalidRequestError(field="address", reason="syntax"))
        route = await self.acceptance.route(principal, recipient)
        limit = self.acceptance.limits.message_octets
        match route:
            case RefusedRoute():
                return _unreachable(address, route.error)
            case LocalRoute():
                return RecipientAnswer(
                    address=address,
                    is_reachable=True,
                    how="local",
                    protection="internal",
                    size_limit_octets=limit,
                )
            case RelayRoute():
                try:
                    protection = await self.acceptance.protection.foresee(recipient)
                except MSSError as error:
                    return _unreachable(address, error)
                return RecipientAnswer(
                    address=address,
                    is_reachable=True,
                    how="relay",
                    protection=protection,
                    size_limit_octets=limit,
                )

    async def require_mailbox(self, principal: AccountPrincipal, address: str) -> Mailbox:
        """Find the mailbox that is written as; one that may not be written as does not exist."""
        key = address.lower()
        box = None
        if principal.has_right(key, Right.SEND):
            box = await self.database.read(lambda c: mailboxes.find_mailbox(c, key))
        if box is None or not box.is_open:
            raise NotFoundError(what="mailbox")
        return box

    def _turn(self, principal: AccountPrincipal, key: str | None) -> asyncio.Lock:
        """Give the lock of a key; without a key nobody waits."""
        if key is None:
            return asyncio.Lock()
        return self.turns.setdefault((principal.account_id, key), asyncio.Lock())

    async def _submit(
        self,
        principal: AccountPrincipal,
        submission: Submission,
        sending: Sending,
        *,
        digest: str,
    ) -> Accepted:
        """Hand a message in; of two with the same key, the later gets the answer of the first."""
        key, bodies = sending.idempotency_key, _Bodies()

        def also(connection: Connection, message_id: str) -> None:
            if key is not None and not messages.remember_idempotent(
                connection,
                account_id=principal.account_id,
                key=key,
                request_digest=digest,
                message_id=message_id,
                at=self.clock.now(),
            ):
                raise ConflictError(what="idempotency-key")
            if sending.then is not None:
                sending.then(connection, message_id)
            bodies.refs = removed(connection, sending.uploads)

        try:
            accepted = await self.acceptance.accept(submission, also=also)
        except ConflictError:
            # Another process was asked the same at the same moment, and was first.
            repeat = await self._find_repeat(principal, key, digest)
            if repeat is None:
                raise
            return repeat
        await self.uploads.let_go(bodies.refs)
        return accepted

    async def _find_repeat(
        self, principal: AccountPrincipal, key: str | None, digest: str
    ) -> Accepted | None:
        """Find what the same request led to before.

        Raises:
            ConflictError: The key was used for another request.
        """
        if key is None:
            return None
        known = await self.database.read(
            lambda c: messages.find_idempotent(c, principal.account_id, key)
        )
        if known is None:
            return None
        known_digest, message_id = known
        if known_digest != digest:
            raise ConflictError(what="idempotency-key")
        return await self.acceptance.committer.accepted(message_id, is_repeat=True)


@dataclass(slots=True)
class _Bodies:
    """What is to be removed once a transaction is over."""

    refs: list[str] = field(default_factory=list)


def _submission(
    principal: AccountPrincipal,
    sender: MailAddress,
    raw: bytes,
    recipients: Sequence[MailAddress],
    notify: frozenset[Notify],
) -> Submission:
    if not recipients:
        raise InvalidRequestError(field="to", reason="at least one recipient is needed")
    distinct = {one.key: one for one in recipients}
    return Submission(
        envelope=Envelope(
            sender=sender,
            recipients=tuple(Recipient(address=one, notify=notify) for one in distinct.values()),
        ),
        raw=raw,
        principal=principal,
        origin=Origin.SUBMISSION,
        received_with="HTTPS",
    )


def _message(draft: OutgoingDraft, author: NamedAddress, files: tuple[Attachment, ...]) -> Draft:
    fields = dict(draft.headers)
    if draft.closes_conversation:
        fields = {name: value for name, value in fields.items() if name.lower() != _CLOSING}
        fields[CLOSING_FIELD] = CLOSING_VALUE
    return Draft(
        author=author,
        to=_addresses("to", draft.to),
        cc=_addresses("cc", draft.cc),
        reply_to=_addresses("reply_to", draft.reply_to),
        subject=draft.subject,
        text=draft.text,
        html=draft.html,
        attachments=files,
        in_reply_to=draft.in_reply_to,
        references=draft.references,
        disposition_notification_to=(author,) if draft.request_read_receipt else (),
        mss_fields=fields,
    )


def _named_recipients(message: ParsedMessage) -> list[MailAddress]:
    """Take the recipients out of a header, blind copies included."""
    named = [one.address for one in (*message.to, *message.cc)]
    for name, value in message.fields:
        if name.lower() == b"bcc":
            named += [one.address for one in parse_addresses(value)]
    return named


def _addresses(name: str, texts: Sequence[str]) -> tuple[NamedAddress, ...]:
    return tuple(_address(name, one) for one in texts)


def _address(name: str, text: str) -> NamedAddress:
    if not text.isprintable():
        raise InvalidRequestError(field=name, reason="control characters are not allowed")
    try:
        return parse_address(text.encode())
    except MessageSyntaxError:
        raise InvalidRequestError(field=name, reason="not one address") from None


def _unreachable(address: str, error: MSSError) -> RecipientAnswer:
    return RecipientAnswer(
        address=address,
        is_reachable=False,
        code=error.code,
        text=error.public_text,
        text_fr=error.public_text_fr,
    )


def _fingerprint(draft: OutgoingDraft) -> tuple[object, ...]:
    files = tuple(
        (one.filename, one.content_type, hashlib.sha256(one.octets).hexdigest())
        if isinstance(one, OutgoingAttachment)
        else (one.filename, one.content_type, one.upload_id)
        for one in draft.attachments
    )
    return (
        draft.to, draft.cc, draft.bcc, draft.subject, draft.text, draft.html, draft.reply_to,
        draft.in_reply_to, draft.references, draft.request_read_receipt,
        draft.request_delivery_receipt, draft.closes_conversation, draft.headers, files,
    )  # fmt: skip


def _digest(address: str, contents: bytes) -> str:
    return hashlib.sha256(address.lower().encode() + b"\0" + contents).hexdigest()
