"""Which person does a token of the identity provider (Pro Santé Connect) stand for?

A token is verified by its signature here, by asking the provider about it, or both, as the settings
say. The provider's keys are fetched by a task in the background and kept, so that a login waits for
the provider only when a key is new; a token that names a key nobody knows makes us look again, but
not more often than every few seconds. Tokens are never stored or logged: what the provider said of
one is remembered for a moment under its digest, in memory.

Errors
    `CredentialsRefusedError` with the reason; `IdentityProviderUnavailableError` when it cannot be
    told, which is no refusal: the same token may be good in a moment.
Sources
    RFC 7517, RFC 7662, RFC 8705, RFC 9068; référentiel #2, ECO.1.2.1 and ECO.1.2.5; docs/adr/0021.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from crypto import digests
from mss.accounts.claims import VouchedIdentity, check_claims
from mss.accounts.errors import CredentialsRefusedError
from mss.accounts.jwt import (
    SignedToken,
    SigningKey,
    TokenSignatureError,
    TokenSyntaxError,
    parse_keys,
    parse_token,
    verify_token,
)
from mss.accounts.provider_client import Endpoints, ProviderClient
from mss.clock import Clock
from mss.errors import IdentityProviderUnavailableError
from mss.settings import OidcSettings

LOOK_AGAIN_AFTER: Final = timedelta(seconds=5)
MAX_REMEMBERED: Final = 10_000
MAX_OPAQUE_TOKEN: Final = 16_384
_log = logging.getLogger("mss.oidc")


@dataclass(slots=True, kw_only=True)
class KeyRing:
    """The keys of the issuer, as last fetched."""

    client: ProviderClient
    clock: Clock
    settings: OidcSettings
    _keys: tuple[SigningKey, ...] = ()
    _fetched_at: datetime | None = None
    _tried_at: datetime | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def find(self, token: SignedToken) -> tuple[SigningKey, ...]:
        """Find the keys that may have signed this token, looking again when there is none.

        Raises:
            IdentityProviderUnavailableError: No keys could be fetched, or not for too long.
        """
        found = self._matching(token) if self._is_usable() else ()
        if found:
            return found
        async with self._turn:
            found = self._matching(token) if self._is_usable() else ()
            if not found and self._may_look():
                await self._fetch()
                found = self._matching(token)
        if not self._is_usable():
            raise IdentityProviderUnavailableError(reason="no-keys")
        return found

    async def refresh(self) -> None:
        """Fetch the keys again; those at hand stay when that fails."""
        async with self._turn:
            try:
                await self._fetch()
            except IdentityProviderUnavailableError as error:
                _log.warning("the identity provider's keys could not be fetched: %s", error.reason)

    def _is_usable(self) -> bool:
        kept = timedelta(seconds=self.settings.keys_kept_seconds)
        return self._fetched_at is not None and self.clock.now() - self._fetched_at < kept

    def _may_look(self) -> bool:
        return self._tried_at is None or self.clock.now() - self._tried_at >= LOOK_AGAIN_AFTER

    def _matching(self, token: SignedToken) -> tuple[SigningKey, ...]:
        """Without a name in the token, the issuer's only key for its algorithm is meant."""
        fitting = tuple(one for one in self._keys if one.may_sign(token.algorithm))
        if token.key_name is None:
            return fitting if len(fitting) == 1 else ()
        return tuple(one for one in fitting if one.name == token.key_name)

    async def _fetch(self) -> None:
        self._tried_at = self.clock.now()
        uri = (await self.client.find_endpoints()).jwks_uri
        try:
            keys = parse_keys(await self.client.fetch_keys(uri))
        except TokenSyntaxError:
            raise IdentityProviderUnavailableError(reason="key-set") from None
        if not keys:
            raise IdentityProviderUnavailableError(reason="key-set-empty")
        self._keys, self._fetched_at = keys, self.clock.now()


