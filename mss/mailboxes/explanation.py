"""Why is this letter believed, or not? Every layer of it, what holds and what does not.

The same code that judges at the door (`crypto.layers`) takes off the layers; the rules that tie
signer, author and recipients are the door's (`mss.policy`). What the door keeps from strangers is
told here: the reader is the administrator, with the keys in hand. No database is needed, so a
structure's certificate is not tied to a mailbox through the directory: that is said, not guessed.

Errors
    None for content: whatever the octets, there is an explanation, in bounded time and memory.
Sources
    RFC 8551; docs/adr/0016.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from crypto import layers
from crypto.canonical import canonical, is_canonical
from crypto.certificates import Certificate
from crypto.entity import read_entity
from crypto.errors import CryptoError, NoMatchingKeyError
from crypto.keys import CombinedKeyHolder, PrivateKey
from crypto.kinds import Kind, kind_of
from crypto.layers import Judgement, Layer, Unwrapped
from crypto.ports import KeyHolder
from crypto.trial_keys import trials
from crypto.trust import Profile, TrustStore
from mss.mailboxes.explained_findings import ExplainedFinding, finding, finding_of
from mss.mailboxes.explained_layers import ExplainedLayer, explain_layer, octets_of
from mss.mailboxes.explained_letter import Told, findings_about_letter
from mss.mailboxes.letter_file import LetterFile

_BAD: Final = frozenset({Judgement.INVALID, Judgement.UNDECRYPTABLE})
_TAKEN_OFF: Final = frozenset({Kind.ENCRYPTED, Kind.SIGNED, Kind.COMPRESSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is inside, what it is worth, and why.

    Attributes:
        layers: Outermost first.
        content_sha256: Of the innermost entity; None if it must not be shown.
    """

    verdict: Judgement
    encrypted: bool
    layers: tuple[ExplainedLayer, ...]
    findings: tuple[ExplainedFinding, ...]
    content_sha256: str | None

    @property
    def is_good(self) -> bool:
        """True for what is valid, and for what was never signed."""
        return self.verdict in {Judgement.VALID, Judgement.NOT_SIGNED}


