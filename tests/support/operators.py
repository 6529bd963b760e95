"""Two whole operators on loopback ports: real TLS, trust, directory, databases, doors and workers.

`the_ground()` is made once per process: one authority, a signed trust list, a small directory in
the national formats, and for each operator a home that is filled and ready. A test takes copies
of the homes and opens them with what `mss serve` uses. Software on both sides uses public doors
only: SMTP submission and REST.

Shapes
    The hospital (`ch-essai.mssante.fr`) writes, the practices (`cabinets-essai.mssante.fr`) read.
    Ports are chosen by the kernel; an `AddressBook` tells each operator where the other is.
"""

import asyncio
import shutil
import ssl
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import httpx
import orjson
from sqlalchemy import func, select

from crypto import xml_signature
from crypto.certificates import Certificate
from crypto.issuing import Authority, CertificateProfile, Subject, create_authority
from directory import index_sql, synthetic
from directory.address import Domain, MailAddress
from directory.distinguished_name import DistinguishedName
from directory.extraction import find_sources
from directory.identifiers import FINESS, NationalPersonId
from directory.model import Coded, MailboxEntry, MailboxKind, Organization, Practitioner
from directory.trust_list import TrustListEntry, build_trust_list
from mss.cli import home as homes
from mss.cli.compose import Operator, open_desk, open_operator
from mss.cli.serve import PARTS, running
from mss.clinical.sample import Letter, discharge_letter
from mss.clock import Clock, SystemClock
from mss.mime.addresses import NamedAddress
from mss.mime.build import Attachment, Draft, build_message
from mss.model.principal import Right
from mss.settings import Settings, load_settings
from mss.smtp.hosts import Host
from mss.store import migrate, tables
from mss.store.engine import Connection, sync_engine
from tests.support.wire import Wire, WireReply

PATIENCE_SECONDS = 20.0
LIST_SIGNER = "liste-blanche.essai"
PEOPLE = 3
EVERYTHING = frozenset(PARTS)
Sections = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """One operator of the play, and who uses it.

    Attributes:
        mailbox: The mailbox that the directory lists.
        red_list: A mailbox that the directory does not show.
        other: A mailbox of somebody else at the same operator.
    """

    domain: str
    organization: str
    structure_id: str
    mailbox: str
    red_list: str
    other: str
    kind: MailboxKind
    display_name: str

    @property
    def host_name(self) -> str:
        """The name of its mail host."""
        return f"mta.{self.domain}"

    @property
    def subject(self) -> Subject:
        """What it is called in its certificates."""
        return Subject(
            common_name=self.host_name,
            organization=self.organization,
            structure_id=self.structure_id,
            dns_names=(self.host_name, "localhost"),
        )


HOSPITAL = Cast(
    domain="ch-essai.mssante.fr",
    organization="CENTRE HOSPITALIER ESSAI",
    structure_id="1750000002",
    mailbox="sortie.cardiologie@ch-essai.mssante.fr",
    red_list="direction@ch-essai.mssante.fr",
    other="urgences@ch-essai.mssante.fr",
    kind=MailboxKind.ORG,
    display_name="CH Essai - Cardiologie",
)
PRACTICES = Cast(
    domain="cabinets-essai.mssante.fr",
    organization="CABINETS ESSAI",
    structure_id="1690123450",
    mailbox="karim.modele@cabinets-essai.mssante.fr",
    red_list="zoe.discrete@cabinets-essai.mssante.fr",
    other="paul.voisin@cabinets-essai.mssante.fr",
    kind=MailboxKind.PER,
    display_name="Dr Karim MODELE",
)
BOTH = (HOSPITAL, PRACTICES)
ACCOUNT = "logiciel"  # holds the mailbox and the red-listed one, with every right
NEIGHBOUR = "voisin"  # holds the other mailbox only
SECRETARY = "secretariat"  # may read the mailbox, and nothing else
PASSWORD = "mot-de-passe-des-essais"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A home on disk, with the credentials of its accounts.

    Attributes:
        tokens: Name of an account to its bearer token.
    """

    cast: Cast
    path: Path
    anchors: Path
    tokens: Mapping[str, str] = field(repr=False)

    def settings(self) -> Settings:
        """Read the settings, as every command does."""
        return load_settings(self.path)

    def configure(self, sections: Sections) -> Self:
        """Write the settings anew, with other values than usual."""
        text = settings_text(self.cast, sections)
        (self.path / "mss.toml").write_text(text, encoding="utf-8")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all homes have in common; made once per process, read only."""

    folder: Path
    authority: Authority
    signed_list: bytes
    homes: Mapping[str, Home]

    @property
    def anchors(self) -> Path:
        """The root that everybody trusts, PEM."""
        return self.folder / "anchors.pem"

    def copy(
        self,
        cast: Cast,
        folder: Path,
        sections: Sections | None = None,
        *,
        database_url: str = "",
    ) -> Home:
        """Copy a filled home into *folder*.

        Args:
            cast: Whose.
            folder: Where to; made.
            sections: Settings that differ from the usual ones.
            database_url: An empty, migrated PostgreSQL database to use instead of SQLite.
        """
        made = self.homes[cast.domain]
        path = folder / cast.domain
        shutil.copytree(made.path, path)
        copied = replace(made, path=path)
        if not database_url:
            return copied.configure(sections or {})
        (path / "mss.db").unlink()
        copied.configure({**(sections or {}), "database": {"url": database_url}})
        return replace(copied, tokens=asyncio.run(fill(copied.settings(), self, cast)))


