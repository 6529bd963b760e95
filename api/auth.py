"""Know who calls: a bearer token becomes an account, or the answer is one and the same 401.

Missing, malformed, unknown, expired: the body and the fields of the answer never tell which.

Errors
    `NotAuthenticatedError`.
Sources
    RFC 6750, 2.1 and 3 (bearer tokens, `b64token`); RFC 9110, 11.6.2 (Authorization).
"""

import re
from typing import Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from api.context import ServicesDep
from mss.errors import NotAuthenticatedError
from mss.model.principal import AccountPrincipal

_CREDENTIALS: Final = re.compile(r"bearer +([A-Za-z0-9\-._~+/]{1,12288}={0,2})", re.IGNORECASE)

# Declares the scheme in the OpenAPI document; `authenticate` does the work.
_scheme: Final = HTTPBearer(
    scheme_name="token",
    description="A token from `mss account token`, or an access token of the identity provider.",
    auto_error=False,
)


async def authenticate(
    request: Request,
    services: ServicesDep,
    _declared: Annotated[object, Security(_scheme)],
) -> AccountPrincipal:
    """Find the account that the request's token belongs to."""
    fields = request.headers.getlist("authorization")
    token = parse_credentials(fields[0]) if len(fields) == 1 else None
    if token is None:
        raise NotAuthenticatedError
    host = request.client.host if request.client else ""
    return await services.accounts.authenticate_token(token, host=host)


def parse_credentials(field: str) -> str | None:
    """Take the token out of an Authorization field; `None` if there is none in it."""
    match = _CREDENTIALS.fullmatch(field.strip())
    return None if match is None else match[1]


PrincipalDep = Annotated[AccountPrincipal, Depends(authenticate)]
