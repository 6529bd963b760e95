"""Sign, encrypt, decrypt and verify an entity that is too large to hold in memory.

The same as `crypto.smime`, from file to file, with the same results, findings and refusals. Memory
is a few hundred kilobytes whatever the size. Sources are files in which one can go back; sinks take
octets in order; see `crypto.flow` for putting a source together.

    smime_stream.sign_and_encrypt(source, sink, keys=…, recipients=[…], at=now)

    with smime_stream.open(source, keys=…, quarantine=…, trust=…) as letter:
        letter.content, letter.signature

Errors
    Those of `crypto.smime`. `open` does not raise what the signature is worth but returns it,
    since a letter is kept with its verdict; decryption that fails is raised, and leaves nothing.
Sources
    RFC 8551 (S/MIME 4.0); RFC 5083; CVE-2017-17689 (Efail): no plaintext before it was judged.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import TracebackType
from typing import Self

from crypto import smime, stream_read, stream_write
from crypto.certificates import Certificate
from crypto.enveloped_data import EnvelopeProfile
from crypto.errors import (
    CmsSyntaxError,
    IndeterminateError,
    NotEncryptedError,
    NotSignedError,
    SignatureError,
    UnsupportedAlgorithmError,
    UntrustedError,
)
from crypto.flow import Flow, ReadableFile, Span, WritableFile, of_file
from crypto.ports import KeyHolder
from crypto.smime import SignedBy
from crypto.stream_read import DecryptedFile, Quarantine, QuarantineFile, decrypt, discard
from crypto.stream_write import SignedForm
from crypto.trust import Profile, TrustStore

__all__ = [
    "DecryptedFile",
    "OpenedFile",
    "Quarantine",
    "QuarantineFile",
    "SignatureVerdict",
    "SignedFile",
    "SignedForm",
    "Trust",
    "decrypt",
    "encrypt",
    "open",
    "sign",
    "sign_and_encrypt",
    "verify",
]

SignatureVerdict = (
    SignedBy
    | SignatureError
    | UntrustedError
    | IndeterminateError
    | CmsSyntaxError
    | UnsupportedAlgorithmError
)
"""What a signature is worth: a proof, or why there is none."""


# --- Writing ---------------------------------------------------------------------------------


def sign(
    source: Flow | ReadableFile,
    sink: WritableFile,
    *,
    keys: KeyHolder,
    at: datetime,
    chain: Sequence[Certificate] = (),
    certificate: Certificate | None = None,
    attributes: Sequence[bytes] = (),
    form: SignedForm = SignedForm.CLEAR,
) -> None:
    """Write a signed entity around *source*; arguments and errors as for `crypto.smime.sign`."""
    signed = stream_write.sign(
        _flow(source),
        keys=keys,
        at=at,
        chain=chain,
        certificate=certificate,
        attributes=attributes,
        form=form,
    )
    for piece in signed.pieces():
        sink.write(piece)


def encrypt(
    source: Flow | ReadableFile,
    sink: WritableFile,
    *,
    recipients: Sequence[Certificate],
    profile: EnvelopeProfile | None = None,
) -> None:
    """Write an encrypted entity around *source*; as `crypto.smime.encrypt`."""
    content = stream_write.measure(_flow(source))
    for piece in stream_write.encrypt(content, recipients=recipients, profile=profile):
        sink.write(piece)


def sign_and_encrypt(
    source: Flow | ReadableFile,
    sink: WritableFile,
    *,
    keys: KeyHolder,
    recipients: Sequence[Certificate],
    at: datetime,
    profile: EnvelopeProfile | None = None,
    chain: Sequence[Certificate] = (),
    certificate: Certificate | None = None,
    attributes: Sequence[bytes] = (),
    form: SignedForm = SignedForm.CLEAR,
) -> None:
    """Write an encrypted entity with a signed one inside; nothing is kept on the way.

    If this raises, *sink* holds a part of no use.
    """
    signed = stream_write.sign(
        _flow(source),
        keys=keys,
        at=at,
        chain=chain,
        certificate=certificate,
        attributes=attributes,
        form=form,
    )
    for piece in stream_write.encrypt(signed, recipients=recipients, profile=profile):
        sink.write(piece)


def _flow(source: Flow | ReadableFile) -> Flow:
    return source if isinstance(source, Flow) else of_file(source)


# --- Reading ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom to believe, for what, and when; as for `crypto.smime.verify`."""

    store: TrustStore = field(repr=False)
    profile: Profile
    at: datetime
    intermediates: Sequence[Certificate] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedFile:
    """Proof that octets in a file were signed by somebody we trust; close it after use.

    Attributes:
        content: The entity that is signed, exactly: a part of the source, or of a file of its own.
        proof: As from `crypto.smime.verify`, but its `content` is empty: it is here.
    """

    content: Span = field(repr=False)
    proof: SignedBy
    file: QuarantineFile | None = field(repr=False)

    def close(self) -> None:
        """Forget the content, unless it is the source's."""
        if self.file is not None:
            discard(self.file)