def too_large() -> Explanation:
    """Explain a file that was not read."""
    return Explanation(
        verdict=Judgement.INVALID,
        encrypted=False,
        layers=(),
        findings=(finding("file-too-large"),),
        content_sha256=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Examiner:
    """Explains letters with the keys and the trust at hand.

    Attributes:
        keys: Keys with their certificates.
        loose_keys: Every key that may be tried on recipients that no certificate matches.
        intermediates: Certificates at hand besides those in the message: authorities and signers.
        at: The instant to judge at.
        is_revocation_judged: Revocation lists were given.
    """

    keys: KeyHolder = field(default_factory=lambda: CombinedKeyHolder(()))
    loose_keys: tuple[PrivateKey, ...] = field(default=(), repr=False)
    store: TrustStore
    profile: Profile
    intermediates: tuple[Certificate, ...] = ()
    at: datetime
    is_revocation_judged: bool = True

    def explain(self, file: LetterFile) -> Explanation:
        """Explain a letter, or a CMS object in the entity that it would have come in."""
        if file.as_saved is not None:
            told = self._explain(file, file.as_saved)
            if told.layers and told.verdict not in _BAD:
                return told
        return self._explain(file, file.octets)

    def _explain(self, file: LetterFile, octets: bytes) -> Explanation:
        found = self._unwrap(octets)
        told = _judged(found, octets, is_mail=file.is_mail)
        shown = tuple(
            explain_layer(layer, inside, is_tried=layer.error is None and self._is_tried(layer))
            for layer, inside in found.pairs
        )
        remarks = (
            *map(finding, file.repairs),
            *found.repairs,
            *(each for number, layer in enumerate(found.whole.layers, 1)
              for each in _about_layer(layer, number, found.whole)),
            *(finding(code) for code in found.whole.findings),
            *(finding("key-found-by-trial", layer=number)
              for number, layer in enumerate(found.whole.layers, 1) if self._is_tried(layer)),
            *self._about_revocation(found.whole),
            *told.findings,
        )  # fmt: skip
        content = found.whole.content
        is_shown = content is not None and told.verdict not in _BAD
        return Explanation(
            verdict=told.verdict,
            encrypted=any(each.kind is Kind.ENCRYPTED for each in found.whole.layers),
            layers=shown,
            findings=_once(remarks),
            content_sha256=hashlib.sha256(content or b"").hexdigest() if is_shown else None,
        )

    def _about_revocation(self, found: Unwrapped) -> Iterable[ExplainedFinding]:
        is_asked = any(each.is_signed for each in found.layers)
        is_silent = not self.is_revocation_judged or any(
            "revocation-not-judged" in each.findings for each in found.layers
        )
        return (finding("revocation-not-judged"),) if is_asked and is_silent else ()

    def _is_tried(self, layer: Layer) -> bool:
        decrypted = layer.decrypted
        return decrypted is not None and decrypted.recipient not in self.keys.certificates

    # --- Taking layers off, with more patience than a door ------------------------------------

    def _unwrap(self, entity: bytes) -> "_Found":
        """Take off every layer, also those whose line ends or keys a door would not accept."""
        found = _Found.of(self._tried(entity, self.keys), entity)
        inner = found.whole.content
        if inner is None or not found.whole.layers or is_canonical(inner):
            return found
        if kind_of(read_entity(inner)) in _TAKEN_OFF:
            return found
        mended = canonical(inner)
        if kind_of(read_entity(mended)) not in _TAKEN_OFF:
            return found
        return found.followed_by(self._tried(mended, self.keys), mended)

    def _tried(self, entity: bytes, keys: KeyHolder) -> Unwrapped:
        """Take off layers; at one that no certificate opens, try the keys."""
        found = self._unwrapped(entity, keys)
        for _ in range(layers.MAX_LAYERS):
            last = found.layers[-1] if found.layers else None
            if last is None or not isinstance(last.error, NoMatchingKeyError):
                break
            better = self._opened_by_trial(entity, found, keys)
            if better is None:
                break
            found, keys = better
        return found

    def _opened_by_trial(
        self, entity: bytes, found: Unwrapped, keys: KeyHolder
    ) -> tuple[Unwrapped, KeyHolder] | None:
        closed = octets_of(found.layers, entity)[-1]
        try:
            octets = read_entity(closed).decoded_body()
        except CryptoError:
            return None
        reserve: tuple[Unwrapped, KeyHolder] | None = None
        for holder in trials(octets, self.loose_keys):
            more = CombinedKeyHolder((keys, holder))
            again = self._unwrapped(entity, more)
            opened = again.layers[len(found.layers) - 1].decrypted
            if opened is None:
                continue
            if opened.authenticated or read_entity(opened.entity).body_at < len(opened.entity):
                return again, more
            reserve = reserve or (again, more)  # a wrong key rarely leaves a right padding
        return reserve

    def _unwrapped(self, entity: bytes, keys: KeyHolder) -> Unwrapped:
        return layers.unwrap(
            entity,
            keys=keys,
            store=self.store,
            profile=self.profile,
            at=self.at,
            intermediates=self.intermediates,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Layers, and the entity that each was found in."""

    whole: Unwrapped
    entities: tuple[bytes, ...] = field(repr=False)
    repairs: tuple[ExplainedFinding, ...] = ()

    @classmethod
    def of(cls, whole: Unwrapped, entity: bytes) -> "_Found":
        return cls(whole=whole, entities=octets_of(whole.layers, entity))

    @property
    def pairs(self) -> Iterable[tuple[Layer, bytes]]:
        return zip(self.whole.layers, self.entities, strict=True)

    def followed_by(self, inner: Unwrapped, entity: bytes) -> "_Found":
        """Join what was found inside the last layer."""
        number = len(self.whole.layers) + 1
        return _Found(
            whole=Unwrapped(
                layers=(*self.whole.layers, *inner.layers),
                content=inner.content,
                evidence=inner.evidence or self.whole.evidence,
            ),
            entities=(*self.entities, *octets_of(inner.layers, entity)),
            repairs=(finding("line-ends-inside", layer=number),),
        )


def _judged(found: _Found, octets: bytes, *, is_mail: bool) -> Told:
    """Judge the whole: the layers, what they leave, and the letter around them."""
    verdict = found.whole.judgement
    content = found.whole.content
    if content is not None and kind_of(read_entity(content)) is Kind.OTHER_CMS:
        return Told(verdict=Judgement.INVALID, findings=(finding("cms-not-understood"),))
    if content is None:
        return Told(verdict=verdict)
    return findings_about_letter(found.whole, octets, content, is_mail=is_mail)


def _about_layer(layer: Layer, number: int, whole: Unwrapped) -> Iterable[ExplainedFinding]:
    if layer.error is not None:
        yield finding_of(layer.error, layer=number)
    if layer.proof is not None and layer.proof.others:
        yield finding("several-signers", layer=number)
    for code in layer.findings:
        if code == "revocation-not-judged" or (
            code == "content-not-authenticated" and whole.is_malleable
        ):
            continue  # said of the whole
        yield replace(finding(code), layer=number)


def _once(findings: Sequence[ExplainedFinding]) -> tuple[ExplainedFinding, ...]:
    """Put the serious first, each once."""
    order = ("error", "warning", "info")
    return tuple(sorted(dict.fromkeys(findings), key=lambda each: order.index(each.severity)))
