"""Apply a FHIR PATCH to the mailboxes that hang on one resource, inside the caller's transaction.

What is written are declarations (`directory.index_sql.declared`), so that readers see them as soon
as the transaction is committed, and the national rows stay as they came. An address that the
national file hangs on several carriers is one mailbox: withdrawn from one, it is withdrawn.

Errors
    Those of `directory.fhir.patching`, and `ResourceAbsentError`; nothing is written then.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, or_, select

from directory.address import MailAddress
from directory.fhir.errors import ResourceAbsentError
from directory.fhir.patch_reading import Operation
from directory.fhir.patching import PatchResult, Rules, apply_patch
from directory.fhir.records import MailboxRecord, OrganizationRecord, Record
from directory.identifiers import NationalPersonId
from directory.index_sql import tables
from directory.index_sql.declared import DeclaredMailbox, declare_mailbox
from directory.index_sql.fhir_conditions import STRANGER, TABLES, Reader, Scope
from directory.index_sql.fhir_records import load_records
from directory.index_sql.finding import find_live_number
from directory.model import MailboxKind

SOURCE: Final = "fhir"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """Who sends a patch.

    Attributes:
        may_publish: Whether they may publish an address.
        reader: What they see; what they may publish is in it.
    """

    may_publish: Callable[[MailAddress], bool]
    reader: Reader = STRANGER


@dataclass(frozen=True, slots=True, kw_only=True)
class Patched:
    """What became of a patch: the resource now, and what was changed."""

    record: Record
    result: PatchResult


@dataclass(frozen=True, slots=True, kw_only=True)
class _Carrier:
    holder: NationalPersonId | None
    role_id: int | None
    organization_key: str
    is_same: Any


def patch(
    connection: Connection,
    resource: str,
    number: int,
    operations: Iterable[Operation],
    *,
    publisher: Publisher,
    at: datetime,
) -> Patched:
    """Apply the operations to a resource.

    Raises:
        ResourceAbsentError: There is no such resource in force, or it was closed.
        PatchRefusedError: A rule forbids it.
        MailboxForeignError: The publisher may not publish one of the addresses.
        MailboxAbsentError: An operation names a mailbox that is not there.
        MailboxDuplicateError: An address is inserted that hangs elsewhere, or here.
    """
    generation = find_live_number(connection)
    if generation is None:
        raise ResourceAbsentError
    scope = Scope(number=generation, reader=publisher.reader)
    record = load_records(connection, resource, [number], scope).get(number)
    carrier = _find_carrier(connection, resource, number, scope)
    if record is None or carrier is None:
        raise ResourceAbsentError
    if isinstance(record, OrganizationRecord) and not record.active:
        raise ResourceAbsentError
    result = apply_patch(
        operations,
        carrier=resource,
        mailboxes=_mailboxes_of(record),
        rules=Rules(
            may_publish=publisher.may_publish,
            is_taken=lambda address: _is_elsewhere(connection, address, carrier, generation),
        ),
    )
    for mailbox in result.declared:
        declare_mailbox(connection, _declared(mailbox, carrier, at=at))
    before = {MailAddress.parse(box.address).key: box for box in _mailboxes_of(record)}
    for address in result.withdrawn:
        closed = _declared(before[address.key], carrier, at=at, is_closed=True)
        declare_mailbox(connection, closed)
    after = load_records(connection, resource, [number], scope)
    return Patched(record=after[number], result=result)


def _mailboxes_of(record: Record) -> tuple[MailboxRecord, ...]:
    return getattr(record, "mailboxes", ())


def _find_carrier(
    connection: Connection, resource: str, number: int, scope: Scope
) -> _Carrier | None:
    """Find what a mailbox on this resource hangs on."""
    table = TABLES[resource]
    row = connection.execute(select(table).where(table.c.id == number, scope.rows(table))).first()
    if row is None:
        return None
    box = tables.mailbox.c
    match resource:
        case "Organization":
            hangs = and_(box.organization_key == row.key, box.practitioner_id.is_(None))
            return _Carrier(holder=None, role_id=None, organization_key=row.key, is_same=hangs)
        case "Practitioner":
            hangs = and_(box.practitioner_id == number, box.role_id.is_(None))
            holder = NationalPersonId(row.national_id)
            return _Carrier(holder=holder, role_id=None, organization_key="", is_same=hangs)
        case _:
            person = tables.practitioner
            national_id = connection.execute(
                select(person.c.national_id).where(
                    person.c.id == row.practitioner_id, scope.rows(person)
                )
            ).scalar()
            return _Carrier(
                holder=NationalPersonId(national_id) if national_id else None,
                role_id=number,
                organization_key=row.organization_key,
                is_same=box.role_id == number,
            )


def _is_elsewhere(
    connection: Connection, address: MailAddress, carrier: _Carrier, generation: int
) -> bool:
    """Tell whether an address hangs on something else, withdrawn or not: it is given once."""
    box, declared = tables.mailbox, tables.declared_mailbox
    national = select(box.c.id).where(
        box.c.address_key == address.key,
        box.c.born <= generation,
        box.c.gone > generation,
        ~carrier.is_same,
    )
    if connection.execute(national.limit(1)).first() is not None:
        return True
    other = select(declared.c.address_key).where(
        declared.c.address_key == address.key,
        or_(
            declared.c.national_id != str(carrier.holder or ""),
            declared.c.organization_key != carrier.organization_key,
        ),
    )
    return connection.execute(other).first() is not None


def _declared(
    mailbox: MailboxRecord, carrier: _Carrier, *, at: datetime, is_closed: bool = False
) -> DeclaredMailbox:
    return DeclaredMailbox(
        address=MailAddress.parse(mailbox.address),
        kind=MailboxKind.of(mailbox.kind),
        changed_at=at,
        holder=carrier.holder,
        role_id=carrier.role_id,
        organization_key=carrier.organization_key,
        service=mailbox.service,
        description=mailbox.description,
        responsible=mailbox.responsible,
        paperless=mailbox.paperless,
        liste_rouge=mailbox.liste_rouge,
        rank=mailbox.rank,
        is_closed=is_closed,
        source=SOURCE,
    )
