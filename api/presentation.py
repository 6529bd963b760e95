"""Turn the server's values into wire models: plain functions, one per shape, no decision.

The only knowledge here is where things are found: the address of each resource, the national prefix
that a subject begins with, the name of the archive that carries documents.

Sources
    ECO.2.1.1 (IHE_XDM.ZIP, in any case), ECO.2.1.3 and ECO.3.1.3 (the prefix is for software).
"""

from urllib.parse import quote

from api.schemas import document, mailbox, message, sending
from mss.clinical.finding import Finding
from mss.clinical.letter import readable_subject
from mss.clinical.xdm import FILE_NAME
from mss.mailboxes.drafting import RecipientAnswer
from mss.mailboxes.reading import MessagePage, MessageView
from mss.model.delivery import DeliveryState, Tracking
from mss.model.mailbox import Deposit, Flag, MailboxView
from mss.model.message import (
    SIGNATURE_TYPES,
    DocumentSummary,
    Participant,
    PartSummary,
    Summary,
)
from mss.model.security import Security
from mss.pipeline.submission import Accepted


def message_path(message_id: str) -> str:
    """Write the address of a message."""
    return f"/v1/messages/{quote(message_id)}"


def mailbox_out(view: MailboxView, *, size_limit_octets: int) -> mailbox.MailboxOut:
    """Show a mailbox."""
    box = view.mailbox
    return mailbox.MailboxOut(
        address=box.address,
        kind=str(box.kind),
        display_name=box.display_name,
        rpps=box.rpps,
        finess=box.finess,
        rights=sorted(view.rights),
        messages=view.messages,
        unread=view.unread,
        used_octets=box.used_octets,
        quota_octets=box.quota_octets,
        size_limit_octets=size_limit_octets,
        opened_at=box.opened_at,
        is_open=box.is_open,
        key_held_by="server" if box.client_certificate is None else "client",
    )


def message_list(page: MessagePage, *, address: str) -> message.MessageList:
    """Show a page of a mailbox."""
    return message.MessageList(
        items=[message.MessageItem(**_item(view, address=address)) for view in page.items],
        next=page.next_cursor,
    )


def message_out(view: MessageView) -> message.MessageOut:
    """Show a whole message."""
    stored, summary = view.message, view.message.summary
    path = message_path(stored.id)
    return message.MessageOut(
        **_item(view, address=None),
        reply_to=_participants(summary.reply_to),
        in_reply_to=summary.in_reply_to,
        references=list(summary.references),
        receipt_to=summary.receipt_to,
        origin=stored.origin.value,
        headers=[message.HeaderOut(name=name, value=value) for name, value in summary.headers],
        parts=[_part(part, path=path) for part in summary.parts],
        security=_security(stored.security),
        deposits=[_deposit(one) for one in view.deposits],
        links=message.MessageLinks(
            raw=f"{path}/raw", documents=f"{path}/documents", tracking=f"{path}/tracking"
        ),
    )


def accepted_out(accepted: Accepted) -> sending.AcceptedOut:
    """Show what the server has just become responsible for."""
    return sending.AcceptedOut(
        id=accepted.message_id,
        internet_message_id=accepted.internet_message_id,
        accepted_at=accepted.accepted_at,
        deliveries=[
            sending.DeliveryOut(recipient=one.recipient, state=DeliveryState(one.state))
            for one in accepted.deliveries
        ],
        is_repeat=accepted.is_repeat,
        tracking=f"{message_path(accepted.message_id)}/tracking",
    )


def tracking_out(message_id: str, timelines: tuple[Tracking, ...]) -> sending.TrackingOut:
    """Show what became of a message."""
    return sending.TrackingOut(
        id=message_id,
        recipients=[
            sending.RecipientTracking(
                recipient=one.recipient,
                state=one.state,
                events=[
                    sending.TrackingEventOut(
                        at=event.at,
                        station=event.station,
                        code=event.code,
                        detail=event.detail,
                        host=event.host,
                    )
                    for event in one.events
                ],
            )
            for one in timelines
        ],
    )


def recipient_out(answer: RecipientAnswer) -> sending.RecipientOut:
    """Show whether an address can be reached."""
    return sending.RecipientOut(
        address=answer.address,
        is_reachable=answer.is_reachable,
        how=answer.how,
        protection=answer.protection,
        size_limit_octets=answer.size_limit_octets,
        code=answer.code,
        text=answer.text,
        text_fr=answer.text_fr,
    )


