"""Say what a FHIR search looks for, once its parameters have been read.

Values only. Texts are kept as typed: whoever keeps the index folds them as it folded its words.

Units
    Instants are aware UTC; an interval includes its start and excludes its end.
    Distances are kilometres, positions degrees of WGS 84.
"""

import math
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class TextMode(StrEnum):
    """How a text is compared."""

    STARTS = "starts"
    CONTAINS = "contains"
    EXACT = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMatch:
    """One of the texts must match."""

    texts: tuple[str, ...]
    mode: TextMode = TextMode.STARTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A code, with its system when that matters: `None` for any, empty for none."""

    system: str | None
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMatch:
    """One of the tokens must match, or none of them."""

    tokens: tuple[Token, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A stretch of time; what is in it matches, or what is outside."""

    start: datetime | None = None
    end: datetime | None = None
    outside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeMatch:
    """One of the intervals must match."""

    intervals: tuple[Interval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceMatch:
    """One of these resources must be referred to."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Within a distance of a point."""

    latitude: float
    longitude: float
    kilometres: float

    @property
    def narrowing(self) -> float:
        """How much shorter a degree of longitude is here than one of latitude."""
        return max(math.cos(math.radians(self.latitude)), 0.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMatch:
    """Near one of these points."""

    points: tuple[Near, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The element must be absent, or present."""

    is_missing: bool


Match = TextMatch | TokenMatch | TimeMatch | ReferenceMatch | NearMatch | Missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """A condition on a resource of the type itself."""

    resource: str
    parameter: str
    match: Match


@dataclass(frozen=True, slots=True, kw_only=True)
class Chained:
    """A condition on a resource that is referred to."""

    resource: str
    reference: str
    inner: "Condition"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse:
    """A condition on some resource that refers to this one (`_has`)."""

    resource: str
    source: str
    reference: str
    inner: "Condition"


Condition = Criterion | Chained | Reverse


@dataclass(frozen=True, slots=True, kw_only=True)
class SortKey:
    """What the answer is ordered by: `_id`, `_lastUpdated`, `family`, `name`, `distance`."""

    name: str
    descending: bool = False


class Total(StrEnum):
    """How much trouble to take to count."""

    NONE = "none"
    CHEAP = "cheap"
    ACCURATE = "accurate"


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirSearch:
    """One search of one type of resource.

    Attributes:
        includes: Reference parameters of this type whose targets come along.
        revincludes: Types and reference parameters of what comes along because it refers here.
        count: Matches on a page; 0 for the number alone.
        elements: Members to keep; empty for all.
        understood: What was read, as it is written in the self link.
        ignored: Parameters that were not understood, for a lenient client.
    """

    resource: str
    conditions: tuple[Condition, ...] = ()
    includes: frozenset[str] = frozenset()
    revincludes: frozenset[tuple[str, str]] = frozenset()
    sort: tuple[SortKey, ...] = ()
    count: int = 50
    total: Total = Total.CHEAP
    elements: frozenset[str] = field(default=frozenset())
    understood: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def is_count_only(self) -> bool:
        """True if only the number is asked for."""
        return self.count == 0

    @property
    def origin(self) -> Near | None:
        """The point that distances are measured from."""
        for condition in self.conditions:
            if isinstance(condition, Criterion) and isinstance(condition.match, NearMatch):
                return condition.match.points[0]
        return None