@cache
def the_ground() -> Ground:
    """Make the ground of this process; whoever asks last removes its folder."""
    folder = Path(tempfile.mkdtemp(prefix="mss-ground-"))
    at = SystemClock().now() - timedelta(minutes=5)
    authority = create_authority("ESSAI ELEMENTAIRE", at=at, key="p256")
    (folder / "anchors.pem").write_text(authority.anchors_pem, encoding="ascii")
    _generate_directory(folder / "annuaire", at)
    signed = sign_trust_list(authority, [(one.domain, one) for one in BOTH], at=at)
    bare = Ground(folder=folder, authority=authority, signed_list=signed, homes={})
    for one in BOTH:
        path = folder / one.domain
        homes.create_home(path, settings_text=settings_text(one, {}))
        issue_identity(path, authority, one, at=at)
    ready = {one.domain: asyncio.run(_first_home(bare, one)) for one in BOTH}
    return replace(bare, homes=ready)


def settings_text(cast: Cast, sections: Sections) -> str:
    """Write `mss.toml`: the usual settings of these tests, and then the given ones."""
    usual: dict[str, dict[str, object]] = {
        "listen": {
            "mx": "127.0.0.1:0",
            "submission": "127.0.0.1:0",
            "submissions": "",
            "api": "127.0.0.1:0",
            "admin": "",
        },
        "relay": {"connect_seconds": 5, "command_seconds": 10, "data_seconds": 10},
        "trust": {"list_signer_name": LIST_SIGNER},
        "queue": {"delays": [0.2], "poll_seconds": 0.1},
    }
    for name, values in sections.items():
        usual[name] = {**usual.get(name, {}), **values}
    lines = [f'domains = ["{cast.domain}"]', f'hostname = "{cast.host_name}"']
    for name, values in usual.items():
        # Text, numbers and lists are written alike in JSON and in TOML.
        lines += ["", f"[{name}]"]
        lines += [f'"{key}" = {orjson.dumps(value).decode()}' for key, value in values.items()]
    return "\n".join(lines) + "\n"


def issue_identity(path: Path, authority: Authority, cast: Cast, *, at: datetime) -> Certificate:
    """Issue and install the certificates of a home; gives the one to encrypt for."""
    identity = homes.Identity(
        host_name=cast.host_name,
        organization=cast.organization,
        structure_id=cast.structure_id,
    )
    return homes.install_identity(path, authority, identity=identity, at=at).certificate


def subject_name(cast: Cast) -> DistinguishedName:
    """The subject of its server certificate, as the trust list writes it."""
    return DistinguishedName.parse(
        f"CN={cast.host_name},OU={cast.structure_id},O={cast.organization},ST=Paris (75),C=FR"
    )


def sign_trust_list(authority: Authority, listed: list[tuple[str, Cast]], *, at: datetime) -> bytes:
    """Write and sign a list that lets each certificate (of a cast) speak for a domain."""
    entries = [
        TrustListEntry(
            domain=Domain(domain),
            name=subject_name(cast),
            description=cast.organization,
            responsible_contact=f"postmaster@{domain}",
            support_contact=f"postmaster@{domain}",
            updated_at=at,
        )
        for domain, cast in listed
    ]
    signer = authority.issue(
        CertificateProfile.SIGNATURE,
        Subject(common_name=LIST_SIGNER, organization="ESSAI", structure_id="1750000003"),
        at=at,
    )
    return xml_signature.sign_enveloped(
        build_trust_list(generated_at=at, entries=entries),
        private_key=signer.private_key,
        certificate=signer.certificate,
    )


