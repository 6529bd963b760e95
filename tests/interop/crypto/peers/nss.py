"""NSS, the engine of Thunderbird, through the `cmsutil` command.

Debian's `cmsutil` runs with Debian's own library, or with the one in the package of Thunderbird.
"""

import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

from tests.interop.crypto.identities import PASSWORD, Identities, Identity
from tests.interop.crypto.peers.ports import PeerRefusedError, Word, run
from tests.support.debian import PeerMissingError, unpacked

LIBRARIES = Path("usr", "lib", "thunderbird")
# NSS knows no such private keys.
FOREIGN = frozenset({"bob-x25519", "bob-mlkem", "alice-ed25519"})


class Nss:
    """A key database for each person, with the root trusted for mail."""

    def __init__(
        self, identities: Identities, folder: Path, *, name: str, libraries: Path | None
    ) -> None:
        programs = {each: shutil.which(each) for each in ("certutil", "pk12util", "cmsutil")}
        if None in programs.values():
            raise PeerMissingError("libnss3-tools is not installed")
        self.name = name
        self._identities = identities
        self._folder = folder
        environment = dict(os.environ)
        if libraries is not None:
            environment["LD_LIBRARY_PATH"] = str(libraries)
        self._run = partial(run, folder=folder, environment=environment)
        self.version = _version(libraries)
        self._databases: dict[str, str] = {}

    def decrypt(self, octets: bytes, reader: Identity) -> bytes:
        """Open with the key of *reader*."""
        return self._written("-D", "-i", self._file(octets), of=reader)

    def verify(self, octets: bytes, content: bytes | None) -> bytes:
        """Verify; what is not signed properly is a status other than 0."""
        detached: list[Word] = [] if content is None else ["-c", self._file(content)]
        out = self._written("-D", *detached, "-i", self._file(octets))
        return out if content is None else content

    def encrypt(self, content: bytes, *, readers: list[Identity]) -> bytes:
        """Encrypt as NSS chooses."""
        words = [word for each in readers for word in ("-r", each.address)]
        return self._written("-E", *words, "-i", self._file(content))

    def sign(self, content: bytes, *options: str, signer: Identity) -> bytes:
        """Sign as NSS chooses; without `-T` the content is inside."""
        # No statement on a key for answers: the one that signs cannot be encrypted to.
        words: tuple[Word, ...] = (
            "-N",
            signer.name,
            "-Y",
            "NONE",
            *options,
            "-i",
            self._file(content),
        )
        return self._written("-S", *words, of=signer)

    def _written(self, verb: str, *words: Word, of: Identity | None = None) -> bytes:
        out = self._file(b"")
        self._run(["cmsutil", verb, "-d", self._database(of), *words, "-o", out])
        return out.read_bytes()

    def _database(self, identity: Identity | None) -> str:
        """Make, the first time, a database with everybody's certificates and one person's key."""
        name = "nobody" if identity is None else identity.name
        if name in self._databases:
            return self._databases[name]
        if name in FOREIGN:
            raise PeerRefusedError("NSS takes no key of this kind")
        folder = self._folder / name
        folder.mkdir()
        database = self._databases[name] = f"sql:{folder}"
        self._run(["certutil", "-N", "-d", database, "--empty-password"])
        if identity is not None:
            words: list[Word] = ["-i", identity.bundle, "-W", PASSWORD, "-K", ""]
            self._run(["pk12util", "-d", database, *words])
        self._add(database, "root", self._identities.root, "C,C,C")
        self._add(database, "intermediate", self._identities.intermediate, ",,")
        for each in self._identities.everybody.values():
            if each.name not in FOREIGN:
                self._add(database, each.name, each.certificate, ",,")
        return database

    def _add(self, database: str, name: str, certificate: Path, trust: str) -> None:
        words: list[Word] = ["-a", "-n", name, "-t", trust, "-i", certificate]
        self._run(["certutil", "-A", "-d", database, *words])

    def _file(self, octets: bytes) -> Path:
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            file.write(octets)
        return Path(file.name)


def thunderbird_libraries() -> Path:
    """Unpack the package of Thunderbird, without installing it; return where its libraries are."""
    return unpacked("thunderbird") / LIBRARIES


def _version(libraries: Path | None) -> str:
    """Read the version out of the library: no command tells it."""
    folders = [libraries] if libraries else [Path("/usr/lib"), *Path("/usr/lib").glob("*-linux-*")]
    for folder in folders:
        library = folder / "libnss3.so"
        if library.exists():
            _, found, rest = library.read_bytes().partition(b"Version: NSS ")
            return rest[:16].split(b"\0")[0].split()[0].decode("ascii") if found else "unknown"
    return "unknown"
