"""Step 3: sign and encrypt what leaves; decrypt and verify what arrives.

Everything is transformed before the commit: what is queued is what will be sent, so that a retry
sends the same octets, and a missing certificate is refused while the sender is still on the line.

Going out, header fields are protected too (RFC 9788): the signed entity repeats subject, author and
recipients, and the subject outside an encrypted message says nothing (a national subject line names
a patient). Coming in, encryption is taken off and the signature is kept inside the stored message
as evidence; the verdict of today is stored beside it.

Errors
    `ProtectionImpossibleError` going out; `MessageRefusedError` coming in, with the reason.
Sources
    RFC 8551 (S/MIME 4.0), RFC 9788 (header protection).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ParamSpec, TypeVar

from crypto import smime, trust
from crypto.certificates import Certificate, parse_certificate
from crypto.errors import (
    CryptoError,
    DecryptionError,
    IndeterminateError,
    NoMatchingKeyError,
    SignatureError,
    UntrustedError,
)
from crypto.ports import KeyHolder
from directory import index_sql
from directory.address import MailAddress
from directory.model import MailboxEntry
from mss.blobs.offload import run_by_size
from mss.clock import Clock
from mss.errors import MessageRefusedError, ProtectionImpossibleError
from mss.mime import entity as entities
from mss.model.principal import PeerPrincipal, Principal
from mss.model.security import Binding, Security, SecurityFinding, Verdict
from mss.pipeline.submission import RelayRoute
from mss.policy.binding import binding_of
from mss.settings import ProtectionSettings
from mss.store.engine import Database
from mss.trust_space import TrustSpace

INLINE_OCTETS = 128 * 1024  # below, cryptography costs less than a hand-over to a thread
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What arrived, without its encryption: the octets to keep, and what they are worth.

    Attributes:
        signer: Whose signature holds, when there is one; not yet tied to the author.
    """

    kept: bytes
    security: Security
    signer: Certificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Holds the keys of this operator and applies the policy."""

    database: Database
    trust: TrustSpace
    signing: KeyHolder
    signing_chain: tuple[Certificate, ...]
    reading: KeyHolder
    settings: ProtectionSettings
    clock: Clock

    async def protect(self, raw: bytes, routes: Sequence[RelayRoute]) -> dict[str, bytes]:
        """Make the octets that leave, for each recipient's normalised address.

        Recipients of one domain share one set of octets; recipients of different operators never
        do, so that none learns of the others from the list of keys.

        Raises:
            ProtectionImpossibleError: There is no valid certificate, and the policy wants one.
        """
        groups: dict[tuple[str, bool], list[tuple[RelayRoute, Certificate | None]]] = {}
        for route in routes:
            certificate = await self._find_certificate(route.address)
            groups.setdefault((route.domain, certificate is not None), []).append(
                (route, certificate)
            )
        leaving: dict[str, bytes] = {}
        for members in groups.values():
            found = [one for _, one in members if one is not None]
            octets = await aside(len(raw), self._seal, raw, list(dict.fromkeys(found)))
            leaving |= {route.address.key: octets for route, _ in members}
        return leaving

    async def foresee(self, address: MailAddress) -> str:
        """Say how mail to another operator's mailbox would be protected: encrypted or signed.

        Raises:
            ProtectionImpossibleError: The policy wants encryption, and no certificate is known.
        """
        certificate = await self._find_certificate(address)
        return "encrypted" if certificate is not None else "signed"

    async def open(self, raw: bytes, principal: Principal) -> Opened:
        """Take encryption off what arrived and judge its signature, once and for ever.

        Raises:
            MessageRefusedError: It cannot be decrypted with our key, or its signature is broken.
        """
        if not isinstance(principal, PeerPrincipal):
            return Opened(kept=raw, security=self._plain(Verdict.INTERNAL, None))
        return await aside(len(raw), self._open, raw, principal.subject)

    async def bind(self, opened: Opened, author: MailAddress) -> Security:
        """Tie a valid signer to the author's mailbox; without a tie the verdict is not `valid`."""
        signer = opened.signer
        if signer is None:
            return opened.security
        entry = await self.database.read(lambda c: index_sql.find_mailbox(c, author))
        binding = binding_of(
            author_key=author.key,
            signer_addresses=signer.mail_addresses,
            signer_structure=signer.structure_id,
            mailbox_structures=_structures(entry),
            operator_structures=self.trust.operator_structures(str(author.domain)),
        )
        return _bound(opened.security, binding)

    async def _find_certificate(self, address: MailAddress) -> Certificate | None:
        """Find a certificate to encrypt for this mailbox with: published, and valid now."""
        published = await self.database.read(lambda c: index_sql.find_certificates(c, address))
        for der in published:
            certificate = self._valid_certificate(der)
            if certificate is not None:
                return certificate
        if self.settings.without_certificate == "refuse":
            reason = "certificate-invalid" if published else "certificate-missing"
            raise ProtectionImpossibleError(address=str(address), reason=reason)
        return None

    def _valid_certificate(self, der: bytes) -> Certificate | None:
        try:
            certificate = parse_certificate(der)
            trust.validate(
                certificate,
                store=self.trust.store,
                profile=self.trust.profile(trust.Usage.MAIL_ENCRYPTION),
                at=self.clock.now(),
            )
        except CryptoError:
            return None
        return certificate

    def _seal(self, raw: bytes, recipients: Sequence[Certificate]) -> bytes:
        """Sign, then encrypt when there is anybody to encrypt for."""
        is_encrypted = bool(recipients)
        entity = entities.protected_entity(raw, cipher=is_encrypted)
        if self.settings.sign:
            entity = smime.sign(
                entity, keys=self.signing, at=self.clock.now(), chain=self.signing_chain
            )
        if is_encrypted:
            entity = smime.encrypt(entity, recipients=recipients)
        return entities.outer_message(raw, entity, obscure_subject=is_encrypted)

    def _open(self, raw: bytes, peer: str) -> Opened:
        """Decrypt, then verify; plain synchronous work on octets."""
        kind = smime.classify(raw)
        decrypted: smime.Decrypted | None = None
        inner = raw
        if kind == "encrypted":
            try:
                decrypted = smime.decrypt(raw, keys=self.reading)
            except NoMatchingKeyError:
                return Opened(kept=raw, security=self._plain(Verdict.UNREADABLE, peer))
            except (DecryptionError, CryptoError) as error:
                raise MessageRefusedError(reason=error.code) from error
            inner = decrypted.entity
            kind = smime.classify(inner)
        if kind != "signed":
            return self._unsigned(raw, decrypted, peer)
        return self._verify(raw, inner, decrypted, peer)

    def _unsigned(self, raw: bytes, decrypted: smime.Decrypted | None, peer: str) -> Opened:
        security = self._plain(Verdict.NOT_SIGNED, peer)
        if decrypted is None:
            return Opened(kept=raw, security=security)
        restored = entities.restored_message(raw, decrypted.entity)
        findings = list(restored.findings)
        security = _with_encryption(security, decrypted, [_finding(one) for one in findings])
        return Opened(kept=restored.raw, security=security)

    def _verify(
        self, raw: bytes, inner: bytes, decrypted: smime.Decrypted | None, peer: str
    ) -> Opened:
        now = self.clock.now()
        try:
            proof = smime.verify(
                inner,
                store=self.trust.store,
                profile=self.trust.profile(trust.Usage.MAIL_SIGNING),
                at=now,
            )
            content, signer, verdict = proof.content, proof.signer, Verdict.VALID
            signed_at, algorithm, reason = proof.signed_at, proof.algorithm, ""
        except (UntrustedError, IndeterminateError) as error:
            if error.content is None or error.signer is None:
                raise MessageRefusedError(reason=error.code) from error
            is_bad = isinstance(error, UntrustedError)
            verdict = Verdict.UNTRUSTED if is_bad else Verdict.INDETERMINATE
            content, signer, reason = error.content, error.signer, f"{error.code}:{error.reason}"
            signed_at, algorithm = None, None
        except (SignatureError, CryptoError) as error:
            return self._broken(raw, inner, decrypted, peer, error)
        restored = entities.restored_message(raw, content, evidence=inner)
        findings = [_finding(one) for one in restored.findings]
        if reason:
            findings.append(SecurityFinding(code="signer", severity="warning", text=reason))
        security = Security(
            verdict=verdict,
            judged_at=now,
            signed_at=signed_at,
            signature_algorithm=algorithm,
            signer=signer.organization or signer.common_name,
            signer_subject=signer.subject_text,
            signer_fingerprint=signer.fingerprint,
            peer_subject=peer,
            findings=tuple(findings),
        )
        if decrypted is not None:
            security = _with_encryption(security, decrypted, findings)
        return Opened(kept=restored.raw, security=security, signer=signer)

    def _broken(
        self,
        raw: bytes,
        inner: bytes,
        decrypted: smime.Decrypted | None,
        peer: str,
        error: CryptoError,
    ) -> Opened:
        """Refuse a signature that does not match, or keep the message marked: by policy."""
        reason = f"{error.code}:{getattr(error, 'reason', '')}"
        if self.settings.broken_signature == "refuse":
            raise MessageRefusedError(reason=error.code) from error
        finding = SecurityFinding(code="signature-broken", severity="error", text=reason)
        security = self._plain(Verdict.UNTRUSTED, peer, finding)
        if decrypted is None:
            return Opened(kept=raw, security=security)
        restored = entities.restored_message(raw, inner)
        security = _with_encryption(security, decrypted, [finding])
        return Opened(kept=restored.raw, security=security)

    def _plain(self, verdict: Verdict, peer: str | None, *findings: SecurityFinding) -> Security:
        return Security(
            verdict=verdict, judged_at=self.clock.now(), peer_subject=peer, findings=findings
        )


