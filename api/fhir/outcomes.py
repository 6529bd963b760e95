"""Say no in FHIR: which status and which OperationOutcome each error becomes.

The French sentence is `details.text`, the English one `diagnostics`, with the parameter or the
operation to blame.

Sources
    FHIR R4, OperationOutcome and 3.1.0 (statuses); Annuaire Santé, FHIR API (error conventions).
"""

from collections.abc import Mapping
from typing import Final

from api import problems
from directory.fhir import errors as fhir
from directory.fhir.errors import FhirError
from mss.errors import MSSError

STATUS_OF_ERROR: Final[Mapping[type[FhirError], int]] = {
    fhir.UnknownParameterError: 400,
    fhir.ParameterValueError: 400,
    fhir.PatchSyntaxError: 400,
    fhir.MailboxForeignError: 403,
    fhir.MailboxAbsentError: 404,
    fhir.ResourceAbsentError: 404,
    fhir.SnapshotGoneError: 410,
    fhir.SeveralMatchesError: 412,
    fhir.VersionConflictError: 412,
    fhir.MailboxDuplicateError: 422,
    fhir.PatchRefusedError: 422,
    FhirError: 400,
}
_ISSUES: Final[Mapping[int, str]] = {
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    408: "timeout",
    410: "expired",
    413: "too-long",
    414: "too-long",
    415: "not-supported",
    429: "throttled",
    500: "exception",
    503: "transient",
}

Outcome = dict[str, object]


def status_of(error: FhirError | MSSError) -> int:
    """Look the status of an error up."""
    if isinstance(error, MSSError):
        return problems.status_of(error)
    return STATUS_OF_ERROR.get(type(error), STATUS_OF_ERROR[FhirError])


def outcome_of(error: FhirError | MSSError) -> Outcome:
    """Describe an error."""
    if isinstance(error, MSSError):
        issue = _ISSUES.get(status_of(error), "processing")
        return build_outcome("error", issue, error.public_text_fr, error.public_text)
    return build_outcome(
        "error",
        error.issue,
        error.public_text_fr,
        f"{_place(error)}{error.public_text}{_reason(error)}",
        expression=_expression(error),
    )


def build_outcome(
    severity: str, issue: str, french: str, english: str, *, expression: str = ""
) -> Outcome:
    """Make an OperationOutcome of one issue."""
    entry: Outcome = {
        "severity": severity,
        "code": issue,
        "details": {"text": french},
        "diagnostics": english,
    }
    if expression:
        entry["expression"] = [expression]
    return {"resourceType": "OperationOutcome", "issue": [entry]}


def _place(error: FhirError) -> str:
    match error:
        case fhir.UnknownParameterError():
            return f"Parameter {error.parameter!r} not found. "
        case fhir.ParameterValueError():
            return f"Parameter {error.parameter!r}: "
        case (
            fhir.PatchRefusedError()
            | fhir.MailboxForeignError()
            | fhir.MailboxAbsentError()
            | fhir.MailboxDuplicateError()
        ):
            return f"Operation {error.operation}: "
        case fhir.PatchSyntaxError(operation=int()):
            return f"Operation {error.operation}: "
        case _:
            return ""


def _reason(error: FhirError) -> str:
    match error:
        case fhir.ParameterValueError() | fhir.PatchSyntaxError() | fhir.PatchRefusedError():
            return f" ({error.reason})"
        case _:
            return ""


def _expression(error: FhirError) -> str:
    number = getattr(error, "operation", None)
    return f"Parameters.parameter[{number - 1}]" if isinstance(number, int) else ""
