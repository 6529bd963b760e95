"""The directory of professionals and structures, for people who look for a recipient."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api import directory_presentation as presentation
from api.answers import problems
from api.auth import authenticate
from api.context import LookupDep, RPPSPath
from api.errors import CursorExpiredError, FieldError, InvalidFieldsError
from api.paging import link_next
from api.schemas.directory import (
    DirectoryFilter,
    DirectoryItem,
    DirectoryPage,
    OrganizationSheetOut,
)
from directory import errors
from directory.model import Position
from directory.search import SearchPage, SearchQuery
from mss.errors import NotFoundError
from mss.mailboxes.lookup import DirectoryLookup

StructureId = Annotated[
    str,
    Path(
        max_length=64,
        pattern=r"^[0-9A-Za-z]+$",
        description="FINESS, SIRET, or the identifier of a practice in the national directory.",
    ),
]
router = APIRouter(prefix="/v1/directory", tags=["Directory"], dependencies=[Depends(authenticate)])


@router.get("/search", responses=problems(410))
async def search_directory(
    wanted: Annotated[DirectoryFilter, Query()],
    lookup: LookupDep,
    request: Request,
    response: Response,
) -> DirectoryPage:
    """Search people and the mailboxes of structures; who is on the liste rouge never appears."""
    page = await _search(lookup, _query(wanted))
    link_next(request, response, page.next_cursor)
    return presentation.page_out(page)


@router.get("/practitioners/{rpps}", responses=problems(404))
async def get_practitioner(rpps: RPPSPath, lookup: LookupDep) -> DirectoryItem:
    """Describe one professional, with the mailboxes to write to."""
    hit = await lookup.find_practitioner(rpps)
    if hit is None:
        raise NotFoundError(what="practitioner")
    return presentation.item_out(hit)


@router.get("/organizations/{identifier}", responses=problems(404))
async def get_organization(identifier: StructureId, lookup: LookupDep) -> OrganizationSheetOut:
    """Describe one structure, with the mailboxes of its services."""
    sheet = await lookup.find_organization(identifier)
    if sheet is None:
        raise NotFoundError(what="organization")
    return presentation.sheet_out(sheet)


async def _search(lookup: DirectoryLookup, query: SearchQuery) -> SearchPage:
    try:
        return await lookup.search(query)
    except errors.CursorSyntaxError as error:
        raise InvalidFieldsError((FieldError(field="cursor", reason=error.public_text),)) from None
    except errors.CursorExpiredError:
        raise CursorExpiredError from None


def _query(wanted: DirectoryFilter) -> SearchQuery:
    point = [float(part) for part in wanted.near.split(",")] if "," in wanted.near else []
    return SearchQuery(
        text=wanted.q,
        identifier=wanted.identifier,
        family=wanted.family,
        given=wanted.given,
        city=wanted.city,
        postcode=wanted.postcode,
        department=wanted.department,
        organization=wanted.organization,
        structure_identifier=wanted.structure_identifier,
        street=wanted.street,
        job=wanted.job,
        profession=wanted.profession,
        speciality=wanted.speciality,
        mailbox_address=wanted.mailbox_address,
        mailbox_kind=wanted.mailbox_kind,
        with_mailbox=wanted.with_mailbox,
        near=Position(latitude=point[0], longitude=point[1]) if point else None,
        near_postcode="" if point else wanted.near,
        radius_km=wanted.radius_km,
        sort=wanted.sort,
        limit=wanted.limit,
        cursor=wanted.cursor,
    )
