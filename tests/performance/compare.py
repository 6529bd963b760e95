"""Compare our way with others' in one run, and say it as one JSON object a line.

Shapes
    `rates` is the median over the rounds, `ratios` our median over each other one, `spread` the
    lowest and highest of each. Rounds are interleaved, so that a busy machine disturbs all alike;
    only the ratios mean something on another machine.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping

import orjson

ROUNDS = 5


def compare(
    bench: str,
    case: str,
    contenders: Mapping[str, Callable[[], float]],
    *,
    rounds: int = ROUNDS,
    **facts: object,
) -> None:
    """Measure every contender in turn; the first one is ours.

    Args:
        bench: The benchmark.
        case: What was done, with its size.
        contenders: Name to a function that does one round and gives its rate, in things a second.
        rounds: How often.
        facts: What else belongs to the result; a callable is asked at the end.
    """
    seen: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            seen[name].append(measure())
    rates = {name: statistics.median(values) for name, values in seen.items()}
    ours, *others = rates
    tell(
        bench=bench,
        case=case,
        unit="per second",
        rounds=rounds,
        rates={name: round(rate, 1) for name, rate in rates.items()},
        ratios={f"{ours} / {name}": round(rates[ours] / rates[name], 2) for name in others},
        spread={name: [round(min(v), 1), round(max(v), 1)] for name, v in seen.items()},
        **{name: value() if callable(value) else value for name, value in facts.items()},
    )


def rate_of(work: Callable[[], object], *, times: int) -> float:
    """Call *work* some times and give how many calls fit into a second."""
    started = time.perf_counter()
    for _ in range(times):
        work()
    return times / (time.perf_counter() - started)


def tell(**facts: object) -> None:
    """Write one result."""
    sys.stdout.buffer.write(orjson.dumps(facts) + b"\n")
    sys.stdout.buffer.flush()
