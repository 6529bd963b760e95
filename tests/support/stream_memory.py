"""Say how much memory a large letter takes, in a process of its own.

`python -m tests.support.stream_memory <folder>` signs and encrypts 25 MB for twenty recipients and
opens it again, from file to file, and prints for each way by how many octets the peak of the
resident set grew over that of a small letter.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from crypto import smime_stream, trust
from crypto.issuing import CertificateProfile, Issued
from crypto.quarantine import SealedTemporaryFile
from crypto.smime_stream import SignedForm, Trust
from tests.support.pki import HOSPITAL, ISSUED_AT, NOW, the_pki

LETTER_OCTETS = 25 * 1024 * 1024
LIMIT_OCTETS = 8 * 1024 * 1024
RECIPIENTS = 20
_LINE = b"TGV0dHJlIGRlIHNvcnRpZSwgbG9uZ3VlIGV0IGVuIHBpw6hjZSBqb2ludGUu\r\n"


def write_letter(path: Path, size: int) -> None:
    """Write an entity of about *size* octets, without holding it."""
    with path.open("wb") as file:
        file.write(b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n")
        block = _LINE * 1000
        for _ in range(size // len(block)):
            file.write(block)


def readers(count: int) -> list[Issued]:
    """Issue certificates to encrypt for, of both kinds of key."""
    issue = the_pki().authority.issue
    return [
        issue(CertificateProfile.CONFIDENTIALITY, HOSPITAL, at=ISSUED_AT, key=key)
        for key in [*["p256"] * (count - 1), "rsa2048"]
    ]


def seal(source: Path, sealed: Path, recipients: list[Issued], form: SignedForm) -> None:
    """Sign and encrypt from file to file."""
    signer = the_pki().hospital_signature
    with source.open("rb") as file, sealed.open("wb") as sink:
        smime_stream.sign_and_encrypt(
            file,
            sink,
            keys=signer.key_holder(),
            recipients=[each.certificate for each in recipients],
            at=NOW,
            chain=signer.chain,
            form=form,
        )


def unseal(sealed: Path, source: Path, reader: Issued) -> None:
    """Decrypt and verify, and compare with what was sealed."""
    trust_in = Trust(store=the_pki().store(), profile=trust.MAIL_SIGNING, at=NOW)
    with (
        sealed.open("rb") as file,
        source.open("rb") as before,
        smime_stream.open(
            file,
            keys=reader.key_holder(),
            quarantine=partial(SealedTemporaryFile, sealed.parent),
            trust=trust_in,
        ) as letter,
    ):
        assert letter.report.judgement == "valid"
        assert letter.content is not None
        while piece := letter.content.read(65536):
            assert piece == before.read(65536)
        assert before.read(1) == b""


def growth_of(work: Callable[[], None]) -> int:
    """Return how far *work* raises the resident set above where it stands now."""
    # Without this, an earlier peak (the imports, say) would hide a later one.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _resident_octets("VmRSS")
    work()
    return _resident_octets("VmHWM") - before


def _resident_octets(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split(f"{name}:")[1].split()[0]) * 1024


def main() -> None:
    """Warm up with a small letter, then measure a large one."""
    folder = Path(sys.argv[1])
    source, sealed = folder / "letter", folder / "sealed"
    people = readers(RECIPIENTS)
    for form in SignedForm:
        write_letter(source, 500_000)
        seal(source, sealed, people, form)
        unseal(sealed, source, people[-1])
    write_letter(source, LETTER_OCTETS)
    for form in SignedForm:
        out = growth_of(partial(seal, source, sealed, people, form))
        back = growth_of(partial(unseal, sealed, source, people[-1]))
        sys.stdout.write(f"{form.value} out {out}\n{form.value} back {back}\n")


if __name__ == "__main__":
    main()
