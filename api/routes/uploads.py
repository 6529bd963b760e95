"""Files, before the message that carries them: uploaded in as many requests as the line needs."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Request, Response

from api import bodies, tus
from api.answers import problems
from api.auth import PrincipalDep, authenticate
from api.context import ServicesDep, UploadIdPath
from api.schemas.upload import UploadOut
from mss.mailboxes.uploads import Upload

router = APIRouter(prefix="/v1/uploads", tags=["Uploads"], dependencies=[Depends(authenticate)])

_STRING: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer", "minimum": 0}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "content": {tus.OCTET_STREAM: {"schema": {"type": "string", "format": "binary"}}}
    }
}
_STANDING: Final = {
    "Upload-Offset": {"schema": _NUMBER, "description": "How many octets are kept."},
    "Upload-Length": {"schema": _NUMBER},
    "Upload-Expires": {"schema": _STRING},
    "Tus-Resumable": {"schema": _STRING, "example": tus.VERSION},
}
_LOCATION: Final = {"Location": {"schema": _STRING, "description": "Where it is continued."}}

Version = Annotated[
    str | None,
    Header(
        alias="Tus-Resumable", description="`1.0.0`, the version of tus.", examples=[tus.VERSION]
    ),
]
Length = Annotated[
    str | None,
    Header(alias="Upload-Length", description="Octets of the whole file.", examples=["734003200"]),
]
Offset = Annotated[
    str | None,
    Header(alias="Upload-Offset", description="Where these octets begin.", examples=["0"]),
]
Metadata = Annotated[
    str,
    Header(
        alias="Upload-Metadata",
        description="`filename` and `filetype`, each with its value in base64.",
        examples=["filename c2Nhbm5lci5wZGY=,filetype YXBwbGljYXRpb24vcGRm"],
    ),
]
ChecksumField = Annotated[
    str | None,
    Header(
        alias="Upload-Checksum",
        description="`sha256` or `sha1`, and the digest of the octets of this request in base64; "
        "these are then kept all or not at all.",
    ),
]


@router.options(
    "",
    status_code=204,
    responses=problems() | {204: {"description": "What is spoken here, in the header."}},
)
async def describe_uploads(services: ServicesDep) -> Response:
    """Tell which version and extensions of tus are spoken here, and the largest file."""
    limit = services.settings.limits.upload_octets
    return Response(status_code=204, headers=dict(tus.abilities(limit_octets=limit)))


@router.post(
    "",
    status_code=201,
    responses=problems(400, 409, 412, 413, 415, 460, 507)
    | {201: {"description": "It may be continued.", "headers": {**_LOCATION, **_STANDING}}},
    openapi_extra=_BODY,
)
async def begin_upload(
    principal: PrincipalDep,
    services: ServicesDep,
    request: Request,
    response: Response,
    version: Version = None,
    length: Length = None,
    metadata: Metadata = "",
    checksum: ChecksumField = None,
) -> UploadOut:
    """Begin an upload (tus creation); the first octets may come along."""
    tus.require_version(version)
    name, wanted = tus.parse_metadata(metadata), tus.parse_checksum(checksum)
    has_octets = "content-type" in request.headers
    if has_octets:
        bodies.media_type(request, tus.OCTET_STREAM)
    upload = await services.uploads.begin(
        principal, size_octets=tus.parse_number(length), name=name
    )
    if has_octets:
        upload = await services.uploads.append(
            principal, upload.id, request.stream(), offset=0, checksum=wanted
        )
    response.headers.update({**tus.standing(upload), "Location": f"{tus.PATH}/{upload.id}"})
    return _out(upload)


@router.get(
    "/{upload_id}",
    responses=problems(404, 412)
    | {200: {"description": "How far it is; `HEAD` says the same.", "headers": _STANDING}},
)
async def get_upload(
    principal: PrincipalDep,
    upload_id: UploadIdPath,
    services: ServicesDep,
    response: Response,
) -> UploadOut:
    """Tell how far an upload is, and where to go on."""
    upload = await services.uploads.find(principal, upload_id)
    response.headers.update(tus.standing(upload))
    return _out(upload)


@router.patch(
    "/{upload_id}",
    status_code=204,
    responses=problems(400, 404, 408, 409, 412, 413, 415, 460)
    | {204: {"description": "The octets are kept.", "headers": _STANDING}},
    openapi_extra=_BODY,
)
async def continue_upload(
    principal: PrincipalDep,
    upload_id: UploadIdPath,
    services: ServicesDep,
    request: Request,
    version: Version = None,
    offset: Offset = None,
    checksum: ChecksumField = None,
) -> Response:
    """Send more octets; those that arrive are kept even if the line breaks."""
    tus.require_version(version)
    bodies.media_type(request, tus.OCTET_STREAM)
    upload = await services.uploads.append(
        principal,
        upload_id,
        request.stream(),
        offset=tus.parse_number(offset),
        checksum=tus.parse_checksum(checksum),
    )
    return Response(status_code=204, headers=dict(tus.standing(upload)))


@router.delete(
    "/{upload_id}",
    status_code=204,
    responses=problems(404, 412) | {204: {"description": "It is gone."}},
)
async def end_upload(
    principal: PrincipalDep,
    upload_id: UploadIdPath,
    services: ServicesDep,
    version: Version = None,
) -> Response:
    """Remove an upload that is not wanted any more (tus termination)."""
    tus.require_version(version)
    await services.uploads.end(principal, upload_id)
    return Response(status_code=204)


def _out(upload: Upload) -> UploadOut:
    return UploadOut(
        id=upload.id,
        filename=upload.name.filename,
        content_type=upload.name.content_type,
        size_octets=upload.size_octets,
        offset_octets=upload.offset_octets,
        is_complete=upload.offset_octets == upload.size_octets,
        created_at=upload.created_at,
        expires_at=upload.expires_at,
    )
