"""May whoever is connected write as this sender and this author?

A user writes as a mailbox on which they hold the right to send, in the envelope and in `From` alike
(KIM's rule, and ECO.2.2.7: the address is the authenticated mailbox's; the label is free). A peer
speaks for the domains that the trust list gives its certificate. Only peers and the server itself
use the null sender, and then only for reports and automatic answers (RFC 5321, 4.5.5).
"""

from directory.address import MailAddress
from mss.errors import MSSError, PeerNotListedError, SenderNotAllowedError
from mss.model.principal import (
    AccountPrincipal,
    PeerPrincipal,
    Principal,
    Right,
    SystemPrincipal,
)


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
            return PeerNotListedError(domain=str(author.domain), reason="author-domain")
