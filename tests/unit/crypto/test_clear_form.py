"""Opaque signatures kept beside their content in the clear."""

import pytest

from crypto import signed_data, smime, trust
from crypto.clear_form import in_the_clear
from crypto.errors import CmsSyntaxError, NotSignedError
from tests.support.pki import NOW, the_pki
from tests.unit.crypto import forging
from tests.unit.crypto.forging import ENTITY

SIGNER = the_pki().hospital_signature


def opaque(content: bytes) -> bytes:
    return signed_data.build(
        content, certificate=SIGNER.certificate, keys=SIGNER.key_holder(), at=NOW, is_detached=False
    )


@pytest.mark.parametrize(
    "content", [ENTITY, b"", b"\r\n", b"no line end", b"--x\r\n", bytes(range(256)) * 5]
)
def test_the_same_signature_holds_for_the_clear_form(content: bytes) -> None:
    """What was signed is a digest of the content, wherever that stands."""
    entity = in_the_clear(forging.opaque(opaque(content)))

    proof = smime.verify(entity, store=the_pki().store(), profile=trust.MAIL_SIGNING, at=NOW)

    assert entity.startswith(b"Content-Type: multipart/signed;")
    assert b"micalg=sha-256" in entity
    assert proof.content == content
    assert proof.signer == SIGNER.certificate


def test_a_structure_of_open_lengths_is_put_in_the_clear_too() -> None:
    """Most software that streams writes it so."""
    members = opaque(ENTITY)
    body = members[members.index(b"\x06") :]
    entity = in_the_clear(forging.opaque(b"\x30\x80" + body + b"\x00\x00"))

    proof = smime.verify(entity, store=the_pki().store(), profile=trust.MAIL_SIGNING, at=NOW)

    assert proof.content == ENTITY


def test_what_is_in_the_clear_stays_as_it_is() -> None:
    """Octet for octet."""
    entity = smime.sign(ENTITY, keys=SIGNER.key_holder(), at=NOW)

    assert in_the_clear(entity) is entity


def test_a_plain_entity_has_no_clear_form() -> None:
    """It is not signed."""
    with pytest.raises(NotSignedError):
        in_the_clear(ENTITY)


def test_a_structure_without_content_has_no_clear_form() -> None:
    """There is nothing to stand beside the signature."""
    cms = forging.signed_data([forging.signer_info(ENTITY, SIGNER)], [SIGNER.certificate])

    with pytest.raises(CmsSyntaxError):
        in_the_clear(forging.opaque(cms))
