"""Say no over HTTP: which status and which JSON object each error becomes.

One table, one shape. Whatever goes wrong, the body is `application/problem+json` with a permanent
`code`; an error that nobody foresaw is `internal`, without a word on its cause.

Shapes
    `type`, `title`, `status`, `detail` (RFC 9457); `code`, `detail_fr`, `next_step`, `retryable`;
    `errors` when fields are to blame; `recipient` or `domain` when one recipient of several is.
Sources
    RFC 9457 (problem details); RFC 9110, 15.5 (statuses) and 11.6.1 (WWW-Authenticate);
    RFC 6750, 3 (Bearer).
"""

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from api import errors
from api.schemas.document import FindingOut
from api.schemas.problem import InvalidField, Problem
from api.validation import field_errors
from mss import errors as mss
from mss.blobs import errors as blobs
from mss.clinical.draft_notes import LetterContentError
from mss.errors import MSSError
from mss.mime import errors as mime
from mss.trust_space import TrustListRefusedError

_log = logging.getLogger("api.problems")

MEDIA_TYPE: Final = "application/problem+json"
DEFAULT_STATUS: Final = 500

STATUS_OF_ERROR: Final[Mapping[type[MSSError], int]] = {
    errors.BadRequestError: 400,
    errors.MalformedFormError: 400,
    errors.MalformedJSONError: 400,
    mss.NotAuthenticatedError: 401,
    mss.PeerNotTrustedError: 403,
    mss.PeerExpiredError: 403,
    mss.PeerRevokedError: 403,
    mss.PeerForeignAuthorityError: 403,
    mss.PeerWrongUseError: 403,
    mss.PeerNameDiffersError: 403,
    mss.PeerNotListedError: 403,
    mss.PeerRevocationUnknownError: 503,
    mss.TlsRequiredError: 403,
    mss.TlsVersionError: 403,
    mss.TlsHandshakeError: 503,
    mss.TooManyUnknownError: 429,
    mss.SenderNotAllowedError: 403,
    mss.NotFoundError: 404,
    errors.MethodNotAllowedError: 405,
    errors.NotAcceptableError: 406,
    errors.RequestTimeoutError: 408,
    mss.NotAdministratorError: 403,
    mss.ConflictError: 409,
    mss.EncryptedForClientError: 409,
    mss.UploadIncompleteError: 409,
    errors.CursorExpiredError: 410,
    errors.TusVersionError: 412,
    mss.VersionDiffersError: 412,
    mss.MessageTooLargeError: 413,
    errors.RequestTooLargeError: 413,
    errors.AddressTooLongError: 414,
    errors.UnsupportedMediaTypeError: 415,
    mss.ContentRefusedError: 422,
    mss.DocumentRefusedError: 422,
    mss.DomainNotTrustedError: 422,
    mime.HeaderValueError: 422,
    errors.InvalidFieldsError: 422,
    mss.InvalidRequestError: 422,
    LetterContentError: 422,
    errors.JSONTooComplexError: 422,
    mime.MessageLimitError: 422,
    mss.MessageRefusedError: 422,
    mime.MessageSyntaxError: 422,
    mss.PatientAddressError: 422,
    mss.PatientConversationError: 422,
    mss.ProtectionImpossibleError: 422,
    mss.RecipientUnknownError: 422,
    mss.ReplyAddressNotTrustedError: 422,
    mss.TooManyRecipientsError: 422,
    TrustListRefusedError: 422,
    mss.RateLimitedError: 429,
    mss.ChecksumDiffersError: 460,  # as tus names it; no registered status says so much
    mss.TooManyFailuresError: 429,
    blobs.BlobDamagedError: 500,
    blobs.BlobMissingError: 500,
    MSSError: 500,
    mss.SettingsError: 500,
    mss.IdentityProviderUnavailableError: 503,
    mss.ScannerUnavailableError: 503,
    mss.StoreFullError: 503,
    mss.StoreUnavailableError: 503,
    mss.TrustListMissingError: 503,
    mss.TrustListUnreachableError: 503,
    mss.DirectoryUnreachableError: 503,
    mss.MailboxFullError: 507,
    mss.UploadsFullError: 507,
}
STATUSES: Final = {error.code: status for error, status in STATUS_OF_ERROR.items()}

