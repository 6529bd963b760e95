"""Run a campaign: `python -m tests.crash [--kills N] [--engine sqlite|postgresql|both] …`.

Exit status 0 when no rule was broken, 1 otherwise. The report (`--report`, JSON) has a readable
summary beside it, which is also printed.
"""

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.crash.campaign import Outcome, Plan, make_home, run
from tests.crash.report import as_json, as_text
from tests.support.database import DURABLE, PostgresqlFactory, a_postgresql
from tests.support.operators import Ground, the_ground

ENGINES = ("sqlite", "postgresql")


def main() -> None:
    """Run what is asked for, and say what came of it."""
    asked = _arguments()
    engines = ENGINES if asked.engine == "both" else (asked.engine,)
    kills = max(1, asked.kills // len(engines))
    ground = the_ground()
    outcomes: dict[str, Outcome] = {}
    try:
        for engine in engines:
            with _plan(ground, engine, kills, asked.seed) as plan, _progress(engine, kills) as step:
                outcomes[engine] = asyncio.run(run(ground, plan, step=step))
            _write(asked.report, outcomes)
    finally:
        shutil.rmtree(ground.folder, ignore_errors=True)
    sys.stdout.write(as_text(outcomes))
    broken = [one for one in outcomes.values() if one.verdict is None or one.verdict.problems]
    sys.exit(1 if broken else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="in all (default 1000)")
    parser.add_argument("--engine", choices=(*ENGINES, "both"), default="both")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--report", type=Path, default=Path("build/crash-report.json"))
    return parser.parse_args()


@contextmanager
def _plan(ground: Ground, engine: str, kills: int, seed: int) -> Iterator[Plan]:
    """Make the ground of one campaign, and a database server if it wants one."""
    folder = Path(tempfile.mkdtemp(prefix="mss-crash-"))
    try:
        if engine == "sqlite":
            yield Plan(kills=kills, seed=seed, home=make_home(ground, folder))
        else:
            with a_postgresql(DURABLE) as server:
                url = PostgresqlFactory(server.url).create()
                home = make_home(ground, folder, database_url=url)
                yield Plan(kills=kills, seed=seed, home=home, database=server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _progress(engine: str, kills: int) -> Iterator[Callable[[int], None]]:
    """Show how far it is, on a terminal; a line now and then elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        every = max(1, kills // 20)

        def tell(number: int) -> None:
            if number % every == 0 or number == kills:
                console.print(f"{engine}: killed {number} of {kills} times")

        yield tell
        return
    columns = (TextColumn(engine), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(engine, total=kills)
        yield lambda number: progress.update(task, completed=number)


def _write(path: Path, outcomes: dict[str, Outcome]) -> None:
    """Write the report, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for target, content in (
        (path, as_json(outcomes)),
        (path.with_suffix(".txt"), as_text(outcomes).encode()),
    ):
        scratch = target.with_name(f".{target.name}.{os.getpid()}")
        scratch.write_bytes(content)
        scratch.replace(target)


if __name__ == "__main__":  # the operator's process imports this module too
    main()
