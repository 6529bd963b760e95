"""What is inside, and what is it worth? Take off every layer of a letter, outermost first.

Signatures, encryption and compression may be nested in any order (triple wrapping is signed,
encrypted, signed). Each layer is reported. A layer that fails ends the search: nothing inside it is
looked at. The verdict is that of the weakest layer, never of the best.

Only the entity itself is looked at: a signed or encrypted part beside others is a part like any
other, so that no text can be put around it (Johnny M1 to M4, Efail's direct exfiltration).

Errors
    None for content: whatever the octets, there is an answer.
Sources
    RFC 8551, 3.4 to 3.7 (layers, and what their order proves); RFC 2634, 1.1 (triple wrapping);
    Poddebniak et al., Efail, 2018; Müller et al., Johnny, you are fired!, USENIX Security 2019.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from crypto import smime
from crypto.certificates import Certificate
from crypto.compressed_data import decompress
from crypto.entity import read_entity
from crypto.errors import (
    CmsSyntaxError,
    CryptoError,
    IndeterminateError,
    TokenUnavailableError,
    UntrustedError,
)
from crypto.kinds import Kind, kind_of
from crypto.ports import KeyHolder
from crypto.trust import Profile, TrustStore

MAX_LAYERS: Final = 4
_TAKEN_OFF: Final = frozenset({Kind.ENCRYPTED, Kind.SIGNED, Kind.COMPRESSED})


class Judgement(StrEnum):
    """What the cryptography of a letter is worth, as a whole."""

    VALID = "valid"
    INVALID = "invalid"
    UNTRUSTED = "untrusted"
    INDETERMINATE = "indeterminate"
    NOT_SIGNED = "not-signed"
    UNDECRYPTABLE = "undecryptable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer that was found.

    Attributes:
        decrypted: What an encrypted layer gave; None if it could not be opened.
        proof: What a signed layer proves; None if it does not.
        error: Why the layer is not good, or not known to be.
    """

    kind: Kind
    decrypted: smime.Decrypted | None = None
    proof: smime.SignedBy | None = None
    error: CryptoError | None = None

    @property
    def algorithm(self) -> str | None:
        """The cipher, the signature scheme or `zlib`; None if the layer was not opened."""
        if self.kind is Kind.COMPRESSED:
            return None if self.error else "zlib"
        if self.decrypted is not None:
            return self.decrypted.content_algorithm
        return None if self.proof is None else self.proof.algorithm.value

    @property
    def signer(self) -> Certificate | None:
        """Who signed, even if nobody vouches for them."""
        if self.proof is not None:
            return self.proof.signer
        if isinstance(self.error, UntrustedError | IndeterminateError):
            return self.error.signer
        return None

    @property
    def findings(self) -> tuple[str, ...]:
        """Kebab-case remarks on this layer."""
        if self.decrypted is not None:
            return self.decrypted.findings
        return () if self.proof is None else self.proof.findings

    @property
    def is_signed(self) -> bool:
        """True for a signed layer, whatever it is worth."""
        return self.kind is Kind.SIGNED

    @property
    def is_malleable(self) -> bool:
        """True for an encrypted layer that proves nothing about its content."""
        return self.decrypted is not None and not self.decrypted.authenticated


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwrapped:
    """A letter without its layers.

    Attributes:
        layers: Outermost first.
        content: The innermost entity; None if it must not be shown: a layer failed.
        evidence: The innermost signed entity, its signature included, octet for octet.
    """

    layers: tuple[Layer, ...]
    content: bytes | None = field(repr=False)
    evidence: bytes | None = field(repr=False)

    @property
    def judgement(self) -> Judgement:
        """The verdict of the weakest layer."""
        if self.content is None:
            is_closed = bool(self.layers) and self.layers[-1].kind is Kind.ENCRYPTED
            return Judgement.UNDECRYPTABLE if is_closed else Judgement.INVALID
        errors = [each.error for each in self.layers if each.is_signed]
        if not errors:
            return Judgement.NOT_SIGNED
        if any(isinstance(each, UntrustedError) for each in errors):
            return Judgement.UNTRUSTED
        if any(isinstance(each, IndeterminateError) for each in errors):
            return Judgement.INDETERMINATE
        return Judgement.VALID

    @property
    def failure(self) -> CryptoError | None:
        """The error of the layer at which the search ended; None if it reached the content."""
        return self.layers[-1].error if self.content is None else None

    @property
    def signature(self) -> Layer | None:
        """The innermost signed layer: the one that speaks about the content."""
        return next((each for each in reversed(self.layers) if each.is_signed), None)

    @property
    def is_malleable(self) -> bool:
        """True if the content could have been changed by somebody without a key of the sender.

        A cipher that does not authenticate needs a valid signature, inside or around it.
        """
        is_signed = any(each.proof is not None for each in self.layers)
        return any(each.is_malleable for each in self.layers) and not is_signed

    @property
    def is_signed_outside_only(self) -> bool:
        """True if what is signed is a ciphertext, which its signer need not have been able to read.

        RFC 8551, 3.7: the recipient cannot tell how such a signer relates to the content.
        """
        signed = [number for number, each in enumerate(self.layers) if each.is_signed]
        closed = [number for number, each in enumerate(self.layers) if each.kind is Kind.ENCRYPTED]
        return bool(signed) and bool(closed) and max(signed) < max(closed)

    @property
    def findings(self) -> tuple[str, ...]:
        """Kebab-case remarks on the whole."""
        remarks = (
            ("content-malleable", self.is_malleable),
            ("signed-outside-only", self.is_signed_outside_only),
        )
        return tuple(code for code, holds in remarks if holds)


