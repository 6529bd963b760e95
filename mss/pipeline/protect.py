"""Step 3: sign and encrypt what leaves; decrypt and verify what arrives.

Everything is transformed before the commit: what is queued is what will be sent, so that a retry
sends the same octets, and a missing certificate is refused while the sender is still on the line.

Going out, header fields are protected too (RFC 9788): the signed entity repeats subject, author and
recipients, and the subject outside an encrypted message says nothing (a national subject line names
a patient). The signature says for whom the letter is, so that nobody can pass it on as if it had
been written to somebody else. Coming in, encryption is taken off and the signature is kept inside
the stored message as evidence; the verdict of today is stored beside it.

Errors
    `ProtectionImpossibleError` going out; `MessageRefusedError` coming in, with the reason.
Sources
    RFC 8551 (S/MIME 4.0), RFC 9788 (header protection); docs/adr/0010 and 0016.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from crypto import kem, smime, trust
from crypto.certificates import Certificate, parse_certificate
from crypto.errors import CryptoError, RevokedError
from crypto.kinds import is_encrypted
from crypto.recipient_info import EnvelopeProfile, RecipientPlan, is_post_quantum
from crypto.recipient_list import build_recipient_list
from directory import index_sql
from directory.address import MailAddress
from mss.blobs.offload import run_by_size
from mss.clock import Clock
from mss.errors import ProtectionImpossibleError
from mss.mime import entity as entities
from mss.mime.parse import ParsedMessage
from mss.model.principal import PeerPrincipal, Principal
from mss.model.security import Security, Verdict
from mss.pipeline.certificate_finding import CertificateFinder, validate_recipient
from mss.pipeline.opening import Opened, Opener
from mss.pipeline.own_keys import KeysInForce
from mss.pipeline.signers import Judge
from mss.pipeline.submission import RelayRoute
from mss.policy.protection import choose_profile
from mss.settings import ProtectionSettings
from mss.store import correspondents
from mss.store.correspondents import Correspondent
from mss.store.engine import Connection, Database
from mss.trust_space import TrustSpace

INLINE_OCTETS = 128 * 1024  # below, cryptography costs less than a hand-over to a thread
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """One recipient, and how to encrypt for them; without a certificate, not at all.

    Attributes:
        outer: Certificates for a post-quantum envelope around; none if none was agreed.
    """

    address: MailAddress
    domain: str
    recipient: RecipientPlan | None
    outer: tuple[Certificate, ...] = ()

    def group(self, named: Collection[str] | None) -> tuple[str, bool, bool, str]:
        """Say with whom this recipient shares octets.

        Operators never share, so that none learns of the others' recipients from a list of keys;
        a blind copy is alone, since it names whom it is for; and recipients who need the old form
        do not take the others down with them.
        """
        is_blind = named is not None and self.address.key not in named
        plan = self.recipient
        is_legacy = plan is not None and plan.profile is EnvelopeProfile.LEGACY
        return self.domain, plan is not None, is_legacy, self.address.key if is_blind else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Uses the keys of this operator and applies the policy.

    Attributes:
        finder: Looks elsewhere for the certificates of recipients; `None` to look nowhere.
    """

    database: Database
    trust: TrustSpace
    keys: KeysInForce
    settings: ProtectionSettings
    clock: Clock
    finder: CertificateFinder | None = None

    # Going out

    async def protect(self, raw: bytes, routes: Sequence[RelayRoute]) -> dict[str, bytes]:
        """Make the octets that leave, for each recipient's normalised address.

        Recipients of one domain share one set of octets, but for blind copies.

        Raises:
            ProtectionImpossibleError: There is no valid certificate, and the policy wants one.
        """
        named = entities.named_recipients(raw)
        groups: dict[tuple[str, bool, bool, str], list[_Plan]] = {}
        for plan in await self._plan(routes):
            groups.setdefault(plan.group(named), []).append(plan)
        leaving: dict[str, bytes] = {}
        for (_, _, _, blind), members in groups.items():
            octets = await aside(len(raw), self._seal, raw, members, blind or None)
            leaving |= {plan.address.key: octets for plan in members}
        return leaving

    async def seal_for_client(
        self, raw: bytes, address: MailAddress, certificate: Certificate
    ) -> bytes:
        """Make what the mailbox at *address* holds, whose key only its client has."""
        choice = choose_profile(
            address,
            settings=self.settings.profiles,
            seen=None,
            announced=certificate.smime_capabilities,
        )
        recipient = RecipientPlan(certificate=certificate, profile=choice.profile)
        plan = _Plan(address=address, domain=str(address.domain), recipient=recipient)
        named = entities.named_recipients(raw)
        is_blind = named is not None and address.key not in named
        blind = address.key if is_blind else None
        return await aside(len(raw), self._seal, raw, [plan], blind)

    def pass_through(self, raw: bytes, routes: Sequence[RelayRoute]) -> dict[str, bytes]:
        """Let a letter leave as its author protected it, or say why it must not.

        Raises:
            ProtectionImpossibleError: The policy wants more than the author did.
        """
        must_be_closed = self.settings.without_certificate == "refuse"
        for route in routes:
            reason = None
            if self.keys.current.outer.certificates(route.domain):
                reason = "post-quantum-envelope-missing"
            elif must_be_closed and not is_encrypted(raw):
                reason = "not-encrypted"
            if reason is not None:
                raise ProtectionImpossibleError(address=str(route.address), reason=reason)
        return dict.fromkeys((route.address.key for route in routes), raw)

    async def foresee(self, address: MailAddress) -> str:
        """Say how mail to another operator's mailbox would be protected: encrypted or signed.

        Raises:
            ProtectionImpossibleError: The policy wants encryption, and no certificate is known.
        """
        route = RelayRoute(address=address, domain=str(address.domain), is_listed=False)
        (plan,) = await self._plan([route])
        return "encrypted" if plan.recipient is not None else "signed"

    async def find_obstacle(self, address: MailAddress, leaving: bytes) -> str | None:
        """Say why octets made earlier must not be sent to *address* any more; None if they may.

        The octets of a queued letter stay what they are, so a certificate that was revoked since
        then means that the letter must be written again: its key may be in other hands. One that
        has merely ended still opens the letter, and nobody else can. In a post-quantum envelope
        only the outer certificates can be seen, and are judged.
        """
        published = await self.database.read(lambda c: index_sql.find_certificates(c, address))
        outer = [each.der for each in self.keys.current.outer.certificates(str(address.domain))]
        return await aside(len(leaving), self._find_obstacle, [*published, *outer], leaving)

    def _find_obstacle(self, candidates: Sequence[bytes], leaving: bytes) -> str | None:
        for der in candidates:
            try:
                certificate = parse_certificate(der)
                if smime.is_encrypted_for(leaving, certificate):
                    self.validate(certificate)
            except RevokedError:
                return "recipient-certificate-revoked"
            except CryptoError:
                continue
        return None

    async def _plan(self, routes: Sequence[RelayRoute]) -> list[_Plan]:
        """Find out how to encrypt for each recipient, in one look at the database."""
        addresses = [route.address for route in routes]
        if self.finder is not None:
            await self.finder.look_up(addresses)

        def look(
            connection: Connection,
        ) -> tuple[list[list[bytes]], dict[str, Correspondent]]:
            published = [index_sql.find_certificates(connection, each) for each in addresses]
            keys = [each.key for each in addresses]
            return published, correspondents.find_correspondents(connection, keys)

        published, known = await self.database.read(look)
        return [
            _Plan(
                address=route.address,
                domain=route.domain,
                recipient=self._plan_one(route.address, certificates, known.get(route.address.key)),
                outer=self._valid_outer(route.address),
            )
            for route, certificates in zip(routes, published, strict=True)
        ]

    def _plan_one(
        self, address: MailAddress, published: Sequence[bytes], known: Correspondent | None
    ) -> RecipientPlan | None:
        """Choose the certificate to encrypt with, published and valid now, and the form."""
        for der in published:
            certificate = self._valid_certificate(der)
            # ML-KEM alone is no hybrid: it is for the outer envelope, wherever it is published.
            if certificate is not None and not is_post_quantum(certificate):
                choice = choose_profile(
                    address,
                    settings=self.settings.profiles,
                    seen=None if known is None else known.capabilities,
                    announced=certificate.smime_capabilities,
                )
                return RecipientPlan(certificate=certificate, profile=choice.profile)
        is_agreed = bool(self.keys.current.outer.certificates(str(address.domain)))
        if is_agreed or self.settings.without_certificate == "refuse":
            reason = "certificate-invalid" if published else "certificate-missing"
            raise ProtectionImpossibleError(address=str(address), reason=reason)
        return None

    def _valid_outer(self, address: MailAddress) -> tuple[Certificate, ...]:
        """List the post-quantum certificates for a recipient; never none if it was agreed on."""
        agreed = self.keys.current.outer.certificates(str(address.domain))
        valid = tuple(each for each in agreed if self._valid_certificate(each.der) is not None)
        if agreed and not valid:
            reason = "post-quantum-certificate-invalid"
            raise ProtectionImpossibleError(address=str(address), reason=reason)
        return valid

    def _valid_certificate(self, der: bytes) -> Certificate | None:
        try:
            certificate = parse_certificate(der)
            self.validate(certificate)
        except CryptoError:
            return None
        return certificate

    def validate(self, certificate: Certificate) -> None:
        """Let pass a certificate that may be encrypted for now; raises what is wrong with it."""
        validate_recipient(certificate, trust=self.trust, at=self.clock.now())

    def _seal(self, raw: bytes, plans: Sequence[_Plan], blind_copy_to: str | None) -> bytes:
        """Sign, then encrypt when there is anybody to encrypt for."""
        recipients = [plan.recipient for plan in plans if plan.recipient is not None]
        is_encrypted = bool(recipients)
        entity = entities.protected_entity(raw, cipher=is_encrypted, blind_copy_to=blind_copy_to)
        # A cipher that does not authenticate is worth nothing without a signature inside.
        is_soft = any(each.profile is not EnvelopeProfile.MODERN for each in recipients)
        if self.settings.sign or is_soft:
            entity = self._sign(entity, _recipient_list(plans))
        if is_encrypted:
            entity = smime.encrypt(entity, recipients=recipients)
            if plans[0].outer:  # one domain, so one agreement
                entity = kem.wrap(entity, recipients=plans[0].outer)
            if self.settings.sign and plans[0].domain in self.settings.triple_wrap:
                entity = self._sign(entity, ())
        return entities.outer_message(raw, entity, obscure_subject=is_encrypted)

    def _sign(self, entity: bytes, attributes: Sequence[bytes]) -> bytes:
        keys = self.keys.current
        return smime.sign(
            entity,
            keys=keys.signing,
            at=self.clock.now(),
            chain=keys.signing_chain,
            attributes=attributes,
        )

    # Coming in

    async def open(self, raw: bytes, principal: Principal) -> Opened:
        """Take encryption off what arrived and judge its signature, once and for ever.

        Raises:
            MessageRefusedError: It cannot be decrypted with our key, or its signature is broken.
        """
        now = self.clock.now()
        if not isinstance(principal, PeerPrincipal):
            return Opened(kept=raw, security=Security(verdict=Verdict.INTERNAL, judged_at=now))
        opener = Opener(
            keys=self.keys.current.reading,
            store=self.trust.store,
            profile=self.trust.profile(trust.Usage.MAIL_SIGNING),
            settings=self.settings,
            at=now,
        )
        opened = await aside(len(raw), opener.open, raw, principal)
        await self.trust.keep_evidence(each.chain for each in opened.proofs)
        return opened

    async def bind(
        self, opened: Opened, message: ParsedMessage, recipients: Collection[MailAddress]
    ) -> Security:
        """Tie a valid signer to the author's mailbox, and the letter to its recipients here.

        Without a tie, or when the signer wrote to others, the verdict is not `valid`.

        Args:
            opened: What `open` gave.
            message: Its `kept` octets, parsed.
            recipients: The recipients of the envelope.

        Raises:
            MessageRefusedError: The signer wrote to others, and the policy wants that refused.
        """
        judge = Judge(database=self.database, trust=self.trust, settings=self.settings)
        return await judge.bind(opened, message, recipients)


def _recipient_list(plans: Sequence[_Plan]) -> tuple[bytes, ...]:
    """Make the signed attribute that says for whom, and with which keys, a letter is encrypted."""
    listed = [
        (plan.address.key, plan.recipient.certificate)
        for plan in plans
        if plan.recipient is not None
    ]
    return (build_recipient_list(listed),) if listed else ()


async def aside(size_octets: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do work on octets: here when they are few, in a thread when they would hold up the loop."""
    call = partial(work, *args, **kwargs)
    return await run_by_size(call, size_octets, inline_octets=INLINE_OCTETS)
