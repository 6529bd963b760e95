"""Hospital software that speaks HL7 v2 over HTTP: a message in, its acknowledgement out."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response

from api import bodies
from api.answers import octets, problems
from api.auth import PrincipalDep, authenticate
from api.context import ServicesDep
from mss.errors import NotFoundError
from mss.ports import HospitalDesk

router = APIRouter(prefix="/v1", tags=["Hospital software"], dependencies=[Depends(authenticate)])

MEDIA_TYPE: Final = "application/hl7-v2"
_BODY: Final[dict[str, object]] = {
    "requestBody": {
        "required": True,
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


async def _hospital(services: ServicesDep) -> HospitalDesk:
    if services.hospital is None:
        raise NotFoundError(what="hl7")
    return services.hospital


@router.post(
    "/hl7",
    response_class=Response,
    responses=problems(401, 404, 413, 415)
    | octets("The acknowledgement; MSA-1 says whether it was accepted.", MEDIA_TYPE),
    openapi_extra=_BODY,
)
async def post_hl7(
    principal: PrincipalDep,
    services: ServicesDep,
    hospital: Annotated[HospitalDesk, Depends(_hospital)],
    request: Request,
) -> Response:
    """Hand in one ORU^R01 or MDM^T02, T10 or T04 in its pipe form.

    AA in the answer means that every letter of the request was accepted.
    """
    bodies.media_type(request, MEDIA_TYPE, "x-application/hl7-v2+er7")
    limit = services.settings.hl7.frame_octets
    message = await bodies.read_octets(request, limit_octets=limit)
    host = request.client.host if request.client else ""
    answer = await hospital.answer_account(message, principal, host=host)
    charset = "utf-8" if answer.isascii() or b"UNICODE UTF-8" in answer[:400] else "iso-8859-15"
    return Response(answer, media_type=f"{MEDIA_TYPE}; charset={charset}")
