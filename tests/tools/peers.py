"""Find, or install, the programs that the interoperability tests run against; or say which miss.

Errors
    Exit status 1 with the names of the Debian packages that are missing.
"""

import os
import shutil
import subprocess
import sys

# Program -> Debian package that brings it.
PEERS = {"openssl": "openssl"}


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


def missing_packages() -> list[str]:
    """List the Debian packages whose program is not on the path."""
    return sorted({package for name, package in PEERS.items() if shutil.which(name) is None})


if __name__ == "__main__":
    main()
