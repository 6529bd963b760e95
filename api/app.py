"""Make the applications that the server's HTTP listeners run.

`create_app` answers for everybody on the API's listener; `create_admin_app` for the operator's own
network, on a listener of its own. Both are plain ASGI applications around the same services.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig

from api import problems, tus
from api.description import describe, load_document, methods_by_path
from api.fhir.routes import router as fhir_router
from api.limits import BodyLimit, Framing, HeadAsGet, Journal
from api.routes import (
    admin_queue,
    directory,
    documents,
    drafts,
    health,
    hl7,
    letters,
    mailboxes,
    messages,
    pages,
    recipients,
    tracking,
    uploads,
)
from api.sending import OVERHEAD_OCTETS
from mss.services import Services

TITLE: Final = "mss"
VERSION: Final = "1.0"
# FastAPI's own tracing would export paths, which hold addresses, as soon as a provider exists.
NO_TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
API_ROUTERS: Final = (
    mailboxes.router,
    messages.router,
    drafts.router,
    uploads.router,
    letters.router,
    documents.router,
    tracking.router,
    recipients.router,
    directory.router,
    hl7.router,
    health.router,
    fhir_router,
)

ADMIN_ROUTERS: Final = (health.router, admin_queue.router)


def create_app(services: Services) -> FastAPI:
    """Make the API: what mailbox owners and their software call."""
    return _serving(bare_app(), services, document=load_document())


def create_admin_app(services: Services) -> FastAPI:
    """Make the administration application; listen with it on the operator's own network only."""
    app = bare_app(ADMIN_ROUTERS)
    return _serving(app, services, document=describe(app))


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
    for router in (*routers, pages.router):
        app.include_router(router)
    return app


def _serving(app: FastAPI, services: Services, *, document: Mapping[str, Any]) -> FastAPI:
    app.state.services = services
    app.state.pages = pages.Pages.of(document)
    app.state.methods = methods_by_path(document)
    problems.install(app)
    # The one added last is the outermost.
    app.add_middleware(HeadAsGet)
    limits = services.settings.limits
    app.add_middleware(
        BodyLimit,
        limit_octets=limits.message_octets + OVERHEAD_OCTETS,
        seconds=limits.data_seconds,
        upload_octets=limits.upload_octets,
    )
    app.add_middleware(tus.TusFraming)
    app.add_middleware(Journal, clock=services.clock)
    app.add_middleware(Framing)
    return app


def _operation_name(route: APIRoute) -> str:
    return route.name
