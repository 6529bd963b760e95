"""Load the directory, renew it, route by it, ask it by FHIR and export it: how long, how much?

Shapes
    `MSS_BENCH_PEOPLE` is how many people are invented, as dense as in the national files; 20,000 by
    default, 1,200,000 for the nation. One person in eighty changes from one day to the next.
    Processor time stands beside the time that passed: of a busy machine it says more.
    `error` counts the looks during the import that failed or found nothing.
"""

import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from gzip import GzipFile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import orjson
from sqlalchemy import Engine, create_engine, text

from directory import index_sql, synthetic
from directory.address import MailAddress
from directory.fhir.criteria import FhirSearch, Total
from directory.fhir.parameters import RESOURCES
from directory.fhir.resources import build_resource
from directory.fhir.search import parse_search
from directory.index_sql.fhir_search import Position, search
from tests.performance.compare import tell

AT = datetime(2026, 11, 24, tzinfo=UTC)
DENSITY = 80
TIMES = 200
PAGE = 1000
ACTIVITY = "PS_LibreAcces_Personne_activite"
STAMPS = ("202611230000", "202611240000")
GIVEN = 8  # place of the first name among the columns
SEARCHES = {
    "family, city, both included": (
        ("practitioner.family", "family"),
        ("organization.address-city", "city"),
    ),
    "family, both included": (("practitioner.family", "family"),),
    "city, both included": (("organization.address-city", "city"),),
}
INCLUDES = (
    ("_include", "PractitionerRole:practitioner"),
    ("_include", "PractitionerRole:organization"),
    ("_count", "50"),
)
NAMES = """
SELECT p.family, o.city FROM directory_role r
JOIN directory_practitioner p ON p.id = r.practitioner_id
JOIN directory_organization o ON o.key = r.organization_key
WHERE o.city <> '' ORDER BY r.id LIMIT :times
"""


def run() -> None:
    """Do all of it with invented files, of as many people as are wanted."""
    people = int(os.environ.get("MSS_BENCH_PEOPLE", "20000"))
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        files, database = folder / "first", folder / "directory.db"
        synthetic.generate(files, practitioners=people, seed=7, stamp=STAMPS[0], is_national=True)
        _tell_import(f"full load, {people} people", database, files)
        _change(files, folder / "next")
        engine = create_engine(f"sqlite:///{database}")
        with _Readers(engine) as readers:
            _tell_import(f"renewal, 1 of {DENSITY} changed", database, folder / "next", readers)
        _route(engine)
        _pages(engine)
        _export(engine, folder)
        engine.dispose()


def load() -> None:
    """Import files into a database, in a process of its own; say what it took."""
    database, files = sys.argv[1:]
    engine = create_engine(f"sqlite:///{database}")
    started = time.perf_counter()
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        index_sql.create_tables(connection)
        connection.commit()
        report = index_sql.import_snapshot(
            connection, Path(files), at=AT, search_folder=Path(database + ".search")
        )
    elapsed = time.perf_counter() - started
    ours, others = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    counts = report.generation.counts
    facts = {
        "seconds": round(elapsed, 1),
        "cpu_s": round(sum(u.ru_utime + u.ru_stime for u in (ours, others)), 1),
        "peak_mb": (ours.ru_maxrss + others.ru_maxrss) // 1024,
        "people": counts.practitioners,
        "situations": counts.roles,
        "structures": counts.organizations,
        "mailboxes": counts.mailboxes,
        "changed": counts.changed,
    }
    sys.stdout.buffer.write(orjson.dumps(facts))


