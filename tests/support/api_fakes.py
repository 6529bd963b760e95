"""Stand-ins for the use cases behind the HTTP door, and the letter that they hold.

Each keeps what it was asked, so a test can see what the door passed on; each refuses like the real
one: what is not the caller's does not exist.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from uuid import UUID

from directory.address import MailAddress
from directory.identifiers import NationalPersonId
from directory.model import MailboxEntry, MailboxKind, Organization, Practitioner
from directory.search import MatchClass, OrganizationSheet, SearchHit, SearchPage, SearchQuery
from mss.clinical import finding
from mss.clinical.build_letter import BuiltLetter, build_letter
from mss.errors import MSSError, NotAuthenticatedError, NotFoundError
from mss.mailboxes.document_links import DocumentLinks, DocumentPlace
from mss.mailboxes.documents import (
    AuthorView,
    DocumentForm,
    DocumentView,
    LinkedDocument,
    LinkedDocuments,
    PatientView,
)
from mss.mailboxes.drafting import OutgoingDraft, RecipientAnswer
from mss.mailboxes.drafts import SavedDraft
from mss.mailboxes.letters import OutgoingLetter, SentLetter
from mss.mailboxes.reading import MarkResult, MessagePage, MessageView, PartContent
from mss.mailboxes.uploads import Checksum, FileName, Upload
from mss.model.delivery import DeliveryState, Station, Tracking, TrackingEvent
from mss.model.draft import DraftState
from mss.model.mailbox import Deposit, Flag, Folder, Mailbox, MailboxView
from mss.model.message import Origin, Participant, PartSummary, StoredMessage, Summary
from mss.model.principal import AccountPrincipal, Right
from mss.model.security import Binding, Security, Verdict
from mss.pipeline.submission import Accepted, AcceptedDelivery
from mss.services import Services
from mss.settings import LimitSettings, Settings
from mss.store.drafts import DraftRow

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ANNE = "anne.essai-leroux@cabinets-demo.mssante.fr"
PAUL = "paul.test@cabinets-demo.mssante.fr"
WARD = "sortie.cardiologie@ch-demo.mssante.fr"
TOKEN = "mss_aGVyZSBpcyBubyBzZWNyZXQ"
PAULS_TOKEN = "mss_bm9uZSBoZXJlIGVpdGhlcg"
LETTER_ID = "0198a0b1c2d37e4f8a9b0c1d2e3f4a5b"
PAULS_LETTER_ID = "0198a0b1c2d37e4f8a9b0c1d2e3f4a5c"
MISSING_ID = "0198a0b1c2d37e4f8a9b0c1d2e3fffff"
SUBJECT = "XDM/1.0/DDM+Lettre de liaison à la sortie PAT-TROIS Dominique 15/07/1962"
RAW = b"From: a@b.fr\r\nSubject: one\r\n\r\nbody \x00\xff\r\n"
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
CDA = b"<?xml version='1.0'?><ClinicalDocument xmlns='urn:hl7-org:v3'/>"
PAGE = b"<!DOCTYPE html><title>Lettre</title>"
DOCUMENT_FORMS: dict[DocumentForm, tuple[str, bytes]] = {
    "xml": ("text/xml", CDA),
    "pdf": ("application/pdf", PDF),
    "html": ("text/html; charset=utf-8", PAGE),
    "file": ("text/html", b"<script>alert(1)</script>"),
}
MESSAGE_LIMIT = 64 * 1024


@dataclass(slots=True)
class FakeClock:
    """Stands still, and counts the identifiers that it gives."""

    given: int = 0

    def now(self) -> datetime:
        return NOW

    def new_id(self) -> str:
        self.given += 1
        return f"{self.given:032x}"


def a_principal(name: str, *addresses: str) -> AccountPrincipal:
    """Make an account that holds these mailboxes."""
    rights = {address: frozenset({Right.READ, Right.SEND}) for address in addresses}
    return AccountPrincipal(account_id=f"account-{name}", name=name, rights=rights, means="token")


def a_letter(
    *, message_id: str = LETTER_ID, mailbox: str = ANNE, subject: str = SUBJECT
) -> MessageView:
    """Make the discharge letter as it lies in a mailbox."""
    message = StoredMessage(
        id=message_id,
        origin=Origin.PEER,
        accepted_at=NOW,
        sender=WARD,
        size_octets=123_456,
        blob_ref="segment:1:2",
        summary=Summary(
            subject=subject,
            author=Participant(address=WARD, name="Cardiologie - CH Démo"),
            to=(Participant(address=mailbox, name="Dr Anne ESSAI-LEROUX"),),
            cc=(),
            reply_to=(),
            sent_at=NOW - timedelta(minutes=2),
            internet_message_id="<1@ch-demo.mssante.fr>",
            in_reply_to=None,
            references=(),
            receipt_to=WARD,
            parts=(
                _part("1", "text/plain", None),
                _part("2", "application/zip", "IHE_XDM.ZIP"),
                _part("3", "application/pdf", "20260301_LDL_PAT-TROIS_Dominique.pdf"),
                _part("4", "application/pkcs7-signature", "smime.p7s"),
            ),
            headers=(("X-MSS-INS", "O"), ("X-MSS-CODECDA", "34105-7")),
        ),
        security=Security(
            verdict=Verdict.VALID,
            judged_at=NOW,
            encrypted=True,
            content_algorithm="aes-256-gcm",
            signer="CH DEMO",
            binding=Binding.OPERATOR,
        ),
        report=None,
    )
    deposit = Deposit(
        mailbox_id="m1",
        mailbox_address=mailbox,
        message_id=message_id,
        folder=Folder.INBOX,
        flags=frozenset({Flag.SEEN, Flag.FLAGGED}),
        deposited_at=NOW + timedelta(seconds=1),
        uid=7,
    )
    return MessageView(message=message, deposits=(deposit,))


def _part(path: str, content_type: str, filename: str | None) -> PartSummary:
    return PartSummary(
        path=path,
        content_type=content_type,
        filename=filename,
        disposition="attachment" if filename else None,
        size_octets=1000,
    )


def a_document() -> DocumentView:
    """Make the one document of the letter."""
    return DocumentView(
        number=1,
        archive_part="2",
        file="DOC0001.XML",
        media_type="text/xml",
        size_octets=len(CDA),
        sha1="da39a3ee5e6b4b0d3255bfef95601890afd80709",
        type_code="34105-7",
        type_label="Lettre de liaison à la sortie",
        class_code="11",
        format_code="urn:asip:ci-sis:ldl-ses:2022",
        unique_id="1.2.3",
        set_id="1.2.4",
        version="1",
        action="new",
        title="Lettre de liaison",
        creation_time="20260301093000",
        confidentiality="N",
        patient=PatientView(
            ins="260019999999958",
            oid="1.2.250.1.213.1.4.10",
            birth_name="PAT-TROIS",
            given_name="DOMINIQUE",
            birth_date="1962-07-15",
            sex="F",
        ),
        authors=(AuthorView(name="Dr Paul TEST", organization="CH DEMO"),),
        body="structured",
        has_pdf=True,
    )


def links_of_a_document() -> DocumentLinks:
    """Link it to another letter of the same mailbox."""
    return DocumentLinks(replaces=(DocumentPlace(MISSING_ID, 2),))


def a_hit() -> SearchHit:
    """Make one line of a directory search."""
    person = Practitioner(
        national_id=NationalPersonId("899900000009"),
        family="ESSAI-LEROUX",
        given="ANNE",
        title="DR",
    )
    mailbox = MailboxEntry(
        address=MailAddress.parse(ANNE), kind=MailboxKind.PER, practitioner=person
    )
    return SearchHit(match=MatchClass.EXACT, practitioner=person, mailbox=mailbox)


@dataclass(slots=True)
class FakeAccounts:
    """Knows two tokens."""

    principals: dict[str, AccountPrincipal]
    asked: list[str] = field(default_factory=list)

    async def authenticate_token(self, token: str, *, host: str) -> AccountPrincipal:
        self.asked.append(token)
        if token not in self.principals:
            raise NotAuthenticatedError
        return self.principals[token]


@dataclass(slots=True)
class FakeReading:
    """Holds letters by mailbox."""

    letters: dict[str, MessageView]
    part: PartContent = field(
        default_factory=lambda: PartContent(
            content_type="application/pdf", filename="lettre é.pdf", octets=PDF
        )
    )
    raw: bytes = RAW
    next_cursor: str | None = None
    trouble: Exception | None = None
    shows_everything: bool = False
    asked: list[dict[str, object]] = field(default_factory=list)

    async def list_mailboxes(self, principal: AccountPrincipal) -> tuple[MailboxView, ...]:
        self._fail()
        return tuple(a_mailbox_view(address) for address in principal.rights)

    async def get_mailbox(self, principal: AccountPrincipal, address: str) -> MailboxView:
        self._require(principal, address)
        return a_mailbox_view(address)

    async def list_messages(
        self,
        principal: AccountPrincipal,
        address: str,
        *,
        folder: Folder | None,
        limit: int,
        cursor: str | None,
        unread_only: bool = False,
    ) -> MessagePage:
        self._require(principal, address)
        self.asked.append(
            {"folder": folder, "limit": limit, "cursor": cursor, "unread_only": unread_only}
        )
        items = [one for one in self.letters.values() if _lies_in(one, address)]
        return MessagePage(items=tuple(items), next_cursor=self.next_cursor)

    async def get_message(self, principal: AccountPrincipal, message_id: str) -> MessageView:
        self._fail()
        letter = self.letters.get(message_id)
        is_visible = self.shows_everything or any(
            letter is not None and _lies_in(letter, one) for one in principal.rights
        )
        if letter is None or not is_visible:
            raise NotFoundError(what="message")
        return letter

    async def get_raw(self, principal: AccountPrincipal, message_id: str) -> bytes:
        await self.get_message(principal, message_id)
        return self.raw

    async def get_part(
        self, principal: AccountPrincipal, message_id: str, path: str
    ) -> PartContent:
        await self.get_message(principal, message_id)
        if path != "3":
            raise NotFoundError(what="part")
        return self.part

    async def mark(
        self,
        principal: AccountPrincipal,
        address: str,
        message_ids: Sequence[str],
        *,
        add: frozenset[Flag],
        remove: frozenset[Flag],
        folder: Folder | None,
        delete: bool,
        receipt: bool,
    ) -> tuple[MarkResult, ...]:
        self._require(principal, address)
        self.asked.append(
            {"add": add, "remove": remove, "folder": folder, "delete": delete, "receipt": receipt}
        )
        return tuple(
            MarkResult(message_id=one, status="done" if one in self.letters else "not-found")
            for one in message_ids
        )

    def _require(self, principal: AccountPrincipal, address: str) -> None:
        self._fail()
        if address not in principal.rights:
            raise NotFoundError(what="mailbox")

    def _fail(self) -> None:
        if self.trouble is not None:
            raise self.trouble


@dataclass(slots=True)
class FakeDocuments:
    """Holds one document of whatever letter the reader may see."""

    reading: FakeReading

    async def list_documents(self, principal: AccountPrincipal, message_id: str) -> LinkedDocuments:
        await self.reading.get_message(principal, message_id)
        remark = finding.warning("ins-key", "The key is wrong.", "La clé est fausse.", where="INS")
        document = LinkedDocument(view=a_document(), links=links_of_a_document())
        return LinkedDocuments(documents=(document,), findings=(remark,))

    async def get_document(
        self, principal: AccountPrincipal, message_id: str, number: int, *, form: DocumentForm
    ) -> PartContent:
        await self.reading.get_message(principal, message_id)
        if number != 1:
            raise NotFoundError(what="document")
        kind, octets = DOCUMENT_FORMS[form]
        return PartContent(content_type=kind, filename=f"DOC0001.{form}", octets=octets)


def _lies_in(letter: MessageView, address: str) -> bool:
    return any(one.mailbox_address == address for one in letter.deposits)


def a_mailbox_view(address: str) -> MailboxView:
    """Make a mailbox as its holder sees it."""
    mailbox = Mailbox(
        id=f"box-{address}",
        address=address,
        kind=MailboxKind.PER,
        display_name="Dr Anne ESSAI-LEROUX",
        rpps="99900000009",
        finess=None,
        opened_at=NOW,
        closed_at=None,
        quota_octets=2_000_000,
        used_octets=123_456,
    )
    rights = frozenset({Right.SEND, Right.READ})
    return MailboxView(mailbox=mailbox, rights=rights, messages=3, unread=1)


@dataclass(slots=True)
class FakeDrafting:
    """Accepts everything, or refuses everything with one error."""

    refusal: MSSError | None = None
    sent: list[OutgoingDraft] = field(default_factory=list)
    raw: list[tuple[bytes, tuple[str, ...] | None]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    async def send_draft(
        self,
        principal: AccountPrincipal,
        address: str,
        draft: OutgoingDraft,
        *,
        idempotency_key: str | None,
    ) -> Accepted:
        self.sent.append(draft)
        return self._accept(principal, address, idempotency_key)

    async def send_raw(
        self,
        principal: AccountPrincipal,
        address: str,
        raw: bytes,
        *,
        recipients: tuple[str, ...] | None,
        idempotency_key: str | None,
    ) -> Accepted:
        self.raw.append((raw, recipients))
        return self._accept(principal, address, idempotency_key)

    async def check_recipients(
        self, principal: AccountPrincipal, addresses: Sequence[str]
    ) -> tuple[RecipientAnswer, ...]:
        return tuple(
            RecipientAnswer(
                address=one, is_reachable=True, how="relay", protection="encrypted",
                size_limit_octets=MESSAGE_LIMIT,
            )
            for one in addresses
        )  # fmt: skip

    def _accept(self, principal: AccountPrincipal, address: str, key: str | None) -> Accepted:
        if address not in principal.rights:
            raise NotFoundError(what="mailbox")
        if self.refusal is not None:
            raise self.refusal
        self.keys.append(key)
        return Accepted(
            message_id=LETTER_ID,
            internet_message_id="<1@cabinets-demo.mssante.fr>",
            accepted_at=NOW,
            deliveries=(AcceptedDelivery(recipient=WARD, state="queued"),),
        )


@dataclass(slots=True)
class FakeLetters:
    """Makes letters as the server does, of what the request alone says, and sends none."""

    drafting: FakeDrafting
    outgoing: list[OutgoingLetter] = field(default_factory=list)

    async def check_letter(
        self, principal: AccountPrincipal, address: str, outgoing: OutgoingLetter
    ) -> BuiltLetter:
        if address not in principal.rights:
            raise NotFoundError(what="mailbox")
        self.outgoing.append(outgoing)
        return build_letter(outgoing.letter, at=NOW, letter_id=UUID(int=1))

    async def send_letter(
        self,
        principal: AccountPrincipal,
        address: str,
        outgoing: OutgoingLetter,
        *,
        idempotency_key: str | None,
    ) -> SentLetter:
        built = await self.check_letter(principal, address, outgoing)
        accepted = await self.drafting.send_draft(
            principal, address, OutgoingDraft(to=outgoing.to), idempotency_key=idempotency_key
        )
        return SentLetter(accepted=accepted, letter=built)


@dataclass(slots=True)
class FakeUploads:
    """Begins uploads that nobody finds again."""

    async def begin(
        self, principal: AccountPrincipal, *, size_octets: int, name: FileName
    ) -> Upload:
        return Upload(
            id=LETTER_ID,
            name=name,
            size_octets=size_octets,
            offset_octets=0,
            created_at=NOW,
            expires_at=NOW,
        )

    async def find(self, principal: AccountPrincipal, upload_id: str) -> Upload:
        raise NotFoundError(what="upload")

    async def append(
        self,
        principal: AccountPrincipal,
        upload_id: str,
        octets: AsyncIterator[bytes],
        *,
        offset: int,
        checksum: Checksum | None,
    ) -> Upload:
        raise NotFoundError(what="upload")

    async def end(self, principal: AccountPrincipal, upload_id: str) -> None:
        raise NotFoundError(what="upload")


@dataclass(slots=True)
class FakeDrafts:
    """Keeps nothing: every mailbox is without drafts."""

    async def create(
        self, principal: AccountPrincipal, address: str, draft: OutgoingDraft
    ) -> SavedDraft:
        self._require(principal, address)
        row = DraftRow(
            id=LETTER_ID,
            mailbox_id=LETTER_ID,
            account_id=principal.account_id,
            version=1,
            state=DraftState.OPEN,
            created_at=NOW,
            updated_at=NOW,
            sealed=b"",
        )
        return SavedDraft(row=row, draft=draft)

    async def list(
        self, principal: AccountPrincipal, address: str, *, limit: int, cursor: str | None
    ) -> tuple[tuple[SavedDraft, ...], str | None]:
        self._require(principal, address)
        return (), None

    async def get(
        self, principal: AccountPrincipal, address: str, draft_id: str, **_: object
    ) -> SavedDraft:
        self._require(principal, address)
        raise NotFoundError(what="draft")

    async def replace(
        self,
        principal: AccountPrincipal,
        address: str,
        draft_id: str,
        draft: OutgoingDraft,
        *,
        seen: int | None,
    ) -> SavedDraft:
        return await self.get(principal, address, draft_id)

    async def send(
        self, principal: AccountPrincipal, address: str, draft_id: str, **_: object
    ) -> Accepted:
        self._require(principal, address)
        raise NotFoundError(what="draft")

    delete = schedule = take_back = get

    @staticmethod
    def _require(principal: AccountPrincipal, address: str) -> None:
        if address not in principal.rights:
            raise NotFoundError(what="mailbox")


@dataclass(slots=True)
class FakeTracking:
    """Knows what became of the letter."""

    async def get_tracking(
        self, principal: AccountPrincipal, message_id: str
    ) -> tuple[Tracking, ...]:
        if message_id != LETTER_ID or ANNE not in principal.rights:
            raise NotFoundError(what="message")
        events = (
            TrackingEvent(at=NOW, station=Station.ACCEPTED, code=None, detail=None),
            TrackingEvent(at=NOW, station=Station.RELAYED, code=None, detail="250 2.0.0 taken"),
        )
        return (Tracking(recipient=WARD, state=DeliveryState.RELAYED, events=events),)


@dataclass(slots=True)
class FakeLookup:
    """A directory of one person."""

    trouble: Exception | None = None
    queries: list[SearchQuery] = field(default_factory=list)

    async def search(self, query: SearchQuery) -> SearchPage:
        if self.trouble is not None:
            raise self.trouble
        self.queries.append(query)
        return SearchPage(hits=(a_hit(),), total=41, next_cursor="1.20", generation=1)

    async def find_practitioner(self, rpps: str) -> SearchHit | None:
        return a_hit() if rpps == "99900000009" else None

    async def find_organization(self, identifier: str) -> OrganizationSheet | None:
        if identifier != "750000002":
            return None
        return OrganizationSheet(organization=Organization(key="1750000002", name="CH DEMO"))


@dataclass(slots=True)
class FakeHealth:
    """Says what it is told."""

    components: dict[str, str] = field(default_factory=lambda: {"database": "ok", "queue": "ok"})
    warnings: dict[str, str] = field(default_factory=dict)
    alive: bool = True

    def is_live(self) -> bool:
        return self.alive

    async def readiness(self) -> dict[str, str]:
        return self.components

    async def alerts(self) -> dict[str, str]:
        return self.warnings


@dataclass(slots=True)
class FakeServices:
    """What the door may call, all of it fake."""

    settings: Settings
    clock: FakeClock
    accounts: FakeAccounts
    documents: FakeDocuments
    reading: FakeReading
    drafting: FakeDrafting
    letters: FakeLetters
    tracking: FakeTracking
    directory: FakeLookup
    health: FakeHealth
    drafts: FakeDrafts = field(default_factory=FakeDrafts)
    uploads: FakeUploads = field(default_factory=FakeUploads)

    def as_services(self) -> Services:
        """Pass for the real thing: the door uses no more of it than this has."""
        return cast("Services", self)


def fake_services(*, message_octets: int = MESSAGE_LIMIT) -> FakeServices:
    """Make the services of an operator with two accounts, a letter in the mailbox of each."""
    letters = (a_letter(), a_letter(message_id=PAULS_LETTER_ID, mailbox=PAUL))
    reading = FakeReading({one.message.id: one for one in letters})
    drafting = FakeDrafting()
    return FakeServices(
        settings=Settings(
            home=Path("/nowhere"),
            domains=("cabinets-demo.mssante.fr",),
            limits=LimitSettings(message_octets=message_octets),
        ),
        clock=FakeClock(),
        accounts=FakeAccounts(
            {TOKEN: a_principal("anne", ANNE), PAULS_TOKEN: a_principal("paul", PAUL)}
        ),
        documents=FakeDocuments(reading),
        reading=reading,
        drafting=drafting,
        letters=FakeLetters(drafting),
        tracking=FakeTracking(),
        directory=FakeLookup(),
        health=FakeHealth(),
    )