async def fill(settings: Settings, ground: Ground, cast: Cast) -> dict[str, str]:
    """Fill an empty migrated database: trust list, directory, mailboxes, accounts, certificates."""
    tokens: dict[str, str] = {}
    _import_directory(settings, ground.folder / "annuaire")
    async with open_desk(settings) as desk:
        await desk.trust.load(ground.signed_list, source="liste-blanche.xml")
        for address in (cast.mailbox, cast.red_list, cast.other):
            await desk.mailboxes.open(
                MailAddress.parse(address),
                kind=cast.kind,
                display_name=cast.display_name,
                rpps="99000000028" if cast.kind is MailboxKind.PER else None,
                finess=None if cast.kind is MailboxKind.PER else "750000002",
            )
        for name in (ACCOUNT, NEIGHBOUR, SECRETARY):
            await desk.accounts.add(name, password=PASSWORD if name == ACCOUNT else None)
            tokens[name] = await desk.accounts.issue_token(name)
        for address, name, rights in (
            (cast.mailbox, ACCOUNT, frozenset(Right)),
            (cast.red_list, ACCOUNT, frozenset(Right)),
            (cast.other, NEIGHBOUR, frozenset(Right)),
            (cast.mailbox, SECRETARY, frozenset({Right.READ})),
        ):
            await desk.mailboxes.delegate(MailAddress.parse(address), name, rights)
        for one in BOTH:
            certificate = homes.load_reading(ground.folder / one.domain).certificates[0]
            await desk.database.write(_publication(one, certificate, at=desk.clock.now()))
    return tokens


@dataclass(slots=True)
class AddressBook:
    """Where the door of each operator is now: a `HostFinder` whose entries may change."""

    ports: dict[str, int] = field(default_factory=dict)

    async def find(self, domain: str) -> tuple[Host, ...]:
        """Give the one host of a domain; where nobody listens, if none is known."""
        return (Host(name="127.0.0.1", port=self.ports.get(domain, 1)),)


@dataclass(slots=True, kw_only=True)
class Running:
    """An operator whose doors are open, in this process."""

    home: Home
    operator: Operator
    ports: dict[str, int]

    async def count(self) -> dict[str, int]:
        """Count everything that a message leaves behind."""
        counted = await self.operator.database.read(count_rows)
        bodies = [one async for one in self.operator.blobs.iter_records()]
        return {**counted, "bodies": len(bodies)}

    async def states(self) -> list[str]:
        """Name the state of every delivery."""
        wanted = select(tables.delivery.c.state).order_by(tables.delivery.c.id)
        return await self.operator.database.read(lambda c: list(c.execute(wanted).scalars()))


def count_rows(connection: Connection) -> dict[str, int]:
    """Count the rows of every table that a message touches."""
    counted = (
        tables.message,
        tables.acceptance,
        tables.delivery,
        tables.deposit,
        tables.notice,
        tables.idempotency,
    )
    return {
        table.name: int(connection.execute(select(func.count()).select_from(table)).scalar() or 0)
        for table in counted
    }


