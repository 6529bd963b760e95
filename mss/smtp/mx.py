"""The door for other operators: known by certificate, allowed what the trust list says.

A peer is recognised anew at each MAIL, because a connection may outlive a trust list, and for the
domain of that sender; the costly half of the judgement is remembered by the trust store.

Errors
    `PeerCertificateMissingError`, `PeerNotTrustedError`, `TrustListMissingError`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from crypto import tls
from crypto.certificates import Certificate
from crypto.errors import CertificateSyntaxError, UntrustedError
from crypto.tls import TlsEndpoint
from mss.errors import NotAuthenticatedError, PeerNotTrustedError
from mss.model.message import Origin
from mss.model.principal import AccountPrincipal, PeerPrincipal, Principal
from mss.smtp.auth import Credentials
from mss.smtp.door import Visitor
from mss.smtp.errors import PeerCertificateMissingError


class PeerJudge(Protocol):
    """What this door asks the trust space."""

    def judge_peer(
        self,
        certificate: Certificate,
        *,
        intermediates: Sequence[Certificate],
        domain: str | None,
        host: str,
    ) -> PeerPrincipal:
        """Recognise the operator behind a client certificate, or raise `MSSError`."""
        ...


def subject_of(endpoint: TlsEndpoint) -> str:
    """Name the certificate of the other side for the journal; empty when it showed none."""
    try:
        return tls.peer_certificate(endpoint).subject_text
    except (CertificateSyntaxError, UntrustedError):
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRules:
    """Operators send; nobody logs in."""

    trust: PeerJudge
    origin: Origin = Origin.PEER

    def mechanisms(
        self,
        endpoint: TlsEndpoint,  # noqa: ARG002 -- as the Protocol names it
    ) -> tuple[str, ...]:
        """Offer none."""
        return ()

    def identify(self, visitor: Visitor) -> Principal:
        """Recognise the operator by what it showed during the handshake."""
        try:
            certificate = tls.peer_certificate(visitor.tls)
        except UntrustedError:
            raise PeerCertificateMissingError(host=visitor.host) from None
        except CertificateSyntaxError as error:
            raise PeerNotTrustedError(domain="", reason=error.code) from error
        return self.trust.judge_peer(
            certificate,
            intermediates=tls.shown_intermediates(visitor.tls),
            domain=visitor.sender_domain,
            host=visitor.host,
        )

    async def authenticate(
        self,
        credentials: Credentials,  # noqa: ARG002 -- as the Protocol names it
        *,
        host: str,  # noqa: ARG002
        endpoint: TlsEndpoint,  # noqa: ARG002
    ) -> AccountPrincipal:
        """Refuse: no account is of any use here."""
        raise NotAuthenticatedError
