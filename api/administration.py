"""Who may administer: accounts that the settings name, with a bearer token like anybody else.

Errors
    `NotAuthenticatedError`; `NotAdministratorError` for an account that the settings do not name.
"""

from typing import Annotated

from fastapi import Depends

from api.auth import PrincipalDep
from api.context import ServicesDep
from mss.errors import NotAdministratorError


async def require_administrator(principal: PrincipalDep, services: ServicesDep) -> str:
    """Let an administrator pass; give the name that the journal shows."""
    if principal.name not in services.settings.administration.accounts:
        raise NotAdministratorError
    return f"account:{principal.account_id}"


AdministratorDep = Annotated[str, Depends(require_administrator)]
