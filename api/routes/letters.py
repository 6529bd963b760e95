"""Sending health documents from what a practice's software knows."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from api import bodies, letters, presentation
from api.answers import problems
from api.auth import PrincipalDep, authenticate
from api.context import AddressPath, LettersDep, ServicesDep
from api.routes.messages import IdempotencyKey
from api.schemas.letter import LetterIn, LetterOut, LetterPreviewOut

router = APIRouter(prefix="/v1", tags=["Messages"], dependencies=[Depends(authenticate)])

OnlyCheck = Annotated[
    bool,
    Query(description="Say what would be sent, or what is wrong; nothing is sent."),
]


@router.post(
    "/mailboxes/{address}/letters",
    status_code=202,
    response_model=LetterOut,
    responses=problems(400, 403, 404, 409, 413, 415)
    | {200: {"description": "With `check`: what would be sent.", "model": LetterPreviewOut}},
    openapi_extra=bodies.describe_letter(LetterIn),
)
async def send_letter(
    principal: PrincipalDep,
    address: AddressPath,
    desk: LettersDep,
    services: ServicesDep,
    request: Request,
    response: Response,
    *,
    check: OnlyCheck = False,
    idempotency_key: IdempotencyKey = None,
) -> LetterOut | Response:
    """Make documents, archive and PDF copies of what is known about a patient, and send them.

    A PDF, its type and the patient are enough; the directory and the mailbox give the rest.
    Whatever is wrong is said at once, in `findings`, each with the field it is about.
    """
    limit = services.settings.limits.message_octets
    outgoing = await letters.read_letter(request, limit_octets=limit)
    if check:
        made = await desk.check_letter(principal, address, outgoing)
        return JSONResponse(letters.preview_out(made).model_dump(mode="json"))
    sent = await desk.send_letter(principal, address, outgoing, idempotency_key=idempotency_key)
    response.headers["Location"] = presentation.message_path(sent.accepted.message_id)
    return letters.letter_out(sent)
