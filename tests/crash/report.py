"""What does a campaign tell a person, and a script?"""

import statistics
from collections.abc import Mapping
from typing import Any

import orjson

from tests.crash.campaign import Outcome

MOST_PROBLEMS_SHOWN = 20


def as_json(outcomes: Mapping[str, Outcome]) -> bytes:
    """Write everything, by engine."""
    return orjson.dumps(
        {engine: _facts(one) for engine, one in outcomes.items()}, option=orjson.OPT_INDENT_2
    )


def as_text(outcomes: Mapping[str, Outcome]) -> str:
    """Write a summary for reading."""
    return "\n".join(line for engine, one in outcomes.items() for line in _lines(engine, one))


def _facts(outcome: Outcome) -> dict[str, Any]:
    verdict = outcome.verdict
    assert verdict is not None, "a report is written of what was judged"
    return {
        "seed": outcome.plan.seed,
        "kills": dict(outcome.places.most_common()),
        "letters": outcome.letters,
        "final_states": dict(verdict.states.most_common()),
        "duplicates_at_peer": dict(verdict.duplicates.most_common()),
        "reports_to_senders": verdict.reports,
        "bodies_compared": verdict.bodies,
        "ready_again_seconds": {
            "median": round(statistics.median(outcome.ready_seconds), 3),
            "longest": round(max(outcome.ready_seconds), 3),
        },
        "seconds": round(outcome.seconds, 1),
        "problems": verdict.problems,
    }


def _lines(engine: str, outcome: Outcome) -> list[str]:
    facts = _facts(outcome)
    problems = facts.pop("problems")
    lines = [f"{engine}: killed {outcome.places.total()} times", ""]
    for name, value in facts.items():
        if isinstance(value, dict):
            said = ", ".join(f"{key} {count}" for key, count in value.items()) or "none"
        else:
            said = str(value)
        lines.append(f"  {name.replace('_', ' ')}: {said}")
    if problems:
        lines += ["", f"  {len(problems)} BROKEN RULES:"]
        lines += [f"    {one}" for one in problems[:MOST_PROBLEMS_SHOWN]]
    else:
        lines += ["", "  every rule holds: nothing lost, nothing doubled without a cause"]
    return [*lines, ""]
