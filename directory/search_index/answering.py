"""Ask the layers of a directory, and put what they find in one order.

Each answer is a list of subjects, best first, that is the same for the same view and query, however
often and in however many pages it is asked for.

Units
    Distances in kilometres.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tantivy import Query

from directory.search import SearchQuery, SortBy
from directory.search_index.asking import Question, Reach, ask, without
from directory.search_index.cells import distance_km
from directory.search_index.fields import Field
from directory.search_index.folder import OpenIndex
from directory.search_index.ranking import costs

MAX_LINES: Final = 1_000
"""Where a list ends: whoever needs more has to say more."""

MAX_NEAR: Final = 2_000
MAX_FORGIVEN: Final = 60
MIN_STRICT: Final = 8
"""With fewer answers to what was written, what may have been meant is added."""

MIN_CLOSE: Final = 5
"""With fewer answers that need one letter forgiven, two are."""


class Line(NamedTuple):
    """A subject that answers.

    Attributes:
        subject: Its number.
        is_forgiven: It is not what was written, but may be what was meant.
    """

    subject: int
    is_forgiven: bool = False
    distance_km: float | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """An index, and the subjects that it knows better than the layers below."""

    index: OpenIndex
    covers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class View:
    """Layers that are asked together, the lowest first."""

    layers: tuple[Layer, ...]
    hidden: tuple[frozenset[int], ...] = field(init=False)
    """For each layer, the subjects that a higher one knows better."""

    def __post_init__(self) -> None:
        """Add up what is hidden from each layer."""
        found: list[frozenset[int]] = []
        above: frozenset[int] = frozenset()
        for layer in reversed(self.layers):
            found.append(above)
            above |= layer.covers
        object.__setattr__(self, "hidden", tuple(reversed(found)))


@dataclass(frozen=True, slots=True)
class Answer:
    """The first lines of an answer.

    Attributes:
        total: All the lines there are.
        has_more: There are further lines, which were not asked for.
    """

    lines: Sequence[Line]
    total: int
    total_is_exact: bool = True
    has_more: bool = False


class _Found(NamedTuple):
    score: float
    subject: int
    names: str = ""


def answer(view: View, query: SearchQuery, *, end: int) -> Answer:
    """Answer a query.

    Args:
        view: Whom to ask.
        query: With the point in place of a postcode to be near to.
        end: How many lines are wanted, from the first one on.
    """
    question = ask(query)
    if question is None:
        return Answer((), 0)
    if query.near is not None:
        return _nearest(view, question.strict(), query)
    wanted = min(end, MAX_LINES)
    found, total = _collect(view, question.strict(), limit=max(wanted, MIN_STRICT))
    lines = [Line(one.subject) for one in found]
    if total < MIN_STRICT:
        forgiven = _forgiven(view, question, {one.subject for one in found})
        lines += forgiven
        return Answer(lines, total + len(forgiven), total_is_exact=len(forgiven) < MAX_FORGIVEN)
    return Answer(lines[:wanted], total, has_more=total > wanted and wanted < MAX_LINES)


def _forgiven(view: View, question: Question, known: set[int]) -> list[Line]:
    """Find what may have been meant, beside what was written.

    Whoever is found as written has a few neighbours shown; a query that nothing answers as it was
    written is forgiven more and more until there is something to choose from.
    """
    if not question.may_be_mistaken:
        return []
    if known:
        near = question.forgiving(Reach.NAMES)
        return _ordered(view, question, near, known)[: MIN_STRICT - len(known)]
    close = _ordered(view, question, question.forgiving(Reach.WORDS, may_swap=True), known)
    if len(close) >= MIN_CLOSE:
        return close
    return _ordered(view, question, question.forgiving(Reach.FAR, may_swap=True), known)


def _ordered(view: View, question: Question, asked: Query, known: set[int]) -> list[Line]:
    """Ask for more than is known, and put the nearest spelling first."""
    found, _ = _collect(view, asked, limit=MAX_FORGIVEN + len(known), with_names=True)
    new = [one for one in found if one.subject not in known]
    judged = zip(costs(question.texts, [one.names for one in new]), new, strict=True)
    ordered = sorted(judged, key=lambda pair: pair[0])
    return [Line(one.subject, is_forgiven=True) for _, one in ordered[:MAX_FORGIVEN]]


def _nearest(view: View, question: Query, query: SearchQuery) -> Answer:
    """Keep what is within the distance that was asked for."""
    assert query.near is not None  # the caller looked
    here = (query.near.latitude, query.near.longitude)
    found, total = _collect(view, question, limit=MAX_NEAR, with_names=True)
    lines = []
    for one in found:
        distance = min(
            (distance_km(here, place) for place in _places(one.names)), default=float("inf")
        )
        if distance <= query.radius_km:
            lines.append(Line(one.subject, distance_km=distance))
    if query.sort == SortBy.DISTANCE:
        lines.sort(key=lambda line: (line.distance_km, line.subject))
    is_all = total <= MAX_NEAR
    return Answer(lines[:MAX_LINES], len(lines), total_is_exact=is_all)


def _places(names: str) -> Iterator[tuple[float, float]]:
    for place in names.rpartition("|")[2].split():
        latitude, _, longitude = place.partition(",")
        yield float(latitude), float(longitude)


def _collect(
    view: View, question: Query, *, limit: int, with_names: bool = False
) -> tuple[list[_Found], int]:
    """Ask all layers, and bring what they find into one order."""
    found: list[_Found] = []
    total = 0
    for layer, hidden in zip(view.layers, view.hidden, strict=True):
        index = layer.index
        result = index.searcher.search(
            without(question, hidden), limit, weight_by_field=Field.WEIGHT
        )
        total += result.count or 0  # type: ignore[attr-defined]  # its stub forgets it
        places = [place for _, place in result.hits]
        names = index.names(places) if with_names else [""] * len(places)
        scores = (float(score) for score, _ in result.hits)
        found += map(_Found, scores, index.ids(places), names)
    if len(view.layers) > 1:
        found.sort(key=lambda one: -one.score)
    return found[:limit], total
