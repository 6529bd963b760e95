"""What is told to the national directory, and what it said to that."""

from dataclasses import dataclass
from datetime import timedelta

from directory.index_sql import DeclaredMailbox


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxChange:
    """A mailbox that was opened, changed or closed here.

    Attributes:
        mailbox: As it is declared now.
        is_there: True if, as far as we know, the national directory has it.
    """

    mailbox: DeclaredMailbox
    is_there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The national directory has what is declared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRefused:
    """It does not take it, and will not when it is told the same again.

    Attributes:
        reason: For the administrator; no address in it.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportDelayed:
    """It could not be told now.

    Attributes:
        after: How long it wants to be left in peace, if it said so.
        stops: True if the next mailbox would fare no better now.
    """

    reason: str
    after: timedelta | None = None
    stops: bool = True


ExportOutcome = Exported | ExportRefused | ExportDelayed
