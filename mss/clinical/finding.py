"""Say one thing about a health document, to software and to people.

Shapes
    A `Finding` has a permanent kebab-case `code`, a severity, a sentence in English and the same
    one in French, and *where* (a file name or a metadata field). No sentence holds a name, an
    identity number or any other value taken from the document about a person, so findings may be
    logged and sent back to the sender.
Errors
    None.
"""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters to whoever receives the document."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One remark on an archive, a metadata field or a document."""

    code: str
    severity: Severity
    text: str
    text_fr: str
    where: str = ""


def error(code: str, text: str, text_fr: str, *, where: str = "") -> Finding:
    """Make a finding that says: do not rely on this document as it is."""
    return Finding(code=code, severity=Severity.ERROR, text=text, text_fr=text_fr, where=where)


def warning(code: str, text: str, text_fr: str, *, where: str = "") -> Finding:
    """Make a finding that says: usable, but the sender should correct it."""
    return Finding(code=code, severity=Severity.WARNING, text=text, text_fr=text_fr, where=where)


def info(code: str, text: str, text_fr: str, *, where: str = "") -> Finding:
    """Make a finding that is only worth knowing."""
    return Finding(code=code, severity=Severity.INFO, text=text, text_fr=text_fr, where=where)
