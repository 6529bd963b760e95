"""Whether recipients can be reached, and how, before anything is sent."""

from fastapi import APIRouter, Depends, Request

from api import bodies, presentation
from api.answers import problems
from api.auth import PrincipalDep, authenticate
from api.context import DraftingDep
from api.schemas.sending import RecipientsIn, RecipientsOut

router = APIRouter(
    prefix="/v1/recipients", tags=["Recipients"], dependencies=[Depends(authenticate)]
)


@router.post(
    "/check", responses=problems(400, 413, 415), openapi_extra=bodies.describe(RecipientsIn)
)
async def check_recipients(
    principal: PrincipalDep, drafting: DraftingDep, request: Request
) -> RecipientsOut:
    """Ask, per address, whether a message would leave, how protected, up to which size."""
    wanted = await bodies.read_model(request, RecipientsIn)
    answers = await drafting.check_recipients(principal, wanted.addresses)
    return RecipientsOut(recipients=[presentation.recipient_out(one) for one in answers])
