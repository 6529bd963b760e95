"""What arrived, without its layers, and what is it worth?

Decided once, at receipt, and stored. A letter that must not be taken is refused while the other
side is on the line. Whoever sends something encrypted must not learn from the answer whether, or
how far, we could decrypt it: every such refusal is `undecryptable`, and content that anybody could
have changed (a cipher that does not authenticate, and no signature inside) gets the same answer
whether it could be opened or not. The finer reason goes to the log.

Errors
    `MessageRefusedError`, with the reason.
Sources
    RFC 8551 (S/MIME 4.0); Poddebniak et al., Efail, 2018; Vaudenay, CBC padding, 2002;
    docs/adr/0016.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import orjson

from crypto import layers
from crypto.certificates import Certificate
from crypto.clear_form import in_the_clear
from crypto.entity import read_entity
from crypto.errors import CryptoError, NoMatchingKeyError
from crypto.evidence import evidence_of
from crypto.kinds import Kind, is_enveloped_without_tag
from crypto.layers import Judgement, Layer, Unwrapped
from crypto.ports import KeyHolder
from crypto.smime import SignerProof
from crypto.trust import Profile, TrustStore
from mss.errors import MessageRefusedError
from mss.mime import entity as entities
from mss.mime.errors import MessageSyntaxError
from mss.mime.parse import parse_message
from mss.model.principal import PeerPrincipal
from mss.model.security import Security, SecurityFinding, SecurityLayer, Verdict
from mss.policy.protection import must_authenticate
from mss.settings import ProtectionSettings

_log = logging.getLogger(__name__)

_VERDICTS = {
    Judgement.VALID: Verdict.VALID,
    Judgement.INVALID: Verdict.INVALID,
    Judgement.UNTRUSTED: Verdict.UNTRUSTED,
    Judgement.INDETERMINATE: Verdict.INDETERMINATE,
    Judgement.NOT_SIGNED: Verdict.NOT_SIGNED,
    Judgement.UNDECRYPTABLE: Verdict.UNREADABLE,
}
_TEXTS = {
    "content-malleable": "The content was encrypted but not protected against change.",
    "signed-outside-only": "The ciphertext is signed; its signer need not have known the content.",
}
_UNDECRYPTABLE = SecurityFinding(
    code="undecryptable", severity="error", text="The content could not be decrypted."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What arrived, without its encryption: the octets to keep, and what they are worth.

    Attributes:
        signer: Who signed the content, even if nobody vouches for them; not yet tied to the author.
        proofs: Every signer of the content whose signature holds and whom we trust.
        named: Addresses that the protected header names, normalised; None if it is not protected.
    """

    kept: bytes = field(repr=False)
    security: Security
    signer: Certificate | None = None
    proofs: tuple[SignerProof, ...] = ()
    named: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """Opens and judges letters of peers; plain synchronous work on octets.

    Attributes:
        keys: Holds our keys for reading.
        at: The instant of receipt.
    """

    keys: KeyHolder
    store: TrustStore
    profile: Profile
    settings: ProtectionSettings
    at: datetime

    def open(self, raw: bytes, peer: PeerPrincipal) -> Opened:
        """Take every layer off what *peer* sent, and judge it.

        Raises:
            MessageRefusedError: It cannot be decrypted with our key, or its signature is broken,
                and the policy wants neither kept.
        """
        unwrapped = layers.unwrap(
            raw,
            keys=self.keys,
            store=self.store,
            profile=self.profile,
            at=self.at,
            only_authenticated=must_authenticate(peer.domains, self.settings.profiles),
        )
        base = Security(
            verdict=_VERDICTS[unwrapped.judgement],
            judged_at=self.at,
            peer_subject=peer.subject,
            layers=tuple(map(_layer, unwrapped.layers)),
        )
        if unwrapped.content is None:
            return self._failed(raw, unwrapped, base)
        if not _may_be_changed(unwrapped.layers):
            return _restored(raw, unwrapped, unwrapped.content, base)
        if self.settings.malleable_content == "refuse":
            raise _refusal("content-malleable")
        try:
            opened = _restored(raw, unwrapped, unwrapped.content, base)
            parse_message(opened.kept)
        except MessageSyntaxError:  # garbage is kept closed, like what could not be opened
            closed = replace(base, verdict=Verdict.UNREADABLE)
            return Opened(kept=raw, security=_with_encryption(closed, unwrapped, [_UNDECRYPTABLE]))
        return opened

    def _failed(self, raw: bytes, unwrapped: Unwrapped, base: Security) -> Opened:
        """Refuse what cannot be opened or believed, or keep it as it came: by policy."""
        error = unwrapped.failure
        assert error is not None
        if isinstance(error, NoMatchingKeyError):
            return Opened(kept=raw, security=base)  # the recipient's own software may hold the key
        is_soft = _is_soft(raw, unwrapped)
        if unwrapped.judgement is Judgement.UNDECRYPTABLE or is_soft:
            if not is_soft or self.settings.malleable_content == "refuse":
                raise _refusal(str(error)) from error
        elif self.settings.broken_signature == "refuse":
            raise MessageRefusedError(reason=error.code) from error
        finding = _UNDECRYPTABLE
        if base.verdict is Verdict.INVALID:
            text = _reason_of(error)
            finding = SecurityFinding(code="signature-broken", severity="error", text=text)
        return Opened(kept=raw, security=_with_encryption(base, unwrapped, [finding]))


