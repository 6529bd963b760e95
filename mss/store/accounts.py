"""Accounts and their credentials: password hashes and digests of tokens, never the secrets."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mss.store.tables import account, account_token

_ENSURE = {
    name: insert_for(account).on_conflict_do_nothing(index_elements=["identity"])
    for name, insert_for in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody, or some software, that may log in.

    Attributes:
        identity: National identifier that the identity provider vouches for.
        certificate_name: Normalised subject of the client certificate, for software.
    """

    id: str
    name: str
    password_hash: str | None
    created_at: datetime
    closed_at: datetime | None
    identity: str | None = None
    certificate_name: str | None = None


def insert_account(connection: Connection, new: Account) -> None:
    """Add an account."""
    connection.execute(insert(account).values(asdict(new)))


def ensure_account(connection: Connection, new: Account) -> tuple[Account, bool]:
    """Add the account of an identity unless it has one; return it, and whether it is new."""
    connection.execute(_ENSURE[connection.dialect.name], asdict(new))
    found = connection.execute(select(account).where(account.c.identity == new.identity)).one()
    return _account(found), found.id == new.id


def is_taken(connection: Connection, new: Account) -> bool:
    """Tell whether an account has this name, this identity or this certificate."""
    wanted = or_(
        account.c.name == new.name,
        # A comparison with NULL is never true, so what the new account lacks matches nobody.
        account.c.identity.in_([new.identity]),
        account.c.certificate_name.in_([new.certificate_name]),
    )
    return connection.execute(select(account.c.id).where(wanted)).first() is not None


def find_account(connection: Connection, name: str) -> Account | None:
    """Find an account by the name it logs in with."""
    row = connection.execute(select(account).where(account.c.name == name)).one_or_none()
    return None if row is None else _account(row)


def get_account(connection: Connection, account_id: str) -> Account:
    """Fetch an account by its identifier."""
    return _account(connection.execute(select(account).where(account.c.id == account_id)).one())


def find_by_identity(connection: Connection, identity: str) -> Account | None:
    """Find the account of a person that the identity provider names."""
    row = connection.execute(select(account).where(account.c.identity == identity)).one_or_none()
    return None if row is None else _account(row)


def find_by_certificate(connection: Connection, certificate_name: str) -> Account | None:
    """Find the account of the software that shows a certificate of this subject."""
    row = connection.execute(
        select(account).where(account.c.certificate_name == certificate_name)
    ).one_or_none()
    return None if row is None else _account(row)


def list_accounts(connection: Connection) -> list[Account]:
    """List every account, by name."""
    return [_account(row) for row in connection.execute(select(account).order_by(account.c.name))]


def set_password(connection: Connection, account_id: str, *, password_hash: str) -> None:
    """Replace an account's password."""
    connection.execute(
        update(account).where(account.c.id == account_id).values(password_hash=password_hash)
    )


def insert_token(
    connection: Connection,
    *,
    digest: str,
    account_id: str,
    at: datetime,
    expires_at: datetime | None,
) -> None:
    """Remember the digest of a token that was given out."""
    connection.execute(
        insert(account_token).values(
            digest=digest, account_id=account_id, created_at=at, expires_at=expires_at
        )
    )


def find_by_token(connection: Connection, digest: str, *, now: datetime) -> Account | None:
    """Find the open account that holds a token which is not over."""
    row = connection.execute(
        select(account)
        .join(account_token, account_token.c.account_id == account.c.id)
        .where(
            and_(
                account_token.c.digest == digest,
                account.c.closed_at.is_(None),
                or_(account_token.c.expires_at.is_(None), account_token.c.expires_at > now),
            )
        )
    ).one_or_none()
    return None if row is None else _account(row)


def _account(row: Row[Any]) -> Account:
    return Account(
        id=row.id,
        name=row.name,
        password_hash=row.password_hash,
        created_at=row.created_at,
        closed_at=row.closed_at,
        identity=row.identity,
        certificate_name=row.certificate_name,
    )
