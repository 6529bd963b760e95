"""Read dates as software gives them, and judge them together.

Shapes
    ISO 8601 or HL7, of any precision from the day down, become `HL7Time`; a time of day without an
    offset is that of France.
Errors
    None: what is no date is remarked upon, and is `None`.
Sources
    Directive 2000/84/EC (summer time: last Sundays of March and of October, at 1 h UTC). The rule
    stands here because a server may lack the data base of time zones.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from mss.clinical.draft_notes import Notes
from mss.clinical.times import HL7Time

_WINTER: Final = timezone(timedelta(hours=1))
_SUMMER: Final = timezone(timedelta(hours=2))
_ISO: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?"
    r"(Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)


def read_moment(text: str, *, notes: Notes, where: str) -> HL7Time | None:
    """Read a date, with or without a time of day; an empty text is none."""
    if not text.strip():
        return None
    found = _parse(text.strip())
    if found is None or not found.is_valid:
        notes.add("letter-date", where)
        return None
    return found


def read_instant(text: str, *, notes: Notes, where: str) -> HL7Time | None:
    """Read a date that must have a time of day."""
    found = read_moment(text, notes=notes, where=where)
    if found is not None and found.instant is None:
        notes.add("letter-date", where)
        return None
    return found


def check_order(start: HL7Time | None, stop: HL7Time | None, *, notes: Notes, where: str) -> None:
    """Remark an end before the beginning, as far as both are known."""
    if start is not None and stop is not None and is_before(stop, start):
        notes.add("letter-dates-reversed", where)


def check_past(time: HL7Time | None, *, at: datetime, notes: Notes, where: str) -> None:
    """Remark a date that is still to come; today is not."""
    if time is not None and is_before(in_france(at), time):
        notes.add("letter-date-future", where)


def is_before(left: HL7Time, right: HL7Time) -> bool:
    """Compare two times at the precision that both have."""
    if left.instant and right.instant:
        return left.instant < right.instant
    first, second = (_digits(one) for one in (left, right))
    length = min(len(first), len(second), 8)
    return first[:length] < second[:length]


def in_france(at: datetime) -> HL7Time:
    """Write an instant as a clock in France shows it."""
    return HL7Time.of(at.astimezone(_zone_of_france(at.astimezone(UTC))))


def _digits(time: HL7Time) -> str:
    """The date as a clock in France shows it."""
    return in_france(time.instant).text if time.instant else time.text


def _parse(text: str) -> HL7Time | None:
    found = _ISO.fullmatch(text)
    if found is None:
        return HL7Time(text) if len(text) >= 8 else None
    *digits, zone = found.groups()
    written = "".join(one for one in digits if one)
    if len(written) == 8:
        return HL7Time(written)
    if zone is None:
        return _with_offset(HL7Time(written))
    offset = "+0000" if zone == "Z" else zone.replace(":", "")
    return HL7Time(written + offset)


def _with_offset(time: HL7Time) -> HL7Time | None:
    local = time.local
    if local is None:
        return None
    zone = _zone_of_france(local.replace(tzinfo=_WINTER).astimezone(UTC))
    return HL7Time(time.text + local.replace(tzinfo=zone).strftime("%z"))


def _zone_of_france(at: datetime) -> timezone:
    is_summer = _change(at.year, 3) <= at < _change(at.year, 10)
    return _SUMMER if is_summer else _WINTER


def _change(year: int, month: int) -> datetime:
    """The last Sunday of a month of 31 days, at 1 h UTC."""
    last = datetime(year, month, 31, 1, tzinfo=UTC)
    return last - timedelta(days=(last.weekday() + 1) % 7)
