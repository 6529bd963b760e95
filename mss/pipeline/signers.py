"""Who is behind a valid signature, for whom did they write, and what do we learn of them?

A signature proves a certificate. Whether that certificate speaks for the author's mailbox, whether
the signer wrote to the recipient here, and whether it is the signer of last time, is asked of the
directory, of the trust list and of what earlier letters taught. What is learnt comes only from
letters that are valid in the end.

Errors
    `MessageRefusedError`, where the policy refuses letters that were written to others.
Sources
    RFC 8551, 2.7.1 (capabilities that were seen); docs/adr/0016.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from crypto.certificates import Certificate
from crypto.smime import SignerProof
from directory import index_sql
from directory.address import MailAddress
from directory.model import MailboxEntry
from mss.errors import MessageRefusedError
from mss.mime.parse import ParsedMessage
from mss.model.security import Binding, Security, SecurityFinding, Verdict
from mss.pipeline.opening import Opened
from mss.policy.binding import binding_of
from mss.policy.protection import Listing, listing_of, loose_parts, worst_listing
from mss.settings import ProtectionSettings
from mss.store import correspondents
from mss.store.correspondents import Correspondent
from mss.store.engine import Connection, Database
from mss.trust_space import TrustSpace

RENEW_AFTER = timedelta(days=1)  # what is known already is written again only so often
_CLOSEST = tuple(Binding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Ties signers to mailboxes."""

    database: Database
    trust: TrustSpace
    settings: ProtectionSettings

    async def bind(
        self, opened: Opened, message: ParsedMessage, recipients: Collection[MailAddress]
    ) -> Security:
        """Judge a letter that was opened; see `Protection.bind`."""
        security = opened.security
        if security.verdict is Verdict.INTERNAL:
            return security
        if not security.layers:
            codes = loose_parts(part.content_type for part in message.parts())
            return _with(security, *(_warning(code, _LOOSE) for code in codes))
        if opened.signer is None:
            return security
        author = message.author.address
        entry, known = await self.database.read(lambda c: _look(c, author))
        binding, proof = self._closest(opened, author, entry)
        security = _tied(security, binding)
        if proof is None:
            return security
        security = self._addressed(security, opened, proof, recipients)
        if security.verdict is not Verdict.VALID:
            return security
        return await self._learn(security, author, proof, known)

    def _closest(
        self, opened: Opened, author: MailAddress, entry: MailboxEntry | None
    ) -> tuple[Binding, SignerProof | None]:
        """Find the signer who is closest to the author: any of several may be the author."""
        ties = [(self._tie(each.certificate, author, entry), each) for each in opened.proofs]
        if not ties:
            assert opened.signer is not None
            return self._tie(opened.signer, author, entry), None
        return min(ties, key=lambda tie: _CLOSEST.index(tie[0]))

    def _tie(self, signer: Certificate, author: MailAddress, entry: MailboxEntry | None) -> Binding:
        return binding_of(
            author_key=author.key,
            signer_addresses=signer.mail_addresses,
            signer_domains=signer.dns_names,
            signer_structure=signer.structure_id,
            mailbox_structures=_structures(entry),
            operator_structures=self.trust.operator_structures(str(author.domain)),
        )

    def _addressed(
        self,
        security: Security,
        opened: Opened,
        proof: SignerProof,
        recipients: Collection[MailAddress],
    ) -> Security:
        """Compare the recipients here with those that the signer wrote to."""
        listed = None
        if proof.recipients is not None:
            listed = {each.address.lower() for each in proof.recipients}
        listing = worst_listing(
            listing_of(each.key, listed=listed, named=opened.named) for each in recipients
        )
        if listing is Listing.UNLISTED and self.settings.unlisted_recipient == "refuse":
            raise MessageRefusedError(reason="recipient-not-listed")
        return _lowered(_with(security, *_LISTING_FINDINGS.get(listing, ())))

    async def _learn(
        self,
        security: Security,
        author: MailAddress,
        proof: SignerProof,
        known: Correspondent | None,
    ) -> Security:
        """Remember who signs for the author and what they read; tell when it is somebody new."""
        if proof.signed_at is None:
            return security
        learnt = Correspondent(
            address_key=author.key,
            signer_fingerprint=proof.certificate.fingerprint,
            signer_subject=proof.certificate.subject_text,
            capabilities=proof.capabilities or (),
            signed_at=min(proof.signed_at, security.judged_at),
            seen_at=security.judged_at,
        )
        if known is None or _is_news(known, learnt):
            await self.database.write(lambda c: correspondents.learn(c, learnt))
        if known is None or known.signed_at > learnt.signed_at:
            return security
        return _with(security, *_change_of_signer(known, learnt))


