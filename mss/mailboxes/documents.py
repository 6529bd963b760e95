"""The documents of a message for whoever may read it: what they are, and in which forms to read.

What was found at receipt is read from its record; a message without one (it came before there were
records) is opened now. Links to versions and copies are made among the messages of the mailboxes
that hold this one and that the principal may read, so they never tell of anybody else's mail.

Errors
    `NotFoundError` for what is not there, or not the principal's, or has no such form;
    `EncryptedForClientError` if only the software of the mailbox can read the message.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, assert_never

from crypto.sealing import Sealer
from mss.clinical.cda import BodyKind, CdaSyntaxError, embedded_files, embedded_pdf
from mss.clinical.check import Environment
from mss.clinical.finding import Finding
from mss.clinical.html import render_html
from mss.clinical.listing import (
    PDF,
    AuthorView,
    CarriedDocument,
    DocumentSet,
    DocumentView,
    PatientView,
)
from mss.clinical.metadata import Action
from mss.errors import NotFoundError
from mss.mailboxes.document_links import DocumentLinks, link, wanted_identifiers
from mss.mailboxes.reading import HeldMessage, PartContent, Reading
from mss.mime.limits import MimeLimits
from mss.mime.parse import parse_message, part_octets
from mss.model.principal import AccountPrincipal
from mss.pipeline.documents import CarriedDocuments, open_documents
from mss.store import documents as records
from mss.store.engine import Connection, Database

__all__ = [
    "AuthorView",
    "DocumentDesk",
    "DocumentForm",
    "DocumentSet",
    "DocumentView",
    "LinkedDocument",
    "LinkedDocuments",
    "PatientView",
]

DocumentForm = Literal["xml", "pdf", "html", "file"]
HTML = "text/html; charset=utf-8"

_ENDINGS = {
    BodyKind.PDF: "pdf",
    BodyKind.TEXT: "txt",
    BodyKind.JPEG: "jpg",
    BodyKind.RTF: "rtf",
    BodyKind.TIFF: "tif",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedDocument:
    """A document, and what it has to do with others of the same mailbox."""

    view: DocumentView
    links: DocumentLinks


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedDocuments:
    """The documents of a message, and what there is to say about them all."""

    documents: tuple[LinkedDocument, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentDesk:
    """The reader's desk for documents; *reading* says who may read what."""

    database: Database
    sealer: Sealer
    reading: Reading
    limits: MimeLimits
    environment: Environment | None = None

    async def list_documents(self, principal: AccountPrincipal, message_id: str) -> LinkedDocuments:
        """Describe the documents of a message."""
        held = await self.reading.find_readable(principal, message_id)
        found = await self.database.read(lambda c: records.find_record(c, self.sealer, message_id))
        if found is None:
            raw = await self.reading.fetch(held)
            carried = await asyncio.to_thread(self._open, raw, at=held.row.accepted_at)
            found = await asyncio.to_thread(carried.described)
        related = await self._related(held, found)
        return LinkedDocuments(
            documents=tuple(
                LinkedDocument(view=one, links=link(message_id, one, related))
                for one in found.documents
            ),
            findings=found.findings,
        )

    async def get_document(
        self,
        principal: AccountPrincipal,
        message_id: str,
        number: int,
        *,
        form: DocumentForm,
    ) -> PartContent:
        """Fetch one document in one of its forms.

        `xml` is the file as it lies in its archive, `pdf` the readable copy of its author, `html`
        our page of it, and `file` the body as it is, when that is one file.
        """
        held = await self.reading.find_readable(principal, message_id)
        raw = await self.reading.fetch(held)
        return await asyncio.to_thread(self._fetch, raw, number, form)

    async def _related(
        self, held: HeldMessage, found: DocumentSet
    ) -> tuple[tuple[str, DocumentSet], ...]:
        """List the messages that may hold other versions, oldest first, this one among them."""
        wanted = wanted_identifiers(found)
        mailbox_ids = {one.mailbox_id for one in held.deposits}

        def ask(connection: Connection) -> list[tuple[str, DocumentSet]]:
            return records.find_related(connection, self.sealer, wanted, mailbox_ids=mailbox_ids)

        others = await self.database.read(ask)
        if not any(key == held.row.id for key, _ in others):
            others.append((held.row.id, found))
        return tuple(others)

    def _open(self, raw: bytes, *, at: datetime | None = None) -> CarriedDocuments:
        return open_documents(parse_message(raw, self.limits), at=at, environment=self.environment)

    def _fetch(self, raw: bytes, number: int, form: DocumentForm) -> PartContent:
        carried = self._open(raw).documents
        if not 1 <= number <= len(carried):
            raise NotFoundError(what="document")
        one = carried[number - 1]
        match form:
            case "xml":
                content: PartContent | None = _xml(one)
            case "pdf":
                content = _pdf(one, self._beside(raw, one))
            case "html":
                content = _html(one)
            case "file":
                content = _file(one)
            case _:
                assert_never(form)
        if content is None:
            raise NotFoundError(what="document")
        return content

    def _beside(self, raw: bytes, one: CarriedDocument) -> PartContent | None:
        """Take the copy that goes beside the archive."""
        part = parse_message(raw, self.limits).find_part(one.twin) if one.twin else None
        if part is None:
            return None
        return PartContent(
            content_type=PDF, filename=part.filename or None, octets=part_octets(raw, part)
        )


def _xml(one: CarriedDocument) -> PartContent:
    return PartContent(
        content_type="text/xml",
        filename=one.document.file_name,
        octets=one.document.octets,
    )


def _pdf(one: CarriedDocument, beside: PartContent | None) -> PartContent | None:
    """Take the readable copy: from inside the document, else from beside it."""
    octets = one.document.octets
    try:
        inside = embedded_pdf(octets) if one.cda else octets if _is_pdf(octets) else None
    except CdaSyntaxError:
        inside = None
    if inside is None:
        return beside
    return PartContent(content_type=PDF, filename=f"{_stem(one)}.pdf", octets=inside)


def _html(one: CarriedDocument) -> PartContent | None:
    if one.cda is None:
        return None
    page = render_html(one.document.octets, is_deletion=one.document.entry.action is Action.DELETE)
    return PartContent(content_type=HTML, filename=f"{_stem(one)}.html", octets=page.octets)


def _file(one: CarriedDocument) -> PartContent | None:
    """Take out the body, if it is one file."""
    if one.cda is None or one.cda.body in {BodyKind.STRUCTURED, BodyKind.NONE}:
        return None
    try:
        body = next(iter(embedded_files(one.document.octets)), None)
    except CdaSyntaxError:
        return None
    if body is None:
        return None
    ending = _ENDINGS.get(one.cda.body, "bin")
    return PartContent(
        content_type=body.media_type, filename=f"{_stem(one)}.{ending}", octets=body.octets
    )


def _is_pdf(octets: bytes) -> bool:
    return octets.startswith(b"%PDF-")


def _stem(one: CarriedDocument) -> str:
    return one.document.file_name.rpartition(".")[0] or one.document.file_name
