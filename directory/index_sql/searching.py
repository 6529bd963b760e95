"""Search people and the mailboxes of structures, in the generation in force or in a cursor's.

The index says who answers and in which order; the rows say what is shown, and they are read when
the page is made. So a mailbox that went onto the liste rouge a moment ago is not shown, whatever
the index says.

An index that is not there is made beside the searches, by one thread. Who asks meanwhile is
answered from the generation before, if its index is open; otherwise they wait a little, and then
no longer.

Shapes
    A *layer* is an index, and the subjects that it knows better than the layers below. The lowest
    is the national one of a generation, in its folder; those above hold whom our own operator's
    declarations touch, in memory. All layers together are a *view*, which never changes.
Errors
    `CursorSyntaxError`, `CursorExpiredError`, `SearchNotReadyError`; `OSError` when an index
    cannot be written.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from directory.errors import CursorExpiredError, SearchNotReadyError
from directory.index_sql import tables
from directory.index_sql.finding import find_live_number
from directory.index_sql.indexing import build_search_index, load_subjects
from directory.index_sql.lines import load_lines
from directory.index_sql.prepared import Prepared
from directory.model import Position
from directory.search import Cursor, SearchPage, SearchQuery
from directory.search_index.answering import Layer, View, answer
from directory.search_index.folder import IndexFolder, OpenIndex

_LIVE: Final = Prepared(
    select(tables.generation.c.number).where(tables.generation.c.state == "live")
)
_REVISION: Final = Prepared(
    select(  # type: ignore[arg-type]  # the alias of Prepared takes any columns, but says one type
        func.count().label("number"),
        func.max(tables.declared_mailbox.c.changed_at).label("changed_at"),
    ).select_from(tables.declared_mailbox)
)
PATIENCE_SECONDS: Final = 5.0
MAX_LAYERS: Final = 4
MAX_VIEWS: Final = 16
MAX_INDEXES: Final = 3
_SAMPLE: Final = 200


@dataclass(frozen=True, slots=True)
class _Revision:
    """What was declared at some moment: how much, and the last time that something changed."""

    count: int
    changed_at: datetime | None

    def __str__(self) -> str:
        last = 0 if self.changed_at is None else tables.to_microseconds(self.changed_at)
        return f"{self.count}-{last}"


class SearchDesk:
    """Answers searches; one for a process, shared by its threads.

    Args:
        folder: Where the indexes of generations are kept.
        patience: How long a search waits for an index that is being made, in seconds.
    """

    def __init__(self, folder: Path, *, patience: float = PATIENCE_SECONDS) -> None:
        self._folder = folder
        self._patience = patience
        self._lock = threading.RLock()
        self._indexes: OrderedDict[int, OpenIndex] = OrderedDict()
        self._views: OrderedDict[tuple[int, str], View] = OrderedDict()
        self._latest: dict[int, tuple[_Revision, View]] = {}
        self._building: Future[None] | None = None
        self._is_long = False

    def search(self, connection: Connection, query: SearchQuery) -> SearchPage:
        """Answer a search. The liste rouge is invisible, even to its exact address.

        Raises:
            CursorSyntaxError: The cursor is not one of ours.
            CursorExpiredError: The directory has changed since the page before.
            SearchNotReadyError: The index is still being made.
        """
        if query.cursor is not None:
            return self._following(connection, query, Cursor.parse(query.cursor))
        live = _LIVE.run(connection, {})
        if not live:
            return SearchPage(hits=(), total=0)
        generation = self._ready_generation(connection, live[0].number)
        revision, view = self._view(connection, generation)
        place = Cursor(generation=generation, revision=str(revision), offset=0)
        return _page(connection, view, query, place)

    def prepare(self, connection: Connection) -> None:
        """Open, or make, the index of the generation in force, before somebody asks."""
        live = find_live_number(connection)
        if live is not None:
            build_search_index(connection, live, self._folder)
            self._index(connection, live)

    def _following(self, connection: Connection, query: SearchQuery, place: Cursor) -> SearchPage:
        with self._lock:
            view = self._views.get((place.generation, place.revision))
        if view is None:
            if not _is_kept(connection, place.generation):
                raise CursorExpiredError
            revision, view = self._view(connection, place.generation)
            if str(revision) != place.revision:
                raise CursorExpiredError
        return _page(connection, view, query, place)

    # -- indexes -------------------------------------------------------------------------------

    def _ready_generation(self, connection: Connection, live: int) -> int:
        """Return the generation to answer from: the one in force, or the last while it is made."""
        with self._lock:
            if live in self._indexes or IndexFolder(self._folder, live).is_complete:
                return live
            last = next(reversed(self._indexes), None)
            if last is not None and not _is_kept(connection, last):
                last = None
            building = self._start_builder(connection.engine, live, last)
        if last is not None:
            return last
        self._await(building)
        return live

    def _start_builder(self, engine: Engine, live: int, last: int | None) -> Future[None]:
        """Have the index made by a thread of its own, if none is at it."""
        if self._building is None or self._building.done():
            self._building = Future()
            self._is_long = False
            arguments = (self._building, engine, live, last)
            threading.Thread(target=self._build, args=arguments, daemon=True).start()
        return self._building

    def _await(self, building: Future[None]) -> None:
        """Wait for an index, holding up nobody else.

        Raises:
            SearchNotReadyError: It takes longer; whoever comes later does not wait at all.
        """
        try:
            building.result(0 if self._is_long else self._patience)
        except TimeoutError:
            self._is_long = True
            raise SearchNotReadyError from None

    def _build(
        self, building: Future[None], engine: Engine, generation: int, before: int | None
    ) -> None:
        try:
            with engine.connect() as connection:
                build_search_index(connection, generation, self._folder, before=before)
        except (OSError, SQLAlchemyError) as error:  # the next search begins again
            building.set_exception(error)
        else:
            building.set_result(None)

    def _index(self, connection: Connection, generation: int) -> OpenIndex:
        """Open an index.

        Raises:
            SearchNotReadyError: It is not there.
        """
        with self._lock:
            found = self._indexes.get(generation)
            if found is None:
                folder = IndexFolder(self._folder, generation)
                if not folder.is_complete:
                    raise SearchNotReadyError
                found = self._indexes[generation] = OpenIndex.open(folder)
                folder.remove_older(keep=_kept(connection))
                while len(self._indexes) > MAX_INDEXES:
                    self._forget(next(iter(self._indexes)))
            return found

    def _forget(self, generation: int) -> None:
        self._indexes.pop(generation, None)
        self._latest.pop(generation, None)
        for key in [key for key in self._views if key[0] == generation]:
            del self._views[key]

    # -- declared mailboxes ----------------------------------------------------------------------

    def _view(self, connection: Connection, generation: int) -> tuple[_Revision, View]:
        """Return what is to be asked, with everything declared up to now."""
        ((count, changed_at),) = _REVISION.run(connection, {})
        revision = _Revision(count, changed_at)
        with self._lock:
            known = self._latest.get(generation)
            if known is not None and known[0] == revision:
                return known
            index = self._index(connection, generation)
            view = self._build_view(connection, generation, index, known)
            self._latest[generation] = (revision, view)
            self._views[generation, str(revision)] = view
            while len(self._views) > MAX_VIEWS:
                self._views.popitem(last=False)
            return revision, view

    def _build_view(
        self,
        connection: Connection,
        generation: int,
        index: OpenIndex,
        known: tuple[_Revision, View] | None,
    ) -> View:
        """Lay what was declared since the last time over what was known then."""
        layers: Sequence[Layer] = (Layer(index),)
        since = None
        if known is not None and len(known[1].layers) < MAX_LAYERS:
            layers, since = known[1].layers, known[0].changed_at
        touched = _touched(connection, generation, since)
        if touched:
            subjects = load_subjects(connection, generation, sorted(touched), is_declared=True)
            layers = (*layers, Layer(OpenIndex.of(subjects), frozenset(touched)))
        return View(tuple(layers))


def _page(connection: Connection, view: View, query: SearchQuery, place: Cursor) -> SearchPage:
    """Make one page of an answer."""
    near = query.near
    if near is None and query.near_postcode:
        near = _middle(connection, query.near_postcode)
        if near is None:
            return SearchPage(hits=(), total=0, generation=place.generation)
    asked = query if near is query.near else replace(query, near=near)
    end = place.offset + query.page_size
    found = answer(view, asked, end=end)
    lines = found.lines[place.offset : end]
    following = replace(place, offset=end) if end < len(found.lines) or found.has_more else None
    return SearchPage(
        hits=load_lines(connection, place.generation, lines, asked),
        total=found.total,
        total_is_exact=found.total_is_exact,
        next_cursor=str(following) if following else None,
        generation=place.generation,
    )


def _touched(connection: Connection, generation: int, since: datetime | None) -> set[int]:
    """List the subjects whom declared mailboxes make other than the national file says."""
    declared, mailbox = tables.declared_mailbox, tables.mailbox
    keys = select(declared.c.address_key)
    if since is not None:
        keys = keys.where(declared.c.changed_at >= since)
    rows: Iterable[Any] = connection.execute(
        select(mailbox.c.id, mailbox.c.practitioner_id).where(
            mailbox.c.address_key.in_(keys),
            mailbox.c.born <= generation,
            mailbox.c.gone > generation,
        )
    )
    return {-row.id if row.practitioner_id is None else row.practitioner_id for row in rows}


def _kept(connection: Connection) -> list[int]:
    """List the generations whose rows are still there."""
    table = tables.generation
    query = select(table.c.number).where(table.c.state.in_(["live", "retired"]))
    return list(connection.execute(query).scalars())


def _is_kept(connection: Connection, generation: int) -> bool:
    """Say whether the rows of a generation are still there."""
    table = tables.generation
    state = connection.execute(select(table.c.state).where(table.c.number == generation)).scalar()
    return state in {"live", "retired"}


def _middle(connection: Connection, postcode: str) -> Position | None:
    """Return the middle of the places of a postcode, as far as they are known."""
    table = tables.organization
    rows = connection.execute(
        select(table.c.latitude, table.c.longitude)
        .where(table.c.postcode == postcode.strip(), table.c.latitude.is_not(None))
        .limit(_SAMPLE)
    ).all()
    points = sorted((row.latitude, row.longitude) for row in rows if row.longitude is not None)
    if not points:
        return None
    latitude = points[len(points) // 2][0]
    longitude = sorted(point[1] for point in points)[len(points) // 2]
    return Position(latitude=latitude, longitude=longitude)
