"""What we write, other implementations read: each form by each peer that can, and no other."""

import pytest

from tests.interop.crypto.identities import Identities
from tests.interop.crypto.letters import (
    ENTITY,
    ENVELOPES,
    EVERYBODY,
    SIGNATURES,
    VERIFYING,
    Envelope,
    Signature,
)
from tests.interop.crypto.matrix import Matrix
from tests.interop.crypto.peers.ports import Peer, PeerRefusedError

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def by_name(forms: dict[str, object]) -> list[object]:
    return [pytest.param(name, form, id=name) for name, form in forms.items()]


@pytest.mark.parametrize("peer", sorted(EVERYBODY), indirect=True)
@pytest.mark.parametrize(("row", "envelope"), by_name(dict(ENVELOPES)))
def test_what_we_encrypt_is_opened_by_whoever_can(
    row: str, envelope: Envelope, peer: Peer, identities: Identities, matrix: Matrix
) -> None:
    """All profiles and kinds of keys; where a peer cannot, it still cannot."""
    octets = envelope.write(identities, ENTITY)
    expected = peer.name in envelope.opened_by

    try:
        opened = peer.decrypt(octets, identities[envelope.reader])
    except PeerRefusedError as refusal:
        opened = str(refusal).encode()
    matrix.record("Opens what we encrypt", row, peer.name, seen=opened == ENTITY, expected=expected)

    assert (opened == ENTITY) is expected, opened


@pytest.mark.parametrize("peer", sorted(VERIFYING), indirect=True)
@pytest.mark.parametrize(("row", "signature"), by_name(dict(SIGNATURES)))
def test_what_we_sign_is_verified_by_whoever_can(
    row: str, signature: Signature, peer: Peer, identities: Identities, matrix: Matrix
) -> None:
    """All kinds of signature, beside the content and around it."""
    octets, content = signature.write(identities, ENTITY)
    expected = peer.name in signature.verified_by

    try:
        verified = peer.verify(octets, content)
    except PeerRefusedError as refusal:
        verified = str(refusal).encode()
    matrix.record(
        "Verifies what we sign", row, peer.name, seen=verified == ENTITY, expected=expected
    )

    assert (verified == ENTITY) is expected, verified


@pytest.mark.parametrize("peer", sorted(VERIFYING), indirect=True)
@pytest.mark.parametrize(
    "signature", [each for name, each in SIGNATURES.items() if "P-256" in name or "PSS" in name]
)
def test_peers_notice_when_what_we_signed_was_changed(
    signature: Signature, peer: Peer, identities: Identities
) -> None:
    """Else their verdicts above would mean nothing."""
    octets, content = signature.write(identities, ENTITY)
    changed = None if content is None else content.replace(b"6,8", b"8,6")
    octets = octets.replace(b"6,8", b"8,6")

    with pytest.raises(PeerRefusedError):
        peer.verify(octets, changed)
