"""Find, or install, the programs that the interoperability tests run against; or say which miss.

Programs and libraries come from Debian packages; packages of npm go below `.venv`, in the versions
that `tests/interop/package-lock.json` pins with their digests.

Errors
    Exit status 1 with the names of what is missing and how to get it.
"""

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# Program, or file where there is none -> Debian package that brings it.
PEERS = {
    "openssl": "openssl",
    "softhsm2-util": "softhsm2",
    "cmsutil": "libnss3-tools",
    "gpgsm": "gpgsm",
    "gpg-agent": "gpg-agent",
    "gpgconf": "gpgconf",
    "java": "openjdk-17-jdk-headless",
    "javac": "openjdk-17-jdk-headless",
    "/usr/share/java/bcprov.jar": "libbcprov-java",
    "/usr/share/java/bcutil.jar": "libbcutil-java",
    "/usr/share/java/bcpkix.jar": "libbcpkix-java",
    "node": "nodejs",
    "npm": "npm",
    "chromium": "chromium",
    "/usr/sbin/slapd": "slapd",
    # Mail servers are unpacked, not installed (tests/support/debian.py); these run beside them.
    "strace": "strace",
    "perl": "perl",
    "cc": "gcc",
    "ldconfig": "libc-bin",
    "unshare": "util-linux",
}
NPM_LOCKED = ROOT / "tests" / "interop"
NPM_PACKAGES = ROOT / ".venv" / "peers"
NPM_FILES = ("package.json", "package-lock.json")


def main() -> None:
    """Leave with status 0 when every peer is there."""
    packages = missing_packages()
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        sys.stderr.write(f"installing {', '.join(packages)}\n")
        command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(command, check=False, stdout=sys.stderr, env=environment)
        packages = missing_packages()
    if packages:
        sys.exit(f"Missing, as root: apt-get install {' '.join(packages)}")
    if not has_npm_packages():
        install_npm_packages()


def missing_packages() -> list[str]:
    """List the Debian packages whose program or file is not there."""
    return sorted({package for name, package in PEERS.items() if not is_there(name)})


def is_there(name: str) -> bool:
    """Tell whether a program is on the path, or a file exists."""
    return Path(name).exists() if name.startswith("/") else shutil.which(name) is not None


def has_npm_packages() -> bool:
    """Tell whether what is installed is what the lock says."""
    if not (NPM_PACKAGES / "node_modules").is_dir():
        return False
    _, different, absent = filecmp.cmpfiles(NPM_LOCKED, NPM_PACKAGES, NPM_FILES, shallow=False)
    return not different and not absent


def install_npm_packages() -> None:
    """Install what the lock says; no script of a package runs."""
    NPM_PACKAGES.mkdir(parents=True, exist_ok=True)
    for name in NPM_FILES:
        shutil.copyfile(NPM_LOCKED / name, NPM_PACKAGES / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, check=False, cwd=NPM_PACKAGES, stdout=sys.stderr)
    if done.returncode:
        shutil.rmtree(NPM_PACKAGES, ignore_errors=True)
        sys.exit("Missing: the packages of tests/interop/package.json; npm cannot fetch them.")


if __name__ == "__main__":
    main()
