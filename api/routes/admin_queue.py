"""The queue, for administrators: look, hold, retry, drop; on the administration listener only."""

import re
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query

from api import queue_presentation
from api.administration import AdministratorDep, require_administrator
from api.answers import problems
from api.context import ServicesDep
from api.schemas.queue import (
    DestinationsOut,
    QueuedDetailsOut,
    QueuedOut,
    QueueFilter,
    QueueOut,
)
from mss.errors import NotFoundError

router = APIRouter(
    prefix="/v1/admin/queue", tags=["Queue"], dependencies=[Depends(require_administrator)]
)
_DELIVERY_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


async def _delivery_id(
    delivery_id: Annotated[str, Path(description="Our identifier of the delivery.")],
) -> str:
    if not _DELIVERY_ID.fullmatch(delivery_id):
        raise NotFoundError(what="delivery")
    return delivery_id


DeliveryIdPath = Annotated[str, Depends(_delivery_id)]


@router.get("", responses=problems(403))
async def list_queue(wanted: Annotated[QueueFilter, Query()], services: ServicesDep) -> QueueOut:
    """List deliveries, oldest first; without a state, those that are queued or held."""
    found = await services.queue.list_deliveries(wanted.state, limit=wanted.limit)
    now = services.clock.now()
    return QueueOut(items=[queue_presentation.queued_out(one, now=now) for one in found])


@router.get("/destinations", responses=problems(403))
async def list_destinations(
    services: ServicesDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> DestinationsOut:
    """List the domains that cannot be reached, the longest failing first."""
    found = await services.queue.list_destinations(limit=limit)
    return DestinationsOut(items=[queue_presentation.destination_out(one) for one in found])


@router.get("/{delivery_id}", responses=problems(403, 404))
async def get_queued(delivery_id: DeliveryIdPath, services: ServicesDep) -> QueuedDetailsOut:
    """Show one delivery and what happened to it."""
    found = await services.queue.get_delivery(delivery_id)
    return queue_presentation.details_out(found, now=services.clock.now())


@router.post("/{delivery_id}/retry", responses=problems(403, 404, 409))
async def retry_queued(
    delivery_id: DeliveryIdPath, actor: AdministratorDep, services: ServicesDep
) -> QueuedOut:
    """Try a delivery now; a held one is released."""
    changed = await services.queue.retry(delivery_id, actor=actor)
    return queue_presentation.queued_out(changed, now=services.clock.now())


@router.post("/{delivery_id}/hold", responses=problems(403, 404, 409))
async def hold_queued(
    delivery_id: DeliveryIdPath, actor: AdministratorDep, services: ServicesDep
) -> QueuedOut:
    """Keep a delivery until it is released with `retry`."""
    changed = await services.queue.hold(delivery_id, actor=actor)
    return queue_presentation.queued_out(changed, now=services.clock.now())


@router.post("/{delivery_id}/drop", responses=problems(403, 404, 409))
async def drop_queued(
    delivery_id: DeliveryIdPath, actor: AdministratorDep, services: ServicesDep
) -> QueuedOut:
    """Never deliver it; its sender is told."""
    changed = await services.queue.drop(delivery_id, actor=actor)
    return queue_presentation.queued_out(changed, now=services.clock.now())
