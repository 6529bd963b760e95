"""Mailboxes, the rights on them, and what is deposited in them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    update,
)

from directory.index_sql.prepared import Prepared, PreparedList
from directory.model import MailboxKind
from mss.model.mailbox import Deposit, Flag, Folder, Mailbox, OwnBody
from mss.model.principal import Right
from mss.store.bulk import BulkInsert
from mss.store.messages import MessageRow, message_of
from mss.store.tables import deposit, mailbox, mailbox_right, message

RECEIVED = "received"
SENT = "sent"
_FLAG_COLUMNS = {
    Flag.SEEN: deposit.c.seen,
    Flag.ANSWERED: deposit.c.answered,
    Flag.FLAGGED: deposit.c.flagged,
}

# Statements of the hot path are built once: building one costs more than running it.
_FIND = Prepared(select(mailbox).where(mailbox.c.address_key == bindparam("key")))
_FIND_IDS = PreparedList(
    lambda keys: select(mailbox.c.address_key, mailbox.c.id).where(mailbox.c.address_key.in_(keys))
)
_FIND_CLIENT_CERTIFICATE = Prepared(
    select(mailbox.c.client_certificate).where(mailbox.c.address_key == bindparam("key"))
)
_TAKE_UIDS = Prepared(
    update(mailbox)
    .where(mailbox.c.id == bindparam("mailbox"))
    .values(
        next_uid=mailbox.c.next_uid + bindparam("count"),
        used_octets=mailbox.c.used_octets + bindparam("size"),
    )
    .returning(mailbox.c.next_uid)
)
_DEPOSIT = BulkInsert(deposit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One line of a mailbox: the deposit and its message, summary still sealed."""

    deposit: Deposit
    message: MessageRow


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDeposit:
    """A message about to be laid in a mailbox."""

    mailbox_id: str
    message_id: str
    role: str
    folder: Folder
    seen: bool
    size_octets: int
    at: datetime
    own_body: OwnBody | None = None


def insert_mailbox(connection: Connection, box: Mailbox, *, address_key: str) -> None:
    """Add a mailbox."""
    connection.execute(
        insert(mailbox).values(
            id=box.id,
            address=box.address,
            address_key=address_key,
            kind=str(box.kind),
            display_name=box.display_name,
            rpps=box.rpps,
            finess=box.finess,
            opened_at=box.opened_at,
            closed_at=box.closed_at,
            quota_octets=box.quota_octets,
            used_octets=box.used_octets,
            next_uid=1,
            client_certificate=box.client_certificate,
        )
    )


def find_mailbox(connection: Connection, address_key: str) -> Mailbox | None:
    """Find a mailbox by its normalised address."""
    found = _FIND.run(connection, {"key": address_key})
    return _mailbox(found[0]) if found else None


def find_ids(connection: Connection, address_keys: Collection[str]) -> dict[str, str]:
    """Map the normalised addresses that are mailboxes to our identifiers."""
    rows = _FIND_IDS.run(connection, address_keys)
    return {row.address_key: row.id for row in rows}


def find_by_id(connection: Connection, mailbox_id: str) -> Mailbox | None:
    """Find a mailbox by our identifier."""
    row = connection.execute(select(mailbox).where(mailbox.c.id == mailbox_id)).one_or_none()
    return None if row is None else _mailbox(row)


def list_mailboxes(connection: Connection) -> list[Mailbox]:
    """List every mailbox, by address."""
    return [
        _mailbox(row) for row in connection.execute(select(mailbox).order_by(mailbox.c.address_key))
    ]


def close_mailbox(connection: Connection, mailbox_id: str, *, at: datetime) -> None:
    """Close a mailbox: nothing more is deposited; its address is never given again."""
    connection.execute(update(mailbox).where(mailbox.c.id == mailbox_id).values(closed_at=at))


def set_client_certificate(connection: Connection, mailbox_id: str, *, pem: str) -> None:
    """Change for which key of its client a mailbox is written from now on."""
    connection.execute(
        update(mailbox).where(mailbox.c.id == mailbox_id).values(client_certificate=pem)
    )


def find_client_certificate(connection: Connection, address_key: str) -> str | None:
    """Find the certificate of a mailbox whose key only its client has."""
    found = _FIND_CLIENT_CERTIFICATE.run(connection, {"key": address_key})
    return found[0].client_certificate if found else None


def list_client_certificates(connection: Connection) -> list[tuple[str, str]]:
    """List the open mailboxes whose key only their client has: (identifier, certificate)."""
    rows = connection.execute(
        select(mailbox.c.id, mailbox.c.client_certificate).where(
            mailbox.c.client_certificate.is_not(None), mailbox.c.closed_at.is_(None)
        )
    )
    return [(row.id, row.client_certificate) for row in rows]


