"""Documents a second on one core: read and check an archive, write one; beside the plain work.

The plain work is what nobody can leave out: inflate the members with the standard library and
parse METADATA.XML and the document with lxml, without any check. Archives are the official
examples; where they are absent, the sample letter and a copy of it with a PDF of a megabyte.
"""

import base64
import io
import statistics
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from lxml import etree

from mss.clinical.check import check_archive
from mss.clinical.sample import discharge_letter
from mss.clinical.xdm import build_archive, read_archive
from tests.performance.compare import compare, rate_of, tell

AT = datetime(2026, 3, 12, 14, 30, tzinfo=UTC)
SET_ID = UUID(int=11)
REPEATS = 20
OFFICIAL = Path(__file__).parents[3] / "shared" / "data" / "xdm"
MEBI = 1024 * 1024


def run() -> None:
    """Measure every archive, then all of them one after the other."""
    archives = _official() or _own()
    seconds: dict[str, list[float]] = {"check": [], "build": [], "plain": []}
    for name, octets in archives.items():
        works = _works(octets)
        times = {kind: _median_seconds(work) for kind, work in works.items()}
        for kind, took in times.items():
            seconds[kind].append(took)
        tell(
            bench="documents",
            case=name,
            octets=len(octets),
            milliseconds={kind: round(took * 1000, 2) for kind, took in times.items()},
            peak_mebibytes={
                kind: round(_peak(works[kind]) / MEBI, 1) for kind in ("check", "build")
            },
        )
    for kind, all_seconds in seconds.items():
        tell(
            bench="documents",
            case=f"{kind}, over {len(archives)} archives",
            median_milliseconds=round(statistics.median(all_seconds) * 1000, 2),
            p95_milliseconds=round(statistics.quantiles(all_seconds, n=20)[-1] * 1000, 2),
        )
    everything = [_works(octets) for octets in archives.values()]

    def rate(kind: str) -> Callable[[], float]:
        def once() -> None:
            for works in everything:
                works[kind]()

        return lambda: rate_of(once, times=2) * len(everything)

    compare(
        "documents",
        f"parse and check {len(archives)} archives, one core",
        {"check": rate("check"), "plain": rate("plain")},
    )
    compare(
        "documents",
        f"build {len(archives)} archives, one core",
        {"build": rate("build"), "plain": rate("plain")},
    )


def _works(octets: bytes) -> dict[str, Callable[[], object]]:
    document = read_archive(octets).documents[0].octets
    return {
        "check": lambda: check_archive(read_archive(octets), at=AT),
        "build": lambda: build_archive([document], set_uuid=SET_ID, at=AT),
        "plain": lambda: _plain(octets),
    }


def _plain(octets: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(octets)) as opened:
        for one in opened.infolist():
            if one.filename.upper().endswith(".XML"):
                etree.fromstring(opened.read(one).lstrip(), etree.XMLParser(huge_tree=True))


def _median_seconds(work: Callable[[], object]) -> float:
    work()
    took = []
    for _ in range(REPEATS):
        begun = time.process_time()
        work()
        took.append(time.process_time() - begun)
    return statistics.median(took)


def _peak(work: Callable[[], object]) -> int:
    """Measure what Python allocates at most; the trees of libxml2 are not in it."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def _official() -> dict[str, bytes]:
    found = sorted(OFFICIAL.glob("*/IHE_XDM.ZIP"))
    return {path.parent.name: path.read_bytes() for path in found}


def _own() -> dict[str, bytes]:
    letter = discharge_letter(at=AT, letter_id=UUID(int=7))
    pdf = base64.b64encode(b"%PDF-1.4\n" + bytes(range(256)) * 4096 + b"\n%%EOF")
    copy = (
        b'<entry><observationMedia classCode="OBS" moodCode="EVN"><value representation="B64" '
        b'mediaType="application/pdf">' + pdf + b"</value></observationMedia></entry></section>"
    )
    large = letter.cda.replace(b"</section>", copy, 1)
    return {
        "sample": letter.archive,
        "sample with a PDF": build_archive([large], set_uuid=SET_ID, at=AT),
    }
