"""25 MB to twenty recipients, and back, within 8 MiB: as the interpreter and the system count."""

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from crypto.smime_stream import SignedForm
from tests.support import stream_memory as measured

pytestmark = pytest.mark.slow


@pytest.fixture
def traced() -> Iterator[None]:
    """Count what the interpreter allocates."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("form", SignedForm)
@pytest.mark.usefixtures("traced")
def test_a_large_letter_takes_little_of_the_interpreters_memory(
    tmp_path: Path, form: SignedForm
) -> None:
    """In both directions; a few pieces and the structure around them."""
    source, sealed = tmp_path / "letter", tmp_path / "sealed"
    people = measured.readers(measured.RECIPIENTS)
    measured.write_letter(source, measured.LETTER_OCTETS)

    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    measured.seal(source, sealed, people, form)
    measured.unseal(sealed, source, people[-1])
    _, peak = tracemalloc.get_traced_memory()

    assert sealed.stat().st_size > measured.LETTER_OCTETS
    assert peak - before < measured.LIMIT_OCTETS


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the system says it in /proc"
)
def test_a_large_letter_takes_little_of_the_machines_memory(tmp_path: Path) -> None:
    """What libraries allocate is not seen by the interpreter, so a process of its own tells."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.stream_memory", tmp_path],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )

    growth = [int(line.split()[-1]) for line in done.stdout.splitlines()]
    assert len(growth) == 4
    assert max(growth) < measured.LIMIT_OCTETS
