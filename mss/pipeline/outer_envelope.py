"""Which operators get a post-quantum envelope around their letters, and with which keys?

Two operators agree on it: each gives the other its ML-KEM certificate, and names the other's domain
in its settings. A letter to such a domain is never sent without: a missing certificate stops the
server at its start, and one that is no longer valid refuses the letter while its sender is there.

Shapes
    `trust/post-quantum/<domain>.pem` holds the certificates of one domain; while its operator
    changes keys there are two, and each opens the letter. Read once, at the start.
Errors
    `SettingsError` for a domain whose certificates are missing, unreadable or not for ML-KEM.
Sources
    docs/adr/0015.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from crypto.certificates import Certificate, parse_certificates
from crypto.errors import CryptoError
from crypto.recipient_info import is_post_quantum
from mss.errors import SettingsError

FOLDER: Final = "trust/post-quantum"


@dataclass(frozen=True, slots=True, kw_only=True)
class OuterEnvelopes:
    """The ML-KEM certificates of other operators, by domain."""

    by_domain: Mapping[str, tuple[Certificate, ...]] = field(default_factory=dict)

    def certificates(self, domain: str) -> tuple[Certificate, ...]:
        """List those of a domain; none if nothing was agreed with it."""
        return self.by_domain.get(domain.lower(), ())


def load_outer_envelopes(home: Path, domains: Iterable[str]) -> OuterEnvelopes:
    """Read the certificates of each of *domains*."""
    return OuterEnvelopes(by_domain={each: _load(home, each) for each in domains})


def _load(home: Path, domain: str) -> tuple[Certificate, ...]:
    file = home / FOLDER / f"{domain}.pem"
    try:
        certificates = parse_certificates(file.read_bytes())
    except (OSError, CryptoError) as error:
        raise SettingsError(reason=f"{file}: {error}") from error
    found = tuple(filter(is_post_quantum, certificates))  # their chain may be in the file too
    if not found:
        raise SettingsError(reason=f"{file}: there is no certificate for ML-KEM")
    return found
