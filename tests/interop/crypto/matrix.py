"""Which implementation can do what: as we expect it, and as it was seen.

A cell that is not as expected fails its test, in both directions: when a peer learns something, we
want to know, because it may then be sent better letters.

Shapes
    Rows are forms of letters, columns are peers. `yes` and `no` are what was seen; `yes!` and `no!`
    differ from what was expected; a dot is a cell that was not tried.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Matrix:
    """What was seen so far.

    Attributes:
        versions: The peers that were tried, each with its version.
    """

    versions: dict[str, str] = field(default_factory=dict)
    _cells: dict[str, dict[str, dict[str, tuple[bool, bool]]]] = field(default_factory=dict)

    def record(self, table: str, row: str, peer: str, *, seen: bool, expected: bool) -> None:
        """Note one cell."""
        self._cells.setdefault(table, {}).setdefault(row, {})[peer] = (seen, expected)

    def lines(self) -> Iterator[str]:
        """Go through the tables as text for people."""
        if not self._cells:
            return
        peers = sorted(self.versions, key=str.lower)
        yield "Peers: " + ", ".join(f"{name} {self.versions[name]}" for name in peers)
        for title, rows in sorted(self._cells.items()):
            columns = [name for name in peers if any(name in cells for cells in rows.values())]
            width = max(map(len, (title, *rows)))
            yield ""
            yield "  ".join((title.ljust(width), *columns))
            for row, cells in sorted(rows.items()):
                texts = (_text(cells.get(name)).ljust(len(name)) for name in columns)
                yield "  ".join((row.ljust(width), *texts)).rstrip()


def _text(cell: tuple[bool, bool] | None) -> str:
    if cell is None:
        return "."
    seen, expected = cell
    return ("yes" if seen else "no") + ("" if seen == expected else "!")
