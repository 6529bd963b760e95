"""Encrypt content for recipients, and open what was encrypted for us.

One content key and nonce per message, one RecipientInfo per certificate. Plaintext leaves only
after the tag was checked. Whatever fails once a private key is involved, the answer is the same
`DecryptionError`, after the same work, so that nobody learns from asking.

The parts are usable alone, for content that does not fit in memory: `prepare` and `unlock` settle
everything but the content, which then goes through an encryptor or a decryptor piece by piece.

Errors
    `NoMatchingKeyError` when none of our certificates is named; `UnsupportedAlgorithmError` and
    `CmsSyntaxError`, with a reason, for what is refused before any key is used; `DecryptionError`
    for the rest.
Sources
    RFC 5652, 6; RFC 5083 (AuthEnvelopedData); CVE-2017-17689 (Efail: changed CBC content).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from os import urandom
from typing import Final

from crypto import algorithms, cms, der
from crypto.certificates import Certificate
from crypto.content_encryption import (
    BLOCK,
    TAG_OCTETS,
    ContentAlgorithm,
    ContentDecryptor,
    ContentEncryptor,
    new_content_algorithm,
    open_decryptor,
    read_content_algorithm,
)
from crypto.content_key import ContentKey, recover_content_key
from crypto.errors import CmsSyntaxError, DecryptionError
from crypto.ports import KeyHolder
from crypto.recipient_info import (
    EnvelopeProfile,
    RecipientPlan,
    build_recipient_infos,
    content_profile,
    plan_recipients,
    profile_for,
)

__all__ = [
    "ContentDecryptor",
    "ContentEncryptor",
    "EnvelopeProfile",
    "Opened",
    "RecipientPlan",
    "Sealing",
    "Unlocked",
    "build",
    "content_profile",
    "decrypt",
    "plan_recipients",
    "prepare",
    "profile_for",
    "unlock",
]

CONTENT_KEY_OCTETS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Content that was encrypted for us.

    Attributes:
        is_authenticated: The cipher itself proves that nobody changed the content.
        recipient: The certificate of ours that was named.
        findings: Kebab-case remarks.
    """

    content: bytes
    is_authenticated: bool
    content_algorithm: str
    key_algorithm: str
    recipient: Certificate
    findings: tuple[str, ...]


# --- Encrypting ------------------------------------------------------------------------------


def build(
    content: bytes,
    *,
    recipients: Sequence[Certificate | RecipientPlan],
    profile: EnvelopeProfile | None = None,
) -> bytes:
    """Return a ContentInfo with the encrypted *content*, in DER.

    Args:
        content: What to encrypt.
        recipients: Who may read; plans for those of whom more is known than their certificate.
        profile: For plain certificates; by default what each announces.

    Raises:
        KeyUnavailableError: There is no recipient, too many, or a certificate not for encryption.
        UnsupportedAlgorithmError: A recipient's key is of a kind or size that we do not use.
    """
    sealing = prepare(recipients, profile=profile)
    return b"".join(sealing.pieces((content,), plain_octets=len(content)))


