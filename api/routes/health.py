"""Whether the process lives, and whether it can serve: for load balancers and supervisors."""

from fastapi import APIRouter, Response

from api.context import ServicesDep
from api.schemas.health import LiveOut, ReadyOut

router = APIRouter(prefix="/health", tags=["Health"])


@router.get("/live", responses={503: {"model": LiveOut, "description": "Not live."}})
async def live(services: ServicesDep, response: Response) -> LiveOut:
    """Tell whether the process does its work; restart it when it does not, or does not answer."""
    is_live = services.health.is_live()
    if not is_live:
        response.status_code = 503
    return LiveOut(status="live" if is_live else "not-live")


@router.get("/ready", responses={503: {"model": ReadyOut, "description": "Not ready."}})
async def ready(services: ServicesDep, response: Response) -> ReadyOut:
    """Tell whether requests can be served, and which component stands in the way."""
    components = await services.health.readiness()
    is_ready = all(state == "ok" for state in components.values())
    if not is_ready:
        response.status_code = 503
    return ReadyOut(
        status="ready" if is_ready else "not-ready",
        components=components,
        warnings=await services.health.alerts(),
    )
