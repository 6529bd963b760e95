"""The mailboxes that the caller may open, and the messages in them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api import bodies, presentation
from api.answers import problems
from api.auth import PrincipalDep, authenticate
from api.context import AddressPath, ReadingDep, ServicesDep
from api.paging import link_next
from api.schemas.mailbox import MailboxList, MailboxOut
from api.schemas.message import (
    MarkRequest,
    MarkResponse,
    MarkResultOut,
    MessageFilter,
    MessageList,
)

router = APIRouter(prefix="/v1/mailboxes", tags=["Mailboxes"], dependencies=[Depends(authenticate)])


@router.get("", responses=problems())
async def list_mailboxes(
    principal: PrincipalDep, reading: ReadingDep, services: ServicesDep
) -> MailboxList:
    """List every mailbox that the caller may open."""
    views = await reading.list_mailboxes(principal)
    limit = services.settings.limits.message_octets
    return MailboxList(
        items=[presentation.mailbox_out(view, size_limit_octets=limit) for view in views]
    )


@router.get("/{address}", responses=problems(404))
async def get_mailbox(
    principal: PrincipalDep, address: AddressPath, reading: ReadingDep, services: ServicesDep
) -> MailboxOut:
    """Describe one mailbox: kind, rights, unread messages, room left, largest message."""
    view = await reading.get_mailbox(principal, address)
    return presentation.mailbox_out(view, size_limit_octets=services.settings.limits.message_octets)


@router.get("/{address}/messages", responses=problems(404))
async def list_messages(
    principal: PrincipalDep,
    address: AddressPath,
    wanted: Annotated[MessageFilter, Query()],
    reading: ReadingDep,
    request: Request,
    response: Response,
) -> MessageList:
    """List the messages of a mailbox, newest first."""
    page = await reading.list_messages(
        principal,
        address,
        folder=wanted.folder,
        limit=wanted.limit,
        cursor=wanted.cursor,
        unread_only=wanted.unread,
    )
    link_next(request, response, page.next_cursor)
    return presentation.message_list(page, address=address)


@router.patch(
    "/{address}/messages",
    responses=problems(400, 404, 413, 415),
    openapi_extra=bodies.describe(MarkRequest),
)
async def mark_messages(
    principal: PrincipalDep, address: AddressPath, reading: ReadingDep, request: Request
) -> MarkResponse:
    """Flag, move or delete messages: one result for each, never all or nothing."""
    wanted = await bodies.read_model(request, MarkRequest)
    results = await reading.mark(
        principal,
        address,
        wanted.ids,
        add=wanted.add_flags,
        remove=wanted.remove_flags,
        folder=wanted.folder,
        delete=wanted.delete,
        receipt=wanted.send_receipt,
    )
    return MarkResponse(
        results=[MarkResultOut(id=one.message_id, status=one.status) for one in results]
    )
