"""Turn what the national files say into rows of one generation.

Shapes
    Rows are tuples in the order of the columns of their table (`tables.py`).
    `digest` columns tell the content of a row from another; they leave the version out.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from directory.dossiers import Dossier
from directory.folding import order_key
from directory.index_sql import tables
from directory.index_sql.bulk import Values
from directory.model import Coded, MailboxEntry, Organization, PracticeRole
from directory.numbers import mailbox_number, organization_number, stable_number

Version = tuple[int, int, int]
"""Born, gone and changed_at."""

SUPPLEMENTED = (
    "trade_name",
    "siret",
    "siren",
    "phone",
    "phone2",
    "fax",
    "email",
    "parent_key",
    "finess_legal",
)
"""What another file may say of a structure as long as FINESS says nothing."""

folded = lru_cache(maxsize=65_536)(order_key)
"""Bring a name to the form by which it is looked up; names come again and again."""


class Labels:
    """Gathers the labels of codes, each to be written once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}
        self._new: list[tuple[str, str, str]] = []

    def code(self, name: str, coded: Coded | None) -> str:
        """Return a code, and remember its label."""
        if coded is None or not coded.code:
            return ""
        if (name, coded.code) not in self._known:
            self.add([(name, coded.code, coded.label)])
        return coded.code

    def add(self, labels: Iterable[tuple[str, str, str]]) -> None:
        """Remember labels, each with its list and code, that are not known yet."""
        for name, code, label in labels:
            if (name, code) not in self._known:
                self._known[name, code] = label
                self._new.append((name, code, label))

    def take_new(self) -> list[tuple[str, str, str]]:
        """Return the list, code and label of what came since the last time."""
        new, self._new = self._new, []
        return new


def practitioner_row(dossier: Dossier, version: Version, labels: Labels) -> Values:
    """Return the row of a person."""
    person = dossier.practitioner
    return (
        dossier.number,
        *version,
        dossier.digest,
        str(person.national_id),
        person.family,
        person.given,
        folded(person.family),
        folded(person.given),
        person.civility,
        person.title,
        labels.code("profession", person.profession),
        labels.code("category", person.category),
    )


def skill_rows(dossier: Dossier, version: Version, labels: Labels) -> list[Values]:
    """Return the rows of a person's skills."""
    rows: list[Values] = []
    for skill in dossier.practitioner.skills:
        kind = labels.code("skill-kind", skill.kind)
        code = labels.code("skill", Coded(code=skill.code, label=skill.label))
        rows.append((dossier.number, code, version[0], version[1], kind))
    return rows


def role_rows(dossier: Dossier, version: Version, labels: Labels) -> list[Values]:
    """Return the rows of a person's situations."""
    pairs = zip(dossier.role_numbers, dossier.practitioner.roles, strict=True)
    return [_role_row(dossier.number, number, role, version, labels) for number, role in pairs]


def _role_row(
    person: int, number: int, role: PracticeRole, version: Version, labels: Labels
) -> Values:
    return (
        person,
        number,
        *version,
        role.organization.key if role.organization is not None else "",
        labels.code("profession", role.profession),
        labels.code("category", role.category),
        labels.code("mode", role.mode),
        labels.code("activity", role.activity),
        labels.code("function", role.function),
        labels.code("section", role.section),
    )


def mailbox_rows(dossier: Dossier, version: Version) -> list[Values]:
    """Return the rows of a person's mailboxes, each once."""
    pairs = zip(dossier.role_numbers, dossier.practitioner.roles, strict=True)
    at: dict[str, int] = {}
    for number, role in pairs:
        if role.organization is not None:
            key = role.organization.key
            at[key] = min(number, at.get(key, number))
    rows: dict[int, Values] = {}
    for mailbox in dossier.mailboxes:
        place = mailbox.organization
        role_id = at.get(place.key) if place is not None else None
        row = mailbox_row(mailbox, version, person=dossier.number, role_id=role_id)
        rows.setdefault(int(str(row[0])), row)
    return list(rows.values())


def mailbox_row(
    mailbox: MailboxEntry,
    version: Version,
    *,
    person: int | None = None,
    role_id: int | None = None,
) -> Values:
    """Return the row of a mailbox."""
    key = None if mailbox.organization is None else mailbox.organization.key
    address = mailbox.address
    texts = (str(mailbox.kind), mailbox.service, mailbox.description, mailbox.responsible)
    kind, service, description, responsible = texts
    digest = stable_number(
        str(address), *texts, mailbox.paperless, str(mailbox.liste_rouge), str(mailbox.rank),
        str(role_id),
    )  # fmt: skip
    return (
        mailbox_number(address.key, person, key),
        *version,
        digest,
        address.key,
        str(address),
        str(address.domain),
        kind,
        person,
        role_id,
        key,
        service,
        description,
        responsible,
        mailbox.paperless,
        mailbox.liste_rouge,
        mailbox.rank,
        False,
    )


def place_row(place: Organization, version: Version, labels: Labels, *, mention: str) -> Values:
    """Return the row of a structure.

    Args:
        place: What is known of it.
        version: Of the row.
        labels: Where the labels of its codes go.
        mention: The file that names it beside FINESS: `activity`, `mailbox` or empty.
    """
    address, position = place.address, place.position
    facts: Sequence[object] = (
        str(place.kind or ""),
        place.is_active,
        place.in_finess,
        _given(place) if place.in_finess else 0,
        mention,
        place.name,
        place.trade_name,
        folded(place.name),
        folded(place.trade_name),
        str(place.finess or ""),
        str(place.finess_legal or ""),
        str(place.siret or ""),
        str(place.siren or ""),
        place.technical_id,
        place.old_id,
        place.parent_key,
        labels.code("sector", place.sector),
        labels.code("structure-category", place.category),
        labels.code("legal-status", place.legal_status),
        place.ape,
        place.phone,
        place.phone2,
        place.fax,
        place.email,
        address.street,
        address.complement,
        address.postcode,
        address.city,
        folded(address.city),
        address.commune,
        address.department,
        address.country,
        position.latitude if position else None,
        position.longitude if position else None,
    )
    digest = stable_number(*map(str, facts))
    return (place.key, *version, organization_number(place.key), digest, *facts)


def _given(place: Organization) -> int:
    """Tell which of the facts that others may add the structure has, one bit each."""
    return sum(1 << bit for bit, name in enumerate(SUPPLEMENTED) if getattr(place, name))


PLACE_COLUMNS = tuple(column.name for column in tables.organization.columns)
