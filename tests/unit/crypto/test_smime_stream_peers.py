"""Messages written by other implementations, read from file to file."""

import io
from typing import Any

import pytest

from crypto import smime_stream
from crypto.entity import wrap_base64
from crypto.errors import UntrustedError
from crypto.smime_stream import Trust
from crypto.trust import Usage
from tests.support.pki import lenient
from tests.support.streaming import quarantines
from tests.unit.crypto.forging import ENTITY, multipart
from tests.unit.crypto.test_peers import (
    AT,
    PEERS,
    RFC9216,
    entries,
    holder,
    needs_data,
    peer_store,
)

BINARY = b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n"
BASE64 = b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n"


@pytest.mark.parametrize("entry", entries("enc"))
@pytest.mark.parametrize("is_base64", [True, False])
def test_what_peers_encrypt_opens(entry: dict[str, Any], is_base64: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    """DER and BER, GCM and CBC, OAEP and v1.5, key agreement, by issuer or by key identifier."""
    octets = (PEERS / entry["file"]).read_bytes()
    letter = BASE64 + wrap_base64(octets) if is_base64 else BINARY + octets
    keys = holder(PEERS / "keys", f"{entry['key']}.key", f"{entry['key']}.crt")

    opened = smime_stream.decrypt(io.BytesIO(letter), keys=keys, quarantine=quarantines())

    assert opened.entity.read() == (PEERS / entry["content"]).read_bytes()
    assert opened.facts.recipient == keys.certificates[0]


@pytest.mark.parametrize("entry", entries("sig"))
def test_what_peers_sign_verifies(entry: dict[str, Any]) -> None:
    """Attached and detached, RSA of both paddings, ECDSA, Ed25519."""
    octets = (PEERS / entry["file"]).read_bytes()
    content = (PEERS / entry["content"]).read_bytes()
    is_detached = entry["kind"] == "sig-detached"
    letter = multipart(content, octets) if is_detached else BASE64 + wrap_base64(octets)

    signed = smime_stream.verify(
        io.BytesIO(letter),
        trust=Trust(store=peer_store(), profile=lenient(Usage.MAIL_SIGNING), at=AT),
        quarantine=quarantines(),
    )

    assert signed.content.read() == content
    assert signed.proof.signer.common_name == entry["key"]


@needs_data
@pytest.mark.parametrize("name", ["bob", "dana"])
def test_letters_to_the_people_of_rfc_9216_open(name: str) -> None:
    """Bob has RSA, Dana has X25519; keys and certificates are as published."""
    keys = holder(RFC9216, f"lamps-{name}.decrypt.p8.pem", f"lamps-{name}.encrypt.crt")
    sink = io.BytesIO()
    smime_stream.encrypt(io.BytesIO(ENTITY), sink, recipients=keys.certificates)

    opened = smime_stream.decrypt(sink, keys=keys, quarantine=quarantines())

    assert opened.entity.read() == ENTITY


@needs_data
@pytest.mark.parametrize("name", ["alice", "carlos"])
def test_letters_from_the_people_of_rfc_9216_hold_but_are_not_trusted(name: str) -> None:
    """Alice has RSA, Carlos has Ed25519; their authorities are not among our anchors."""
    keys = holder(RFC9216, f"lamps-{name}.p8.pem", f"lamps-{name}.crt")
    sink = io.BytesIO()
    smime_stream.sign(io.BytesIO(ENTITY), sink, keys=keys, at=AT)

    with pytest.raises(UntrustedError) as refusal:
        smime_stream.verify(
            sink,
            trust=Trust(store=peer_store(), profile=lenient(Usage.MAIL_SIGNING), at=AT),
            quarantine=quarantines(),
        )
    assert refusal.value.signer == keys.certificates[0]
