"""Sending a message, and reading one: described, raw, part by part."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from api import bodies, presentation
from api.answers import octets, problems
from api.auth import PrincipalDep, authenticate
from api.context import AddressPath, DraftingDep, MessageIdPath, PartPath, ReadingDep, ServicesDep
from api.downloads import download
from api.schemas.message import MessageOut
from api.schemas.sending import AcceptedOut, DraftIn
from api.schemas.wire import AddressText
from api.sending import read_sending

router = APIRouter(prefix="/v1", tags=["Messages"], dependencies=[Depends(authenticate)])

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="Any text unique to this message; a repetition is answered, not sent again.",
    ),
]
EnvelopeRecipients = Annotated[
    list[AddressText] | None,
    Query(
        alias="recipient",
        max_length=1000,
        description="For `message/rfc822` only: the recipients, instead of those of its header.",
    ),
]


@router.post(
    "/mailboxes/{address}/messages",
    status_code=202,
    responses=problems(400, 403, 404, 409, 413, 415),
    openapi_extra=bodies.describe_sending(DraftIn),
)
async def send_message(
    principal: PrincipalDep,
    address: AddressPath,
    drafting: DraftingDep,
    services: ServicesDep,
    request: Request,
    response: Response,
    recipient: EnvelopeRecipients = None,
    idempotency_key: IdempotencyKey = None,
) -> AcceptedOut:
    """Send a message; the answer means that the server is responsible for it."""
    limit = services.settings.limits.message_octets
    outgoing = await read_sending(request, limit_octets=limit)
    if isinstance(outgoing, bytes):
        accepted = await drafting.send_raw(
            principal,
            address,
            outgoing,
            recipients=tuple(recipient) if recipient else None,
            idempotency_key=idempotency_key,
        )
    else:
        accepted = await drafting.send_draft(
            principal, address, outgoing, idempotency_key=idempotency_key
        )
    response.headers["Location"] = presentation.message_path(accepted.message_id)
    return presentation.accepted_out(accepted)


@router.get("/messages/{message_id}", responses=problems(404))
async def get_message(
    principal: PrincipalDep, message_id: MessageIdPath, reading: ReadingDep
) -> MessageOut:
    """Describe a message: header, parts, what its protection was worth, where it lies."""
    return presentation.message_out(await reading.get_message(principal, message_id))


@router.get(
    "/messages/{message_id}/raw",
    response_class=Response,
    responses=problems(404) | octets("The message, octet for octet.", "message/rfc822"),
)
async def get_raw(
    principal: PrincipalDep, message_id: MessageIdPath, reading: ReadingDep
) -> Response:
    """Fetch the whole message as it was accepted, opened if it was encrypted for us."""
    raw = await reading.get_raw(principal, message_id)
    return download(
        raw, content_type="message/rfc822", filename=None, fallback=f"message-{message_id}.eml"
    )


@router.get(
    "/messages/{message_id}/parts/{path}",
    response_class=Response,
    responses=problems(404, 409) | octets("The part, decoded.", "*/*"),
)
async def get_part(
    principal: PrincipalDep, message_id: MessageIdPath, path: PartPath, reading: ReadingDep
) -> Response:
    """Fetch one part of a message, decoded, as a file to save."""
    part = await reading.get_part(principal, message_id, path)
    return download(
        part.octets,
        content_type=part.content_type,
        filename=part.filename,
        fallback=f"part-{path}",
    )
