"""What stands behind the SMTP doors in their own tests: answers, no storage."""

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crypto import tls
from crypto.certificates import Certificate
from crypto.issuing import Authority, CertificateProfile, Issued, Subject, create_authority
from directory.address import MailAddress
from mss.clock import SystemClock
from mss.errors import (
    DomainNotTrustedError,
    MSSError,
    NotAuthenticatedError,
    PeerExpiredError,
    PeerNotTrustedError,
    RecipientUnknownError,
    SenderNotAllowedError,
)
from mss.model.principal import AccountPrincipal, PeerPrincipal, Principal, Right
from mss.pipeline.submission import (
    Accepted,
    AcceptedDelivery,
    LocalRoute,
    RefusedRoute,
    RelayRoute,
    Route,
    Submission,
)
from mss.settings import Settings

OUR_DOMAIN = "cabinets-demo.mssante.fr"
PEER_DOMAIN = "ch-demo.mssante.fr"
PEER_HOST = f"mta.{PEER_DOMAIN}"
DOCTOR = f"anne.essai@{OUR_DOMAIN}"
COLLEAGUE = f"luc.essai@{OUR_DOMAIN}"
WARD = f"cardiologie@{PEER_DOMAIN}"
PASSWORD = "correct horse battery staple"
TOKEN = "mss_token"
SOFTWARE = "logiciel.essai"

ACCOUNT = AccountPrincipal(
    account_id="a1",
    name="anne",
    rights={DOCTOR: frozenset({Right.READ, Right.SEND})},
    means="password",
)


@dataclass
class FakeAcceptance:
    """Remembers what was accepted; `error` refuses, `gate` delays."""

    accepted: list[Submission] = field(default_factory=list)
    error: Exception | None = None
    gate: asyncio.Event | None = None
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    local: frozenset[str] = frozenset({DOCTOR, COLLEAGUE})
    refusals: list[tuple[str, str]] = field(default_factory=list)
    recognised: list[str] = field(default_factory=list)

    async def note_peer_refusal(
        self, error: MSSError, *, subject: str, host: str, left_out: int = 0
    ) -> None:
        self.refusals.append((error.code, subject))

    async def note_peer_recognised(self, peer: PeerPrincipal) -> None:
        self.recognised.append(peer.subject)

    async def check_sender(self, principal: Principal, sender: MailAddress | None) -> None:
        match principal:
            case PeerPrincipal(domains=domains) if sender and sender.domain not in domains:
                raise PeerNotTrustedError(domain=sender.domain, reason="not-listed-for-domain")
            case AccountPrincipal() as account if sender is None or not account.has_right(
                sender.key, Right.SEND
            ):
                raise SenderNotAllowedError(address=str(sender))
            case _:
                pass

    async def route(self, principal: Principal, recipient: MailAddress) -> Route:
        if recipient.key in self.local or recipient.local.startswith("box"):
            return LocalRoute(address=recipient, mailbox_id=recipient.key)
        error: MSSError
        if recipient.domain == OUR_DOMAIN:
            error = RecipientUnknownError(address=str(recipient))
        elif recipient.domain == PEER_DOMAIN and isinstance(principal, AccountPrincipal):
            return RelayRoute(address=recipient, domain=recipient.domain, is_listed=True)
        else:
            error = DomainNotTrustedError(domain=recipient.domain)
        return RefusedRoute(address=recipient, error=error)

    async def accept(self, submission: Submission) -> Accepted:
        self.waiting.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.accepted.append(submission)
        self.done.set()
        return Accepted(
            message_id=f"m{len(self.accepted)}",
            internet_message_id="<x@example.org>",
            accepted_at=datetime(2026, 1, 1, tzinfo=UTC),
            deliveries=tuple(
                AcceptedDelivery(recipient=str(one.address), state="delivered")
                for one in submission.envelope.recipients
            ),
        )


@dataclass
class FakeAccounts:
    """One account with a password, a token and a certificate.

    Attributes:
        error: What every token is answered with, instead.
        has_ended: True if every connection has outlived its login.
    """

    asked: int = 0
    error: MSSError | None = None
    has_ended: bool = False

    async def authenticate_password(
        self, name: str, password: str, *, host: str
    ) -> AccountPrincipal:
        self.asked += 1
        if (name, password) != ("anne", PASSWORD):
            raise NotAuthenticatedError
        return ACCOUNT

    async def authenticate_token(
        self, token: str, *, host: str, certificate: Certificate | None = None
    ) -> AccountPrincipal:
        self.asked += 1
        if self.error is not None:
            raise self.error
        if token != TOKEN:
            raise NotAuthenticatedError
        return ACCOUNT

    async def authenticate_certificate(
        self, certificate: Certificate, *, host: str
    ) -> AccountPrincipal:
        self.asked += 1
        if certificate.common_name != SOFTWARE:
            raise NotAuthenticatedError
        return ACCOUNT

    def is_over(self, principal: AccountPrincipal) -> bool:
        return self.has_ended


