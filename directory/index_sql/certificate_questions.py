"""Keep what other directories of certificates answered, and whom they need not be asked about.

A question is about one recipient, to whom somebody is about to write. Its answer is believed for a
time; after that the certificates that came with it still count, until the question is asked again
or is so old that all of it is forgotten: we keep no copy of anybody's directory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, or_, select

from directory.address import MailAddress
from directory.index_sql import tables
from directory.index_sql.prepared import Prepared

FOUND_ELSEWHERE: Final = "ldap"
"""The source of certificates that were found by asking."""

_CERTIFICATE: Final = tables.certificate
_QUESTION: Final = tables.certificate_question
# Rows here mean: do not ask. A certificate that was published here goes before any other.
_SETTLED: Final = Prepared(
    select(_CERTIFICATE.c.subject)
    .where(
        _CERTIFICATE.c.subject.in_([bindparam("own"), bindparam("domain")]),
        _CERTIFICATE.c.source != FOUND_ELSEWHERE,
        _CERTIFICATE.c.not_after_at >= bindparam("at"),
    )
    .limit(1)
)
_ANSWERED: Final = Prepared(
    select(_QUESTION.c.address_key)
    .where(_QUESTION.c.address_key == bindparam("own"), _QUESTION.c.ask_again_at > bindparam("at"))
    .limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCertificate:
    """A certificate that held when it was found."""

    der: bytes
    fingerprint: str
    not_after_at: datetime


def list_unanswered(
    connection: Connection, addresses: Sequence[MailAddress], *, at: datetime
) -> list[MailAddress]:
    """List those of the addresses that somebody else should be asked about, each once."""
    wanted = {address.key: address for address in addresses}
    return [
        address
        for key, address in wanted.items()
        if not _SETTLED.run(connection, {"own": key, "domain": f"@{address.domain}", "at": at})
        and not _ANSWERED.run(connection, {"own": key, "at": at})
    ]


def keep_answer(
    connection: Connection,
    address: MailAddress,
    found: Sequence[FoundCertificate] | None,
    *,
    at: datetime,
    ask_again_at: datetime,
) -> None:
    """Keep an answer in the place of the one before; `None`, no answer, leaves what was found."""
    connection.execute(delete(_QUESTION).where(_QUESTION.c.address_key == address.key))
    connection.execute(
        insert(_QUESTION).values(address_key=address.key, asked_at=at, ask_again_at=ask_again_at)
    )
    if found is None:
        return
    _forget_found(connection, address.key)
    published = select(_CERTIFICATE.c.fingerprint).where(_CERTIFICATE.c.subject == address.key)
    known = set(connection.execute(published).scalars())
    for one in found:
        if one.fingerprint not in known:
            known.add(one.fingerprint)
            connection.execute(
                insert(_CERTIFICATE).values(
                    subject=address.key,
                    fingerprint=one.fingerprint,
                    der=one.der,
                    not_after_at=one.not_after_at,
                    published_at=at,
                    source=FOUND_ELSEWHERE,
                )
            )


def forget_answers(connection: Connection, *, asked_before: datetime) -> int:
    """Forget old questions, with what was found; return how many."""
    old = select(_QUESTION.c.address_key).where(_QUESTION.c.asked_at < asked_before)
    asked = select(_QUESTION.c.address_key)
    connection.execute(
        delete(_CERTIFICATE).where(
            _CERTIFICATE.c.source == FOUND_ELSEWHERE,
            or_(_CERTIFICATE.c.subject.in_(old), _CERTIFICATE.c.subject.not_in(asked)),
        )
    )
    done = connection.execute(delete(_QUESTION).where(_QUESTION.c.asked_at < asked_before))
    return done.rowcount


def _forget_found(connection: Connection, key: str) -> None:
    connection.execute(
        delete(_CERTIFICATE).where(
            _CERTIFICATE.c.subject == key, _CERTIFICATE.c.source == FOUND_ELSEWHERE
        )
    )
