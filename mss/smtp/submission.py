"""The door for our users and their software: they log in, then send from mailboxes they hold.

Errors
    `NotAuthenticatedError` for any wrong credentials, `TooManyFailuresError` for a host that keeps
    guessing; the second is temporary and nothing is checked meanwhile.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Protocol, assert_never

from mss.errors import NotAuthenticatedError, TooManyFailuresError
from mss.model.message import Origin
from mss.model.principal import AccountPrincipal, Principal
from mss.smtp import replies
from mss.smtp.auth import MECHANISMS, BearerCredentials, Credentials, PasswordCredentials
from mss.smtp.door import Visitor, network_of
from mss.smtp.errors import ConversationError

# A whole hospital may stand behind one address, so this slows guessing down without locking out.
MAX_FAILURES: Final = 20
FORGET_SECONDS: Final = 300.0
MAX_HOSTS: Final = 10_000


class Authenticator(Protocol):
    """What this door asks about credentials; every method raises `MSSError`."""

    async def authenticate_password(
        self, name: str, password: str, *, host: str
    ) -> AccountPrincipal:
        """Recognise an account by name and password."""
        ...

    async def authenticate_token(self, token: str, *, host: str) -> AccountPrincipal:
        """Recognise an account by a bearer token."""
        ...


@dataclass(slots=True)
class FailureCount:
    """Remembers which hosts gave wrong credentials lately; bounded.

    Units
        Instants are seconds of a monotonic clock.
    """

    _hosts: OrderedDict[str, tuple[int, float]] = field(default_factory=OrderedDict)

    def check(self, host: str, *, now: float) -> None:
        """Raise `TooManyFailuresError` for a host that must wait."""
        if self._recent(network_of(host), now) >= MAX_FAILURES:
            raise TooManyFailuresError

    def add(self, host: str, *, now: float) -> None:
        """Count one more failure."""
        network = network_of(host)
        count = self._recent(network, now) + 1
        self._hosts[network] = (count, now)
        self._hosts.move_to_end(network)
        if len(self._hosts) > MAX_HOSTS:
            self._hosts.popitem(last=False)

    def _recent(self, network: str, now: float) -> int:
        count, last = self._hosts.get(network, (0, now))
        return count if now - last < FORGET_SECONDS else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionRules:
    """Accounts log in and send."""

    accounts: Authenticator
    failures: FailureCount = field(default_factory=FailureCount)
    origin: Origin = Origin.SUBMISSION
    mechanisms: tuple[str, ...] = tuple(MECHANISMS)

    def identify(self, visitor: Visitor) -> Principal:
        """Say who logged in on this connection."""
        if visitor.account is None:
            raise ConversationError(replies.AUTH_FIRST)
        return visitor.account

    async def authenticate(self, credentials: Credentials, *, host: str) -> AccountPrincipal:
        """Check credentials, unless this host has failed too often."""
        now = asyncio.get_running_loop().time()
        self.failures.check(host, now=now)
        try:
            return await self._authenticate(credentials, host=host)
        except NotAuthenticatedError:
            self.failures.add(host, now=now)
            raise

    async def _authenticate(self, credentials: Credentials, *, host: str) -> AccountPrincipal:
        match credentials:
            case PasswordCredentials(name=name, password=password):
                return await self.accounts.authenticate_password(name, password, host=host)
            case BearerCredentials(name=name, token=token):
                account = await self.accounts.authenticate_token(token, host=host)
                if not _is_named(account, name):
                    raise NotAuthenticatedError
                return account
            case _:
                assert_never(credentials)


def _is_named(account: AccountPrincipal, name: str) -> bool:
    """Tell whether a client names the account of its token, or one of the account's mailboxes."""
    return name.casefold() == account.name.casefold() or name.lower() in account.rights
