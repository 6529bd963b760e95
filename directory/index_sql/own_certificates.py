"""Keep in the directory what letters to our own domains are encrypted for today.

One certificate for each domain, beside those that an administrator published; the one before goes.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from directory.address import Domain
from directory.index_sql import tables
from directory.index_sql.certificate_questions import FoundCertificate

OWN: Final = "own"
"""The source of certificates that this server published by itself."""

_TABLE: Final = tables.certificate


def is_own_published(
    connection: Connection, domains: Sequence[Domain], own: FoundCertificate
) -> bool:
    """Tell whether the directory already says so, and nothing else, of our domains."""
    rows = connection.execute(
        select(_TABLE.c.subject, _TABLE.c.fingerprint, _TABLE.c.source).where(
            (_TABLE.c.source == OWN) | (_TABLE.c.fingerprint == own.fingerprint)
        )
    ).all()
    subjects = {f"@{domain}" for domain in domains}
    stale = [
        row
        for row in rows
        if row.source == OWN and (row.subject not in subjects or row.fingerprint != own.fingerprint)
    ]
    there = {row.subject for row in rows if row.fingerprint == own.fingerprint}
    return not stale and subjects <= there


def publish_own(
    connection: Connection,
    domains: Sequence[Domain],
    own: FoundCertificate,
    *,
    published_at: datetime,
) -> None:
    """Let the directory say so; a certificate that an administrator published stays theirs."""
    connection.execute(delete(_TABLE).where(_TABLE.c.source == OWN))
    known = set(
        connection.execute(
            select(_TABLE.c.subject).where(_TABLE.c.fingerprint == own.fingerprint)
        ).scalars()
    )
    for subject in (f"@{domain}" for domain in domains):
        if subject not in known:
            connection.execute(
                insert(_TABLE).values(
                    subject=subject,
                    fingerprint=own.fingerprint,
                    der=own.der,
                    not_after_at=own.not_after_at,
                    published_at=published_at,
                    source=OWN,
                )
            )
