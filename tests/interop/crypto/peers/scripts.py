"""pkijs and node-forge: packages of npm, in one Node.js process that stays and answers.

The packages are where `tests/tools/peers.py` put them, in the versions of `package-lock.json`.
"""

import shutil
from functools import cached_property
from pathlib import Path

from tests.interop.crypto.identities import Identities, Identity
from tests.interop.crypto.peers.ports import PeerRefusedError
from tests.interop.crypto.peers.servant import Servant
from tests.support.debian import PeerMissingError
from tests.tools.peers import NPM_PACKAGES

SOURCE = Path(__file__).with_name("scripts.mjs")


def start_node(folder: Path) -> Servant:
    """Start the process; close it after use."""
    node = shutil.which("node")
    if node is None or not (NPM_PACKAGES / "node_modules").is_dir():
        raise PeerMissingError("Node.js or the packages of npm are not installed")
    # A script finds packages beside itself, wherever the link leads.
    script = folder / SOURCE.name
    script.write_bytes(SOURCE.read_bytes())
    (folder / "node_modules").symlink_to(NPM_PACKAGES / "node_modules")
    return Servant([node, script], folder=folder)


class PkiJs:
    """pkijs on the Web Cryptography of Node.js."""

    name = "pkijs"

    def __init__(self, identities: Identities, node: Servant) -> None:
        self._identities = identities
        self._node = node

    @cached_property
    def version(self) -> str:
        """The version of the package."""
        return self._node.ask("pkijs-version").decode("ascii")

    def decrypt(self, octets: bytes, reader: Identity) -> bytes:
        """Open an EnvelopedData; pkijs knows no other."""
        return self._node.ask("pkijs-decrypt", octets, reader.certificate, reader.key)

    def verify(self, octets: bytes, content: bytes | None) -> bytes:
        """Check every signer, and the chain to the root."""
        detached = "-" if content is None else content
        return self._node.ask("pkijs-verify", octets, self._identities.root, detached)

    def encrypt(self, content: bytes, cipher: str, bits: int, *, readers: list[Identity]) -> bytes:
        """Write an EnvelopedData with OAEP or key agreement."""
        certificates = [each.certificate for each in readers]
        return self._node.ask("pkijs-encrypt", content, cipher, str(bits), *certificates)

    def sign(
        self, content: bytes, algorithm: str, digest: str, *, signer: Identity, inside: bool
    ) -> bytes:
        """Write a SignedData; algorithms as in `scripts.mjs`."""
        form = "inside" if inside else "outside"
        words = (signer.certificate, signer.key, self._identities.intermediate)
        return self._node.ask("pkijs-sign", content, algorithm, digest, form, *words)


class Forge:
    """node-forge: RSA with the old padding only, and it verifies no signatures."""

    name = "forge"

    def __init__(self, identities: Identities, node: Servant) -> None:
        self._identities = identities
        self._node = node

    @cached_property
    def version(self) -> str:
        """The version of the package."""
        return self._node.ask("forge-version").decode("ascii")

    def decrypt(self, octets: bytes, reader: Identity) -> bytes:
        """Open an EnvelopedData."""
        return self._node.ask("forge-decrypt", octets, reader.certificate, reader.key)

    def verify(self, octets: bytes, content: bytes | None) -> bytes:
        """Refuse: it is not implemented there."""
        raise PeerRefusedError("node-forge does not verify")

    def encrypt(self, content: bytes, cipher: str, *, readers: list[Identity]) -> bytes:
        """Write an EnvelopedData."""
        return self._node.ask(
            "forge-encrypt", content, cipher, *(each.certificate for each in readers)
        )

    def sign(self, content: bytes, *, signer: Identity, inside: bool) -> bytes:
        """Write a SignedData with RSA v1.5."""
        form = "inside" if inside else "outside"
        words = (signer.certificate, signer.key, self._identities.intermediate)
        return self._node.ask("forge-sign", content, form, *words)
