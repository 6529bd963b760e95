"""What does a server cost, all its processes together? CPU time and memory, from /proc.

Units
    CPU in seconds, user and system, children that have ended included; memory in octets, pages
    shared between the processes counted once (PSS).
"""

import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(roots: Iterable[int]) -> float:
    """Sum what process trees have used so far."""
    return sum(_ticks(pid) for pid in _tree(roots)) / _TICKS


def memory_octets(roots: Iterable[int]) -> int:
    """Sum what process trees hold now."""
    return sum(_proportional(pid) for pid in _tree(roots))


def _tree(roots: Iterable[int]) -> set[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                children[int(_fields(int(entry.name))[1])].append(int(entry.name))
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting.extend(children[pid])
    return found


def _fields(pid: int) -> list[str]:
    """Read the fields of `stat` after the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _ticks(pid: int) -> int:
    with suppress(OSError):
        fields = _fields(pid)
        return sum(int(fields[index]) for index in (11, 12, 13, 14))
    return 0


def _proportional(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
