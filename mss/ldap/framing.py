"""Cut a stream of LDAP into messages.

Errors
    `LdapSyntaxError` for what cannot be a message or is larger than agreed; `EOFError` when the
    stream ends inside one; `ConnectionError` from below.
Sources
    RFC 4511, 5.1: a message is a SEQUENCE of definite length.
"""

import asyncio
from typing import Final

from crypto import der
from mss.ldap.filters import LdapSyntaxError

_LONG: Final = 0x80
_MAX_LENGTH_OCTETS: Final = 4


async def read_message(reader: asyncio.StreamReader, *, max_octets: int) -> bytes | None:
    """Read the octets of the next message; None when the other side has closed in between."""
    start = await reader.read(1)
    if not start:
        return None
    if start[0] != der.SEQUENCE:
        raise LdapSyntaxError("not-a-message")
    try:
        head = start + await reader.readexactly(1)
        if head[1] > _LONG:
            size = head[1] & 0x7F
            if size > _MAX_LENGTH_OCTETS:
                raise LdapSyntaxError("length")
            head += await reader.readexactly(size)
            length = int.from_bytes(head[2:], "big")
        elif head[1] == _LONG:
            raise LdapSyntaxError("indefinite-length")
        else:
            length = head[1]
        if length > max_octets:
            raise LdapSyntaxError("too-large")
        return head + await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise EOFError from error