def _refusal(reason: str) -> MessageRefusedError:
    """Make the one answer to everything that cannot be decrypted; the log has the reason."""
    _log.info("not decrypted: %s", reason)
    return MessageRefusedError(reason="undecryptable")


def _may_be_changed(found: Sequence[Layer]) -> bool:
    """True if there is a layer that does not authenticate, and no signature inside it.

    What counts is a signature that holds, by whomever: nobody can make one for content that they
    change without knowing it.
    """
    return any(
        layer.is_malleable and not any(map(_holds, found[number + 1 :]))
        for number, layer in enumerate(found)
    )


def _holds(layer: Layer) -> bool:
    return layer.is_signed and layer.signer is not None


def _is_soft(raw: bytes, unwrapped: Unwrapped) -> bool:
    """True if a layer does not authenticate its content, whether or not it could be opened."""
    if any(each.is_malleable for each in unwrapped.layers):
        return True
    last = unwrapped.layers[-1]
    if last.kind is not Kind.ENCRYPTED:
        return False
    return len(unwrapped.layers) > 1 or is_enveloped_without_tag(read_entity(raw))


def _restored(raw: bytes, unwrapped: Unwrapped, content: bytes, base: Security) -> Opened:
    """Put the letter together again: its protected header, and the signature as evidence."""
    if not unwrapped.layers:
        return Opened(kept=raw, security=base)
    signature = unwrapped.signature
    is_outermost_inside = unwrapped.layers[-1].is_signed
    evidence = unwrapped.evidence if is_outermost_inside else None
    restored = entities.restored_message(
        raw, content, evidence=None if evidence is None else in_the_clear(evidence)
    )
    findings = [_header_finding(one) for one in restored.findings]
    findings += _layer_findings(unwrapped)
    if signature is not None and evidence is None:
        findings.append(SecurityFinding(code="signature-not-kept", severity="info", text=""))
    if unwrapped.is_signed_outside_only and not restored.header_protected:
        findings = [_as_error(one, "signed-outside-only") for one in findings]
    security = _signed(base, signature) if signature is not None else base
    return Opened(
        kept=restored.raw,
        security=_with_encryption(security, unwrapped, findings),
        signer=None if signature is None else signature.signer,
        proofs=_proofs(unwrapped),
        named=restored.recipients,
    )


def _proofs(unwrapped: Unwrapped) -> tuple[SignerProof, ...]:
    signature = unwrapped.signature
    if unwrapped.judgement is not Judgement.VALID or signature is None or signature.proof is None:
        return ()
    return signature.proof.signers


def _signed(base: Security, signature: Layer) -> Security:
    """Say who signed."""
    signer = signature.signer
    if signer is not None:
        base = replace(
            base,
            signer=signer.organization or signer.common_name,
            signer_subject=signer.subject_text,
            signer_fingerprint=signer.fingerprint,
        )
    if signature.proof is None:
        return base
    chains = (each.chain for each in signature.proof.signers)
    return replace(
        base,
        signed_at=signature.proof.signed_at,
        signature_algorithm=signature.proof.algorithm,
        evidence=tuple(orjson.dumps(evidence_of(each)).decode() for each in chains),
    )


def _layer_findings(unwrapped: Unwrapped) -> list[SecurityFinding]:
    """Say what is remarkable about each layer and about the whole."""
    found = [
        SecurityFinding(code="signer", severity="warning", text=_reason_of(layer.error))
        for layer in unwrapped.layers
        if layer.is_signed and layer.error is not None
    ]
    found += [
        SecurityFinding(code=code, severity="warning", text=_TEXTS[code])
        for code in unwrapped.findings
    ]
    remarks = dict.fromkeys(code for layer in unwrapped.layers for code in layer.findings)
    remarks.pop("content-not-authenticated", None)  # said above, unless a signature makes it good
    return found + [SecurityFinding(code=code, severity="info", text="") for code in remarks]


def _layer(layer: Layer) -> SecurityLayer:
    return SecurityLayer(
        kind=layer.kind.value,
        algorithm=layer.algorithm,
        signer=None if layer.signer is None else layer.signer.subject_text,
        error=None if layer.error is None else layer.error.code,
    )


def _reason_of(error: CryptoError) -> str:
    return f"{error.code}:{getattr(error, 'reason', '')}"


def _as_error(finding: SecurityFinding, code: str) -> SecurityFinding:
    return replace(finding, severity="error") if finding.code == code else finding


def _header_finding(one: entities.HeaderFinding) -> SecurityFinding:
    """Say a remark on the header in the words that are stored."""
    is_about_all = not one.field
    is_bad = one.field == "From" and not is_about_all
    severity = "info" if is_about_all else "warning"
    return SecurityFinding(
        code=one.code.value, severity="error" if is_bad else severity, text=one.field
    )


def _with_encryption(
    security: Security, unwrapped: Unwrapped, findings: Sequence[SecurityFinding]
) -> Security:
    """Add what is known of the encrypted layer, the innermost if there are several."""
    opened = [each for each in unwrapped.layers if each.decrypted is not None]
    return replace(
        security,
        encrypted=bool(opened),
        content_algorithm=opened[-1].algorithm if opened else None,
        findings=tuple(findings),
    )
