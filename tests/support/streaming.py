"""Read a letter in memory and from file to file, and say both results in the same words."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from crypto import layers, smime_stream
from crypto.errors import CmsSyntaxError
from crypto.keys import SoftwareKeyHolder
from crypto.smime_stream import Trust
from crypto.trust import Profile, TrustStore


class WatchedFile(io.BytesIO):
    """A quarantine in memory that remembers whether its content was forgotten."""

    forgotten = False

    def truncate(self, size: int | None = None, /) -> int:
        """Remember it."""
        self.forgotten = size == 0
        return super().truncate(size)


@dataclass
class Quarantines:
    """Makes quarantine files and keeps them in sight."""

    files: list[WatchedFile]

    def __call__(self) -> WatchedFile:
        """Open another."""
        self.files.append(WatchedFile())
        return self.files[-1]

    @property
    def all_forgotten(self) -> bool:
        """True if nothing that was ever written can still be read."""
        return all(each.closed and each.forgotten for each in self.files)


def quarantines() -> Quarantines:
    """Begin with no file."""
    return Quarantines([])


def _facts(layer: layers.Layer) -> tuple[object, ...]:
    error = layer.error
    what: Sequence[object] = () if error is None else (type(error), getattr(error, "reason", ""))
    proof = layer.proof
    decrypted = layer.decrypted
    return (
        layer.kind,
        layer.findings,
        layer.algorithm,
        layer.signer,
        *what,
        None if proof is None else (proof.signed_at, proof.signers, proof.others),
        None if decrypted is None else (decrypted.recipient, decrypted.key_algorithm),
    )


@dataclass(frozen=True)
class Reading:
    """What a reader makes of a letter."""

    judgement: layers.Judgement
    findings: tuple[str, ...]
    layers: tuple[tuple[object, ...], ...]
    content: bytes | None

    @property
    def alike(self) -> "Reading":
        """The same, but for which of several faults of a structure was met first."""
        found = (
            (*layer[:4], CmsSyntaxError) if CmsSyntaxError in layer else layer
            for layer in self.layers
        )
        return replace(self, layers=tuple(found))


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Somebody with keys and a trust store."""

    keys: SoftwareKeyHolder
    store: TrustStore
    profile: Profile
    at: datetime
    only_authenticated: bool = False

    def in_memory(self, letter: bytes) -> Reading:
        """Hold everything at once."""
        found = layers.unwrap(
            letter,
            keys=self.keys,
            store=self.store,
            profile=self.profile,
            at=self.at,
            only_authenticated=self.only_authenticated,
        )
        return Reading(
            found.judgement, found.findings, tuple(map(_facts, found.layers)), found.content
        )

    def streaming(self, letter: bytes) -> Reading:
        """From file to file; nothing may remain but what is handed over, and then nothing."""
        aside = quarantines()
        trust = Trust(store=self.store, profile=self.profile, at=self.at)
        with smime_stream.open(
            io.BytesIO(letter),
            keys=self.keys,
            quarantine=aside,
            trust=trust,
            only_authenticated=self.only_authenticated,
        ) as opened:
            assert opened.content is not None or aside.all_forgotten
            content = None if opened.content is None else opened.content.read()
            report = opened.report
        assert aside.all_forgotten
        return Reading(
            report.judgement, report.findings, tuple(map(_facts, report.layers)), content
        )
