"""Turn rows into the values of `directory.model`, a whole set at a time.

Codes are stored without their labels; the labels of one answer are fetched together.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, select

from directory.address import MailAddress
from directory.identifiers import FINESS, SIREN, SIRET, NationalPersonId
from directory.index_sql import tables
from directory.model import (
    Coded,
    FinessKind,
    MailboxEntry,
    MailboxKind,
    Organization,
    Position,
    PostalAddress,
    PracticeRole,
    Practitioner,
    Skill,
)

STANDARD_ACTIVITY: Final = "GENR01"
"""TRE_R22: ordinary care; such roles come first."""

Labels = Mapping[tuple[str, str], str]
AnyRow = Any
"""A row with the columns of its table, of SQLAlchemy or of a prepared statement."""


def find_labels(connection: Connection, codes: Iterable[str]) -> Labels:
    """Fetch the labels of codes, by list and code."""
    wanted = sorted({code for code in codes if code})
    if not wanted:
        return {}
    table = tables.code
    query = select(table.c.list, table.c.code, table.c.label).where(table.c.code.in_(wanted))
    return {(row.list, row.code): row.label for row in connection.execute(query)}


def load_practitioners(
    connection: Connection,
    generation: int,
    people: Sequence[AnyRow],
    *,
    which: "Which",
    labels: Labels | None = None,
) -> dict[int, Practitioner]:
    """Complete rows of people with their roles and skills.

    Args:
        connection: To read from.
        generation: To read in.
        people: Rows of `directory_practitioner`.
        which: The condition that selects the same people in the other tables.
        labels: All labels, when the caller has them; otherwise they are fetched.
    """
    skills = connection.execute(which.select(tables.skill, generation)).all()
    roles = connection.execute(which.select(tables.role, generation)).all()
    keys = sorted({row.organization_key for row in roles if row.organization_key})
    places = connection.execute(
        select(tables.organization).where(
            tables.in_force(tables.organization, generation), tables.organization.c.key.in_(keys)
        )
    ).all()
    if labels is None:
        labels = find_labels(connection, codes_in(people, skills, roles, places))
    organizations = {row.key: build_organization(row, labels) for row in places}
    skills_of: dict[int, list[Skill]] = {}
    for row in skills:
        skill = build_skill(row.kind, row.code, labels)
        skills_of.setdefault(row.practitioner_id, []).append(skill)
    roles_of: dict[int, list[PracticeRole]] = {}
    for row in sorted(roles, key=lambda r: r.activity != STANDARD_ACTIVITY):
        roles_of.setdefault(row.practitioner_id, []).append(
            build_role(row, labels, organizations.get(row.organization_key))
        )
    return {
        row.id: build_practitioner(
            row, labels, skills=skills_of.get(row.id, ()), roles=roles_of.get(row.id, ())
        )
        for row in people
    }


class Which:
    """Selects the rows of some people: a list of numbers, or all from one to another."""

    def __init__(self, numbers: Sequence[int], *, as_range: bool = False) -> None:
        self.numbers = numbers
        self.as_range = as_range

    def condition(self, column: ColumnElement[int]) -> ColumnElement[bool]:
        """Return the condition on a column that holds the number of a person."""
        if self.as_range:
            return column.between(self.numbers[0], self.numbers[-1])
        return column.in_(self.numbers)

    def select(self, table: Any, generation: int) -> Select[Any]:  # noqa: ANN401 - any table of ours
        """Select the rows of these people from a table."""
        return select(table).where(
            tables.in_force(table, generation), self.condition(table.c.practitioner_id)
        )


def build_practitioner(
    row: AnyRow,
    labels: Labels,
    *,
    skills: Iterable[Skill] = (),
    roles: Iterable[PracticeRole] = (),
) -> Practitioner:
    """Make a person of a row of `directory_practitioner`."""
    return Practitioner(
        national_id=NationalPersonId(row.national_id),
        family=row.family,
        given=row.given,
        civility=row.civility,
        title=row.title,
        profession=coded("profession", row.profession, labels),
        category=coded("category", row.category, labels),
        skills=tuple(skills),
        roles=tuple(roles),
    )


def build_organization(row: AnyRow, labels: Labels) -> Organization:
    """Make a structure of a row of `directory_organization`."""
    return Organization(
        key=row.key,
        name=row.name,
        trade_name=row.trade_name,
        finess=FINESS(row.finess) if row.finess else None,
        finess_legal=FINESS(row.finess_legal) if row.finess_legal else None,
        siret=SIRET(row.siret) if row.siret else None,
        siren=SIREN(row.siren) if row.siren else None,
        technical_id=row.technical_id,
        old_id=row.old_id,
        kind=FinessKind(row.kind) if row.kind else None,
        parent_key=row.parent_key,
        is_active=row.is_active,
        in_finess=row.in_finess,
        sector=coded("sector", row.sector, labels),
        category=coded("structure-category", row.category, labels),
        legal_status=coded("legal-status", row.legal_status, labels),
        ape=row.ape,
        phone=row.phone,
        phone2=row.phone2,
        fax=row.fax,
        email=row.email,
        position=_position(row),
        address=PostalAddress(
            street=row.street,
            complement=row.complement,
            postcode=row.postcode,
            city=row.city,
            commune=row.commune,
            department=row.department,
            country=row.country,
        ),
    )


def build_mailbox(
    row: AnyRow, *, practitioner: Practitioner | None, organization: Organization | None
) -> MailboxEntry:
    """Make a mailbox of a row of `directory_mailbox`, with its holder."""
    return MailboxEntry(
        address=MailAddress.parse(row.address),
        kind=MailboxKind.of(row.kind),
        practitioner=practitioner,
        organization=organization,
        service=row.service,
        description=row.description,
        responsible=row.responsible,
        paperless=row.paperless,
        liste_rouge=row.liste_rouge,
        rank=row.rank,
    )


def load_mailboxes(
    connection: Connection,
    generation: int,
    rows: Sequence[AnyRow],
    *,
    labels: Labels | None = None,
) -> list[MailboxEntry]:
    """Complete rows of `directory_mailbox` with holders (without roles) and structures."""
    numbers = sorted({row.practitioner_id for row in rows if row.practitioner_id is not None})
    keys = sorted({row.organization_key for row in rows if row.organization_key})
    people = places = ()  # type: Sequence[AnyRow]
    if numbers:
        table = tables.practitioner
        people = connection.execute(
            select(table).where(tables.in_force(table, generation), table.c.id.in_(numbers))
        ).all()
    if keys:
        table = tables.organization
        places = connection.execute(
            select(table).where(tables.in_force(table, generation), table.c.key.in_(keys))
        ).all()
    if labels is None:
        labels = find_labels(connection, codes_in(people, (), (), places))
    holders = {row.id: build_practitioner(row, labels) for row in people}
    organizations = {row.key: build_organization(row, labels) for row in places}
    return [
        build_mailbox(
            row,
            practitioner=holders.get(row.practitioner_id),
            organization=organizations.get(row.organization_key),
        )
        for row in rows
    ]


def coded(name: str, code: str, labels: Labels) -> Coded | None:
    """Put the label of its list beside a code."""
    return Coded(code=code, label=labels.get((name, code), "")) if code else None


def build_skill(kind: str, code: str, labels: Labels) -> Skill:
    """Make a skill of the codes in a row of `directory_skill`."""
    coded_kind = Coded(code=kind, label=labels.get(("skill-kind", kind), ""))
    return Skill(kind=coded_kind, code=code, label=labels.get(("skill", code), ""))


def build_role(row: AnyRow, labels: Labels, place: Organization | None) -> PracticeRole:
    """Make a situation of a row of `directory_role`, with its place."""
    return PracticeRole(
        profession=coded("profession", row.profession, labels),
        category=coded("category", row.category, labels),
        mode=coded("mode", row.mode, labels),
        activity=coded("activity", row.activity, labels),
        function=coded("function", row.function, labels),
        section=coded("section", row.section, labels),
        organization=place,
    )


def _position(row: AnyRow) -> Position | None:
    if row.latitude is None or row.longitude is None:
        return None
    return Position(latitude=row.latitude, longitude=row.longitude)


def codes_in(
    people: Iterable[AnyRow],
    skills: Iterable[AnyRow],
    roles: Iterable[AnyRow],
    places: Iterable[AnyRow],
) -> set[str]:
    """Gather the codes that rows refer to."""
    found = {code for row in people for code in (row.profession, row.category)}
    found |= {code for row in skills for code in (row.kind, row.code)}
    for row in roles:
        found |= {row.profession, row.category, row.mode, row.activity}
        found |= {row.function, row.section}
    for row in places:
        found |= {row.sector, row.category, row.legal_status}
    return found
