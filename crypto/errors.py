"""What can go wrong with certificates, signatures, encryption and sealed octets.

Two families must never be confused: *it is bad* (`SignatureError`, `UntrustedError`) and
*we cannot tell* (`IndeterminateError`). A caller may retry the second; never the first.

Errors
    Each class has a permanent kebab-case `code`, says whether a retry may succeed, and has a
    `public_text` that a stranger may read. `reason` is a second, finer kebab-case code, also
    permanent, for logs and for people who mend things; it holds no content of any message.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from crypto.certificates import Certificate


class CryptoError(Exception):
    """Root of what this package raises on purpose.

    Attributes:
        code: Permanent kebab-case name.
        retryable: True if the same request may succeed later.
        public_text: What a stranger may read: no name, no path, no cause.
    """

    code: ClassVar[str] = "crypto"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "Cryptographic operation refused."

    def __str__(self) -> str:
        reason = getattr(self, "reason", "")
        return f"{self.code}: {reason}" if reason else self.code


@dataclass(eq=False)
class CertificateSyntaxError(CryptoError):
    """The octets are not a certificate that we accept to read."""

    code: ClassVar[str] = "certificate-syntax"
    public_text: ClassVar[str] = "Unreadable certificate."

    reason: str


@dataclass(eq=False)
class RevocationSyntaxError(CryptoError):
    """The octets are not a certificate revocation list."""

    code: ClassVar[str] = "revocation-syntax"
    public_text: ClassVar[str] = "Unreadable revocation list."

    reason: str


@dataclass(eq=False)
class FetchError(CryptoError):
    """A list, an answer or a certificate could not be fetched; the last good one stays in use.

    `reason` is of two kinds: what we refuse (`host-not-allowed`, `private-address`, `redirect`,
    `too-large`...), and what the other side did (`timeout`, `unreachable`, `status-503`...).
    """

    code: ClassVar[str] = "fetch-failed"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "A revocation source cannot be fetched."

    reason: str


@dataclass(eq=False)
class KeySyntaxError(CryptoError):
    """The octets are not a private key that we use, or do not belong to the certificate."""

    code: ClassVar[str] = "key-syntax"
    public_text: ClassVar[str] = "Unusable private key."

    reason: str


@dataclass(eq=False)
class KeyUnavailableError(CryptoError):
    """No key of this holder can do what is asked, for instance sign at this instant."""

    code: ClassVar[str] = "key-unavailable"
    public_text: ClassVar[str] = "No suitable key."

    reason: str


@dataclass(eq=False)
class TokenUnavailableError(CryptoError):
    """The hardware that holds a key does not work now; nothing is known of what was asked."""

    code: ClassVar[str] = "token-unavailable"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "The keys are out of reach for a moment."

    reason: str


@dataclass(eq=False)
class CmsSyntaxError(CryptoError):
    """The octets are not a CMS structure, or exceed one of its limits."""

    code: ClassVar[str] = "cms-syntax"
    public_text: ClassVar[str] = "Unreadable cryptographic message."

    reason: str


@dataclass(eq=False)
class NotSignedError(CryptoError):
    """The entity does not claim to be signed."""

    code: ClassVar[str] = "not-signed"
    public_text: ClassVar[str] = "Not signed."


@dataclass(eq=False)
class NotEncryptedError(CryptoError):
    """The entity does not claim to be encrypted."""

    code: ClassVar[str] = "not-encrypted"
    public_text: ClassVar[str] = "Not encrypted."


@dataclass(eq=False)
class SignatureError(CryptoError):
    """It claims to be signed, but the octets or the form of the signature are wrong."""

    code: ClassVar[str] = "signature-invalid"
    public_text: ClassVar[str] = "Invalid signature."

    reason: str


@dataclass(eq=False)
class UntrustedError(CryptoError):
    """The certificate does not lead to an anchor, or not for this use.

    `content` and `signer` are filled by signature verification: the signature holds over these
    octets, but who made it is not established.
    """

    code: ClassVar[str] = "certificate-untrusted"
    public_text: ClassVar[str] = "Certificate not trusted."

    reason: str
    signer: "Certificate | None" = field(default=None, repr=False, kw_only=True)
    content: bytes | None = field(default=None, repr=False, kw_only=True)


@dataclass(eq=False)
class ExpiredError(UntrustedError):
    """A certificate of the chain is not valid at the instant of judgement."""

    code: ClassVar[str] = "certificate-expired"
    public_text: ClassVar[str] = "Certificate outside its validity."


@dataclass(eq=False)
class RevokedError(UntrustedError):
    """A certificate of the chain was revoked by its issuer."""

    code: ClassVar[str] = "certificate-revoked"
    public_text: ClassVar[str] = "Certificate revoked."

    revoked_at: datetime | None = field(default=None, kw_only=True)


@dataclass(eq=False)
class IndeterminateError(CryptoError):
    """We cannot tell: revocation unknown or stale, or the signer's certificate is not at hand.

    `content` and `signer` are filled as for `UntrustedError` when the octets did match.
    """

    code: ClassVar[str] = "certificate-indeterminate"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "Certificate status cannot be established."

    reason: str
    signer: "Certificate | None" = field(default=None, repr=False, kw_only=True)
    content: bytes | None = field(default=None, repr=False, kw_only=True)


@dataclass(eq=False)
class DecryptionError(CryptoError):
    """It cannot be decrypted: one answer for wrong key, padding, tag, length or content.

    A finer answer would be an oracle, so `reason` is empty as soon as a key has been used. It is
    given only for what anybody can see in the message, such as a tag that is too short.
    """

    code: ClassVar[str] = "undecryptable"
    public_text: ClassVar[str] = "The message cannot be decrypted."

    reason: str = field(default="", kw_only=True)


@dataclass(eq=False)
class NoMatchingKeyError(DecryptionError):
    """No certificate of ours is named as a recipient. Names are in clear: this tells no secret."""

    code: ClassVar[str] = "no-matching-key"


@dataclass(eq=False)
class UnsupportedAlgorithmError(CryptoError):
    """The algorithm is refused, or unknown.

    `algorithm` is its name or its dotted identifier; `reason` says what is wrong with it.
    """

    code: ClassVar[str] = "unsupported-algorithm"
    public_text: ClassVar[str] = "Unsupported algorithm."

    algorithm: str
    reason: str = field(default="", kw_only=True)

    def __str__(self) -> str:
        what = f"{self.code}: {self.algorithm}"
        return f"{what} ({self.reason})" if self.reason else what


@dataclass(eq=False)
class SealError(CryptoError):
    """Sealed octets were changed, cut, moved to another context, or the key version is unknown."""

    code: ClassVar[str] = "seal-broken"
    public_text: ClassVar[str] = "Stored data cannot be opened."

    reason: str


@dataclass(eq=False)
class PasswordHashSyntaxError(CryptoError):
    """A stored password hash is not of a form that we write."""

    code: ClassVar[str] = "password-hash-syntax"
    public_text: ClassVar[str] = "Stored credential unreadable."


@dataclass(eq=False)
class XmlSignatureError(CryptoError):
    """The document is not signed in the one form that we accept, or the signature does not hold."""

    code: ClassVar[str] = "xml-signature-invalid"
    public_text: ClassVar[str] = "Invalid XML signature."

    reason: str
