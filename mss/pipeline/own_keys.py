"""Which keys does this operator use at this instant?

Keys change while mail flows. A letter is protected, or opened, with the keys that were in force
when that began: one value, replaced as a whole when the files have changed. Old reading keys stay
in it, so that mail which was encrypted for them still opens.

Errors
    `SettingsError` for files that cannot be used; what was in force stays in force.
Sources
    docs/adr/0022.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crypto.certificates import Certificate
from crypto.ports import KeyHolder
from mss.pipeline.key_files import KeyFiles
from mss.pipeline.outer_envelope import FOLDER, OuterEnvelopes, load_outer_envelopes


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnKeys:
    """The keys of one instant.

    Attributes:
        signing: Signs what leaves.
        signing_chain: The certificates above it, to send along.
        reading: Opens what arrives, the current key first.
        outer: The post-quantum certificates of operators with whom that was agreed.
    """

    signing: KeyHolder
    signing_chain: tuple[Certificate, ...]
    reading: KeyHolder
    outer: OuterEnvelopes


class KeysInForce:
    """The keys in force; `reload` reads the files again.

    Args:
        files: The key files of the home.
        post_quantum_domains: Domains with which a post-quantum envelope was agreed.
    """

    def __init__(self, files: KeyFiles, *, post_quantum_domains: Sequence[str] = ()) -> None:
        self._files = files
        self._domains = tuple(post_quantum_domains)
        self._current: OwnKeys
        self.reload()

    @property
    def current(self) -> OwnKeys:
        """The keys to begin with now; hold on to the value until the letter is done."""
        return self._current

    def files(self) -> tuple[Path, ...]:
        """List the files whose change means other keys."""
        folder = self._files.home / FOLDER
        return (*self._files.files(), *(folder / f"{one}.pem" for one in self._domains))

    def reload(self) -> None:
        """Read the files again; raises `SettingsError`, and keeps the old keys."""
        self._current = OwnKeys(
            signing=self._files.load_signing(),
            signing_chain=self._files.load_signing_chain(),
            reading=self._files.load_reading(),
            outer=load_outer_envelopes(self._files.home, self._domains),
        )