@dataclass(slots=True, kw_only=True)
class IdentityProvider:
    """Recognises people by the tokens of one issuer."""

    client: ProviderClient
    clock: Clock
    settings: OidcSettings
    keys: KeyRing
    _endpoints: Endpoints | None = None
    _remembered: OrderedDict[str, tuple[datetime, Mapping[str, object]]] = field(
        default_factory=OrderedDict
    )

    async def verify(self, token: str, *, fingerprint: str | None) -> VouchedIdentity:
        """Prove whom a token stands for.

        Args:
            token: As the client sent it.
            fingerprint: SHA-256 of the client certificate on this connection, hexadecimal.

        Raises:
            CredentialsRefusedError: It is not a good token, or not for us.
            IdentityProviderUnavailableError: That cannot be told now.
        """
        if self.settings.verification == "introspection":
            return await self._introspect(token, fingerprint)
        identity = await self._verify_signature(token, fingerprint)
        if self.settings.verification == "both":
            answered = await self._introspect(token, fingerprint)
            if answered.identity != identity.identity:
                raise CredentialsRefusedError(reason="token-identity")
        return identity

    @asynccontextmanager
    async def refreshing(self) -> AsyncIterator[None]:
        """Keep the keys fresh while the block lasts, and close the connections at its end."""
        task = asyncio.get_running_loop().create_task(self._refresh_for_ever())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.client.http.aclose()

    async def _refresh_for_ever(self) -> None:
        while self.settings.verification != "introspection":
            try:
                await self.keys.refresh()
            except Exception:  # noqa: BLE001 -- the task must live as long as the server
                _log.exception("looking for the identity provider's keys failed unexpectedly")
            await asyncio.sleep(self.settings.refresh_seconds)

    async def _verify_signature(self, text: str, fingerprint: str | None) -> VouchedIdentity:
        try:
            token = parse_token(text)
        except TokenSyntaxError:
            raise CredentialsRefusedError(reason="token-malformed") from None
        if token.algorithm not in self.settings.algorithms:
            raise CredentialsRefusedError(reason="token-algorithm")
        # Looked at before any key is fetched for it; believed only after the signature.
        if token.claims.get("iss") != self.settings.issuer:
            raise CredentialsRefusedError(reason="token-issuer")
        keys = await self.keys.find(token)
        try:
            claims = verify_token(token, keys, algorithms=self.settings.algorithms)
        except TokenSignatureError:
            raise CredentialsRefusedError(reason="token-signature") from None
        return self._check(claims, fingerprint)

    async def _introspect(self, token: str, fingerprint: str | None) -> VouchedIdentity:
        if not (token.isascii() and token.isprintable() and len(token) <= MAX_OPAQUE_TOKEN):
            raise CredentialsRefusedError(reason="token-malformed")
        answer = await self._ask_about(token)
        if answer["active"] is not True:
            raise CredentialsRefusedError(reason="token-inactive")
        return self._check(answer, fingerprint, is_from_issuer=True)

    def _check(
        self,
        claims: Mapping[str, object],
        fingerprint: str | None,
        *,
        is_from_issuer: bool = False,
    ) -> VouchedIdentity:
        """Check claims whose origin was proved: what is wrong with them may be said."""
        try:
            return check_claims(
                claims,
                rules=self.settings,
                now=self.clock.now(),
                fingerprint=fingerprint,
                is_from_issuer=is_from_issuer,
            )
        except CredentialsRefusedError as error:
            error.is_genuine = True
            raise

    async def _ask_about(self, token: str) -> Mapping[str, object]:
        """Ask the provider, or remember what it has just said."""
        digest, now = digests.token_digest(token), self.clock.now()
        known = self._remembered.get(digest)
        if known is not None and now < known[0]:
            return known[1]
        if self._endpoints is None:
            self._endpoints = await self.client.find_endpoints()
        answer = await self.client.introspect(self._endpoints.introspection_uri, token)
        kept_until = now + timedelta(seconds=self.settings.introspection_kept_seconds)
        self._remembered[digest] = (kept_until, answer)
        self._remembered.move_to_end(digest)
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return answer
