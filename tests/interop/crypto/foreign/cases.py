"""What is one letter by a peer, and the reading of it that is right?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.interop.crypto.identities import Identities

MALLEABLE = "content-not-authenticated"
OLD_RSA = "legacy-rsa-pkcs1"
NOT_NAMED = "signing-certificate-not-named"
WEAK_3DES = "unsupported-algorithm: 1.2.840.113549.3.7 (weak-cipher)"
NO_ATTRIBUTES = "signature-invalid: signed-attributes-missing"
OLD_DIGEST = "signature-invalid: digest-refused"


@dataclass(frozen=True)
class Foreign:
    """A letter by a peer.

    Attributes:
        write: Makes the MIME entity around `ENTITY`; its first argument is the peer.
        said: What we must say: the judgement, then of each layer the algorithms or the refusal, and
            the remarks.
        reader: Whose key opens it, if it is closed.
    """

    peer: str
    name: str
    write: Callable[[Any, Identities], bytes]
    said: tuple[str, ...]
    reader: str | None = None

    @property
    def is_read(self) -> bool:
        """We must hand out the content."""
        return self.said[0] not in {"invalid", "undecryptable"}


def closed(algorithms: str, *remarks: str) -> tuple[str, ...]:
    """Say that it is encrypted only."""
    return ("not-signed", algorithms, *remarks)


def valid(algorithm: str, *remarks: str) -> tuple[str, ...]:
    """Say that it is signed, and by whom is proven."""
    return ("valid", algorithm, *remarks)


def unopened(reason: str) -> tuple[str, ...]:
    """Say that it is not opened."""
    return ("undecryptable", reason)


def refused(reason: str) -> tuple[str, ...]:
    """Say that it is forged, or as good as."""
    return ("invalid", reason)
