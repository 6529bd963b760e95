"""Turn credentials into a principal, or say no: the same no for every cause.

Passwords are hashed slowly and checked in a thread; our own tokens are 256 random bits and looked
up by their digest; the tokens of the identity provider and the certificates of software are judged
by their own modules. Unknown names cost as much as known ones, so that time tells nothing.

A person whom the identity provider vouches for holds the personal mailboxes with their number, and
what was delegated to the account of their identity; that account is made when they first come.

Errors
    `NotAuthenticatedError`, whatever was wrong; the reason goes to the journal and nowhere else.
    `IdentityProviderUnavailableError` when it cannot be told.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from crypto import digests
from crypto.certificates import Certificate
from directory.errors import DirectoryError
from directory.identifiers import NationalPersonId
from mss.accounts.errors import CredentialsRefusedError
from mss.accounts.oidc import IdentityProvider
from mss.accounts.software import judge_software, parse_certificate_name
from mss.clock import Clock
from mss.errors import ConflictError, InvalidRequestError, NotAuthenticatedError, NotFoundError
from mss.model.audit import AuditEvent, AuditName
from mss.model.principal import AccountPrincipal, Right
from mss.store import accounts as rows
from mss.store import audit, mailboxes
from mss.store.engine import Connection, Database
from mss.trust_space import TrustSpace

Rights = dict[str, frozenset[Right]]
TOKEN_PREFIX = "mss"  # noqa: S105 -- makes leaked tokens easy to find, and is no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Everybody who logs in.

    Attributes:
        provider: Whose tokens open mailboxes as well; `None` for nobody's.
        space: Judges the certificates of software; `None` to know none.
        session: How long a connection lasts after a login by token, which itself is soon over.
    """

    database: Database
    clock: Clock
    chain: str
    provider: IdentityProvider | None = None
    space: TrustSpace | None = None
    session: timedelta = field(default=timedelta(hours=4))

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

    async def authenticate_token(
        self, token: str, *, host: str, certificate: Certificate | None = None
    ) -> AccountPrincipal:
        """Recognise an account by a bearer token: ours, or the identity provider's.

        Args:
            token: As it came.
            host: From where, for the journal.
            certificate: What the client showed on this connection; a token may be bound to it.

        Raises:
            NotAuthenticatedError: It opens nothing here.
            IdentityProviderUnavailableError: That cannot be told now.
        """
        provider = self.provider
        if provider is None or token.startswith(f"{TOKEN_PREFIX}_"):
            return await self._by_own_token(token, host)
        fingerprint = certificate.fingerprint if certificate else None
        try:
            vouched = await provider.verify(token, fingerprint=fingerprint)
            return await self._person(vouched.identity)
        except CredentialsRefusedError as error:
            await self._refuse(host, reason=error.reason, identity=error.identity)
            raise

    async def authenticate_certificate(
        self, certificate: Certificate, *, host: str
    ) -> AccountPrincipal:
        """Recognise software by the certificate that it showed during the TLS handshake."""
        try:
            return await self._software(certificate)
        except CredentialsRefusedError as error:
            await self._refuse(host, reason=error.reason)
            raise

    def is_over(self, principal: AccountPrincipal) -> bool:
        """Tell whether a connection has outlived its login."""
        return principal.until is not None and self.clock.now() >= principal.until

    async def add(
        self,
        name: str,
        *,
        password: str | None,
        identity: str | None = None,
        certificate_name: str | None = None,
    ) -> rows.Account:
        """Create an account.

        Args:
            name: What it logs in with, and is called by.
            password: `None` for an account that logs in otherwise.
            identity: National identifier (`8` and the RPPS number) of the person whom the identity
                provider vouches for.
            certificate_name: Subject of the software's certificate, RFC 4514.

        Raises:
            ConflictError: The name, the identity or the certificate has an account.
            InvalidRequestError: One of them cannot be one.
        """
        if not name.isprintable() or not name.strip() or len(name) > 254:
            raise InvalidRequestError(field="name", reason="not a name")
        account = rows.Account(
            id=self.clock.new_id(),
            name=name,
            password_hash=digests.hash_password(password) if password else None,
            identity=None if identity is None else _checked_identity(identity),
            certificate_name=certificate_name and parse_certificate_name(certificate_name),
            created_at=self.clock.now(),
            closed_at=None,
        )
        if await self.database.read(lambda c: rows.is_taken(c, account)):
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

    async def _by_own_token(self, token: str, host: str) -> AccountPrincipal:
        account, now = None, self.clock.now()
        if token.isascii():  # as all of ours are
            digest = digests.token_digest(token)
            account = await self.database.read(lambda c: rows.find_by_token(c, digest, now=now))
        if account is None:
            await self._refuse(host)
            raise NotAuthenticatedError
        return await self._principal(account, "token")

    async def _person(self, identity: NationalPersonId) -> AccountPrincipal:
        """Find what a person holds here; they get an account when they first come."""
        account = await self.database.read(lambda c: rows.find_by_identity(c, identity))
        if account is not None and account.closed_at is not None:
            raise CredentialsRefusedError(
                reason="account-closed", identity=identity, is_genuine=True
            )
        rpps = identity.rpps
        own = await self.database.read(lambda c: mailboxes.rights_of_holder(c, rpps or ""))
        if account is None:
            if not own:
                raise CredentialsRefusedError(
                    reason="no-mailbox", identity=identity, is_genuine=True
                )
            account = await self._make_account(identity)
        principal = await self._principal(
            account, "identity-provider", own=own, until=self.clock.now() + self.session
        )
        if not principal.rights:
            raise CredentialsRefusedError(reason="no-mailbox", identity=identity, is_genuine=True)
        return principal

    async def _make_account(self, identity: NationalPersonId) -> rows.Account:
        made = rows.Account(
            id=self.clock.new_id(),
            name=f"identity:{identity}",
            password_hash=None,
            created_at=self.clock.now(),
            closed_at=None,
            identity=identity,
        )
        event = AuditEvent(
            name=AuditName.ACCOUNT_ADDED,
            actor="identity-provider",
            facts=(("account", made.id),),
        )

        def change(connection: Connection) -> rows.Account:
            account, is_new = rows.ensure_account(connection, made)
            if is_new:
                audit.append(connection, event, chain=self.chain, at=made.created_at)
            return account

        return await self.database.write(change)

    async def _software(self, certificate: Certificate) -> AccountPrincipal:
        space = self.space
        if space is None:
            raise CredentialsRefusedError(reason="certificates-unknown")
        # Judged in a thread: a long revocation list may be read for it.
        name = await asyncio.to_thread(
            judge_software, certificate, space=space, at=self.clock.now()
        )
        account = await self.database.read(lambda c: rows.find_by_certificate(c, name))
        if account is None or account.closed_at is not None:
            raise CredentialsRefusedError(reason="no-account")
        return await self._principal(account, "certificate")

    async def _principal(
        self,
        account: rows.Account,
        means: str,
        *,
        own: Rights | None = None,
        until: datetime | None = None,
    ) -> AccountPrincipal:
        rights = await self.database.read(lambda c: mailboxes.rights_of(c, account.id))
        for key, held in (own or {}).items():
            rights[key] = rights.get(key, frozenset()) | held
        return AccountPrincipal(
            account_id=account.id, name=account.name, rights=rights, means=means, until=until
        )

    async def _refuse(self, host: str, *, reason: str = "", identity: str = "") -> None:
        facts = (("host", host), ("reason", reason), ("identity", identity))
        event = AuditEvent(
            name=AuditName.LOGIN_REFUSED,
            actor="unknown",
            facts=tuple((name, value) for name, value in facts if value),
        )
        now = self.clock.now()
        await self.database.write(lambda c: audit.append(c, event, chain=self.chain, at=now))


def _checked_identity(text: str) -> str:
    """Read an identifier that somebody typed: a wrong digit would be somebody else."""
    try:
        return NationalPersonId.parse_checked(text)
    except DirectoryError as error:
        raise InvalidRequestError(field="identity", reason=str(error)) from error