async def aside(size_octets: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do work on octets: here when they are few, in a thread when they would hold up the loop."""
    call = partial(work, *args, **kwargs)
    return await run_by_size(call, size_octets, inline_octets=INLINE_OCTETS)


def _structures(entry: MailboxEntry | None) -> frozenset[str]:
    """List the national identifiers of the structure that the directory attaches a mailbox to."""
    national_id = entry.organization.national_id if entry and entry.organization else None
    return frozenset({str(national_id)} if national_id else ())


def _finding(one: entities.HeaderFinding) -> SecurityFinding:
    """Say a remark on the header in the words that are stored."""
    is_bad = one.field == "From" and one.code is not entities.HeaderFindingCode.NOT_PROTECTED
    severity = "info" if one.code is entities.HeaderFindingCode.NOT_PROTECTED else "warning"
    return SecurityFinding(
        code=one.code.value, severity="error" if is_bad else severity, text=one.field
    )


def _with_encryption(
    security: Security, decrypted: smime.Decrypted, findings: Sequence[SecurityFinding]
) -> Security:
    """Add what is known of the encrypted layer.

    Content that nothing protects against change (CBC, and no signature that holds) says so.
    """
    found = list(findings)
    if not decrypted.authenticated and security.verdict is not Verdict.VALID:
        found.append(
            SecurityFinding(
                code="content-malleable",
                severity="warning",
                text="The content was encrypted but not protected against change.",
            )
        )
    return replace(
        security,
        encrypted=True,
        content_algorithm=decrypted.content_algorithm,
        findings=tuple(found),
    )


def _bound(security: Security, binding: Binding) -> Security:
    """Lower a verdict that its author's address does not deserve."""
    findings = list(security.findings)
    verdict = security.verdict
    if binding is Binding.NONE:
        findings.append(
            SecurityFinding(
                code="signer-not-bound",
                severity="warning",
                text="The signature holds, but nothing ties its signer to the author's mailbox.",
            )
        )
    is_doubtful = binding is Binding.NONE or any(one.severity == "error" for one in findings)
    if verdict is Verdict.VALID and is_doubtful:
        verdict = Verdict.UNTRUSTED
    return replace(security, verdict=verdict, binding=binding, findings=tuple(findings))
