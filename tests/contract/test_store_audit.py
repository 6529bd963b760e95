import asyncio
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Connection, delete, update

from mss.model.audit import AuditEvent, AuditName
from mss.store import audit
from mss.store.audit import BrokenLink
from mss.store.engine import Database
from mss.store.tables import audit as table
from tests.support.pki import NOW


def an_event(number: int = 0) -> AuditEvent:
    facts = (("message", f"m{number}"), ("size", "100"))
    return AuditEvent(name=AuditName.MESSAGE_ACCEPTED, actor="account:a1", facts=facts)


def write(connection: Connection, chain: str = "c1", *, rows: int = 3) -> None:
    """Append rows; the chain's first row comes by itself."""
    for number in range(rows):
        audit.append(connection, an_event(number), chain=chain, at=NOW + timedelta(seconds=number))


def breaks(connection: Connection) -> list[tuple[str, int]]:
    _, broken = audit.check_chains(connection)
    return [(one.chain, one.position) for one in broken]


def test_an_untouched_journal_holds(connection: Connection) -> None:
    """Every row counts, the first one of the chain included."""
    write(connection)

    assert audit.check_chains(connection) == (4, [])


def test_an_empty_journal_holds(connection: Connection) -> None:
    """Nothing was written, nothing is wrong."""
    assert audit.check_chains(connection) == (0, [])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "account:a2"),
        ("name", "message-read"),
        ("at", NOW + timedelta(days=1)),
        ("facts", '{"message":"m9","size":"100"}'),
        ("digest", "0" * 64),
    ],
)
def test_a_changed_row_is_named(connection: Connection, column: str, value: object) -> None:
    """Whatever is changed, the first bad row is the one that was touched."""
    write(connection, rows=5)
    connection.execute(update(table).where(table.c.position == 3).values({column: value}))

    (link,) = audit.check_chains(connection)[1]

    assert (link.chain, link.position) == ("c1", 3)
    assert link.reason == "its contents do not match its digest"


@pytest.mark.parametrize("position", [1, 2, 3])
def test_a_removed_row_is_named(connection: Connection, position: int) -> None:
    """A hole in the numbers is the first thing that does not fit."""
    write(connection)
    connection.execute(delete(table).where(table.c.position == position))

    assert audit.check_chains(connection)[1] == [
        BrokenLink(chain="c1", position=position, reason=f"row {position} is missing")
    ]


def test_rows_that_were_renumbered_over_a_hole_are_found(connection: Connection) -> None:
    """Closing the gap does not help: each digest covers the position and the row before."""
    write(connection, rows=4)
    connection.execute(delete(table).where(table.c.position == 3))
    for old in (4, 5):  # one after the other: PostgreSQL checks the key at each row
        connection.execute(update(table).where(table.c.position == old).values(position=old - 1))

    assert breaks(connection) == [("c1", 3)]


def test_rows_that_changed_places_are_found(connection: Connection) -> None:
    """Order is part of what is kept."""
    write(connection)
    for old, new in ((2, 99), (3, 2), (99, 3)):
        connection.execute(update(table).where(table.c.position == old).values(position=new))

    assert breaks(connection) == [("c1", 2)]


def test_a_row_of_another_chain_does_not_fit(connection: Connection) -> None:
    """A row is bound to its chain."""
    write(connection, "c1")
    write(connection, "c2", rows=1)
    connection.execute(delete(table).where(table.c.chain == "c2", table.c.position == 2))
    connection.execute(
        update(table).where(table.c.chain == "c1", table.c.position == 4).values(chain="c2")
    )
    connection.execute(
        update(table).where(table.c.chain == "c2", table.c.position == 4).values(position=2)
    )

    assert ("c2", 2) in breaks(connection)


def test_every_broken_chain_is_named_once(connection: Connection) -> None:
    """The administrator sees where to begin, not ten thousand lines."""
    write(connection, "c1", rows=5)
    write(connection, "c2", rows=5)
    connection.execute(update(table).where(table.c.position >= 3).values(actor="nobody"))

    assert breaks(connection) == [("c1", 3), ("c2", 3)]


def test_a_cut_off_end_is_found_by_what_later_chains_remember(connection: Connection) -> None:
    """A chain cannot tell that its end is gone; the next process wrote down how long it was."""
    write(connection, "c1", rows=3)
    write(connection, "c2", rows=1)
    connection.execute(delete(table).where(table.c.chain == "c1", table.c.position > 2))

    assert audit.check_chains(connection)[1] == [
        BrokenLink(chain="c1", position=3, reason="row 3 is missing")
    ]


def test_a_removed_chain_is_found_by_what_later_chains_remember(connection: Connection) -> None:
    """So is a whole process's journal that disappears."""
    write(connection, "c1", rows=1)
    write(connection, "c2", rows=1)
    connection.execute(delete(table).where(table.c.chain == "c1"))

    assert breaks(connection) == [("c1", 1)]


def test_a_chain_that_grew_since_is_fine(connection: Connection) -> None:
    """Processes run side by side: the first goes on after the second began."""
    write(connection, "c1", rows=1)
    write(connection, "c2", rows=1)
    write(connection, "c1", rows=1)

    assert audit.check_chains(connection) == (5, [])


async def test_appending_at_once_makes_one_chain(database: Database) -> None:
    """Nobody's row is lost or forked when many write."""
    appends = [partial(audit.append, event=an_event(n), chain="c1", at=NOW) for n in range(20)]

    await asyncio.gather(*(database.write(one) for one in appends))

    assert await database.read(audit.check_chains) == (21, [])


def test_the_journal_reads_oldest_first(connection: Connection) -> None:
    """Facts come back as they were written."""
    write(connection, rows=2)

    rows = list(audit.iter_rows(connection))

    assert [row.name for row in rows] == ["chain-started", "message-accepted", "message-accepted"]
    assert rows[-1].facts == {"message": "m1", "size": "100"}
    assert rows[-1].at == NOW + timedelta(seconds=1)


def test_the_newest_lines_are_listed_in_their_order(connection: Connection) -> None:
    """`mss audit list --limit` shows the end of the journal."""
    write(connection, rows=5)

    newest = audit.iter_rows(connection, limit=2)
    since = audit.iter_rows(connection, since=NOW + timedelta(seconds=4))

    assert [row.facts["message"] for row in newest] == ["m3", "m4"]
    assert [row.facts["message"] for row in since] == ["m4"]