@asynccontextmanager
async def operating(
    home: Home,
    *,
    parts: frozenset[str] = EVERYTHING,
    book: AddressBook,
    clock: Clock | None = None,
) -> AsyncIterator[Running]:
    """Open a home as `mss serve` does, and serve until the block ends."""
    async with (
        open_operator(home.settings(), clock=clock, hosts=book) as operator,
        running(operator, parts) as ports,
    ):
        if "mx" in ports:
            book.ports[home.cast.domain] = ports["mx"]
        yield Running(home=home, operator=operator, ports=ports)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Both operators, where they are, and the software of the cardiologists and of the GP."""

    book: AddressBook
    hospital: Running
    practices: Running
    writer: "Software"
    reader: "Software"


@asynccontextmanager
async def both_operating(
    hospital: Home, practices: Home, *, clock: Clock | None = None
) -> AsyncIterator[Pair]:
    """Open both homes, with one address book, and give software to their users."""
    book = AddressBook()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(operating(hospital, book=book, clock=clock))
        second = await stack.enter_async_context(operating(practices, book=book, clock=clock))
        yield Pair(
            book=book,
            hospital=first,
            practices=second,
            writer=await stack.enter_async_context(Software(hospital, first.ports)),
            reader=await stack.enter_async_context(Software(practices, second.ports)),
        )


class Software:
    """What a hospital or a practice would write themselves, for the doors of one operator."""

    def __init__(self, home: Home, ports: Mapping[str, int], *, account: str = ACCOUNT) -> None:
        self.home = home
        self.ports = dict(ports)
        self.account = account
        self.tls = ssl.create_default_context(cafile=str(home.anchors))
        self.http = self._client(home.tokens[account])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.http.aclose()

    async def moved(self, ports: Mapping[str, int]) -> None:
        """Talk to the same operator at other ports, after it has started again."""
        await self.http.aclose()
        self.ports = dict(ports)
        self.http = self._client(self.home.tokens[self.account])

    @property
    def mailbox(self) -> str:
        """The mailbox that this software works with."""
        return self.home.cast.mailbox

    @asynccontextmanager
    async def logged_in(self) -> AsyncIterator[Wire]:
        """Connect to the submission door and log in."""
        async with await Wire.open(self.ports["submission"]) as wire:
            await wire.starttls(self.tls)
            login = b64encode(f"\0{self.account}\0{PASSWORD}".encode()).decode()
            assert (await wire.ask(f"AUTH PLAIN {login}")).code == 235
            yield wire

    async def submit(self, raw: bytes, *to: str, sender: str | None = None) -> WireReply:
        """Hand a message over by SMTP; gives the last reply, or the first that is a no."""
        async with self.logged_in() as wire:
            return await send(wire, raw, *to, sender=self.mailbox if sender is None else sender)

    async def post(self, raw: bytes, *, key: str = "") -> httpx.Response:
        """Hand a message over by REST."""
        return await self.http.post(
            f"/v1/mailboxes/{self.mailbox}/messages",
            content=raw,
            headers={
                "Content-Type": "message/rfc822",
                "Idempotency-Key": key or SystemClock().new_id(),
            },
        )

    async def get(self, path: str) -> Any:
        """Read a resource; gives the parsed JSON."""
        response = await self.http.get(path)
        response.raise_for_status()
        return response.json()

    async def octets(self, path: str) -> bytes:
        """Fetch a part, a document or a whole message."""
        response = await self.http.get(path)
        response.raise_for_status()
        return response.content

    async def listed(self, folder: str = "inbox", *, mailbox: str = "") -> list[dict[str, Any]]:
        """List a folder, newest first."""
        path = f"/v1/mailboxes/{mailbox or self.mailbox}/messages?folder={folder}&limit=100"
        return list((await self.get(path))["items"])

    async def await_inbox(self, number: int = 1, *, mailbox: str = "") -> list[dict[str, Any]]:
        """Wait until so many messages lie in the inbox."""

        async def is_there() -> bool:
            return len(await self.listed(mailbox=mailbox)) >= number

        await until(is_there, f"{number} messages in the inbox of {mailbox or self.mailbox}")
        return await self.listed(mailbox=mailbox)

    async def mark_read(self, *message_ids: str) -> None:
        """Mark as read, and send the receipts that the authors asked for."""
        response = await self.http.patch(
            f"/v1/mailboxes/{self.mailbox}/messages",
            json={"ids": list(message_ids), "add_flags": ["seen"], "send_receipt": True},
        )
        response.raise_for_status()
        assert {one["status"] for one in response.json()["results"]} == {"done"}

    async def timeline(self, message_id: str) -> list[dict[str, Any]]:
        """Read the timeline of a message's only recipient."""
        found = await self.get(f"/v1/messages/{message_id}/tracking")
        (recipient,) = found["recipients"]
        return list(recipient["events"])

    async def stations(self, message_id: str) -> list[str]:
        """Name the stations of that timeline."""
        return [event["station"] for event in await self.timeline(message_id)]

    async def await_station(self, message_id: str, station: str) -> list[str]:
        """Wait until a letter has come so far; gives every station on the way."""

        async def has_come() -> bool:
            return station in await self.stations(message_id)

        await until(has_come, f"{station} in the timeline of {message_id}")
        return await self.stations(message_id)

    def _client(self, token: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"https://localhost:{self.ports['api']}" if "api" in self.ports else "",
            headers={"Authorization": f"Bearer {token}"},
            verify=self.tls,
            timeout=PATIENCE_SECONDS,
            trust_env=False,
        )


