"""A program that stays and does what each line asks, so that starting it is paid once.

Shapes
    A request is a line of words between tabs; octets are in files that the words name. The answer
    is a line: `ok`, or `no` with the reason.
"""

import os
import select
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.interop.crypto.peers.ports import LIMIT_SECONDS, PeerRefusedError, Word


class Servant:
    """One running program; close it after use."""

    def __init__(self, command: Sequence[Word], *, folder: Path) -> None:
        self._folder = folder
        self._log = (folder / "said.log").open("wb")
        self._process = subprocess.Popen(
            [str(each) for each in command],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._waiting = b""

    def close(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def ask(self, verb: str, *words: Word | bytes) -> bytes:
        """Have something done; octets among *words* go through files.

        Raises:
            PeerRefusedError: It was not done.
        """
        out = self.file(b"")
        given = [self.file(each) if isinstance(each, bytes) else each for each in words]
        line = "\t".join([verb, str(out), *map(str, given)])
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(line.encode() + b"\n")
        stdin.flush()
        answer, _, reason = self._read_line().partition(" ")
        if answer != "ok":
            raise PeerRefusedError(f"{verb}: {reason}")
        return out.read_bytes()

    def file(self, octets: bytes) -> Path:
        """Put octets in a file."""
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            file.write(octets)
        return Path(file.name)

    def _read_line(self) -> str:
        stdout = self._process.stdout
        assert stdout is not None
        while b"\n" not in self._waiting:
            ready, _, _ = select.select([stdout], [], [], LIMIT_SECONDS)
            piece = os.read(stdout.fileno(), 65536) if ready else b""
            if not piece:
                said = Path(self._log.name).read_text(encoding="utf-8", errors="replace")
                raise AssertionError(f"the program has stopped answering: {said[-800:]}")
            self._waiting += piece
        line, _, self._waiting = self._waiting.partition(b"\n")
        return line.decode("utf-8", "replace")