class _Readers:
    """Somebody who looks an address up again and again while the directory is renewed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._address = MailAddress.parse(_addresses(engine, 1)[0])
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.waits: list[float] = []
        self.errors = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        with self._engine.connect() as connection:
            while not self._end.wait(0.02):
                started = time.perf_counter()
                try:
                    self.errors += not index_sql.has_mailbox(connection, self._address)
                    connection.rollback()
                except Exception:  # noqa: BLE001 -- counted, whatever it is
                    self.errors += 1
                self.waits.append(time.perf_counter() - started)


def _tell_import(case: str, database: Path, files: Path, readers: _Readers | None = None) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from tests.performance.directory_load import load; load()",
            str(database),
            str(files),
        ],
        stdout=subprocess.PIPE,
        check=True,
    )
    facts = orjson.loads(done.stdout)
    if readers is not None:
        facts |= {"looks": len(readers.waits), "errors": readers.errors}
        facts["longest_look_ms"] = round(max(readers.waits, default=0) * 1e3, 1)
    tell(bench="directory-load", case=case, **facts)


def _change(files: Path, after: Path) -> None:
    """Make the files of the next day: some people have another first name."""
    after.mkdir()
    for path in sorted(files.iterdir()):
        if not path.name.startswith(ACTIVITY):
            (after / path.name).hardlink_to(path)
            continue
        with (
            path.open(encoding="utf-8") as old,
            (after / path.name.replace(*STAMPS)).open("w", encoding="utf-8") as new,
        ):
            new.write(next(old))
            for line in old:
                fields = line.split("|")
                if int(fields[1]) // 10 % DENSITY == 0:
                    fields[GIVEN] += "-MARIE"
                new.write("|".join(fields))


def _route(engine: Engine) -> None:
    """Ask whether there is a mailbox, as is asked for every recipient."""
    addresses = [MailAddress.parse(one) for one in _addresses(engine, TIMES)]
    with engine.connect() as connection:
        waits = [
            _time(lambda one=one: index_sql.has_mailbox(connection, one))  # type: ignore[misc]  # bound now
            for one in addresses * 10
        ]
    tell(bench="directory-load", case="look-up of an address", **_spread(waits))


def _pages(engine: Engine) -> None:
    """Ask for pages of situations with the people and places that they refer to."""
    with engine.connect() as connection:
        rows = connection.execute(text(NAMES), {"times": TIMES}).all()
        for case, parameters in SEARCHES.items():
            waits = []
            for row in rows:
                pairs = [(name, getattr(row, of)) for name, of in parameters]
                query = parse_search("PractitionerRole", [*pairs, *INCLUDES])
                waits.append(_time(lambda query=query: search(connection, query)))  # type: ignore[misc]  # bound now
            tell(bench="directory-load", case=f"FHIR page of 50, {case}", **_spread(waits))


def _export(engine: Engine, folder: Path) -> None:
    """Write everything as NDJSON, as the export does."""
    started, worked = time.perf_counter(), time.process_time()
    written = 0
    with engine.connect() as connection:
        for kind in RESOURCES:
            position = None
            query = FhirSearch(resource=kind, count=PAGE, total=Total.NONE, conditions=())
            with GzipFile(folder / f"{kind}.ndjson.gz", "wb", compresslevel=1) as file:
                while True:
                    page = search(connection, query, position=position)
                    for record in page.matches:
                        file.write(orjson.dumps(build_resource(record)) + b"\n")
                    written += len(page.matches)
                    if page.after is None:
                        break
                    position = Position(generation=page.generation, after=page.after)
    tell(
        bench="directory-load",
        case="export of everything",
        resources=written,
        seconds=round(time.perf_counter() - started, 1),
        cpu_s=round(time.process_time() - worked, 1),
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


def _addresses(engine: Engine, number: int) -> Sequence[str]:
    query = "SELECT address FROM directory_mailbox ORDER BY id LIMIT :number"
    with engine.connect() as connection:
        return connection.execute(text(query), {"number": number}).scalars().all()


def _time(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _spread(waits: list[float]) -> dict[str, float]:
    ranks = statistics.quantiles(waits, n=100)
    return {f"p{rank}_ms": round(ranks[rank - 1] * 1e3, 2) for rank in (50, 95, 99)}