def unwrap(
    entity: bytes,
    *,
    keys: KeyHolder,
    store: TrustStore,
    profile: Profile,
    at: datetime,
    intermediates: Sequence[Certificate] = (),
    only_authenticated: bool = False,
) -> Unwrapped:
    """Take off every layer of *entity*, which must be a whole message.

    Args:
        entity: The message or entity, header included, CRLF line ends.
        keys: Holds the keys to open with.
        store: Whom we trust.
        profile: The rules for signers' certificates.
        at: The instant to judge at.
        intermediates: Certificates at hand besides those in the message.
        only_authenticated: Refuse ciphers that do not authenticate.
    """
    layers: list[Layer] = []
    evidence: bytes | None = None
    content: bytes | None = entity
    while content is not None:
        kind = _claim(content)
        if kind not in _TAKEN_OFF:
            break
        if len(layers) == MAX_LAYERS:
            layers.append(Layer(kind=kind, error=CmsSyntaxError("too-many-layers")))
            content = None
        elif kind is Kind.ENCRYPTED:
            layer = _open(content, keys=keys, only_authenticated=only_authenticated)
            layers.append(layer)
            content = None if layer.decrypted is None else layer.decrypted.entity
        elif kind is Kind.COMPRESSED:
            layer, content = _inflate(content)
            layers.append(layer)
        else:
            evidence = content
            layer, content = _verify(
                content, store=store, profile=profile, at=at, intermediates=intermediates
            )
            layers.append(layer)
    return Unwrapped(layers=tuple(layers), content=content, evidence=evidence)


def _claim(entity: bytes) -> Kind:
    """Say what an entity is to be treated as.

    A header that can be read as signed and as something else is a bad signature, not a letter
    without one.
    """
    header = read_entity(entity)
    is_doubtful = header.is_ambiguous and "sign" in header.media_type
    return Kind.SIGNED if is_doubtful else kind_of(header)


def _open(entity: bytes, *, keys: KeyHolder, only_authenticated: bool) -> Layer:
    try:
        decrypted = smime.decrypt(entity, keys=keys, only_authenticated=only_authenticated)
    except TokenUnavailableError:  # nothing is known of the letter: it must come again
        raise
    except CryptoError as error:
        return Layer(kind=Kind.ENCRYPTED, error=error)
    return Layer(kind=Kind.ENCRYPTED, decrypted=decrypted)


def _inflate(entity: bytes) -> tuple[Layer, bytes | None]:
    try:
        content = decompress(read_entity(entity).decoded_body())
    except CryptoError as error:
        return Layer(kind=Kind.COMPRESSED, error=error), None
    return Layer(kind=Kind.COMPRESSED), content


def _verify(
    entity: bytes,
    *,
    store: TrustStore,
    profile: Profile,
    at: datetime,
    intermediates: Sequence[Certificate],
) -> tuple[Layer, bytes | None]:
    """Judge one signed layer; give what is inside unless the signature is bad."""
    try:
        proof = smime.verify(
            entity, store=store, profile=profile, at=at, intermediates=intermediates
        )
    except (UntrustedError, IndeterminateError) as error:
        return Layer(kind=Kind.SIGNED, error=error), error.content
    except CryptoError as error:
        return Layer(kind=Kind.SIGNED, error=error), None
    return Layer(kind=Kind.SIGNED, proof=proof), proof.content
