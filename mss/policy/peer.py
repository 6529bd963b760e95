"""Why is this peer not believed for this domain?

A peer is judged three times: by OpenSSL in the handshake, by the rules for certificates, and by the
trust list. Each judgement that fails has its own permanent code, in both directions, so that the
administrator of the other side knows what to mend (the national audit plays each of them).

Shapes
    An *objection* is an error ready to be raised, or `None`.
    `differs` means that the name is listed nowhere, but one listed for the domain has the same
    structure (OU) or the same host (CN): an entry that was not mended, not a stranger.
Sources
    The audit domains of the national trust list; docs/adr/0007 and docs/adr/0018.
"""

from collections.abc import Iterable
from typing import Final

from crypto.errors import CryptoError, ExpiredError, IndeterminateError, RevokedError
from crypto.tls import HandshakeFault
from directory.distinguished_name import DistinguishedName
from mss.errors import (
    MSSError,
    PeerExpiredError,
    PeerForeignAuthorityError,
    PeerNameDiffersError,
    PeerNotListedError,
    PeerNotTrustedError,
    PeerRevocationUnknownError,
    PeerRevokedError,
    PeerWrongUseError,
    TlsHandshakeError,
    TlsVersionError,
)

_WRONG_USE: Final = frozenset({"key-usage", "extended-key-usage", "authority-as-leaf"})
_NO_PATH: Final = frozenset({"no-path"})
_FAULTS: Final[dict[HandshakeFault, type[PeerNotTrustedError]]] = {
    HandshakeFault.FOREIGN_AUTHORITY: PeerForeignAuthorityError,
    HandshakeFault.EXPIRED: PeerExpiredError,
    HandshakeFault.REVOKED: PeerRevokedError,
    HandshakeFault.WRONG_USE: PeerWrongUseError,
    HandshakeFault.CERTIFICATE_INVALID: PeerNotTrustedError,
}
_TOO_OLD: Final = frozenset({HandshakeFault.VERSION, HandshakeFault.SUITE})


def certificate_objection(error: CryptoError, *, domain: str = "") -> PeerNotTrustedError:
    """Say what it means for a peer that its certificate does not hold."""
    reason = str(getattr(error, "reason", "")) or error.code
    if isinstance(error, RevokedError):
        return PeerRevokedError(domain=domain, reason=reason)
    if isinstance(error, ExpiredError):
        return PeerExpiredError(domain=domain, reason=reason)
    if isinstance(error, IndeterminateError):
        return PeerRevocationUnknownError(domain=domain, reason=reason)
    if reason in _WRONG_USE:
        return PeerWrongUseError(domain=domain, reason=reason)
    if reason in _NO_PATH:
        return PeerForeignAuthorityError(domain=domain, reason=reason)
    return PeerNotTrustedError(domain=domain, reason=reason)


def handshake_objection(fault: HandshakeFault, *, domain: str = "") -> MSSError:
    """Say what it means for a peer that the handshake failed."""
    kind = _FAULTS.get(fault)
    if kind is not None:
        return kind(domain=domain, reason=fault.value)
    if fault in _TOO_OLD:
        return TlsVersionError(reason=fault.value)
    return TlsHandshakeError(reason=fault.value)


def name_objection(
    name: DistinguishedName,
    *,
    domain: str,
    listed: Iterable[DistinguishedName],
    is_listed_elsewhere: bool,
) -> PeerNotTrustedError | None:
    """Say why a certificate of this name may not speak for a domain; `None` when it may.

    Args:
        name: The subject of a certificate that holds.
        domain: The domain of the envelope sender, of the author, or of the recipient.
        listed: The names that the trust list has for exactly this domain.
        is_listed_elsewhere: The trust list has the name for some other domain.
    """
    names = tuple(listed)
    if name in names:
        return None
    if is_listed_elsewhere:
        return PeerNotListedError(domain=domain, reason="listed-for-other-domains")
    near = [one for one in names if _is_near(name, one)]
    if near:
        closest = min(
            (name.differences(one) for one in near), key=lambda found: (len(found), found)
        )
        return PeerNameDiffersError(domain=domain, reason=",".join(closest).lower())
    return PeerNotListedError(domain=domain, reason="name-unknown" if names else "domain-unknown")


def _is_near(name: DistinguishedName, other: DistinguishedName) -> bool:
    return any(name.normal_values_of(kind) & other.normal_values_of(kind) for kind in ("CN", "OU"))
