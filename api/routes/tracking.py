"""What became of a message that the caller sent."""

from fastapi import APIRouter, Depends

from api import presentation
from api.answers import problems
from api.auth import PrincipalDep, authenticate
from api.context import MessageIdPath, TrackingDep
from api.schemas.sending import TrackingOut

router = APIRouter(prefix="/v1/messages", tags=["Tracking"], dependencies=[Depends(authenticate)])


@router.get("/{message_id}/tracking", responses=problems(404))
async def get_tracking(
    principal: PrincipalDep, message_id: MessageIdPath, tracking: TrackingDep
) -> TrackingOut:
    """Show the timeline of each recipient: accepted, relayed, delivered, read, or why not."""
    timelines = await tracking.get_tracking(principal, message_id)
    return presentation.tracking_out(message_id, timelines)
