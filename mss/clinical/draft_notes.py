"""Collect all that is wrong with a letter to be sent, each remark with the field it is about.

Shapes
    *where* of a finding is a JSON pointer into the request: `/documents/0/acts/0/start`. The
    sentences of each code are in `data/draft_findings.toml`; none repeats a value.
Errors
    `LetterContentError` carries the findings, when one of them is an error.
Sources
    RFC 6901 (JSON pointers).
"""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import ClassVar

from mss.clinical.finding import Finding, Severity
from mss.errors import MSSError


@dataclass(eq=False)
class LetterContentError(MSSError):
    """A letter cannot be written from what was given; the findings say field by field why."""

    code: ClassVar[str] = "letter-content"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The letter cannot be written: some fields are missing or wrong."
    public_text_fr: ClassVar[str] = (
        "La lettre ne peut pas être produite : des champs manquent ou sont erronés."
    )
    next_step: ClassVar[str] = "Correct the fields that the findings name and send again."

    findings: tuple[Finding, ...]


@dataclass(slots=True)
class Notes:
    """What has been remarked so far."""

    found: list[Finding] = field(default_factory=list)

    def add(self, code: str, where: str, *, name: str = "") -> None:
        """Remark something about a field.

        Args:
            code: A code of the catalogue.
            where: JSON pointer to the field.
            name: What the sentence has a place for: an expected form or list, never a value.
        """
        row = draft_catalogue()[code]
        self.found.append(
            Finding(
                code=code,
                severity=Severity(row["severity"]),
                text=row["text"].replace("{name}", name),
                text_fr=row["text_fr"].replace("{name}", name),
                where=where,
                next_step=row["next"],
                next_step_fr=row["next_fr"],
            )
        )

    @property
    def has_errors(self) -> bool:
        """Tell whether the letter cannot be written."""
        return any(one.severity is Severity.ERROR for one in self.found)

    def require(self, value: str, where: str) -> str:
        """Remark that a field is empty; whatever it is comes back without blanks around."""
        if not value.strip():
            self.add("letter-field-missing", where)
        return value.strip()


@cache
def draft_catalogue() -> dict[str, dict[str, str]]:
    """List what can be said about a letter to be sent, by code."""
    text = files("mss.clinical").joinpath("data", "draft_findings.toml").read_text("utf-8")
    return {code: row for code, row in tomllib.loads(text).items() if isinstance(row, dict)}
