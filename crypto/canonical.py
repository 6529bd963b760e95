"""Put an entity in the form that is signed: CRLF at the end of every line.

A signature covers octets. Mail servers may turn a bare CR or LF into CRLF on the way, so a
signature over anything else would break. This suits entities of transfer encoding 7bit, 8bit,
quoted-printable or base64, which is all that we send; a *binary* body must be encoded first.

Sources
    RFC 8551, 3.1.1.
"""

from typing import Final

_NOT_LINE_ENDS: Final = bytes(octet for octet in range(256) if octet not in b"\r\n")


def is_canonical(entity: bytes) -> bool:
    """Say whether every CR is followed by LF and every LF preceded by CR."""
    return len(entity.translate(None, _NOT_LINE_ENDS)) == 2 * entity.count(b"\r\n")


def canonical(entity: bytes) -> bytes:
    """Return *entity* with every line ended by CRLF; itself if it was so already."""
    if is_canonical(entity):
        return entity
    return entity.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
