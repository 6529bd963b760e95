"""What a message's protection was worth when it arrived: decided once, kept for ever.

The verdict is stored with the message and never recomputed for display: certificates expire, and
what was true at receipt must still be shown years later.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Verdict(StrEnum):
    """What a reader may rely on."""

    VALID = "valid"  # signed by whom we name, chain and binding hold
    INVALID = "invalid"  # what was signed is not what arrived; kept only where the policy says so
    UNTRUSTED = "untrusted"  # the octets match the signature, but we do not know the signer
    INDETERMINATE = "indeterminate"  # the signer could not be judged (revocation unknown)
    NOT_SIGNED = "not-signed"  # nothing was signed; the transport was authenticated
    INTERNAL = "internal"  # never left this operator; the sender logged in here
    UNREADABLE = "unreadable"  # encrypted for a key that only the recipient holds


class Binding(StrEnum):
    """How a signer is tied to the author's mailbox."""

    ADDRESS = "address"  # the certificate names the author's address
    DOMAIN = "domain"  # the certificate names the author's whole domain
    DIRECTORY = "directory"  # the directory says that the mailbox belongs to the signing structure
    OPERATOR = "operator"  # the signing structure operates the author's domain (trust list)
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityFinding:
    """Something about the protection that a careful reader should know."""

    code: str
    severity: str  # error, warning, info
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityLayer:
    """One signature or encryption around the content.

    Attributes:
        kind: `signed` or `encrypted`.
        algorithm: The cipher or the signature scheme; `None` if the layer was not opened.
        signer: Subject of the signing certificate, RFC 4514; `None` for an encrypted layer.
        error: Code of the reason why the layer is not good; `None` if it is.
    """

    kind: str
    algorithm: str | None
    signer: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """What was signed or encrypted, by whom, and what it was worth at receipt.

    Attributes:
        signer: For people: the signing person or structure; `None` when nothing was signed.
        signer_subject: Subject of the signing certificate, RFC 4514.
        encrypted_for_client: Only the client of the mailbox can read what is stored.
        content_algorithm: Algorithm of the encrypted layer, e.g. `aes-256-gcm`.
        layers: Every layer that was taken off, outermost first.
        evidence: For each signer, what the verdict on the certificate rests on, as JSON (see
            `crypto.evidence`): it can be judged again for the same instant.
        peer_subject: Subject of the certificate that the sending operator showed.
    """

    verdict: Verdict
    judged_at: datetime
    encrypted: bool = False
    encrypted_for_client: bool = False
    content_algorithm: str | None = None
    signed_at: datetime | None = None
    signature_algorithm: str | None = None
    signer: str | None = None
    signer_subject: str | None = None
    signer_fingerprint: str | None = None
    binding: Binding = Binding.NONE
    peer_subject: str | None = None
    findings: tuple[SecurityFinding, ...] = ()
    layers: tuple[SecurityLayer, ...] = ()
    evidence: tuple[str, ...] = ()
