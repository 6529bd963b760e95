"""Put an entity in the form that is signed: CRLF at the end of every line.

A signature covers octets. Mail servers may turn a bare CR or LF into CRLF on the way, so a
signature over anything else would break. This suits entities of transfer encoding 7bit, 8bit,
quoted-printable or base64, which is all that we send; a *binary* body must be encoded first.

Sources
    RFC 8551, 3.1.1.
"""

from collections.abc import Iterator
from typing import Final

_NOT_LINE_ENDS: Final = bytes(octet for octet in range(256) if octet not in b"\r\n")
# A letter of 25 MB is looked at in parts, so that other threads get a turn in between.
_WINDOW_OCTETS: Final = 1024 * 1024


def is_canonical(entity: bytes) -> bool:
    """Say whether every CR is followed by LF and every LF preceded by CR."""
    return all(
        len(part.translate(None, _NOT_LINE_ENDS)) == 2 * part.count(b"\r\n")
        for part in _windows(entity)
    )


def _windows(entity: bytes) -> Iterator[bytes]:
    """Cut octets into parts, never after a CR whose LF may be next."""
    start = 0
    while start < len(entity):
        stop = start + _WINDOW_OCTETS
        stop += entity[stop - 1 : stop] == b"\r"
        yield entity[start:stop]
        start = stop


def canonical(entity: bytes) -> bytes:
    """Return *entity* with every line ended by CRLF; itself if it was so already."""
    if is_canonical(entity):
        return entity
    return entity.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
