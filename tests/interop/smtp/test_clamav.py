"""ClamAV's own daemon, with one signature written by hand: no list of signatures is fetched."""

import asyncio
from base64 import encodebytes
from collections.abc import Iterator
from pathlib import Path

import pytest

from mss.antivirus import ClamdScanner
from mss.errors import ScannerUnavailableError
from mss.settings import AntivirusSettings
from tests.interop.smtp.conftest import Note
from tests.interop.smtp.letters import a_letter
from tests.support.clamd import EICAR, NAME
from tests.support.daemons import READY_SECONDS, apart, free_port, started, with_libraries
from tests.support.debian import PeerMissingError, unpacked
from tests.support.operators import HOSPITAL, PRACTICES

pytestmark = [pytest.mark.interop, pytest.mark.slow]
CLAMD = "clamd"
LARGEST = 1024 * 1024
CONFIGURATION = """\
Foreground yes
TCPAddr 127.0.0.1
TCPSocket {port}
DatabaseDirectory {folder}/signatures
TemporaryDirectory {folder}
StreamMaxLength {largest}
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the daemon; gives where it listens."""
    folder = tmp_path_factory.mktemp("clamd")
    try:
        root = unpacked("clamav-daemon", "libclamav12", "libmspack0")
        over = with_libraries(folder, *(root / "usr/lib").glob("*-linux-gnu*"))
        port = free_port()
        (folder / "signatures").mkdir()
        (folder / "signatures/own.ndb").write_text(f"{NAME}:0:*:{EICAR.encode().hex()}\n")
        configuration = CONFIGURATION.format(port=port, folder=folder, largest=LARGEST)
        (folder / "clamd.conf").write_text(configuration)
        command = [str(root / "usr/sbin/clamd"), "-c", f"{folder}/clamd.conf"]
        with started(apart(command, over), folder):
            asyncio.run(_await_daemon(port, folder))
            yield f"127.0.0.1:{port}"
    except PeerMissingError as error:
        pytest.skip(str(error))


async def _await_daemon(port: int, folder: Path) -> None:
    """Wait until it scans; it does not greet."""
    for _ in range(int(READY_SECONDS / 0.1)):
        try:
            if await scanner(f"127.0.0.1:{port}").scan(b"a") is None:
                return
        except ScannerUnavailableError:
            await asyncio.sleep(0.1)
    raise PeerMissingError(f"clamd does not answer: {(folder / 'console').read_text()[-1000:]}")


def scanner(address: str) -> ClamdScanner:
    return ClamdScanner(settings=AntivirusSettings(address=address, timeout_seconds=10))


ENCODED = b"Content-Type: application/zip; name=a\r\nContent-Transfer-Encoding: base64\r\n"
BASE64 = encodebytes(EICAR.encode()).replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    ("octets", "verdict"),
    [
        (EICAR.encode(), f"{NAME}.UNOFFICIAL"),
        (a_letter(HOSPITAL.mailbox, PRACTICES.mailbox, b"Bonjour.\r\n"), None),
        (a_letter(HOSPITAL.mailbox, PRACTICES.mailbox, BASE64, more=ENCODED), f"{NAME}.UNOFFICIAL"),
        (b"x" * (LARGEST - 1), None),
        (b"", None),
    ],
    ids=["the text itself", "a clean letter", "an encoded attachment", "nearly too large", "empty"],
)
async def test_its_verdicts_are_read(
    address: str, octets: bytes, verdict: str | None, note_case: Note
) -> None:
    """The name that goes to the quarantine's record, or nothing."""
    note_case(CLAMD, "INSTREAM", "verdicts")

    assert await scanner(address).scan(octets) == verdict


async def test_what_it_finds_too_large_has_no_verdict(address: str, note_case: Note) -> None:
    """It answers in the middle of the stream and hangs up; that is not *clean*."""
    note_case(CLAMD, "INSTREAM", "size limit")

    with pytest.raises(ScannerUnavailableError) as raised:
        await scanner(address).scan(b"x" * (20 * LARGEST))

    assert raised.value.reason == "size-limit"


async def test_many_at_once_are_told_apart(address: str, note_case: Note) -> None:
    """A connection each, and each its own verdict."""
    note_case(CLAMD, "INSTREAM", "20 at once")
    wanted = [EICAR.encode() if number % 2 else b"clean" for number in range(20)]

    verdicts = await asyncio.gather(*(scanner(address).scan(one) for one in wanted))

    assert [one is not None for one in verdicts] == [bool(number % 2) for number in range(20)]
