"""The door for our users and their software: they log in, then send from mailboxes they hold.

A person shows a password of ours or a token of the identity provider; software of an application
mailbox shows the certificate of its structure. A token opens the connection and is then forgotten:
it lasts two minutes, a connection a few hours at most.

Errors
    `NotAuthenticatedError` for any wrong credentials, `TooManyFailuresError` for a host or a name
    that fails too often; the second is temporary and nothing is checked meanwhile.
    `IdentityProviderUnavailableError` when a token cannot be judged, which is temporary too.
Sources
    RFC 4954 (AUTH), RFC 6409 (submission), RFC 8314 (TLS from the first octet).
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final, Protocol, assert_never

from crypto import tls as tls_endpoints
from crypto.certificates import Certificate
from crypto.errors import CertificateSyntaxError, UntrustedError
from crypto.tls import TlsEndpoint
from directory.address import MailAddress
from directory.errors import AddressSyntaxError
from mss.accounts.errors import CredentialsRefusedError
from mss.accounts.throttling import LoginThrottle
from mss.errors import NotAuthenticatedError
from mss.model.message import Origin
from mss.model.principal import AccountPrincipal, Principal
from mss.smtp import replies
from mss.smtp.auth import (
    MECHANISMS,
    BearerCredentials,
    Credentials,
    ExternalCredentials,
    PasswordCredentials,
)
from mss.smtp.door import Visitor
from mss.smtp.errors import ConversationError, HangUpError

_EXTERNAL: Final = "EXTERNAL"


class Authenticator(Protocol):
    """What this door asks about credentials; every method raises `MSSError` to refuse."""

    async def authenticate_password(
        self, name: str, password: str, *, host: str
    ) -> AccountPrincipal:
        """Recognise an account by name and password."""
        ...

    async def authenticate_token(
        self, token: str, *, host: str, certificate: Certificate | None = None
    ) -> AccountPrincipal:
        """Recognise an account by a bearer token, ours or the identity provider's."""
        ...

    async def authenticate_certificate(
        self, certificate: Certificate, *, host: str
    ) -> AccountPrincipal:
        """Recognise software by its certificate."""
        ...

    def is_over(self, principal: AccountPrincipal) -> bool:
        """Tell whether a connection has outlived its login."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionRules:
    """Accounts log in and send."""

    accounts: Authenticator
    throttle: LoginThrottle = field(default_factory=LoginThrottle)
    origin: Origin = Origin.SUBMISSION

    def mechanisms(self, endpoint: TlsEndpoint) -> tuple[str, ...]:
        """Offer EXTERNAL to those who showed a certificate, the others to everybody."""
        names = tuple(name for name in MECHANISMS if name != _EXTERNAL)
        return names if _certificate(endpoint) is None else (_EXTERNAL, *names)

    def identify(self, visitor: Visitor) -> Principal:
        """Say who logged in on this connection."""
        if visitor.account is None:
            raise ConversationError(replies.AUTH_FIRST)
        if self.accounts.is_over(visitor.account):
            raise HangUpError(replies.SESSION_OVER)
        return visitor.account

    async def authenticate(
        self, credentials: Credentials, *, host: str, endpoint: TlsEndpoint
    ) -> AccountPrincipal:
        """Check credentials, unless this host or this name has failed too often."""
        now = asyncio.get_running_loop().time()
        self.throttle.check(host, name=credentials.name, now=now)
        try:
            account = await self._authenticate(credentials, host, _certificate(endpoint))
        except NotAuthenticatedError as error:
            # A genuine token that is over, or opens no mailbox, is nobody's guess.
            if not (isinstance(error, CredentialsRefusedError) and error.is_genuine):
                self.throttle.failed(host, name=credentials.name, now=now)
            raise
        self.throttle.succeeded(host, name=credentials.name)
        return account

    async def _authenticate(
        self, credentials: Credentials, host: str, certificate: Certificate | None
    ) -> AccountPrincipal:
        match credentials:
            case PasswordCredentials(name=name, password=password):
                return await self.accounts.authenticate_password(name, password, host=host)
            case BearerCredentials(name=name, token=token):
                account = await self.accounts.authenticate_token(
                    token, host=host, certificate=certificate
                )
            case ExternalCredentials(name=name):
                if certificate is None:
                    raise CredentialsRefusedError(reason="certificate-missing")
                account = await self.accounts.authenticate_certificate(certificate, host=host)
            case _:
                assert_never(credentials)
        if name and not _is_named(account, name):
            raise CredentialsRefusedError(reason="mailbox-not-held", is_genuine=True)
        return account


def refusal_reason(error: NotAuthenticatedError) -> str:
    """Say what software may know about a refused token: nothing, unless the token was genuine."""
    if isinstance(error, CredentialsRefusedError) and error.is_genuine:
        return error.reason
    return "token-invalid"


def _certificate(endpoint: TlsEndpoint) -> Certificate | None:
    """Take the certificate that the client showed, if it showed one that can be read."""
    try:
        return tls_endpoints.peer_certificate(endpoint)
    except (CertificateSyntaxError, UntrustedError):
        return None


def _is_named(account: AccountPrincipal, name: str) -> bool:
    """Tell whether a client names the account, or one of the mailboxes that it holds."""
    if name.casefold() == account.name.casefold():
        return True
    try:
        return MailAddress.parse(name).key in account.rights
    except AddressSyntaxError:
        return False
