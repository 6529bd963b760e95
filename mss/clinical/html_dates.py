"""Say times and identity numbers the way a French reader writes them.

Errors
    None: what is no time is shown as it is written.
"""

from typing import Final

from mss.clinical.times import HL7Time

_MONTHS: Final = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
]
_GROUPS: Final = ((0, 1), (1, 3), (3, 5), (5, 7), (7, 10), (10, 13))


def say_time(time: HL7Time | None) -> str:
    """Say a time as the writer's clock showed it, to the precision that it has."""
    if time is None:
        return ""
    moment = time.local
    if moment is None:
        return time.text
    digits = len(time.text.partition("+")[0].partition("-")[0].partition(".")[0])
    month = f"{_MONTHS[moment.month - 1]} {moment.year}"
    if digits < 8:
        return month if digits >= 6 else str(moment.year)
    day = f"{'1er' if moment.day == 1 else moment.day} {month}"
    return f"{day} à {moment:%H:%M}" if digits >= 12 else day


def say_interval(start: HL7Time | None, stop: HL7Time | None) -> str:
    """Say from when to when."""
    first, last = say_time(start), say_time(stop)
    if first and last and first != last:
        return f"du {first} au {last}"
    return first or (f"jusqu'au {last}" if last else "")


def say_matricule(matricule: str) -> str:
    """Group the digits of a matricule as a card shows them: `2 79 03 51 215 189 89`."""
    groups = [matricule[start:stop] for start, stop in _GROUPS]
    return " ".join((*filter(None, groups), *filter(None, [matricule[13:]])))
