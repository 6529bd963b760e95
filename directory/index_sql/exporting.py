"""Write the published mailboxes of some domains as the national directory publishes them.

The file is read by our own import as the same mailboxes, and writing those again gives the same
octets: one line for each address and carrier, in the order of addresses, without date or number of
anything. The liste rouge and what was withdrawn are not in it.

Sources
    Header and quirks of `Extraction_Correspondance_MSSante` as published in 2026: separator `|`, no
    quoting, UTF-8, one separator at the end of a line.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, select

from directory.address import Domain
from directory.columns import MAILBOX
from directory.identifiers import NationalPersonId
from directory.index_sql import tables
from directory.index_sql.finding import find_live_number
from directory.index_sql.rows import load_mailboxes
from directory.model import Coded, MailboxEntry, Organization, Practitioner

BATCH: Final = 500
_UNFIT: Final = re.compile(r"[|\x00-\x1f\x7f\x85\u2028\u2029]+")


def iter_extraction(connection: Connection, *, domains: Collection[Domain]) -> Iterator[str]:
    """Write the lines of the file, header first, with their ends."""
    yield _line(MAILBOX)
    generation = find_live_number(connection) or tables.DECLARED
    box, declared = tables.mailbox, tables.declared_mailbox
    last = ("", -(2**63))
    while True:
        after_last = (box.c.address_key > last[0]) | (
            (box.c.address_key == last[0]) & (box.c.id > last[1])
        )
        rows = connection.execute(
            select(box)
            .where(
                tables.in_force(box, generation),
                box.c.liste_rouge.is_(False),
                box.c.domain.in_(sorted(map(str, domains))),
                after_last,
            )
            .order_by(box.c.address_key, box.c.id)
            .limit(BATCH)
        ).all()
        if not rows:
            return
        keys = [row.address_key for row in rows]
        ours = {
            row.address_key: row
            for row in connection.execute(select(declared).where(declared.c.address_key.in_(keys)))
        }
        entries = load_mailboxes(connection, generation, rows)
        for row, entry in zip(rows, entries, strict=True):
            yield _line(_fields(_complete(entry, ours.get(row.address_key))))
        last = (rows[-1].address_key, rows[-1].id)


def _complete(entry: MailboxEntry, declared: Any | None) -> MailboxEntry:  # noqa: ANN401 - a row
    """Name the carrier that was declared, if the directory does not know it by any name."""
    if declared is None:
        return entry
    if entry.practitioner is None and declared.national_id:
        holder = NationalPersonId(declared.national_id)
        entry = replace(entry, practitioner=Practitioner(national_id=holder, family="", given=""))
    if entry.organization is None and declared.organization_key:
        key = declared.organization_key
        entry = replace(entry, organization=Organization(key=key, name="", technical_id=key))
    return entry


def _fields(entry: MailboxEntry) -> list[str]:
    return [
        str(entry.kind),
        str(entry.address),
        *_person_number(entry.practitioner),
        *_place_number(entry.organization),
        entry.service,
        *_person(entry.practitioner),
        entry.paperless,
        *_place(entry.organization),
    ]


def _person_number(person: Practitioner | None) -> tuple[str, str, str]:
    if person is None:
        return "", "", ""
    return person.national_id[0], person.national_id[1:], str(person.national_id)


def _place_number(place: Organization | None) -> tuple[str, str]:
    """Give the type of an identifier, and it."""
    if place is None:
        return "", ""
    if place.finess is not None:
        return "1", str(place.finess)
    if place.siret is not None:
        return "3", str(place.siret)
    if place.siren is not None:
        return "2", str(place.siren)
    key = place.technical_id or place.key
    is_national = key == place.key and key[:1] in ("1", "2", "3") and key[1:].isalnum()
    return (key[0], key[1:]) if is_national and len(key) in (10, 15) else ("", key)


def _person(person: Practitioner | None) -> tuple[str, ...]:
    """Title, names, category and profession; skills are told by the file of people."""
    if person is None:
        return ("",) * 9
    return (
        person.title,
        person.family,
        person.given,
        *_coded(person.category),
        *_coded(person.profession),
        "",
        "",
    )


def _coded(value: Coded | None) -> tuple[str, str]:
    return ("", "") if value is None else (value.code, value.label)


def _place(place: Organization | None) -> tuple[str, ...]:
    if place is None:
        return ("",) * 13
    address = place.address
    last = " ".join(filter(None, (address.postcode, address.city)))
    return (
        place.name,
        place.trade_name,
        address.complement,
        "",
        "",
        "",
        "",
        address.street,
        "",
        last,
        address.postcode,
        address.department,
        address.country,
    )


def _line(fields: Collection[str]) -> str:
    return "".join(f"{_UNFIT.sub(' ', field)}|" for field in fields) + "\n"
