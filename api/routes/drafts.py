"""Drafts: kept between two keystrokes, changed by version, sent once."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from api import bodies, presentation
from api.answers import problems
from api.auth import PrincipalDep, authenticate
from api.context import AddressPath, DraftIdPath, DraftsDep
from api.errors import BadRequestError
from api.paging import DEFAULT_LIMIT, Cursor, Limit, link_next
from api.routes.messages import IdempotencyKey
from api.schemas.draft import DraftAttachmentOut, DraftList, DraftOut, SavedDraftIn, SendIn
from api.schemas.sending import AcceptedOut
from api.sending import outgoing, uploaded
from mss.mailboxes.drafting import OutgoingDraft, UploadedAttachment
from mss.mailboxes.drafts import SavedDraft

router = APIRouter(
    prefix="/v1/mailboxes/{address}/drafts",
    tags=["Drafts"],
    dependencies=[Depends(authenticate)],
)

DRAFT_OCTETS: Final = 2 * 1024 * 1024
_ETAG: Final = {"ETag": {"schema": {"type": "string"}, "description": "The version."}}

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=64,
        description="The `ETag` of the version that this is for; if there is another by now, the "
        "answer is 412 and nothing is changed.",
        examples=['"3"'],
    ),
]


@router.get("", responses=problems(404))
async def list_drafts(
    principal: PrincipalDep,
    address: AddressPath,
    drafts: DraftsDep,
    request: Request,
    response: Response,
    limit: Annotated[Limit, Query()] = DEFAULT_LIMIT,
    cursor: Annotated[Cursor, Query()] = None,
) -> DraftList:
    """List the drafts of a mailbox, newest first."""
    found, following = await drafts.list(principal, address, limit=limit, cursor=cursor)
    link_next(request, response, following)
    return DraftList(items=[_out(one) for one in found], next=following)


@router.post(
    "",
    status_code=201,
    responses=problems(400, 404, 413, 415, 507)
    | {201: {"description": "It is kept.", "headers": _ETAG}},
    openapi_extra=bodies.describe(SavedDraftIn),
)
async def create_draft(
    principal: PrincipalDep,
    address: AddressPath,
    drafts: DraftsDep,
    request: Request,
    response: Response,
) -> DraftOut:
    """Keep a new draft; it need not be complete."""
    saved = await drafts.create(principal, address, await _read(request))
    response.headers["Location"] = f"/v1/mailboxes/{address}/drafts/{saved.row.id}"
    return _tagged(saved, response)


@router.get(
    "/{draft_id}",
    responses=problems(404) | {200: {"description": "The draft.", "headers": _ETAG}},
)
async def get_draft(
    principal: PrincipalDep,
    address: AddressPath,
    draft_id: DraftIdPath,
    drafts: DraftsDep,
    response: Response,
) -> DraftOut:
    """Fetch one draft."""
    return _tagged(await drafts.get(principal, address, draft_id), response)


@router.put(
    "/{draft_id}",
    responses=problems(400, 404, 409, 412, 413, 415)
    | {200: {"description": "The new version.", "headers": _ETAG}},
    openapi_extra=bodies.describe(SavedDraftIn),
)
async def replace_draft(
    principal: PrincipalDep,
    address: AddressPath,
    draft_id: DraftIdPath,
    drafts: DraftsDep,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> DraftOut:
    """Put other words in the place of a draft's, all of them: what autosave calls."""
    seen = _version(if_match)
    draft = await _read(request)
    saved = await drafts.replace(principal, address, draft_id, draft, seen=seen)
    return _tagged(saved, response)


@router.delete(
    "/{draft_id}",
    status_code=204,
    responses=problems(400, 404, 409, 412) | {204: {"description": "It is gone."}},
)
async def delete_draft(
    principal: PrincipalDep,
    address: AddressPath,
    draft_id: DraftIdPath,
    drafts: DraftsDep,
    if_match: IfMatch = None,
) -> Response:
    """Throw a draft away, with the files that are attached to it."""
    await drafts.delete(principal, address, draft_id, seen=_version(if_match))
    return Response(status_code=204)


