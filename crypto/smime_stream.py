"""Sign, encrypt, decrypt and verify an entity that is too large to hold in memory.

The same as `crypto.smime`, from file to file, with the same results, findings and refusals. Memory
is a few hundred kilobytes whatever the size. Sources are files in which one can go back; sinks take
octets in order; see `crypto.flow` for putting a source together.

    smime_stream.sign_and_encrypt(source, sink, keys=…, recipients=[…], at=now)

    with smime_stream.open(source, keys=…, quarantine=…, trust=…) as letter:
        letter.report.judgement, letter.content

Errors
    Those of `crypto.smime`; `open` has none for content, like `crypto.layers`. A file that cannot
    be read or written raises what it raises, and nothing is left in quarantine.
Sources
    RFC 8551 (S/MIME 4.0); RFC 5083; CVE-2017-17689 (Efail): no plaintext before it was judged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Self

from crypto import layers, smime, stream_read, stream_write
from crypto.certificates import Certificate
from crypto.enveloped_data import EnvelopeProfile
from crypto.errors import CmsSyntaxError, CryptoError, IndeterminateError, UntrustedError
from crypto.flow import Flow, ReadableFile, Span, WritableFile, of_file
from crypto.kinds import Kind
from crypto.ports import KeyHolder
from crypto.recipient_info import RecipientPlan
from crypto.smime import SignedBy
from crypto.stream_read import DecryptedFile, Quarantine, QuarantineFile, decrypt, discard
from crypto.stream_write import SignedForm
from crypto.trust import Profile, TrustStore

__all__ = [
    "DecryptedFile",
    "OpenedFile",
    "Quarantine",
    "QuarantineFile",
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
    recipients: Sequence[Certificate | RecipientPlan],
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
    recipients: Sequence[Certificate | RecipientPlan],
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
    """A letter without its layers, after all of them were judged.

    Attributes:
        report: The layers and the verdict, as from `crypto.layers.unwrap`, but with empty octets
            wherever there is content.
        content: The innermost entity; None if it must not be shown. It may lie in the source.
        evidence: The innermost signed entity, its signature included.
    """

    report: layers.Unwrapped
    content: Span | None = field(repr=False)
    evidence: Span | None = field(repr=False)
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
    trust: Trust,
    only_authenticated: bool = False,
) -> OpenedFile:
    """Take off every layer of an entity, as `crypto.layers.unwrap` does; close it after use.

    Args:
        source: A whole message, or one entity, header included.
        keys: Holds the keys to open with.
        quarantine: Opens the files for what is inside.
        trust: Whom to believe.
        only_authenticated: Refuse ciphers that do not authenticate.
    """
    opening = _Opening(keys, quarantine, trust, only_authenticated=only_authenticated)
    try:
        return opening.run(Span(source))
    except BaseException:
        opening.discard()
        raise


class _Opening:
    """Goes inwards, one layer at a time, and remembers the files that it made."""

    def __init__(
        self, keys: KeyHolder, quarantine: Quarantine, trust: Trust, *, only_authenticated: bool
    ) -> None:
        self._keys = keys
        self._make_file = quarantine
        self._trust = trust
        self._only_authenticated = only_authenticated
        self._files: list[QuarantineFile] = []
        self._steps: dict[Kind, Callable[[Span], tuple[layers.Layer, Span | None]]] = {
            Kind.ENCRYPTED: self._decrypt,
            Kind.SIGNED: self._verify,
            Kind.COMPRESSED: self._decompress,
        }

    def run(self, source: Span) -> OpenedFile:
        found: list[layers.Layer] = []
        content: Span | None = source
        evidence: Span | None = None
        while content is not None:
            kind = stream_read.claim(content)
            take_off = self._steps.get(kind)
            if take_off is None:
                break
            if len(found) == layers.MAX_LAYERS:
                found.append(layers.Layer(kind=kind, error=CmsSyntaxError("too-many-layers")))
                content = None
                break
            evidence = content if kind is Kind.SIGNED else evidence
            layer, content = take_off(content)
            found.append(layer)
        report = layers.Unwrapped(
            layers=tuple(found),
            content=None if content is None else b"",
            evidence=None if evidence is None else b"",
        )
        if content is None:  # what did not stand the test is gone before anybody can ask for it
            self.discard()
            evidence = evidence if evidence is source else None
        return OpenedFile(
            report=report, content=content, evidence=evidence, files=tuple(self._files)
        )

    def discard(self) -> None:
        while self._files:
            discard(self._files.pop())

    def _quarantine(self) -> QuarantineFile:
        self._files.append(self._make_file())
        return self._files[-1]

    def _decrypt(self, span: Span) -> tuple[layers.Layer, Span | None]:
        try:
            decrypted = decrypt(
                span,
                keys=self._keys,
                quarantine=self._quarantine,
                only_authenticated=self._only_authenticated,
            )
        except CryptoError as error:
            return layers.Layer(kind=Kind.ENCRYPTED, error=error), None
        return layers.Layer(kind=Kind.ENCRYPTED, decrypted=decrypted.facts), decrypted.entity

    def _decompress(self, span: Span) -> tuple[layers.Layer, Span | None]:
        try:
            content = stream_read.decompress(span, quarantine=self._quarantine)
        except CryptoError as error:
            return layers.Layer(kind=Kind.COMPRESSED, error=error), None
        return layers.Layer(kind=Kind.COMPRESSED), content

    def _verify(self, span: Span) -> tuple[layers.Layer, Span | None]:
        try:
            detached = stream_read.detach(span, quarantine=self._quarantine)
        except CryptoError as error:
            return layers.Layer(kind=Kind.SIGNED, error=error), None
        try:
            proof = _prove(detached, self._trust)
        except (UntrustedError, IndeterminateError) as error:
            return layers.Layer(kind=Kind.SIGNED, error=error), detached.content
        except CryptoError as error:
            return layers.Layer(kind=Kind.SIGNED, error=error), None
        return layers.Layer(kind=Kind.SIGNED, proof=proof), detached.content
