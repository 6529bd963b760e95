"""Rows for tests of the store: each function inserts one and returns what names it."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from directory.model import MailboxKind
from mss.model.delivery import DeliveryState
from mss.model.mailbox import Folder, Mailbox
from mss.model.message import Origin
from mss.store import accounts, deliveries, mailboxes, messages
from mss.store.accounts import Account
from mss.store.deliveries import NewDelivery
from mss.store.messages import MessageRow
from tests.support.pki import NOW


def a_row(
    message_id: str = "m1",
    *,
    sender: str | None = "ward@ch-demo.mssante.fr",
    internet_message_id: str = "<1@ch-demo.mssante.fr>",
    envelope_id: str | None = None,
    blob_ref: str | None = None,
    at: datetime = NOW,
) -> MessageRow:
    """Return the row of a message."""
    return MessageRow(
        id=message_id,
        origin=Origin.SUBMISSION,
        accepted_at=at,
        actor="account:a1",
        sender=sender,
        sender_key=sender.lower() if sender else None,
        internet_message_id=internet_message_id,
        envelope_id=envelope_id,
        size_octets=100,
        blob_ref=blob_ref or f"memory:{message_id}",
        verdict="internal",
        report=None,
        summary=b"sealed",
    )


def a_message(connection: Connection, message_id: str = "m1", *, at: datetime = NOW) -> str:
    """Insert a message."""
    messages.insert_message(connection, a_row(message_id, at=at))
    return message_id


def a_delivery(
    connection: Connection,
    delivery_id: str = "d1",
    *,
    message_id: str = "m1",
    domain: str = "cabinets-demo.mssante.fr",
    state: DeliveryState = DeliveryState.QUEUED,
    at: datetime = NOW,
    blob_ref: str | None = None,
) -> str:
    """Insert a delivery, and its message unless it is there."""
    if messages.find_message(connection, message_id) is None:
        a_message(connection, message_id)
    recipient = f"Anne@{domain}"
    deliveries.insert_delivery(
        connection,
        NewDelivery(
            id=delivery_id,
            message_id=message_id,
            recipient=recipient,
            recipient_key=recipient.lower(),
            domain=domain,
            route=deliveries.RELAY,
            state=state,
            at=at,
            expires_at=at + timedelta(days=2),
            blob_ref=blob_ref or f"memory:{delivery_id}",
            notify=frozenset({"FAILURE", "DELAY"}),
            original_recipient=None,
        ),
    )
    return delivery_id


def a_mailbox(
    connection: Connection,
    address: str = "Anne@cabinets-demo.mssante.fr",
    *,
    quota_octets: int = 1000,
) -> str:
    """Insert a mailbox."""
    box = Mailbox(
        id=f"box-{address[:20]}",
        address=address,
        kind=MailboxKind.PER,
        display_name="Dr Anne ESSAI",
        rpps="99000000010",
        finess=None,
        opened_at=NOW,
        closed_at=None,
        quota_octets=quota_octets,
        used_octets=0,
    )
    mailboxes.insert_mailbox(connection, box, address_key=address.lower())
    return box.id


def a_deposit(
    connection: Connection,
    mailbox_id: str,
    message_id: str,
    *,
    role: str = mailboxes.RECEIVED,
    folder: Folder = Folder.INBOX,
    seen: bool = False,
) -> None:
    """Deposit a message of 100 octets, inserting it unless it is there."""
    if messages.find_message(connection, message_id) is None:
        a_message(connection, message_id)
    mailboxes.insert_deposit(
        connection,
        mailboxes.NewDeposit(
            mailbox_id=mailbox_id,
            message_id=message_id,
            role=role,
            folder=folder,
            seen=seen,
            size_octets=100,
            at=NOW,
        ),
    )


def an_account(connection: Connection, name: str = "anne") -> str:
    """Insert an account with a password hash that nothing matches."""
    one = Account(
        id=f"account-{name}", name=name, password_hash="none", created_at=NOW, closed_at=None
    )
    accounts.insert_account(connection, one)
    return one.id
