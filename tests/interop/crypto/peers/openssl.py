"""The `openssl cms` command."""

import shutil
import tempfile
from pathlib import Path

from tests.interop.crypto.identities import AT, Identities, Identity
from tests.interop.crypto.peers.ports import run
from tests.support.debian import PeerMissingError

AT_SECONDS = str(int(AT.timestamp()))


class OpenSsl:
    """OpenSSL of the system. Each call is a process of its own."""

    name = "OpenSSL"

    def __init__(self, identities: Identities, folder: Path) -> None:
        program = shutil.which("openssl")
        if program is None:
            raise PeerMissingError("openssl is not installed")
        self._program = program
        self._identities = identities
        self._folder = folder
        self.version = run([program, "version"]).decode("ascii").split()[1]

    def decrypt(self, octets: bytes, reader: Identity) -> bytes:
        """Open with `openssl cms -decrypt`; its exit status counts, not what it printed before."""
        return self.cms(
            "-decrypt", "-inform", "DER", "-in", self._file(octets),
            "-recip", reader.certificate, "-inkey", reader.key,
        )  # fmt: skip

    def verify(self, octets: bytes, content: bytes | None) -> bytes:
        """Verify with `openssl cms -verify`, its check of the signing certificate included."""
        detached = [] if content is None else ["-content", self._file(content)]
        return self.cms(
            "-verify", "-cades", "-inform", "DER", "-in", self._file(octets), *detached,
            *self._trusting(),
        )  # fmt: skip

    def verify_entity(self, entity: bytes) -> bytes:
        """Verify a whole MIME entity, multipart/signed or opaque."""
        return self.cms("-verify", "-in", self._file(entity), *self._trusting())

    def encrypt(self, content: bytes, *options: str, readers: list[Identity]) -> bytes:
        """Write a bare CMS object; *options* stand before and *after_each* behind each reader."""
        before = [each for each in options if not each.startswith("keyopt:")]
        behind = [word for each in options if each.startswith("keyopt:")
                  for word in ("-keyopt", each.removeprefix("keyopt:"))]  # fmt: skip
        words = [word for each in readers for word in ("-recip", each.certificate, *behind)]
        return self.cms("-encrypt", "-outform", "DER", "-in", self._file(content), *before, *words)

    def sign(self, content: bytes, *options: str, signers: list[Identity]) -> bytes:
        """Write a bare CMS object, its content left out unless *options* say otherwise."""
        return self.cms(
            "-sign", "-outform", "DER", "-in", self._file(content),
            *self._signing(list(options), signers),
        )  # fmt: skip

    def sign_entity(self, content: bytes, *options: str, signers: list[Identity]) -> bytes:
        """Write a MIME entity, multipart/signed unless *options* say otherwise."""
        words = self._signing(list(options), signers)
        return self.cms("-sign", "-crlfeol", "-in", self._file(content), *words)

    def cms(self, *words: str | Path) -> bytes:
        """Run `openssl cms` with octets untouched."""
        return run([self._program, "cms", words[0], "-binary", *words[1:]])

    def _signing(self, options: list[str], signers: list[Identity]) -> list[str | Path]:
        behind = [each.removeprefix("keyopt:") for each in options if each.startswith("keyopt:")]
        words: list[str | Path] = [each for each in options if not each.startswith("keyopt:")]
        for each in signers:
            words += ["-signer", each.certificate, "-inkey", each.key]
            words += [word for option in behind for word in ("-keyopt", option)]
        return [*words, "-certfile", self._identities.intermediate]

    def _trusting(self) -> list[str | Path]:
        return ["-CAfile", self._identities.root, "-purpose", "smimesign", "-attime", AT_SECONDS]

    def _file(self, octets: bytes) -> Path:
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            file.write(octets)
        return Path(file.name)
