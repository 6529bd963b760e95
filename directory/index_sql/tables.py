"""Declare the tables of the directory.

All content carries the number of its generation, first in every key: one generation is one range of
each table, cheap to read alone and to erase. There are no foreign keys between them: a generation
is written by one program, in bulk, and is never changed afterwards.

Words are compared octet by octet (`COLLATE "C"` on PostgreSQL, the default on SQLite), so that the
range of a prefix is the same everywhere.
"""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects import postgresql

metadata: Final = MetaData()
"""The tables of this package, for migrations."""

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


def _generation() -> Column[int]:
    return Column("generation", Integer, primary_key=True, autoincrement=False)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _code(name: str) -> Column[str]:
    return Column(name, String, nullable=False)


generation = Table(
    "directory_generation",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", String, nullable=False),  # building, live, retired, discarded, erased
    Column("loaded_at", UtcDateTime, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("sources", JSON, nullable=False),
)

code = Table(
    "directory_code",
    metadata,
    _generation(),
    Column("list", String, primary_key=True),
    Column("code", _Key, primary_key=True),
    _text("label"),
    sqlite_with_rowid=False,
)

practitioner = Table(
    "directory_practitioner",
    metadata,
    _generation(),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    _code("national_id"),
    _text("family"),
    _text("given"),
    _code("civility"),
    _code("title"),
    _code("profession"),
    _code("category"),
    sqlite_with_rowid=False,
)

skill = Table(
    "directory_skill",
    metadata,
    _generation(),
    Column("practitioner_id", BigInteger, primary_key=True, autoincrement=False),
    Column("code", _Key, primary_key=True),
    _code("kind"),
    sqlite_with_rowid=False,
)

organization = Table(
    "directory_organization",
    metadata,
    _generation(),
    Column("key", _Key, primary_key=True),
    _text("name"),
    _text("trade_name"),
    _code("finess"),
    _code("finess_legal"),
    _code("siret"),
    _code("siren"),
    _code("technical_id"),
    _code("sector"),
    _code("phone"),
    _text("street"),
    _text("complement"),
    _code("postcode"),
    _text("city"),
    _code("commune"),
    _code("department"),
    _text("country"),
    sqlite_with_rowid=False,
)

role = Table(
    "directory_role",
    metadata,
    _generation(),
    Column("practitioner_id", BigInteger, primary_key=True, autoincrement=False),
    Column("organization_key", _Key, primary_key=True),
    Column("profession", _Key, primary_key=True),
    Column("category", _Key, primary_key=True),
    Column("mode", _Key, primary_key=True),
    Column("activity", _Key, primary_key=True),
    Column("function", _Key, primary_key=True),
    sqlite_with_rowid=False,
)

mailbox = Table(
    "directory_mailbox",
    metadata,
    _generation(),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("address_key", _Key, nullable=False),
    _code("address"),
    Column("domain", _Key, nullable=False),
    _code("kind"),
    Column("practitioner_id", BigInteger),
    Column("organization_key", _Key),
    _text("service"),
    _text("description"),
    _text("responsible"),
    _code("paperless"),
    Column("liste_rouge", Boolean, nullable=False),
    Column("rank", SmallInteger),
    Index("directory_mailbox_address", "generation", "address_key", "id"),
    Index("directory_mailbox_domain", "generation", "domain"),
    Index("directory_mailbox_practitioner", "generation", "practitioner_id", "id"),
    Index("directory_mailbox_organization", "generation", "organization_key", "id"),
)

subject = Table(
    "directory_subject",
    metadata,
    _generation(),
    # A person has the number of the practitioner; a structure's mailbox, minus its number.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    _text("family_key"),
    _text("given_key"),
    Column("has_mailbox", Boolean, nullable=False),
    _text("text"),
    sqlite_with_rowid=False,
)

token = Table(
    "directory_token",
    metadata,
    _generation(),
    Column("token", _Key, primary_key=True),
    Column("field", _Key, primary_key=True),
    Column("rank", SmallInteger, primary_key=True, autoincrement=False),
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

vocabulary = Table(
    "directory_vocabulary",
    metadata,
    _generation(),
    Column("token", _Key, primary_key=True),
    Column("subjects", Integer, nullable=False),
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

CONTENT: Final[tuple[tuple[Table, Column[object]], ...]] = (
    (token, token.c.token),
    (vocabulary, vocabulary.c.token),
    (subject, subject.c.id),
    (role, role.c.practitioner_id),
    (skill, skill.c.practitioner_id),
    (mailbox, mailbox.c.id),
    (organization, organization.c.key),
    (practitioner, practitioner.c.id),
    (code, code.c.list),
)
"""What a generation consists of, each with the column by which it is erased in steps."""


def create_tables(connection: Connection) -> None:
    """Make the tables that are missing, for use without the server's migrations."""
    metadata.create_all(connection)