@router.post(
    "/{draft_id}/send",
    status_code=202,
    response_model=AcceptedOut,
    responses=problems(400, 403, 404, 409, 412, 413, 415)
    | {200: {"description": "With `send_at`: it waits for its hour.", "model": DraftOut}},
    openapi_extra={
        "requestBody": {
            "required": False,
            "content": {bodies.JSON: {"schema": {"$ref": "#/components/schemas/SendIn"}}},
        }
    },
)
async def send_draft(
    principal: PrincipalDep,
    address: AddressPath,
    draft_id: DraftIdPath,
    drafts: DraftsDep,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> AcceptedOut | Response:
    """Send a draft once, however often this is asked; or, with `send_at`, at its hour."""
    seen = _version(if_match)
    wanted = SendIn()
    if request.headers.get("content-length", "") != "0" and "content-type" in request.headers:
        wanted = await bodies.read_model(request, SendIn)
    if wanted.send_at is not None:
        saved = await drafts.schedule(principal, address, draft_id, seen=seen, at=wanted.send_at)
        shown = _out(saved).model_dump(mode="json")
        return JSONResponse(shown, headers={"ETag": f'"{saved.row.version}"'})
    accepted = await drafts.send(
        principal, address, draft_id, seen=seen, idempotency_key=idempotency_key
    )
    response.headers["Location"] = presentation.message_path(accepted.message_id)
    return presentation.accepted_out(accepted)


@router.delete(
    "/{draft_id}/schedule",
    responses=problems(400, 404, 409, 412)
    | {200: {"description": "It is a draft like others again.", "headers": _ETAG}},
)
async def take_back_draft(
    principal: PrincipalDep,
    address: AddressPath,
    draft_id: DraftIdPath,
    drafts: DraftsDep,
    response: Response,
    if_match: IfMatch = None,
) -> DraftOut:
    """Cancel the sending of a draft before its hour; 409 if it was handed over already."""
    seen = _version(if_match)
    return _tagged(await drafts.take_back(principal, address, draft_id, seen=seen), response)


async def _read(request: Request) -> OutgoingDraft:
    draft = await bodies.read_model(request, SavedDraftIn, limit_octets=DRAFT_OCTETS)
    return outgoing(draft, tuple(map(uploaded, draft.attachments)))


def _version(if_match: str | None) -> int | None:
    """Read the version that a request is for; a tag that is none of ours matches nothing."""
    if if_match is None or if_match.strip() == "*":
        return None
    tag = if_match.strip()
    if not (len(tag) > 1 and tag.startswith('"') and tag.endswith('"')):
        raise BadRequestError  # weak ones never match (RFC 9110, 13.1.1), and lists are not kept
    number = tag[1:-1]
    return int(number) if number.isascii() and number.isdigit() else 0


def _tagged(saved: SavedDraft, response: Response) -> DraftOut:
    response.headers["ETag"] = f'"{saved.row.version}"'
    return _out(saved)


def _out(saved: SavedDraft) -> DraftOut:
    row, draft = saved.row, saved.draft
    return DraftOut(
        id=row.id,
        version=row.version,
        folder="drafts",
        state=row.state,
        created_at=row.created_at,
        updated_at=row.updated_at,
        send_at=row.send_at,
        code=row.code,
        to=list(draft.to),
        cc=list(draft.cc),
        bcc=list(draft.bcc),
        subject=draft.subject,
        text=draft.text,
        html=draft.html,
        reply_to=list(draft.reply_to),
        in_reply_to=draft.in_reply_to,
        references=list(draft.references),
        request_read_receipt=draft.request_read_receipt,
        request_delivery_receipt=draft.request_delivery_receipt,
        closes_conversation=draft.closes_conversation,
        headers=dict(draft.headers),
        attachments=[
            DraftAttachmentOut(
                upload=one.upload_id, filename=one.filename, content_type=one.content_type
            )
            for one in draft.attachments
            if isinstance(one, UploadedAttachment)
        ],
    )
