"""Sign and encrypt, decrypt and verify: ours beside libcrypto's own CMS, on one core.

Two forms. *Text* is what mail carries: multipart/signed inside application/pkcs7-mime, base64 and
CRLF. *DER* is a SignedData with its content inside an AuthEnvelopedData, without base64. Keys are
P-256 and RSA-3072, the cipher is AES-256-GCM, and both sides judge the signer's chain. Everybody
opens what we wrote. *Streaming* is the way from file to file, measured beside the way in memory.
`cryptography`'s builders write AES-CBC with PKCS #1 v1.5 only and verify nothing, so they are
measured apart, beside ours in that profile.

Rates are per second of processor time. `peak_mib` is by how much one letter raises the resident set
of a process that has seen only small ones: the letter going in is not counted, what comes out is.
"""

import ctypes
import io
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

import pybase64
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509 import load_der_x509_certificate

from crypto import enveloped_data, signed_data, smime, smime_stream
from crypto.issuing import CertificateProfile, Issued
from crypto.quarantine import SealedTemporaryFile
from crypto.smime import EnvelopeProfile
from crypto.smime_stream import Trust
from crypto.trust import Usage
from tests.performance.compare import compare, tell
from tests.performance.libcrypto import Cms, LibcryptoError
from tests.support.pki import HOSPITAL, ISSUED_AT, NOW, PRACTICE, lenient, the_pki

SIZES = (50_000, 500_000, 5_000_000)
SMALL = 2_000
SECONDS = 0.15
MIB = 1024 * 1024
STORE = the_pki().store()
PROFILE = lenient(Usage.MAIL_SIGNING)


class Writer(Protocol):
    """Signs and encrypts."""

    def protect(self, entity: bytes) -> bytes:
        """Return the letter."""


class Contender(Writer, Protocol):
    """Does both ways."""

    def open(self, letter: bytes) -> bytes:
        """Return the entity, decrypted and verified."""


class Text:
    """Ours, as the server writes mail."""

    def __init__(
        self, signer: Issued, reader: Issued, profile: EnvelopeProfile = EnvelopeProfile.MODERN
    ) -> None:
        self.keys, self.chain, self.signer = signer.key_holder(), signer.chain, signer.certificate
        self.recipients, self.reading = [reader.certificate], reader.key_holder()
        self.profile = profile

    def protect(self, entity: bytes) -> bytes:
        """Sign, then encrypt."""
        signed = smime.sign(entity, keys=self.keys, at=NOW, chain=self.chain)
        return smime.encrypt(signed, recipients=self.recipients, profile=self.profile)

    def open(self, letter: bytes) -> bytes:
        """Decrypt, then verify."""
        inner = smime.decrypt(letter, keys=self.reading).entity
        return smime.verify(inner, store=STORE, profile=PROFILE, at=NOW).content


class Der(Text):
    """Ours, without MIME and base64."""

    def protect(self, entity: bytes) -> bytes:
        """Sign, then encrypt."""
        signed = signed_data.build(
            entity,
            certificate=self.signer,
            keys=self.keys,
            at=NOW,
            chain=self.chain,
            is_detached=False,
        )
        return enveloped_data.build(signed, recipients=self.recipients, profile=self.profile)

    def open(self, letter: bytes) -> bytes:
        """Decrypt, then verify."""
        inner = smime.decrypt_cms(letter, keys=self.reading).entity
        return smime.verify_cms(inner, store=STORE, profile=PROFILE, at=NOW).content


class Streaming(Text):
    """Ours, from file to file; what goes in is in memory here, and what comes out is a file."""

    def protect(self, entity: bytes) -> bytes:
        """Sign and encrypt; return nothing."""
        with tempfile.TemporaryFile() as sink:
            smime_stream.sign_and_encrypt(
                io.BytesIO(entity),
                sink,
                keys=self.keys,
                recipients=self.recipients,
                at=NOW,
                profile=self.profile,
                chain=self.chain,
            )
        return b""

    def open(self, letter: bytes) -> bytes:
        """Decrypt and verify; return nothing."""
        with smime_stream.open(
            io.BytesIO(letter),
            keys=self.reading,
            quarantine=partial(SealedTemporaryFile, Path(tempfile.gettempdir())),
            trust=Trust(store=STORE, profile=PROFILE, at=NOW),
        ) as opened:
            assert opened.report.judgement == "valid"
        return b""


class Libcrypto:
    """The system's."""

    def __init__(self, signer: Issued, reader: Issued, *, is_text: bool) -> None:
        anchors = the_pki().authority.anchors
        self.cms = Cms(signer=signer, reader=reader, anchors=anchors, at=NOW)
        self.is_text = is_text

    def protect(self, entity: bytes) -> bytes:
        """Sign, then encrypt."""
        return self.cms.protect(entity, text=self.is_text)

    def open(self, letter: bytes) -> bytes:
        """Decrypt, then verify."""
        return self.cms.open(letter, text=self.is_text)


