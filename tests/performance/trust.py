"""What judging a certificate costs: a known peer, a new one, a large list, a crowd of look-alikes.

The numbers that docs/adr/0017 promises: a peer known for a moment in microseconds; a list of half a
million entries indexed once, opened at once, looked up in microseconds, in bounded memory.
"""

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from crypto import trust
from crypto.certificates import parse_certificate
from crypto.crl_index import find_list, load_list
from crypto.trust import TrustStore, validate
from tests.support.large_lists import a_large_list, serial_number
from tests.support.pki import NOW, Pki, make_pki

ENTRIES = 500_000


def run() -> None:
    """Measure and print."""
    pki = make_pki()
    _measure_verdicts(pki)
    octets = a_large_list(pki.authority.issuing, ENTRIES, at=NOW)
    with tempfile.TemporaryDirectory(prefix="mss-bench-") as name:
        _measure_list(pki, octets, Path(name))


def _measure_verdicts(pki: Pki) -> None:
    leaf, store = pki.hospital_signature.certificate, pki.store()

    def ask(asked: TrustStore) -> None:
        validate(leaf, store=asked, profile=trust.MAIL_SIGNING, at=NOW)

    ask(store)
    _print("verdict, known peer", _seconds(lambda: ask(store), times=10_000), "us")
    fresh = [pki.store_with(store.crls) for _ in range(100)]
    _print("verdict, new peer, 3 certificates", _seconds(lambda: ask(fresh.pop()), times=100), "ms")


def _measure_list(pki: Pki, octets: bytes, folder: Path) -> None:
    signers = [pki.authority.issuing.certificate]
    _tell(f"trust: list of {ENTRIES:,} entries, {len(octets) / 1e6:.1f} MB")
    _print("index (verify, sort, sync)", _seconds(
        lambda: load_list(octets, folder=folder, signers=signers), times=1), "ms")  # fmt: skip
    (file,) = folder.glob("*.crlx")
    _tell(f"trust: index file {file.stat().st_size / 1e6:.1f} MB")
    found = find_list(file.stem, folder=folder)
    assert found is not None
    _print("open after a restart", _seconds(
        lambda: find_list(file.stem, folder=folder), times=5), "ms")  # fmt: skip
    numbers = iter(range(10_000))
    _print("look-up, not listed", _seconds(
        lambda: found.entries.find(serial_number(next(numbers)) + 1, found.issuer, is_own=True),
        times=10_000), "us")  # fmt: skip
    listed = iter(range(10_000))
    _print("look-up, listed", _seconds(
        lambda: found.entries.find(serial_number(next(listed)), found.issuer, is_own=True),
        times=10_000), "us")  # fmt: skip
    copy = folder / "list.crl"
    copy.write_bytes(octets)
    file.unlink()
    for what in ("index", "open"):
        context = multiprocessing.get_context("spawn")
        answers = context.SimpleQueue()
        process = context.Process(target=_grow, args=(copy, folder, signers[0].der, answers.put))
        process.start()
        process.join()
        _tell(f"trust: memory of a process to {what}: {answers.get() / 1024:.0f} MiB")


def _grow(copy: Path, folder: Path, signer: bytes, tell: Callable[[int], None]) -> None:
    """Load a list in a fresh process and tell by how many KiB it grew at its peak."""
    before = _peak_kib()
    load_list(copy.read_bytes(), folder=folder, signers=[parse_certificate(signer)])
    tell(_peak_kib() - before)


def _peak_kib() -> int:
    """Read the peak of this process alone; what getrusage tells is inherited from the parent."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def _seconds(work: Callable[[], object], *, times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - started) / times


def _print(what: str, seconds: float, unit: str) -> None:
    factor = {"us": 1e6, "ms": 1e3}[unit]
    _tell(f"trust: {what}: {seconds * factor:.1f} {unit}")


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