def set_quota(connection: Connection, mailbox_id: str, *, quota_octets: int) -> None:
    """Change how much a mailbox may hold."""
    connection.execute(
        update(mailbox).where(mailbox.c.id == mailbox_id).values(quota_octets=quota_octets)
    )


def grant(
    connection: Connection, *, mailbox_id: str, account_id: str, rights: frozenset[Right]
) -> None:
    """Give an account exactly *rights* on a mailbox; none of them takes all away."""
    connection.execute(
        delete(mailbox_right).where(
            mailbox_right.c.mailbox_id == mailbox_id, mailbox_right.c.account_id == account_id
        )
    )
    if rights:
        connection.execute(
            insert(mailbox_right),
            [
                {"mailbox_id": mailbox_id, "account_id": account_id, "name": right.value}
                for right in sorted(rights)
            ],
        )


def rights_of(connection: Connection, account_id: str) -> dict[str, frozenset[Right]]:
    """Map the normalised address of each mailbox an account may use to its rights."""
    rows = connection.execute(
        select(mailbox.c.address_key, mailbox_right.c.name)
        .join(mailbox, mailbox.c.id == mailbox_right.c.mailbox_id)
        .where(mailbox_right.c.account_id == account_id)
    )
    rights: dict[str, set[Right]] = {}
    for row in rows:
        rights.setdefault(row.address_key, set()).add(Right(row.name))
    return {key: frozenset(held) for key, held in rights.items()}


def rights_of_holder(connection: Connection, rpps: str) -> dict[str, frozenset[Right]]:
    """Map the personal mailboxes of a professional to what their holder may do: everything."""
    rows = connection.execute(
        select(mailbox.c.address_key).where(
            mailbox.c.rpps == rpps,
            mailbox.c.kind == MailboxKind.PER.value,
            mailbox.c.closed_at.is_(None),
        )
    )
    return {row.address_key: frozenset(Right) for row in rows}


def count_messages(connection: Connection, mailbox_id: str) -> tuple[int, int]:
    """Count (messages, unread ones of the inbox) in a mailbox."""
    unread = case((and_(deposit.c.folder == Folder.INBOX.value, ~deposit.c.seen), 1), else_=0)
    row = connection.execute(
        select(func.count(), func.coalesce(func.sum(unread), 0)).where(
            deposit.c.mailbox_id == mailbox_id
        )
    ).one()
    return int(row[0]), int(row[1])


