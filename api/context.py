"""What a route asks for by type: the services behind the door, and names taken from the path.

A name that could not exist is answered like one that does not: 404, never a hint on its form.
"""

import re
from typing import Annotated, Final

from fastapi import Depends, Path, Request

from directory.address import MailAddress
from directory.errors import AddressSyntaxError, IdentifierSyntaxError
from directory.identifiers import RPPS
from mss.errors import NotFoundError
from mss.mailboxes.documents import DocumentDesk
from mss.mailboxes.drafting import Drafting
from mss.mailboxes.drafts import DraftDesk
from mss.mailboxes.letters import LetterDesk
from mss.mailboxes.lookup import DirectoryLookup
from mss.mailboxes.reading import Reading
from mss.mailboxes.tracking import TrackingDesk
from mss.services import Services

_MESSAGE_ID: Final = re.compile(r"[0-9a-f]{32}")
_PART_PATH: Final = re.compile(r"[1-9][0-9]{0,3}(?:\.[1-9][0-9]{0,3}){0,40}")


async def get_services(request: Request) -> Services:
    """Fetch the services that the application was made with."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


async def _reading(services: ServicesDep) -> Reading:
    return services.reading


async def _documents(services: ServicesDep) -> DocumentDesk:
    return services.documents


async def _drafting(services: ServicesDep) -> Drafting:
    return services.drafting


async def _drafts(services: ServicesDep) -> DraftDesk:
    return services.drafts


async def _letters(services: ServicesDep) -> LetterDesk:
    return services.letters


async def _tracking(services: ServicesDep) -> TrackingDesk:
    return services.tracking


async def _lookup(services: ServicesDep) -> DirectoryLookup:
    return services.directory


ReadingDep = Annotated[Reading, Depends(_reading)]
DocumentsDep = Annotated[DocumentDesk, Depends(_documents)]
DraftingDep = Annotated[Drafting, Depends(_drafting)]
DraftsDep = Annotated[DraftDesk, Depends(_drafts)]
LettersDep = Annotated[LetterDesk, Depends(_letters)]
TrackingDep = Annotated[TrackingDesk, Depends(_tracking)]
LookupDep = Annotated[DirectoryLookup, Depends(_lookup)]


async def _address(
    address: Annotated[
        str,
        Path(
            description="Address of the mailbox; case does not matter, `@` may be written `%40`.",
            examples=["anne.essai-leroux@cabinets-demo.mssante.fr"],
        ),
    ],
) -> str:
    try:
        return MailAddress.parse(address).key
    except AddressSyntaxError:
        raise NotFoundError(what="mailbox") from None


async def _message_id(
    message_id: Annotated[str, Path(description="Our identifier of the message.")],
) -> str:
    if not _MESSAGE_ID.fullmatch(message_id):
        raise NotFoundError(what="message")
    return message_id


async def _upload_id(
    upload_id: Annotated[str, Path(description="Identifier of the upload.")],
) -> str:
    if not _MESSAGE_ID.fullmatch(upload_id):
        raise NotFoundError(what="upload")
    return upload_id


async def _draft_id(
    draft_id: Annotated[str, Path(description="Identifier of the draft.")],
) -> str:
    if not _MESSAGE_ID.fullmatch(draft_id):
        raise NotFoundError(what="draft")
    return draft_id


async def _part_path(
    path: Annotated[str, Path(description="Position of the part, as in IMAP: `1`, `2.1`.")],
) -> str:
    if not _PART_PATH.fullmatch(path):
        raise NotFoundError(what="part")
    return path


async def _rpps(
    rpps: Annotated[str, Path(description="RPPS number: 11 digits.")],
) -> str:
    try:
        return RPPS.parse(rpps)
    except IdentifierSyntaxError:
        raise NotFoundError(what="practitioner") from None


AddressPath = Annotated[str, Depends(_address)]
MessageIdPath = Annotated[str, Depends(_message_id)]
DraftIdPath = Annotated[str, Depends(_draft_id)]
UploadIdPath = Annotated[str, Depends(_upload_id)]
PartPath = Annotated[str, Depends(_part_path)]
RPPSPath = Annotated[str, Depends(_rpps)]
