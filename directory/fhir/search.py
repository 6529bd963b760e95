"""Read the parameters of a FHIR search into what it looks for.

A comma is *or*, a repeated parameter *and*; a backslash takes the meaning from a comma, a bar, a
dollar. What is not understood is refused, unless the client asks to be handled leniently: then it
is named in `ignored` and left out of the self link.

Errors
    `UnknownParameterError`, `ParameterValueError`.
Sources
    FHIR R4, 3.1.1 (search), 3.1.1.4 (parameter types), 3.1.1.5 (results); 2.24.0.3 (dates).
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from directory.fhir.criteria import (
    Chained,
    Condition,
    Criterion,
    FhirSearch,
    Interval,
    Match,
    Missing,
    Near,
    NearMatch,
    ReferenceMatch,
    Reverse,
    SortKey,
    TextMatch,
    TextMode,
    TimeMatch,
    Token,
    TokenMatch,
    Total,
)
from directory.fhir.errors import ParameterValueError, UnknownParameterError
from directory.fhir.parameters import (
    COMMON,
    DEFAULT_COUNT,
    HARMLESS_REVINCLUDES,
    INCLUDES,
    MAX_COUNT,
    PARAMETERS,
    REVINCLUDES,
    SORT_KEYS,
    Parameter,
    ParameterKind,
)

MAX_PARAMETERS: Final = 64
MAX_VALUES: Final = 200
MAX_DEPTH: Final = 3
MAX_TEXT: Final = 256
DEFAULT_KILOMETRES: Final = 10.0
MAX_KILOMETRES: Final = 2000.0
_UNITS: Final = {"km": 1.0, "m": 0.001, "[mi_us]": 1.609344, "": 1.0}
_DAY: Final = timedelta(days=1)
_DATE: Final = re.compile(
    r"(?P<prefix>eq|ne|gt|lt|ge|le|sa|eb|ap)?"
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})"
    r"(?:T(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?)?(?P<zone>Z|[+ -][0-9]{2}:[0-9]{2})?)?)?)?"
)
_ESCAPED: Final = re.compile(r"\\([,|$\\])")
_REFERENCE: Final = re.compile(
    r"(?:(?:https?://[^\s]*/)?(?P<kind>[A-Z][A-Za-z]+)/)?(?P<id>[A-Za-z0-9.-]{1,64})"
)
_IGNORED: Final = frozenset({"_format", "_pretty", "_type"})

Pairs = Iterable[tuple[str, str]]


def parse_search(resource: str, pairs: Pairs, *, lenient: bool = False) -> FhirSearch:
    """Read the parameters of a search of one type.

    Args:
        resource: The type.
        pairs: Names and values, decoded, in their order.
        lenient: Leave out what is not understood instead of refusing it.

    Raises:
        UnknownParameterError: There is no such parameter, or not with this modifier.
        ParameterValueError: A value has not the form that its parameter asks for.
    """
    listed = list(pairs)
    if len(listed) > MAX_PARAMETERS:
        raise ParameterValueError(parameter="*", reason="too many parameters")
    search = FhirSearch(resource=resource, count=DEFAULT_COUNT)
    ignored: list[str] = []
    for name, value in listed:
        if name in _IGNORED:
            continue
        try:
            search = _read(search, name, value)
        except UnknownParameterError:
            if not lenient:
                raise
            ignored.append(name)
    search = replace(search, ignored=tuple(ignored))
    if any(key.name == "distance" for key in search.sort) and search.origin is None:
        raise ParameterValueError(parameter="_sort", reason="distance needs the parameter near")
    return search


def _read(search: FhirSearch, name: str, value: str) -> FhirSearch:
    control = _CONTROLS.get(name.partition(":")[0])
    if control is not None:
        changed = control(search, name, value)
    elif not value.strip():
        return search  # FHIR R4, 3.1.1: an empty parameter is ignored
    else:
        condition = _condition(search.resource, name, value, depth=0)
        changed = replace(search, conditions=(*search.conditions, condition))
    shown = str(changed.count) if name == "_count" else value
    return replace(changed, understood=(*changed.understood, (name, shown)))


# Conditions


def _condition(resource: str, name: str, value: str, *, depth: int) -> Condition:
    if depth > MAX_DEPTH:
        raise ParameterValueError(parameter=name[:64], reason="chained too deeply")
    if name.startswith("_has:"):
        return _reverse(resource, name, value, depth=depth)
    head, dot, rest = name.partition(".")
    plain, _, modifier = head.partition(":")
    parameter = PARAMETERS[resource].get(plain)
    if parameter is None:
        raise UnknownParameterError(parameter=name[:64])
    if dot:
        if parameter.kind is not ParameterKind.REFERENCE or modifier not in {"", parameter.target}:
            raise UnknownParameterError(parameter=name[:64])
        inner = _condition(parameter.target, rest, value, depth=depth + 1)
        return Chained(resource=resource, reference=plain, inner=inner)
    if modifier and modifier not in parameter.allowed_modifiers:
        raise UnknownParameterError(parameter=name[:64])
    if modifier in parameter.modifiers:  # name:family is family
        parameter, modifier = PARAMETERS[resource][modifier], ""
    return Criterion(
        resource=resource, parameter=parameter.name, match=_match(parameter, modifier, value)
    )


def _reverse(resource: str, name: str, value: str, *, depth: int) -> Reverse:
    parts = name.split(":", 3)
    if len(parts) != 4:
        raise UnknownParameterError(parameter=name[:64])
    _, source, reference, rest = parts
    if (source, reference) not in REVINCLUDES[resource]:
        raise UnknownParameterError(parameter=name[:64])
    inner = _condition(source, rest, value, depth=depth + 1)
    return Reverse(resource=resource, source=source, reference=reference, inner=inner)


def _match(parameter: Parameter, modifier: str, value: str) -> Match:
    if modifier == "missing":
        if value not in {"true", "false"}:
            raise ParameterValueError(parameter=parameter.name, reason="true or false")
        return Missing(is_missing=value == "true")
    values = [one for one in _split(value, ",") if one]
    if not values or len(values) > MAX_VALUES:
        raise ParameterValueError(parameter=parameter.name, reason="number of values")
    match parameter.kind:
        case ParameterKind.STRING:
            mode = TextMode(modifier) if modifier else TextMode.STARTS
            return TextMatch(texts=tuple(_text(parameter, one) for one in values), mode=mode)
        case ParameterKind.TOKEN:
            tokens = tuple(_token(parameter, one) for one in values)
            return TokenMatch(tokens=tokens, negated=modifier == "not")
        case ParameterKind.DATE:
            return TimeMatch(intervals=tuple(_interval(parameter, one) for one in values))
        case ParameterKind.REFERENCE:
            return ReferenceMatch(ids=tuple(_reference(parameter, one) for one in values))
        case ParameterKind.SPECIAL:
            return NearMatch(points=tuple(_near(parameter, one) for one in values))


def _text(parameter: Parameter, value: str) -> str:
    text = _unescape(value)
    if len(text) > MAX_TEXT or not text.strip() or "\x00" in text:
        raise ParameterValueError(parameter=parameter.name, reason="not a text")
    return text


def _token(parameter: Parameter, value: str) -> Token:
    pieces = [_unescape(piece) for piece in _split(value, "|")]
    if len(pieces) > 2 or len(value) > MAX_TEXT * 2 or "\x00" in value or not any(pieces):
        raise ParameterValueError(parameter=parameter.name, reason="not a token")
    if parameter.name == "active" and pieces[-1] not in {"true", "false"}:
        raise ParameterValueError(parameter=parameter.name, reason="true or false")
    if len(pieces) == 1:
        return Token(system=None, code=pieces[0])
    return Token(system=pieces[0], code=pieces[1])


def _reference(parameter: Parameter, value: str) -> str:
    found = _REFERENCE.fullmatch(_unescape(value))
    if found is None or found["kind"] not in {None, parameter.target}:
        raise ParameterValueError(parameter=parameter.name, reason="not a reference")
    return found["id"]


def _interval(parameter: Parameter, value: str) -> Interval:
    found = _DATE.fullmatch(value)
    if found is None:
        raise ParameterValueError(parameter=parameter.name, reason="not a date")
    try:
        start, end = _bounds(found)
        return _compared(found["prefix"] or "eq", start, end)
    except (ValueError, OverflowError):
        raise ParameterValueError(parameter=parameter.name, reason="not a date") from None


def _compared(prefix: str, start: datetime, end: datetime) -> Interval:
    if prefix == "ap":
        start, end = start - _DAY, end + _DAY
    return {
        "ne": Interval(start=start, end=end, outside=True),
        "gt": Interval(start=end),
        "sa": Interval(start=end),
        "lt": Interval(end=start),
        "eb": Interval(end=start),
        "ge": Interval(start=start),
        "le": Interval(end=end),
    }.get(prefix, Interval(start=start, end=end))


def _bounds(found: re.Match[str]) -> tuple[datetime, datetime]:
    """Return the interval that a date of any precision stands for; without a zone it is UTC."""
    year, month, day = (int(found[name] or 1) for name in ("year", "month", "day"))
    start = datetime(year, month, day, tzinfo=UTC)
    if found["hour"] is None:
        if found["day"] is not None:
            return start, start + _DAY
        if found["month"] is not None:
            return start, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        return start, datetime(year + 1, 1, 1, tzinfo=UTC)
    start += timedelta(hours=_below(found["hour"], 24), minutes=_below(found["minute"], 60))
    start -= _zone(found["zone"] or "Z")
    if found["second"] is None:
        return start, start + timedelta(minutes=1)
    start += timedelta(seconds=_below(found["second"], 60))
    if found["fraction"] is None:
        return start, start + timedelta(seconds=1)
    digits = found["fraction"][:6]
    start += timedelta(microseconds=int(digits.ljust(6, "0")))
    return start, start + timedelta(microseconds=10 ** (6 - len(digits)))


def _below(digits: str, bound: int) -> int:
    if int(digits) >= bound:
        raise ValueError(digits)
    return int(digits)


def _zone(text: str) -> timedelta:
    if text == "Z":
        return timedelta(0)
    sign = -1 if text[0] == "-" else 1  # a plus that was not escaped arrives as a space
    return sign * timedelta(hours=_below(text[1:3], 15), minutes=_below(text[4:6], 60))


def _near(parameter: Parameter, value: str) -> Near:
    pieces = _split(value, "|")
    if not 2 <= len(pieces) <= 4 or (len(pieces) == 4 and pieces[3] not in _UNITS):
        raise ParameterValueError(parameter=parameter.name, reason="latitude|longitude|distance|km")
    try:
        latitude, longitude = float(pieces[0]), float(pieces[1])
        distance = float(pieces[2]) if len(pieces) > 2 and pieces[2] else DEFAULT_KILOMETRES
    except ValueError:
        raise ParameterValueError(parameter=parameter.name, reason="not numbers") from None
    kilometres = distance * (_UNITS[pieces[3]] if len(pieces) == 4 else 1.0)
    is_on_earth = abs(latitude) <= 90 and abs(longitude) <= 180
    if not is_on_earth or not math.isfinite(kilometres) or not 0 < kilometres <= MAX_KILOMETRES:
        raise ParameterValueError(parameter=parameter.name, reason="out of range")
    return Near(latitude=latitude, longitude=longitude, kilometres=kilometres)


def _split(value: str, separator: str) -> list[str]:
    """Split at a separator that no backslash takes the meaning from."""
    if separator not in value:
        return [value]
    pieces, start, is_escaped = [], 0, False
    for place, character in enumerate(value):
        if character == separator and not is_escaped:
            pieces.append(value[start:place])
            start = place + 1
        is_escaped = character == "\\" and not is_escaped
    return [*pieces, value[start:]]


def _unescape(value: str) -> str:
    return _ESCAPED.sub(r"\1", value)


# What shapes the answer


def _include(search: FhirSearch, name: str, value: str) -> FhirSearch:
    known = INCLUDES[search.resource]
    _check_modifier(name, {"iterate", "recurse"})
    found: set[str] = set()
    for one in value.split(","):
        source, _, rest = one.partition(":")
        wanted, _, target = rest.partition(":")
        if one == "*" or (source == search.resource and wanted == "*"):
            found |= known.keys()
        elif source == search.resource and wanted in known and target in {"", known[wanted]}:
            found.add(wanted)
        elif not _is_harmless(name, source, wanted):
            raise ParameterValueError(parameter=name, reason="no such reference")
    return replace(search, includes=search.includes | found)


def _revinclude(search: FhirSearch, name: str, value: str) -> FhirSearch:
    known = REVINCLUDES[search.resource]
    _check_modifier(name, {"iterate", "recurse"})
    found: set[tuple[str, str]] = set()
    for one in value.split(","):
        source, _, rest = one.partition(":")
        wanted, _, target = rest.partition(":")
        if one == "*":
            found |= known
        elif (source, wanted) in known and target in {"", search.resource}:
            found.add((source, wanted))
        elif not _is_harmless(name, source, wanted):
            raise ParameterValueError(parameter=name, reason="no such reference")
    return replace(search, revincludes=search.revincludes | found)


def _is_harmless(name: str, source: str, wanted: str) -> bool:
    """Tell whether nothing can come along: of a type without content, or one step further."""
    is_iterated = ":" in name and wanted in INCLUDES.get(source, {})
    return is_iterated or (source, wanted) in HARMLESS_REVINCLUDES


def _check_modifier(name: str, allowed: set[str]) -> None:
    _, colon, modifier = name.partition(":")
    if colon and modifier not in allowed:
        raise UnknownParameterError(parameter=name[:64])


def _sort(search: FhirSearch, name: str, value: str) -> FhirSearch:
    _check_modifier(name, set())
    keys: list[SortKey] = []
    for one in value.split(","):
        key = one.strip().removeprefix("-")
        if key not in SORT_KEYS[search.resource]:
            raise ParameterValueError(parameter="_sort", reason="not a sort key of this type")
        if key not in {known.name for known in keys}:
            keys.append(SortKey(name=key, descending=one.strip().startswith("-")))
    return replace(search, sort=tuple(keys))


def _count(search: FhirSearch, name: str, value: str) -> FhirSearch:
    _check_modifier(name, set())
    if not value.isascii() or not value.isdecimal() or len(value) > 9:
        raise ParameterValueError(parameter="_count", reason="not a number")
    return replace(search, count=min(int(value), MAX_COUNT))


def _total(search: FhirSearch, name: str, value: str) -> FhirSearch:
    _check_modifier(name, set())
    try:
        total = {"none": Total.NONE, "estimate": Total.ACCURATE, "accurate": Total.ACCURATE}[value]
    except KeyError:
        raise ParameterValueError(parameter="_total", reason="none, estimate or accurate") from None
    return replace(search, total=total)


def _elements(search: FhirSearch, name: str, value: str) -> FhirSearch:
    _check_modifier(name, set())
    names = frozenset(one.strip() for one in value.split(",") if one.strip())
    if not names or len(names) > MAX_VALUES:
        raise ParameterValueError(parameter="_elements", reason="no element")
    return replace(search, elements=search.elements | names)


def _summary(search: FhirSearch, name: str, value: str) -> FhirSearch:
    _check_modifier(name, set())
    match value:
        case "count":
            return replace(search, count=0, total=Total.ACCURATE)
        case "false":
            return search
        case _:
            raise ParameterValueError(parameter="_summary", reason="count or false")


_Control = Callable[[FhirSearch, str, str], FhirSearch]
_CONTROLS: Final[dict[str, _Control]] = {
    "_count": _count,
    "_elements": _elements,
    "_include": _include,
    "_revinclude": _revinclude,
    "_sort": _sort,
    "_summary": _summary,
    "_total": _total,
}
RESULT_PARAMETERS: Final = frozenset(_CONTROLS)
_COMMON_NAMES: Final = frozenset(one.name for one in COMMON)


def parse_system_search(
    resources: Iterable[str], pairs: Pairs, *, lenient: bool = False
) -> Iterator[FhirSearch]:
    """Read a search of several types: only the parameters that all types have.

    Raises:
        FhirError: As `parse_search`.
    """
    listed = list(pairs)
    for name, _ in listed:
        plain = name.partition(":")[0]
        if plain not in _COMMON_NAMES | _CONTROLS.keys() | _IGNORED and not lenient:
            raise UnknownParameterError(parameter=name[:64])
    for resource in resources:
        yield parse_search(resource, listed, lenient=lenient)
