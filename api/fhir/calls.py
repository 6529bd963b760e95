"""Open a FHIR call: who asks, how the answer is written, and what an error becomes.

A key is an account's token, as `Authorization: Bearer …` or in the header `ESANTE-API-KEY` of the
national service. Nothing of a request is read before its sender is known and within the rate.

Errors
    None leave `answering`: each becomes an OperationOutcome.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from fastapi import Request, Response

from api import problems
from api.auth import parse_credentials
from api.fhir.forms import Writing
from api.fhir.outcomes import outcome_of, status_of
from directory.fhir.errors import FhirError
from mss.errors import MSSError, NotAuthenticatedError
from mss.mailboxes.fhir import FhirDesk
from mss.mailboxes.fhir_export import ExportDesk
from mss.model.principal import AccountPrincipal
from mss.policy.networks import network_of
from mss.services import Services

KEY_FIELD: Final = "esante-api-key"
PATH: Final = "/fhir"
_MAX_KEY: Final = 12_288

Handler = Callable[["Call"], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request whose sender is known.

    Attributes:
        caller: The account; `None` for somebody without a key, if the settings let them ask.
        base: What links begin with, without a slash at the end.
        lenient: True if what is not understood is to be left out instead of refused.
    """

    request: Request
    services: Services
    writing: Writing
    caller: AccountPrincipal | None
    base: str
    lenient: bool

    @property
    def desk(self) -> FhirDesk:
        """The directory's FHIR desk."""
        return self.services.fhir

    @property
    def exports(self) -> ExportDesk:
        """The desk that writes the directory to files."""
        return self.services.fhir_exports

    @property
    def principal(self) -> AccountPrincipal:
        """The account that asks, for what needs one.

        Raises:
            NotAuthenticatedError: There is none.
        """
        if self.caller is None:
            raise NotAuthenticatedError
        return self.caller

    def pairs(self) -> list[tuple[str, str]]:
        """Return the parameters of the address, decoded."""
        return self.request.query_params.multi_items()


def answering(handler: Handler, *, is_open: bool = False) -> Endpoint:
    """Make a route of a handler of calls; an open one answers without a key as well."""

    async def endpoint(request: Request) -> Response:
        writing = Writing()
        try:
            writing = Writing.of(request)
            return await handler(await _open(request, writing, is_open=is_open))
        except (FhirError, MSSError) as error:
            return _refuse(request, error, writing)

    endpoint.__doc__ = handler.__doc__
    endpoint.__name__ = handler.__name__
    return endpoint


def _refuse(request: Request, error: FhirError | MSSError, writing: Writing) -> Response:
    request.state.problem = error.code
    status = status_of(error)
    headers = problems.headers_of(error) if isinstance(error, MSSError) else {}
    if status == 429:
        headers = {**headers, "Retry-After": "1"}
    return writing.respond(outcome_of(error), status=status, headers=headers)


async def _open(request: Request, writing: Writing, *, is_open: bool) -> Call:
    services: Services = request.app.state.services
    host = request.client.host if request.client else ""
    settings = services.settings.directory
    caller = await _authenticate(request, services, host, is_open=is_open or settings.fhir_open)
    key = f"account {caller.account_id}" if caller else f"network {network_of(host)}"
    services.fhir.rate.take(key)
    return Call(
        request=request,
        services=services,
        writing=writing,
        caller=caller,
        base=settings.fhir_base_url.rstrip("/")
        or f"{request.url.scheme}://{request.url.netloc}{PATH}",
        lenient="handling=lenient" in request.headers.get("prefer", "").lower().replace(" ", ""),
    )


async def _authenticate(
    request: Request, services: Services, host: str, *, is_open: bool
) -> AccountPrincipal | None:
    token = _token(request)
    if token is not None:
        return await services.accounts.authenticate_token(token, host=host)
    if not is_open:
        raise NotAuthenticatedError
    return None


def _token(request: Request) -> str | None:
    """Take the key from its header, or from that of bearer tokens; two are one too many."""
    keys = request.headers.getlist(KEY_FIELD)
    fields = request.headers.getlist("authorization")
    if not keys and not fields:
        return None
    if len(keys) == 1 and not fields:
        return keys[0].strip()[:_MAX_KEY]
    token = parse_credentials(fields[0]) if len(fields) == 1 and not keys else None
    if token is None:
        raise NotAuthenticatedError
    return token
