"""Readers with keys of every kind, and what opening a message may end in."""

from functools import cache

import pytest

from crypto import der, smime
from crypto.errors import CryptoError, DecryptionError
from crypto.issuing import CertificateProfile, Issued
from crypto.keys import SoftwareKeyHolder
from tests.support.envelopes import Authenticated, content_info, sealed_gcm, transport
from tests.support.pki import HOSPITAL, ISSUED_AT, the_pki
from tests.unit.crypto.forging import ENTITY


@cache
def reader(key: str = "p256") -> Issued:
    """A reader with a key of a kind."""
    return the_pki().authority.issue(
        CertificateProfile.CONFIDENTIALITY, HOSPITAL, at=ISSUED_AT, key=key
    )


@cache
def everybody() -> SoftwareKeyHolder:
    """A holder of a key of every kind."""
    holder = reader("p256").key_holder()
    for key in ("rsa2048", "p384", "p521", "x25519"):
        holder = holder.with_older(reader(key).key_holder())
    return holder


CURVE = reader("p256").certificate
RSA = reader("rsa2048").certificate


def opened(octets: bytes) -> smime.Decrypted:
    """Open a bare message as its readers would."""
    return smime.decrypt_cms(octets, keys=everybody())


def assert_undecryptable(octets: bytes) -> None:
    """A key was used: there is the one answer, and nothing behind it."""
    with pytest.raises(DecryptionError) as refusal:
        opened(octets)
    assert type(refusal.value) is DecryptionError
    assert str(refusal.value) == "undecryptable"
    assert refusal.value.__cause__ is None


def assert_refused(octets: bytes, error: type[CryptoError], reason: str) -> None:
    """Refused by its form, with this reason."""
    with pytest.raises(error) as refusal:
        opened(octets)
    assert getattr(refusal.value, "reason", "") == reason


def authenticated(*recipients: bytes) -> bytes:
    """The entity in an AuthEnvelopedData for these recipients."""
    return Authenticated(recipients=recipients, content=ENTITY).octets()


RECIPIENT = transport(RSA)
SEALED = sealed_gcm(ENTITY)


def structure(content_type: str, *members: bytes) -> bytes:
    """A message whose members after the one recipient are given."""
    return content_info(content_type, der.integer(0), der.encode(der.SET, RECIPIENT), *members)
