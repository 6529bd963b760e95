"""Whole letters as they are sent: MIME around CMS, three layers, twenty-five megabytes."""

import io
from hashlib import sha256

import pytest

from crypto import smime, smime_stream
from crypto.entity import read_entity
from crypto.flow import Flow, of_octets
from crypto.recipient_info import EnvelopeProfile
from crypto.smime_stream import SignedForm
from tests.interop.crypto.identities import AT, Identities, Identity
from tests.interop.crypto.letters import ENTITY, cms_of, signed_entity
from tests.interop.crypto.matrix import Matrix
from tests.interop.crypto.peers.openssl import OpenSsl
from tests.interop.crypto.peers.ports import Peer, PeerRefusedError
from tests.interop.crypto.reading import read

pytestmark = [pytest.mark.interop, pytest.mark.slow]

A, B = EnvelopeProfile.MODERN, EnvelopeProfile.COMPATIBLE
LARGE_OCTETS = 25 * 1024 * 1024
OTHER_READERS = 19


@pytest.mark.parametrize("signer", ["alice-rsa", "alice-p256", "alice-p384"])
@pytest.mark.parametrize("form", list(SignedForm))
def test_the_mime_around_a_signature_is_understood(
    form: SignedForm, signer: str, openssl: OpenSsl, identities: Identities
) -> None:
    """Boundaries, parameters and transfer encodings, not only the CMS inside."""
    entity = signed_entity(identities[signer], ENTITY, form=form)

    assert openssl.verify_entity(entity) == ENTITY


@pytest.mark.parametrize("profile", [A, B])
def test_a_triple_wrap_is_unwrapped_layer_by_layer(
    profile: EnvelopeProfile, openssl: OpenSsl, identities: Identities, matrix: Matrix
) -> None:
    """Signed inside for the reader, and outside for the gateways on the way."""
    reader = identities["bob-rsa"]
    inner = signed_entity(identities["alice-p256"], ENTITY)
    closed = smime.encrypt(inner, recipients=[reader.issued.certificate], profile=profile)
    outer = signed_entity(identities["alice-rsa"], closed)

    inside = openssl.decrypt_entity(openssl.verify_entity(outer), reader)
    content = openssl.verify_entity(inside)
    matrix.record(
        "Unwraps whole letters", f"triple wrap, {profile.value}", openssl.name,
        seen=content == ENTITY, expected=True,
    )  # fmt: skip

    assert inside == inner
    assert content == ENTITY


@pytest.mark.parametrize("peer", ["OpenSSL", "BouncyCastle"], indirect=True)
def test_peers_notice_when_a_ciphertext_was_changed(peer: Peer, identities: Identities) -> None:
    """The tag that we write is one that they check."""
    reader = identities["bob-p256"]
    entity = smime.encrypt(ENTITY, recipients=[reader.issued.certificate], profile=A)
    octets = bytearray(cms_of(entity))
    octets[-len(ENTITY)] ^= 1  # in the ciphertext; the tag of 16 octets is behind it

    with pytest.raises(PeerRefusedError):
        peer.decrypt(bytes(octets), reader)


@pytest.mark.parametrize(
    ("peer", "profile"),
    [("OpenSSL", A), ("BouncyCastle", A), ("Thunderbird", B)],
    indirect=["peer"],
)
def test_a_large_streamed_letter_is_opened(
    peer: Peer, profile: EnvelopeProfile, identities: Identities, matrix: Matrix
) -> None:
    """Twenty-five megabytes for twenty readers, signed and encrypted from file to file."""
    reader, content = identities["bob-p256"], large_entity()
    others = [identities.another("p256") for _ in range(OTHER_READERS)]
    entity = streamed(content, identities["alice-p256"], [*others, reader], profile)

    opened = peer.decrypt(cms_of(entity), reader)
    matrix.record(
        "Unwraps whole letters", f"25 MiB streamed, {profile.value}", peer.name,
        seen=content in opened, expected=True,
    )  # fmt: skip
    reading = read(opened, identities)

    assert reading.said == ("valid", "ecdsa-sha256")
    assert sha256(reading.content or b"").digest() == sha256(content).digest()


def test_a_large_streamed_signature_is_verified(openssl: OpenSsl, identities: Identities) -> None:
    """The digest over many pieces is the digest over the whole."""
    content = large_entity()
    entity = signed_entity(identities["alice-rsa"], content, form=SignedForm.OPAQUE)

    verified = openssl.verify(read_entity(entity).decoded_body(), None)

    assert sha256(verified).digest() == sha256(content).digest()


def large_entity() -> bytes:
    """A MIME entity whose lines all differ."""
    header = b"Content-Type: text/plain; charset=us-ascii\r\n\r\n"
    lines = LARGE_OCTETS // 66
    return header + b"".join(b"%064d\r\n" % number for number in range(lines))


def streamed(
    content: bytes, signer: Identity, readers: list[Identity], profile: EnvelopeProfile
) -> bytes:
    """Sign and encrypt as a letter too large for memory."""
    source: Flow = of_octets(content)
    sink = io.BytesIO()
    smime_stream.sign_and_encrypt(
        source,
        sink,
        keys=signer.keys,
        recipients=[each.issued.certificate for each in readers],
        at=AT,
        profile=profile,
        chain=signer.issued.chain,
    )
    return sink.getvalue()
