"""How does a test run a server of others: start it, wait until it listens, end it by its own id?

Servers that insist on paths or users of their own run in a mount namespace, where files and folders
of the test lie over those of the machine, and nobody else sees it.

Errors
    `PeerMissingError` when it cannot run here.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.debian import PeerMissingError

READY_SECONDS = 20.0
END_SECONDS = 15.0


def free_port() -> int:
    """Choose a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(
    command: list[str], folder: Path, variables: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run a program until the end of the block; what it says goes to `console` in its folder.

    Yields:
        Its process id, which is that of its group as well.
    """
    with (folder / "console").open("ab") as console:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env={**os.environ, **(variables or {})},
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(ProcessLookupError):  # children that it left behind
            os.killpg(process.pid, signal.SIGTERM)


def apart(command: list[str], over: Mapping[Path, str]) -> list[str]:
    """Make a command see files and folders of ours in the place of the machine's.

    Args:
        command: What to run, as root.
        over: Ours, to the path that it covers; both exist.
    """
    if os.geteuid() != 0:
        raise PeerMissingError("A mount namespace asks for root.")
    binds = "".join(f"mount --bind '{ours}' '{theirs}'; " for ours, theirs in over.items())
    return [
        *("unshare", "--mount", "--propagation", "private", "--"),
        *("sh", "-ec", f'{binds}exec "$@"', "sh", *command),
    ]


def with_users(folder: Path, *names: str) -> dict[Path, str]:
    """Write lists of users and groups that know some more; for `apart`."""
    over = {}
    for kind, line in (
        ("passwd", "{0}:x:{1}:{1}::/nonexistent:/bin/false"),
        ("group", "{0}:x:{1}:"),
    ):
        own = folder / kind
        added = [line.format(name, 64901 + number) for number, name in enumerate(names)]
        own.write_text("\n".join([Path("/etc", kind).read_text().rstrip("\n"), *added, ""]))
        over[own] = f"/etc/{kind}"
    return over


def with_libraries(folder: Path, *libraries: Path) -> dict[Path, str]:
    """Write a linker's cache that knows some more folders; for `apart`.

    A variable would do, were there no servers that clean their environment.
    """
    wanted, cache = folder / "ld.so.conf", folder / "ld.so.cache"
    wanted.write_text("".join(f"{one}\n" for one in libraries) + "include /etc/ld.so.conf\n")
    subprocess.run(["ldconfig", "-X", "-C", cache, "-f", wanted], check=True, capture_output=True)
    return {cache: "/etc/ld.so.cache"}


def await_port(port: int, folder: Path) -> None:
    """Wait until a server greets."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            if probe.recv(1):
                return
        if time.monotonic() > deadline:
            said = (folder / "console").read_text(errors="replace")[-1000:]
            raise PeerMissingError(f"nobody listens on port {port}; the console: {said}")
        time.sleep(0.05)


def await_file(path: Path, log: Path) -> None:
    """Wait until a server has made its socket."""
    deadline = time.monotonic() + READY_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            said = log.read_text(errors="replace")[-1000:] if log.exists() else "nothing"
            raise PeerMissingError(f"{path.name} did not start; its log: {said}")
        time.sleep(0.05)
