"""Whole operators in this process, without sockets; and the letters, people and rows they hold.

An operator here is the real thing (database, pipeline, protection, worker) on a fixed clock, with
bodies in memory and a relay that hands letters straight to the other operator's acceptance.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from crypto import xml_signature
from crypto.certificates import Certificate
from crypto.issuing import Authority, CertificateProfile, Subject
from directory import index_sql
from directory.address import Domain, MailAddress
from directory.distinguished_name import DistinguishedName
from directory.model import MailboxKind
from directory.trust_list import TrustListEntry, build_trust_list
from mss.cli import home
from mss.cli.compose import Desk, Operator, open_desk, open_operator
from mss.errors import MSSError
from mss.mailboxes.reading import MessageView
from mss.model.delivery import Deferred, Delivery, Outcome, Refused, Relayed
from mss.model.envelope import Envelope, Notify, Recipient
from mss.model.message import Origin
from mss.model.principal import AccountPrincipal, PeerPrincipal, Right
from mss.pipeline.accept import Acceptance
from mss.pipeline.submission import Accepted, RefusedRoute, Submission
from mss.services import Services
from mss.settings import load_settings
from mss.store import migrate
from mss.store.engine import Database
from tests.support.clock import FixedClock
from tests.support.fakes import MemoryBlobStore
from tests.support.pki import ISSUED_AT

HOSPITAL_DOMAIN = "ch-demo.mssante.fr"
PRACTICE_DOMAIN = "cabinets-demo.mssante.fr"
WARD = f"sortie.cardiologie@{HOSPITAL_DOMAIN}"
LAB = f"laboratoire@{HOSPITAL_DOMAIN}"
GP = f"anne.essai-leroux@{PRACTICE_DOMAIN}"
OTHER_GP = f"karim.modele@{PRACTICE_DOMAIN}"
RPPS_OF_GP = "99000000010"


def a_letter(
    *,
    author: str = WARD,
    to: str = GP,
    subject: str = "Lettre de liaison",
    text: str = "Cher confrère, la patiente va bien.",
    message_id: str | None = "<letter-1@his.ch-demo.fr>",
    date: str | None = "Tue, 03 Nov 2026 10:59:00 +0100",
    more: tuple[str, ...] = (),
) -> bytes:
    """Write a message as a hospital's software does; *more* are complete header lines."""
    lines = [f"From: {author}", f"To: {to}", f"Subject: {subject}", *more]
    lines += [f"Date: {date}"] if date is not None else []
    lines += [f"Message-ID: {message_id}"] if message_id is not None else []
    lines += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8"]
    lines += ["Content-Transfer-Encoding: 8bit", "", text, ""]
    return "\r\n".join(lines).encode()


def an_envelope(
    sender: str | None,
    *recipients: str,
    notify: frozenset[Notify] | None = None,
    envelope_id: str | None = None,
    returns: Literal["FULL", "HDRS"] | None = None,
) -> Envelope:
    """Address an envelope."""
    wishes: dict[str, Any] = {} if notify is None else {"notify": notify}
    return Envelope(
        sender=MailAddress.parse(sender) if sender else None,
        recipients=tuple(Recipient(address=MailAddress.parse(one), **wishes) for one in recipients),
        envelope_id=envelope_id,
        returns=returns,
    )


@dataclass(slots=True, kw_only=True)
class FakeRelay:
    """A `Relay` that hands letters to the operators it knows, or answers what a test wants.

    Attributes:
        peers: The acceptance behind each domain.
        principal: As whom the other side sees us.
        answers: Outcomes to give instead, first come first served.
        carried: What was handed over, in order.
        loses_replies: True if the other side takes the letter and its answer never arrives.
    """

    principal: PeerPrincipal
    peers: dict[str, Acceptance] = field(default_factory=dict)
    answers: list[Outcome] = field(default_factory=list)
    carried: list[tuple[Delivery, bytes]] = field(default_factory=list)
    loses_replies: bool = False
    reports: bool = True

    async def relay(self, deliveries: Sequence[Delivery], raw: bytes) -> list[Outcome]:
        self.carried += [(one, raw) for one in deliveries]
        if self.answers:
            return [self.answers.pop(0) for _ in deliveries]
        peer = self.peers.get(deliveries[0].domain)
        if peer is None:
            return [Deferred(code="no-host", detail="nobody answers")] * len(deliveries)
        try:
            accepted = await self._hand_over(peer, deliveries, raw)
        except MSSError as error:
            kind = Deferred if error.retryable else Refused
            return [kind(code=error.code, detail=error.public_text)] * len(deliveries)
        if self.loses_replies:
            lost = Deferred(code="reply-lost", detail="the connection broke after the data")
            return [lost] * len(deliveries)
        reply = f"2.0.0 {accepted.message_id} accepted"
        taken = Relayed(reply=reply, host="mail.peer.example", reports=self.reports)
        return [taken] * len(deliveries)

    async def _hand_over(
        self, peer: Acceptance, deliveries: Sequence[Delivery], raw: bytes
    ) -> Accepted:
        first = deliveries[0]
        sender = MailAddress.parse(first.sender) if first.sender else None
        await peer.check_sender(self.principal, sender)
        recipients, routes = [], []
        for one in deliveries:
            address = MailAddress.parse(one.recipient)
            route = await peer.route(self.principal, address)
            if isinstance(route, RefusedRoute):
                raise route.error
            routes.append(route)
            recipients.append(
                Recipient(
                    address=address,
                    notify=frozenset(map(Notify, one.notify)),
                    original_recipient=one.original_recipient,
                )
            )
        return await peer.accept(
            Submission(
                envelope=Envelope(
                    sender=sender, recipients=tuple(recipients), envelope_id=first.envelope_id
                ),
                raw=raw,
                principal=self.principal,
                origin=Origin.PEER,
                routes=tuple(routes),
            )
        )

    async def aclose(self) -> None:
        """Nothing is held."""


