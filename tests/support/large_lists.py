"""Revocation lists of any size, signed at once; the library builds large ones for minutes."""

from datetime import datetime
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from crypto import der
from crypto.issuing import Issuer


def serial_number(number: int) -> int:
    """The serial number of the entry *number*: sixteen octets, in no order."""
    return int.from_bytes(sha256(str(number).encode()).digest()[:16], "big") >> 1


def a_large_list(issuer: Issuer, count: int, *, at: datetime) -> bytes:
    """Issue a list of *count* entries."""
    date = der.time(at)
    entries = b"".join(
        der.sequence(der.integer(serial_number(number)), date) for number in range(count)
    )
    fields = der.Fields(der.parse(issuer.crl(at)))
    members = [each.raw for each in fields.take(der.SEQUENCE).children()]
    algorithm = fields.take(der.SEQUENCE).raw
    signed = der.sequence(*members[:5], der.sequence(entries), *members[5:])
    assert isinstance(issuer.private_key, ec.EllipticCurvePrivateKey)
    signature = issuer.private_key.sign(signed, ec.ECDSA(hashes.SHA256()))
    return der.sequence(signed, algorithm, der.bit_string(signature))
