"""Load what a page of FHIR resources says: one query for each kind of row, however long the page.

A mailbox of the liste rouge is loaded only for who manages it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from directory.fhir import vocabulary
from directory.fhir.records import (
    MailboxRecord,
    OrganizationRecord,
    PlaceRecord,
    PractitionerRecord,
    Qualification,
    Record,
    RoleRecord,
)
from directory.index_sql import tables
from directory.index_sql.fhir_conditions import CARRIER, Scope, carried
from directory.index_sql.rows import Labels, coded, find_labels
from directory.model import Coded

STEP: Final = 500
"""Identifiers in one query: fewer than any engine takes."""

AnyRow = Row[Any]


def load_records(
    connection: Connection, resource: str, ids: Collection[int], scope: Scope
) -> dict[int, Record]:
    """Load resources of a type by their numbers; those that the reader does not see are missing."""
    found: dict[int, Record] = {}
    listed = sorted(ids)
    for start in range(0, len(listed), STEP):
        found |= _LOADERS[resource](connection, listed[start : start + STEP], scope)
    return found


def _practitioners(
    connection: Connection, ids: list[int], scope: Scope
) -> dict[int, PractitionerRecord]:
    table, skill, role = tables.practitioner, tables.skill, tables.role
    people = connection.execute(select(table).where(table.c.id.in_(ids), scope.rows(table))).all()
    skills = _grouped(
        connection.execute(
            select(skill.c.practitioner_id, skill.c.kind, skill.c.code)
            .where(skill.c.practitioner_id.in_(ids), scope.rows(skill))
            .order_by(skill.c.practitioner_id, skill.c.code)
        ),
        "practitioner_id",
    )
    roles = _grouped(
        connection.execute(
            select(role.c.practitioner_id, role.c.profession, role.c.category)
            .where(role.c.practitioner_id.in_(ids), scope.rows(role), role.c.profession != "")
            .order_by(role.c.practitioner_id, role.c.profession, role.c.category)
            .distinct()
        ),
        "practitioner_id",
    )
    mailboxes = _mailboxes(connection, "Practitioner", ids, scope)
    codes = {row.code for rows in skills.values() for row in rows}
    codes |= {code for row in people for code in (row.profession, row.category)}
    codes |= {one.profession for rows in roles.values() for one in rows}
    codes |= {one.category for rows in roles.values() for one in rows}
    codes |= {row.kind for rows in skills.values() for row in rows}
    labels = find_labels(connection, codes)
    return {
        row.id: PractitionerRecord(
            id=str(row.id),
            changed_at=_latest(row.changed_at, mailboxes[row.id]),
            national_id=row.national_id,
            family=row.family,
            given=row.given,
            civility=row.civility,
            title=row.title,
            qualifications=_qualifications(row, roles[row.id], skills[row.id], labels),
            mailboxes=mailboxes[row.id],
        )
        for row in people
    }


def _qualifications(
    person: AnyRow, roles: Iterable[AnyRow], skills: Iterable[AnyRow], labels: Labels
) -> tuple[Qualification, ...]:
    pairs = [(person.profession, person.category), *((r.profession, r.category) for r in roles)]
    professions = [
        Qualification(
            code=_code("profession", profession, labels),
            code_system=vocabulary.profession_system(profession),
            kind=coded("category", category, labels),
            kind_system=vocabulary.CATEGORY,
        )
        for profession, category in dict.fromkeys(pairs)
        if profession
    ]
    known = [
        Qualification(
            code=_code("skill", row.code, labels),
            code_system=vocabulary.skill_system(row.kind),
            kind=coded("skill-kind", row.kind, labels),
            kind_system=vocabulary.SKILL_KIND,
        )
        for row in skills
    ]
    return (*professions, *known)


def _roles(connection: Connection, ids: list[int], scope: Scope) -> dict[int, RoleRecord]:
    role, person, place = tables.role, tables.practitioner, tables.organization
    query = (
        select(
            role,
            person.c.family,
            person.c.given,
            person.c.title.label("person_title"),
            place.c.id.label("place_id"),
            place.c.name.label("place_name"),
            place.c.trade_name.label("place_trade_name"),
        )
        .outerjoin(person, (person.c.id == role.c.practitioner_id) & scope.rows(person))
        .outerjoin(
            place,
            (place.c.key == role.c.organization_key)
            & (role.c.organization_key != "")
            & scope.rows(place),
        )
        .where(role.c.id.in_(ids), scope.rows(role))
    )
    rows = connection.execute(query).all()
    mailboxes = _mailboxes(
        connection, "PractitionerRole", ids, scope, holders={row.practitioner_id for row in rows}
    )
    labels = find_labels(
        connection, {code for row in rows for code in (row.activity, row.mode, row.function)}
    )
    return {
        row.id: RoleRecord(
            id=str(row.id),
            changed_at=_latest(row.changed_at, mailboxes[row.id]),
            practitioner_id=str(row.practitioner_id),
            practitioner_name=" ".join(
                word for word in (row.person_title, row.given, row.family) if word
            ),
            organization_id="" if row.place_id is None else str(row.place_id),
            organization_name=row.place_name or row.place_trade_name or "",
            codes=tuple(
                (system, _code(name, code, labels))
                for system, name, code in (
                    (vocabulary.ACTIVITY, "activity", row.activity),
                    (vocabulary.MODE, "mode", row.mode),
                    (vocabulary.FUNCTION, "function", row.function),
                )
                if code
            ),
            mailboxes=mailboxes[row.id],
        )
        for row in rows
    }


def _organizations(
    connection: Connection, ids: list[int], scope: Scope
) -> dict[int, OrganizationRecord]:
    table = tables.organization
    rows = connection.execute(select(table).where(table.c.id.in_(ids), scope.rows(table))).all()
    keys = [row.key for row in rows]
    parents = {row.parent_key for row in rows if row.parent_key}
    parent_ids: dict[str, int] = {}
    if parents:
        query = select(table.c.key, table.c.id).where(
            table.c.key.in_(sorted(parents)), scope.rows(table)
        )
        parent_ids = {row.key: row.id for row in connection.execute(query)}
    mailboxes = _mailboxes(connection, "Organization", keys, scope)
    codes = {code for row in rows for code in (row.sector, row.category, row.legal_status)}
    labels = find_labels(connection, codes)
    return {
        row.id: OrganizationRecord(
            id=str(row.id),
            changed_at=_latest(row.changed_at, mailboxes[row.key]),
            name=row.name,
            trade_name=row.trade_name,
            active=row.is_active,
            identifiers=place_identifiers(row),
            is_site={"EG": True, "EJ": False}.get(row.kind),
            types=_types(row, labels),
            phones=tuple(phone for phone in (row.phone, row.phone2) if phone),
            fax=row.fax,
            place=_place(row),
            parent_id=str(parent_ids.get(row.parent_key, "")),
            mailboxes=mailboxes[row.key],
        )
        for row in rows
    }


def place_identifiers(row: AnyRow) -> tuple[tuple[str, str, str], ...]:
    """List the identifiers of a structure: system, type and value."""
    found: list[tuple[str, str, str]] = []
    if row.finess:
        found.append((vocabulary.STRUCTURE, "IDNST", "1" + row.finess))
        found.append((vocabulary.FINESS, "FINEJ" if row.kind == "EJ" else "FINEG", row.finess))
    elif row.siret:
        found.append((vocabulary.STRUCTURE, "IDNST", "3" + row.siret))
    if row.siren:
        found.append((vocabulary.SIRENE, "SIREN", row.siren))
    if row.siret:
        found.append((vocabulary.SIRENE, "SIRET", row.siret))
    if row.technical_id:
        found.append((vocabulary.RPPS_RANK, "RPPSRG", row.technical_id))
    return tuple(found)


def _types(row: AnyRow, labels: Labels) -> tuple[tuple[str, str, Coded], ...]:
    return tuple(
        (flag, system, _code(name, code, labels))
        for flag, system, name, code in (
            ("secteurActiviteRASS", vocabulary.SECTOR, "sector", row.sector),
            ("categorieEtablissementRASS", vocabulary.FINESS_CATEGORY, "category", row.category),
            ("statutJuridique", vocabulary.LEGAL_STATUS, "legal-status", row.legal_status),
            ("activiteINSEE", vocabulary.APE, "ape", row.ape),
        )
        if code
    )


def _place(row: AnyRow) -> PlaceRecord:
    is_known = row.latitude is not None and row.longitude is not None
    return PlaceRecord(
        street=row.street,
        complement=row.complement,
        postcode=row.postcode,
        city=row.city,
        commune=row.commune,
        country=row.country,
        position=(row.latitude, row.longitude) if is_known else None,
    )


def _mailboxes(
    connection: Connection,
    resource: str,
    carriers: Collection[Any],
    scope: Scope,
    *,
    holders: Collection[int] = (),
) -> Mapping[Any, tuple[MailboxRecord, ...]]:
    """Load the mailboxes that the reader sees, by carrier, the preferred one first."""
    table = tables.mailbox
    column = CARRIER[resource][0]
    query = select(table).where(scope.mailboxes(table), carried(resource, table))
    if resource == "PractitionerRole":
        query = query.where(table.c.practitioner_id.in_(sorted(holders)))
    else:
        query = query.where(table.c[column].in_(sorted(carriers)))
    found: defaultdict[Any, list[AnyRow]] = defaultdict(list)
    for row in connection.execute(query):
        found[getattr(row, column)].append(row)
    kept: defaultdict[Any, tuple[MailboxRecord, ...]] = defaultdict(tuple)
    for carrier, rows in found.items():
        rows.sort(key=lambda row: (row.rank is None, row.rank or 0, row.address_key))
        kept[carrier] = tuple(_mailbox(row) for row in rows)
    return kept


def _latest(changed_at: datetime, mailboxes: Iterable[MailboxRecord]) -> datetime:
    return max([changed_at, *(box.changed_at for box in mailboxes if box.changed_at)])


def _mailbox(row: AnyRow) -> MailboxRecord:
    return MailboxRecord(
        address=row.address,
        kind=row.kind,
        service=row.service,
        description=row.description,
        # National text of who answers for a mailbox is not public; what we publish ourselves is.
        responsible=row.responsible if row.born == tables.DECLARED else "",
        liste_rouge=row.liste_rouge,
        rank=row.rank,
        paperless=row.paperless,
        changed_at=row.changed_at,
    )


def _grouped(rows: Iterable[AnyRow], name: str) -> Mapping[int, list[AnyRow]]:
    found: defaultdict[int, list[AnyRow]] = defaultdict(list)
    for row in rows:
        found[getattr(row, name)].append(row)
    return found


def _code(name: str, code: str, labels: Labels) -> Coded:
    return Coded(code=code, label=labels.get((name, code), ""))


_LOADERS: Final[Mapping[str, Any]] = {
    "Organization": _organizations,
    "Practitioner": _practitioners,
    "PractitionerRole": _roles,
}