class Builders:
    """`cryptography`'s own S/MIME, in the one profile that it has."""

    def __init__(self, signer: Issued, reader: Issued) -> None:
        assert isinstance(signer.private_key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        self.key = signer.private_key
        self.signer = load_der_x509_certificate(signer.certificate.der)
        self.reader = load_der_x509_certificate(reader.certificate.der)

    def protect(self, entity: bytes) -> bytes:
        """Sign, then encrypt."""
        options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
        signed = (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(entity)
            .add_signer(self.signer, self.key, hashes.SHA256())
            .sign(serialization.Encoding.SMIME, options)
        )
        return (
            pkcs7.PKCS7EnvelopeBuilder()
            .set_data(signed)
            .add_recipient(self.reader)
            .set_content_encryption_algorithm(algorithms.AES256)
            .encrypt(serialization.Encoding.SMIME, [pkcs7.PKCS7Options.Binary])
        )


def entity_of(size: int) -> bytes:
    """An attachment in base64, of about *size* octets."""
    header = b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    lines = pybase64.encodebytes(os.urandom(size // 78 * 57)).replace(b"\n", b"\r\n")
    return header + lines


def run() -> None:
    """Measure for either kind of key."""
    try:
        for key in ("p256", "rsa3072"):
            _measure_key(key)
    except LibcryptoError as error:
        tell(bench="smime", skipped=str(error))


def _measure_key(key: str) -> None:
    issue = the_pki().authority.issue
    signer = issue(CertificateProfile.SIGNATURE, HOSPITAL, at=ISSUED_AT, key=key)
    reader = issue(CertificateProfile.CONFIDENTIALITY, PRACTICE, at=ISSUED_AT, key=key)
    text, in_der = Text(signer, reader), Der(signer, reader)
    theirs = Libcrypto(signer, reader, is_text=True), Libcrypto(signer, reader, is_text=False)
    streaming = Streaming(signer, reader)
    _measure(f"{key}, text", {"ours": text, "libcrypto": theirs[0]}, text)
    _measure(f"{key}, der", {"ours": in_der, "libcrypto": theirs[1]}, in_der)
    _measure(f"{key}, text", {"streaming": streaming, "in memory": text}, text)
    if key == "rsa3072":
        legacy = Text(signer, reader, EnvelopeProfile.LEGACY)
        _measure_writing(
            f"{key}, text, CBC", {"ours": legacy, "builders": Builders(signer, reader)}
        )


def _measure(case: str, contenders: Mapping[str, Contender], writer: Writer) -> None:
    """Measure both ways; everybody opens what *writer* wrote."""
    _measure_writing(case, contenders)
    letters = {size: writer.protect(entity_of(size)) for size in (SMALL, *SIZES)}
    _compare(
        f"decrypt + verify, {case}", {name: each.open for name, each in contenders.items()}, letters
    )


def _measure_writing(case: str, contenders: Mapping[str, Writer]) -> None:
    entities = {size: entity_of(size) for size in (SMALL, *SIZES)}
    _compare(
        f"sign + encrypt, {case}",
        {name: each.protect for name, each in contenders.items()},
        entities,
    )


def _compare(
    case: str, works: Mapping[str, Callable[[bytes], bytes]], inputs: Mapping[int, bytes]
) -> None:
    for size in SIZES:
        peak = {name: peak_mib(work, inputs[SMALL], inputs[size]) for name, work in works.items()}
        compare(
            "smime",
            f"{case}, {size // 1000} kB",
            {name: partial(rate_of, work, inputs[size]) for name, work in works.items()},
            peak_mib=peak,
        )


def rate_of(work: Callable[[bytes], bytes], octets: bytes) -> float:
    """Say how often *work* is done in a second of processor time."""
    count, started = 0, time.process_time()
    while (spent := time.process_time() - started) < SECONDS:
        work(octets)
        count += 1
    return count / spent


def peak_mib(work: Callable[[bytes], bytes], small: bytes, large: bytes) -> float | None:
    """Say how far *large* raises the resident set of a child that has done *small* before.

    None where the system does not tell.
    """
    clear = Path("/proc/self/clear_refs")
    if not clear.exists():
        return None
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        work(small)
        ctypes.CDLL(None).malloc_trim(0)  # what earlier work has left would hide what this takes
        clear.write_text("5", encoding="ascii")
        before = _status("VmRSS")
        work(large)
        os.write(writing, str(_status("VmHWM") - before).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        octets = int(told.read())
    os.waitpid(child, 0)
    return round(octets / MIB, 1)


def _status(name: str) -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.split(f"{name}:")[1].split()[0]) * 1024
