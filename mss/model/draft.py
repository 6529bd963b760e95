"""How a draft stands: still being written, waiting for its hour, or sent."""

from enum import StrEnum


class DraftState(StrEnum):
    """How a draft stands."""

    OPEN = "open"
    SCHEDULED = "scheduled"
    FAILED = "failed"  # could not be sent at its hour; it can be changed and sent again
    SENT = "sent"
