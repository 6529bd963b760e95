"""Messages written by other implementations: BouncyCastle, OpenSSL, NSS, gpgsm and pkijs."""

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from crypto import smime, trust
from crypto.certificates import parse_certificate, parse_certificates
from crypto.errors import ExpiredError, UntrustedError
from crypto.keys import SoftwareKeyHolder, load_key_holder
from crypto.trust import Profile, RevocationMode, TrustStore, Usage
from tests.support.pki import lenient
from tests.unit.crypto.forging import ENTITY

SHARED = Path(__file__).parents[4] / "shared" / "data" / "smime"
PEERS = SHARED / "peers"
MANIFEST = PEERS / "manifest.json"
ENTRIES: list[dict[str, Any]] = (
    json.loads(MANIFEST.read_text(encoding="utf-8")) if MANIFEST.exists() else []
)
AT = datetime(2026, 11, 24, tzinfo=UTC)

needs_data = pytest.mark.skipif(not ENTRIES, reason="../shared/data is absent")


def entries(kind: str) -> list[Any]:
    found = [pytest.param(each, id=each["file"]) for each in ENTRIES if kind in each["kind"]]
    return found or [pytest.param({}, marks=pytest.mark.skip(reason="../shared/data is absent"))]


def peer_store() -> TrustStore:
    root, intermediate = (
        parse_certificate((PEERS / "keys" / name).read_bytes()) for name in ("root.crt", "int.crt")
    )
    return TrustStore([root], [intermediate])


@cache
def holder(folder: Path, key: str, certificate: str) -> SoftwareKeyHolder:
    return load_key_holder((folder / key).read_bytes(), (folder / certificate).read_bytes())


@pytest.mark.parametrize("entry", entries("enc"))
def test_what_peers_encrypt_opens(entry: dict[str, Any]) -> None:
    """DER and BER, GCM and CBC, OAEP and v1.5, key agreement, by issuer or by key identifier."""
    keys = holder(PEERS / "keys", f"{entry['key']}.key", f"{entry['key']}.crt")

    opened = smime.decrypt_cms((PEERS / entry["file"]).read_bytes(), keys=keys)

    assert opened.entity == (PEERS / entry["content"]).read_bytes()


@pytest.mark.parametrize("entry", entries("sig"))
def test_what_peers_sign_verifies(entry: dict[str, Any]) -> None:
    """Attached and detached, RSA of both paddings, ECDSA, Ed25519."""
    content = (PEERS / entry["content"]).read_bytes()

    proof = smime.verify_cms(
        (PEERS / entry["file"]).read_bytes(),
        content=content if entry["kind"] == "sig-detached" else None,
        store=peer_store(),
        profile=lenient(Usage.MAIL_SIGNING),
        at=AT,
    )

    assert proof.content == content
    assert proof.signer.common_name == entry["key"]


@needs_data
def test_all_thirty_four_messages_are_tried() -> None:
    """A manifest that shrinks must not pass unseen."""
    assert len(ENTRIES) == 34


RFC9216 = SHARED / "rfc9216"


@needs_data
@pytest.mark.parametrize(("name", "decrypting"), [("bob", "decrypt"), ("dana", "decrypt")])
def test_letters_to_the_people_of_rfc_9216_open(name: str, decrypting: str) -> None:
    """Bob has RSA, Dana has X25519; keys and certificates are as published."""
    keys = holder(RFC9216, f"lamps-{name}.{decrypting}.p8.pem", f"lamps-{name}.encrypt.crt")

    sealed = smime.encrypt(ENTITY, recipients=keys.certificates)

    assert smime.decrypt(sealed, keys=keys).entity == ENTITY


@needs_data
@pytest.mark.parametrize("name", ["alice", "carlos"])
def test_letters_from_the_people_of_rfc_9216_hold_but_are_not_trusted(name: str) -> None:
    """Alice has RSA, Carlos has Ed25519; their authorities are not among our anchors."""
    keys = holder(RFC9216, f"lamps-{name}.p8.pem", f"lamps-{name}.crt")
    signed = smime.sign(ENTITY, keys=keys, at=AT)

    with pytest.raises(UntrustedError) as refusal:
        smime.verify(signed, store=peer_store(), profile=trust.MAIL_SIGNING, at=AT)

    assert refusal.value.content == ENTITY
    assert refusal.value.signer == keys.certificates[0]


# --- The real TEST authorities of IGC-Santé --------------------------------------------------

IGC = SHARED / "igc-sante-test"
IGC_AT = datetime(2023, 1, 1, tzinfo=UTC)
IGC_ALLOWED = Profile(
    usage=Usage.MAIL_SIGNING, revocation=RevocationMode.IF_KNOWN, refused_policies=()
)


def igc_store() -> TrustStore:
    authorities = parse_certificates((IGC / "ac-test-elementaire-chaine.pem").read_bytes())
    roots = [each for each in authorities if each.subject == each.issuer]
    return TrustStore(roots, [each for each in authorities if each not in roots])


@needs_data
@pytest.mark.parametrize("name", ["org-sign-1.pem", "org-sign-2.pem"])
def test_a_real_test_certificate_chains_when_test_policies_are_allowed(name: str) -> None:
    """Real shape: no address at all, both signing usages, structure identifier in OU."""
    leaf = parse_certificate((IGC / name).read_bytes())

    chain = trust.validate(leaf, store=igc_store(), profile=IGC_ALLOWED, at=IGC_AT)

    assert chain.leaf.structure_id == "300000000077081"
    assert chain.leaf.mail_addresses == ()
    assert len(chain.certificates) == 3


@needs_data
def test_a_real_test_certificate_is_refused_in_production() -> None:
    """Anybody gets one by filling in a form."""
    leaf = parse_certificate((IGC / "org-sign-1.pem").read_bytes())

    with pytest.raises(UntrustedError) as refusal:
        trust.validate(leaf, store=igc_store(), profile=lenient(Usage.MAIL_SIGNING), at=IGC_AT)

    assert refusal.value.reason == "policy-refused"


@needs_data
def test_a_real_test_certificate_has_expired_today() -> None:
    """It ended in December 2024."""
    leaf = parse_certificate((IGC / "org-sign-1.pem").read_bytes())

    with pytest.raises(ExpiredError):
        trust.validate(leaf, store=igc_store(), profile=IGC_ALLOWED, at=AT)
