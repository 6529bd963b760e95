"""Put an entity in the form that is signed: CRLF at the end of every line.

A signature covers octets. Mail servers may turn a bare CR or LF into CRLF on the way, so a
signature over anything else would break. This suits entities of transfer encoding 7bit, 8bit,
quoted-printable or base64, which is all that we send; a *binary* body must be encoded first.

Sources
    RFC 8551, 3.1.1.
"""


def is_canonical(entity: bytes) -> bool:
    """Say whether every CR is followed by LF and every LF preceded by CR."""
    pairs = entity.count(b"\r\n")
    return entity.count(b"\n") == pairs and entity.count(b"\r") == pairs


def canonical(entity: bytes) -> bytes:
    """Return *entity* with every line ended by CRLF; itself if it was so already."""
    if is_canonical(entity):
        return entity
    return entity.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
