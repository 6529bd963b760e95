"""What do the tests ask of another implementation of S/MIME?

A peer reads files and answers with octets, or refuses. It has no network and a folder of its own.

Errors
    `PeerRefusedError` when it did not do what it was asked, with what it said. `PeerMissingError`
    when it is not at hand.
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tests.interop.crypto.identities import Identity

LIMIT_SECONDS = 120

Word = str | Path  # of a command line


class PeerRefusedError(Exception):
    """The peer cannot or will not."""


class Peer(Protocol):
    """One implementation, at hand and ready."""

    @property
    def name(self) -> str:
        """What it is called in the matrix."""

    @property
    def version(self) -> str:
        """Which version this is."""

    def decrypt(self, octets: bytes, reader: Identity) -> bytes:
        """Open a bare CMS object with the key of *reader*."""

    def verify(self, octets: bytes, content: bytes | None) -> bytes:
        """Return what is signed, if the signature holds and the chain leads to the root.

        Args:
            octets: A bare SignedData.
            content: What is signed, if it is detached.
        """


def run(
    command: Sequence[Word],
    *,
    given: bytes = b"",
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> bytes:
    """Run a program and return what it printed.

    Raises:
        PeerRefusedError: It ended with another status than 0, or not in time.
    """
    words = [str(each) for each in command]
    try:
        done = subprocess.run(
            words,
            input=given,
            cwd=folder,
            env=None if environment is None else dict(environment),
            capture_output=True,
            check=False,
            timeout=LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise PeerRefusedError(f"{words[0]}: no answer in {LIMIT_SECONDS} seconds") from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        raise PeerRefusedError(f"{words[0]}: status {done.returncode}: {said[-600:]}")
    return done.stdout
