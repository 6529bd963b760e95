"""What was learnt of correspondents: who signs for a mailbox, and what it can read.

One row for each author of whom a signature held and was tied to the mailbox; nothing else is ever
learnt. A letter with an older signing time changes nothing, so that a replayed one cannot take a
correspondent back to weaker ciphers.

Sources
    RFC 8551, 2.7.1.1 (the capabilities of the most recent signed message count).
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from directory.index_sql.prepared import PreparedList
from mss.store.tables import correspondent

# Asked for each letter that leaves, so it is built once.
_FIND = PreparedList(
    lambda keys: select(correspondent).where(correspondent.c.address_key.in_(keys))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correspondent:
    """What is known of one mailbox elsewhere.

    Attributes:
        capabilities: S/MIME capabilities that the signer stated, dotted, best first.
        signed_at: The signing time that the letter states.
        seen_at: When we received it.
    """

    address_key: str
    signer_fingerprint: str
    signer_subject: str
    capabilities: tuple[str, ...]
    signed_at: datetime
    seen_at: datetime


def find_correspondents(
    connection: Connection, address_keys: Collection[str]
) -> dict[str, Correspondent]:
    """Find what is known of these mailboxes, by their normalised addresses."""
    found = (
        Correspondent(
            address_key=row.address_key,
            signer_fingerprint=row.signer_fingerprint,
            signer_subject=row.signer_subject,
            capabilities=tuple(row.capabilities.split()),
            signed_at=row.signed_at,
            seen_at=row.seen_at,
        )
        for row in _FIND.run(connection, address_keys)
    )
    return {one.address_key: one for one in found}


def learn(connection: Connection, learnt: Correspondent) -> None:
    """Keep what a letter says, unless a later one was seen."""
    values = {
        "signer_fingerprint": learnt.signer_fingerprint,
        "signer_subject": learnt.signer_subject,
        "capabilities": " ".join(learnt.capabilities),
        "signed_at": learnt.signed_at,
        "seen_at": learnt.seen_at,
    }
    address = correspondent.c.address_key == learnt.address_key
    later = update(correspondent).where(address, correspondent.c.signed_at < learnt.signed_at)
    if connection.execute(later.values(**values)).rowcount:
        return
    if connection.execute(select(address).where(address)).first() is not None:
        return
    with suppress(IntegrityError), connection.begin_nested():  # a worker beside us was first
        connection.execute(insert(correspondent).values(address_key=learnt.address_key, **values))
