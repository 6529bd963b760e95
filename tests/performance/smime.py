"""Sign and encrypt a letter of 100 kB: our writer, `cryptography`'s builders, the openssl command.

All three sign detached and write S/MIME text. The builders encrypt for RSA keys with AES-CBC only;
ours is measured with that very profile, and with the one that it writes for elliptic curves. The
command is a process each time, which is what a server that calls it would pay.
"""

import base64
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509 import load_der_x509_certificate

from crypto import smime
from crypto.issuing import CertificateProfile, Issued
from crypto.smime import EnvelopeProfile
from tests.performance.compare import compare, rate_of
from tests.support.pki import HOSPITAL, ISSUED_AT, NOW, PRACTICE, the_pki, write_pem

ENTITY = (
    b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(os.urandom(72_000)).replace(b"\n", b"\r\n")
)
Command = list[str | Path]


def run() -> None:
    """Measure for an RSA reader, then for one with an elliptic curve."""
    signer = the_pki().authority.issue(CertificateProfile.SIGNATURE, HOSPITAL, at=ISSUED_AT)
    for key, profile in (
        ("rsa3072", EnvelopeProfile.COMPATIBLE),
        ("p256", EnvelopeProfile.MODERN),
    ):
        reader = the_pki().authority.issue(
            CertificateProfile.CONFIDENTIALITY, PRACTICE, at=ISSUED_AT, key=key
        )
        _compare(signer, reader, f"p256 -> {key}", profile)


def _compare(signer: Issued, reader: Issued, case: str, profile: EnvelopeProfile) -> None:
    with tempfile.TemporaryDirectory(prefix="mss-bench-") as folder:
        ours = _ours(signer, reader, profile)
        contenders: dict[str, Callable[[], float]] = {
            f"ours, {profile.value}": lambda: rate_of(ours, times=200)
        }
        if case.endswith("rsa3072"):
            builders = _builders(signer, reader)
            contenders["cryptography builders"] = lambda: rate_of(builders, times=40)
        if shutil.which("openssl"):
            command = _command(Path(folder), signer, reader)
            contenders["openssl command"] = lambda: rate_of(command, times=20)
        compare("smime", f"sign + encrypt {len(ENTITY) // 1000} kB, {case}", contenders)


def _ours(signer: Issued, reader: Issued, profile: EnvelopeProfile) -> Callable[[], bytes]:
    keys, recipients = signer.key_holder(), [reader.certificate]

    def protect() -> bytes:
        signed = smime.sign(ENTITY, keys=keys, at=NOW, chain=signer.chain)
        return smime.encrypt(signed, recipients=recipients, profile=profile)

    return protect


def _builders(signer: Issued, reader: Issued) -> Callable[[], bytes]:
    key = signer.private_key
    assert isinstance(key, ec.EllipticCurvePrivateKey), "the test PKI has curves"
    certificate = load_der_x509_certificate(signer.certificate.der)
    recipient = load_der_x509_certificate(reader.certificate.der)

    def protect() -> bytes:
        signed = (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(ENTITY)
            .add_signer(certificate, key, hashes.SHA256())
            .sign(serialization.Encoding.SMIME, [pkcs7.PKCS7Options.DetachedSignature])
        )
        return (
            pkcs7.PKCS7EnvelopeBuilder()
            .set_data(signed)
            .add_recipient(recipient)
            .set_content_encryption_algorithm(algorithms.AES256)
            .encrypt(serialization.Encoding.SMIME, [pkcs7.PKCS7Options.Binary])
        )

    return protect


def _command(folder: Path, signer: Issued, reader: Issued) -> Callable[[], bytes]:
    """`openssl cms -sign`, and its output into `openssl cms -encrypt`."""
    certificate, key = write_pem(folder, signer, "signer")
    recipient, _ = write_pem(folder, reader, "reader")
    sign: Command = ["openssl", "cms", "-sign", "-binary", "-signer", certificate, "-inkey", key]
    encrypt: Command = ["openssl", "cms", "-encrypt", "-aes-256-cbc", recipient]

    def protect() -> bytes:
        signed = subprocess.run(sign, input=ENTITY, capture_output=True, check=True).stdout
        return subprocess.run(encrypt, input=signed, capture_output=True, check=True).stdout

    return protect
