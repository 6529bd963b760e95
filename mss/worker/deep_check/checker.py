"""Keep the process of the deep check, ask it, and end it when it goes too far.

The process starts with the first document and stays, since compiling the rules takes seconds. One
that takes too long is killed, one that dies is buried; either is a finding, and the next document
gets a new process.

Errors
    None: what goes wrong is a finding.
"""

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from types import TracebackType
from typing import Self

from mss.clinical import finding
from mss.clinical.finding import Finding, Severity
from mss.settings import DocumentSettings
from mss.worker.deep_check.process import OUT_OF_MEMORY

MAX_OCTETS = 64 * 1024 * 1024
_PROCESS = "mss.worker.deep_check.process"


def deep_check(
    octets: bytes, settings: DocumentSettings, *, home: Path | None = None, where: str = ""
) -> list[Finding]:
    """Check one document in a process that lives as long as that takes.

    Args:
        octets: A CDA document, also a self-presenting one.
        settings: Where the schemas and rules are, and the limits.
        home: What relative paths in the settings start at.
        where: The file name to put before the places that findings name.
    """
    with DeepChecker(settings, home=home) as checker:
        return [
            replace(one, where=": ".join(filter(None, (where, one.where))))
            for one in checker.check(octets)
        ]


class DeepChecker:
    """One process of the deep check; close it, or use it in a `with`."""

    def __init__(self, settings: DocumentSettings, *, home: Path | None = None) -> None:
        """Remember what to do; the process starts with the first document."""
        self._settings = settings
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def check(self, octets: bytes) -> list[Finding]:
        """Say what schema and rules say about a document, within the limits."""
        if not (self._settings.schemas or self._settings.schematrons):
            names = "documents.schemas, documents.schematrons"
            return [finding.of("deep-check-unavailable", name=names)]
        if len(octets) > MAX_OCTETS:
            return [finding.of("deep-check-unfinished", name="size")]
        try:
            return self._ask(octets)
        except BlockingIOError:  # it does not even listen
            self._end()
            return [finding.of("deep-check-unfinished", name="time")]
        except (EOFError, OSError):
            status = self._end()
            reason = "memory" if status in OUT_OF_MEMORY else "crash"
            return [finding.of("deep-check-unfinished", name=reason)]

    def close(self) -> None:
        """End the process, if there is one."""
        self._end()

    def _ask(self, octets: bytes) -> list[Finding]:
        pipe = self._pipe or self._start()
        pipe.send_bytes(octets)
        if not pipe.poll(self._settings.deep_check_seconds):
            self._end()
            return [finding.of("deep-check-unfinished", name="time")]
        return [
            Finding(**one | {"severity": Severity(one["severity"])})
            for one in json.loads(pipe.recv_bytes())
        ]

    def _start(self) -> Connection:
        ours, theirs = Pipe()
        _limit_sending(ours, self._settings.deep_check_seconds)
        self._folder = tempfile.TemporaryDirectory(prefix="mss-deep-check-")
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- our own interpreter and module
                [sys.executable, "-m", _PROCESS, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(self._folder.name),
            )
        finally:
            theirs.close()
        self._pipe = ours
        told = {
            "schemas": self._path(self._settings.schemas),
            "schematrons": self._path(self._settings.schematrons),
            "memory": self._settings.deep_check_memory_octets,
        }
        ours.send_bytes(json.dumps(told).encode("utf-8"))
        return ours

    def _path(self, text: str) -> str:
        return str((self._home or Path()) / text) if text else ""

    def _end(self) -> int | None:
        """Close the pipe, which ends an idle process; kill one that is busy."""
        status = None
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=0.5)
            self._process.kill()
            status = self._process.wait()
        if self._folder is not None:
            self._folder.cleanup()
        self._process, self._pipe, self._folder = None, None, None
        return status


def _limit_sending(pipe: Connection, seconds: float) -> None:
    """Give up on a process that does not take what it is sent; the pipe is a pair of sockets."""
    whole = int(seconds)
    limit = struct.pack("ll", whole, int((seconds - whole) * 1_000_000))
    with socket.socket(fileno=os.dup(pipe.fileno())) as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def _environment(folder: str) -> dict[str, str]:
    """Give the process nothing but what Python needs: our variables may hold secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    path = os.pathsep.join(one or str(Path.cwd()) for one in sys.path)
    return kept | {"PYTHONPATH": path, "TMPDIR": folder}
