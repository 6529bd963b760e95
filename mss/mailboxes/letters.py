"""Send health documents from what a practice's software knows: a PDF and a patient are enough.

The directory and the mailbox complete what the request leaves out; then the letter is made
(`mss.clinical.build_letter`) and handed in as any draft is. Whatever is wrong is found before
anything is sent, and said all at once.

Errors
    `LetterContentError` with its findings; and those of `Drafting`.
Sources
    ANS, Référentiel #2, ECO.2.2.4 (text), ECO.2.2.8 and ECO.2.4.3 (header fields).
"""

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from directory import index_sql
from directory.errors import DirectoryError
from directory.identifiers import FINESS, RPPS, NationalPersonId, NationalStructureId
from directory.model import MailboxEntry, Organization, Practitioner
from mss.clinical.build_letter import BuiltLetter, build_letter
from mss.clinical.draft import (
    DocumentDraft,
    FileDraft,
    HiddenFrom,
    LetterDraft,
    OrganizationDraft,
    PersonDraft,
)
from mss.clinical.draft_known import Known
from mss.clinical.draft_people import number_of, structure_number_of
from mss.clinical.xdm import FILE_NAME, Application
from mss.mailboxes.drafting import Drafting, OutgoingAttachment, OutgoingDraft, Sending
from mss.mime.addresses import parse_address
from mss.mime.errors import MessageSyntaxError
from mss.model.mailbox import Mailbox
from mss.model.principal import AccountPrincipal
from mss.pipeline.submission import Accepted
from mss.policy.patients import CLOSING_FIELD, CLOSING_VALUE, PatientRules
from mss.settings import Settings
from mss.store.engine import Connection, Database