@dataclass
class FakeTrust:
    """Knows operators by the common name of their certificate."""

    domains: dict[str, frozenset[str]] = field(
        default_factory=lambda: {PEER_HOST: frozenset({PEER_DOMAIN})}
    )
    error: MSSError | None = None
    judged: int = 0
    delisted: frozenset[str] = frozenset()

    def judge_peer(
        self,
        certificate: Certificate,
        *,
        intermediates: Sequence[Certificate] = (),
        domain: str | None = None,
        host: str,
    ) -> PeerPrincipal:
        self.judged += 1
        if self.error is not None:
            raise self.error
        self._check_dates(certificate, domain or "")
        name = certificate.common_name or ""
        if name not in self.domains:
            raise PeerNotTrustedError(domain="", reason="certificate-not-listed")
        return PeerPrincipal(
            subject=certificate.subject_text,
            fingerprint=certificate.fingerprint,
            domains=self.domains[name],
            host=host,
        )

    def is_trusted_domain(self, domain: str) -> bool:
        return domain not in self.delisted

    def judge_server(
        self,
        certificate: Certificate,
        *,
        intermediates: Sequence[Certificate] = (),
        domain: str,
        host: str,
    ) -> None:
        self.judged += 1
        if self.error is not None:
            raise self.error
        self._check_dates(certificate, domain)
        if domain not in self.domains.get(certificate.common_name or "", frozenset()):
            raise PeerNotTrustedError(domain=domain, reason="certificate-not-listed-for-domain")

    def _check_dates(self, certificate: Certificate, domain: str) -> None:
        """As the real one: OpenSSL leaves the dates to it."""
        if certificate.not_after_at < SystemClock().now():
            raise PeerExpiredError(domain=domain, reason="expired")


@dataclass(frozen=True, kw_only=True)
class Party:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, kw_only=True)
class SmtpPki:
    """One authority, and the parties of these tests."""

    folder: Path
    authority: Authority

    def party(self, name: str, *, valid_for: timedelta = timedelta(days=30)) -> Party:
        """Issue a server certificate (SERV SSL is for both sides)."""
        return write_party(self.folder, self.authority, name, valid_for=valid_for)

    @property
    def authorities_pem(self) -> str:
        return self.authority.anchors_pem + self.authority.intermediates[0].pem

    def client(self, party: Party | None = None) -> ssl.SSLContext:
        """Build the context of a client of ours."""
        return tls.client_context(
            party.certificate if party else None,
            party.key if party else None,
            anchors_pem=self.authorities_pem,
        )

    def server(self, party: Party, *, ask: bool = True) -> ssl.SSLContext:
        """Build the context of a server of ours."""
        return tls.server_context(
            party.certificate,
            party.key,
            client_anchors_pem=self.authorities_pem if ask else None,
            require_client=ask,
        )


def create_pki(folder: Path) -> SmtpPki:
    """Make an authority that was valid yesterday."""
    return SmtpPki(folder=folder, authority=create_authority("TEST", at=yesterday()))


def write_party(
    folder: Path, authority: Authority, name: str, *, valid_for: timedelta = timedelta(days=30)
) -> Party:
    """Issue a certificate and write it where TLS contexts read it."""
    subject = Subject(common_name=name, organization="TEST", structure_id="1990000001")
    issued: Issued = authority.issue(
        CertificateProfile.SERVER, subject, at=yesterday(), valid_for=valid_for
    )
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    certificate.write_text(issued.chain_pem)
    key.write_text(issued.private_key_pem)
    return Party(certificate=certificate, key=key)


def yesterday() -> datetime:
    """Tell an instant that TLS libraries, which have no clock of ours, take for the past."""
    return SystemClock().now().replace(microsecond=0) - timedelta(days=1)


@dataclass(kw_only=True)
class FakeServices:
    """What the doors call."""

    settings: Settings
    acceptance: FakeAcceptance = field(default_factory=FakeAcceptance)
    accounts: FakeAccounts = field(default_factory=FakeAccounts)
    trust: FakeTrust = field(default_factory=FakeTrust)


def door_settings(home: Path, pki: SmtpPki, **limits: float) -> Settings:
    """Write a home for doors on ports that the system chooses."""
    (home / "trust").mkdir(parents=True, exist_ok=True)
    (home / "keys").mkdir(exist_ok=True)
    party = write_party(pki.folder, pki.authority, f"mta.{OUR_DOMAIN}")
    (home / "keys/tls.crt").write_text(party.certificate.read_text())
    (home / "keys/tls.key").write_text(party.key.read_text())
    (home / "trust/anchors.pem").write_text(pki.authority.anchors_pem)
    (home / "trust/intermediates.pem").write_text(pki.authority.intermediates[0].pem)
    return Settings.model_validate(
        {
            "home": home,
            "domains": (OUR_DOMAIN,),
            "listen": {
                "mx": "127.0.0.1:0",
                "submission": "127.0.0.1:0",
                "submissions": "127.0.0.1:0",
            },
            "limits": limits,
        }
    )


def a_letter(*, lines: Iterable[bytes] = (b"Bonjour,", b"..", b"."), subject: str = "x") -> bytes:
    """Write a small message with CRLF line ends and dots to stuff."""
    head = f"From: {WARD}\r\nTo: {DOCTOR}\r\nSubject: {subject}\r\n\r\n".encode("ascii")
    return head + b"".join(line + b"\r\n" for line in lines)


def stuffed(raw: bytes) -> bytes:
    """Write a message as it travels after DATA, end included."""
    dotted = raw.replace(b"\r\n.", b"\r\n..")
    return (b"." if dotted.startswith(b".") else b"") + dotted + b".\r\n"
