"""What an administrator wants to know of the trust list in force."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustListStatus:
    """The list in force, and how old the knowledge is that it is the right one.

    Attributes:
        generated_at: When its publisher made it.
        confirmed_at: When it was loaded, or its source last said that it has no other.
        source: File name or address that it came from.
        age: Time since the confirmation.
        is_stale: True once that is longer than the settings allow; it stays in force.
    """

    sha256: str
    generated_at: datetime
    confirmed_at: datetime
    source: str
    entries: int
    domains: int
    age: timedelta
    is_stale: bool