SOFTWARE_FIELD: Final = "X-MSS-NIL"
_ARCHIVE_TYPE: Final = "application/zip"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedFile(FileDraft):
    """A file that was uploaded before, and is read when the letter is made."""

    octets: bytes = field(default=b"", repr=False)
    upload_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingLetter:
    """A letter with documents, and how to send it.

    Attributes:
        text: Words for people; by default a few that name the documents.
        closes_conversation: The patient can no longer answer (`X-MSS-MES: FIN`).
        software: Reference of the practice's software (`X-MSS-NIL`).
    """

    letter: LetterDraft
    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    reply_to: tuple[str, ...] = ()
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    text: str = field(default="", repr=False)
    request_read_receipt: bool = False
    request_delivery_receipt: bool = False
    closes_conversation: bool = False
    software: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentLetter:
    """What was sent; *letter* is `None` where the same request had been accepted before."""

    accepted: Accepted
    letter: BuiltLetter | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterDesk:
    """Where letters with documents are made."""

    database: Database
    drafting: Drafting
    settings: Settings

    async def check_letter(
        self, principal: AccountPrincipal, address: str, outgoing: OutgoingLetter
    ) -> BuiltLetter:
        """Make a letter and throw it away: nothing is sent and nothing is kept.

        Raises:
            LetterContentError: Something is missing or wrong.
        """
        box = await self.drafting.require_mailbox(principal, address)
        return await self._build(box, await self._with_files(principal, outgoing))

    async def send_letter(
        self,
        principal: AccountPrincipal,
        address: str,
        outgoing: OutgoingLetter,
        *,
        idempotency_key: str | None,
    ) -> SentLetter:
        """Make a letter and send it from one of the principal's mailboxes.

        Raises:
            LetterContentError: Something is missing or wrong, and nothing was sent.
        """
        box = await self.drafting.require_mailbox(principal, address)
        request = _fingerprint(outgoing)
        repeat = await self.drafting.find_repeat(
            principal, box.address, request, idempotency_key=idempotency_key
        )
        if repeat is not None:
            return SentLetter(accepted=repeat, letter=None)
        filled = await self._with_files(principal, outgoing)
        built = await self._build(box, filled)
        sending = Sending(
            idempotency_key=idempotency_key, made_from=request, uploads=_uploads(outgoing)
        )
        accepted = await self.drafting.send(principal, address, _draft(outgoing, built), sending)
        return SentLetter(accepted=accepted, letter=built)

    async def _with_files(
        self, principal: AccountPrincipal, outgoing: OutgoingLetter
    ) -> OutgoingLetter:
        """Read the files that were uploaded, if they fit into a message together."""
        named = _uploads(outgoing)
        if not named:
            return outgoing
        desk = self.drafting.uploads
        self.drafting.check_uploads(await desk.measure(principal, named))
        found = {one: await desk.load(principal, one) for one in named}

        def read(file: FileDraft | None) -> FileDraft | None:
            if not isinstance(file, UploadedFile):
                return file
            said = found[file.upload_id]
            return FileDraft(
                octets=said.octets,
                content_type=file.content_type or said.name.content_type,
                filename=file.filename or said.name.filename,
            )

        documents = tuple(
            replace(one, file=read(one.file), cda=read(one.cda), pdf=read(one.pdf))
            for one in outgoing.letter.documents
        )
        return replace(outgoing, letter=replace(outgoing.letter, documents=documents))

    async def _build(self, box: Mailbox, outgoing: OutgoingLetter) -> BuiltLetter:
        known = await self._known(box, outgoing)
        clock = self.drafting.clock
        return await asyncio.to_thread(
            build_letter,
            outgoing.letter,
            at=clock.now(),
            letter_id=UUID(clock.new_id()),
            known=known,
            application=Application(),
        )

    async def _known(self, box: Mailbox, outgoing: OutgoingLetter) -> Known:
        addresses = list(_mail_addresses((*outgoing.to, *outgoing.cc)))
        asked = _Asked(
            box=box,
            people=frozenset(_people_named(outgoing.letter)),
            structures=frozenset(_structures_named(outgoing.letter)),
            addresses=tuple(addresses),
        )
        is_production = not self.settings.documents.test_identities
        return await self.database.survey(
            lambda c: _look_up(
                c,
                asked,
                rules=PatientRules(settings=self.settings.patients),
                is_production=is_production,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the directory is to be asked about."""

    box: Mailbox
    people: frozenset[str]
    structures: frozenset[str]
    addresses: tuple[str, ...]


def _look_up(
    connection: Connection, asked: _Asked, *, rules: PatientRules, is_production: bool
) -> Known:
    """Ask the directory about everybody and every structure that the letter names."""
    entry = _find_entry(connection, asked.box.address)
    owner = _find_person(connection, asked.box.rpps) if asked.box.rpps else None
    people = {number: _find_person(connection, number) for number in asked.people}
    structures = {one: index_sql.find_organization(connection, one) for one in asked.structures}
    addressed = [
        _find_entry(connection, one) for one in asked.addresses if not _is_patient(one, rules)
    ]
    return Known(
        owner=owner or (entry.practitioner if entry and not asked.box.finess else None),
        structure=_structure(connection, asked.box, entry),
        people={number: one for number, one in people.items() if one},
        structures={number: one for number, one in structures.items() if one},
        recipients=tuple(one.practitioner for one in addressed if one and one.practitioner),
        goes_to=frozenset(
            HiddenFrom.PATIENT if _is_patient(one, rules) else HiddenFrom.PROFESSIONALS
            for one in asked.addresses
        ),
        is_production=is_production,
    )


def _structure(
    connection: Connection, box: Mailbox, entry: MailboxEntry | None
) -> Organization | None:
    if box.finess:
        try:
            number = NationalStructureId.of(FINESS.parse(box.finess))
        except DirectoryError:
            return None
        return index_sql.find_organization(connection, number)
    return entry.organization if entry else None


def _find_person(connection: Connection, rpps: str) -> Practitioner | None:
    try:
        number = NationalPersonId.of(RPPS.parse(rpps))
    except DirectoryError:
        return None
    return index_sql.find_practitioner(connection, number)


def _find_entry(connection: Connection, address: str) -> MailboxEntry | None:
    """Find a published mailbox with the full record of whoever holds it."""
    try:
        mail = parse_address(address.encode()).address
    except MessageSyntaxError:
        return None
    found = index_sql.find_mailbox(connection, mail, published_only=True)
    if found is None or found.practitioner is None:
        return found
    person = index_sql.find_practitioner(connection, found.practitioner.national_id)
    return found if person is None else _with_person(found, person)


def _with_person(entry: MailboxEntry, person: Practitioner) -> MailboxEntry:
    return MailboxEntry(
        address=entry.address,
        kind=entry.kind,
        practitioner=person,
        organization=entry.organization,
    )


def _is_patient(address: str, rules: PatientRules) -> bool:
    return rules.is_patient(parse_address(address.encode()).address)


def _mail_addresses(texts: Iterable[str]) -> Iterator[str]:
    """Take the addresses that are addresses; `Drafting` refuses the others."""
    for text in texts:
        try:
            yield str(parse_address(text.encode()).address)
        except MessageSyntaxError:
            continue


def _people_named(letter: LetterDraft) -> Iterator[str]:
    for document in letter.documents:
        for person in _people_of(document):
            number = number_of(person)
            if number.startswith("8"):
                yield number[1:]


def _people_of(document: DocumentDraft) -> Iterator[PersonDraft]:
    yield from (*document.authors, *document.authenticators, *document.recipients)
    alone = (document.legal_authenticator, document.data_enterer, document.treating_physician)
    performers = (act.performer for act in document.acts)
    responsible = document.encounter.responsible if document.encounter else None
    yield from (one for one in (*alone, *performers, responsible) if one)


def _structures_named(letter: LetterDraft) -> Iterator[str]:
    for document in letter.documents:
        for structure in _structures_of(document):
            number = structure_number_of(structure)
            if number:
                yield number


def _structures_of(document: DocumentDraft) -> Iterator[OrganizationDraft]:
    found = [person.organization for person in _people_of(document)]
    found.append(document.custodian)
    found.append(document.encounter.organization if document.encounter else None)
    return (one for one in found if one)


def _draft(outgoing: OutgoingLetter, built: BuiltLetter) -> OutgoingDraft:
    headers = dict(built.headers)
    if outgoing.software.strip():
        headers[SOFTWARE_FIELD] = outgoing.software.strip()
    if outgoing.closes_conversation:
        headers[CLOSING_FIELD] = CLOSING_VALUE
    return OutgoingDraft(
        to=outgoing.to,
        cc=outgoing.cc,
        bcc=outgoing.bcc,
        reply_to=outgoing.reply_to,
        in_reply_to=outgoing.in_reply_to,
        references=outgoing.references,
        subject=built.subject,
        text=outgoing.text or built.text,
        request_read_receipt=outgoing.request_read_receipt,
        request_delivery_receipt=outgoing.request_delivery_receipt,
        attachments=(
            OutgoingAttachment(
                filename=FILE_NAME, content_type=_ARCHIVE_TYPE, octets=built.archive
            ),
            *(
                OutgoingAttachment(
                    filename=one.pdf_name, content_type="application/pdf", octets=one.pdf
                )
                for one in built.documents
            ),
        ),
        headers=tuple(headers.items()),
    )


def _fingerprint(outgoing: OutgoingLetter) -> bytes:
    """Describe a request so that equal ones are equal: all that was said, and every file."""
    files = (_name_of(one) for document in outgoing.letter.documents for one in _files(document))
    return "\n".join((repr(outgoing), outgoing.text, *files)).encode("utf-8", "replace")


def _name_of(file: FileDraft | None) -> str:
    """Name a file by what cannot change: its octets, or the upload that they are in."""
    match file:
        case None:
            return "-"
        case UploadedFile():
            return file.upload_id
        case FileDraft():
            return hashlib.sha256(file.octets).hexdigest()


def _uploads(outgoing: OutgoingLetter) -> tuple[str, ...]:
    """List the uploads that a letter names, each once."""
    files = (one for document in outgoing.letter.documents for one in _files(document))
    return tuple(dict.fromkeys(one.upload_id for one in files if isinstance(one, UploadedFile)))


def _files(document: DocumentDraft) -> Sequence[FileDraft | None]:
    return (document.file, document.cda, document.pdf)