def verify(source: ReadableFile, *, trust: Trust, quarantine: Quarantine) -> SignedFile:
    """Do as `crypto.smime.verify` for a file; raises the same, with no content in the errors.

    Args:
        source: One entity, header included.
        trust: Whom to believe.
        quarantine: Where the content of an opaque signature goes.
    """
    detached = stream_read.detach(source, quarantine=quarantine)
    try:
        return SignedFile(
            content=detached.content, proof=_prove(detached, trust), file=detached.file
        )
    except BaseException:
        detached.close()
        raise


def _prove(detached: stream_read.Detached, trust: Trust) -> SignedBy:
    try:
        return smime.verify(
            detached.entity,
            store=trust.store,
            profile=trust.profile,
            at=trust.at,
            intermediates=trust.intermediates,
            digest=detached.digest(),
        )
    except (UntrustedError, IndeterminateError) as error:
        error.content = None  # what was left of the entity is not what is signed
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedFile:
    """A letter as it was inside, in a file, after its encryption and signature were judged.

    Attributes:
        decrypted: What is known of the encryption; None if there was none.
        entity: The entity inside the encryption, signature and all; the source if not encrypted.
        content: What was signed when the octets match, whoever the signer is; else the entity.
        signature: What the signature is worth; None if nothing claims to be signed or nobody asked.
    """

    decrypted: DecryptedFile | None
    entity: Span = field(repr=False)
    content: Span = field(repr=False)
    signature: SignatureVerdict | None
    files: tuple[QuarantineFile, ...] = field(repr=False)

    def close(self) -> None:
        """Forget the plaintext."""
        for file in self.files:
            discard(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open(  # noqa: A001 -- read as smime_stream.open
    source: ReadableFile,
    *,
    keys: KeyHolder,
    quarantine: Quarantine,
    trust: Trust | None = None,
    only_authenticated: bool = False,
) -> OpenedFile:
    """Take encryption off an entity if it is encrypted, and judge the signature inside.

    Args:
        source: One entity, header included; a whole message will do.
        keys: Holds the keys.
        quarantine: Opens the files for the plaintext.
        trust: Whom to believe; None to leave a signature alone.
        only_authenticated: Refuse ciphers that do not authenticate.

    Raises:
        CmsSyntaxError: It is encrypted, and its structure is unreadable.
        DecryptionError: It is encrypted, and cannot be decrypted.
    """
    decrypted: DecryptedFile | None = None
    with suppress(NotEncryptedError):
        decrypted = decrypt(
            source, keys=keys, quarantine=quarantine, only_authenticated=only_authenticated
        )
    entity = Span(source) if decrypted is None else decrypted.entity
    files = () if decrypted is None else (decrypted.file,)
    opened = OpenedFile(
        decrypted=decrypted, entity=entity, content=entity, signature=None, files=files
    )
    if trust is None:
        return opened
    try:
        return _judged(opened, trust, quarantine)
    except BaseException:
        opened.close()
        raise


def _judged(opened: OpenedFile, trust: Trust, quarantine: Quarantine) -> OpenedFile:
    try:
        detached = stream_read.detach(opened.entity, quarantine=quarantine)
    except (SignatureError, CmsSyntaxError) as error:
        return replace(opened, signature=error)
    files = opened.files if detached.file is None else (*opened.files, detached.file)
    signed = replace(opened, content=detached.content, files=files)
    try:
        return replace(signed, signature=_prove(detached, trust))
    except (UntrustedError, IndeterminateError) as error:
        # Without the signer's certificate nothing was checked but a digest that anybody can make.
        content = opened.entity if error.signer is None else detached.content
        return replace(signed, content=content, signature=error)
    except NotSignedError:
        return replace(opened, files=files)
    except (SignatureError, CmsSyntaxError, UnsupportedAlgorithmError) as error:
        return replace(opened, files=files, signature=error)
    except BaseException:
        detached.close()
        raise
