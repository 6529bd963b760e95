"""Declare the tables of the directory.

A row of content is one *version* of a person, a situation, a structure or a mailbox. It is part of
the generations `born <= generation < gone`; `in_force` is that condition. A new generation writes
only what changed beside what is there, where no reader looks, and comes into force when
`directory_generation` says so. Versions that no kept generation shows are erased. There are no
foreign keys between the tables: one program writes them, in bulk.

What our own operator declares (`directory_declared_mailbox`) is laid over the national rows in
`directory_mailbox` itself: rows born in generation 0, which are part of every generation, while
the national rows of the same address are `masked`.

Words are compared octet by octet (`COLLATE "C"` on PostgreSQL, the default on SQLite), so that the
range of a prefix is the same everywhere.

Shapes
    `id` is derived from what it names, and so is the same in every generation (`keys.py`).
    `…_key` columns of names and towns hold folded words, for look-ups by prefix.
    `changed_at` is when the version came into being; `digest` tells its content from another.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    and_,
    text,
)
from sqlalchemy.dialects import postgresql

metadata: Final = MetaData()
"""The tables of this package, for migrations."""

FOREVER: Final = 2**31 - 1
"""The end of a version that is still in force."""

DECLARED: Final = 0
"""The generation in which declared mailboxes are born: before all others."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Key: Final = String().with_variant(postgresql.VARCHAR(collation="C"), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant, kept and returned in UTC; SQLite forgets the zone, so it is put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - the same on both engines
    ) -> datetime | None:
        """Go to UTC; a naive instant is a mistake of the caller."""
        if value is not None and value.tzinfo is None:
            raise ValueError("an instant must be aware")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - the same on both engines
    ) -> datetime | None:
        """Come back as UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Instant(TypeDecorator[datetime]):
    """An aware instant in whole microseconds since 1970: short, and alike on both engines."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - the same on both engines
    ) -> int | None:
        """Count microseconds; a naive instant is a mistake of the caller."""
        return None if value is None else to_microseconds(value)

    def process_result_value(
        self,
        value: int | None,
        dialect: Dialect,  # noqa: ARG002 - the same on both engines
    ) -> datetime | None:
        """Come back as UTC."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


def to_microseconds(at: datetime) -> int:
    """Return an instant as `Instant` columns hold it, for rows written in bulk."""
    if at.tzinfo is None:
        raise ValueError("an instant must be aware")
    return (at - _EPOCH) // timedelta(microseconds=1)


def in_force(table: Any, number: Any) -> ColumnElement[bool]:  # noqa: ANN401 - a table or its alias; a number or a query
    """Return the condition that a version is part of a generation, and not masked."""
    condition = and_(table.c.born <= number, table.c.gone > number)
    return and_(condition, table.c.masked.is_(False)) if "masked" in table.c else condition


def _generation() -> Column[int]:
    return Column("generation", Integer, primary_key=True, autoincrement=False)


def _born() -> Column[int]:
    return Column("born", Integer, primary_key=True, autoincrement=False)


def _gone() -> Column[int]:
    return Column("gone", Integer, nullable=False)


def _gone_index(name: str) -> Index:
    """Index the few versions that have an end: they are erased one day."""
    ended = text(f"gone < {FOREVER}")
    return Index(f"{name}_gone", "gone", sqlite_where=ended, postgresql_where=ended)


def _present_index(table: str, name: str) -> Index:
    """Index a number that most rows lack; a query must say that it is there."""
    is_there = text(f"{name} <> ''")
    return Index(f"{table}_{name}", name, sqlite_where=is_there, postgresql_where=is_there)


def _id(name: str = "id") -> Column[int]:
    return Column(name, BigInteger, primary_key=True, autoincrement=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _changed() -> Column[datetime]:
    return Column("changed_at", Instant, nullable=False)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _code(name: str) -> Column[str]:
    return Column(name, String, nullable=False)


def _key(name: str) -> Column[str]:
    return Column(name, _Key, nullable=False)


generation = Table(
    "directory_generation",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", String, nullable=False),  # building, live, retired, discarded, erased
    Column("loaded_at", UtcDateTime, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("sources", JSON, nullable=False),
    Column("findings", JSON, nullable=False),
    Column("retired_at", UtcDateTime),
)

code = Table(
    "directory_code",
    metadata,
    # Of all generations: a label says nothing about anybody.
    Column("list", String, primary_key=True),
    Column("code", _Key, primary_key=True),
    _text("label"),
    sqlite_with_rowid=False,
)

practitioner = Table(
    "directory_practitioner",
    metadata,
    _id(),
    _born(),
    _gone(),
    _changed(),
    # Of all lines of all files about the person.
    _number("digest"),
    _code("national_id"),
    _text("family"),
    _text("given"),
    _key("family_key"),
    _key("given_key"),
    _code("civility"),
    _code("title"),
    _code("profession"),
    _code("category"),
    Index("directory_practitioner_family", "family_key", "given_key", "id"),
    Index("directory_practitioner_given", "given_key", "id"),
    Index("directory_practitioner_changed", "changed_at", "id"),
    Index("directory_practitioner_profession", "profession", "id"),
    _gone_index("directory_practitioner"),
    sqlite_with_rowid=False,
)

skill = Table(
    "directory_skill",
    metadata,
    _id("practitioner_id"),
    Column("code", _Key, primary_key=True),
    _born(),
    _gone(),
    _code("kind"),
    Index("directory_skill_code", "code", "practitioner_id"),
    _gone_index("directory_skill"),
    sqlite_with_rowid=False,
)

organization = Table(
    "directory_organization",
    metadata,
    Column("key", _Key, primary_key=True),
    _born(),
    _gone(),
    _changed(),
    _number("id"),
    _number("digest"),
    _code("kind"),  # EJ: legal entity, EG: site of FINESS; empty: a practice, or unknown
    Column("is_active", Boolean, nullable=False),
    Column("in_finess", Boolean, nullable=False),
    Column("finess_facts", Integer, nullable=False),  # which of `versions.SUPPLEMENTED` it gives
    _code("mention"),  # activity or mailbox: the richest file that names it; empty: FINESS alone
    _text("name"),
    _text("trade_name"),
    _key("name_key"),
    _key("trade_name_key"),
    _code("finess"),
    _code("finess_legal"),
    _code("siret"),
    _code("siren"),
    _code("technical_id"),
    _code("old_id"),
    _key("parent_key"),  # of the legal entity
    _code("sector"),
    _code("category"),  # of FINESS
    _code("legal_status"),
    _code("ape"),
    _code("phone"),
    _code("phone2"),
    _code("fax"),
    _text("email"),
    _text("street"),
    _text("complement"),
    _key("postcode"),
    _text("city"),
    _key("city_key"),
    _code("commune"),
    _key("department"),
    _text("country"),
    Column("latitude", Float),
    Column("longitude", Float),
    Index("directory_organization_id", "id"),
    Index("directory_organization_name", "name_key", "key"),
    Index("directory_organization_trade_name", "trade_name_key", "key"),
    Index("directory_organization_city", "city_key", "key"),
    Index("directory_organization_postcode", "postcode", "key"),
    Index("directory_organization_parent", "parent_key", "key"),
    Index("directory_organization_finess", "finess"),
    _present_index("directory_organization", "siren"),
    Index("directory_organization_siret", "siret"),
    Index("directory_organization_old", "old_id"),
    Index("directory_organization_place", "latitude", "longitude"),
    Index("directory_organization_changed", "changed_at", "id"),
    _gone_index("directory_organization"),
    sqlite_with_rowid=False,
)

role = Table(
    "directory_role",
    metadata,
    _id("practitioner_id"),
    # Derived from everything below, so that a situation never changes: it comes and goes.
    _id(),
    _born(),
    _gone(),
    _changed(),
    _key("organization_key"),  # empty: no place
    _code("profession"),
    _code("category"),
    _code("mode"),
    _code("activity"),
    _code("function"),
    _code("section"),  # of the pharmacists' register
    Index("directory_role_id", "id"),
    Index("directory_role_organization", "organization_key", "practitioner_id"),
    Index("directory_role_profession", "profession", "practitioner_id"),
    Index("directory_role_changed", "changed_at", "id"),
    _gone_index("directory_role"),
    sqlite_with_rowid=False,
)

mailbox = Table(
    "directory_mailbox",
    metadata,
    _id(),
    _born(),
    _gone(),
    _changed(),
    _number("digest"),
    _key("address_key"),
    _code("address"),
    _key("domain"),
    _code("kind"),
    # The carrier is the situation if there is one, else the person, else the structure.
    Column("practitioner_id", BigInteger),
    Column("role_id", BigInteger),
    Column("organization_key", _Key),
    _text("service"),
    _text("description"),
    _text("responsible"),
    _code("paperless"),
    Column("liste_rouge", Boolean, nullable=False),
    Column("rank", SmallInteger),
    Column("masked", Boolean, nullable=False),
    Index("directory_mailbox_address", "address_key", "id"),
    Index("directory_mailbox_domain", "domain"),
    Index("directory_mailbox_practitioner", "practitioner_id", "id"),
    Index("directory_mailbox_organization", "organization_key", "id"),
    Index("directory_mailbox_changed", "changed_at", "id"),
    _gone_index("directory_mailbox"),
    sqlite_with_rowid=False,
)

gone = Table(
    "directory_gone",
    metadata,
    # What was there and is no more: enough to say so, and no name.
    Column("kind", String, primary_key=True),  # practitioner, role, organization
    _id(),
    _born(),
    _gone(),  # when it came back
    _code("identifier"),
    Column("gone_at", Instant, nullable=False),
    Index("directory_gone_at", "gone_at", "id"),
    sqlite_with_rowid=False,
)

declared_mailbox = Table(
    "directory_declared_mailbox",
    metadata,
    Column("address_key", _Key, primary_key=True),
    _code("address"),
    _key("domain"),
    _code("kind"),
    _code("national_id"),  # of the person who holds it, or empty
    Column("role_id", BigInteger),
    _key("organization_key"),  # of the structure it hangs on, or empty
    _text("service"),
    _text("description"),
    _text("responsible"),
    _code("paperless"),
    Column("liste_rouge", Boolean, nullable=False),
    Column("rank", SmallInteger),
    Column("is_closed", Boolean, nullable=False),
    _code("source"),  # who declared it: mailbox, fhir
    _changed(),
    Index("directory_declared_mailbox_domain", "domain"),
    Index("directory_declared_mailbox_changed", "changed_at"),
    sqlite_with_rowid=False,
)

certificate = Table(
    "directory_certificate",
    metadata,
    # An address (`a@b`) or, for all mailboxes of a domain, `@b`.
    Column("subject", _Key, primary_key=True),
    Column("fingerprint", _Key, primary_key=True),
    Column("der", LargeBinary, nullable=False),
    Column("not_after_at", UtcDateTime, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("source", String, nullable=False),
)

certificate_question = Table(
    "directory_certificate_question",
    metadata,
    # What other directories of certificates answered, so that they are not asked again at once.
    Column("address_key", _Key, primary_key=True),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("ask_again_at", UtcDateTime, nullable=False),
    Index("directory_certificate_question_asked", "asked_at"),
    sqlite_with_rowid=False,
)

publication = Table(
    "directory_publication",
    metadata,
    # How far the national directory has been told of a declared mailbox.
    Column("address_key", _Key, primary_key=True),
    Column("declared_at", Instant, nullable=False),  # `changed_at` of the declaration handled
    _code("state"),  # done, waiting, refused
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    _text("reason"),
    Column("is_there", Boolean, nullable=False),  # as far as we know
    Index("directory_publication_state", "state", "next_at"),
    sqlite_with_rowid=False,
)

VERSIONED: Final[tuple[Table, ...]] = (role, skill, mailbox, organization, practitioner)
"""What a generation consists of."""


def create_tables(connection: Connection) -> None:
    """Make the tables that are missing, for use without the server's migrations."""
    metadata.create_all(connection)
