"""The `openssl cms` command."""

import shutil
import tempfile
from pathlib import Path

from tests.interop.crypto.identities import Identities, Identity
from tests.interop.crypto.peers.ports import Word, run
from tests.support.debian import PeerMissingError


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
        detached: list[Word] = [] if content is None else ["-content", self._file(content)]
        return self.cms(
            "-verify", "-cades", "-inform", "DER", "-in", self._file(octets), *detached,
            *self._trusting(),
        )  # fmt: skip

    def verify_entity(self, entity: bytes) -> bytes:
        """Verify a whole MIME entity, multipart/signed or opaque, as a mail program would."""
        # Told that it is binary, OpenSSL 3.0 hashes the line end that belongs to the boundary.
        command: list[Word] = [self._program, "cms", "-verify", "-in", self._file(entity)]
        return run([*command, *self._trusting()])

    def decrypt_entity(self, entity: bytes, reader: Identity) -> bytes:
        """Open a whole MIME entity."""
        words = ("-recip", reader.certificate, "-inkey", reader.key)
        return self.cms("-decrypt", "-in", self._file(entity), *words)

    def encrypt(self, content: bytes, *options: str, readers: list[Identity]) -> bytes:
        """Write a bare CMS object; an option `keyopt:` is for each reader, the others for all."""
        before = [each for each in options if not each.startswith("keyopt:")]
        behind = [word for each in options if each.startswith("keyopt:")
                  for word in ("-keyopt", each.removeprefix("keyopt:"))]  # fmt: skip
        words: list[Word] = []
        for each in readers:
            words += ["-recip", each.certificate, *behind]
        return self.cms("-encrypt", "-outform", "DER", "-in", self._file(content), *before, *words)

    def sign(self, content: bytes, *options: str, signers: list[Identity]) -> bytes:
        """Write a bare CMS object, its content left out unless *options* say otherwise."""
        return self.cms(
            "-sign", "-outform", "DER", "-in", self._file(content),
            *self._signing(list(options), signers),
        )  # fmt: skip

    def encrypt_entity(self, content: bytes, *options: str, readers: list[Identity]) -> bytes:
        """Write an encrypted MIME entity."""
        words: list[Word] = []
        for each in readers:
            words += ["-recip", each.certificate]
        return self.cms("-encrypt", "-crlfeol", "-in", self._file(content), *options, *words)

    def sign_entity(self, content: bytes, *options: str, signers: list[Identity]) -> bytes:
        """Write a MIME entity, multipart/signed unless *options* say otherwise."""
        words = self._signing(list(options), signers)
        return self.cms("-sign", "-crlfeol", "-in", self._file(content), *words)

    def cms(self, *words: Word) -> bytes:
        """Run `openssl cms` with octets untouched."""
        return run([self._program, "cms", words[0], "-binary", *words[1:]])

    def _signing(self, options: list[str], signers: list[Identity]) -> list[Word]:
        behind = [each.removeprefix("keyopt:") for each in options if each.startswith("keyopt:")]
        words: list[Word] = [each for each in options if not each.startswith("keyopt:")]
        for each in signers:
            words += ["-signer", each.certificate, "-inkey", each.key]
            words += [word for option in behind for word in ("-keyopt", option)]
        return [*words, "-certfile", self._identities.intermediate]

    def _trusting(self) -> list[Word]:
        return ["-CAfile", self._identities.root, "-purpose", "smimesign"]

    def _file(self, octets: bytes) -> Path:
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            file.write(octets)
        return Path(file.name)
