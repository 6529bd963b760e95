"""What is stored for a mailbox whose key only its client has?

A letter that is encrypted already stays as it came, octet for octet. Any other is encrypted for the
mailbox's certificate before it is stored, for that mailbox alone; its summary says what stands
outside. The verdict on a letter that this server could read is kept with it; what it could not
read is *unreadable*, and its reader's software judges it.

Errors
    `ProtectionImpossibleError` when the certificate is not, or no longer, good for that.
Sources
    docs/adr/0022.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from crypto import smime
from crypto.certificates import Certificate, parse_certificate
from crypto.errors import CryptoError
from crypto.kinds import Kind, is_encrypted
from directory.address import MailAddress
from mss.errors import ProtectionImpossibleError
from mss.mime.parse import ParsedMessage, parse_message
from mss.model.message import Summary
from mss.model.security import Security, Verdict
from mss.pipeline.protect import Protection
from mss.pipeline.submission import LocalRoute, RefusedRoute, Route

Summarise = Callable[[ParsedMessage], Summary]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCopy:
    """What one mailbox holds in place of what the other recipients' mailboxes hold."""

    raw: bytes = field(repr=False)
    summary: Summary
    security: Security


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKeys:
    """Makes the copies for mailboxes whose keys this server does not have."""

    protection: Protection

    def checked(self, route: Route) -> Route:
        """Refuse at RCPT what could not be stored: a certificate may have ended or been revoked."""
        if not isinstance(route, LocalRoute) or route.client_certificate is None:
            return route
        try:
            self.protection.validate(certificate_of(route.client_certificate))
        except CryptoError:
            reason = "mailbox-certificate-invalid"
            error = ProtectionImpossibleError(address=str(route.address), reason=reason)
            return RefusedRoute(address=route.address, error=error)
        return route

    async def copies(
        self,
        holders: Mapping[str, tuple[MailAddress, str]],
        *,
        raw: bytes,
        readable: bytes,
        security: Security,
        summarise: Summarise,
    ) -> dict[str, OwnCopy]:
        """Make a copy for each mailbox of *holders*.

        Args:
            holders: Normalised address to the address, and the certificate in PEM.
            raw: The letter as it came, with our trace.
            readable: The same as this server reads it; *raw* itself if it cannot.
            security: What the letter is worth.
            summarise: Makes the summary of what stands outside.
        """
        found: dict[str, OwnCopy] = {}
        for key, (address, pem) in holders.items():
            certificate = certificate_of(pem)
            if self._is_closed(raw, readable, security, certificate):
                sealed, judged = raw, _outside(security)
            else:
                sealed = await self.protection.seal_for_client(readable, address, certificate)
                judged = replace(security, encrypted=True)
            found[key] = OwnCopy(
                raw=sealed,
                summary=summarise(parse_message(sealed)),
                security=replace(judged, encrypted_for_client=True),
            )
        return found

    @staticmethod
    def _is_closed(
        raw: bytes, readable: bytes, security: Security, certificate: Certificate
    ) -> bool:
        """Tell whether a letter is to stay as it is: encrypted for its reader, or unreadable."""
        if security.verdict is Verdict.UNREADABLE:
            return True
        if readable == raw:
            return is_encrypted(raw)
        try:
            return smime.is_encrypted_for(raw, certificate)
        except CryptoError:
            return False


def certificate_of(pem: str) -> Certificate:
    """Read the certificate of a mailbox."""
    return parse_certificate(pem.encode())


def _outside(security: Security) -> Security:
    """Keep what is known without the key: the layers outside, and who handed the letter over."""
    kinds = [layer.kind for layer in security.layers]
    closed = Kind.ENCRYPTED.value
    count = kinds.index(closed) + 1 if closed in kinds else len(kinds)
    is_ours = security.verdict is Verdict.INTERNAL
    return Security(
        verdict=Verdict.INTERNAL if is_ours else Verdict.UNREADABLE,
        judged_at=security.judged_at,
        encrypted=True,
        peer_subject=security.peer_subject,
        layers=security.layers[:count],
    )


def holders_of(
    routes: Sequence[Route], sender: tuple[MailAddress, str] | None
) -> dict[str, tuple[MailAddress, str]]:
    """List the mailboxes of a letter whose keys their clients hold, the sender's own included."""
    found = {
        route.address.key: (route.address, route.client_certificate)
        for route in routes
        if isinstance(route, LocalRoute) and route.client_certificate is not None
    }
    if sender is not None:
        found.setdefault(sender[0].key, sender)
    return found
