"""Search people: how often is the right one among the first, and how long does it take?

Beside it, the design that people use today: SQLite FTS5, one prefix for each field, no ranking.

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
from directory.folding import fold
from directory.search import SearchQuery
from tests.performance.compare import tell
from tests.performance.directory_queries import KINDS, Asked, Target, queries

QUERIES = 200
FIRST = 5
TARGETS = """
SELECT p.id, p.family, p.given, o.city, o.postcode, s.code, k.label
FROM directory_practitioner p
LEFT JOIN directory_role r ON r.practitioner_id = p.id
LEFT JOIN directory_organization o ON o.key = r.organization_key
LEFT JOIN directory_skill s ON s.practitioner_id = p.id
LEFT JOIN directory_code k ON k.code = s.code AND k.list = 'skill'
GROUP BY p.id
"""
COLUMNS = ("family", "given", "city", "postcode", "speciality")
Facts = dict[str, str]


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


def _measure(connection: Connection, folder: Path, people: int) -> None:
    targets = [
        Target(
            number=row[0],
            family=row[1],
            given=row[2],
            city=row[3] or "",
            postcode=row[4] or "",
            speciality=row[5] or "",
            speciality_label=row[6] or "",
        )
        for row in connection.execute(text(TARGETS))
    ]
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
        tell(
            bench="directory",
            case=f"{kind}, {people} people",
            ours=_judge(ours, asked),
            fts5=_judge(theirs, asked),
        )


def _baseline(targets: list[Target]) -> sqlite3.Connection:
    plain = sqlite3.connect(":memory:")
    columns = ", ".join(COLUMNS)
    tokens = "tokenize='unicode61 remove_diacritics 1'"
    plain.execute(f"CREATE VIRTUAL TABLE people USING fts5({columns}, {tokens})")
    rows = (
        (one.number, one.family, one.given, one.city, one.postcode, one.speciality_label)
        for one in targets
    )
    plain.executemany(f"INSERT INTO people (rowid, {columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)
    return plain


def _judge(answer: Callable[[Asked], list[Target]], asked: list[Asked]) -> dict[str, float]:
    """Count how often a right line is the first, and among the first five."""
    first = among = 0
    waits = []
    for one in asked:
        started = time.perf_counter()
        found = answer(one)
        waits.append(time.perf_counter() - started)
        right = [_is_right(line, one) for line in found[:FIRST]]
        first += any(right[:1])
        among += any(right)
    waits.sort()
    return {
        "recall_1": round(first / len(asked), 3),
        "recall_5": round(among / len(asked), 3),
        "p50_ms": round(waits[len(waits) // 2] * 1e3, 2),
        "p95_ms": round(waits[int(len(waits) * 0.95)] * 1e3, 2),
    }


def _is_right(line: Target, asked: Asked) -> bool:
    """Say whether the query could not tell the line from the person it is about."""
    return all(fold(getattr(line, name)) == fold(getattr(asked.target, name)) for name in asked.by)
