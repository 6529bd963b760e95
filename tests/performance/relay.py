"""From submission to the mailbox, beside the mail server that people run: Postfix with Dovecot.

Ours checks who sends, grammar, directory and content, seals the body, makes it and its rows durable
and has it in the mailbox by the time of the 250. In the case *signed and encrypted* the letter goes
to another operator: it is signed and encrypted before the 250, its author's copy is in the
mailbox `Sent`, and the sealed letter is in the queue.

Theirs takes the letter into its queue, answers, and hands it to Dovecot over LMTP, which writes it
into a Maildir; it looks at no content, and signs, encrypts and seals nothing. A letter counts when
it lies in a mailbox. Both are whole process trees on the same disk; the sender shares the machine.

Shapes
    `rates` is letters delivered a second; `cpu_ms` is CPU per letter of the whole process tree;
    `p50_ms` and `p99_ms` are from the end of the data to the reply.
"""

import ssl
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.performance.compare import tell
from tests.performance.processes import cpu_seconds, memory_octets
from tests.performance.sender import Load, Sent, send
from tests.performance.served import served
from tests.support.operators import (
    ACCOUNT,
    HOSPITAL,
    PASSWORD,
    PRACTICES,
    Home,
    Sections,
    the_ground,
)
from tests.support.postfix import DOMAIN, Postfix, running_postfix_and_dovecot

ROUNDS = 3
DRAIN_SECONDS = 60.0
# Octets, letters a round, connections.
SIZES = {"10 kB": (10_000, 600, 10), "100 kB": (100_000, 400, 10), "1 MB": (1_000_000, 60, 10)}
LATENCY = (100_000, 400, 20)
MEMORY = (1_000_000, 100, 50)
THEIR_MAILBOXES = tuple(f"bal{number}@{DOMAIN}" for number in range(10))
SETTINGS: Sections = {
    "limits": {"connections_per_host": 100, "mailbox_octets": 2**40},
    "directory": {"ask_peer": False},
}


@dataclass(slots=True, kw_only=True)
class Contender:
    """A mail server under load.

    Attributes:
        delivered: Counts the letters that lie in mailboxes; none if they do at the reply.
        pids: Its processes, or those it started from.
    """

    load: Callable[..., Load]
    pids: tuple[int, ...]
    delivered: Callable[[], int] | None = None
    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def measure(self, octets: int, letters: int, connections: int) -> None:
        """Send one round, and wait until everything is delivered."""
        before, used = self.delivered() if self.delivered else 0, cpu_seconds(self.pids)
        started = time.perf_counter()
        sent = send(self.load(octets=octets, letters=letters, connections=connections))
        took = self._until_delivered(before + letters, started) if self.delivered else sent.seconds
        self.rates.append(letters / took)
        self.cpu_ms.append((cpu_seconds(self.pids) - used) / letters * 1000)
        self.waits.extend(sent.waits)

    def forget(self) -> None:
        """Begin anew."""
        self.rates, self.cpu_ms, self.waits = [], [], []

    def _until_delivered(self, wanted: int, started: float) -> float:
        assert self.delivered is not None
        while (there := self.delivered()) < wanted:
            if time.perf_counter() - started > DRAIN_SECONDS:
                raise TimeoutError(f"{there} of {wanted} letters are delivered")
            time.sleep(0.01)
        return time.perf_counter() - started


def run() -> None:
    """Measure in clear and in TLS, small letters to large ones."""
    with tempfile.TemporaryDirectory(prefix="mss-bench-") as folder:
        Path(folder).chmod(0o711)
        compare_all("relay", Path(folder), {})


