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
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from api import errors
from api.schemas.problem import InvalidField, Problem
from api.validation import field_errors
from mss.errors import (
    DomainNotTrustedError,
    InvalidRequestError,
    MailboxFullError,
    MessageRefusedError,
    MSSError,
    NotAuthenticatedError,
    NotFoundError,
    ProtectionImpossibleError,
    RecipientUnknownError,
)
from mss.mime.errors import MessageSyntaxError

_log = logging.getLogger("api.problems")

MEDIA_TYPE: Final = "application/problem+json"
DEFAULT_STATUS: Final = 500

STATUSES: Final[dict[str, int]] = {
    "bad-request": 400,
    "malformed-form": 400,
    "malformed-json": 400,
    "not-authenticated": 401,
    "peer-not-trusted": 403,
    "sender-not-allowed": 403,
    "not-found": 404,
    "method-not-allowed": 405,
    "not-acceptable": 406,
    "request-timeout": 408,
    "conflict": 409,
    "cursor-expired": 410,
    "message-too-large": 413,
    "request-too-large": 413,
    "address-too-long": 414,
    "unsupported-media-type": 415,
    "domain-not-trusted": 422,
    "header-value": 422,
    "invalid-request": 422,
    "json-too-complex": 422,
    "message-limits": 422,
    "message-refused": 422,
    "message-syntax": 422,
    "protection-impossible": 422,
    "recipient-unknown": 422,
    "too-many-recipients": 422,
    "blob-damaged": 500,
    "blob-missing": 500,
    "internal": 500,
    "settings-invalid": 500,
    "store-full": 503,
    "store-unavailable": 503,
    "trust-list-missing": 503,
    "mailbox-full": 507,
}

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
        recipient=_recipient_of(error),
        domain=error.domain if isinstance(error, DomainNotTrustedError) else None,
    )


def respond(error: MSSError) -> Response:
    """Turn an error into the response that says it."""
    problem = problem_of(error)
    return Response(
        orjson.dumps(problem.model_dump(exclude_none=True)),
        status_code=problem.status,
        headers=_headers_of(error),
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
            return await _on_error(request, NotFoundError(what="route"))
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


def _headers_of(error: MSSError) -> dict[str, str]:
    match error:
        case NotAuthenticatedError():
            return {"WWW-Authenticate": 'Bearer realm="mss"'}
        case errors.MethodNotAllowedError():
            return {"Allow": ", ".join(error.allowed)}
        case errors.UnsupportedMediaTypeError():
            return {"Accept": ", ".join(error.accepted), "Accept-Encoding": "identity"}
        case _ if status_of(error) == 503:
            return {"Retry-After": str(RETRY_AFTER_SECONDS)}
        case _:
            return {}


def _errors_of(error: MSSError) -> list[InvalidField] | None:
    match error:
        case InvalidRequestError():
            return [InvalidField(field=error.field, reason=error.reason)]
        case MessageRefusedError() | MessageSyntaxError():
            # The name of a rule, never a piece of the message.
            return [InvalidField(field="message", reason=error.reason)]
        case errors.InvalidFieldsError():
            return [InvalidField(field=one.field, reason=one.reason) for one in error.errors]
        case _:
            return None


def _recipient_of(error: MSSError) -> str | None:
    """Name the recipient that is to blame, which is nothing new to the sender who wrote it."""
    match error:
        case RecipientUnknownError() | MailboxFullError() | ProtectionImpossibleError():
            return error.address
        case _:
            return None
