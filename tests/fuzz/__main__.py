"""`make fuzz`: look for octets that a parser neither reads nor refuses as it declares.

Each target runs in a process of its own, with coverage as the guide (atheris), for so many
seconds. What was found stays in `.fuzz/<target>/`; a crash is a file `crash-…` there and status 1.
"""

import argparse
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

FOLDER = Path(".fuzz")
INSTRUMENTED = ["crypto", "mss.clinical", "mss.hl7", "mss.mailboxes", "mss.mime"]


def main() -> None:
    """Run the targets that are asked for, or one in this process."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", help="names; all by default")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.here:
        _fuzz(words.targets[0], words.seconds)
    sys.exit(_run_all(words.targets, words.seconds))


def _run_all(names: list[str], seconds: int) -> int:
    from tests.fuzz.targets import TARGETS

    unknown = [each for each in names if each not in TARGETS]
    if unknown:
        _tell(f"no such target: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
        return 2
    bad = []
    for name in names or TARGETS:
        _tell(f"== {name}")
        command = [sys.executable, "-m", "tests.fuzz", name, "--here", "--seconds", str(seconds)]
        if subprocess.run(command, check=False).returncode:
            bad.append(name)
    for name in bad:
        _tell(f"FAILED: {name}; see {FOLDER / name}")
    return 1 if bad else 0


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _fuzz(name: str, seconds: int) -> None:
    atheris: Any = import_module("atheris")  # only on machines that it is compiled for
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.mutations import mutated
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    samples = target.samples()
    corpus = FOLDER / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(samples):
        (corpus / f"sample-{number}").write_bytes(sample)

    def mutate(octets: bytes, max_size: int, seed: int) -> bytes:
        if seed % 4 == 0:
            return bytes(atheris.Mutate(octets, len(octets)))[:max_size]
        return mutated(octets, seed, samples=samples)[:max_size]

    options = [
        "fuzz",
        f"-max_total_time={seconds}",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-max_len=65536",
        "-print_final_stats=1",
        "-verbosity=0",
        f"-artifact_prefix={FOLDER / name}/",
        str(corpus),
    ]
    atheris.Setup(options, target.check, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
