"""Cross-checks with the `openssl` command, where it is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from crypto import smime, trust
from crypto.entity import read_entity, split_signed
from crypto.issuing import CertificateProfile, Issued
from crypto.smime import EnvelopeProfile, RecipientPlan
from tests.support.pki import HOSPITAL, ISSUED_AT, NOW, the_pki, write_pem
from tests.unit.crypto.forging import ENTITY

OPENSSL = shutil.which("openssl")
AT = str(int(NOW.timestamp()))

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed"),
    pytest.mark.slow,
]


def openssl(*arguments: str | Path) -> bytes:
    """Run `openssl cms`; what it refuses fails the test."""
    assert OPENSSL is not None
    command = [OPENSSL, "cms", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def issued(profile: CertificateProfile, key: str) -> Issued:
    return the_pki().authority.issue(profile, HOSPITAL, at=ISSUED_AT, key=key)


@pytest.mark.parametrize("key", ["p256", "p384", "rsa2048"])
def test_openssl_verifies_what_we_sign(key: str, tmp_path: Path) -> None:
    """With its own checks of the signing-certificate attribute switched on."""
    signer = issued(CertificateProfile.SIGNATURE, key)
    signed = smime.sign(ENTITY, keys=signer.key_holder(), at=NOW, chain=signer.chain)
    parts = split_signed(read_entity(signed))
    (tmp_path / "s.p7s").write_bytes(parts.signature.decoded_body())
    (tmp_path / "content").write_bytes(parts.content)
    (tmp_path / "root.pem").write_text(the_pki().authority.anchors_pem)

    out = openssl(
        "-verify", "-binary", "-cades", "-inform", "DER", "-in", tmp_path / "s.p7s",
        "-content", tmp_path / "content", "-CAfile", tmp_path / "root.pem",
        "-purpose", "smimesign", "-attime", AT,
    )  # fmt: skip

    assert out == ENTITY


@pytest.mark.parametrize("key", ["p256", "p384", "rsa2048"])
@pytest.mark.parametrize("profile", list(EnvelopeProfile))
def test_openssl_opens_what_we_encrypt(key: str, profile: EnvelopeProfile, tmp_path: Path) -> None:
    """All three profiles, for RSA and elliptic curves."""
    reader = issued(CertificateProfile.CONFIDENTIALITY, key)
    certificate, private = write_pem(tmp_path, reader, "reader")
    sealed = smime.encrypt(ENTITY, recipients=[reader.certificate], profile=profile)
    (tmp_path / "m.p7m").write_bytes(read_entity(sealed).decoded_body())

    out = openssl(
        "-decrypt", "-binary", "-inform", "DER", "-in", tmp_path / "m.p7m",
        "-recip", certificate, "-inkey", private,
    )  # fmt: skip

    assert out == ENTITY


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("p256", ["-aes256", "-stream"]),
        ("p256", ["-aes-256-gcm", "-stream"]),
        ("rsa2048", ["-aes-256-gcm"]),
        ("rsa2048", ["-aes128", "-keyid"]),
    ],
)
def test_we_open_what_openssl_encrypts(key: str, options: list[str], tmp_path: Path) -> None:
    """Streamed output is BER of indefinite length."""
    reader = issued(CertificateProfile.CONFIDENTIALITY, key)
    certificate, _ = write_pem(tmp_path, reader, "reader")
    (tmp_path / "content").write_bytes(ENTITY)

    octets = openssl(
        "-encrypt", "-binary", "-outform", "DER", "-in", tmp_path / "content",
        *options, "-recip", certificate,
    )  # fmt: skip

    assert smime.decrypt_cms(octets, keys=reader.key_holder()).entity == ENTITY


def test_openssl_opens_what_is_for_readers_of_different_abilities(tmp_path: Path) -> None:
    """One message, three ways to its key."""
    plans = {
        "modern": issued(CertificateProfile.CONFIDENTIALITY, "p256"),
        "compatible": issued(CertificateProfile.CONFIDENTIALITY, "rsa2048"),
        "legacy": issued(CertificateProfile.CONFIDENTIALITY, "rsa2048"),
    }
    sealed = smime.encrypt(
        ENTITY,
        recipients=[
            RecipientPlan(certificate=each.certificate, profile=EnvelopeProfile(profile))
            for profile, each in plans.items()
        ],
    )
    (tmp_path / "m.p7m").write_bytes(read_entity(sealed).decoded_body())

    opened = []
    for profile, each in plans.items():
        certificate, private = write_pem(tmp_path, each, profile)
        command: list[str | Path] = ["-decrypt", "-binary", "-inform", "DER"]
        command += ["-in", tmp_path / "m.p7m", "-recip", certificate, "-inkey", private]
        opened.append(openssl(*command))

    assert opened == [ENTITY] * 3


@pytest.mark.parametrize(
    ("key", "options", "expected"),
    [
        ("p521", ["-keyopt", "ecdh_kdf_md:sha512"], "ecdh-sha512kdf"),
        ("p256", ["-keyopt", "ecdh_kdf_md:sha1"], "ecdh-sha1kdf"),
        ("p384", ["-keyopt", "ecdh_kdf_md:sha384", "-keyid"], "ecdh-sha384kdf"),
        ("rsa2048", ["-keyopt", "rsa_padding_mode:oaep"], "rsa-oaep-sha1"),
        (
            "rsa2048",
            ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha512"],
            "rsa-oaep-sha512",
        ),
        (
            "rsa2048",
            [
                *("-keyopt", "rsa_padding_mode:oaep"),
                *("-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha1"),
            ],
            "rsa-oaep-sha256-mgf1-sha1",
        ),
    ],
)
def test_we_open_every_key_management_of_openssl(
    key: str, options: list[str], expected: str, tmp_path: Path
) -> None:
    """Also what we never write; it says what it is."""
    reader = issued(CertificateProfile.CONFIDENTIALITY, key)
    certificate, _ = write_pem(tmp_path, reader, "reader")
    (tmp_path / "content").write_bytes(ENTITY)

    octets = openssl(
        "-encrypt", "-binary", "-outform", "DER", "-in", tmp_path / "content",
        "-aes-256-gcm", "-recip", certificate, *options,
    )  # fmt: skip
    opened = smime.decrypt_cms(octets, keys=reader.key_holder())

    assert opened.entity == ENTITY
    assert opened.key_algorithm == expected


def test_a_recipient_that_openssl_writes_twice_is_read(tmp_path: Path) -> None:
    """It does not fold mailboxes that share a certificate."""
    reader = issued(CertificateProfile.CONFIDENTIALITY, "p256")
    certificate, _ = write_pem(tmp_path, reader, "reader")
    (tmp_path / "content").write_bytes(ENTITY)

    octets = openssl(
        "-encrypt", "-binary", "-outform", "DER", "-in", tmp_path / "content",
        "-aes-256-gcm", "-recip", certificate, "-recip", certificate,
    )  # fmt: skip
    opened = smime.decrypt_cms(octets, keys=reader.key_holder())

    assert opened.entity == ENTITY
    assert "recipient-repeated" in opened.findings


def test_we_verify_what_openssl_signs(tmp_path: Path) -> None:
    """A whole MIME entity with its preamble, as `openssl cms` writes it."""
    signer = issued(CertificateProfile.SIGNATURE, "p256")
    certificate, private = write_pem(tmp_path, signer, "signer")
    (tmp_path / "content").write_bytes(ENTITY)

    signed = openssl(
        "-sign", "-binary", "-crlfeol", "-in", tmp_path / "content",
        "-signer", certificate, "-inkey", private,
    )  # fmt: skip
    proof = smime.verify(signed, store=the_pki().store(), profile=trust.MAIL_SIGNING, at=NOW)

    assert proof.content == ENTITY
