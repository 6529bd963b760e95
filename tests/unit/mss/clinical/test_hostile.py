"""The whole corpus in one process that may take 64 MiB, as a server would meet it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import mss
from tests.support.hostile_documents import ARCHIVES, DOCUMENTS, XML, Hostile

SAMPLES: dict[str, Hostile] = {
    **{f"archive:{name}": one for name, one in ARCHIVES.items()},
    **{f"xml:{name}": one for name, one in XML.items()},
    **{f"document:{name}": one for name, one in DOCUMENTS.items()},
}
MEMORY = 64 * 1024 * 1024
SECONDS = 1.0

CHILD = """\
import json, resource, sys, time
from mss.clinical.check import check_archive, check_cda
from mss.clinical.cda import CdaSyntaxError, parse_cda
from mss.clinical.xdm import ArchiveError, read_archive

def judge(kind, octets):
    if kind == "archive":
        try:
            return [one.code for one in check_archive(read_archive(octets))]
        except ArchiveError as error:
            return [error.code]
    if kind == "xml":
        try:
            parse_cda(octets)
        except CdaSyntaxError as error:
            return [error.reason]
    return [one.code for one in check_cda(octets)]

judge("document", b'<ClinicalDocument xmlns="urn:hl7-org:v3"/>')  # tables are read, once
lines = open("/proc/self/status").read().splitlines()
used = next(int(one.split()[1]) for one in lines if one.startswith("VmData")) * 1024
for line in sys.stdin:
    name, path = json.loads(line)
    octets = open(path, "rb").read()
    limit = used + len(octets) + int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
    begun = time.process_time()
    codes = judge(name.partition(":")[0], octets)
    print(json.dumps([name, codes, time.process_time() - begun]), flush=True)
    del octets
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[str], float]]:
    """What a process with little memory says to each sample, and how long it thinks."""
    folder = tmp_path_factory.mktemp("hostile")
    lines = []
    for number, (name, one) in enumerate(SAMPLES.items()):
        path = folder / f"{number}.bin"
        path.write_bytes(one.make())
        lines.append(json.dumps([name, str(path)]))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(MEMORY)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(mss.__file__).parent.parent,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == len(SAMPLES), done.stderr[-2000:]
    return {name: (codes, took) for name, codes, took in rows}


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_a_hostile_sample_is_answered_by_its_code_within_a_second(
    answers: dict[str, tuple[list[str], float]], name: str
) -> None:
    """Process time, so that a busy machine changes nothing."""
    codes, took = answers[name]

    assert SAMPLES[name].code in codes
    assert took < SECONDS