def finding_out(finding: Finding) -> document.FindingOut:
    """Show a remark on a document."""
    return document.FindingOut(
        code=finding.code,
        severity=finding.severity,
        text=finding.text,
        text_fr=finding.text_fr,
        where=finding.where,
        next_step=finding.next_step,
        next_step_fr=finding.next_step_fr,
    )


def _item(view: MessageView, *, address: str | None) -> dict[str, object]:
    stored, summary = view.message, view.message.summary
    deposit = _deposit_in(view.deposits, address)
    subject = summary.subject
    return {
        "id": stored.id,
        "internet_message_id": summary.internet_message_id,
        "subject": subject,
        "display_subject": readable_subject(subject),
        "author": _participant(summary.author),
        "to": _participants(summary.to),
        "cc": _participants(summary.cc),
        "sent_at": summary.sent_at,
        "received_at": deposit.deposited_at if deposit else stored.accepted_at,
        "size_octets": stored.size_octets,
        "folder": deposit.folder if deposit else None,
        "flags": _flags(deposit.flags) if deposit else [],
        "verdict": stored.security.verdict,
        "encrypted": stored.security.encrypted,
        "encrypted_for_client": stored.security.encrypted_for_client,
        "has_documents": bool(summary.documents) or any(map(_is_archive, summary.parts)),
        "documents": [_document(one) for one in summary.documents],
        "attachments": _attachments(summary),
        "report": stored.report,
    }


def _document(one: DocumentSummary) -> message.DocumentItem:
    return message.DocumentItem(
        type_code=one.type_code, type_label=one.type_label, action=one.action
    )


def _deposit_in(deposits: tuple[Deposit, ...], address: str | None) -> Deposit | None:
    """Choose the deposit to describe: the one in the mailbox that is looked at, else the first."""
    here = (one for one in deposits if one.mailbox_address.lower() == address)
    return next(here, deposits[0] if deposits else None)


def _deposit(deposit: Deposit) -> message.DepositOut:
    return message.DepositOut(
        mailbox=deposit.mailbox_address,
        folder=deposit.folder,
        flags=_flags(deposit.flags),
        deposited_at=deposit.deposited_at,
    )


def _flags(flags: frozenset[Flag]) -> list[Flag]:
    return sorted(flags)


def _participant(participant: Participant) -> message.ParticipantOut:
    return message.ParticipantOut(name=participant.name, address=participant.address)


def _participants(participants: tuple[Participant, ...]) -> list[message.ParticipantOut]:
    return [_participant(one) for one in participants]


def _is_archive(part: PartSummary) -> bool:
    return (part.filename or "").lower() == FILE_NAME.lower()


def _attachments(summary: Summary) -> int:
    """Count what a reader would call attachments; a signature is none."""
    return sum(
        1
        for part in summary.parts
        if (part.filename or part.disposition == "attachment")
        and part.content_type.lower() not in SIGNATURE_TYPES
    )


def _part(part: PartSummary, *, path: str) -> message.PartOut:
    return message.PartOut(
        path=part.path,
        content_type=part.content_type,
        filename=part.filename,
        disposition=part.disposition,
        size_octets=part.size_octets,
        href=f"{path}/parts/{part.path}",
    )


def _security(security: Security) -> message.SecurityOut:
    return message.SecurityOut(
        verdict=security.verdict,
        judged_at=security.judged_at,
        encrypted=security.encrypted,
        encrypted_for_client=security.encrypted_for_client,
        content_algorithm=security.content_algorithm,
        signed_at=security.signed_at,
        signature_algorithm=security.signature_algorithm,
        signer=security.signer,
        signer_subject=security.signer_subject,
        signer_fingerprint=security.signer_fingerprint,
        binding=security.binding,
        peer_subject=security.peer_subject,
        findings=[
            message.SecurityFindingOut(code=one.code, severity=one.severity, text=one.text)
            for one in security.findings
        ],
        layers=[
            message.SecurityLayerOut(
                kind=one.kind, algorithm=one.algorithm, signer=one.signer, error=one.error
            )
            for one in security.layers
        ],
    )
