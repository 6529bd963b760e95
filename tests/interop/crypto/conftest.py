"""Other implementations, started once for all tests; and the matrix that they fill."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest

from tests.interop.crypto.identities import Identities, make_identities
from tests.interop.crypto.matrix import Matrix
from tests.interop.crypto.peers.castle import BouncyCastle
from tests.interop.crypto.peers.gpgsm import Gpgsm
from tests.interop.crypto.peers.nss import Nss, thunderbird_libraries
from tests.interop.crypto.peers.openssl import OpenSsl
from tests.interop.crypto.peers.ports import Peer
from tests.interop.crypto.peers.scripts import Forge, PkiJs, start_node
from tests.interop.crypto.peers.servant import Servant
from tests.support.debian import PeerMissingError

REPORT = Path(__file__).parents[3] / "build" / "interop-smime.txt"
MATRIX = pytest.StashKey[Matrix]()
FIXTURES = {
    "OpenSSL": "openssl",
    "BouncyCastle": "castle",
    "NSS": "nss",
    "Thunderbird": "thunderbird",
    "gpgsm": "gpgsm",
    "pkijs": "pkijs",
    "forge": "forge",
}

T = TypeVar("T")


def pytest_configure(config: pytest.Config) -> None:
    """Have an empty matrix."""
    config.stash[MATRIX] = Matrix()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the matrix, and keep it in a file."""
    lines = list(config.stash[MATRIX].lines())
    if not lines:
        return
    terminalreporter.section("S/MIME with other implementations")
    for line in lines:
        terminalreporter.write_line(line)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("\n".join((*lines, "")), encoding="utf-8")


@pytest.fixture(scope="session")
def matrix(pytestconfig: pytest.Config) -> Matrix:
    """What is printed at the end."""
    return pytestconfig.stash[MATRIX]


@pytest.fixture(scope="session")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Identities:
    """Everybody who signs and reads."""
    return make_identities(tmp_path_factory.mktemp("identities"))


@pytest.fixture(scope="session")
def openssl(identities: Identities, tmp_path_factory: pytest.TempPathFactory) -> OpenSsl:
    """OpenSSL."""
    return _at_hand(lambda: OpenSsl(identities, tmp_path_factory.mktemp("openssl")))


@pytest.fixture(scope="session")
def castle(
    identities: Identities, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BouncyCastle]:
    """BouncyCastle."""
    made = _at_hand(lambda: BouncyCastle(identities, tmp_path_factory.mktemp("castle")))
    with closing(made):
        yield made


@pytest.fixture(scope="session")
def nss(identities: Identities, tmp_path_factory: pytest.TempPathFactory) -> Nss:
    """The NSS of the system."""
    folder = tmp_path_factory.mktemp("nss")
    return _at_hand(lambda: Nss(identities, folder, name="NSS", libraries=None))


@pytest.fixture(scope="session")
def thunderbird(identities: Identities, tmp_path_factory: pytest.TempPathFactory) -> Nss:
    """The NSS of Thunderbird."""
    folder = tmp_path_factory.mktemp("thunderbird")
    return _at_hand(
        lambda: Nss(identities, folder, name="Thunderbird", libraries=thunderbird_libraries())
    )


@pytest.fixture(scope="session")
def gpgsm(identities: Identities, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gpgsm]:
    """GnuPG's gpgsm."""
    with closing(_at_hand(lambda: Gpgsm(identities, tmp_path_factory.mktemp("gpgsm")))) as made:
        yield made


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servant]:
    """The process of the packages of npm."""
    with closing(_at_hand(lambda: start_node(tmp_path_factory.mktemp("node")))) as started:
        yield started


@pytest.fixture(scope="session")
def pkijs(identities: Identities, node: Servant) -> PkiJs:
    """Pkijs."""
    return PkiJs(identities, node)


@pytest.fixture(scope="session")
def forge(identities: Identities, node: Servant) -> Forge:
    """node-forge."""
    return Forge(identities, node)


@pytest.fixture
def peer(request: pytest.FixtureRequest, matrix: Matrix) -> Peer:
    """The peer that the test's parameter names."""
    found: Peer = request.getfixturevalue(FIXTURES[request.param])
    matrix.versions.setdefault(found.name, found.version)
    return found


def _at_hand(make: Callable[[], T]) -> T:
    try:
        return make()
    except PeerMissingError as error:
        pytest.skip(str(error))
