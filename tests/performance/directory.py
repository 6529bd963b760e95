"""Search people: how often is the right one among the first, and how long does it take?

Beside it, the design that people use today: SQLite FTS5, one prefix for each field, no ranking. It
gives numbers of rows; ours reads the lines to show, with all places and mailboxes.

Shapes
    `MSS_BENCH_PEOPLE` is how many people are invented; 20,000 by default.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, create_engine, text

from directory import index_sql, synthetic
from directory.search import SearchQuery
from tests.performance.compare import tell
from tests.performance.directory_queries import KINDS, Asked, Target, queries

QUERIES = 1_000
FIRST = 5
PEOPLE = "SELECT id, family, given FROM directory_practitioner ORDER BY id"
PLACES = """
SELECT r.practitioner_id, o.city, o.postcode
FROM directory_role r JOIN directory_organization o ON o.key = r.organization_key
ORDER BY r.practitioner_id, r.id
"""
SKILLS = """
SELECT s.practitioner_id, k.label
FROM directory_skill s JOIN directory_code k ON k.code = s.code AND k.list = 'skill'
ORDER BY s.practitioner_id, s.code
"""
COLUMNS = ("family", "given", "city", "postcode", "speciality")


def run() -> None:
    """Import invented people, and ask for some of them in all the ways."""
    people = int(os.environ.get("MSS_BENCH_PEOPLE", "20000"))
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        files = folder / "files"
        synthetic.generate(files, practitioners=people, seed=7, stamp="202611230000")
        engine = create_engine(f"sqlite:///{folder}/directory.db")
        with engine.connect() as connection:
            index_sql.create_tables(connection)
            connection.commit()
            index_sql.import_snapshot(connection, files, at=datetime(2026, 11, 23, tzinfo=UTC))
            _measure(connection, folder, people)
        engine.dispose()


def read_targets(connection: Connection) -> list[Target]:
    """Read everybody, with all their places and specialities."""
    places: dict[int, list[tuple[str, str]]] = {}
    for number, city, postcode in connection.execute(text(PLACES)):
        places.setdefault(number, []).append((city, postcode))
    skills: dict[int, list[str]] = {}
    for number, label in connection.execute(text(SKILLS)):
        skills.setdefault(number, []).append(label)
    return [
        Target(
            number=number,
            family=family,
            given=given,
            cities=tuple(dict.fromkeys(city for city, _ in places.get(number, ()) if city)),
            postcodes=tuple(dict.fromkeys(code for _, code in places.get(number, ()) if code)),
            specialities=tuple(skills.get(number, ())),
        )
        for number, family, given in connection.execute(text(PEOPLE))
    ]


def _measure(connection: Connection, folder: Path, people: int) -> None:
    targets = read_targets(connection)
    by_number = {target.number: target for target in targets}
    desk = index_sql.SearchDesk(folder / "search")
    plain = _baseline(targets)

    def ours(asked: Asked) -> list[Target]:
        hits = desk.search(connection, SearchQuery(text=asked.text)).hits
        numbers = [int(h.practitioner.rpps or 0) for h in hits if h.practitioner]
        return [by_number[number] for number in numbers if number in by_number]

    def theirs(asked: Asked) -> list[Target]:
        match = " AND ".join(
            f'{column}:"{value.replace(chr(34), " ")}"*' for column, value in asked.fields
        )
        query = "SELECT rowid FROM people WHERE people MATCH ? LIMIT 50"
        return [by_number[row[0]] for row in plain.execute(query, (match,))]

    for kind in KINDS:
        asked = list(queries(kind, targets, number=QUERIES, seed=1))
        found, plain_found = _judge(ours, asked), _judge(theirs, asked)
        tell(
            bench="directory",
            case=f"{kind}, {people} people",
            queries=len(asked),
            ours=found,
            fts5=plain_found,
            ratios={
                name: round(found[name] / plain_found[name], 2) if plain_found[name] else None
                for name in found
            },
        )


def _baseline(targets: list[Target]) -> sqlite3.Connection:
    plain = sqlite3.connect(":memory:")
    columns = ", ".join(COLUMNS)
    tokens = "tokenize='unicode61 remove_diacritics 1'"
    plain.execute(f"CREATE VIRTUAL TABLE people USING fts5({columns}, {tokens})")
    rows = (
        (
            one.number,
            one.family,
            one.given,
            *(" ".join(values) for values in (one.cities, one.postcodes, one.specialities)),
        )
        for one in targets
    )
    plain.executemany(f"INSERT INTO people (rowid, {columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)
    return plain


def _judge(answer: Callable[[Asked], list[Target]], asked: list[Asked]) -> dict[str, float]:
    """Count how often a right line is the first, and among the first five."""
    first = among = 0
    waits = []
    worked = time.thread_time()
    for one in asked:
        started = time.perf_counter()
        found = answer(one)
        waits.append(time.perf_counter() - started)
        right = [one.is_right(line) for line in found[:FIRST]]
        first += any(right[:1])
        among += any(right)
    worked = time.thread_time() - worked
    waits.sort()
    return {
        "recall_1": round(first / len(asked), 3),
        "recall_5": round(among / len(asked), 3),
        "cpu_ms": round(worked / len(asked) * 1e3, 2),
        "p50_ms": round(waits[len(waits) // 2] * 1e3, 2),
        "p95_ms": round(waits[int(len(waits) * 0.95)] * 1e3, 2),
    }
