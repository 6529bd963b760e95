"""Does this message go round in circles?

It does when too many hosts have handled it, when we have handled it too often ourselves, or when it
was already delivered to the very mailbox that it is for and sent on from there.

Errors
    None: `True` is an answer.
Sources
    RFC 5321, 6.3 (loop detection); RFC 9228 (Delivered-To).
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from directory.address import MailAddress

HOPS: Final = 50
OWN_HOPS: Final = 5  # a letter between two domains of ours has one, and one more if it is sent on
_BY: Final = re.compile(r"(?:^|[\s)])by\s+([A-Za-z0-9.-]{1,255})", re.IGNORECASE)


def is_looping(
    *,
    received: Sequence[str],
    delivered_to: Iterable[str],
    host_name: str,
    recipients: Iterable[MailAddress],
) -> bool:
    """Tell whether a message is in a loop.

    Args:
        received: Values of the `Received` fields, topmost first.
        delivered_to: Values of `Delivered-To`.
        host_name: What we call ourselves in `Received`.
        recipients: Whom the message is for now.
    """
    if len(received) > HOPS:
        return True
    own = sum(1 for value in received if _host(value) == host_name.lower())
    if own >= OWN_HOPS:
        return True
    keys = {one.key for one in recipients}
    return any(value.strip().strip("<>").lower() in keys for value in delivered_to)


def _host(received: str) -> str:
    """Name the host that wrote a trace field."""
    match = _BY.search(received[:2000])
    return match[1].lower() if match else ""