def prepare(
    recipients: Sequence[Certificate | RecipientPlan], *, profile: EnvelopeProfile | None = None
) -> "Sealing":
    """Make a content key and wrap it for every recipient; arguments and errors as for `build`."""
    plans = plan_recipients(recipients, profile=profile)
    is_authenticated = content_profile(plans) is EnvelopeProfile.MODERN
    content_key = urandom(CONTENT_KEY_OCTETS)
    infos = build_recipient_infos(plans, content_key)
    # RFC 5083, 2.1: an AuthEnvelopedData is of version 0 whoever its recipients are.
    version = 0 if is_authenticated else infos.version
    return Sealing(
        is_authenticated=is_authenticated,
        before=der.integer(version) + infos.encoded,
        algorithm=new_content_algorithm(
            algorithms.AES256_GCM if is_authenticated else algorithms.AES256_CBC
        ),
        content_key=content_key,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """What is settled before the first octet of a message is encrypted.

    For one message, once: the nonce is in it.

    Attributes:
        before: The version and the recipients.
    """

    is_authenticated: bool
    before: bytes = field(repr=False)
    algorithm: ContentAlgorithm
    content_key: bytes = field(repr=False)

    @property
    def tag_octets(self) -> int:
        """How much follows the ciphertext."""
        return len(der.octet_string(bytes(TAG_OCTETS))) if self.is_authenticated else 0

    def ciphertext_octets(self, plain_octets: int) -> int:
        """Return how long the ciphertext of so much plaintext is, the tag aside."""
        return plain_octets if self.is_authenticated else plain_octets // BLOCK * BLOCK + BLOCK

    def head(self, ciphertext_octets: int) -> bytes:
        """Return all that stands before the ciphertext: lengths are definite, so known first."""
        kind = (
            algorithms.AUTH_ENVELOPED_DATA if self.is_authenticated else algorithms.ENVELOPED_DATA
        )
        head = der.oid(algorithms.DATA) + self.algorithm.encoded
        head += der.header(der.context(0, constructed=False), ciphertext_octets)
        head = self.before + der.header(der.SEQUENCE, len(head) + ciphertext_octets) + head
        rest = ciphertext_octets + self.tag_octets
        head = der.header(der.SEQUENCE, len(head) + rest) + head
        head = der.oid(kind) + der.header(der.context(0), len(head) + rest) + head
        return der.header(der.SEQUENCE, len(head) + rest) + head

    def pieces(
        self, content: Iterable[bytes | memoryview], *, plain_octets: int
    ) -> Iterator[bytes]:
        """Return the whole ContentInfo in pieces; *plain_octets* is how long *content* is."""
        yield self.head(self.ciphertext_octets(plain_octets))
        encryptor = ContentEncryptor(self.algorithm, self.content_key)
        for piece in content:
            yield encryptor.update(piece)
        yield encryptor.finish()


# --- Decrypting ------------------------------------------------------------------------------


def decrypt(enveloped: cms.Enveloped, *, keys: KeyHolder) -> Opened:
    """Open *enveloped* with the first of our certificates that it names."""
    unlocked = unlock(enveloped, keys=keys)
    decryptor = unlocked.decryptor()
    content = decryptor.update(enveloped.ciphertext)
    rest = decryptor.finish()  # checks the tag; until here nobody has seen the plaintext
    return unlocked.opened(content + rest if rest else content)


def unlock(enveloped: cms.Enveloped, *, keys: KeyHolder) -> "Unlocked":
    """Recover the content key, or something that looks like one; its ciphertext is not used."""
    algorithm = read_content_algorithm(enveloped.algorithm, has_tag=enveloped.tag is not None)
    if enveloped.content_type != algorithms.DATA:
        raise CmsSyntaxError("inner-content-type")
    content_key = recover_content_key(
        enveloped.recipients, keys=keys, size=algorithm.cipher.key_octets
    )
    return Unlocked(enveloped=enveloped, algorithm=algorithm, content_key=content_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlocked:
    """A message whose content key is at hand, before its content is decrypted."""

    enveloped: cms.Enveloped
    algorithm: ContentAlgorithm
    content_key: ContentKey

    def decryptor(self) -> ContentDecryptor:
        """Return what makes the plaintext, piece by piece."""
        decryptor = open_decryptor(
            self.algorithm,
            self.content_key.octets,
            tag=self.enveloped.tag,
            attributes=self.enveloped.authenticated_attributes,
        )
        return _FailingDecryptor(decryptor) if self.content_key.has_failed else decryptor

    def opened(self, content: bytes) -> Opened:
        """Say what was opened, once all of it was decrypted."""
        findings = list(self.content_key.findings)
        is_authenticated = self.algorithm.cipher.authenticated
        if not is_authenticated:
            findings.append("content-not-authenticated")
        if is_authenticated and self.algorithm.tag_octets < TAG_OCTETS:
            findings.append("short-tag")
        return Opened(
            content=content,
            is_authenticated=is_authenticated,
            content_algorithm=self.algorithm.cipher.name,
            key_algorithm=self.content_key.algorithm,
            recipient=self.content_key.certificate,
            findings=tuple(findings),
        )


class _FailingDecryptor:
    """Does the work of another, and fails at the end: its key was not the right one."""

    __slots__ = ("_inner",)

    def __init__(self, inner: ContentDecryptor) -> None:
        self._inner = inner

    def update(self, piece: bytes) -> bytes:
        return self._inner.update(piece)

    def finish(self) -> bytes:
        self._inner.finish()
        raise DecryptionError
