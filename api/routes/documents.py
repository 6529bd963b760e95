"""The health documents of a message: what they are, and each in the forms that it has."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from api import document_presentation as presentation
from api.answers import octets, problems
from api.auth import PrincipalDep, authenticate
from api.context import DocumentsDep, MessageIdPath
from api.downloads import download, etag, is_unchanged, show_page
from api.negotiation import Form, choose_form
from api.schemas.document import DocumentList
from mss.mailboxes.reading import PartContent

router = APIRouter(prefix="/v1", tags=["Documents"], dependencies=[Depends(authenticate)])

DocumentNumber = Annotated[int, Path(ge=1, le=10_000, description="From 1, as in the list.")]
NamedForm = Annotated[
    Form, Path(description="`xml` the document, `pdf` its copy, `html` a page, `file` its body.")
]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", include_in_schema=False)]
_FORMS: Final = octets(
    "The document.", "application/xml", "text/xml", "application/pdf", "text/html", "*/*"
)
_RESPONSES: Final = {**_FORMS, 304: {"description": "The octets have the `ETag` that is known."}}


@router.get("/messages/{message_id}/documents", responses=problems(404, 409))
async def list_documents(
    principal: PrincipalDep, message_id: MessageIdPath, documents: DocumentsDep
) -> DocumentList:
    """List the health documents of a message, with what replaces what in this mailbox."""
    found = await documents.list_documents(principal, message_id)
    return presentation.document_list(found, message_id=message_id)


@router.get(
    "/messages/{message_id}/documents/{number}",
    response_class=Response,
    responses=problems(404, 406, 409) | _RESPONSES,
)
async def get_document(
    principal: PrincipalDep,
    message_id: MessageIdPath,
    number: DocumentNumber,
    documents: DocumentsDep,
    form: Annotated[
        Form | None, Query(description="Which form; without it the Accept field decides.")
    ] = None,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
    known: IfNoneMatch = None,
) -> Response:
    """Fetch one health document: the CDA itself, the PDF of its author, or a page to read."""
    chosen = choose_form(form, accept)
    content = await documents.get_document(principal, message_id, number, form=chosen)
    answer = _answer(content, chosen, number=number, known=known)
    answer.headers["Vary"] = "Accept"
    return answer


@router.get(
    "/messages/{message_id}/documents/{number}/{form}",
    response_class=Response,
    responses=problems(404, 409) | _RESPONSES,
)
async def get_document_form(
    principal: PrincipalDep,
    message_id: MessageIdPath,
    number: DocumentNumber,
    form: NamedForm,
    documents: DocumentsDep,
    known: IfNoneMatch = None,
) -> Response:
    """Fetch one form of a health document by its own address."""
    content = await documents.get_document(principal, message_id, number, form=form)
    return _answer(content, form, number=number, known=known)


def _answer(content: PartContent, form: Form, *, number: int, known: str | None) -> Response:
    """Only our own page is shown in the place; whatever a sender wrote is a file to save."""
    tag = etag(content.octets)
    if is_unchanged(known, tag):
        return Response(status_code=304, headers={"ETag": tag})
    if form == "html":
        answer = show_page(content.octets, policy=presentation.PAGE_POLICY)
    else:
        answer = download(
            content.octets,
            content_type=content.content_type,
            filename=content.filename,
            fallback=f"document-{number}.{form}",
        )
    answer.headers["ETag"] = tag
    return answer
