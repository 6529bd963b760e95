"""How much is left of the rate on a slow disk? Every sync takes 5 ms more, for us and for Postfix.

The delay is in front of `fsync` and `fdatasync`, put there by a small library that is loaded into
every server process; it is compiled when the benchmark starts (`cc`). A server that makes many
letters durable with one sync keeps its rate; one that syncs for each does not.

Shapes
    `kept` is the rate with the delay over the rate without, in the same run.
"""

import shutil
import ssl
import statistics
import subprocess
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.performance.compare import tell
from tests.performance.relay import (
    ROUNDS,
    SETTINGS,
    Contender,
    our_load,
    private_postfix,
    their_load,
)
from tests.performance.served import served
from tests.support.debian import PeerMissingError
from tests.support.operators import ACCOUNT, HOSPITAL, PASSWORD, the_ground

DELAY_MS = 5
CASES = {"10 kB": (10_000, 600, 50), "100 kB": (100_000, 400, 50)}
SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
typedef int (*sync_call)(int);
static void wait_first(void) {
    struct timespec delay = {0, %(delay)d * 1000000L};
    nanosleep(&delay, 0);
}
int fsync(int fd) {
    static sync_call real;
    if (!real) real = (sync_call)dlsym(RTLD_NEXT, "fsync");
    wait_first();
    return real(fd);
}
int fdatasync(int fd) {
    static sync_call real;
    if (!real) real = (sync_call)dlsym(RTLD_NEXT, "fdatasync");
    wait_first();
    return real(fd);
}
"""


def run() -> None:
    """Measure both servers on the disk as it is, and on the slow one."""
    with tempfile.TemporaryDirectory(prefix="mss-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        slow = {"LD_PRELOAD": str(_shim(folder))}
        contenders: dict[str, dict[str, Contender]] = {}
        with ExitStack() as stack:
            for disk, environment in (("as it is", {}), ("slow", slow)):
                own = folder / disk.replace(" ", "-")
                own.mkdir(mode=0o711)
                home = the_ground().copy(HOSPITAL, own, SETTINGS)
                tls = ssl.create_default_context(cafile=str(home.anchors))
                serve = ["-m", "mss", "--home", str(home.path), "serve", "--only", "submission"]
                ours = stack.enter_context(served(serve, environment, own))
                postfix = stack.enter_context(private_postfix(own / "postfix", home, environment))
                login = partial(our_load, ours.port, tls=tls, credentials=(ACCOUNT, PASSWORD))
                contenders[disk] = {
                    "mss": Contender(load=partial(login, to=HOSPITAL.other), pids=(ours.pid,)),
                    "postfix + dovecot": Contender(
                        load=partial(their_load, postfix, tls=tls),
                        pids=postfix.pids,
                        delivered=postfix.delivered,
                    ),
                }
            for case, numbers in CASES.items():
                _compare(case, contenders, numbers)


def _compare(
    case: str, contenders: dict[str, dict[str, Contender]], numbers: tuple[int, int, int]
) -> None:
    """Measure all four in turn, and tell."""
    for servers in contenders.values():
        for one in servers.values():
            one.forget()
    for _ in range(ROUNDS):
        for servers in contenders.values():
            for one in servers.values():
                one.measure(*numbers)
    rates = {
        disk: {name: statistics.median(one.rates) for name, one in servers.items()}
        for disk, servers in contenders.items()
    }
    tell(
        bench="slowdisk",
        case=f"{case}, TLS, {numbers[2]} connections, syncs {DELAY_MS} ms slower",
        unit="delivered per second",
        rounds=ROUNDS,
        rates={
            disk: {name: round(rate, 1) for name, rate in found.items()}
            for disk, found in rates.items()
        },
        kept={
            name: round(rates["slow"][name] / rates["as it is"][name], 2) for name in rates["slow"]
        },
        ratios={
            "mss / postfix + dovecot": round(
                rates["slow"]["mss"] / rates["slow"]["postfix + dovecot"], 2
            )
        },
    )


def _shim(folder: Path) -> Path:
    """Compile the library that delays."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise PeerMissingError("Missing, as root: apt-get install gcc libc6-dev")
    source, library = folder / "delay.c", folder / "delay.so"
    source.write_text(SHIM % {"delay": DELAY_MS})
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    library.chmod(0o755)
    return library
