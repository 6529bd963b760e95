"""Turn local credentials into a principal, or say no: the same no for every cause.

Passwords are hashed slowly and checked in a thread; tokens are 256 random bits and looked up by
their digest. Unknown names cost as much as known ones, so that time tells nothing.

Errors
    `NotAuthenticatedError`, whatever was wrong.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from crypto import digests
from mss.clock import Clock
from mss.errors import ConflictError, InvalidRequestError, NotAuthenticatedError, NotFoundError
from mss.model.audit import AuditEvent, AuditName
from mss.model.principal import AccountPrincipal
from mss.store import accounts as rows
from mss.store import audit, mailboxes
from mss.store.engine import Connection, Database

TOKEN_PREFIX = "mss"  # noqa: S105 -- makes leaked tokens easy to find, and is no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Local accounts."""

    database: Database
    clock: Clock
    chain: str

    async def authenticate_password(
        self, name: str, password: str, *, host: str
    ) -> AccountPrincipal:
        """Recognise an account by name and password."""
        # No account has a name that cannot be printed; a database may refuse the question.
        account = (
            await self.database.read(lambda c: rows.find_account(c, name))
            if name.isprintable()
            else None
        )
        is_open = account is not None and account.closed_at is None
        known_hash = account.password_hash if account and is_open else None
        is_right = await asyncio.to_thread(digests.is_password, password, known_hash)
        if account is None or known_hash is None or not is_right:
            await self._refuse(host)
            raise NotAuthenticatedError
        return await self._principal(account, "password")

    async def authenticate_token(self, token: str, *, host: str) -> AccountPrincipal:
        """Recognise an account by a bearer token."""
        account, now = None, self.clock.now()
        if token.isascii():  # as all of ours are
            digest = digests.token_digest(token)
            account = await self.database.read(lambda c: rows.find_by_token(c, digest, now=now))
        if account is None:
            await self._refuse(host)
            raise NotAuthenticatedError
        return await self._principal(account, "token")

    async def add(self, name: str, *, password: str | None) -> rows.Account:
        """Create an account.

        Raises:
            ConflictError: The name is taken.
            InvalidRequestError: The name cannot be one.
        """
        if not name.isprintable() or not name.strip() or len(name) > 254:
            raise InvalidRequestError(field="name", reason="not a name")
        account = rows.Account(
            id=self.clock.new_id(),
            name=name,
            password_hash=digests.hash_password(password) if password else None,
            created_at=self.clock.now(),
            closed_at=None,
        )
        if await self.database.read(lambda c: rows.find_account(c, name)) is not None:
            raise ConflictError(what="account")
        event = AuditEvent(
            name=AuditName.ACCOUNT_ADDED, actor="administrator", facts=(("account", account.id),)
        )

        def change(connection: Connection) -> None:
            rows.insert_account(connection, account)
            audit.append(connection, event, chain=self.chain, at=account.created_at)

        await self.database.write(change)
        return account

    async def issue_token(self, name: str, *, valid_for: timedelta | None = None) -> str:
        """Give an account a new bearer token; only its digest is kept.

        Raises:
            NotFoundError: There is no such account.
        """
        account = await self.database.read(lambda c: rows.find_account(c, name))
        if account is None or account.closed_at is not None:
            raise NotFoundError(what="account")
        token = digests.new_token(TOKEN_PREFIX)
        now = self.clock.now()
        expires_at: datetime | None = now + valid_for if valid_for else None
        event = AuditEvent(
            name=AuditName.TOKEN_ISSUED, actor="administrator", facts=(("account", account.id),)
        )

        def change(connection: Connection) -> None:
            rows.insert_token(
                connection,
                digest=digests.token_digest(token),
                account_id=account.id,
                at=now,
                expires_at=expires_at,
            )
            audit.append(connection, event, chain=self.chain, at=now)

        await self.database.write(change)
        return token

    async def list_accounts(self) -> list[rows.Account]:
        """List every account."""
        return await self.database.read(rows.list_accounts)

    async def _principal(self, account: rows.Account, means: str) -> AccountPrincipal:
        rights = await self.database.read(lambda c: mailboxes.rights_of(c, account.id))
        return AccountPrincipal(
            account_id=account.id, name=account.name, rights=rights, means=means
        )

    async def _refuse(self, host: str) -> None:
        event = AuditEvent(name=AuditName.LOGIN_REFUSED, actor="unknown", facts=(("host", host),))
        now = self.clock.now()
        await self.database.write(lambda c: audit.append(c, event, chain=self.chain, at=now))
