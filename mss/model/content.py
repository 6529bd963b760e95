"""What a content policy is shown of a message, and what it may answer.

Nothing of the text, the subject or the people: who writes to whom is judged elsewhere.
"""

from dataclasses import dataclass
from enum import StrEnum

from mss.model.message import Origin, PartSummary


class Action(StrEnum):
    """What becomes of a message, from mild to severe."""

    MARK = "mark"  # deposited or sent, with a warning that readers see
    QUARANTINE = "quarantine"  # put aside until an administrator has looked
    REFUSE = "refuse"  # told to the sender at once


SEVERITY = (Action.MARK, Action.QUARANTINE, Action.REFUSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A message, as far as its kind of content goes."""

    origin: Origin
    author_domain: str
    size_octets: int
    parts: tuple[PartSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """What a policy has against a message.

    Attributes:
        reason: Kebab-case, for software and the journal; never a file name.
        text: A sentence for the reader of a marked message.
    """

    action: Action
    reason: str
    text: str
