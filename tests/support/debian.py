"""Which programs of Debian packages are at hand, without installing mail servers over one another?

Debian's mail servers exclude each other as packages. A test needs none of them installed: their
packages are fetched and unpacked into a folder of the user's cache, and run from there with private
configurations. That takes `apt-get` and `dpkg`, and no rights.

Errors
    `PeerMissingError` with the words for the person who runs the tests.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

FETCH_SECONDS = 300


class PeerMissingError(Exception):
    """A program that a test runs against is neither here nor to be had."""


def unpacked(*packages: str) -> Path:
    """Give the folder that Debian packages are unpacked in, fetching them the first time.

    Returns:
        A folder with `usr/…` of all of them in it; shared by every run of this user.

    Raises:
        PeerMissingError: They cannot be fetched, or this is no Debian.
    """
    folder = _cache() / "+".join(sorted(packages))
    if folder.is_dir():
        return folder
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise PeerMissingError(f"Only Debian has the packages {', '.join(packages)}.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as scratch:
        archives = Path(scratch, "archives")
        archives.mkdir()
        _run("apt-get", "download", "--quiet", *packages, folder=archives)
        root = Path(scratch, "root")
        for archive in sorted(archives.glob("*.deb")):
            _run("dpkg", "-x", str(archive), str(root), folder=archives)
        try:
            root.rename(folder)
        except OSError:  # another run was first
            if not folder.is_dir():
                raise
    return folder


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "mss-server-tests", "debian")


def _run(*command: str, folder: Path) -> None:
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=FETCH_SECONDS
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = getattr(error, "stderr", "") or ""
        raise PeerMissingError(f"{' '.join(command)}: {str(said)[-500:]}") from error