@dataclass(slots=True, kw_only=True)
class FakeProbe:
    """A `RecipientProbe` that knows what a test tells it."""

    answers: dict[str, bool | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def has_mailbox(self, recipient: MailAddress) -> bool | None:
        self.asked.append(str(recipient))
        return self.answers.get(str(recipient))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """One operator on paper, and who works there.

    Attributes:
        boxes: Address, kind and account of each mailbox; the account holds every right on it.
    """

    domain: str
    organization: str
    structure_id: str
    boxes: tuple[tuple[str, MailboxKind, str], ...]

    @property
    def host_name(self) -> str:
        return f"mail.{self.domain}"

    @property
    def subject(self) -> str:
        """Subject of its server certificate, leaf first."""
        return (
            f"CN={self.host_name},OU={self.structure_id},O={self.organization},ST=Paris (75),C=FR"
        )

    @property
    def peer(self) -> PeerPrincipal:
        """How other operators see it."""
        return PeerPrincipal(
            subject=self.subject,
            fingerprint="0" * 64,
            domains=frozenset({self.domain}),
            host="127.0.0.1",
        )


HOSPITAL = Cast(
    domain=HOSPITAL_DOMAIN,
    organization="CENTRE HOSPITALIER DEMO",
    structure_id="1750000001",
    boxes=((WARD, MailboxKind.ORG, "ward"), (LAB, MailboxKind.ORG, "lab")),
)
PRACTICES = Cast(
    domain=PRACTICE_DOMAIN,
    organization="OPERATEUR DES CABINETS DEMO",
    structure_id="1690000001",
    boxes=((GP, MailboxKind.PER, "anne"), (OTHER_GP, MailboxKind.PER, "karim")),
)


def a_signed_trust_list(
    authority: Authority,
    names: Mapping[str, str],
    *,
    at: datetime = ISSUED_AT,
    issued_at: datetime = ISSUED_AT,
    signer_name: str = "liste-blanche.demo",
) -> bytes:
    """Sign a list: domain to the subject of the certificate that may speak for it."""
    xml = build_trust_list(
        generated_at=at,
        entries=[
            TrustListEntry(domain=Domain(domain), name=DistinguishedName.parse(subject))
            for domain, subject in names.items()
        ],
    )
    signer = authority.issue(
        CertificateProfile.SIGNATURE,
        Subject(common_name=signer_name, organization="DEMO", structure_id="1750000002"),
        at=issued_at,
    )
    return xml_signature.sign_enveloped(
        xml, private_key=signer.private_key, certificate=signer.certificate
    )


async def make_homes(folder: Path, authority: Authority, *, urls: Mapping[str, str]) -> None:
    """Make the homes of hospital and practices, ready to send each other letters.

    Args:
        folder: Where each gets a folder named by its domain.
        authority: Who issues the certificates of both.
        urls: Domain to the address of a migrated database; without one, SQLite in the home.
    """
    listed = a_signed_trust_list(authority, {one.domain: one.subject for one in BOTH})
    reading = {}
    for one in BOTH:
        database = f'[database]\nurl = "{urls[one.domain]}"\n' if one.domain in urls else ""
        text = f'domains = ["{one.domain}"]\nhostname = "{one.host_name}"\n{database}'
        home.create_home(folder / one.domain, settings_text=text)
        identity = home.Identity(
            host_name=one.host_name, organization=one.organization, structure_id=one.structure_id
        )
        issued = home.install_identity(
            folder / one.domain, authority, identity=identity, at=ISSUED_AT
        )
        reading[one.domain] = issued.certificate
        migrate.upgrade(load_settings(folder / one.domain).database_url)
    for one in BOTH:
        async with open_desk(load_settings(folder / one.domain), clock=FixedClock()) as desk:
            await desk.trust.load(listed, source="test")
            for domain, certificate in reading.items():
                await _publish(desk, domain, certificate)
            for address, kind, account in one.boxes:
                await _open_mailbox(desk, address, kind, account)


async def _open_mailbox(desk: Desk, address: str, kind: MailboxKind, account: str) -> None:
    where = MailAddress.parse(address)
    rpps = RPPS_OF_GP if kind is MailboxKind.PER else None
    await desk.mailboxes.open(where, kind=kind, display_name=f"BAL {account}", rpps=rpps)
    await desk.accounts.add(account, password=None)
    await desk.mailboxes.delegate(where, account, frozenset(Right))


async def _publish(desk: Desk, domain: str, certificate: Certificate) -> None:
    await desk.database.write(
        lambda c: index_sql.publish_certificate(
            c,
            subject=Domain(domain),
            der=certificate.der,
            fingerprint=certificate.fingerprint,
            not_after_at=certificate.not_after_at,
            published_at=desk.clock.now(),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InProcessOperator:
    """One operator that runs without doors."""

    cast: Cast
    running: Operator
    clock: FixedClock
    blobs: MemoryBlobStore
    relay: FakeRelay
    probe: FakeProbe

    @property
    def services(self) -> Services:
        return self.running.services

    @property
    def database(self) -> Database:
        return self.running.database

    @property
    def peer(self) -> PeerPrincipal:
        """How other operators see this one."""
        return self.cast.peer

    async def log_in(self, account: str) -> AccountPrincipal:
        """Log in with a fresh token."""
        token = await self.services.accounts.issue_token(account)
        return await self.services.accounts.authenticate_token(token, host="127.0.0.1")

    async def submit(
        self,
        principal: AccountPrincipal,
        raw: bytes,
        *recipients: str,
        sender: str | None = WARD,
        notify: frozenset[Notify] | None = None,
        envelope_id: str | None = None,
        returns: Literal["FULL", "HDRS"] | None = None,
    ) -> Accepted:
        """Hand a letter in, as a submission door does."""
        return await self.services.acceptance.accept(
            Submission(
                envelope=an_envelope(
                    sender,
                    *(recipients or (GP,)),
                    notify=notify,
                    envelope_id=envelope_id,
                    returns=returns,
                ),
                raw=raw,
                principal=principal,
                origin=Origin.SUBMISSION,
                received_with="ESMTPSA",
            )
        )

    async def receive(
        self,
        raw: bytes,
        *recipients: str,
        sender: str | None,
        peer: PeerPrincipal,
        notify: frozenset[Notify] | None = None,
    ) -> Accepted:
        """Take a letter from another operator, as the MX door does."""
        return await self.services.acceptance.accept(
            Submission(
                envelope=an_envelope(sender, *recipients, notify=notify),
                raw=raw,
                principal=peer,
                origin=Origin.PEER,
            )
        )

    async def letters(self, account: str, address: str) -> list[MessageView]:
        """Read everything in a mailbox, newest first."""
        principal = await self.log_in(account)
        page = await self.services.reading.list_messages(
            principal, address, folder=None, limit=50, cursor=None
        )
        return list(page.items)

    async def work(self) -> None:
        """Do everything that is due."""
        await self.running.worker.run_until_idle()


BOTH = (HOSPITAL, PRACTICES)


@asynccontextmanager
async def an_operator(
    folder: Path,
    cast: Cast,
    *,
    clock: FixedClock,
    blobs: MemoryBlobStore | None = None,
    **sections: Any,
) -> AsyncIterator[InProcessOperator]:
    """Open the home of *cast* in *folder*; *sections* replace sections of its settings."""
    settings = load_settings(folder / cast.domain).model_copy(update=sections)
    blobs = blobs or MemoryBlobStore(clock=clock)
    relay, probe = FakeRelay(principal=cast.peer), FakeProbe()
    async with open_operator(settings, clock=clock, relay=relay, blobs=blobs) as running:
        # Frozen for the server, which has one probe for its whole life; a test brings its own.
        object.__setattr__(running.services.acceptance.router, "probe", probe)
        yield InProcessOperator(
            cast=cast, running=running, clock=clock, blobs=blobs, relay=relay, probe=probe
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two operators that relay to each other."""

    hospital: InProcessOperator
    practices: InProcessOperator

    async def settle(self) -> None:
        """Let both work until neither has anything due; letters and reports go to and fro."""
        for _ in range(4):
            await self.hospital.work()
            await self.practices.work()


@asynccontextmanager
async def a_pair(folder: Path, clock: FixedClock, **sections: Any) -> AsyncIterator[Pair]:
    """Open both homes in *folder*; *sections* replace sections of the hospital's settings."""
    async with (
        an_operator(folder, HOSPITAL, clock=clock, **sections) as hospital,
        an_operator(folder, PRACTICES, clock=clock) as practices,
    ):
        hospital.relay.peers[PRACTICE_DOMAIN] = practices.services.acceptance
        practices.relay.peers[HOSPITAL_DOMAIN] = hospital.services.acceptance
        yield Pair(hospital=hospital, practices=practices)