def reserve(connection: Connection, mailbox_ids: Collection[str]) -> None:
    """Take hold of mailboxes until the transaction ends, before anything is deposited.

    All transactions take them in one order, so that letters which cross (A writes to B while B
    writes to A) never wait for each other. SQLite has one writer and needs none of it.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(
            select(mailbox.c.id)
            .where(mailbox.c.id.in_(mailbox_ids))
            .order_by(mailbox.c.id)
            .with_for_update(key_share=True)
        ).all()


def insert_deposit(connection: Connection, new: NewDeposit) -> None:
    """Deposit a message in a mailbox; the same message in the same role is deposited once."""
    there = select(deposit.c.uid).where(
        deposit.c.mailbox_id == new.mailbox_id,
        deposit.c.message_id == new.message_id,
        deposit.c.role == new.role,
    )
    if connection.execute(there).first() is None:
        insert_deposits(connection, [new])


def insert_deposits(connection: Connection, wanted: Iterable[NewDeposit]) -> None:
    """Deposit messages that are new in this transaction, so that none can be there already."""
    places = {(one.mailbox_id, one.message_id, one.role): one for one in wanted}
    by_mailbox: dict[str, list[NewDeposit]] = {}
    for one in places.values():
        by_mailbox.setdefault(one.mailbox_id, []).append(one)
    rows = []
    for mailbox_id, members in sorted(by_mailbox.items()):
        size = sum(_size(one) for one in members)
        taken = {"mailbox": mailbox_id, "count": len(members), "size": size}
        end = _TAKE_UIDS.run(connection, taken)[0].next_uid
        rows += [_row(one, uid=end - len(members) + n) for n, one in enumerate(members)]
    _DEPOSIT.run(connection, rows)


def _size(new: NewDeposit) -> int:
    return new.size_octets if new.own_body is None else new.own_body.size_octets


def _row(new: NewDeposit, *, uid: int) -> dict[str, object]:
    own = new.own_body
    return {
        "mailbox_id": new.mailbox_id,
        "uid": uid,
        "message_id": new.message_id,
        "role": new.role,
        "folder": new.folder.value,
        "seen": new.seen,
        "answered": False,
        "flagged": False,
        "deposited_at": new.at,
        "blob_ref": None if own is None else own.blob_ref,
        "summary": None if own is None else own.summary,
        "size_octets": None if own is None else own.size_octets,
    }


def list_deposits(
    connection: Connection,
    mailbox_id: str,
    *,
    folder: Folder | None,
    unread_only: bool,
    before_uid: int | None,
    limit: int,
) -> list[Listed]:
    """List what lies in a mailbox, newest first."""
    wanted = (
        select(deposit, mailbox.c.address, *(_named(message)))
        .join(message, message.c.id == deposit.c.message_id)
        .join(mailbox, mailbox.c.id == deposit.c.mailbox_id)
        .where(deposit.c.mailbox_id == mailbox_id)
        .order_by(deposit.c.uid.desc())
        .limit(limit)
    )
    if folder is not None:
        wanted = wanted.where(deposit.c.folder == folder.value)
    if unread_only:
        wanted = wanted.where(~deposit.c.seen)
    if before_uid is not None:
        wanted = wanted.where(deposit.c.uid < before_uid)
    return [_listed(row) for row in connection.execute(wanted)]


def deposits_of(
    connection: Connection, message_id: str, *, address_keys: Sequence[str]
) -> list[Deposit]:
    """Find where a message lies, among the mailboxes named."""
    rows = connection.execute(
        select(deposit, mailbox.c.address)
        .join(mailbox, mailbox.c.id == deposit.c.mailbox_id)
        .where(deposit.c.message_id == message_id, mailbox.c.address_key.in_(address_keys))
        .order_by(deposit.c.uid)
    )
    return [_deposit(row) for row in rows]


def mark_deposits(
    connection: Connection,
    *,
    mailbox_id: str,
    message_id: str,
    add: frozenset[Flag],
    remove: frozenset[Flag],
    folder: Folder | None,
) -> bool:
    """Change flags and folder of a message in a mailbox; tell whether it is there."""
    values: dict[str, Any] = {_FLAG_COLUMNS[flag].name: True for flag in add}
    values |= {_FLAG_COLUMNS[flag].name: False for flag in remove}
    if folder is not None:
        values["folder"] = folder.value
    here = and_(deposit.c.mailbox_id == mailbox_id, deposit.c.message_id == message_id)
    if not values:
        return connection.execute(select(deposit.c.uid).where(here)).first() is not None
    return connection.execute(update(deposit).where(here).values(**values)).rowcount > 0


def claim_receipt(
    connection: Connection, *, mailbox_id: str, message_id: str, at: datetime
) -> bool:
    """Take the right to answer with a read receipt; it is given once (RFC 8098, 2.1)."""
    changed = connection.execute(
        update(deposit)
        .where(
            deposit.c.mailbox_id == mailbox_id,
            deposit.c.message_id == message_id,
            deposit.c.role == RECEIVED,
            deposit.c.receipt_sent_at.is_(None),
        )
        .values(receipt_sent_at=at)
    )
    return changed.rowcount > 0


def delete_deposits(
    connection: Connection, *, mailbox_id: str, message_id: str, size_octets: int
) -> bool:
    """Take a message out of a mailbox; tell whether it was there.

    The body that only this mailbox had is left to the sweep.
    """
    removed = connection.execute(
        delete(deposit)
        .where(deposit.c.mailbox_id == mailbox_id, deposit.c.message_id == message_id)
        .returning(deposit.c.size_octets)
    ).all()
    if removed:
        freed = sum(size_octets if row[0] is None else row[0] for row in removed)
        connection.execute(
            update(mailbox)
            .where(mailbox.c.id == mailbox_id)
            .values(used_octets=mailbox.c.used_octets - freed)
        )
    return bool(removed)


def _named(table: Any) -> list[Any]:  # noqa: ANN401 -- columns of any table
    return [column.label(f"its_{column.name}") for column in table.c]


def _mailbox(row: Row[Any]) -> Mailbox:
    return Mailbox(
        id=row.id,
        address=row.address,
        kind=MailboxKind(row.kind),
        display_name=row.display_name,
        rpps=row.rpps,
        finess=row.finess,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        quota_octets=row.quota_octets,
        used_octets=row.used_octets,
        client_certificate=row.client_certificate,
    )


def _deposit(row: Row[Any]) -> Deposit:
    own_body = None
    if row.blob_ref is not None:
        own_body = OwnBody(blob_ref=row.blob_ref, summary=row.summary, size_octets=row.size_octets)
    flags = {flag for flag, column in _FLAG_COLUMNS.items() if getattr(row, column.name)}
    return Deposit(
        mailbox_id=row.mailbox_id,
        mailbox_address=row.address,
        message_id=row.message_id,
        folder=Folder(row.folder),
        flags=frozenset(flags),
        deposited_at=row.deposited_at,
        uid=row.uid,
        own_body=own_body,
    )


def _listed(row: Row[Any]) -> Listed:
    return Listed(deposit=_deposit(row), message=message_of(row, prefix="its_"))
