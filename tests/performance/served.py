"""Run one of our servers for a benchmark, in a process of its own."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that has said that it is ready."""

    pid: int
    port: int


@contextmanager
def served(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path
) -> Iterator[Served]:
    """Run Python with *arguments* until the block ends.

    Args:
        arguments: Something that prints `ready submission=<port>`.
        environment: Variables beside the usual ones.
        folder: Where its log is written.
    """
    log = folder / "server.log"
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env={**os.environ, **environment},
        )
    try:
        assert process.stdout is not None, "it is a pipe"
        readable, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
        line = process.stdout.readline() if readable else ""
        if not line.startswith("ready"):
            raise RuntimeError(log.read_text(errors="replace")[-2000:])
        yield Served(pid=process.pid, port=int(line.split("submission=")[1].split()[0]))
    finally:
        process.terminate()
        process.wait(timeout=30)
        if process.stdout is not None:
            process.stdout.close()
