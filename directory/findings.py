"""Report what is odd about some content without refusing it.

A finding is data: `check_x` functions return lists of them, readers collect them.
"""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One remark.

    Attributes:
        code: Permanent kebab-case name.
        severity: `error` means that the content must not be used as it is.
        text: For an administrator; holds no name of a person and no whole address.
        line: Line number in the file, from 1, when there is one.
    """

    code: str
    severity: Severity
    text: str
    line: int | None = None


def has_errors(findings: list[Finding]) -> bool:
    """Say whether one of the findings forbids the use of the content."""
    return any(finding.severity is Severity.ERROR for finding in findings)
