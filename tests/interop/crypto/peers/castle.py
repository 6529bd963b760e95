"""BouncyCastle: a class of ours, compiled against Debian's packages, that stays and answers."""

import shutil
from functools import cached_property
from pathlib import Path

from tests.interop.crypto.identities import Identities, Identity
from tests.interop.crypto.peers.ports import Word, run
from tests.interop.crypto.peers.servant import Servant
from tests.support.debian import PeerMissingError

SOURCE = Path(__file__).with_name("Castle.java")
JARS = tuple(Path("/usr/share/java", f"{name}.jar") for name in ("bcprov", "bcutil", "bcpkix"))


class BouncyCastle:
    """One Java process; close it after use."""

    name = "BouncyCastle"

    def __init__(self, identities: Identities, folder: Path) -> None:
        if shutil.which("javac") is None or not all(each.exists() for each in JARS):
            raise PeerMissingError("BouncyCastle or the Java compiler is not installed")
        self._identities = identities
        path = ":".join(map(str, (folder, *JARS)))
        run(["javac", "-cp", path, "-d", folder, SOURCE])
        self._servant = Servant(
            ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", path, "Castle"], folder=folder
        )

    @cached_property
    def version(self) -> str:
        """The version that the library states."""
        return self._servant.ask("version").decode("ascii")

    def close(self) -> None:
        """End the process."""
        self._servant.close()

    def decrypt(self, octets: bytes, reader: Identity) -> bytes:
        """Open either form of envelope."""
        return self._servant.ask("decrypt", octets, reader.certificate, reader.key)

    def verify(self, octets: bytes, content: bytes | None) -> bytes:
        """Check every signer, and a chain for each from what the message holds to the root."""
        detached = "-" if content is None else content
        return self._servant.ask("verify", octets, self._identities.root, detached)

    def encrypt(
        self, content: bytes, cipher: str, management: str, *options: str, readers: list[Identity]
    ) -> bytes:
        """Write an envelope; ciphers and options as in `Castle.java`."""
        certificates = [each.certificate for each in readers]
        words = (cipher, management, ",".join(options) or "-")
        return self._servant.ask("encrypt", content, *words, *certificates)

    def sign(self, content: bytes, algorithm: str, *options: str, signers: list[Identity]) -> bytes:
        """Write a SignedData; the content is left out unless *options* say `inside`."""
        words: list[Word] = [
            word for each in signers for word in (algorithm, each.certificate, each.key)
        ]
        settings = (",".join(options) or "-", self._identities.intermediate)
        return self._servant.ask("sign", content, *settings, *words)

    def compress(self, content: bytes) -> bytes:
        """Write a CompressedData."""
        return self._servant.ask("compress", content)
