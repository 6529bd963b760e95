"""Whom does a genuine token speak for, and is it meant for us, now?

Pure: claims, rules and an instant in; an identity out. A token is never refused for having been
issued long ago while it lasts: Pro Santé Connect's lasts about two minutes, and clocks differ.

Units
    Instants in claims are seconds since 1970, fractions allowed; ours are aware UTC.
Errors
    `CredentialsRefusedError` with the reason.
Sources
    RFC 7519, 4.1; RFC 9068 (access tokens); RFC 8705, 3.1 (`cnf`, `x5t#S256`); ANS, sécurisation du
    transport des API REST, whose examples write the thumbprint as base64 of hexadecimal digits.
"""

import hmac
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from directory.errors import DirectoryError
from directory.identifiers import NationalPersonId
from mss.accounts.errors import CredentialsRefusedError
from mss.settings import OidcSettings

_LAST_SECOND: Final = 253_402_300_799  # of the year 9999


@dataclass(frozen=True, slots=True, kw_only=True)
class VouchedIdentity:
    """A person that the identity provider vouches for.

    Attributes:
        identity: National identifier, prefix included: `8` and the RPPS number.
        client: The software that the token was issued to, as the provider names it.
    """

    identity: NationalPersonId
    client: str
    expires_at: datetime


def check_claims(
    claims: Mapping[str, object],
    *,
    rules: OidcSettings,
    now: datetime,
    fingerprint: str | None,
    is_from_issuer: bool = False,
) -> VouchedIdentity:
    """Read the identity out of claims whose origin was proved.

    Args:
        claims: Of a token whose signature holds, or of the provider's own answer about it.
        rules: Issuer, audiences and what else the settings pin.
        now: The instant to judge at.
        fingerprint: SHA-256 of the client certificate on this connection, hexadecimal.
        is_from_issuer: True for the provider's own answer, which need not name itself.

    Raises:
        CredentialsRefusedError: They are not for us, not of now, or name nobody.
    """
    if claims.get("iss") != rules.issuer and not (is_from_issuer and "iss" not in claims):
        raise CredentialsRefusedError(reason="token-issuer")
    # The same keys also sign identity and logout tokens, which open nothing.
    if str(claims.get("typ", "bearer")).lower() != "bearer":
        raise CredentialsRefusedError(reason="token-type")
    expires_at = _check_times(claims, leeway=rules.leeway_seconds, now=now)
    _check_audience(claims, rules)
    client = _check_client(claims, rules)
    _check_binding(claims, rules, fingerprint)
    return VouchedIdentity(
        identity=_identity(claims.get(rules.identity_claim)), client=client, expires_at=expires_at
    )


def _check_times(claims: Mapping[str, object], *, leeway: float, now: datetime) -> datetime:
    present = now.timestamp()
    expires = _seconds(claims, "exp")
    if expires is None:
        raise CredentialsRefusedError(reason="token-endless")
    if present >= expires + leeway:
        raise CredentialsRefusedError(reason="token-expired")
    for name in ("nbf", "iat"):
        begins = _seconds(claims, name)
        if begins is not None and present + leeway < begins:
            raise CredentialsRefusedError(reason="token-not-yet-valid")
    return datetime.fromtimestamp(expires, UTC)


def _seconds(claims: Mapping[str, object], name: str) -> float | None:
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CredentialsRefusedError(reason="token-times")
    if not 0 <= value <= _LAST_SECOND:  # nor infinite, nor no number at all
        raise CredentialsRefusedError(reason="token-times")
    return float(value)


def _check_audience(claims: Mapping[str, object], rules: OidcSettings) -> None:
    if not rules.audiences:
        return
    named = claims.get("aud")
    audiences = [named] if isinstance(named, str) else named
    if not isinstance(audiences, list) or not set(rules.audiences) & {
        one for one in audiences if isinstance(one, str)
    }:
        raise CredentialsRefusedError(reason="token-audience")


def _check_client(claims: Mapping[str, object], rules: OidcSettings) -> str:
    named = [claims[name] for name in ("azp", "client_id") if name in claims]
    clients = {one for one in named if isinstance(one, str)}
    if len(clients) > 1 or len(clients) < len(set(map(str, named))):
        raise CredentialsRefusedError(reason="token-client")
    client = next(iter(clients), "")
    if rules.clients and client not in rules.clients:
        raise CredentialsRefusedError(reason="token-client")
    return client


def _check_binding(
    claims: Mapping[str, object], rules: OidcSettings, fingerprint: str | None
) -> None:
    """Let pass a token that is bound to no certificate, or to the one on this connection."""
    if "cnf" not in claims:
        return
    confirmation = claims["cnf"]
    thumbprint = confirmation.get("x5t#S256") if isinstance(confirmation, dict) else None
    if not isinstance(thumbprint, str):
        raise CredentialsRefusedError(reason="token-binding")  # bound to what we cannot see
    if fingerprint is None:
        if rules.certificate_binding == "require":
            raise CredentialsRefusedError(reason="token-certificate-missing")
        return
    given = thumbprint.encode("utf-8", "replace").rstrip(b"=")
    if not any(hmac.compare_digest(given, one) for one in _thumbprints(fingerprint)):
        raise CredentialsRefusedError(reason="token-certificate")


def _thumbprints(fingerprint: str) -> Iterator[bytes]:
    """Spell a thumbprint in the ways that are in use, without padding."""
    digest = bytes.fromhex(fingerprint)
    for octets in (digest, fingerprint.lower().encode("ascii")):
        yield urlsafe_b64encode(octets).rstrip(b"=")
        yield b64encode(octets).rstrip(b"=")


def _identity(value: object) -> NationalPersonId:
    if not isinstance(value, str):
        raise CredentialsRefusedError(reason="token-identity")
    try:
        return NationalPersonId.parse(value)
    except DirectoryError:
        raise CredentialsRefusedError(reason="token-identity") from None