RETRY_AFTER_SECONDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodsAtPath:
    """Which methods the resources of one pattern answer to."""

    pattern: re.Pattern[str]
    methods: frozenset[str]


def status_of(error: MSSError) -> int:
    """Look the HTTP status of an error up; an unknown code is trouble of ours."""
    return STATUSES.get(error.code, DEFAULT_STATUS)


def problem_of(error: MSSError) -> Problem:
    """Describe an error to whoever sent the request."""
    return Problem(
        type=f"/docs#problem-{error.code}",
        title=error.code.replace("-", " ").capitalize(),
        status=status_of(error),
        detail=error.public_text,
        code=error.code,
        detail_fr=error.public_text_fr,
        next_step=error.next_step,
        retryable=error.retryable,
        errors=_errors_of(error),
        findings=_findings_of(error),
        recipient=_recipient_of(error),
        domain=error.domain if isinstance(error, mss.DomainNotTrustedError) else None,
    )


def respond(error: MSSError) -> Response:
    """Turn an error into the response that says it."""
    problem = problem_of(error)
    return Response(
        orjson.dumps(problem.model_dump(exclude_none=True)),
        status_code=problem.status,
        headers=headers_of(error),
        media_type=MEDIA_TYPE,
    )


def install(app: FastAPI) -> None:
    """Make every error of the application a problem."""
    app.add_exception_handler(MSSError, _on_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, MSSError)
    request.state.problem = error.code
    if status_of(error) >= DEFAULT_STATUS:
        # The facts may hold an address or a row, so the log names the kinds only; whoever raised
        # the error has logged what an administrator needs.
        _log.error("%s caused by %s", error.code, type(error.__cause__).__name__)
    return respond(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """Translate what the framework itself refuses: no such route, no such method, a torn body."""
    assert isinstance(error, HTTPException)
    match error.status_code:
        case 404:
            return await _on_error(request, mss.NotFoundError(what="route"))
        case 405:
            return await _on_error(request, errors.MethodNotAllowedError(_methods_at(request)))
        case _:
            return await _on_error(request, errors.BadRequestError())


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return await _on_error(request, errors.InvalidFieldsError(field_errors(error.errors())))


async def _on_disconnect(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer nobody: the client left while its body was read, which is no fault of ours."""
    return respond(errors.BadRequestError())


def _methods_at(request: Request) -> tuple[str, ...]:
    """List the methods of every route at this path (RFC 9110, 15.5.6), not of the first one."""
    path = request.scope["path"]
    table: Iterable[MethodsAtPath] = request.app.state.methods
    found = [line.methods for line in table if line.pattern.fullmatch(path)]
    return tuple(sorted(frozenset().union(*found)))


def headers_of(error: MSSError) -> dict[str, str]:
    """Return the header fields that go with an error."""
    match error:
        case mss.NotAuthenticatedError():
            return {"WWW-Authenticate": 'Bearer realm="mss"'}
        case errors.MethodNotAllowedError():
            return {"Allow": ", ".join(error.allowed)}
        case errors.UnsupportedMediaTypeError():
            return {"Accept": ", ".join(error.accepted), "Accept-Encoding": "identity"}
        case _ if status_of(error) in {429, 503}:
            return {"Retry-After": str(RETRY_AFTER_SECONDS)}
        case _:
            return {}


def _errors_of(error: MSSError) -> list[InvalidField] | None:
    match error:
        case mss.InvalidRequestError():
            return [InvalidField(field=error.field, reason=error.reason)]
        case mss.MessageRefusedError() | mime.MessageSyntaxError():
            # The name of a rule, never a piece of the message.
            return [InvalidField(field="message", reason=error.reason)]
        case errors.InvalidFieldsError():
            return [InvalidField(field=one.field, reason=one.reason) for one in error.errors]
        case _:
            return None


def _findings_of(error: MSSError) -> list[FindingOut] | None:
    if not isinstance(error, LetterContentError):
        return None
    return [FindingOut(**asdict(one)) for one in error.findings]


def _recipient_of(error: MSSError) -> str | None:
    """Name the recipient that is to blame, which is nothing new to the sender who wrote it."""
    match error:
        case (
            mss.RecipientUnknownError()
            | mss.MailboxFullError()
            | mss.PatientAddressError()
            | mss.ProtectionImpossibleError()
        ):
            return error.address
        case _:
            return None