def compare_all(bench: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Measure every case; *environment* is given to all servers alike."""
    home = the_ground().copy(HOSPITAL, folder, SETTINGS)
    tls = ssl.create_default_context(cafile=str(home.anchors))
    with ExitStack() as stack:
        plain = stack.enter_context(served(_plain(home), environment, folder))
        postfix = stack.enter_context(private_postfix(folder / "postfix", home, environment))
        theirs = partial(their_load, postfix)
        ours = partial(our_load, plain.port)
        for name, numbers in SIZES.items():
            _compare(
                bench,
                f"{name}, in clear, {numbers[2]} connections",
                ours=Contender(load=partial(ours, to=HOSPITAL.other), pids=(plain.pid,)),
                theirs=Contender(load=theirs, pids=postfix.pids, delivered=postfix.delivered),
                numbers=numbers,
            )
    with ExitStack() as stack:
        serve = ["-m", "mss", "--home", str(home.path), "serve", "--only", "submission"]
        secure = stack.enter_context(served(serve, environment, folder))
        postfix = stack.enter_context(private_postfix(folder / "postfix-tls", home, environment))
        ours = partial(our_load, secure.port, tls=tls, credentials=(ACCOUNT, PASSWORD))
        theirs = partial(their_load, postfix, tls=tls)
        cases = {
            **{name: (HOSPITAL.other, numbers) for name, numbers in SIZES.items()},
            "100 kB, many at once": (HOSPITAL.other, LATENCY),
            "1 MB, many at once": (HOSPITAL.other, MEMORY),
            "10 kB, signed and encrypted": (PRACTICES.mailbox, SIZES["10 kB"]),
            "100 kB, signed and encrypted": (PRACTICES.mailbox, SIZES["100 kB"]),
            "1 MB, signed and encrypted": (PRACTICES.mailbox, SIZES["1 MB"]),
        }
        for name, (to, numbers) in cases.items():
            _compare(
                bench,
                f"{name}, TLS, {numbers[2]} connections",
                ours=Contender(load=partial(ours, to=to), pids=(secure.pid,)),
                theirs=Contender(load=theirs, pids=postfix.pids, delivered=postfix.delivered),
                numbers=numbers,
            )


def _compare(
    bench: str, case: str, *, ours: Contender, theirs: Contender, numbers: tuple[int, int, int]
) -> None:
    """Measure both in turn, and tell."""
    octets, letters, connections = numbers
    contenders = {"mss": ours, "postfix + dovecot": theirs}
    for _ in range(ROUNDS):
        for one in contenders.values():
            one.measure(octets, letters, connections)
    rates = {name: statistics.median(one.rates) for name, one in contenders.items()}
    tell(
        bench=bench,
        case=case,
        unit="delivered per second",
        rounds=ROUNDS,
        rates={name: round(rate, 1) for name, rate in rates.items()},
        ratios={"mss / postfix + dovecot": round(rates["mss"] / rates["postfix + dovecot"], 2)},
        spread={
            name: [round(min(one.rates), 1), round(max(one.rates), 1)]
            for name, one in contenders.items()
        },
        cpu_ms={name: round(statistics.median(one.cpu_ms), 2) for name, one in contenders.items()},
        p50_ms={name: _percentile(one, 0.5) for name, one in contenders.items()},
        p99_ms={name: _percentile(one, 0.99) for name, one in contenders.items()},
        memory_mb={name: round(memory_octets(one.pids) / 1e6) for name, one in contenders.items()},
    )


def _percentile(contender: Contender, part: float) -> float:
    return Sent(waits=contender.waits).percentile_ms(part)


def _plain(home: Home) -> list[str]:
    return ["-m", "tests.performance.plain_door", str(home.path)]


def our_load(port: int, *, to: str, **more: object) -> Load:
    """Have our users write to one mailbox."""
    return Load(port=port, sender=HOSPITAL.mailbox, recipients=(to,), **more)  # type: ignore[arg-type]


def their_load(postfix: Postfix, **more: object) -> Load:
    """Have somebody write to all mailboxes behind Postfix, which is its better case."""
    sender = f"hopital@{DOMAIN}"
    return Load(port=postfix.port, sender=sender, recipients=THEIR_MAILBOXES, **more)  # type: ignore[arg-type]


@contextmanager
def private_postfix(folder: Path, home: Home, environment: Mapping[str, str]) -> Iterator[Postfix]:
    """Run Postfix and Dovecot with the certificate that ours shows."""
    folder.mkdir()
    keys = home.path / "keys"
    settings = {
        "smtpd_tls_security_level": "may",
        "smtpd_tls_cert_file": f"{keys}/tls.crt",
        "smtpd_tls_key_file": f"{keys}/tls.key",
    }
    with running_postfix_and_dovecot(folder, settings, environment=environment) as postfix:
        yield postfix
