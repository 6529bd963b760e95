"""Write the structures of a generation: FINESS first, then whoever mentions them.

FINESS says what a structure is and where; the files of people add what FINESS does not know
(sector, technical identifier) and what it lacks (a telephone). A structure that FINESS does not
describe is as the activities describe it or, if only a mailbox names it, as the mailbox does.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, delete, type_coerce

from directory.index_sql import tables
from directory.index_sql.bulk import Values, end_versions, insert_rows, select_in
from directory.index_sql.versions import (
    PLACE_COLUMNS,
    SUPPLEMENTED,
    Labels,
    Version,
    place_row,
)
from directory.model import Organization
from directory.numbers import stable_number

ACTIVITY: Final = "activity"
MAILBOX: Final = "mailbox"
_AT: Final = {name: place for place, name in enumerate(PLACE_COLUMNS)}
_FACTS: Final = _AT["digest"] + 1
_MENTIONED: Final = ("technical_id", "old_id", "sector")
_LIST: Final = 500


class Places:
    """The structures of one generation, while it is built.

    Attributes:
        finess: Keys of what FINESS describes.
    """

    def __init__(
        self, connection: Connection, version: Version, labels: Labels, *, is_first: bool
    ) -> None:
        self._connection = connection
        self._version = version
        self._labels = labels
        self._is_first = is_first
        self._seen: dict[str, str] = {}
        self.finess: set[str] = set()

    def add_finess(self, places: Sequence[Organization]) -> None:
        """Write structures that FINESS describes."""
        rows: dict[str, Values] = {}
        for place in places:
            if place.key not in self.finess:
                rows[place.key] = place_row(place, self._version, self._labels, mention="")
                self.finess.add(place.key)
        old = {} if self._is_first else self._in_force(rows)
        for key, before in old.items():
            if before.mention:
                rows[key] = self._supplement(rows[key], before, before.mention)
        self._replace(rows, old)

    def add_mentions(self, places: Iterable[Organization], mention: str) -> None:
        """Write structures that a file of people or mailboxes names."""
        new: dict[str, Organization] = {}
        stored: list[str] = []
        for place in places:
            key = place.key
            seen = self._seen.get(key)
            if seen is None or (seen == MAILBOX and mention == ACTIVITY):
                self._seen[key] = mention
                new[key] = place
                if seen is not None or not self._is_first or key in self.finess:
                    stored.append(key)
        old = self._in_force(stored)
        rows: dict[str, Values] = {}
        for key, place in new.items():
            before = old.get(key)
            if before is not None and before.mention == ACTIVITY and mention == MAILBOX:
                continue  # the activities tell more
            row = place_row(place, self._version, self._labels, mention=mention)
            if before is not None and before.in_finess:
                row = self._supplement(before, row, mention)
            rows[key] = row
        self._replace(rows, old)

    def _supplement(self, base: Sequence[Any], more: Sequence[Any], mention: str) -> Values:
        """Return the row of FINESS with what another file adds."""
        row = list(base)
        row[1:4] = self._version
        row[_AT["mention"]] = mention
        for name in _MENTIONED:
            row[_AT[name]] = more[_AT[name]]
        given = base[_AT["finess_facts"]]
        for bit, name in enumerate(SUPPLEMENTED):
            if not given >> bit & 1:
                row[_AT[name]] = more[_AT[name]]
                if name == "trade_name":
                    row[_AT["trade_name_key"]] = more[_AT["trade_name_key"]]
        row[_AT["digest"]] = stable_number(*map(str, row[_FACTS:]))
        return tuple(row)

    def _in_force(self, keys: Iterable[str]) -> dict[str, Any]:
        table = tables.organization
        columns = [*table.columns]
        place = columns.index(table.c.changed_at)
        columns[place] = type_coerce(table.c.changed_at, BigInteger).label("changed_at")
        rows = select_in(self._connection, columns, table.c.key, keys)
        return {row.key: row for row in rows}

    def _replace(self, rows: dict[str, Values], old: dict[str, Any]) -> None:
        """Write the rows that differ from what is in force."""
        table, born = tables.organization, self._version[0]
        changed = [
            row
            for key, row in rows.items()
            if key not in old or old[key].digest != row[_AT["digest"]]
        ]
        known = [old[str(row[0])] for row in changed if row[0] in old]
        ours = [row.key for row in known if row.born == born]
        for start in range(0, len(ours), _LIST):
            some = table.c.key.in_(ours[start : start + _LIST])
            self._connection.execute(delete(table).where(table.c.born == born, some))
        before = [row.key for row in known if row.born != born]
        end_versions(self._connection, table, table.c.key, before, born)
        insert_rows(self._connection, table, changed)
