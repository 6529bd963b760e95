"""Which of an encrypted message's recipients does this key belong to, if its certificate is lost?

A message names certificates, and a key file says nothing of its own. Somebody who has a key and no
certificate can only try it on each recipient that it could be for. A stand-in certificate, made on
the spot and believed by nobody, lets the one path that opens messages do so, with all its rules.

For the administrator's desk only: a door never tries.

Errors
    None: a message that cannot be read, or no recipient of that kind of key, gives no trial.
Sources
    RFC 5652, 6.2 (recipients are named by issuer and serial number, or by key identifier).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding

from crypto import cms
from crypto.certificates import Certificate, parse_certificate
from crypto.cms_parts import IssuerAndSerial
from crypto.cms_recipients import KemRecipient, KeyAgreeRecipient, KeyTransRecipient, Recipient
from crypto.errors import CmsSyntaxError
from crypto.keys import PrivateKey, SoftwareKeyHolder

MAX_TRIALS: Final = 64
_BEGIN: Final = datetime(2000, 1, 1, tzinfo=UTC)
_NAME: Final = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "key without certificate")])


def trials(octets: bytes, keys: Sequence[PrivateKey]) -> Iterator[SoftwareKeyHolder]:
    """Give a key holder for each key and each recipient that it could be; at most `MAX_TRIALS`.

    Args:
        octets: A ContentInfo with an EnvelopedData or an AuthEnvelopedData.
        keys: Whose certificates are not at hand.
    """
    try:
        recipients = cms.parse_enveloped(octets).recipients
    except CmsSyntaxError:
        return
    fitting = ((key, each) for key in keys for each in recipients if _fits(key, each))
    for _, (key, recipient) in zip(range(MAX_TRIALS), fitting, strict=False):
        yield SoftwareKeyHolder([(_named(_stand_in(key), recipient), key)])


def _fits(key: PrivateKey, recipient: Recipient) -> bool:
    match key:
        case rsa.RSAPrivateKey():
            size = (key.key_size + 7) // 8
            return isinstance(recipient, KeyTransRecipient) and (
                len(recipient.encrypted_key) == size
            )
        case ec.EllipticCurvePrivateKey() | x25519.X25519PrivateKey():
            return isinstance(recipient, KeyAgreeRecipient)
        case mlkem.MLKEM768PrivateKey() | mlkem.MLKEM1024PrivateKey():
            return isinstance(recipient, KemRecipient)
        case _:
            return False


def _named(certificate: Certificate, recipient: Recipient) -> Certificate:
    """Give a stand-in the name by which the message knows the recipient."""
    name = recipient.identifier
    if isinstance(name, IssuerAndSerial):
        return replace(certificate, issuer_der=name.issuer, serial_der=name.serial)
    return replace(certificate, key_identifier=name.value)


@cache
def _signer() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _stand_in(key: PrivateKey) -> Certificate:
    """Make a certificate for *key*, signed by a key that nobody keeps."""
    made = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_BEGIN)
        .not_valid_after(_BEGIN + timedelta(days=1))
        .sign(_signer(), hashes.SHA256())
    )
    return parse_certificate(made.public_bytes(Encoding.DER))
