"""Say one thing about a health document, to software and to people.

The catalogue `data/findings.toml` has every code with its usual severity, its sentences and what
to do about it, in English and in French; `of` makes a finding from its row. `error`, `warning` and
`info` make one whose words are written where it is found.

Shapes
    A `Finding` has a permanent kebab-case `code`, a severity, a sentence in both languages, a next
    step in both, and *where* (a file name, a metadata field or a JSON pointer). No sentence holds
    a name, an identity number or any other value taken from the document about a person, so
    findings may be logged and sent back to the sender.
Errors
    `KeyError` from `of` for a code that is not in the catalogue: a mistake in the program.
"""

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files


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
    next_step: str = ""
    next_step_fr: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueRow:
    """What the catalogue says about one code; `{name}` in a text is filled in when it is found."""

    code: str
    severity: Severity
    text: str
    text_fr: str
    next_step: str
    next_step_fr: str


def of(code: str, *, severity: Severity | None = None, where: str = "", name: str = "") -> Finding:
    """Make a finding from the catalogue.

    Args:
        code: A code of the catalogue.
        severity: Another than the usual one.
        where: The file or field that it is about.
        name: The technical word that the sentence has a place for.
    """
    row = catalogue()[code]
    return Finding(
        code=code,
        severity=severity or row.severity,
        text=row.text.replace("{name}", name),
        text_fr=row.text_fr.replace("{name}", name),
        where=where,
        next_step=row.next_step,
        next_step_fr=row.next_step_fr,
    )


@cache
def catalogue() -> dict[str, CatalogueRow]:
    """List everything that can be said, by code, in the order of the documentation."""
    text = files("mss.clinical").joinpath("data", "findings.toml").read_text(encoding="utf-8")
    rows = {code: row for code, row in tomllib.loads(text).items() if isinstance(row, dict)}
    return {
        code: CatalogueRow(
            code=code,
            severity=Severity(row["severity"]),
            text=row["text"],
            text_fr=row["text_fr"],
            next_step=row["next"],
            next_step_fr=row["next_fr"],
        )
        for code, row in rows.items()
    }


def error(code: str, text: str, text_fr: str, *, where: str = "") -> Finding:
    """Make a finding that says: do not rely on this document as it is."""
    return Finding(code=code, severity=Severity.ERROR, text=text, text_fr=text_fr, where=where)


def warning(code: str, text: str, text_fr: str, *, where: str = "") -> Finding:
    """Make a finding that says: usable, but the sender should correct it."""
    return Finding(code=code, severity=Severity.WARNING, text=text, text_fr=text_fr, where=where)


def info(code: str, text: str, text_fr: str, *, where: str = "") -> Finding:
    """Make a finding that is only worth knowing."""
    return Finding(code=code, severity=Severity.INFO, text=text, text_fr=text_fr, where=where)
