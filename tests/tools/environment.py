"""Make the environment of this checkout from a lock file (`environment.py run|dev|interop`).

Standard library only, and readable by Python 3.9 and later: it runs first on a new machine. The
environment is `.venv`; every package is pinned with its hash; the packages of the checkout are put
on its path by one relative line, so nothing has to be built and the folder may move.

Errors
    Exit status 1 with a sentence that says what is missing and how to get it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

OLDEST = (3, 11)
# Each lock file, and those whose packages it includes.
LOCKS = {"run": ("run",), "dev": ("dev", "run"), "interop": ("interop", "dev", "run")}
ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LAUNCHER = """\
#!/bin/sh
exec "$(dirname "$0")/python" -m mss "$@"
"""


def main() -> None:
    """Bring `.venv` in step with a lock file, saying what takes time."""
    wanted = sys.argv[1] if len(sys.argv) == 2 else ""
    if wanted not in LOCKS:
        fail("usage: environment.py run|dev|interop")
    if sys.version_info < OLDEST:
        fail("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ".")
    lock = ROOT / (wanted + ".lock")
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not is_usable():
        make_environment()
    stamp = VENV / (".locked-" + wanted)
    if not stamp.exists() or stamp.read_text() != digest:
        install(lock)
    put_checkout_on_path()
    for name in LOCKS[wanted]:
        each = ROOT / (name + ".lock")
        (VENV / (".locked-" + name)).write_text(hashlib.sha256(each.read_bytes()).hexdigest())


def is_usable() -> bool:
    """Tell whether `.venv` holds a Python of ours with pip; a moved or upgraded one may not."""
    if not PYTHON.exists():
        return False
    probe = f"import sys, pip; sys.exit(sys.version_info < {OLDEST!r})"
    done = subprocess.run([str(PYTHON), "-c", probe], check=False, capture_output=True)
    return done.returncode == 0


def make_environment() -> None:
    """Create `.venv` with pip in it."""
    say("environment: .venv with Python " + sys.version.split()[0])
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        fail(
            "Python could not make an environment. On Debian and Ubuntu, as root: apt-get install\n"
            f"{package}; or name another Python: make PYTHON=/path/to/python3.12 …\n"
            + (done.stdout + done.stderr).strip()
        )


def install(lock: Path) -> None:
    """Install every package of a lock file, counting them as they come."""
    total = sum(1 for line in lock.read_text().splitlines() if "==" in line and line[0] != " ")
    say(f"packages: {total} from {lock.name}, each checked against its hash")
    command = [
        str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input",
        "--progress-bar", "off", "--no-deps", "--no-compile", "--require-hashes",
        "--requirement", str(lock),
    ]  # fmt: skip
    started, seen = time.monotonic(), 0
    last: deque[str] = deque(maxlen=15)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        for line in pip.stdout or ():
            last.append(line.rstrip())
            if line.startswith(("Collecting ", "Requirement already")):
                seen += 1
                show(f"{seen} of {total} found", every=seen % 20 == 0)
            elif line.startswith("Installing collected"):
                show(f"installing {total}", every=True)
    show("", every=False)
    if pip.returncode:
        fail("The packages could not be installed:\n  " + "\n  ".join(last))
    say(f"packages: done in {time.monotonic() - started:.0f} s")


def put_checkout_on_path() -> None:
    """Let the environment import this checkout, and give it the command `mss`."""
    for packages in VENV.glob("lib/python3.*/site-packages"):
        line = os.path.relpath(str(ROOT), str(packages)) + "\n"
        (packages / "mss-checkout.pth").write_text(line)
    launcher = VENV / "bin" / "mss"
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)


def show(text: str, *, every: bool) -> None:
    """Give a sign of life: on one line of a terminal, elsewhere only now and then."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + ("  " + text if text else ""))
        sys.stderr.flush()
    elif every:
        say("  " + text)


def say(text: str) -> None:
    """Say what is being done, beside the standard output of the make target."""
    print(text, file=sys.stderr, flush=True)


def fail(text: str) -> None:
    """Say what is wrong, and end."""
    say(text)
    sys.exit(1)


if __name__ == "__main__":
    main()