def _look(
    connection: Connection, author: MailAddress
) -> tuple[MailboxEntry | None, Correspondent | None]:
    known = correspondents.find_correspondents(connection, [author.key])
    return index_sql.find_mailbox(connection, author), known.get(author.key)


def _structures(entry: MailboxEntry | None) -> frozenset[str]:
    """List the national identifiers of the structure that the directory attaches a mailbox to."""
    national_id = entry.organization.national_id if entry and entry.organization else None
    return frozenset({str(national_id)} if national_id else ())


def _is_news(known: Correspondent, learnt: Correspondent) -> bool:
    is_same = (known.signer_fingerprint, known.capabilities) == (
        learnt.signer_fingerprint,
        learnt.capabilities,
    )
    return not is_same or learnt.signed_at - known.signed_at >= RENEW_AFTER


def _change_of_signer(known: Correspondent, learnt: Correspondent) -> Sequence[SecurityFinding]:
    """A renewed certificate of the same holder is worth a remark; another holder, a warning."""
    if known.signer_fingerprint == learnt.signer_fingerprint:
        return ()
    is_renewed = known.signer_subject == learnt.signer_subject
    return (
        SecurityFinding(
            code="signer-certificate-renewed" if is_renewed else "signer-changed",
            severity="info" if is_renewed else "warning",
            text="This mailbox signed with another certificate before.",
        ),
    )


def _warning(code: str, text: str) -> SecurityFinding:
    return SecurityFinding(code=code, severity="warning", text=text)


_LOOSE = "Part of the letter is signed or encrypted; it was neither opened nor believed."
_LISTING_FINDINGS: dict[Listing, tuple[SecurityFinding, ...]] = {
    Listing.UNLISTED: (
        SecurityFinding(
            code="recipient-not-listed",
            severity="error",
            text="The signer wrote to others; somebody passed the letter on.",
        ),
    ),
    Listing.UNNAMED: (
        _warning(
            "recipient-not-named",
            "The signed header names other recipients: a blind copy, or a letter passed on.",
        ),
    ),
    Listing.UNKNOWN: (
        SecurityFinding(
            code="recipients-not-signed",
            severity="info",
            text="The signature does not say for whom the letter was written.",
        ),
    ),
}


def _with(security: Security, *findings: SecurityFinding) -> Security:
    return replace(security, findings=(*security.findings, *findings))


def _lowered(security: Security) -> Security:
    """Take *valid* away from a letter about which there is a serious finding."""
    is_doubtful = any(one.severity == "error" for one in security.findings)
    if security.verdict is Verdict.VALID and is_doubtful:
        return replace(security, verdict=Verdict.UNTRUSTED)
    return security


def _tied(security: Security, binding: Binding) -> Security:
    """Lower a verdict that its author's address does not deserve."""
    security = replace(security, binding=binding)
    if binding is not Binding.NONE:
        return _lowered(security)
    finding = _warning(
        "signer-not-bound",
        "The signature holds, but nothing ties its signer to the author's mailbox.",
    )
    if security.verdict is Verdict.VALID:
        security = replace(security, verdict=Verdict.UNTRUSTED)
    return _with(security, finding)
