"""May whoever is connected write as this sender and this author?

A user writes as a mailbox on which they hold the right to send, in the envelope and in `From` alike
(KIM's rule, and ECO.2.2.7: the address is the authenticated mailbox's; the label is free). A peer
speaks for the domains that the trust list gives its certificate. Only peers and the server itself
use the null sender, and then only for reports and automatic answers (RFC 5321, 4.5.5).

Mail servers write their reports as `MAILER-DAEMON` of the host that they run on, not of the domain
that they serve. Under the null sender a peer may do so from a host below one of its domains, or
from the one that its listed certificate names; to refuse its report would leave the author of a
lost letter in the dark.
"""

from typing import Final

from directory.address import MailAddress
from directory.distinguished_name import DistinguishedName
from directory.errors import DistinguishedNameSyntaxError
from mss.errors import MSSError, PeerNotListedError, SenderNotAllowedError
from mss.model.principal import (
    AccountPrincipal,
    PeerPrincipal,
    Principal,
    Right,
    SystemPrincipal,
)

REPORTERS: Final = frozenset({"mailer-daemon", "postmaster"})


def sender_objection(principal: Principal, sender: MailAddress | None) -> MSSError | None:
    """Say why *principal* may not use this envelope sender; `None` when it may."""
    match principal:
        case SystemPrincipal():
            return None
        case AccountPrincipal():
            if sender is None:
                return SenderNotAllowedError(address="<>")
            if principal.has_right(sender.key, Right.SEND):
                return None
            return SenderNotAllowedError(address=str(sender))
        case PeerPrincipal():
            if sender is None or str(sender.domain) in principal.domains:
                return None
            return PeerNotListedError(domain=str(sender.domain), reason="sender-domain")


def author_objection(
    principal: Principal, *, sender: MailAddress | None, author: MailAddress
) -> MSSError | None:
    """Say why *principal* may not write a message with this `From`; `None` when it may."""
    match principal:
        case SystemPrincipal():
            return None
        case AccountPrincipal():
            if sender is not None and author.key == sender.key:
                return None
            return SenderNotAllowedError(address=str(author))
        case PeerPrincipal():
            if str(author.domain) in principal.domains:
                return None
            if sender is None and _is_their_reporter(principal, author):
                return None
            return PeerNotListedError(domain=str(author.domain), reason="author-domain")


def _is_their_reporter(peer: PeerPrincipal, author: MailAddress) -> bool:
    """Tell whether an author is no person, but a mail server of the peer that writes a report."""
    if author.local.lower() not in REPORTERS:
        return False
    host = str(author.domain)
    parents = {host[at + 1 :] for at, one in enumerate(host) if one == "."}
    return not parents.isdisjoint(peer.domains) or host == _host_name(peer)


def _host_name(peer: PeerPrincipal) -> str | None:
    """Read the host that the peer's certificate names."""
    try:
        name = DistinguishedName.parse(peer.subject).common_name
    except DistinguishedNameSyntaxError:
        return None
    return name.lower() if name else None
