"""gpgsm of GnuPG, with homes and agents of its own.

It has keys of RSA only: version 2.2 does not survive a PKCS #12 with another key.
"""

import hashlib
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.interop.crypto.identities import PASSWORD, Identities, Identity
from tests.interop.crypto.peers.ports import LIMIT_SECONDS, PeerRefusedError, Word, run
from tests.support.debian import PeerMissingError


class Gpgsm:
    """A home for each person; close it after use, or the agents stay."""

    name = "gpgsm"

    def __init__(self, identities: Identities, folder: Path) -> None:
        program, agent = shutil.which("gpgsm"), shutil.which("gpg-agent")
        if program is None or agent is None:
            raise PeerMissingError("gpgsm is not installed")
        self._agent = agent
        self._program = program
        self._identities = identities
        self._folder = folder
        self._homes: dict[str, Path] = {}
        self.version = run([program, "--version"]).split()[2].decode("ascii")

    def close(self) -> None:
        """End the agents and forget the keys."""
        for home in self._homes.values():
            run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"])
            shutil.rmtree(home, ignore_errors=True)

    def decrypt(self, octets: bytes, reader: Identity) -> bytes:
        """Open with the key of *reader*."""
        return self._gpgsm("--decrypt", self._file(octets), of=reader)

    def verify(self, octets: bytes, content: bytes | None) -> bytes:
        """Verify, and return what was signed."""
        if content is not None:
            self._gpgsm("--verify", self._file(octets), self._file(content))
            return content
        out = self._file(b"")
        self._gpgsm("--yes", "--output", out, "--verify", self._file(octets))
        return out.read_bytes()

    def encrypt(self, content: bytes, *, readers: list[Identity]) -> bytes:
        """Encrypt as gpgsm chooses."""
        words = [word for each in readers for word in ("--recipient", each.address)]
        return self._gpgsm(*words, "--encrypt", self._file(content))

    def sign(self, content: bytes, verb: str, *, signer: Identity) -> bytes:
        """Sign as gpgsm chooses; *verb* is `--sign` or `--detach-sign`."""
        words = ("--local-user", signer.address, verb, self._file(content))
        return self._gpgsm(*words, of=signer)

    def _gpgsm(self, *words: Word, of: Identity | None = None) -> bytes:
        return self._run(self._home(of), *words)

    def _run(self, home: Path, *words: Word) -> bytes:
        command: list[Word] = [self._program, "--batch", "--no-tty", "--homedir", home]
        command += ["--pinentry-mode", "loopback", "--passphrase-fd", "0"]
        command += ["--disable-crl-checks", "--disable-dirmngr"]
        return run([*command, *words], given=f"{PASSWORD}\n".encode("ascii"))

    def _home(self, identity: Identity | None) -> Path:
        """Make, the first time, a home with everybody's certificates and one person's key."""
        name = "nobody" if identity is None else identity.name
        if name in self._homes:
            return self._homes[name]
        if identity is not None and not identity.is_rsa:
            raise PeerRefusedError("gpgsm takes no key of this kind")
        # A socket's path is short, so the home is not in the folder of the tests.
        home = self._homes[name] = Path(tempfile.mkdtemp(prefix="gpgsm-"))
        root = hashlib.sha1(  # the name that the agent has for a certificate
            self._identities.authority.anchors[0].der
        ).hexdigest()
        (home / "trustlist.txt").write_text(f"{root.upper()} S\n", encoding="ascii")
        everybody = [each.certificate for each in self._identities.everybody.values()]
        # Left to itself, gpgsm gives its agent five seconds to start: too few on a busy machine.
        # It keeps what it is given to write to, so it is given nothing that anybody waits for.
        subprocess.run(
            [self._agent, "--homedir", home, "--allow-loopback-pinentry", "--daemon"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=LIMIT_SECONDS,
        )
        authorities = [self._identities.root, self._identities.intermediate]
        for each in (*authorities, *everybody):
            with suppress(PeerRefusedError):  # it knows no certificates of some kinds
                self._run(home, "--import", each)
        if identity is not None:
            self._run(home, "--import", identity.bundle)
        return home

    def _file(self, octets: bytes) -> Path:
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            file.write(octets)
        return Path(file.name)
