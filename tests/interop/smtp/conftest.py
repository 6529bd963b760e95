"""A hospital of ours beside the mail servers of others, and the matrix of what was tried."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.interop.smtp import servers
from tests.interop.smtp.servers import SERVERS, Server
from tests.support.daemons import free_port
from tests.support.debian import PeerMissingError
from tests.support.operators import (
    HOSPITAL,
    PRACTICES,
    AddressBook,
    Ground,
    Home,
    Running,
    operating,
    the_ground,
)

MATRIX = "matrix"
Note = Callable[..., None]


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    """Authority, trust list, directory and filled homes."""
    made = the_ground()
    yield made
    shutil.rmtree(made.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that the users of other programs may walk through, which those of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="mss-peers-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def hospital_port() -> int:
    """Where the hospital listens whenever it runs, since its peers are told only once."""
    return free_port()


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, ground: Ground, open_folder: Path, hospital_port: int
) -> Iterator[Server]:
    """Each mail server in turn, as the practices' operator."""
    folder = Path(tempfile.mkdtemp(dir=open_folder))
    try:
        part = servers.prepare(folder, ground, hospital=hospital_port)
        with SERVERS[request.param](part) as running:
            yield running
    except PeerMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def hospital_home(
    ground: Ground, tmp_path_factory: pytest.TempPathFactory, hospital_port: int
) -> Home:
    """A hospital's home whose door is where the peers look for it."""
    folder = tmp_path_factory.mktemp("hospital")
    return ground.copy(HOSPITAL, folder, {"listen": {"mx": f"127.0.0.1:{hospital_port}"}})


@pytest.fixture(scope="module")
def book() -> AddressBook:
    """Where the hospital finds others."""
    return AddressBook()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hospital(hospital_home: Home, book: AddressBook) -> AsyncIterator[Running]:
    """Our side, with every part running, for as long as peers may come back to it."""
    async with operating(hospital_home, book=book) as running:
        yield running


@pytest.fixture
def beside(server: Server, book: AddressBook, hospital: Running) -> Server:
    """The mail server, and a hospital that knows where it is."""
    book.ports[PRACTICES.domain] = server.port
    return server


@pytest.fixture
def note_case(request: pytest.FixtureRequest) -> Note:
    """Enter a case in the matrix: peer, direction, what was tried."""

    def note(peer: str, direction: str, case: str) -> None:
        request.node.user_properties.append((MATRIX, (peer, direction, case)))

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print peer by direction by case, and how it ended."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, value in getattr(report, "user_properties", ()):
                if name == MATRIX and getattr(report, "when", "") == "call":
                    peer, direction, case = value
                    row = cells.setdefault((direction, case), {})
                    row[peer] = "yes" if outcome == "passed" else "NO"
    if not cells:
        return
    peers = sorted({peer for row in cells.values() for peer in row})
    terminalreporter.section("SMTP peers")
    terminalreporter.write_line(f"{'':48}" + "".join(f"{peer:>14}" for peer in peers))
    for (direction, case), row in sorted(cells.items()):
        line = "".join(f"{row.get(peer, '-'):>14}" for peer in peers)
        terminalreporter.write_line(f"{direction:18}{case:30}{line}")