async def send(wire: Wire, raw: bytes, *to: str, sender: str) -> WireReply:
    """Send one message on a session that may send; gives the first no, or the last yes."""
    for command in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in to), "DATA"):
        reply = await wire.ask(command)
        if reply.code >= 400:
            return reply
    stuffed = raw.replace(b"\r\n.", b"\r\n..")
    await wire.send(stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n"))
    return await wire.reply()


def accepted_id(reply: WireReply) -> str:
    """Take our identifier out of `250 2.0.0 <identifier> accepted`."""
    assert reply.code == 250, reply
    return reply.text.split()[1]


@cache
def the_letter() -> Letter:
    """A discharge letter; written once per process, because its PDF takes a moment."""
    now = SystemClock().now().replace(microsecond=0)
    return discharge_letter(at=now, letter_id=UUID(hex=SystemClock().new_id()))


def compose(
    author: str,
    to: str,
    *,
    subject: str | None = None,
    text: str = "Bonjour,\n\nVeuillez trouver la lettre de sortie.\n",
    archive: bytes | None = None,
    with_pdf: bool = True,
) -> bytes:
    """Write the mail of a letter, read receipt asked for; each call gives another Message-ID."""
    letter = the_letter()
    files = [("IHE_XDM.ZIP", "application/zip", letter.archive if archive is None else archive)]
    if with_pdf:
        files.append((letter.pdf_name, "application/pdf", letter.pdf))
    writer = NamedAddress(address=MailAddress.parse(author), display_name="CH Essai - Cardiologie")
    draft = Draft(
        author=writer,
        to=(NamedAddress(address=MailAddress.parse(to)),),
        subject=letter.subject if subject is None else subject,
        text=text,
        attachments=tuple(
            Attachment(filename=name, content_type=kind, octets=octets)
            for name, kind, octets in files
        ),
        disposition_notification_to=(writer,),
        mss_fields={**letter.headers, "X-MSS-NIL": "ESSAI00001"},
    )
    clock = SystemClock()
    domain = author.rpartition("@")[2]
    return build_message(draft, message_id=f"<{clock.new_id()}@{domain}>", at=clock.now())


def note(
    author: str,
    to: str,
    *,
    subject: str = "Essai",
    text: str = "Bonjour.",
    receipt: bool = False,
) -> bytes:
    """Write a short mail by hand; each call gives another Message-ID."""
    asked = (f"Disposition-Notification-To: <{author}>",) if receipt else ()
    lines = (
        f"From: <{author}>",
        f"To: <{to}>",
        f"Subject: {subject}",
        f"Message-ID: <{SystemClock().new_id()}@{author.rpartition('@')[2]}>",
        *asked,
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "",
        text,
        "",
    )
    return "\r\n".join(lines).encode()


async def until(
    question: Callable[[], Awaitable[bool]], what: str, *, patience: float = PATIENCE_SECONDS
) -> None:
    """Ask again and again until it is so, for a bounded time."""
    deadline = time.monotonic() + patience
    while not await question():
        if time.monotonic() > deadline:
            raise AssertionError(f"this did not come: {what}")
        await asyncio.sleep(0.02)


async def _first_home(ground: Ground, cast: Cast) -> Home:
    path = ground.folder / cast.domain
    settings = load_settings(path)
    await asyncio.to_thread(migrate.upgrade, settings.database_url)
    tokens = await fill(settings, ground, cast)
    return Home(cast=cast, path=path, anchors=ground.anchors, tokens=tokens)


def _publication(
    cast: Cast, certificate: Certificate, *, at: datetime
) -> Callable[[Connection], Any]:
    return lambda connection: index_sql.publish_certificate(
        connection,
        subject=Domain(cast.domain),
        der=certificate.der,
        fingerprint=certificate.fingerprint,
        not_after_at=certificate.not_after_at,
        published_at=at,
    )


def _import_directory(settings: Settings, folder: Path) -> None:
    engine = sync_engine(settings.database_url).execution_options(writes=True)
    try:
        with engine.connect() as connection:
            index_sql.import_snapshot(
                connection,
                find_sources(folder),
                at=SystemClock().now(),
                force=False,
                progress=lambda *_: None,
            )
    finally:
        engine.dispose()


def _generate_directory(folder: Path, at: datetime) -> None:
    """Write the national files: a few invented people, and the two mailboxes of the play."""
    gp = Practitioner(
        national_id=NationalPersonId("899000000028"),
        family="MODELE",
        given="KARIM",
        civility="M",
        title="DR",
        profession=Coded(code="10", label="Médecin"),
        category=Coded(code="C", label="Civil"),
    )
    practice, hospital = (
        Organization(
            key=one.structure_id, name=one.organization, finess=FINESS(one.structure_id[1:])
        )
        for one in (PRACTICES, HOSPITAL)
    )
    synthetic.generate(
        folder,
        practitioners=PEOPLE,
        seed=2026,
        stamp=f"{at:%Y%m%d%H%M}",
        extra_practitioners=[gp],
        extra_mailboxes=[
            MailboxEntry(
                address=MailAddress.parse(PRACTICES.mailbox),
                kind=MailboxKind.PER,
                practitioner=gp,
                organization=practice,
            ),
            MailboxEntry(
                address=MailAddress.parse(HOSPITAL.mailbox),
                kind=MailboxKind.ORG,
                organization=hospital,
                service="CARDIOLOGIE",
            ),
        ],
    )
