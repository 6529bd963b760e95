"""Answer the questions of routing and of the administrator: one look-up each.

Each answer comes from the generation in force when it is given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.sql.selectable import ScalarSelect

from directory.address import Domain, MailAddress
from directory.extraction import ExtractionKind
from directory.findings import Finding, Severity
from directory.identifiers import NationalPersonId
from directory.index_sql import tables
from directory.index_sql.keys import practitioner_number
from directory.index_sql.prepared import Prepared
from directory.index_sql.rows import (
    Which,
    build_organization,
    find_labels,
    load_mailboxes,
    load_practitioners,
)
from directory.model import MailboxEntry, Organization, Practitioner
from directory.search import prefer
from directory.sync import Counts, Generation, SourceRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryStats:
    """What the directory holds now.

    Attributes:
        generation: The one in force; `None` before the first import.
        mailboxes_by_kind: Number of published mailboxes by national code.
        declared: Number of mailboxes that our operator declares.
        certificates: Number of certificates of mailboxes and domains.
    """

    generation: Generation | None
    mailboxes_by_kind: Mapping[str, int]
    declared: int
    certificates: int


def live_number() -> ScalarSelect[int]:
    """Return the number of the generation in force, as a part of a query."""
    table = tables.generation
    # Declared mailboxes are there before the first generation is.
    number = func.coalesce(func.max(table.c.number), tables.DECLARED)
    return select(number).where(table.c.state == "live").scalar_subquery()


_HAS_MAILBOX = Prepared(
    select(tables.mailbox.c.id)
    .where(
        tables.in_force(tables.mailbox, live_number()),
        tables.mailbox.c.address_key == bindparam("key"),
    )
    .limit(1)
)


def find_live_number(connection: Connection) -> int | None:
    """Return the number of the generation in force."""
    number = connection.execute(select(live_number())).scalar_one()
    return number or None


def find_live_generation(connection: Connection) -> Generation | None:
    """Return the generation in force, with its provenance."""
    table = tables.generation
    row = connection.execute(select(table).where(table.c.state == "live")).first()
    return None if row is None else _build_generation(row)


def list_generations(connection: Connection, *, limit: int = 20) -> list[tuple[str, Generation]]:
    """List the last generations with their states, youngest first; their people may be erased."""
    table = tables.generation
    query = select(table).order_by(table.c.number.desc()).limit(limit)
    return [(row.state, _build_generation(row)) for row in connection.execute(query)]


def find_mailbox(
    connection: Connection, address: MailAddress, *, published_only: bool = False
) -> MailboxEntry | None:
    """Find a mailbox by its address, with its holder.

    Args:
        connection: To read from.
        address: The whole address; case does not count.
        published_only: Leave out the liste rouge. Routing must not: mail to a hidden mailbox is
            delivered. Whatever shows the answer to somebody must.
    """
    table = tables.mailbox
    query = (
        select(table)
        .where(tables.in_force(table, live_number()), table.c.address_key == address.key)
        .order_by(table.c.id)
        .limit(1)
    )
    if published_only:
        query = query.where(table.c.liste_rouge.is_(False))
    row = connection.execute(query).first()
    if row is None:
        return None
    generation = find_live_number(connection) or tables.DECLARED
    return load_mailboxes(connection, generation, [row])[0]


def has_mailbox(connection: Connection, address: MailAddress) -> bool:
    """Say whether the directory knows a mailbox; the question that routing asks each time."""
    return bool(_HAS_MAILBOX.run(connection, {"key": address.key}))


def is_domain_known(connection: Connection, domain: Domain) -> bool:
    """Say whether the directory holds any mailbox of exactly this domain."""
    table = tables.mailbox
    query = (
        select(table.c.id)
        .where(tables.in_force(table, live_number()), table.c.domain == str(domain))
        .limit(1)
    )
    return connection.execute(query).first() is not None


def find_practitioner(connection: Connection, national_id: NationalPersonId) -> Practitioner | None:
    """Find a person by the national identifier, with roles and skills."""
    generation = find_live_number(connection)
    if generation is None:
        return None
    table = tables.practitioner
    number = practitioner_number(national_id)
    people = connection.execute(
        select(table).where(tables.in_force(table, generation), table.c.id == number)
    ).all()
    found = load_practitioners(connection, generation, people, which=Which([number]))
    return found.get(number)


def find_organization(connection: Connection, key: str) -> Organization | None:
    """Find a structure by its key: a national structure identifier, as a rule."""
    table = tables.organization
    query = select(table).where(tables.in_force(table, live_number()), table.c.key == key)
    row = connection.execute(query).first()
    if row is None:
        return None
    return build_organization(
        row, find_labels(connection, [row.sector, row.category, row.legal_status])
    )


def list_mailboxes_of(
    connection: Connection, holder: NationalPersonId | str, *, published_only: bool = True
) -> list[MailboxEntry]:
    """List the mailboxes of a person, or of a structure by its key; the preferred one first."""
    generation = find_live_number(connection)
    if generation is None:
        return []
    table = tables.mailbox
    held = (
        table.c.practitioner_id == practitioner_number(holder)
        if isinstance(holder, NationalPersonId)
        else table.c.organization_key == holder
    )
    query = select(table).where(tables.in_force(table, generation), held).order_by(table.c.id)
    mailboxes = load_mailboxes(connection, generation, connection.execute(query).all())
    return prefer(mailboxes) if published_only else mailboxes


def stats(connection: Connection) -> DirectoryStats:
    """Count what the directory holds now; counts all mailboxes, so not for each request."""
    table = tables.mailbox
    by_kind = connection.execute(
        select(table.c.kind, func.count().label("number"))
        .where(tables.in_force(table, live_number()), table.c.liste_rouge.is_(False))
        .group_by(table.c.kind)
        .order_by(table.c.kind)
    ).all()
    certificates = connection.execute(select(func.count()).select_from(tables.certificate))
    ours = tables.declared_mailbox
    declared = connection.execute(
        select(func.count()).select_from(ours).where(ours.c.is_closed.is_(False))
    )
    return DirectoryStats(
        declared=declared.scalar_one(),
        generation=find_live_generation(connection),
        mailboxes_by_kind={row.kind: row.number for row in by_kind},
        certificates=certificates.scalar_one(),
    )


def _build_generation(row: Any) -> Generation:  # noqa: ANN401 - a row of directory_generation
    sources = tuple(
        SourceRecord(**{**source, "kind": ExtractionKind(source["kind"])}) for source in row.sources
    )
    return Generation(
        number=row.number,
        loaded_at=row.loaded_at,
        duration=timedelta(milliseconds=row.duration_ms),
        counts=Counts(**row.counts),
        sources=sources,
        findings=tuple(
            Finding(**{**finding, "severity": Severity(finding["severity"])})
            for finding in row.findings
        ),
    )
