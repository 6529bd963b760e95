"""Keep the encryption certificates of mailboxes and domains.

The national directory publishes none, so operators exchange them here. Whether a certificate may
be used is judged by the caller, each time, with the trust anchors and revocation lists of the day;
this is only where candidates are found.

A certificate hangs on an address or on a whole domain. It belongs to no generation: an import of
the national files does not touch it.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select

from directory.address import Domain, MailAddress
from directory.index_sql import tables
from directory.index_sql.prepared import Prepared

# Asked for each recipient of each letter: built once, and one question for both.
_TABLE = tables.certificate
_CANDIDATES = (
    select(_TABLE.c.subject, _TABLE.c.der)
    .where(_TABLE.c.subject.in_([bindparam("own"), bindparam("domain")]))
    .order_by(_TABLE.c.published_at.desc(), _TABLE.c.fingerprint)
)
_FIND = Prepared(_CANDIDATES)
_FIND_VALID = Prepared(_CANDIDATES.where(_TABLE.c.not_after_at >= bindparam("at")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What a publication changed.

    Attributes:
        is_new: False if the same certificate was there already.
        beside: Fingerprints of the others of the same subject. A new one beside older ones is a
            change of key: worth a warning to whoever is about to encrypt.
    """

    is_new: bool
    beside: tuple[str, ...] = ()


def publish_certificate(
    connection: Connection,
    *,
    subject: MailAddress | Domain,
    der: bytes,
    fingerprint: str,
    not_after_at: datetime,
    published_at: datetime,
    source: str = "local",
) -> Publication:
    """Add a certificate to a mailbox or to all the mailboxes of a domain.

    Args:
        connection: To write to, inside the caller's transaction.
        subject: Whom it encrypts to.
        der: The certificate.
        fingerprint: SHA-256 in hexadecimal, which the caller computed.
        not_after_at: End of its validity.
        published_at: Instant of the publication.
        source: Where it came from, for the administrator.
    """
    table = tables.certificate
    key = _key(subject)
    known = connection.execute(
        select(table.c.fingerprint).where(table.c.subject == key).order_by(table.c.fingerprint)
    ).scalars()
    others = tuple(known)
    beside = tuple(other for other in others if other != fingerprint)
    if fingerprint in others:
        return Publication(is_new=False, beside=beside)
    connection.execute(
        table.insert().values(
            subject=key,
            fingerprint=fingerprint,
            der=der,
            not_after_at=not_after_at,
            published_at=published_at,
            source=source,
        )
    )
    return Publication(is_new=True, beside=beside)


def find_certificates(
    connection: Connection, address: MailAddress, *, at: datetime | None = None
) -> list[bytes]:
    """List the certificates for an address: its own or, when it has none, those of its domain.

    Args:
        connection: To read from.
        address: The recipient.
        at: Leave out those that ended before this instant.

    Returns:
        DER, the one published last first.
    """
    names = {"own": _key(address), "domain": _key(address.domain)}
    if at is None:
        rows = _FIND.run(connection, names)
    else:
        rows = _FIND_VALID.run(connection, {**names, "at": at})
    own = [row.der for row in rows if row.subject == names["own"]]
    return own or [row.der for row in rows]


def withdraw_certificate(
    connection: Connection, *, subject: MailAddress | Domain, fingerprint: str
) -> bool:
    """Remove a certificate; say whether it was there."""
    table = tables.certificate
    done = connection.execute(
        delete(table).where(table.c.subject == _key(subject), table.c.fingerprint == fingerprint)
    )
    return done.rowcount > 0


def purge_certificates(connection: Connection, *, ended_before: datetime) -> int:
    """Remove the certificates that ended before an instant; return how many."""
    table = tables.certificate
    return connection.execute(delete(table).where(table.c.not_after_at < ended_before)).rowcount


def _key(subject: MailAddress | Domain) -> str:
    return subject.key if isinstance(subject, MailAddress) else f"@{subject}"
