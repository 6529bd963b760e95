"""Keep the mailboxes that our own operator declares, and lay them over the national ones.

The national file knows a mailbox of ours a day late, and some never. What is declared here is in
every reading at once: routing, search, FHIR. Of an address that both know, the national file says
whose it is, and the declaration says everything else (kept off the liste rouge or on it, service,
description, rank); whoever is declared to hold it otherwise is a conflict, which is counted.

The overlay is rows of `directory_mailbox` that are part of every generation, so that readers need
not know of it (`tables.py`). It is laid again for the addresses declared when they change, and for
all when a generation comes into force.

Errors
    None of ours. Whether an address is in one of our domains is the caller's to know.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from directory.address import Domain, MailAddress
from directory.identifiers import NationalPersonId
from directory.index_sql import tables
from directory.index_sql.finding import find_live_number
from directory.index_sql.keys import mailbox_number, practitioner_number, stable_number
from directory.model import MailboxKind

BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredMailbox:
    """A mailbox as our operator describes it.

    Attributes:
        holder: The person who holds it, if one does.
        role_id: The situation it hangs on, if it hangs on one.
        organization_key: The structure it hangs on; empty if on none.
        is_closed: True if it was withdrawn: then nobody is shown it, even if the national file
            still lists it.
        source: Who declared it: `mailbox` (opened here) or `fhir`.
    """

    address: MailAddress
    kind: MailboxKind | str
    changed_at: datetime
    holder: NationalPersonId | None = None
    role_id: int | None = None
    organization_key: str = ""
    service: str = ""
    description: str = ""
    responsible: str = ""
    paperless: str = ""
    liste_rouge: bool = False
    rank: int | None = None
    is_closed: bool = False
    source: str = "mailbox"


def declare_mailbox(connection: Connection, declared: DeclaredMailbox) -> int:
    """Put a mailbox into the directory, or change it there; return the conflicts about its holder.

    Runs inside the caller's transaction, and is visible when that is.
    """
    table = tables.declared_mailbox
    key = declared.address.key
    connection.execute(delete(table).where(table.c.address_key == key))
    connection.execute(insert(table).values(_row(declared)))
    conflicts = lay_over(connection, [key])
    _touch_carriers(connection, declared)
    return conflicts


def _touch_carriers(connection: Connection, declared: DeclaredMailbox) -> None:
    """Note on what the mailbox hangs on that it changed: a withdrawn mailbox leaves no row."""
    box, role, person, place = (
        tables.mailbox.c,
        tables.role,
        tables.practitioner,
        tables.organization,
    )
    carriers = {
        (row.role_id, row.practitioner_id, row.organization_key)
        for row in connection.execute(
            select(box.role_id, box.practitioner_id, box.organization_key).where(
                box.address_key == declared.address.key, box.gone == tables.FOREVER
            )
        )
    }
    holder = practitioner_number(declared.holder) if declared.holder else None
    carriers.add((declared.role_id, holder, declared.organization_key))
    for role_id, number, key in carriers:
        if role_id is not None:
            change = update(role).where(role.c.id == role_id, role.c.gone == tables.FOREVER)
        elif number is not None:
            change = update(person).where(person.c.id == number, person.c.gone == tables.FOREVER)
        else:
            change = update(place).where(place.c.key == key, place.c.gone == tables.FOREVER)
        connection.execute(change.values(changed_at=declared.changed_at))


def withdraw_mailbox(connection: Connection, address: MailAddress, *, at: datetime) -> bool:
    """Take a declared mailbox out of the directory; say whether it was in.

    The national row of the address stays hidden from then on: an address is never given again.
    """
    declared = find_declared(connection, address)
    if declared is None or declared.is_closed:
        return False
    declare_mailbox(connection, replace(declared, is_closed=True, changed_at=at))
    return True


def find_declared(connection: Connection, address: MailAddress) -> DeclaredMailbox | None:
    """Find what was declared about an address, even if it was withdrawn since."""
    table = tables.declared_mailbox
    row = connection.execute(select(table).where(table.c.address_key == address.key)).first()
    return None if row is None else build_declared(row)


def list_declared(
    connection: Connection,
    *,
    domain: Domain | None = None,
    changed_since: datetime | None = None,
    after: str = "",
    limit: int = 1_000,
) -> list[DeclaredMailbox]:
    """List declared mailboxes in the order of their addresses, withdrawn ones too.

    Args:
        connection: To read from.
        domain: Only of this domain.
        changed_since: Only those declared or withdrawn at this instant or later.
        after: Key of the last address of the page before.
        limit: How many at the most.
    """
    table = tables.declared_mailbox
    query = select(table).where(table.c.address_key > after)
    if domain is not None:
        query = query.where(table.c.domain == str(domain))
    if changed_since is not None:
        query = query.where(table.c.changed_at >= changed_since)
    rows = connection.execute(query.order_by(table.c.address_key).limit(limit))
    return [build_declared(row) for row in rows]


def lay_over(
    connection: Connection, keys: Iterable[str] | None = None, *, generation: int | None = None
) -> int:
    """Lay declared mailboxes over the national ones; return the conflicts about holders.

    Args:
        connection: To write to, inside the caller's transaction.
        keys: Of the addresses that changed; all that are declared if `None`.
        generation: The one that is about to come into force, if not the one that is.
    """
    table = tables.declared_mailbox
    if generation is None:
        generation = find_live_number(connection) or tables.DECLARED
    wanted = connection.execute(select(table.c.address_key)).scalars() if keys is None else keys
    waiting = iter(list(wanted))
    conflicts = 0
    while batch := list(islice(waiting, BATCH)):
        conflicts += _lay_over(connection, batch, generation)
    return conflicts


def _lay_over(connection: Connection, keys: Sequence[str], generation: int) -> int:
    box, declared = tables.mailbox, tables.declared_mailbox
    of_these = box.c.address_key.in_(keys)
    connection.execute(delete(box).where(of_these, box.c.born == tables.DECLARED))
    national: dict[str, list[Any]] = {}
    for row in connection.execute(
        select(box).where(of_these, box.c.born <= generation, box.c.gone > generation)
    ):
        national.setdefault(row.address_key, []).append(row)
    connection.execute(update(box).where(of_these).values(masked=True))
    conflicts = 0
    rows: list[dict[str, object]] = []
    for one in connection.execute(select(declared).where(declared.c.address_key.in_(keys))):
        carriers = national.get(one.address_key, [])
        conflicts += bool(carriers) and not _is_same_carrier(one, carriers)
        if not one.is_closed:
            rows += [_overlay(one, carrier) for carrier in carriers or [None]]
    if rows:
        connection.execute(insert(box), rows)
    return conflicts


def _is_same_carrier(declared: Any, carriers: Sequence[Any]) -> bool:  # noqa: ANN401 - rows
    """Tell whether the national file hangs the address on who was declared, among others."""
    person = _person(declared)
    if person is not None:
        return any(row.practitioner_id == person for row in carriers)
    return any(row.organization_key == declared.organization_key for row in carriers)


def _overlay(declared: Any, national: Any | None) -> dict[str, object]:  # noqa: ANN401 - rows
    """Make the row that readers see: the national carrier, the declared rest."""
    if national is None:
        person, place = _person(declared), declared.organization_key or None
        carrier = {
            "id": mailbox_number(declared.address_key, person, place),
            "practitioner_id": person,
            "role_id": declared.role_id,
            "organization_key": place,
        }
    else:
        names = ("id", "practitioner_id", "role_id", "organization_key")
        carrier = {name: getattr(national, name) for name in names}
    same = ("address_key", "address", "domain", "kind", "service", "description", "responsible")
    return {
        **carrier,
        **{name: getattr(declared, name) for name in same},
        "born": tables.DECLARED,
        "gone": tables.FOREVER,
        "changed_at": declared.changed_at,
        "digest": stable_number(*(str(value) for value in declared)),
        "paperless": declared.paperless or (national.paperless if national else ""),
        "liste_rouge": declared.liste_rouge,
        "rank": declared.rank,
        "masked": False,
    }


def _person(declared: Any) -> int | None:  # noqa: ANN401 - a row
    if not declared.national_id:
        return None
    return practitioner_number(NationalPersonId(declared.national_id))


def _row(declared: DeclaredMailbox) -> dict[str, object]:
    return {
        "address_key": declared.address.key,
        "address": str(declared.address),
        "domain": str(declared.address.domain),
        "kind": str(declared.kind),
        "national_id": str(declared.holder or ""),
        "role_id": declared.role_id,
        "organization_key": declared.organization_key,
        "service": declared.service,
        "description": declared.description,
        "responsible": declared.responsible,
        "paperless": declared.paperless,
        "liste_rouge": declared.liste_rouge,
        "rank": declared.rank,
        "is_closed": declared.is_closed,
        "source": declared.source,
        "changed_at": declared.changed_at,
    }


def build_declared(row: Any) -> DeclaredMailbox:  # noqa: ANN401 - a row
    """Turn a row of `directory_declared_mailbox` into what was declared."""
    return DeclaredMailbox(
        address=MailAddress.parse(row.address),
        kind=MailboxKind.of(row.kind),
        holder=NationalPersonId(row.national_id) if row.national_id else None,
        role_id=row.role_id,
        organization_key=row.organization_key,
        service=row.service,
        description=row.description,
        responsible=row.responsible,
        paperless=row.paperless,
        liste_rouge=row.liste_rouge,
        rank=row.rank,
        is_closed=row.is_closed,
        source=row.source,
        changed_at=row.changed_at,
    )
