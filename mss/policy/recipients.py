"""Where may a recipient's mail go: to one of our mailboxes, to a trusted operator, or nowhere?

Mail from users goes to our own mailboxes and to domains of the trust list, never to the open
Internet. Mail from peers and reports from peers end here: we relay for nobody but our users
(and for ourselves).
"""

from enum import Enum


class Way(Enum):
    """Where one recipient's mail goes."""

    LOCAL = "local"
    RELAY = "relay"
    NO_SUCH_MAILBOX = "no-such-mailbox"
    NOT_TRUSTED = "not-trusted"


def way_of(
    *,
    is_our_domain: bool,
    has_open_mailbox: bool,
    is_trusted_domain: bool,
    is_known_elsewhere: bool | None,
    may_relay: bool,
) -> Way:
    """Decide for one recipient.

    Args:
        is_our_domain: The address is in a domain that we host.
        has_open_mailbox: We host an open mailbox at the address.
        is_trusted_domain: The trust list names the domain.
        is_known_elsewhere: The directory knows the mailbox; `None` when it cannot tell, because it
            knows no mailbox of that whole domain, or because the domain does not publish all.
        may_relay: Whoever asks may have mail carried to other operators.
    """
    if is_our_domain:
        return Way.LOCAL if has_open_mailbox else Way.NO_SUCH_MAILBOX
    if not may_relay or not is_trusted_domain:
        return Way.NOT_TRUSTED
    return Way.NO_SUCH_MAILBOX if is_known_elsewhere is False else Way.RELAY
