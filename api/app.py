"""Make the applications that the server's HTTP listeners run.

`create_app` answers for everybody on the API's listener; `create_admin_app` for the operator's own
network, on a listener of its own. Both are plain ASGI applications around the same services.
"""

from collections.abc import Iterable

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig

from api import problems
from api.description import describe, methods_by_path
from api.limits import BodyLimit, Framing, Journal
from api.routes import directory, health, mailboxes, messages, pages, recipients, tracking
from api.sending import OVERHEAD_OCTETS
from mss.services import Services

TITLE = "mss"
VERSION = "1.0"
# FastAPI's own tracing would export paths, which hold addresses, as soon as a provider exists.
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
API_ROUTERS = (
    mailboxes.router,
    messages.router,
    tracking.router,
    recipients.router,
    directory.router,
    health.router,
)


def create_app(services: Services) -> FastAPI:
    """Make the API: what mailbox owners and their software call."""
    return _serving(bare_app(), services)


def create_admin_app(services: Services) -> FastAPI:
    """Make the administration application; listen with it on the operator's own network only."""
    return _serving(bare_app((health.router,)), services)


def bare_app(routers: Iterable[APIRouter] = API_ROUTERS) -> FastAPI:
    """Make an application that knows its routes but has nobody to ask, to describe itself."""
    app = FastAPI(
        title=TITLE,
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_name,
        telemetry=NO_TELEMETRY,
    )
    for router in routers:
        app.include_router(router)
    app.include_router(pages.router)
    document = describe(app)
    app.state.methods = methods_by_path(document)
    app.state.pages = pages.Pages.of(document)
    problems.install(app)
    return app


def _serving(app: FastAPI, services: Services) -> FastAPI:
    app.state.services = services
    limit = services.settings.limits.message_octets + OVERHEAD_OCTETS
    # The one added last is the outermost.
    app.add_middleware(BodyLimit, limit_octets=limit)
    app.add_middleware(Framing)
    app.add_middleware(Journal, clock=services.clock)
    return app


def _operation_name(route: APIRoute) -> str:
    return route.name
