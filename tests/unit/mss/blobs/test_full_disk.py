import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

import mss

ROOT = Path(mss.__file__).parents[1]
SCRIPT = Path(__file__).with_name("small_disk.py")


def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
def test_files_that_may_not_grow_are_a_full_store(tmp_path: Path) -> None:
    """The system's own limit, as any account meets it; lifted, the store works again."""
    done = run(sys.executable, SCRIPT, "files", tmp_path)

    assert done.stdout.splitlines() == ["full 0", "whole True True", "whole True True"], done.stderr


@pytest.mark.slow
def test_a_full_file_system_is_a_full_store(tmp_path: Path) -> None:
    """A real one of one megaoctet, in a mount namespace of its own; a deletion makes room."""
    unshare = which("unshare")
    inside = ["--map-root-user", "--mount", "sh", "-c"]
    mount = 'mount -t tmpfs -o size=1m tmpfs "$1" && '
    if unshare is None or run(unshare, *inside, f"{mount} true", "-", tmp_path).returncode:
        pytest.skip("no mount namespace for this account")
    done = run(
        unshare, *inside, f'{mount} exec "$2" "$3" disk "$1"', "-", tmp_path, sys.executable, SCRIPT
    )

    assert done.stdout.splitlines() == ["full 10", "whole True True", "whole True True"], (
        done.stderr
    )
