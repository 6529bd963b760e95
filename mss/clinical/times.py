"""Read and write the time stamps of HL7: `20191203133000+0100`.

Shapes
    `HL7Time` keeps the text as it was written, so that a document can be written again unchanged;
    `instant` and `xds` interpret it. The text may be of any precision, from the year down.
Errors
    None: a text that is no time has no instant, and its `xds` form is the text itself.
Sources
    HL7 v3 data types, TS; IHE ITI TF-3, 4.2.3.1.7 (metadata times are in UTC).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

_TS = re.compile(
    r"(?P<date>\d{4}(?:\d{2}){0,2})(?P<time>\d{2}(?:\d{2}){0,2})?(?:\.\d{1,6})?(?P<zone>[+-]\d{4})?",
    re.ASCII,
)
_FORMS = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


@dataclass(frozen=True, slots=True)
class HL7Time:
    """One time stamp, as written."""

    text: str

    @classmethod
    def of(cls, at: datetime) -> "HL7Time":
        """Write an aware instant to the second, keeping its own offset."""
        if at.tzinfo is None:
            raise ValueError("an instant without a time zone cannot be written")
        return cls(at.strftime("%Y%m%d%H%M%S%z")[:19])

    @property
    def is_valid(self) -> bool:
        """True if the text is a calendar date, with or without a time of day."""
        return self._local() is not None

    @property
    def instant(self) -> datetime | None:
        """The aware UTC instant, if the text says both a time of day and an offset."""
        local = self._local()
        if local is None or local.tzinfo is None:
            return None
        try:
            return local.astimezone(UTC)
        except OverflowError:  # the first or the last hours of the calendar
            return None

    @property
    def local(self) -> datetime | None:
        """The date and time as the writer's clock showed them, aware only if an offset is said."""
        return self._local()

    @property
    def xds(self) -> str:
        """The form that document metadata use: UTC, same precision, no offset.

        A time without an offset, or a mere date, stays as it is.
        """
        match = _TS.fullmatch(self.text)
        instant = self.instant
        if match is None or instant is None:
            return match["date"] + (match["time"] or "") if match else self.text
        digits = match["date"] + (match["time"] or "")
        written = "".join(letter for letter in instant.isoformat() if letter.isdigit())
        return written[: len(digits)]

    def _local(self) -> datetime | None:
        match = _TS.fullmatch(self.text)
        if match is None:
            return None
        digits = match["date"] + (match["time"] or "")
        form = _FORMS.get(len(digits))
        try:
            moment = datetime.strptime(digits, form or "")  # noqa: DTZ007 (the zone comes next)
            return moment.replace(tzinfo=_zone(match["zone"])) if match["time"] else moment
        except (ValueError, OverflowError):
            return None


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    minutes = int(text[1:3]) * 60 + int(text[3:5])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
